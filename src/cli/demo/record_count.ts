/**
 * Counts records.
 *
 * @module
 */

import type { RecordCountResult, Task } from "./task.ts";

/** Counts records, and finds the longest. */
export class RecordCount implements Task {
  #records = 0;
  #longest = 0;
  /** The bytes of the present record up to here. */
  #length = 0;

  take(_bytes: Uint8Array, offset: number, end: number, isFinal: boolean): void {
    this.#length += end - offset;
    if (!isFinal) return;
    this.#records++;
    if (this.#length > this.#longest) this.#longest = this.#length;
    this.#length = 0;
  }

  skip(): void {
    this.#length = 0;
  }

  result(): RecordCountResult {
    return { kind: "records", records: this.#records, longestBytes: this.#longest };
  }
}
