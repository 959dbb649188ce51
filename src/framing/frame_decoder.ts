/**
 * A frame decoder: cuts a stream of bytes into the frames of a framing, in buffers of a pool.
 *
 * A {@link FrameScanner} finds the end of the next frame, and a {@link Framer} cuts it. As soon as
 * the scanner knows that the frame does not fit the rest of the buffer, the decoder asks for the
 * next one, so that few bytes are carried over.
 *
 * Proven by: tests/framing/frame_decoder_test.ts (properties: chunks of any size give the same
 * frames and errors, of valid streams and of random bytes).
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { type BufferSource, checkPool } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { Framer } from "./framer.ts";
import { type FrameScanner, type Framing, FramingError } from "./framing.ts";

/** In place of an error: there is no buffer to search for frames. */
const WITHOUT_BUFFER = "without buffer";
/** In place of an error: the decoder is closed. */
const CLOSED = "closed";

const GO_ON = "go on to the next buffer";

/** Options of a {@link FrameDecoder}. */
export interface FrameDecoderOptions {
  /**
   * The reaction to a stream that cannot be framed: `stop` (default) throws an error, and the same
   * error in each later call; `resynchronise` continues after the frame whose length is wrong, or
   * after the next delimiter.
   */
  malformed?: "stop" | "resynchronise";
  /** Called with each error after which `resynchronise` continues. */
  onMalformed?: (error: FramingError) => void;
}

