/**
 * Finds the most frequent bytes.
 *
 * @module
 */

import { mostFrequent } from "./most_frequent.ts";
import type { FrequencyResult, Task } from "./task.ts";

/** Counts each of the 256 bytes. */
export class ByteFrequency implements Task {
  /** Doubles, which a long stream does not overflow. */
  readonly #counts = new Float64Array(256);

  take(bytes: Uint8Array, offset: number, end: number): void {
    const counts = this.#counts;
    for (let i = offset; i < end; i++) counts[bytes[i]!]!++;
  }

  skip(): void {}

  result(): FrequencyResult {
    return {
      kind: "bytes",
      ...mostFrequent(this.#counts, (byte) => `0x${byte.toString(16).padStart(2, "0")}`),
    };
  }
}
