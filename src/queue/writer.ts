/**
 * What writers have in common: room for messages is reserved, filled in place, and committed or
 * aborted, in any order.
 *
 * There are three kinds, of one shape:
 *
 *     made by                                 used by           its messages go
 *     queue.writer()                          one thread        to the flusher of the queue
 *     queue.writer({ isShared: true })        several threads   to the flusher of the queue
 *     createWriter(pool)                      one thread        nowhere but into packets
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { Handle } from "../memory/handle.ts";
import { checkBytes, checkInteger, describe } from "../memory/check.ts";
import { checkTimeout, checkWaitOptions, type WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import type { Packet } from "../pool/packet.ts";

/** The kind that handles of a shared writer name. */
export const WRITER_KIND = "busbar.writer";
/** The version of those handles. */
export const WRITER_VERSION = 2;

/** Opens a shared {@link Writer} in another thread, beside the handle of its queue. */
export interface WriterHandle extends Handle {
  /** What the queue is known by. */
  readonly queue: number;
  /** Which writer of the queue it is. */
  readonly index: number;
  /** The user's number of it. */
  readonly id: number;
}

/**
 * Writes messages one after the other into buffers of a pool.
 *
 * Messages lie end to end, and buffers begin at multiples of 8. So if the lengths of all messages of a
 * writer are multiples of 4, so are the offsets, and messages can be written by an `Int32Array`.
 *
 * A message is visible to nobody before it is committed, and to the flusher not before
 * {@link Writer.flush}, which serves all messages that were committed until then at once. The flusher
 * gets the messages of a writer in the order in which they were reserved, and each as soon as all
 * reservations before it have ended, in whichever order that happens. Those of different writers come
 * in no order.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer();
 *
 * const first = writer.claim(7); // in place, without an object
 * const second = writer.claim(5);
 * writer.bytes.set(new TextEncoder().encode("world"), second);
 * writer.commit(second);
 * writer.bytes.set(new TextEncoder().encode("hello, "), first);
 * writer.commit(first);
 *
 * writer.append(new TextEncoder().encode("!")); // copied
 * writer.publish();
 *
 * using flusher = queue.flusher();
 * flusher.drain(() => assertEquals(new TextDecoder().decode(flusher.view()), "hello, world!"));
 * ```
 */
export abstract class Writer implements Disposable {
  /** The bytes of the pool; messages are written here at the offsets that reserve returns. */
  readonly bytes: Uint8Array;
  /** The bytes of the longest message: a whole buffer. */
  readonly maxMessageBytes: number;

  /** Writes into buffers of this pool. */
  constructor(pool: BufferPool) {
    this.bytes = pool.bytes;
    this.maxMessageBytes = pool.bufferBytes;
  }

  /**
   * A plain object that survives structured clone and opens a shared writer in another thread.
   *
   * @throws {Error} If the writer is not shared.
   */
  abstract get handle(): WriterHandle;

  /** How many reservations of this thread are open. */
  abstract get openCount(): number;

  /**
   * Reserves room for a message of `length` bytes, if that needs no waiting. Without a free buffer it
   * flushes, so that buffers may come back.
   *
   * @returns Where in {@link Writer.bytes} it begins; -1 if there is no buffer for it now.
   * @throws {RangeError} If `length` is not a whole number from 1 to {@link Writer.maxMessageBytes}.
   * @throws {Error} If the writer was disposed of.
   */
  abstract tryClaim(length: number): number;

  /** As {@link Writer.reserve}, once there was no room at the first look. */
  protected abstract waitToReserve(length: number, timeoutMs: number): number;

  /** As {@link Writer.claimAsync}, once there was no room at the first look. */
  protected abstract waitToReserveAsync(length: number, options: WaitOptions): Promise<number>;

  /**
   * Ends a reservation: its bytes are a message.
   *
   * @param offset What reserve returned.
   * @param length How many of its bytes are the message; all by default.
   * @throws {RangeError} If `length` is not a whole number up to what was reserved.
   * @throws {Error} If no reservation of this thread is open there.
   */
  abstract commit(offset: number, length?: number): void;

  /**
   * As {@link Writer.commit}, and hands the message back as a packet.
   *
   * @throws As {@link Writer.commit}.
   */
  abstract commitPacket(offset: number, length?: number): Packet;

  /**
   * Ends a reservation: its bytes are nothing.
   *
   * @param offset What reserve returned.
   * @throws {Error} If no reservation of this thread is open there.
   */
  abstract abort(offset: number): void;

  /**
   * Hands all messages that this thread has committed to the flusher, and wakes it.
   *
   * It serves all writers of the queue on this thread, at the cost of one. Without a queue it does
   * nothing.
   */
  abstract flush(): void;

  /** Aborts what is open, flushes, and gives the writer up. Doing it again does nothing. */
  abstract [Symbol.dispose](): void;

  /**
   * Reserves room for a message of `length` bytes; blocks until a buffer is free, and flushes first.
   *
   * The flusher cannot pass an open reservation. So one who waits while others of its own are open
   * waits for ever if all buffers are behind those; try, and end one first if there is no room.
   *
   * @param length How many bytes.
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Where in {@link Writer.bytes} it begins; -1 if the time is over.
   * @throws {RangeError} If `length` is not a whole number from 1 to {@link Writer.maxMessageBytes}, or
   * `timeoutMs` is negative.
   * @throws {TypeError} If it would have to wait, and the platform forbids this thread to block.
   * @throws {Error} If the writer was disposed of, or its thread has left the pool.
   */
  reserve(length: number, timeoutMs: number = Infinity): number {
    if (timeoutMs !== Infinity) checkTimeout(timeoutMs);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : this.waitToReserve(length, timeoutMs);
  }