/**
 * Decodes a stream of bytes into frames: length-prefixed or delimited messages.
 *
 * Bytes are read directly into {@link FrameDecoder.write}, or copied by {@link FrameDecoder.stage};
 * then {@link FrameDecoder.next} goes through the frames that are complete. The bytes of the
 * present frame may be read until the decoder goes on to the next buffer; to keep them longer, make
 * a {@link FrameDecoder.packet}.
 *
 * - **Chunk independence.** The frames and errors depend on the bytes of the stream alone, not on
 *   the chunks in which they arrive.
 * - **Zero copy.** A frame that fits the rest of a buffer is never moved; the beginning of any
 *   other is carried over to the next buffer.
 * - **Bounded frames.** A message longer than `maxLength` is malformed, and so is a frame that does
 *   not fit a whole buffer.
 * - **No allocation.** Only packets and views are allocated; {@link FrameDecoder.next} needs
 *   neither.
 * - **Lossless waits.** A wait for a buffer that times out or is aborted loses no byte of the
 *   stream, and can be repeated.
 * - **Small pools.** A decoder holds no buffer while it waits, so any number of decoders can share
 *   a pool of one buffer.
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
 *       const { bytes, frameOffset, frameLength } = decoder; // allocates nothing
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
  /** How many of the next bytes of the stream belong to no frame. */
  #toSkip = 0;
  /** The position of the unfinished frame in the stream. */
  #streamOffset = 0;
  #skippedBytes = 0;
  /** Why no frame can be found: the stream is malformed, there is no buffer, or it is closed. */
  #obstacle: FramingError | typeof WITHOUT_BUFFER | typeof CLOSED | undefined;

  /**
   * Made by {@link FrameDecoder.create}.
   *
   * @ignore
   */
  private constructor(pool: BufferSource, framing: Framing, options?: FrameDecoderOptions) {
    this.#framer = Framer.create(pool, { yields: true });
    this.#bytes = pool.bytes;
    this.#scanner = framing.scanner(pool.bufferBytes);
    this.#resynchronises = options?.malformed === "resynchronise";
    this.#onMalformed = options?.onMalformed;
  }

  /**
   * Creates a decoder at the beginning of a stream. It has no buffer yet:
   * {@link FrameDecoder.nextBuffer} acquires the first.
   *
   * @param pool This thread's part in the pool that the buffers come from, a `BufferPool`.
   * @param framing The boundaries of frames, such as `lengthPrefixed()`.
   * @throws {TypeError} If `pool` is not a pool, `framing` not a framing, or `options` not an
   * object.
   * @throws {RangeError} If no frame fits a buffer, or an option is out of range.
   * @throws {ClosedError} If this thread has left the pool.
   */
  static create(
    pool: BufferSource,
    framing: Framing,
    options?: FrameDecoderOptions,
  ): FrameDecoder {
    checkPool("create frame decoder", pool);
    if (options !== undefined) checkOptions("create frame decoder", options);
    const { malformed = "stop" } = options ?? {};
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
   * How many bytes can be written; 0 if the next buffer is needed. That may be before this one is
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

  /** The length of the payload of the present frame in bytes. */
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
   *
   * @throws {ClosedError} If the decoder is closed.
   */
  write(): Uint8Array<SharedArrayBuffer> {
    this.#checkOpen("write");
    const { offset } = this;
    return this.#bytes.subarray(offset, offset + this.remaining);
  }

  /**
   * Commits bytes of the stream that were written.
   *
   * @param length How many.
   * @throws {RangeError} If that is not a whole number up to {@link FrameDecoder.remaining}.
   * @throws {ClosedError} If the decoder is closed.
   */
  commit(length: number): void {
    this.#checkOpen("commit");
    this.#framer.commit(length);
    if (this.#toSkip > 0) this.#skip(0);
  }

  /**
   * Copies bytes of the stream, as many as can be written, and commits them.
   *
   * @param chunk The bytes.
   * @param from The offset in the chunk at which to begin; 0 by default.
   * @returns The offset in the chunk of the first byte that was not copied.
   * @throws {TypeError} If `chunk` is not a Uint8Array.
   * @throws {RangeError} If `from` is not a whole number up to the length of the chunk.
   * @throws {ClosedError} If the decoder is closed.
   */
  stage(chunk: Uint8Array, from?: number): number {
    const begin = from ?? 0;
    if (chunk?.BYTES_PER_ELEMENT !== 1) checkBytes("stage a chunk", "chunk", chunk);
    checkInteger("stage a chunk", "from", begin, 0, chunk.length);
    this.#checkOpen("stage a chunk");
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
   * @throws {FramingError} If the stream cannot be framed, unless the decoder resynchronises.
   * @throws {ClosedError} If the decoder is closed.
   */
  next(): boolean {
    const framer = this.#framer;
    const scanner = this.#scanner;
    if (this.#obstacle !== undefined) return this.#checkObstacle("decode");
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

  /**
   * Makes a packet of the present frame, which keeps the buffer from being reused.
   *
   * @throws {ClosedError} If the decoder is closed, or its thread has left the pool.
   * @throws {Error} If there is no frame, or it lies in an earlier buffer.
   */
  packet(): Packet {
    this.#checkOpen("make a packet");
    return this.#framer.packet();
  }

  /**
   * Ends the stream. Call it when {@link FrameDecoder.next} has returned false.
   *
   * @throws {FramingError} If it ends within a frame, unless the decoder resynchronises.
   * @throws {ClosedError} If the decoder is closed.
   */
  end(): void {
    if (this.#obstacle !== undefined) this.#checkObstacle("end the stream");
    const { unfinishedLength } = this.#framer;
    if (unfinishedLength === 0 && this.#toSkip === 0) return;
    this.#toSkip = 0;
    this.#report(`it ends within a frame: received ${unfinishedLength} bytes of it`);
    this.#skip(unfinishedLength);
  }

  /**
   * Goes on to another buffer, blocking until one is free. It holds no buffer while it waits. The
   * present frame must not be used after this call, except as a packet.
   *
   * @returns Whether it has a new buffer: false if the time is over. Then no byte of the stream is
   * lost, and the call can be repeated.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If the unfinished frame fills a whole buffer, or `timeoutMs` is negative.
   * @throws {ClosedError} If the decoder is closed, or its thread has left the pool.
   */
  nextBuffer(options?: WaitOptions): boolean {
    this.#checkOpen(GO_ON);
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
   * @throws {RangeError} If the unfinished frame fills a whole buffer.
   * @throws {ClosedError} If the decoder is closed, or its thread has left the pool.
   */
  tryNextBuffer(): boolean {
    this.#checkOpen(GO_ON);
    const hasNext = this.#framer.tryNextBuffer();
    if (hasNext) this.#noteBuffer();
    return hasNext;
  }

  /**
   * As {@link FrameDecoder.nextBuffer}, without blocking. Write nothing until it resolves.
   *
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If the unfinished frame fills a whole buffer, or `timeoutMs` is negative.
   * @throws {ClosedError} If the decoder is closed, even during the wait, or its thread has left
   * the pool.
   * @throws The signal's reason, if it is aborted.
   */
  async nextBufferAsync(options?: AsyncWaitOptions): Promise<boolean> {
    this.#checkOpen(GO_ON);
    try {
      const waiting = this.#framer.nextBufferAsync(options);
      this.#noteBuffer();
      return await waiting;
    } finally {
      this.#noteBuffer();
    }
  }

  /**
   * Releases the buffer, drops the unfinished frame, and ends pending waits with a
   * {@link ClosedError}. Packets remain valid. Closing again does nothing.
   */
  close(): void {
    this.#obstacle = CLOSED;
    this.#framer.close();
  }

  /** As {@link FrameDecoder.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(action: string): void {
    if (this.#obstacle === CLOSED) throw this.#closedError(action);
  }

  #closedError(action: string): ClosedError {
    return new ClosedError(`Cannot ${action} as the frame decoder is closed`);
  }

  /** Notes whether there is a buffer now. */
  #noteBuffer(): void {
    if (this.#obstacle === undefined || this.#obstacle === WITHOUT_BUFFER) {
      this.#obstacle = this.#framer.hasYielded ? WITHOUT_BUFFER : undefined;
    }
  }

  /** Throws unless the obstacle is that there is no buffer, and so no frame. */
  #checkObstacle(action: string): false {
    if (this.#obstacle === WITHOUT_BUFFER) return false;
    throw this.#obstacle === CLOSED ? this.#closedError(action) : this.#obstacle;
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

  /** Skips `length` more bytes: now those that have arrived, the others when they arrive. */
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
