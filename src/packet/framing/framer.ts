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
 * @module
 */

import { checkInteger } from "../../memory/layout.ts";
import type { WaitOptions } from "../../memory/sleep.ts";
import type { BufferPool } from "../../pool/buffer_pool.ts";
import type { Packet } from "../../pool/packet.ts";

const NO_BUFFER = -1;

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
 * using pool = BufferPool.create({ bufferSize: 1024, batchCount: 2 });
 * using framer = new Framer(pool);
 * framer.nextBuffer();
 *
 * const read = new TextEncoder().encodeInto("hello", framer.write()).read;
 * framer.commit(read);
 * using packet = framer.finishFrame();
 * assertEquals(new TextDecoder().decode(packet.bytes.slice()), "hello");
 * ```
 *
 * @example Without an allocation per frame
 * ```ts
 * import { BufferPool, Framer } from "@busbar/busbar";
 *
 * using pool = BufferPool.create({ bufferSize: 1024, batchCount: 2 });
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
  #isDisposed = false;

  /** Begins without a buffer. */
  constructor(pool: BufferPool) {
    this.#pool = pool;
    this.#bytes = pool.bytes;
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
    return this.#end - this.#start;
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

  /** What can be written of the buffer: a view, valid until the next commit. */
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
    if (!areWhole || end > this.#end) {
      throw new RangeError(
        `Cannot cut ${skip} + ${length} + ${skipAfter} bytes as ${this.unfinishedLength} are unfinished`,
      );
    }
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
    this.#start += length;
  }

  /**
   * Goes on to another buffer, if one is free, and carries over what is unfinished.
   *
   * @returns Whether it did.
   * @throws {RangeError} If the unfinished frame fills a whole buffer.
   * @throws {Error} If the framer was disposed of.
   */
  tryNextBuffer(): boolean {
    this.#checkCarry();
    return this.#goOn(this.#pool.tryAcquire());
  }

  /**
   * As {@link Framer.tryNextBuffer}; blocks until a buffer is free.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   */
  nextBuffer(timeoutMs?: number): boolean {
    return this.tryNextBuffer() || this.#goOn(this.#pool.acquire(timeoutMs));
  }

  /**
   * As {@link Framer.nextBuffer}, without blocking. Nothing is to be written until it resolves.
   *
   * @throws As {@link Framer.tryNextBuffer}; and the signal's reason, if it is aborted.
   */
  async nextBufferAsync(options: WaitOptions = {}): Promise<boolean> {
    if (this.tryNextBuffer()) return true;
    const buffer = await this.#pool.acquireAsync(options);
    if (!this.#isDisposed) return this.#goOn(buffer);
    if (buffer >= 0) this.#pool.release(buffer);
    return false;
  }

  /** Gives the buffer back, and what is unfinished up. Doing it again does nothing. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    if (this.#buffer !== NO_BUFFER) this.#pool.release(this.#buffer);
    this.#buffer = this.#frameBuffer = NO_BUFFER;
    this.#start = this.#end = this.#limit = 0;
  }

  #goOn(buffer: number): boolean {
    if (buffer < 0) return false;
    const begin = this.#pool.offsetOf(buffer);
    const carried = this.#end - this.#start;
    if (carried > 0) this.#bytes.copyWithin(begin, this.#start, this.#end);
    if (this.#buffer !== NO_BUFFER) this.#pool.release(this.#buffer);
    this.#buffer = buffer;
    this.#frameBuffer = NO_BUFFER;
    this.#start = begin;
    this.#end = begin + carried;
    this.#limit = begin + this.#pool.bufferSize;
    return true;
  }

  #checkCarry(): void {
    if (this.#isDisposed) {
      throw new Error("Cannot go on to the next buffer as the framer was disposed of");
    }
    if (this.unfinishedLength > 0 && this.unfinishedLength === this.#pool.bufferSize) {
      throw new RangeError(
        `Cannot go on to the next buffer as the unfinished frame fills one: a frame must fit ${this.#pool.bufferSize} bytes`,
      );
    }
  }
}
