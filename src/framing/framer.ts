/**
 * A staging area for a stream of bytes, which is written into buffers of a pool and cut into frames
 * where it lies.
 *
 *     buffer | frames ... | unfinished frame | writable |
 *                         start              end        limit
 *
 * Several frames share a buffer. The framer has one reference to its buffer, and each packet one of
 * its own, so the buffer is free when the framer has gone on and the last packet was released.
 *
 * A framer that goes on acquires another buffer before it releases its own, since the unfinished
 * frame is copied from one to the other. If no buffer is free, and there is no packet of its own
 * buffer, it uses that again. If it *yields*, it keeps the unfinished frame in private memory while
 * it waits, and releases its buffer; so any number of framers can share a pool of one buffer, even
 * if packets are kept for a while.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { type BufferSource, checkPool, NO_BUFFER } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";

/** Options of a {@link Framer}. */
export interface FramerOptions {
  /**
   * Whether to release the buffer while waiting for the next one, and the last frame with it,
   * unless there is a packet of it; false by default. Otherwise a pool needs one more buffer than
   * it has framers, if packets are kept while a framer waits.
   */
  yields?: boolean;
}

/**
 * A staging area for a stream of bytes, from which frames are cut as packets.
 *
 * Bytes are written to the rest of a buffer and committed; {@link Framer.finishFrame} makes a
 * packet of them. When a buffer is full, {@link Framer.nextBuffer} goes on to another, and carries
 * the unfinished frame over. The caller decides where frames begin and end; {@link FrameDecoder}
 * does so for some framings.
 *
 * - **Zero copy.** A frame is a stretch of the buffer that the bytes were written to. Only an
 *   unfinished frame is copied, when the buffer is full.
 * - **No allocation per frame,** unless a packet is made of it.
 * - **Packets outlive the framer.** A buffer returns to the pool with the last packet of it.
 * - **Giving up is free.** If the wait for a buffer is given up, no byte of the stream is lost.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, Framer } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using framer = Framer.create(pool);
 * framer.nextBuffer();
 *
 * const bytes = new TextEncoder().encode("hello");
 * framer.write().set(bytes);
 * framer.commit(bytes.length);
 * using packet = framer.finishFrame();
 * assertEquals(new TextDecoder().decode(packet.bytes.slice()), "hello");
 * ```
 *
 * @example Without an allocation per frame
 * ```ts
 * import { BufferPool, Framer } from "@busbar/busbar";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using framer = Framer.create(pool);
 * let sum = 0;
 * for (let i = 0; i < 1000; i++) {
 *   if (framer.remainingOnBuffer < 16) framer.nextBuffer();
 *   framer.bytes.fill(i, framer.offset, framer.offset + 16);
 *   framer.commit(16);
 *   framer.cut(0, 16);
 *   sum += framer.bytes[framer.frameOffset]!; // the frame is there until the next buffer
 * }
 * ```
 */
export class Framer implements Disposable {
  readonly #pool: BufferSource;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  #buffer = NO_BUFFER;
  /** The offset of the unfinished frame. */
  #start = 0;
  /** The end of the committed bytes. */
  #end = 0;
  /** The end of the buffer. */
  #limit = 0;
  #frameBuffer = NO_BUFFER;
  #frameOffset = 0;
  #frameLength = 0;
  readonly #yields: boolean;
  /** The unfinished frame, while there is no buffer for it. */
  #spilled: Uint8Array<ArrayBuffer> | undefined;
  #isClosed = false;

  /** @ignore */
  private constructor(pool: BufferSource, yields: boolean) {
    this.#pool = pool;
    this.#bytes = pool.bytes;
    this.#yields = yields;
  }

  /**
   * Makes a framer without a buffer: {@link Framer.nextBuffer} gets the first.
   *
   * @param pool This thread's part in the pool that the buffers come from.
   * @throws {TypeError} If `pool` is not a pool, or `options` not an object.
   * @throws {ClosedError} If this thread has left the pool.
   */
  static create(pool: BufferSource, options?: FramerOptions): Framer {
    checkPool("create framer", pool);
    if (options !== undefined) checkOptions("create framer", options);
    return new Framer(pool, options?.yields ?? false);
  }

