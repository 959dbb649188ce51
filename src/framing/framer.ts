/**
 * A framer: a staging area in buffers of a pool, in which a stream of bytes is cut into frames
 * without copying them.
 *
 *     buffer | frames ... | unfinished frame | writable |
 *                         start              end        limit
 *
 * Several frames share a buffer. The framer has one reference to its buffer, and each packet has
 * one of its own. So the buffer is free once the framer has gone on and all packets are released.
 *
 * A framer acquires the next buffer before it releases the present one, since it copies the
 * unfinished frame from one to the other. If no buffer is free, and there is no packet of its own
 * buffer, it starts that buffer again. A framer that *yields* releases its buffer while it waits,
 * and keeps the unfinished frame in private memory. So any number of such framers can share a pool
 * of one buffer, even if packets are kept for a while.
 *
 * Proven by: tests/framing/framer_test.ts, and the scenes `Framer` and `FrameDecoder` of
 * tests/waiting_test.ts (a wait that gives up leaves no trace).
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

const GO_ON = "go on to the next buffer";

/** Options of a {@link Framer}. */
export interface FramerOptions {
  /**
   * Whether to release the buffer while waiting for the next one; false by default. The last frame
   * is lost with it, unless there is a packet of it. If framers do not yield, and packets are kept
   * while a framer waits, the pool needs more buffers than it has framers.
   */
  yields?: boolean;
}

