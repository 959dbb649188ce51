/**
 * Cuts a stream of bytes into frames, by a framing, in buffers of a pool.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import { checkPool } from "../pool/options.ts";
import type { Packet } from "../pool/packet.ts";
import { Framer } from "./framer.ts";
import { type FrameScanner, type Framing, FramingError } from "./framing.ts";

/** In place of an error: there is no buffer to look for frames in. */
const NO_BUFFER = "no buffer";

/** Options of a {@link FrameDecoder}. */
export interface FrameDecoderOptions {
  /**
   * What to do when the stream cannot be framed: `stop` (default) throws, now and each time after;
   * `resynchronise` goes on after the frame whose length is wrong, or after the next delimiter.
   */
  malformed?: "stop" | "resynchronise";
  /** Is told of each error that `resynchronise` goes on from. */
  onMalformed?: (error: FramingError) => void;
}

/**
 * Cuts a stream of bytes into frames. How the stream is chunked makes no difference.
 *
 * Bytes are read straight into {@link FrameDecoder.write}, or copied by {@link FrameDecoder.stage};
 * then {@link FrameDecoder.next} goes through the frames that are whole. A frame that does not fit
 * what is left of a buffer is carried over to the next; one that does not fit a buffer is malformed.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FrameDecoder, lengthPrefixed } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using decoder = new FrameDecoder(pool, lengthPrefixed({ prefixBytes: 1 }));
 * const seen: number[][] = [];
 * for (const chunk of [[1, 7, 3, 8], [9, 10, 0]]) {
 *   for (let from = 0; from < chunk.length;) {
 *     if (decoder.remaining === 0) decoder.nextBuffer();
 *     from = decoder.stage(new Uint8Array(chunk), from);
 *     while (decoder.next()) {
 *       const { bytes, frameOffset, frameLength } = decoder; // nothing was allocated
 *       seen.push([...bytes.subarray(frameOffset, frameOffset + frameLength)]);
 *     }
 *   }
 * }
 * decoder.end();
 * assertEquals(seen, [[7], [8, 9, 10], []]);
 * ```
 */
export class FrameDecoder implements Disposable {
  readonly #framer: Framer;
  readonly #bytes: Uint8Array;
  readonly #scanner: FrameScanner;
  readonly #onMalformed: ((error: FramingError) => void) | undefined;
  readonly #resynchronises: boolean;
  /** How many bytes the unfinished frame takes at least. */
  #needed = 0;
  /** How many bytes that are yet to come belong to no frame. */
  #toSkip = 0;
  /** How many bytes of the stream come before what is unfinished. */
  #streamOffset = 0;
  #skippedBytes = 0;
  /** Why no frame can be looked for: the stream is malformed, or there is no buffer. */
  #obstacle: FramingError | typeof NO_BUFFER | undefined;

  /**
   * Begins a stream.
   *
   * @throws {TypeError} If `pool` or `framing` is none.
   * @throws {RangeError} If no frame fits a buffer, or an option is out of range.
   * @throws {Error} If this thread has left the pool.
   */
  constructor(pool: BufferPool, framing: Framing, options: FrameDecoderOptions = {}) {
    checkPool("create frame decoder", pool);
    checkOptions("create frame decoder", options);
    const { malformed = "stop", onMalformed } = options;
    if (malformed !== "stop" && malformed !== "resynchronise") {
      throw new RangeError(
        `Cannot create frame decoder as 'malformed' must be "stop" or "resynchronise": received ${
          describe(malformed)
        }`,
      );
    }
    if (typeof framing?.scanner !== "function") {
      throw new TypeError(
        `Cannot create frame decoder as 'framing' must be a Framing: received ${describe(framing)}`,
      );
    }
    checkInteger(
      "create frame decoder",
      "pool.bufferBytes",
      pool.bufferBytes,
      framing.overheadBytes,
    );
    this.#framer = new Framer(pool, { yields: true });
    this.#bytes = pool.bytes;
    this.#scanner = framing.scanner(pool.bufferBytes);
    this.#resynchronises = malformed === "resynchronise";
    this.#onMalformed = onMalformed;
  }

  /** The bytes of the pool. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link FrameDecoder.bytes} the next byte of the stream is to be written. */
  get offset(): number {
    return this.#framer.offset;
  }

  /**
   * How many bytes can be written. 0 if the next buffer is needed, which may be before this one is
   * full: the unfinished frame is known not to fit.
   */
  get remaining(): number {
    const { remainingOnBuffer } = this.#framer;
    return this.#needed - this.#framer.unfinishedLength > remainingOnBuffer ? 0 : remainingOnBuffer;
  }

  /** Where in {@link FrameDecoder.bytes} the present frame's payload begins. */
  get frameOffset(): number {
    return this.#framer.frameOffset;
  }

  /** How many bytes it has. */
  get frameLength(): number {
    return this.#framer.frameLength;
  }

  /** The buffer that it lies in. */
  get frameBuffer(): number {
    return this.#framer.frameBuffer;
  }

  /** How many bytes of the stream come before what is neither framed nor skipped. */
  get streamOffset(): number {
    return this.#streamOffset;
  }

  /** How many bytes of the stream were skipped in order to resynchronise. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /** What can be written: a view of shared memory, of {@link FrameDecoder.remaining} bytes, valid until the commit. */
  write(): Uint8Array {
    const { offset } = this;
    return this.#bytes.subarray(offset, offset + this.remaining);
  }

