/**
 * Copies payloads into the ring. If a caller fills the same array again and again, which is how one
 * sends without allocating, it is copied eight bytes at a time, or natively if it can be.
 *
 * `set` costs some 8 ns however short the payload is; a loop over 64-bit words, which an optimizing
 * compiler keeps unboxed, costs less than that up to some hundred bytes. It needs a view of the
 * source, which is expensive to create, so that of the last array is kept. A native copy from bytes
 * of {@link Memory.privateBytes} costs half as much as `set`, and less than a loop beyond 64 bytes.
 * To copy other arrays there first is no faster than `set`.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { Copier } from "../memory/copier.ts";
import { FRAME_HEADER_BYTES, frameByteLength } from "./frame.ts";
import type { Ring } from "./ring.ts";

/** The longest payload that is copied word by word. */
const MAX_LOOP_BYTES = 128;
/** The same, if it could be copied natively. */
const MAX_LOOP_BYTES_NATIVE = 64;

/** Copies into one ring. */
export class CopyIn {
  readonly #ring: Ring;
  readonly #bytes: Uint8Array;
  readonly #longs: BigInt64Array;
  /** The array that {@link CopyIn.#sourceLongs} is a view of, or that none could be made of. */
  #source: Uint8Array | undefined;
  /** A view of that array. */
  #sourceLongs: BigInt64Array = new BigInt64Array(0);
  /** Payloads of that array up to this length are copied word by word; -1 if there is no view. */
  #loopBytes = -1;
  /** Copies that array natively, if it can be. */
  #native: Copier | undefined;
  /** Parts of that array, of one length each. */
  #parts: Uint8Array[] = [];
  /** The array that was copied last. */
  #last: Uint8Array | undefined;

  /** Copies into `ring`. */
  constructor(ring: Ring) {
    this.#ring = ring;
    this.#bytes = ring.bytes;
    this.#longs = ring.longs;
  }

  /**
   * Copies a payload, of this length, to `offset`, a multiple of 8.
   *
   * @throws {TypeError} If it is not made of bytes.
   */
  copy(payload: Uint8Array, length: number, offset: number): void {
    if (payload === this.#source) {
      if (length <= this.#loopBytes && (length & 7) === 0) {
        const source = this.#sourceLongs;
        const target = this.#longs;
        const first = offset >> 3;
        const words = length >> 3;
        for (let i = 0; i < words; i++) target[first + i] = source[i]!;
        return;
      }
      const native = this.#native;
      if (native !== undefined) {
        native.copyIn(this.#ring.dataOffset + offset, 0, length);
        return;
      }
    }
    checkBytes(payload);
    this.#bytes.set(payload, offset);
    // A view pays off if the array comes again.
    if (payload === this.#last && payload !== this.#source) this.#view(payload);
    this.#last = payload;
  }

  /**
   * Copies payloads of `length` bytes, which lie end to end in `payloads` from `from` on, into
   * frames from `offset` on. All get the header that the first one has already.
   *
   * @throws {TypeError} If they are not made of bytes.
   */
  copyEqual(
    payloads: Uint8Array,
    from: number,
    length: number,
    offset: number,
    count: number,
  ): void {
    if (payloads !== this.#source) {
      checkBytes(payloads);
      this.#view(payloads);
    }
    const isLoop = length <= this.#loopBytes && (length & 7) === 0;
    const source = this.#sourceLongs;
    const target = this.#longs;
    const header = offset >> 3;
    const frameWords = frameByteLength(length) >> 3;
    const words = isLoop ? length >> 3 : 0;
    let word = header;
    let read = from >> 3;
    for (let i = 0; i < count; i++) {
      target[word] = target[header]!;
      for (let k = 1; k <= words; k++) target[word + k] = source[read++]!;
      word += frameWords;
    }
    if (isLoop) return;
    const size = frameByteLength(length);
    const native = this.#native;
    const { dataOffset } = this.#ring;
    for (let to = offset + FRAME_HEADER_BYTES; count > 0; count--, to += size, from += length) {
      if (native !== undefined) native.copyIn(dataOffset + to, from, length);
      else this.#bytes.set(this.#part(payloads, from, length), to);
    }
  }

  /** A part of the array that has a view; parts of the first payload's length are kept. */
  #part(payloads: Uint8Array, from: number, length: number): Uint8Array {
    const index = from / length;
    const part = this.#parts[index];
    if (part?.length === length) return part;
    return this.#parts[index] = payloads.subarray(from, from + length);
  }

  /** Makes a view of an array, if it is aligned and its memory stays where it is. */
  #view(array: Uint8Array): void {
    const { buffer, byteOffset, length } = array;
    this.#source = array;
    this.#parts = [];
    this.#loopBytes = -1;
    const copier = this.#ring.memory.copier(array);
    this.#native = copier.isNative ? copier : undefined;
    if ((byteOffset & 7) !== 0) return;
    if (buffer instanceof ArrayBuffer && buffer.resizable) return;
    this.#sourceLongs = new BigInt64Array(buffer, byteOffset, length >> 3);
    this.#loopBytes = Math.min(copier.isNative ? MAX_LOOP_BYTES_NATIVE : MAX_LOOP_BYTES, length);
  }
}

/** Throws unless this is an array of bytes; any other array would silently be converted. */
function checkBytes(payload: Uint8Array): void {
  if (payload.BYTES_PER_ELEMENT === 1) return;
  throw new TypeError(
    `Cannot write a message as it must be a Uint8Array: received ${describe(payload)}`,
  );
}
