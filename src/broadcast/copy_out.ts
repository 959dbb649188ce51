/**
 * Copies from the ring into private memory. The writer may be overwriting the source, so nothing
 * here relies on the content, and none of it is used before it is validated.
 *
 * @module
 */

import type { Copier } from "../memory/copier.ts";
import {
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  HEARTBEAT,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import { readMark } from "./marks.ts";
import type { Ring } from "./ring.ts";

/** Decides by its user value whether a message is wanted. */
export type MessageFilter = (userValue: number) => boolean;

/** A way to copy. */
export interface CopyOut {
  /** Copies up to `size` bytes from the offset `from` on to the beginning of the target. */
  copy(from: number, size: number): void;
}

/** Up to this many bytes, a loop over words is faster than creating a view and copying by it. */
const MAX_LOOP_BYTES = 512;
/** Up to this many bytes, a loop over words is faster than a native copy. */
const MAX_LOOP_BYTES_NATIVE = 64;

/** How many bytes are copied word by word. */
function loopBytes(copier: Copier): number {
  return copier.isNative ? MAX_LOOP_BYTES_NATIVE : MAX_LOOP_BYTES;
}

/** Copies everything, into the reader's batch. */
export class BatchCopy implements CopyOut {
  readonly #copier: Copier;
  readonly #dataOffset: number;
  readonly #loopBytes: number;
  readonly #source: BigInt64Array;
  readonly #target: BigInt64Array;

  /** Copies to the beginning of `bytes`. */
  constructor(ring: Ring, bytes: Uint8Array) {
    this.#copier = ring.memory.copier(bytes);
    this.#dataOffset = ring.dataOffset;
    this.#loopBytes = loopBytes(this.#copier);
    this.#source = ring.longs;
    this.#target = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3);
  }

  /** Copies `size` bytes. */
  copy(from: number, size: number): void {
    if (size > this.#loopBytes) {
      this.#copier.copyOut(0, this.#dataOffset + from, size);
      return;
    }
    const source = this.#source;
    const target = this.#target;
    const first = from >> 3;
    const count = size >> 3;
    for (let i = 0; i < count; i++) target[i] = source[first + i]!;
  }
}

/**
 * Copies everything, into memory of any alignment. It also reads the mark of the last segment that
 * begins in the copy, so that finding the last whole frame does not take a walk through all.
 */
export class BulkCopy implements CopyOut {
  readonly #ring: Ring;
  readonly #copier: Copier;
  /** After how many of the copied bytes a frame begins; 0 if there was no mark. */
  markedBytes = 0;
  /** How many messages end before that frame; of no meaning if there was no mark. */
  markedSequence = 0;

  /** Copies to the beginning of `target`. */
  constructor(ring: Ring, target: Uint8Array) {
    this.#ring = ring;
    this.#copier = ring.memory.copier(target);
  }

  /** Copies `size` bytes. */
  copy(from: number, size: number): void {
    const ring = this.#ring;
    this.#copier.copyOut(0, ring.dataOffset + from, size);
    this.markedBytes = 0;
    const start = ring.segmentStart(from + size - FRAME_ALIGNMENT);
    if (start <= from) return;
    // Something beyond its start is published, so the mark is there; and it is overwritten only
    // after the segment that the copy begins in was entered again, by which the copy is judged.
    const { position, sequence } = readMark(ring, start);
    if (position > from + size) return;
    this.markedBytes = position - from;
    this.markedSequence = sequence;
  }
}

/**
 * Copies the headers of all frames, and the payloads of those that are wanted, each to where it
 * would be if everything were copied. Frames that are not wanted are marked as padding.
 */
export class FilteredCopy implements CopyOut {
  readonly #ring: Ring;
  readonly #filter: MessageFilter;
  readonly #copier: Copier;
  readonly #loopBytes: number;
  readonly #target: BigInt64Array;
  readonly #headers: Int32Array;

  /** Copies to the beginning of `bytes`. */
  constructor(ring: Ring, bytes: Uint8Array, filter: MessageFilter) {
    this.#ring = ring;
    this.#filter = filter;
    this.#copier = ring.memory.copier(bytes);
    this.#loopBytes = loopBytes(this.#copier);
    this.#target = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3);
    this.#headers = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  }

  /** Goes through `size` bytes. */
  copy(from: number, size: number): void {
    const { frames } = this.#ring;
    const headers = this.#headers;
    for (let at = 0; at < size;) {
      const read = (from + at) >> 2;
      const header = frames[read]!;
      const userValue = frames[read + 1]!;
      const end = at + frameByteLength(header & LENGTH_MASK);
      const isWanted = isMessage(header) ? this.#filter(userValue >>> 0) : true;
      headers[at >> 2] = isWanted ? header : header | PADDING;
      headers[(at >> 2) + 1] = userValue;
      // Padding has no payload, and a frame that ends beyond the window is copied another time.
      if (isWanted && (header & PADDING) === 0 && end <= size) {
        this.#copyPayload(from, at + FRAME_HEADER_BYTES, end);
      }
      at = end;
    }
  }

  #copyPayload(from: number, at: number, end: number): void {
    if (end - at > this.#loopBytes) {
      this.#copier.copyOut(at, this.#ring.dataOffset + from + at, end - at);
      return;
    }
    const source = this.#ring.longs;
    const target = this.#target;
    const distance = from >> 3;
    const last = end >> 3;
    for (let i = at >> 3; i < last; i++) target[i] = source[distance + i]!;
  }
}

/** Whether a frame is a message or a part of one. */
function isMessage(header: number): boolean {
  return (header & (PADDING | HEARTBEAT)) === 0;
}