  /**
   * As {@link Writer.reserve}, without blocking.
   *
   * @throws As {@link Writer.reserve}; and the signal's reason, if it is aborted.
   */
  async claimAsync(length: number, options: WaitOptions = {}): Promise<number> {
    checkWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : await this.waitToReserveAsync(length, options);
  }

  /**
   * Copies a message: reserve, copy and commit. It goes to the flusher with the next flush.
   *
   * @param payload The message; an empty one is no message.
   * @param timeoutMs Gives up after this many milliseconds without a buffer; never by default.
   * @returns Whether it was written.
   * @throws {TypeError} If `payload` is not made of bytes.
   * @throws As {@link Writer.reserve}.
   */
  send(payload: Uint8Array, timeoutMs: number = Infinity): boolean {
    if (payload?.BYTES_PER_ELEMENT !== 1) checkBytes("send", "payload", payload);
    const offset = this.claim(payload.length, timeoutMs);
    if (offset < 0) return false;
    this.bytes.set(payload, offset);
    this.commit(offset);
    return true;
  }

  /**
   * As {@link Writer.send}, without blocking. The message is copied once there is room, so it must
   * not change before this resolves.
   *
   * @throws As {@link Writer.send}; and the signal's reason, if it is aborted.
   */
  async sendAsync(payload: Uint8Array, options: WaitOptions = {}): Promise<boolean> {
    checkBytes("send", "payload", payload);
    const offset = await this.claimAsync(payload.length, options);
    if (offset < 0) return false;
    this.bytes.set(payload, offset);
    this.commit(offset);
    return true;
  }

  /**
   * Reserves room as an object, to be ended by its methods or, as aborted, by `using`.
   *
   * @throws As {@link Writer.reserve}.
   */
  message(length: number): Reservation {
    return new Reservation(this, this.claim(length), length);
  }

  /**
   * As {@link Writer.message}, without blocking.
   *
   * @returns The reservation, or nothing if the time is over.
   * @throws As {@link Writer.claimAsync}.
   */
  async claimMessageAsync(length: number, options?: WaitOptions): Promise<Reservation | undefined> {
    const offset = await this.claimAsync(length, options);
    return offset < 0 ? undefined : new Reservation(this, offset, length);
  }
}

/**
 * Room for one message, made by {@link Writer.message}. Disposing of it aborts, unless it has ended.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * using writer = FlushQueue.create({ pool }).writer();
 * {
 *   using message = writer.claimMessage(4);
 *   message.bytes.set([1, 2, 3, 4]); // if this threw, nothing would be written
 *   message.commit();
 * }
 * writer.publish();
 * ```
 */
export class Reservation implements Disposable {
  /** The room, to be filled. Not to be used once the reservation has ended. */
  readonly bytes: Uint8Array;
  readonly #writer: Writer;
  readonly #offset: number;
  #isOpen = true;

  /** Made by {@link Writer.message}. */
  constructor(writer: Writer, offset: number, length: number) {
    this.#writer = writer;
    this.#offset = offset;
    this.bytes = writer.bytes.subarray(offset, offset + length);
  }

  /** Whether it was neither committed nor aborted. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Makes it a message.
   *
   * @param length How many of its bytes are the message; all by default.
   * @throws As {@link Writer.commit}.
   */
  commit(length?: number): void {
    this.#checkOpen("commit");
    this.#writer.commit(this.#offset, length);
    this.#isOpen = false;
  }

  /**
   * As {@link Reservation.commit}, and hands the message back as a packet.
   *
   * @throws As {@link Writer.commit}.
   */
  commitPacket(length?: number): Packet {
    this.#checkOpen("commit");
    const packet = this.#writer.commitPacket(this.#offset, length);
    this.#isOpen = false;
    return packet;
  }

  /**
   * Gives it up.
   *
   * @throws As {@link Writer.abort}.
   */
  abort(): void {
    this.#checkOpen("abort");
    this.#writer.abort(this.#offset);
    this.#isOpen = false;
  }

  /** Gives it up, unless it has ended. */
  [Symbol.dispose](): void {
    if (this.#isOpen) this.abort();
  }

  #checkOpen(action: string): void {
    if (!this.#isOpen) throw new Error(`Cannot ${action} as the reservation has ended`);
  }
}

/** Refuses what is not the length of a message. */
export function checkLength(length: number, largest: number): void {
  if (length >>> 0 === length && length > 0 && length <= largest) return;
  throw new RangeError(
    `Cannot reserve as 'length' must be a whole number from 1 to ${largest}: received ${
      describe(length)
    }`,
  );
}

/** Refuses what is not the length to commit of so many reserved bytes; all if undefined. */
export function committedLength(length: number | undefined, reserved: number): number {
  if (length === undefined) return reserved;
  checkInteger("commit", "length", length, 0, reserved);
  return length;
}

/** Refuses to use a writer that was disposed of. */
export function refuseDisposed(action: string): never {
  throw new Error(`Cannot ${action} as the writer was disposed of`);
}

/** Refuses to hand over a writer that one thread has for itself. */
export function refuseHandle(): never {
  throw new Error("Cannot hand the writer over as it is not shared: create it as 'isShared'");
}
