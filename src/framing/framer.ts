/**
 * A staging area for a stream of bytes: it is written into buffers of a pool, and frames are cut out
 * of it where they lie.
 *
 *     buffer | frames ... | unfinished frame | writable |
 *                         start              end        limit
 *
 * Several frames share a buffer. The framer has one reference to its buffer, and each packet one of
 * its own, so the buffer is free when the framer has gone on and the last packet was disposed of.
 *
 * A framer that goes on takes another buffer before it gives its own back, since what is unfinished
 * is copied from one to the other. If there is none, and nobody else has a packet of its own buffer,
 * it uses that again. If it *yields*, it keeps what is unfinished in private memory while it waits,
 * and gives its buffer up; so any number of framers share a pool of one buffer, whatever packets
 * their users keep for a while.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { checkTimeout, checkWaitOptions, type WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import { checkPool } from "../pool/options.ts";
import type { Packet } from "../pool/packet.ts";

const NO_BUFFER = -1;

/** Options of a {@link Framer}. */
export interface FramerOptions {
  /**
   * Whether to give the buffer up while waiting for the next one, and the last frame with it, unless
   * there is a packet of it; false by default. Without it a pool needs a buffer more than it has
   * framers, should packets be kept while a framer waits.
   */
  yields?: boolean;
}

