/**
 * A buffer pool: memory for messages, taken once and used over and over by any number of threads.
 *
 * What the threads share is drawn in `layout.ts`, and each part of it has a file: `batches.ts`,
 * `holds.ts`, `tickets.ts`, `threads.ts`, `waiting_threads.ts`. What one thread keeps to itself is
 * told in `thread_buffers.ts`, and how it waits in `waiting.ts`. Here is what threads have to do
 * with one another.
 *
 * A buffer is *free*, or it is *taken*, and its hold says who has it: threads, which are its
 * *holders*, or *tickets* on their way to a thread. The taken bit decides: the hold of a free
 * buffer means nothing.
 *
 *     word     its value, and who changes it
 *     batch    which of its buffers are taken, and the *taker*, who alone may take; 0 if nobody.
 *              Read-modify-written only
 *     hold     stored by the taker while the buffer is free; afterwards by who has the buffer
 *     ticket   its owner's while idle, then its receiver's: see `tickets.ts`
 *     waiting  which threads wait, a bit each: read-modify-written by them
 *     state    whether somebody is this thread: see `threads.ts`
 *
 * **Taking** is by the batch: a thread becomes the taker by compareExchange, writes itself as the
 * holder of each free buffer, and with one exclusive-or sets their taken bits and takes its name
 * away. Other takers pass a batch over that has one.
 *
 * **Giving back** is one `and`, which clears the taken bits of any buffers of a batch that only
 * this thread has.
 *
 * **Sending.** A buffer that only the sender has is *sealed*: its hold becomes a ticket, unique
 * among 2^26, and a receiver that knows it becomes the holder by compareExchange. If the sender
 * keeps the buffer, or others have it, one of its tickets is counted in the hold instead.
 *
 * **Letting go.** A thread that drops its last reference and is the only holder, without flights,
 * has the buffer to itself. Else it takes itself out of the holders by compareExchange. If two do
 * so at once, one of them fails, looks again, and finds that it is the only one.
 *
 * **Waiting.** A thread registers in the queue of waiters, and *then* looks at all batches. Whoever
 * gives back, or stops being a taker, looks *then* whether anybody is registered. So either the
 * waiter finds a buffer, or is found; and is handed one, first come, first served.
 *
 * What a thread releases it keeps in private, unless a plain look tells it that somebody waits. So
 * a waiter is served at the latest when a thread that keeps a buffer acquires, releases, waits,
 * flushes or leaves; a thread that does not use the pool for a while flushes.
 *
 * **Happens before.** Batches are only read-modify-written, so what was done with a buffer before
 * it was given back happens before what is done with it after it was taken. What a sender did
 * happens before what the receiver does, and what all holders did before what the one does who lets
 * go last.
 *
 * **Too late.** Who comes with a ticket that was received before, or with the number of an offered
 * buffer that was taken back, finds another hold, and is refused; whoever has the buffer by then.
 * Numbers of tickets come again after 2^26 whole buffers of one sender, those of shared ones after
 * 2^16 flights of one ticket.
 *
 * **Reclaiming.** Each step from one owner to the next is one atomic operation on one word, and the
 * word then names the new one; so there is no instruction at which a thread can die and take a
 * buffer with it. A taker that dies has not taken yet. Who reclaims a dead thread becomes the taker
 * of each batch in turn, and takes it out of the holds; it waits for living takers, some
 * nanoseconds, and for nobody else. What is offered to waiters is taken back, too, since it may
 * have been offered by the dead thread to nobody; the waiters are served again.
 *
 * Proven by: tests/pool/buffer_pool_model_test.ts and, for threads that die at each instruction,
 * tests/pool/buffer_pool_reclaim_model_test.ts, which say what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES } from "../memory/layout.ts";
import { Memory } from "../memory/memory.ts";
import { Region } from "../memory/region.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { WaiterQueue } from "../sync/waiter_queue.ts";
import type { BufferSource } from "./buffer_source.ts";
import { type BufferPoolLayout, KIND } from "./layout.ts";
import { describeLeaks, type Leak, Leaks } from "./leaks.ts";
import {
  type AttachOptions,
  type BufferPoolHandle,
  type BufferPoolOptions,
  type BufferPoolSize,
  type BufferPoolUsage,
  layoutOf,
  type ReclaimOptions,
} from "./options.ts";
import {
  adoptPacket,
  adoptParts,
  checkWords,
  type DetachedPacket,
  makePacket,
  type Packet,
  type PacketSource,
} from "./packet.ts";
import { openSharedState, type SharedState } from "./shared_state.ts";
import { NUMBER, ThreadBuffers } from "./thread_buffers.ts";
import { becomeReclaimer, becomeThread, keptOf, leave } from "./threads.ts";
import { PoolWaiting } from "./waiting.ts";

/**
 * A buffer pool: memory for messages, taken once and used over and over by any number of threads.
 *
 * This object is one thread's part in the pool, and must stay in that thread. Buffers are known by
 * their numbers, which costs no allocation; {@link Packet} is more convenient.
 *
 * @example Usage
 * ```ts
 * import { BufferPool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 16 });
 * // worker.postMessage(pool.handle), and there: BufferPool.attach(handle)
 *
 * const buffer = pool.acquire(); // blocks while there is none
 * const offset = pool.offsetOf(buffer);
 * pool.bytes.fill(7, offset, offset + pool.bufferBytes);
 * pool.release(buffer);
 * assertEquals(pool.usage().inUse, 0);
 * ```
 *
 * @example Without blocking
 * ```ts
 * import { BufferPool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 64, batchCount: 1, buffersPerBatch: 1 });
 * const only = pool.tryAcquire();
 * assertEquals(pool.tryAcquire(), -1);
 *
 * const next = pool.acquireAsync({ signal: AbortSignal.timeout(10_000) });
 * pool.release(only);
 * assertEquals(await next, only);
 * ```
 */
