/**
 * Writes to shared memory that the explorer does not see: through a view that was made before the
 * buffer was shared or by a captured constructor, by WebAssembly, by a function of the system.
 *
 * Buffers that the code under test creates are hidden from it, so that it can have no such view.
 * One that was passed to `shareBuffer` is known to other code, and is guarded: every write that is
 * seen also changes a copy of it, and after a thread has run, the two are compared. Once many bytes
 * have been compared, large buffers are only from time to time.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import { Guard } from "./guard.ts";
import type { ModelBuffer } from "./memory.ts";

/** Until so many bytes have been compared, all are after each run of a thread. */
const FIRST_BYTES = 256 * 2 ** 20;
/** Then a comparison waits for as many runs as it has such parts; a microsecond each. */
const BYTES_PER_RUN = 4096;
/** What a check has written unseen is undone in guarded memory of no more bytes. */
const MAX_RESTORED = 2 ** 20;

/** The guarded buffers of a machine. */
export class UnseenWrites {
  readonly #buffers: readonly ModelBuffer[];
  readonly #size: number;
  #bytesLeft = FIRST_BYTES;
  /** The threads that ran since the last comparison. */
  readonly #suspects = new Set<string>();

  /** @param buffers Those that other code can have; setup has filled them. */
  constructor(buffers: readonly ModelBuffer[]) {
    this.#buffers = buffers;
    this.#size = buffers.reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (const buffer of buffers) buffer.guard = new Guard(buffer.bytes);
  }

  /** Code that is no thread has run: what it wrote is undone. */
  restore(): void {
    if (this.#size <= MAX_RESTORED) { for (const { guard } of this.#buffers) guard!.restore(); }
  }

  /** A thread has run: the failure, if memory is not what it should be. */
  look(thread: string): Failure | undefined {
    this.#suspects.add(thread);
    if (this.#bytesLeft < this.#size) {
      this.#bytesLeft += BYTES_PER_RUN;
      return undefined;
    }
    this.#bytesLeft -= this.#size;
    for (const buffer of this.#buffers) {
      const at = buffer.guard!.firstDifference();
      if (at >= 0) return this.#failure(buffer, at);
    }
    this.#suspects.clear();
    return undefined;
  }

  #failure(buffer: ModelBuffer, at: number): Failure {
    const suspects = [...this.#suspects];
    return {
      kind: "misuse",
      message: `Thread ${suspects.join(" or ")} wrote shared memory unseen, at ` +
        `${buffer.nameOf(at, 1)}: by a view that was made before shareBuffer or by a constructor ` +
        "that was captured before the exploration, by WebAssembly, or by a function of the system. " +
        "Make views by the global constructors, from what setup returns",
    };
  }
}
