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

/** Heap memory for one message at a time. */
export class HeapMemory {
  /** The array of the present message, or of the one before. */
  #bytes = new Uint8Array(0);

  /** Moves a message here, unless it is here already, with room for `length` more bytes. */
  makeRoom(open: OpenMessage, length: number): void {
    const needed = open.length + length;
    if (needed > this.#bytes.length) {
      this.#bytes = allocate(Math.max(alignUp(needed, MIN_BYTES), 2 * open.length));
    }
    const bytes = this.#bytes;
    if (open.bytes !== bytes) open.moveInto(bytes, 0, bytes.length);
    else open.limit = bytes.length;
  }

  /** Copies a message that is here into an array of its own, and empties it. */
  take(open: OpenMessage): Uint8Array<ArrayBuffer> {
    const { start } = open;
    const message = this.#bytes.slice(start, open.end);
    open.end = start;
    if (this.#bytes.length > MAX_KEPT_BYTES) {
      this.#bytes = new Uint8Array(0);
      open.moveInto(this.#bytes, 0, 0);
    }
    return message;
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
