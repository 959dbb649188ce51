/**
 * Hashes messages as they come.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { HashResult, Task } from "./task.ts";

/** The SHA-256 of a stream. A reader's messages lie in private memory: no copy is needed. */
export class Sha256 implements Task {
  readonly #hash = createHash("sha256");

  take(bytes: Uint8Array, offset: number, end: number): void {
    this.#hash.update(bytes.subarray(offset, end));
  }

  skip(): void {}

  result(): HashResult {
    return { kind: "sha256", hash: this.#hash.digest("hex") };
  }
}