export class BufferPool implements BufferSource, Disposable {
  /** The memory that the pool lies in. */
  readonly memory: Memory;
  /** Where in the memory the pool begins. */
  readonly byteOffset: number;
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** The number of batches. */
  readonly batchCount: number;
  /** The buffers of a batch. */
  readonly buffersPerBatch: number;
  /** How many threads can be attached at a time. */
  readonly threads: number;
  /** How many buffers there are. */
  readonly bufferCount: number;
  /** A random number by which the pool is known among others. */
  readonly identity: number;
  /** The number of this thread among those attached, from 0. */
  readonly thread: number;
  /** The bytes of all buffers; each begins at its {@link BufferPool.offsetOf}. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly #region: Region<"busbar.buffer_pool", BufferPoolLayout>;
  readonly #shared: SharedState;
  readonly #buffers: ThreadBuffers;
  readonly #waiting: PoolWaiting;
  /** The state that the packets of this pool share. */
  readonly #source: PacketSource;
  /** The bytes from one buffer to the next. */
  readonly #stride: number;
  /** Where buffers and packets were taken, in a debug mode. */
  readonly #leaks: Leaks | undefined;

  private constructor(
    region: Region<"busbar.buffer_pool", BufferPoolLayout>,
    queue: WaiterQueue,
    thread?: number,
  ) {
    const { memory, byteOffset, layout } = region;
    const { dataWords, stride, byteLength } = layout;
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.bufferBytes = layout.bufferBytes;
    this.batchCount = layout.batchCount;
    this.buffersPerBatch = layout.buffersPerBatch;
    this.threads = layout.threads;
    this.bufferCount = layout.bufferCount;
    this.identity = layout.identity;
    const dataOffset = dataWords * Int32Array.BYTES_PER_ELEMENT;
    this.bytes = new Uint8Array(memory.buffer, byteOffset + dataOffset, byteLength - dataOffset);
    this.#region = region;
    this.#stride = stride;
    this.#leaks = layout.debug ? new Leaks() : undefined;

    const words = new Int32Array(memory.buffer, byteOffset, dataWords);
    const identity = becomeThread(words, layout.threads, thread);
    this.thread = identity.thread;
    this.#shared = openSharedState(words, queue, layout, identity);
    this.#buffers = new ThreadBuffers(this.#shared);
    this.#waiting = new PoolWaiting(this.#shared, this.#buffers);
    this.#source = {
      buffers: this.#buffers,
      bytes: this.bytes,
      bufferBytes: layout.bufferBytes,
      stride,
      pool: layout.identity,
      leaks: this.#leaks,
    };
  }

  /**
   * How many bytes of memory a pool takes.
   *
   * @throws {RangeError} If there can be no pool of this size.
   */
  static byteLength(size: BufferPoolSize): number {
    const { byteLength, threads } = layoutOf(size);
    return alignUp(byteLength, CACHE_LINE_BYTES) + WaiterQueue.byteLength(threads);
  }

  /**
   * Lays out a new pool, all of whose buffers are free, and attaches this thread.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   */
  static create(options: BufferPoolOptions): BufferPool {
    const layout = layoutOf(options);
    const memory = options.memory ?? Memory.create({ byteLength: BufferPool.byteLength(options) });
    const region = Region.create(KIND, layout, memory);
    const queue = WaiterQueue.create({ threads: layout.threads, memory });
    layout.initialize(region.words);
    return new BufferPool(region, queue);
  }

  /**
   * Attaches this thread to a pool that another one created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a pool of this version.
   * @throws {RangeError} If there is no thread of that number.
   * @throws {Error} If that thread is attached, or all thread slots are in use.
   */
  static attach(handle: BufferPoolHandle, options?: AttachOptions): BufferPool {
    if (options !== undefined) checkOptions("attach to the buffer pool", options);
    const region = Region.attach(KIND, handle);
    const queue = WaiterQueue.attach(handle.waiters);
    const place = region.byteOffset + alignUp(region.layout.byteLength, CACHE_LINE_BYTES);
    if (queue.byteOffset !== place || queue.memory.buffer !== region.memory.buffer) {
      throw new TypeError(
        `Cannot attach as 'waiters' must lie in the memory of the pool at ${place}: received others at ${queue.byteOffset}`,
      );
    }
    return new BufferPool(region, queue, options?.thread);
  }

  /** A plain object that survives structured clone and attaches another thread to this pool. */
  get handle(): BufferPoolHandle {
    return { ...this.#region.handle, waiters: this.#shared.queue.handle };
  }

  /** Whether this thread has left the pool: then it can neither have buffers nor make packets. */
  get hasLeft(): boolean {
    return this.#buffers.isClosed;
  }

  /**
   * Whether this thread has the only reference to a buffer, so that nobody sees what it does with
   * the bytes.
   *
   * @param buffer The number of a buffer.
   */
  isUnique(buffer: number): boolean {
    return this.#buffers.isUnique(buffer);
  }

  /**
   * Where a buffer begins in {@link BufferPool.bytes}; a multiple of 8.
   *
   * @param buffer The number of the buffer.
   */
  offsetOf(buffer: number): number {
    return buffer * this.#stride;
  }

  /**
   * Takes a free buffer, blocking while there is none. The thread that waits longest comes first.
   *
   * @returns Its number; -1 if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this thread has left the pool.
   */
  acquire(options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    const buffer = this.tryAcquire();
    return buffer < 0 ? this.#watch(this.#waiting.acquire(options)) : buffer;
  }

  /**
   * Takes a free buffer, without waiting.
   *
   * @returns Its number; -1 if there is none that this thread can have at once.
   * @throws {ClosedError} If this thread has left the pool.
   */
  tryAcquire(): number {
    const buffer = this.#buffers.tryAcquire();
    if (this.#leaks !== undefined) this.#watch(buffer);
    return buffer;
  }

  /**
   * Takes a free buffer, waiting without blocking while there is none. The thread that waits
   * longest comes first. The process stays alive meanwhile.
   *
   * @returns Its number; -1 if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this thread has left the pool, or leaves it meanwhile.
   * @throws The signal's reason, if it is aborted.
   */
  async acquireAsync(options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    const buffer = this.tryAcquire();
    return buffer < 0 ? this.#watch(await this.#waiting.acquireAsync(options)) : buffer;
  }

  /**
   * Adds a reference to a buffer: it is free after one more {@link BufferPool.release}.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {RangeError} If it is referred to 1023 times.
   * @throws {Error} If it is not in use here, or this thread has left the pool.
   */
  retain(buffer: number): void {
    this.#buffers.retain(buffer, NUMBER);
  }

  /**
   * Drops a reference to a buffer. Without any left it is free, and its bytes must not be touched.
   *
   * A number is as unsafe as a pointer: once the buffer is released and acquired again, the old
   * number names the new owner's buffer, so releasing it a second time takes that away, unnoticed.
   * A {@link Packet} knows that it was released.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {Error} If no number of it is in use here, or this thread has left the pool.
   */
  release(buffer: number): void {
    this.#buffers.release(buffer, NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
  }

  /**
   * Gives a reference to a buffer away, for another thread to adopt it.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @returns The ticket: a 32-bit whole number, to be sent there with the number of the buffer.
   * @throws {TicketsExhaustedError} If the buffer is shared, and all tickets of this thread are in
   * flight.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If the buffer is not in use here.
   */
  detachBuffer(buffer: number): number {
    const ticket = this.#buffers.detach(buffer, NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return ticket;
  }

  /**
   * Takes over a reference that another thread has detached.
   *
   * @param buffer The number of the buffer.
   * @param ticket What {@link BufferPool.detachBuffer} has returned there.
   * @throws {StaleTicketError} If that ticket is not in flight: it was adopted before, never
   * detached, or reclaimed.
   * @throws {ClosedError} If this thread has left the pool.
   */
  adoptBuffer(buffer: number, ticket: number): void {
    this.#buffers.adopt(buffer, ticket, NUMBER);
    this.#watch(buffer);
  }

  /**
   * As {@link BufferPool.adoptBuffer}, for a ticket that another thread may have adopted.
   *
   * @returns Whether the ticket was in flight, and the reference is this thread's now.
   * @throws {ClosedError} If this thread has left the pool.
   */
  tryAdoptBuffer(buffer: number, ticket: number): boolean {
    if (!this.#buffers.tryAdopt(buffer, ticket, NUMBER)) return false;
    this.#watch(buffer);
    return true;
  }

  /**
   * Makes a packet of a stretch of a buffer, which takes over one reference to it. Use
   * {@link BufferPool.sharePacket} to make several, or {@link Packet.clone} or {@link Packet.split}
   * afterwards.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @param offset Where in the buffer the packet begins; at its start by default.
   * @param length The bytes of the packet; up to the end of the buffer by default.
   * @throws {RangeError} If that does not lie within the buffer.
   * @throws {Error} If the buffer is not in use here, or this thread has left the pool.
   */
  packet(buffer: number, offset?: number, length?: number): Packet {
    const start = offset ?? 0;
    const count = length ?? this.bufferBytes - start;
    this.#checkStretch(start, count);
    this.#buffers.wrap(buffer);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return makePacket(this.#source, buffer, start, count);
  }

  /**
   * As {@link BufferPool.packet}, but the packet has a reference of its own, and the one by number
   * remains.
   *
   * @throws As {@link BufferPool.packet}.
   */
  sharePacket(buffer: number, offset: number, length: number): Packet {
    this.#checkStretch(offset, length);
    this.#buffers.addPacket(buffer);
    return makePacket(this.#source, buffer, offset, length);
  }

  /**
   * Adopts a packet that another thread has detached.
   *
   * @param detached What {@link Packet.detach} has returned there.
   * @throws {TypeError} If it is not that, or of another pool.
   * @throws {StaleTicketError} If it is not in flight: it was adopted before, never detached, or
   * reclaimed.
   * @throws {ClosedError} If this thread has left the pool.
   */
  adopt(detached: DetachedPacket): Packet {
    return adoptPacket(this.#source, detached);
  }

  /**
   * As {@link BufferPool.adopt}, from the words that {@link Packet.detachInto} has written there.
   *
   * @param words The array that holds them.
   * @param index The index of the first of them.
   * @throws {TypeError} If `words` is not an Int32Array, or the words are not those of a packet.
   * @throws {RangeError} If it does not have four words there.
   * @throws As {@link BufferPool.adopt}; a StaleTicketError also for words of another pool.
   */
  adoptFrom(words: Int32Array, index: number): Packet {
    checkWords("adopt", words, index);
    const source = this.#source;
    return adoptParts(
      source,
      words[index]!,
      words[index + 1]!,
      words[index + 2]!,
      words[index + 3]! ^ source.pool,
    );
  }

  /**
   * Returns the free buffers that this thread keeps cached to the pool, and to threads that wait.
   * Call it when the thread will not use the pool for a while.
   */
  returnCached(): void {
    this.#buffers.returnCached();
  }

  /**
   * Reclaims what a dead thread had, one that was ended by `terminate` for example, and did not
   * close its part. Call it only if the thread is dead, and executes nothing more: in Deno a worker
   * that computes or blocks continues after `terminate`, and would continue with buffers that were
   * taken from it. `src/when_a_worker_dies.md` says when a worker is dead, and what else to do.
   *
   * Buffers that other threads have, too, remain with them.
   *
   * @param thread The {@link BufferPool.thread} of the dead thread.
   * @returns How many buffers became free.
   * @throws {TypeError} If `options` is not an object.
   * @throws {RangeError} If there is no such thread.
   * @throws {Error} If that thread is not attached, or another one reclaims it, or it is this one.
   */
  reclaim(thread: number, options?: ReclaimOptions): number {
    if (options !== undefined) checkOptions("reclaim", options);
    checkInteger("reclaim", "thread", thread, 0, this.threads - 1);
    if (thread === this.thread) {
      throw new Error(`Cannot reclaim thread ${thread} as it is this one: close it`);
    }
    const { words, waiting, queue } = this.#shared;
    becomeReclaimer(words, thread, this.thread);
    waiting.remove(thread);
    // If it has waited: a value that it had received is offered, and reclaimed as such.
    if (queue.isJoined(thread)) queue.reclaim(thread);
    const count = this.#buffers.reclaim(thread, options?.detached ?? false);
    // It may have handed a buffer to a waiter, and not woken it.
    queue.reclaimWakeups();
    leave(words, thread, this.threads);
    return count;
  }

  /** How the pool is used, by all threads. */
  usage(): BufferPoolUsage {
    const { words, batches, waiting } = this.#shared;
    const threads = Array.from({ length: this.threads }, (_, thread) => thread);
    const kept = threads.map((thread) =>
      thread === this.thread ? this.#buffers.keptCount : keptOf(words, thread)
    );
    const free = batches.countFree();
    const { bits } = waiting;
    return {
      free,
      kept,
      // What is on its way from one to the other may have been seen twice.
      inUse: Math.max(0, this.bufferCount - free - kept.reduce((sum, count) => sum + count)),
      waiting: threads.filter((thread) => (bits & 1 << thread) !== 0),
      waitingHere: this.#waiting.count,
    };
  }

  /**
   * What this thread has taken and not released, and where, longest first.
   *
   * @throws {Error} If the pool was not created with `debug`.
   */
  leaks(): Leak[] {
    if (this.#leaks === undefined) {
      throw new Error("Cannot list leaks as the pool was not created with 'debug'");
    }
    return this.#leaks.list();
  }

  /**
   * Leaves the pool, to which all buffers of this thread return, also those in use. Closing again
   * does nothing.
   *
   * @throws {Error} If the pool was created with `debug` and buffers or packets are not released;
   * this thread has left the pool nevertheless. The error says where they were taken.
   */
  close(): void {
    if (this.#buffers.isClosed) return;
    this.#waiting.close();
    this.#buffers.close();
    leave(this.#shared.words, this.thread, this.threads);
    const leaks = this.#leaks?.list() ?? [];
    if (leaks.length > 0) {
      throw new Error(
        `The thread has left the pool without releasing ${leaks.length} of its references:\n${
          describeLeaks(leaks)
        }`,
      );
    }
  }

  /** As {@link BufferPool.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Throws unless the stretch lies within a buffer. */
  #checkStretch(offset: number, length: number): void {
    const isWhole = offset >>> 0 === offset && length >>> 0 === length;
    if (isWhole && offset + length <= this.bufferBytes) return;
    checkInteger("make packet", "offset", offset, 0, this.bufferBytes);
    checkInteger("make packet", "length", length, 0, this.bufferBytes - offset);
  }

  /** Notes that a buffer was acquired or adopted. */
  #watch(buffer: number): number {
    if (this.#leaks !== undefined && buffer >= 0) this.#leaks.addNumber(buffer);
    return buffer;
  }

  /** Notes that a reference by number was dropped. */
  #unwatch(buffer: number): void {
    if (!this.#buffers.hasNumber(buffer)) this.#leaks?.removeNumber(buffer);
  }
}
