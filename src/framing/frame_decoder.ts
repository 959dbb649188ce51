/**
 * The decoder of frames: cuts a stream of bytes by a framing, in buffers of a pool.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { type BufferSource, checkPool } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { Framer } from "./framer.ts";
import { type FrameScanner, type Framing, FramingError } from "./framing.ts";

/** In place of an error: there is no buffer to search for frames. */
const WITHOUT_BUFFER = "without buffer";

/** Options of a {@link FrameDecoder}. */
export interface FrameDecoderOptions {
  /**
   * The reaction to a stream that cannot be framed: `stop` (default) throws, now and each time
   * after; `resynchronise` continues after the frame whose length is wrong, or after the next
   * delimiter.
   */
  malformed?: "stop" | "resynchronise";
  /** Is called with each error after which `resynchronise` continues. */
  onMalformed?: (error: FramingError) => void;
}

/**
 * Cuts a stream of bytes into frames.
 *
 * Bytes are read straight into {@link FrameDecoder.write}, or copied by {@link FrameDecoder.stage};
 * then {@link FrameDecoder.next} goes through the frames that are complete.
 *
 * - **Chunks do not matter.** The frames depend on the bytes of the stream alone.
 * - **Zero copy.** A frame that fits the rest of a buffer is never moved; another is carried over
 *   to the next buffer. A frame that does not fit a whole buffer is malformed.
 * - **No allocation per frame,** unless a packet is made of it.
 * - **Giving up is free.** If the wait for a buffer is given up, no byte of the stream is lost.
 * - **Any number per pool.** A decoder that waits holds no buffer.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FrameDecoder, lengthPrefixed } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using decoder = FrameDecoder.create(pool, lengthPrefixed({ prefixBytes: 1 }));
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
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  readonly #scanner: FrameScanner;
  readonly #onMalformed: ((error: FramingError) => void) | undefined;
  readonly #resynchronises: boolean;
  /** How many bytes the unfinished frame has at least. */
  #needed = 0;
  /** How many further bytes of the stream belong to no frame. */
  #toSkip = 0;
  /** The position of the unfinished frame in the stream. */
  #streamOffset = 0;
  #skippedBytes = 0;
  /** The reason why no frame can be found: the stream is malformed, or there is no buffer. */
  #obstacle: FramingError | typeof WITHOUT_BUFFER | undefined;

  /** @ignore */
  private constructor(pool: BufferSource, framing: Framing, options: FrameDecoderOptions) {
    this.#framer = Framer.create(pool, { yields: true });
    this.#bytes = pool.bytes;
    this.#scanner = framing.scanner(pool.bufferBytes);
    this.#resynchronises = options.malformed === "resynchronise";
    this.#onMalformed = options.onMalformed;
  }

  /**
   * Makes a decoder at the beginning of a stream, without a buffer.
   *
   * @param pool This thread's part in the pool that the buffers come from.
   * @param framing The boundaries of frames, such as `lengthPrefixed()`.
   * @throws {TypeError} If `pool` is not a pool, `framing` not a framing, or `options` not an
   * object.
   * @throws {RangeError} If no frame fits a buffer, or an option is out of range.
   * @throws {ClosedError} If this thread has left the pool.
   */
  static create(
    pool: BufferSource,
    framing: Framing,
    options: FrameDecoderOptions = {},
  ): FrameDecoder {
    checkPool("create frame decoder", pool);
    checkOptions("create frame decoder", options);
    const { malformed = "stop" } = options;
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
    return new FrameDecoder(pool, framing, options);
  }

  /** The bytes of the pool. */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes;
  }

  /**
   * The offset in {@link FrameDecoder.bytes} at which the next byte of the stream is to be written.
   */
  get offset(): number {
    return this.#framer.offset;
  }

  /**
   * How many bytes can be written. 0 if the next buffer is needed. That may be before this one is
   * full, if the unfinished frame is known not to fit.
   */
  get remaining(): number {
    const { remainingOnBuffer } = this.#framer;
    return this.#needed - this.#framer.unfinishedLength > remainingOnBuffer ? 0 : remainingOnBuffer;
  }

  /** The offset of the payload of the present frame in {@link FrameDecoder.bytes}. */
  get frameOffset(): number {
    return this.#framer.frameOffset;
  }

  /** The bytes of the payload of the present frame. */
  get frameLength(): number {
    return this.#framer.frameLength;
  }

  /** The buffer of the present frame. */
  get frameBuffer(): number {
    return this.#framer.frameBuffer;
  }

  /** The position in the stream of the first byte that is neither framed nor skipped. */
  get streamOffset(): number {
    return this.#streamOffset;
  }

  /** How many bytes of the stream were skipped to resynchronise. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /**
   * The {@link FrameDecoder.remaining} bytes that can be written: a view of shared memory, valid
   * until the commit.
   */
  write(): Uint8Array<SharedArrayBuffer> {
    const { offset } = this;
    return this.#bytes.subarray(offset, offset + this.remaining);
  }

  /**
   * Commits so many bytes of the stream that were written.
   *
   * @throws {RangeError} If that is not a whole number up to {@link FrameDecoder.remaining}.
   */
  commit(length: number): void {
    this.#framer.commit(length);
    if (this.#toSkip > 0) this.#skip(0);
  }

  /**
   * Copies bytes of the stream, as many as can be written.
   *
   * @param chunk The bytes.
   * @param from The offset in the chunk to begin at; 0 by default.
   * @returns The offset in the chunk of the first byte that was not copied.
   * @throws {TypeError} If `chunk` is not a Uint8Array.
   * @throws {RangeError} If `from` is not a whole number up to the length of the chunk.
   */
  stage(chunk: Uint8Array, from?: number): number {
    const begin = from ?? 0;
    if (chunk?.BYTES_PER_ELEMENT !== 1) checkBytes("stage a chunk", "chunk", chunk);
    checkInteger("stage a chunk", "from", begin, 0, chunk.length);
    const length = Math.min(chunk.length - begin, this.remaining);
    if (length <= 0) return begin;
    const isWhole = length === chunk.length;
    this.#bytes.set(isWhole ? chunk : chunk.subarray(begin, begin + length), this.offset);
    this.commit(length);
    return begin + length;
  }

  /**
   * Goes on to the next complete frame.
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
   * Notes that the stream has ended.
   *
   * @throws {FramingError} If it ends within a frame, unless it resynchronises.
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
   * Goes on to another buffer, blocking until one is free. While it waits it holds no buffer, so a
   * pool may have fewer buffers than decoders; the present frame must not be used any more, except
   * as a packet.
   *
   * @returns Whether it has a new buffer: false if the time is over. Then no byte of the stream is
   * lost, and it can be tried again.
   * @throws As {@link Framer.nextBuffer}.
   */
  nextBuffer(options?: WaitOptions): boolean {
    try {
      return this.#framer.nextBuffer(options);
    } finally {
      this.#noteBuffer();
    }
  }

  /**
   * As {@link FrameDecoder.nextBuffer}, without waiting.
   *
   * @returns Whether it has a new buffer: false if none is free.
   * @throws As {@link Framer.tryNextBuffer}.
   */
  tryNextBuffer(): boolean {
    const hasNext = this.#framer.tryNextBuffer();
    if (hasNext) this.#noteBuffer();
    return hasNext;
  }

  /**
   * As {@link FrameDecoder.nextBuffer}, without blocking. Nothing must be written until it
   * resolves.
   *
   * @throws As {@link FrameDecoder.nextBuffer}; and the signal's reason, if it is aborted.
   */
  async nextBufferAsync(options?: AsyncWaitOptions): Promise<boolean> {
    try {
      const waiting = this.#framer.nextBufferAsync(options);
      this.#noteBuffer();
      return await waiting;
    } finally {
      this.#noteBuffer();
    }
  }

  /** Releases the buffer. Closing again does nothing. */
  close(): void {
    this.#framer.close();
  }

  /** As {@link FrameDecoder.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Notes whether there is a buffer now. */
  #noteBuffer(): void {
    if (this.#obstacle === undefined || this.#obstacle === WITHOUT_BUFFER) {
      this.#obstacle = this.#framer.hasYielded ? WITHOUT_BUFFER : undefined;
    }
  }

  /** Throws if the stream is malformed; if only a buffer is missing, there is no frame. */
  #checkObstacle(): false {
    if (this.#obstacle !== WITHOUT_BUFFER) throw this.#obstacle;
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

  /** Skips `length` further bytes, as far as they have arrived. */
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
