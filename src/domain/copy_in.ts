/**
 * Copies messages into a slot. If a caller sends the same array again and again, which is how one
 * sends without allocating, what it takes to copy that array fast is kept.
 *
 * @module
 */

import type { Copier } from "../memory/copier.ts";
import type { Memory } from "../memory/memory.ts";

/** The longest message that is copied word by word. */
const MAX_LOOP_BYTES = 64;

/** Copies into one memory. */
export class CopyIn {
  readonly #memory: Memory;
  readonly #bytes: Uint8Array;
  readonly #longs: BigInt64Array;
  /** The array that was copied last. */
  #last: Uint8Array | undefined;
  /** The array that the rest is made for: one that came twice in a row. */
  #source: Uint8Array | undefined;
  /** Copies it, if that can be done natively. */
  #native: Copier | undefined;
  /** A view of it. */
  #sourceLongs: BigInt64Array = new BigInt64Array(0);

  /** Copies into a memory. */
  constructor(memory: Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#longs = new BigInt64Array(memory.buffer, 0, Math.floor(memory.byteLength / 8));
  }

  /** Copies a message to `offset`, a multiple of 8. */
  copy(message: Uint8Array, offset: number): void {
    if (message === this.#source) {
      const { length } = message;
      const source = this.#sourceLongs;
      if (length <= MAX_LOOP_BYTES && length === source.length << 3) {
        const target = this.#longs;
        const first = offset / 8;
        const count = source.length;
        for (let i = 0; i < count; i++) target[first + i] = source[i]!;
        return;
      }
      if (this.#native !== undefined) {
        this.#native.copyIn(offset, 0, length);
        return;
      }
    }
    this.#bytes.set(message, offset);
    if (message === this.#last) this.#prepare(message);
    this.#last = message;
  }

  #prepare(message: Uint8Array): void {
    const { buffer, byteOffset, length } = message;
    this.#source = message;
    const copier = this.#memory.copier(message);
    this.#native = copier.isNative ? copier : undefined;
    const isFixed = !(buffer instanceof ArrayBuffer && buffer.resizable);
    const count = isFixed && (byteOffset & 7) === 0 ? length >> 3 : 0;
    this.#sourceLongs = new BigInt64Array(buffer, count === 0 ? 0 : byteOffset, count);
  }
}