/**
 * A staging area for a stream of bytes, in buffers of a pool, from which frames are cut without
 * copying them.
 *
 * Bytes are written to the rest of a buffer and committed; {@link Framer.finishFrame} makes a
 * packet of them. When a buffer is full, {@link Framer.nextBuffer} goes on to another, and carries
 * the unfinished frame over. The caller decides where frames begin and end; a {@link FrameDecoder}
 * finds that out by a framing.
 *
 * - **Zero copy.** A frame lies in the buffer that its bytes were written to. Only an unfinished
 *   frame is copied, when the buffer is full.
 * - **No allocation.** Only packets and views are allocated; {@link Framer.cut} needs neither.
 * - **Order.** Frames are cut in the order of the stream, and every committed byte belongs to one
 *   frame, or was skipped or discarded by the caller.
 * - **Independent packets.** A packet remains valid after the framer has gone on or was closed; a
 *   buffer returns to the pool with the last packet of it.
 * - **Lossless waits.** A wait for a buffer that times out or is aborted loses no byte of the
 *   stream, and can be repeated.
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
  /** The buffer of the last frame; NO_BUFFER if that was not cut from the present buffer. */
  #frameBuffer = NO_BUFFER;
  #frameOffset = 0;
  #frameLength = 0;
  readonly #yields: boolean;
  /** The unfinished frame, while there is no buffer for it. */
  #spilled: Uint8Array<ArrayBuffer> | undefined;
  #isClosed = false;
  /** Each of these ends one asynchronous wait for a buffer. */
  readonly #waits = new Set<AbortController>();

  /**
   * Made by {@link Framer.create}.
   *
   * @ignore
   */
  private constructor(pool: BufferSource, yields: boolean) {
    this.#pool = pool;
    this.#bytes = pool.bytes;
    this.#yields = yields;
  }

  /**
   * Creates a framer that has no buffer yet: {@link Framer.nextBuffer} acquires the first.
   *
   * @param pool This thread's part in the pool that the buffers come from, a `BufferPool`.
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
   * Whether it has released its buffer and has no other. No byte is lost, but no frame can be cut
   * before the next buffer.
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

  /** The length of the last frame in bytes. */
  get frameLength(): number {
    return this.#frameLength;
  }

  /**
   * The rest of the buffer, to be written: a view of shared memory, valid until the next commit.
   *
   * @throws {ClosedError} If the framer is closed.
   */
  write(): Uint8Array<SharedArrayBuffer> {
    if (this.#isClosed) throw this.#closedError("write");
    return this.#bytes.subarray(this.#end, this.#limit);
  }

  /**
   * Commits bytes that were written.
   *
   * @param length How many.
   * @throws {RangeError} If that is not a whole number up to {@link Framer.remainingOnBuffer}.
   * @throws {ClosedError} If the framer is closed, and `length` is not 0.
   */
  commit(length: number): void {
    if (length >>> 0 !== length || length > this.#limit - this.#end) {
      this.#checkCommit(length);
    }
    this.#end += length;
  }

  /**
   * Cuts a frame from the committed bytes; those that follow it begin the next. Without a buffer,
   * also after closing, only a frame of no bytes can be cut, and no packet be made of it.
   *
   * @param skip How many bytes to skip before the frame.
   * @param length How many bytes the frame has.
   * @param skipAfter How many bytes to skip after it; 0 by default.
   * @throws {RangeError} If these are not whole numbers, or more bytes than are unfinished.
   * @throws {ClosedError} If the framer is closed.
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
   * @throws {RangeError} If that is not a whole number, or more than is unfinished.
   * @throws {ClosedError} If the framer is closed, or its thread has left the pool.
   * @throws {Error} If the framer has no buffer.
   */
  finishFrame(length?: number): Packet {
    this.cut(0, length ?? this.unfinishedLength);
    return this.packet();
  }

  /**
   * Makes a packet of the last frame, which keeps the buffer from being reused. Call it before the
   * framer goes on to the next buffer.
   *
   * @throws {ClosedError} If the framer is closed, or its thread has left the pool.
   * @throws {Error} If there is no frame, or it lies in an earlier buffer.
   */
  packet(): Packet {
    const buffer = this.#frameBuffer;
    if (buffer === NO_BUFFER) {
      if (this.#isClosed) throw this.#closedError("make a packet");
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
   * @throws {RangeError} If that is not a whole number, or more than is unfinished.
   * @throws {ClosedError} If the framer is closed.
   */
  discard(length?: number): void {
    if (this.#isClosed) throw this.#closedError("discard");
    const count = length ?? this.unfinishedLength;
    checkInteger("discard", "length", count, 0, this.unfinishedLength);
    if (this.#spilled === undefined) this.#start += count;
    else this.#spilled = this.#spilled.subarray(count);
  }

  /**
   * Goes on to another buffer, blocking until one is free, and carries the unfinished frame over.
   * If none is free, and there is no packet of its own buffer, it starts that one again.
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
    return this.#goOn(this.#pool.tryAcquire()) || this.#startAgain();
  }

  /**
   * As {@link Framer.nextBuffer}, without blocking. Write nothing until it resolves.
   *
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If the unfinished frame fills a whole buffer, or `timeoutMs` is negative.
   * @throws {ClosedError} If the framer is closed, even during the wait, or its thread has left the
   * pool.
   * @throws The signal's reason, if it is aborted.
   */
  async nextBufferAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    if (this.tryNextBuffer()) return true;
    if (this.#yields) this.#yieldBuffer();
    const buffer = await this.#acquireAsync(options);
    if (!this.#isClosed) return this.#goOn(buffer);
    // It was closed after the wait had ended, and before this task continued.
    if (buffer >= 0 && !this.#pool.hasLeft) this.#pool.release(buffer);
    throw this.#closedError(GO_ON);
  }

  /**
   * Releases the buffer, drops the unfinished frame, and ends pending waits with a
   * {@link ClosedError}. Packets remain valid. Closing again does nothing.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#releaseBuffer();
    this.#spilled = undefined;
    for (const wait of this.#waits) wait.abort(this.#closedError(GO_ON));
  }

  /** As {@link Framer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #closedError(action: string): ClosedError {
    return new ClosedError(`Cannot ${action} as the framer is closed`);
  }

  /** Throws unless this number of bytes can be committed. */
  #checkCommit(length: number): void {
    if (this.#isClosed) throw this.#closedError("commit");
    checkInteger("commit", "length", length, 0, this.remainingOnBuffer);
  }

  #cutError(skip: number, length: number, skipAfter: number): Error {
    if (this.#isClosed) return this.#closedError("cut a frame");
    return this.#buffer === NO_BUFFER
      ? new Error("Cannot cut a frame as the framer has no buffer: go on to the next one first")
      : new RangeError(
        `Cannot cut ${skip} + ${length} + ${skipAfter} bytes as ${this.unfinishedLength} are unfinished`,
      );
  }

  /** Acquires a buffer without blocking; {@link Framer.close} ends the wait, as the signal does. */
  async #acquireAsync(options: AsyncWaitOptions | undefined): Promise<number> {
    const signal = options?.signal;
    const wait = new AbortController();
    const onAbort = () => wait.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    this.#waits.add(wait);
    try {
      return await this.#pool.acquireAsync({ ...options, signal: wait.signal });
    } finally {
      this.#waits.delete(wait);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Carries the unfinished frame over to `buffer`; false if there is none. */
  #goOn(buffer: number): boolean {
    if (buffer < 0) return false;
    const carried = this.unfinishedLength;
    const begin = this.#pool.offsetOf(buffer);
    if (this.#spilled !== undefined) this.#bytes.set(this.#spilled, begin);
    else if (carried > 0) this.#pool.copyWithin(begin, this.#start, carried);
    if (buffer !== this.#buffer) this.#releaseBuffer();
    this.#buffer = buffer;
    this.#frameBuffer = NO_BUFFER;
    this.#spilled = undefined;
    this.#start = begin;
    this.#end = begin + carried;
    this.#limit = begin + this.#pool.bufferBytes;
    return true;
  }

  /** Moves the unfinished frame to the start of its buffer, if there is no packet of that. */
  #startAgain(): boolean {
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

  /** Throws unless there will be room after the unfinished frame, and the framer is open. */
  #checkCarry(): void {
    if (this.#isClosed) throw this.#closedError(GO_ON);
    if (this.unfinishedLength > 0 && this.unfinishedLength === this.#pool.bufferBytes) {
      throw new RangeError(
        `Cannot ${GO_ON} as the unfinished frame fills a whole buffer of ${this.#pool.bufferBytes} bytes`,
      );
    }
  }
}
