/**
 * Arrays of heap memory that messages are written into, one at a time.
 *
 * @module
 */

import { alignUp } from "../memory/layout.ts";
import type { OpenMessage } from "./open_message.ts";

/** The size that an array has at least. */
const MIN_BYTES = 64;
/** The size up to which an array is kept for the next message. */
const MAX_KEPT_BYTES: number = 64 * 1024;
const NO_BYTES = new Uint8Array(0);

/**
 * Heap memory for one message at a time.
 *
 * A message that fills more than half of its array gets that array; any other gets one of its own,
 * and the array is used again.
 */
export class HeapMemory {
  /** The array of the present message, or of one before. */
  #bytes = NO_BYTES;
  /** The size of the next array, as that of the one before seems right. */
  #nextBytes = 0;

  /** Moves a message here, unless it is here already, with room for `length` more bytes. */
  makeRoom(open: OpenMessage, length: number): void {
    const needed = open.length + length;
    if (needed > this.#bytes.length) {
      const doubled = 2 * open.length;
      this.#bytes = allocate(Math.max(alignUp(needed, MIN_BYTES), doubled, this.#nextBytes));
    }
    const bytes = this.#bytes;
    if (open.bytes !== bytes) open.moveInto(bytes, 0, bytes.length);
    else open.limit = bytes.length;
  }

  /**
   * Takes a message that is here, and empties it.
   *
   * @returns An array that the message lies at the beginning of, and nothing else.
   */
  take(open: OpenMessage): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes;
    const { length } = open;
    open.end = open.start;
    if (2 * length > bytes.length || bytes.length > MAX_KEPT_BYTES) {
      this.#nextBytes = Math.min(bytes.length, MAX_KEPT_BYTES);
      this.#bytes = NO_BYTES;
      open.moveInto(NO_BYTES, 0, 0);
      if (2 * length > bytes.length) return bytes;
    }
    return bytes.slice(0, length);
  }
}

function allocate(byteLength: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new RangeError(
      `Cannot claim as the platform does not provide an array of ${byteLength} bytes`,
      { cause },
    );
  }
}