  /** The bytes of the pool. */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes;
  }

  /** The offset in {@link Framer.bytes} at which the next byte is to be written. */
  get offset(): number {
    return this.#end;
  }

  /** How many bytes can be written before the next buffer is needed. */
  get remainingOnBuffer(): number {
    return this.#limit - this.#end;
  }

  /** The offset of the unfinished frame in {@link Framer.bytes}. */
  get unfinishedOffset(): number {
    return this.#start;
  }

  /** How many committed bytes belong to no frame yet. */
  get unfinishedLength(): number {
    return this.#spilled === undefined ? this.#end - this.#start : this.#spilled.length;
  }

  /**
   * Whether it has released its buffer and has no other: no frame can be cut, and no byte is lost.
   */
  get hasYielded(): boolean {
    return this.#spilled !== undefined;
  }

  /** The buffer of the last frame, to which the framer has a reference until its next buffer. */
  get frameBuffer(): number {
    return this.#frameBuffer;
  }

  /** The offset of the last frame in {@link Framer.bytes}. */
  get frameOffset(): number {
    return this.#frameOffset;
  }

  /** The bytes of the last frame. */
  get frameLength(): number {
    return this.#frameLength;
  }

  /**
   * The rest of the buffer, to be written: a view of shared memory, valid until the next commit.
   */
  write(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes.subarray(this.#end, this.#limit);
  }

  /**
   * Commits so many bytes that were written.
   *
   * @throws {RangeError} If that is not a whole number up to {@link Framer.remainingOnBuffer}.
   */
  commit(length: number): void {
    if (length >>> 0 !== length || length > this.#limit - this.#end) {
      checkInteger("commit", "length", length, 0, this.#limit - this.#end);
    }
    this.#end += length;
  }

  /**
   * Cuts a frame from the committed bytes; those that follow it begin the next.
   *
   * @param skip How many bytes to skip before the frame.
   * @param length How many bytes the frame has.
   * @param skipAfter How many bytes to skip after it; 0 by default.
   * @throws {RangeError} If these are not whole numbers, or more than is unfinished.
   * @throws {Error} If the framer has no buffer.
   */
  cut(skip: number, length: number, skipAfter?: number): void {
    const rest = skipAfter ?? 0;
    const end = this.#start + skip + length + rest;
    const areWhole = skip >>> 0 === skip && length >>> 0 === length && rest >>> 0 === rest;
    if (!areWhole || end > this.#end) throw this.#cutError(skip, length, rest);
    this.#frameBuffer = this.#buffer;
    this.#frameOffset = this.#start + skip;
    this.#frameLength = length;
    this.#start = end;
  }

  /**
   * Makes a packet of committed bytes; those that follow it begin the next frame.
   *
   * @param length How many bytes the frame has; all unfinished ones by default.
   * @throws {RangeError} If that is more than is unfinished.
   * @throws {Error} If the framer has no buffer.
   */
  finishFrame(length?: number): Packet {
    this.cut(0, length ?? this.unfinishedLength);
    return this.packet();
  }

  /**
   * The last frame as a packet, which keeps its buffer from being reused. Call it before the framer
   * goes on to the next buffer.
   *
   * @throws {Error} If there is no frame, or it lies in an earlier buffer.
   */
  packet(): Packet {
    const buffer = this.#frameBuffer;
    if (buffer === NO_BUFFER) {
      throw new Error("Cannot make a packet as no frame was cut from the present buffer");
    }
    return this.#pool.sharePacket(
      buffer,
      this.#frameOffset - this.#pool.offsetOf(buffer),
      this.#frameLength,
    );
  }

  /**
   * Discards committed bytes: they belong to no frame.
   *
   * @param length How many; all unfinished ones by default.
   * @throws {RangeError} If that is more than is unfinished.
   */
  discard(length?: number): void {
    const count = length ?? this.unfinishedLength;
    checkInteger("discard", "length", count, 0, this.unfinishedLength);
    if (this.#spilled === undefined) this.#start += count;
    else this.#spilled = this.#spilled.subarray(count);
  }

  /**
   * Goes on to another buffer, blocking until one is free, and carries the unfinished frame over.
   * If none is free, and there is no packet of its own buffer, it uses that again.
   *
   * @returns Whether it has a new buffer: false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If the unfinished frame fills a whole buffer, or `timeoutMs` is negative.
   * @throws {ClosedError} If the framer is closed, or its thread has left the pool.
   */
  nextBuffer(options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    if (this.tryNextBuffer()) return true;
    if (this.#yields) this.#yieldBuffer();
    return this.#goOn(this.#pool.acquire(options));
  }

  /**
   * As {@link Framer.nextBuffer}, without waiting.
   *
   * @returns Whether it has a new buffer: false if none is free.
   * @throws {RangeError} If the unfinished frame fills a whole buffer.
   * @throws {ClosedError} If the framer is closed, or its thread has left the pool.
   */
  tryNextBuffer(): boolean {
    this.#checkCarry();
    return this.#goOn(this.#pool.tryAcquire()) || this.#useAgain();
  }

  /**
   * As {@link Framer.nextBuffer}, without blocking. Nothing must be written until it resolves.
   *
   * @throws As {@link Framer.nextBuffer}; and the signal's reason, if it is aborted.
   */
  async nextBufferAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    if (this.tryNextBuffer()) return true;
    if (this.#yields) this.#yieldBuffer();
    const buffer = await this.#pool.acquireAsync(options);
    if (!this.#isClosed) return this.#goOn(buffer);
    if (buffer >= 0) this.#pool.release(buffer);
    return false;
  }

  /** Releases the buffer, and drops the unfinished frame. Closing again does nothing. */
  close(): void {
    this.#isClosed = true;
    this.#releaseBuffer();
    this.#spilled = undefined;
  }

  /** As {@link Framer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #cutError(skip: number, length: number, skipAfter: number): Error {
    return this.hasYielded
      ? new Error("Cannot cut a frame as the framer has no buffer: go on to the next one first")
      : new RangeError(
        `Cannot cut ${skip} + ${length} + ${skipAfter} bytes as ${this.unfinishedLength} are unfinished`,
      );
  }

  #goOn(buffer: number): boolean {
    if (buffer < 0) return false;
    const carried = this.unfinishedLength;
    const begin = this.#pool.offsetOf(buffer);
    if (this.#spilled !== undefined) this.#bytes.set(this.#spilled, begin);
    else if (carried > 0) this.#bytes.copyWithin(begin, this.#start, this.#end);
    if (buffer !== this.#buffer) this.#releaseBuffer();
    this.#buffer = buffer;
    this.#frameBuffer = NO_BUFFER;
    this.#spilled = undefined;
    this.#start = begin;
    this.#end = begin + carried;
    this.#limit = begin + this.#pool.bufferBytes;
    return true;
  }

  /** Starts the present buffer again, if there is no packet of it. */
  #useAgain(): boolean {
    return this.#buffer !== NO_BUFFER && this.#pool.isUnique(this.#buffer) &&
      this.#goOn(this.#buffer);
  }

  /** Moves the unfinished frame to private memory, and releases the buffer. */
  #yieldBuffer(): void {
    this.#spilled ??= this.#bytes.slice(this.#start, this.#end);
    this.#releaseBuffer();
  }

  /** Releases the buffer, if there is one; a thread that leaves the pool releases all of them. */
  #releaseBuffer(): void {
    if (this.#buffer !== NO_BUFFER && !this.#pool.hasLeft) this.#pool.release(this.#buffer);
    this.#buffer = this.#frameBuffer = NO_BUFFER;
    this.#start = this.#end = this.#limit = 0;
  }

  #checkCarry(): void {
    if (this.#isClosed) {
      throw new ClosedError("Cannot go on to the next buffer as the framer is closed");
    }
    if (this.unfinishedLength > 0 && this.unfinishedLength === this.#pool.bufferBytes) {
      throw new RangeError(
        `Cannot go on to the next buffer as the unfinished frame fills one: a frame must fit ${this.#pool.bufferBytes} bytes`,
      );
    }
  }
}