  /**
   * Says that so many bytes of the stream were written.
   *
   * @throws {RangeError} If that is not a whole number up to what could be written.
   */
  commit(length: number): void {
    this.#framer.commit(length);
    if (this.#toSkip > 0) this.#skip(0);
  }

  /**
   * Copies bytes of the stream, as many as can be written.
   *
   * @param chunk The bytes.
   * @param from Where in the chunk to begin; 0 by default.
   * @returns Up to where in the chunk they were taken.
   * @throws {TypeError} If `chunk` is not made of bytes.
   * @throws {RangeError} If `from` is not a whole number up to the length of the chunk.
   */
  stage(chunk: Uint8Array, from: number = 0): number {
    if (chunk?.BYTES_PER_ELEMENT !== 1) checkBytes("stage a chunk", "chunk", chunk);
    checkInteger("stage a chunk", "from", from, 0, chunk.length);
    const length = Math.min(chunk.length - from, this.remaining);
    if (length <= 0) return from;
    const isWhole = length === chunk.length;
    this.#bytes.set(isWhole ? chunk : chunk.subarray(from, from + length), this.offset);
    this.commit(length);
    return from + length;
  }

  /**
   * Goes on to the next whole frame.
   *
   * @returns Whether there is one; if not, more of the stream is needed.
   * @throws {FramingError} If the stream cannot be framed, unless it resynchronises.
   */
  next(): boolean {
    const framer = this.#framer;
    const scanner = this.#scanner;
    if (this.#obstacle !== undefined) return this.#checkObstacle();
    while (this.#toSkip === 0) {
      const start = framer.unfinishedOffset;
      const result = scanner.scan(this.#bytes, start, framer.offset);
      const { frameLength } = scanner;
      if (result === "frame") {
        const { payloadOffset, payloadLength } = scanner;
        framer.cut(payloadOffset, payloadLength, frameLength - payloadOffset - payloadLength);
        this.#streamOffset += frameLength;
        this.#needed = 0;
        return true;
      }
      if (result === "incomplete") {
        this.#needed = frameLength;
        return false;
      }
      if (result === "malformed") this.#resynchronise(scanner.reason);
      else this.#skip(frameLength);
    }
    return false;
  }

  /** The present frame as a packet, which keeps its buffer from being reused. */
  packet(): Packet {
    return this.#framer.packet();
  }

  /**
   * Says that the stream has ended.
   *
   * @throws {FramingError} If that is within a frame, unless it resynchronises.
   */
  end(): void {
    if (this.#obstacle !== undefined) this.#checkObstacle();
    const { unfinishedLength } = this.#framer;
    if (unfinishedLength === 0 && this.#toSkip === 0) return;
    this.#toSkip = 0;
    this.#report(`it ends within a frame: received ${unfinishedLength} bytes of it`);
    this.#skip(unfinishedLength);
  }

  /**
   * Goes on to another buffer, if one is free.
   *
   * @returns Whether it did.
   */
  tryNextBuffer(): boolean {
    return this.#framer.tryNextBuffer() && this.#goOn();
  }

  /**
   * As {@link FrameDecoder.tryNextBuffer}; blocks until a buffer is free. While it waits it holds no
   * buffer, so a pool may have fewer buffers than decoders; the present frame must not be used any
   * more, unless as a packet.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether it went on. If not, nothing of the stream is lost, and it can be tried again.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  nextBuffer(timeoutMs?: number): boolean {
    try {
      return this.#framer.nextBuffer(timeoutMs);
    } finally {
      this.#goOn();
    }
  }

  /**
   * As {@link FrameDecoder.nextBuffer}, without blocking. Nothing is to be written until it resolves.
   *
   * @throws As {@link FrameDecoder.nextBuffer}; and the signal's reason, if it is aborted.
   */
  async nextBufferAsync(options?: WaitOptions): Promise<boolean> {
    try {
      const waiting = this.#framer.nextBufferAsync(options);
      this.#goOn();
      return await waiting;
    } finally {
      this.#goOn();
    }
  }

  /** Gives the buffer back. Doing it again does nothing. */
  [Symbol.dispose](): void {
    this.#framer[Symbol.dispose]();
  }

  /** Notes whether there is a buffer now. */
  #goOn(): true {
    if (this.#obstacle === undefined || this.#obstacle === NO_BUFFER) {
      this.#obstacle = this.#framer.hasYielded ? NO_BUFFER : undefined;
    }
    return true;
  }

  /** Throws if the stream is malformed; without a buffer there is merely no frame. */
  #checkObstacle(): false {
    if (this.#obstacle !== NO_BUFFER) throw this.#obstacle;
    return false;
  }

  #resynchronise(reason: string): void {
    this.#report(reason);
    this.#scanner.resynchronise();
  }

  #report(reason: string): void {
    const error = new FramingError(this.#streamOffset, reason);
    if (!this.#resynchronises) throw this.#obstacle = error;
    this.#onMalformed?.(error);
  }

  /** Leaves out `length` bytes more, as far as they have come. */
  #skip(length: number): void {
    this.#toSkip += length;
    const now = Math.min(this.#toSkip, this.#framer.unfinishedLength);
    this.#framer.discard(now);
    this.#toSkip -= now;
    this.#streamOffset += now;
    this.#skippedBytes += now;
    this.#needed = 0;
  }
}