/**
 * A staging area for a stream of bytes, out of which frames are cut as packets.
 *
 * Bytes are written to the rest of a buffer and committed; {@link Framer.finishFrame} makes a packet
 * of them. When a buffer is full {@link Framer.nextBuffer} goes on to another, and carries what is
 * unfinished over. Where frames begin and end is the caller's business; {@link FrameDecoder} knows
 * some framings.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, Framer } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2 });
 * using framer = new Framer(pool);
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
 * using framer = new Framer(pool);
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
  readonly #pool: BufferPool;
  readonly #bytes: Uint8Array;
  #buffer = NO_BUFFER;
  /** Where the unfinished frame begins. */
  #start = 0;
  /** Where it ends as yet. */
  #end = 0;
  /** Where the buffer ends. */
  #limit = 0;
  #frameBuffer = NO_BUFFER;
  #frameOffset = 0;
  #frameLength = 0;
  readonly #yields: boolean;
  /** What is unfinished, while there is no buffer for it. */
  #spilled: Uint8Array | undefined;
  #isDisposed = false;

  /**
   * Begins without a buffer.
   *
   * @throws {TypeError} If `pool` is none.
   * @throws {Error} If this thread has left the pool.
   */
  constructor(pool: BufferPool, options: FramerOptions = {}) {
    checkPool("create framer", pool);
    checkOptions("create framer", options);
    this.#pool = pool;
    this.#bytes = pool.bytes;
    this.#yields = options.yields ?? false;
  }

  /** The bytes of the pool. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link Framer.bytes} the next byte is to be written. */
  get offset(): number {
    return this.#end;
  }

  /** How many bytes can be written before the next buffer is needed. */
  get remainingOnBuffer(): number {
    return this.#limit - this.#end;
  }

  /** Where in {@link Framer.bytes} the unfinished frame begins. */
  get unfinishedOffset(): number {
    return this.#start;
  }

  /** How many bytes are committed that belong to no frame yet. */
  get unfinishedLength(): number {
    return this.#spilled === undefined ? this.#end - this.#start : this.#spilled.length;
  }

  /** Whether it has given its buffer up and has no other: nothing can be cut, and nothing is lost. */
  get hasYielded(): boolean {
    return this.#spilled !== undefined;
  }

  /** The buffer of the last frame, to which the framer has a reference until its next buffer. */
  get frameBuffer(): number {
    return this.#frameBuffer;
  }

  /** Where in {@link Framer.bytes} the last frame begins. */
  get frameOffset(): number {
    return this.#frameOffset;
  }

  /** How many bytes the last frame has. */
  get frameLength(): number {
    return this.#frameLength;
  }

  /** What can be written of the buffer: a view of shared memory, valid until the next commit. */
  write(): Uint8Array {
    return this.#bytes.subarray(this.#end, this.#limit);
  }

  /**
   * Says that so many bytes were written.
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
   * Makes a frame of committed bytes; what comes after it begins the next.
   *
   * @param skip How many bytes to leave out before the frame.
   * @param length How many bytes the frame has.
   * @param skipAfter How many bytes to leave out after it; 0 by default.
   * @throws {RangeError} If these are not whole numbers, or more than is unfinished.
   */
  cut(skip: number, length: number, skipAfter: number = 0): void {
    const end = this.#start + skip + length + skipAfter;
    const areWhole = skip >>> 0 === skip && length >>> 0 === length &&
      skipAfter >>> 0 === skipAfter;
    if (!areWhole || end > this.#end) this.#refuseCut(skip, length, skipAfter);
    this.#frameBuffer = this.#buffer;
    this.#frameOffset = this.#start + skip;
    this.#frameLength = length;
    this.#start = end;
  }

  /**
   * Makes a packet of committed bytes; what comes after it begins the next frame.
   *
   * @param length How many bytes the frame has; all that are unfinished by default.
   * @throws {RangeError} If that is more than is unfinished.
   * @throws {Error} If the framer has no buffer.
   */
  finishFrame(length: number = this.unfinishedLength): Packet {
    this.cut(0, length);
    return this.packet();
  }

  /**
   * The last frame as a packet, which keeps its buffer from being reused. Not to be called once the
   * framer has gone on to the next buffer.
   *
   * @throws {Error} If there is no frame, or it lies in a buffer before.
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
   * Leaves committed bytes out: they belong to no frame.
   *
   * @param length How many; all that are unfinished by default.
   * @throws {RangeError} If that is more than is unfinished.
   */
  discard(length: number = this.unfinishedLength): void {
    checkInteger("discard", "length", length, 0, this.unfinishedLength);
    if (this.#spilled === undefined) this.#start += length;
    else this.#spilled = this.#spilled.subarray(length);
  }

  /**
   * Goes on to another buffer, if one is free, and carries over what is unfinished. If none is, and
   * there is no packet of its own buffer, it uses that again.
   *
   * @returns Whether it did.
   * @throws {RangeError} If the unfinished frame fills a whole buffer.
   * @throws {Error} If the framer was disposed of, or its thread has left the pool.
   */
  tryNextBuffer(): boolean {
    this.#checkCarry();
    return this.#goOn(this.#pool.tryAcquire()) || this.#useAgain();
  }

  /**
   * As {@link Framer.tryNextBuffer}; blocks until a buffer is free.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @throws {RangeError} As {@link Framer.tryNextBuffer}, or if `timeoutMs` is negative.
   */
  nextBuffer(timeoutMs: number = Infinity): boolean {
    if (timeoutMs !== Infinity) checkTimeout(timeoutMs);
    if (this.tryNextBuffer()) return true;
    if (this.#yields) this.#yieldBuffer();
    return this.#goOn(this.#pool.acquire(timeoutMs));
  }

  /**
   * As {@link Framer.nextBuffer}, without blocking. Nothing is to be written until it resolves.
   *
   * @throws As {@link Framer.tryNextBuffer}; and the signal's reason, if it is aborted.
   */
  async nextBufferAsync(options: WaitOptions = {}): Promise<boolean> {
    checkWaitOptions(options);
    if (this.tryNextBuffer()) return true;
    if (this.#yields) this.#yieldBuffer();
    const buffer = await this.#pool.acquireAsync(options);
    if (!this.#isDisposed) return this.#goOn(buffer);
    if (buffer >= 0) this.#pool.release(buffer);
    return false;
  }

  /** Gives the buffer back, and what is unfinished up. Doing it again does nothing. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#leaveBuffer();
    this.#spilled = undefined;
  }

  #refuseCut(skip: number, length: number, skipAfter: number): never {
    if (this.hasYielded) {
      throw new Error(
        "Cannot cut a frame as the framer has no buffer: go on to the next one first",
      );
    }
    throw new RangeError(
      `Cannot cut ${skip} + ${length} + ${skipAfter} bytes as ${this.unfinishedLength} are unfinished`,
    );
  }

  #goOn(buffer: number): boolean {
    if (buffer < 0) return false;
    const carried = this.unfinishedLength;
    const begin = this.#pool.offsetOf(buffer);
    if (this.#spilled !== undefined) this.#bytes.set(this.#spilled, begin);
    else if (carried > 0) this.#bytes.copyWithin(begin, this.#start, this.#end);
    if (buffer !== this.#buffer) this.#leaveBuffer();
    this.#buffer = buffer;
    this.#frameBuffer = NO_BUFFER;
    this.#spilled = undefined;
    this.#start = begin;
    this.#end = begin + carried;
    this.#limit = begin + this.#pool.bufferBytes;
    return true;
  }

  /** Begins the present buffer anew, if nobody else sees it. */
  #useAgain(): boolean {
    return this.#buffer !== NO_BUFFER && this.#pool.isUnique(this.#buffer) &&
      this.#goOn(this.#buffer);
  }

  /** Keeps what is unfinished in private, and lets others have the buffer. */
  #yieldBuffer(): void {
    this.#spilled ??= this.#bytes.slice(this.#start, this.#end);
    this.#leaveBuffer();
  }

  /** Gives the buffer back, if there is one; a thread that leaves the pool gives all of its back. */
  #leaveBuffer(): void {
    if (this.#buffer !== NO_BUFFER && !this.#pool.hasLeft) this.#pool.release(this.#buffer);
    this.#buffer = this.#frameBuffer = NO_BUFFER;
    this.#start = this.#end = this.#limit = 0;
  }

  #checkCarry(): void {
    if (this.#isDisposed) {
      throw new Error("Cannot go on to the next buffer as the framer was disposed of");
    }
    if (this.unfinishedLength > 0 && this.unfinishedLength === this.#pool.bufferBytes) {
      throw new RangeError(
        `Cannot go on to the next buffer as the unfinished frame fills one: a frame must fit ${this.#pool.bufferBytes} bytes`,
      );
    }
  }
}
