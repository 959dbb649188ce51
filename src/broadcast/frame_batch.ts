/**
 * Frames in private memory, and the one way to go through them. A {@link FrameCursor} is one in
 * public; a reader has one that it fills again and again.
 *
 * @module
 */

import { checkBytes } from "../memory/check.ts";
import { InsufficientBufferSizeError } from "./errors.ts";
import {
  CONTINUATION,
  FINAL,
  FINAL_SHIFT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  HEARTBEAT,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const LENGTH = LENGTH_MASK;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const SHIFT_TO_FINAL = FINAL_SHIFT;
const frameBytes = frameByteLength;

/** Goes through frames, front to back. */
export class FrameBatch<Buffer extends ArrayBufferLike> {
  #bytes: Uint8Array<Buffer>;
  /** The same memory as words. */
  #words: Int32Array<Buffer>;
  /** Where the next frame begins. */
  #cursor = 0;
  /** Where the frames end, of which the last may be cut short. */
  #end: number;
  /** How many messages ended before the cursor. */
  #ended = 0;
  /** Where the present payload begins. */
  #offset = FRAME_HEADER_BYTES;
  /** The bytes of the present payload. */
  #length = 0;
  /** The flags of frames to pass over. */
  readonly #hidden: number;

  /**
   * Begins at the first of the frames in `bytes`.
   *
   * @param end Where the frames end.
   * @param showsHeartbeats Whether to stop at heartbeats.
   */
  constructor(bytes: Uint8Array<Buffer>, end: number, showsHeartbeats: boolean) {
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#end = end;
    this.#hidden = showsHeartbeats ? PADDING : PADDING | HEARTBEAT;
  }

  /** The memory of the frames. */
  get bytes(): Uint8Array<Buffer> {
    return this.#bytes;
  }

  /** Where in {@link FrameBatch.bytes} the present payload begins. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes of the present payload. */
  get length(): number {
    return this.#length;
  }

  /** The user value of the present frame. */
  get userValue(): number {
    return this.#words[(this.#offset - 4) >> 2]! >>> 0;
  }

  /** Whether the present frame ends its message. */
  get isFinal(): boolean {
    return (this.#header & FINAL) !== 0;
  }

  /** Whether the present frame continues the message of the one before. */
  get isContinuation(): boolean {
    return (this.#header & CONTINUATION) !== 0;
  }

  /** Whether the present frame is a heartbeat. */
  get isHeartbeat(): boolean {
    return (this.#header & HEARTBEAT) !== 0;
  }

  /** How many bytes were gone through. */
  get passedBytes(): number {
    return this.#cursor;
  }

  /** How many messages ended in them. */
  get passedMessages(): number {
    return this.#ended;
  }

  /** Given that there is no next frame: whether there is the beginning of one, and nothing else. */
  get isCutShort(): boolean {
    return this.#cursor === 0 && this.#end > 0;
  }

  /** Whether the memory was transferred, with the frames in it. */
  get isTransferred(): boolean {
    return this.#words.length === 0;
  }

  /** The first word of the first frame. */
  get firstHeader(): number {
    return this.#words[0]!;
  }

  /** Begins again, with the frames in the first `end` bytes. */
  begin(end: number): void {
    this.#cursor = 0;
    this.#ended = 0;
    this.#end = end;
  }

  /** Replaces the memory; there are no frames in it yet. */
  replaceBytes(bytes: Uint8Array<Buffer>): void {
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.begin(0);
  }

  /** Whether there is another frame that is whole and not hidden; passes over hidden ones. */
  hasNext(): boolean {
    return this.#scan(false);
  }

  /** Goes to the next frame that is whole and not hidden; returns whether there is one. */
  next(): boolean {
    return this.#scan(true);
  }

  /** The present payload: a view. */
  message(): Uint8Array<Buffer> {
    return this.#bytes.subarray(this.#offset, this.#offset + this.#length);
  }

  /**
   * Copies the present payload to the beginning of `target`; returns how many bytes it has.
   *
   * @throws As {@link checkTarget}.
   */
  receive(target: Uint8Array): number {
    const length = this.#length;
    // As checkTarget, by hand: with another call in between V8 takes 2 ns longer.
    checkBytes("receive the message", "target", target);
    if (target.length < length) throw targetError(target, length);
    target.set(this.#bytes.subarray(this.#offset, this.#offset + length));
    return length;
  }

  /** Passes over hidden frames up to the next other one, and over that if it is to be taken. */
  #scan(isTaken: boolean): boolean {
    for (;;) {
      const cursor = this.#cursor;
      if (cursor >= this.#end) return false;
      const header = this.#words[cursor >> 2];
      // Only if the memory was transferred away.
      if (header === undefined) return false;
      const length = header & LENGTH;
      const end = cursor + frameBytes(length);
      // The rest is the beginning of a frame that the next poll takes whole.
      if (end > this.#end) return false;
      const isShown = (header & this.#hidden) === 0;
      if (isShown && !isTaken) return true;
      this.#cursor = end;
      this.#ended += header >>> SHIFT_TO_FINAL;
      if (!isShown) continue;
      this.#offset = cursor + HEADER_BYTES;
      this.#length = length;
      return true;
    }
  }

  get #header(): number {
    return this.#words[(this.#offset - FRAME_HEADER_BYTES) >> 2]!;
  }
}

/**
 * Throws unless a message of `required` bytes fits `target`.
 *
 * @throws {TypeError} If `target` is not made of bytes.
 * @throws {InsufficientBufferSizeError} If it is too short.
 */
export function checkTarget(target: Uint8Array, required: number): void {
  checkBytes("receive the message", "target", target);
  if (target.length < required) throw targetError(target, required);
}

function targetError(target: Uint8Array, required: number): InsufficientBufferSizeError {
  return new InsufficientBufferSizeError("receive the message", target.length, required);
}

function wordsOf<Buffer extends ArrayBufferLike>(bytes: Uint8Array<Buffer>): Int32Array<Buffer> {
  const { buffer, byteOffset, length } = bytes;
  return new Int32Array(buffer, byteOffset, length >> 2);
}
