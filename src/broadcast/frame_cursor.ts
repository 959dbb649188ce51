/**
 * Goes through frames that were copied out of a ring.
 *
 * @module
 */

import { checkBytes, checkOptions } from "../memory/check.ts";
import {
  CONTINUATION,
  FINAL,
  FINAL_SHIFT,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  HEARTBEAT,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import { InsufficientBufferSizeError } from "./insufficient_buffer_size_error.ts";

/** Options of {@link FrameCursor}. */
export interface FrameCursorOptions {
  /** Whether to stop at heartbeats, too; false by default. */
  heartbeats?: boolean;
}

// The hot path's own names, since an imported binding is loaded anew at each use.
const LENGTH = LENGTH_MASK;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const SHIFT_TO_FINAL = FINAL_SHIFT;
const frameBytes = frameByteLength;

/**
 * Goes through frames that were copied out of a {@link Broadcast}, as by
 * {@link BroadcastReader.readBulk}. A reader is itself a cursor, through the batch that it took.
 *
 * @example Usage
 * ```ts
 * import { Broadcast, FrameCursor } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader();
 * for (let i = 0; i < 3; i++) writer.append(new Uint8Array([i]));
 * writer.publish();
 *
 * const window = new Uint8Array(1024);
 * const length = reader.readBulk(window);
 *
 * const frames = new FrameCursor(window.subarray(0, length)); // here, or on another thread
 * let sum = 0;
 * while (frames.next()) sum += frames.message()[0]!;
 * assertEquals(sum, 3);
 * ```
 */
export class FrameCursor {
  /** The frames. */
  #bytes: Uint8Array;
  /** The frames again, as words. */
  #words: Int32Array;
  /** Where the next frame begins. */
  #cursor = 0;
  /** Where the frames end. */
  #end: number;
  /** How many messages ended before the cursor. */
  #ended = 0;
  /** Where the present payload begins. */
  #offset = FRAME_HEADER_BYTES;
  /** The bytes of the present payload. */
  #length = 0;
  /** The kinds of frame to pass over. */
  readonly #hidden: number;

  /**
   * Begins at the first of the frames that fill `bytes`.
   *
   * @throws {TypeError} If `bytes` is not made of bytes.
   * @throws {RangeError} If `bytes` does not begin at a multiple of 8 in its buffer.
   */
  constructor(bytes: Uint8Array, options: FrameCursorOptions = {}) {
    checkBytes("go through frames", "bytes", bytes);
    checkOptions("go through frames", options);
    checkAlignment("go through frames", bytes);
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#end = bytes.length & -FRAME_ALIGNMENT;
    this.#hidden = options.heartbeats === true ? PADDING : PADDING | HEARTBEAT;
  }

  /**
   * The frames. The present payload is `length` bytes from `offset` on. A reader's are valid until
   * its next poll, which may also replace the array.
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link FrameCursor.bytes} the present payload begins; a multiple of 8. */
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

  /** Whether the present frame is a heartbeat; never, unless heartbeats were asked for. */
  get isHeartbeat(): boolean {
    return (this.#header & HEARTBEAT) !== 0;
  }

  /**
   * Goes on to the next frame.
   *
   * @returns Whether there is one.
   */
  next(): boolean {
    for (;;) {
      const cursor = this.#cursor;
      if (cursor >= this.#end) return false;
      const header = this.#words[cursor >> 2]!;
      const length = header & LENGTH;
      const end = cursor + frameBytes(length);
      if (end > this.#end) {
        // The rest is the beginning of a frame that the next poll takes whole.
        this.#end = cursor;
        return false;
      }
      this.#cursor = end;
      this.#ended += header >>> SHIFT_TO_FINAL;
      if ((header & this.#hidden) !== 0) continue;
      this.#offset = cursor + HEADER_BYTES;
      this.#length = length;
      return true;
    }
  }

  /** The present payload: a view that is valid as long as {@link FrameCursor.bytes} is. */
  message(): Uint8Array {
    return this.#bytes.subarray(this.#offset, this.#offset + this.#length);
  }

  /**
   * Copies the present payload to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {InsufficientBufferSizeError} If `target` is shorter than that.
   */
  receive(target: Uint8Array): number {
    checkBytes("receive the message", "target", target);
    const length = this.#length;
    if (target.length < length) {
      throw new InsufficientBufferSizeError("receive the message", target.length, length);
    }
    target.set(this.message());
    return length;
  }

  /** How many bytes were gone through. */
  protected get passedBytes(): number {
    return this.#cursor;
  }

  /** How many messages ended in them. */
  protected get passedMessages(): number {
    return this.#ended;
  }

  /** The frames as words. */
  protected get frameWords(): Int32Array {
    return this.#words;
  }

  /** Begins anew, with the frames in the first `end` bytes. */
  protected begin(end: number): void {
    this.#cursor = 0;
    this.#ended = 0;
    this.#end = end;
  }

  /** Passes over hidden frames; says whether there is another one then, and it is whole. */
  protected hasNext(): boolean {
    for (;;) {
      const cursor = this.#cursor;
      if (cursor >= this.#end) return false;
      const header = this.#words[cursor >> 2]!;
      const end = cursor + frameByteLength(header & LENGTH_MASK);
      if (end > this.#end) return false;
      if ((header & this.#hidden) === 0) return true;
      this.#cursor = end;
      this.#ended += header >>> FINAL_SHIFT;
    }
  }

  /** Puts other memory in the place of {@link FrameCursor.bytes}, with no frames in it. */
  protected replaceBytes(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.begin(0);
  }

  get #header(): number {
    return this.#words[(this.#offset - FRAME_HEADER_BYTES) >> 2]!;
  }
}

/** Refuses memory in which frames would not be where they should: `Cannot ${action} as ...`. */
export function checkAlignment(action: string, { byteOffset }: Uint8Array): void {
  if (byteOffset % FRAME_ALIGNMENT === 0) return;
  throw new RangeError(
    `Cannot ${action} as 'byteOffset' must be a multiple of ${FRAME_ALIGNMENT}: received ${byteOffset}`,
  );
}

function wordsOf({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length >> 2);
}
