/**
 * A buffer pool: reference-counted shared buffers of one size, allocated once and recycled by up to
 * 20 threads.
 *
 * The shared words are drawn in `layout.ts`, and each part of them has a file: `batches.ts`,
 * `holds.ts`, `tickets.ts`, `threads.ts`. The private state of a thread is described in
 * `thread_buffers.ts`, and how it waits in `waiting.ts`. Here is the protocol between threads.
 *
 * A buffer is *free* or *taken*. The hold of a taken buffer names all that have it: threads, which
 * are its *holders*, or *tickets* on their way to a thread. The taken bit decides: the hold of a
 * free buffer means nothing.
 *
 *     word     its value, and which thread changes it
 *     batch    which of its buffers are taken, and the *taker*, the one thread that may take some
 *              now; by read-modify-write only
 *     hold     stored by the taker while the buffer is free; afterwards changed by its holders, and
 *              by the thread that adopts or reclaims it
 *     ticket   its owner's while idle, then its adopter's: see `tickets.ts`
 *     waiting  which threads wait, a bit each; by read-modify-write
 *     state    whether a thread is attached under a number: see `threads.ts`
 *
 * **Taking** is by the batch. A thread becomes the taker by compareExchange, writes itself as the
 * holder of each free buffer, and with one exclusive-or sets their taken bits and clears the taker.
 * Other threads that look for buffers pass over a batch that has a taker.
 *
 * **Giving back** is one `and`, which clears the taken bits of buffers of one batch that only this
 * thread has.
 *
 * **Detaching.** A buffer that only the sender has is *sealed*: its hold becomes a ticket, unique
 * among 2^26, and a thread that knows the ticket becomes the holder by compareExchange. If the
 * sender keeps the buffer, or other threads have it, one of the sender's tickets is counted in the
 * hold instead.
 *
 * **Dropping the last reference.** If a thread that drops its last reference is the only holder,
 * and there are no flights, then only it has the buffer. Otherwise it removes itself from the
 * holders by compareExchange. If two threads do so at once, one of them fails, looks again, and
 * finds that it is the only holder.
 *
 * **Waiting.** A thread registers in the queue of waiters, and *then* looks at all batches. A
 * thread that gives back, or stops being a taker, looks *afterwards* whether a thread is
 * registered. So either the waiter finds a buffer, or the other thread finds the waiter and hands
 * it one, first come, first served.
 *
 * A thread keeps the buffers that it releases, unless a plain load tells it that a thread waits. So
 * a waiter is served at the latest when a thread that keeps a buffer acquires, releases, waits,
 * returns its cached buffers, or leaves. A thread that does not use the pool for a while calls
 * `returnCached`.
 *
 * **Happens before.** Batches are only changed by read-modify-write, so everything done with a
 * buffer before it was given back happens before everything done with it after it was taken.
 * Everything that a sender did happens before everything that the adopter does. Everything that a
 * holder did before it dropped its hold happens before everything done after the last drop.
 *
 * **Stale tickets.** A ticket that was already adopted, or the number of an offer that was
 * withdrawn, no longer matches the hold and is rejected, regardless of which thread has the buffer
 * by then.
 *
 * **Reclaiming.** Each step from one owner to the next is one atomic operation on one word, which
 * then names the new owner. So there is no instruction at which a thread can die and take a buffer
 * with it; a taker that dies has not taken yet. The reclaimer of a dead thread becomes the taker of
 * each batch in turn, and removes the dead thread from the holds. It waits for takers that live,
 * some nanoseconds, and for no other thread. Offered buffers are withdrawn, since the dead thread
 * may have offered them and not told a waiter; waiting threads are then served again.
 *
 * **Limits.** At most 20 threads, and 24 buffers in a batch. The numbers of tickets repeat after
 * 2^26 whole buffers of one sender, or 2^16 flights of one ticket for shared buffers.
 *
 * Proven by: tests/pool/buffer_pool_model_test.ts and, for threads that die at each instruction,
 * tests/pool/buffer_pool_reclaim_model_test.ts, which say what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { ReclaimedError } from "../memory/errors.ts";
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
import { type BufferPoolLayout, KIND, layoutOf } from "./layout.ts";
import { describeLeaks, type Leak, Leaks } from "./leaks.ts";
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
import {
  becomeReclaimer,
  becomeThread,
  isAttached,
  isReclaimed,
  keptOf,
  leave,
} from "./threads.ts";
import type {
  AttachOptions,
  BufferPoolHandle,
  BufferPoolOptions,
  BufferPoolSize,
  BufferPoolUsage,
  ReclaimOptions,
} from "./types.ts";
import { PoolWaiting } from "./waiting.ts";

// A local copy for the hot path: an imported binding is loaded at each use.
const BY_NUMBER = NUMBER;

/**
 * A buffer pool: reference-counted shared buffers of one size, allocated once and recycled by up to
 * 20 threads.
 *
 * This object is one thread's part in the pool, and must stay in that thread. A buffer is known by
 * its number, which costs no allocation; a {@link Packet} is more convenient, and safer.
 *
 * - **Exclusive.** A buffer that was acquired is free again only after every reference to it, of
 *   any thread, was released.
 * - **Cached.** Most acquisitions and releases change no shared word: each thread keeps up to two
 *   batches of free buffers. {@link BufferPool.returnCached} returns them.
 * - **FIFO order.** The thread that has waited longest gets the next buffer.
 * - **No lost wake-up.** No thread waits beside a free buffer; one that another thread keeps cached
 *   is handed over when that thread next uses the pool.
 * - **Visibility.** Everything done with a buffer before it was released or detached, plain writes
 *   too, is visible to the thread that acquires or adopts it.
 * - **Adopted once.** A ticket is valid for one thread and one time; a stale one is an error.
 * - **Repairable.** {@link BufferPool.reclaim} takes back what a dead thread had, wherever it died.
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
  /** The number of batches. Threads take free buffers by the batch. */
  readonly batchCount: number;
  /** The buffers of a batch. */
  readonly buffersPerBatch: number;
  /** How many threads can be attached at a time. */
  readonly threads: number;
  /** How many buffers there are. */
  readonly bufferCount: number;
  /** A random number that tells this pool from others. */
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
  /** Where buffers and packets were taken, in debug mode. */
  readonly #leaks: Leaks | undefined;

  /**
   * Made by {@link BufferPool.create} and {@link BufferPool.attach}.
   *
   * @ignore
   */
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
   * @throws {Error} If a thread is attached under that number, or all thread slots are in use.
   */
  static attach(handle: BufferPoolHandle, options?: AttachOptions): BufferPool {
    if (options !== undefined) checkOptions("attach to the buffer pool", options);
    const region = Region.attach(KIND, handle);
    const queue = WaiterQueue.attach(handle.waiters);
    const expected = region.byteOffset + alignUp(region.layout.byteLength, CACHE_LINE_BYTES);
    if (queue.byteOffset !== expected || queue.memory.buffer !== region.memory.buffer) {
      throw new TypeError(
        `Cannot attach as 'waiters' must lie in the memory of the pool at ${expected}: received others at ${queue.byteOffset}`,
      );
    }
    return new BufferPool(region, queue, options?.thread);
  }

  /** A plain object that survives structured clone and attaches another thread to this pool. */
  get handle(): BufferPoolHandle {
    return { ...this.#region.handle, waiters: this.#shared.queue.handle };
  }

  /** Whether this thread has left the pool: then it has no buffers, and cannot acquire any. */
  get hasLeft(): boolean {
    return this.#buffers.isClosed;
  }

  /**
   * Whether this thread has the only reference to a buffer, by number, so that no other thread or
   * packet shows its bytes.
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
   * Copies `byteLength` bytes of {@link BufferPool.bytes} from the offset `source` to the offset
   * `target`, faster than `bytes.copyWithin` does where the memory copies natively. Both ranges lie
   * in buffers that are in use in this thread.
   */
  copyWithin(target: number, source: number, byteLength: number): void {
    const { byteOffset } = this.bytes;
    this.memory.copyWithin(byteOffset + target, byteOffset + source, byteLength);
  }

  /**
   * Takes a free buffer, blocking while there is none. The thread that has waited longest comes
   * first.
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
   * @returns Its number; -1 if none is free, or other threads keep or wait for those that are.
   * @throws {ClosedError} If this thread has left the pool.
   */
  tryAcquire(): number {
    const buffer = this.#buffers.tryAcquire();
    if (this.#leaks !== undefined) this.#watch(buffer);
    return buffer;
  }

  /**
   * Takes a free buffer, waiting without blocking while there is none. The thread that has waited
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
   * @throws {RangeError} If this thread has 1023 references to it.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If no number of the buffer is in use here.
   */
  retain(buffer: number): void {
    this.#buffers.retain(buffer, NUMBER);
  }

  /**
   * Drops a reference to a buffer. After the last one it is free, and its bytes must not be
   * touched.
   *
   * A number is as unsafe as a pointer: once the buffer is released and acquired again, the old
   * number names the new owner's buffer, so a second release takes that buffer away, unnoticed. A
   * {@link Packet} knows that it was released.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If no number of the buffer is in use here.
   */
  release(buffer: number): void {
    this.#buffers.release(buffer, BY_NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
  }

  /**
   * Gives a reference to a buffer away, for another thread to adopt it.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @returns The ticket: a 32-bit whole number, to be sent with the number of the buffer.
   * @throws {TicketsExhaustedError} If the buffer is shared, and all tickets of this thread are in
   * flight.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If no number of the buffer is in use here.
   */
  detachBuffer(buffer: number): number {
    const ticket = this.#buffers.detach(buffer, NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return ticket;
  }

  /**
   * Adopts a reference that another thread has detached.
   *
   * @param buffer The number of the buffer.
   * @param ticket The result of {@link BufferPool.detachBuffer} there.
   * @throws {StaleTicketError} If the ticket is not in flight: it was adopted before, never
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
   * @returns Whether this thread has adopted it; false if the ticket is not in flight.
   * @throws {ClosedError} If this thread has left the pool.
   */
  tryAdoptBuffer(buffer: number, ticket: number): boolean {
    if (!this.#buffers.tryAdopt(buffer, ticket, NUMBER)) return false;
    this.#watch(buffer);
    return true;
  }

  /**
   * Makes a packet of a range of bytes of a buffer. The packet takes over one reference by number.
   * To make several of one buffer, use {@link BufferPool.sharePacket}, or {@link Packet.clone} or
   * {@link Packet.split} afterwards.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @param offset Where in the buffer the packet begins; 0 by default.
   * @param length The bytes of the packet; up to the end of the buffer by default.
   * @throws {RangeError} If the range does not lie within the buffer.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If no number of the buffer is in use here.
   */
  packet(buffer: number, offset?: number, length?: number): Packet {
    const start = offset ?? 0;
    const count = length ?? this.bufferBytes - start;
    this.#checkRange(start, count);
    this.#buffers.wrap(buffer);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return makePacket(this.#source, buffer, start, count);
  }

  /**
   * As {@link BufferPool.packet}, but the packet gets a reference of its own, and the one by number
   * remains.
   *
   * @throws {RangeError} If the range does not lie within the buffer, or this thread has too many
   * packets of it.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If no number of the buffer is in use here.
   */
  sharePacket(buffer: number, offset: number, length: number): Packet {
    this.#checkRange(offset, length);
    this.#buffers.addPacket(buffer);
    return makePacket(this.#source, buffer, offset, length);
  }

  /**
   * Adopts a packet that another thread has detached.
   *
   * @param detached The result of {@link Packet.detach} there.
   * @throws {TypeError} If it is not a detached packet, or is one of another pool.
   * @throws {StaleTicketError} If its ticket is not in flight: it was adopted before, never
   * detached, or reclaimed.
   * @throws {ClosedError} If this thread has left the pool.
   */
  adopt(detached: DetachedPacket): Packet {
    return adoptPacket(this.#source, detached);
  }

  /**
   * As {@link BufferPool.adopt}, from four words that {@link Packet.detachInto} has written.
   *
   * @param words The array that holds them.
   * @param index The index of the first of them.
   * @throws {TypeError} If `words` is not an Int32Array, or the words are not those of a packet.
   * @throws {RangeError} If there are no four words at `index`.
   * @throws {StaleTicketError} As {@link BufferPool.adopt}, and for words of another pool.
   * @throws {ClosedError} If this thread has left the pool.
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
   * Returns the free buffers that this thread keeps cached, to threads that wait and to the pool.
   * Call it when this thread will not use the pool for a while.
   */
  returnCached(): void {
    this.#buffers.returnCached();
  }

  /**
   * Whether a thread is attached under this number, and has not left or been reclaimed.
   *
   * @param thread A {@link BufferPool.thread}.
   * @throws {RangeError} If there is no such thread.
   */
  isAttached(thread: number): boolean {
    checkInteger("look", "thread", thread, 0, this.threads - 1);
    return isAttached(this.#shared.words, thread);
  }

  /**
   * Reclaims the buffers of a dead thread, such as one that was ended by `terminate`, which has not
   * closed its part. Call it only if the thread is dead, and executes nothing more: in Deno a
   * worker that computes or blocks continues after `terminate`, and would continue to use buffers
   * that were taken from it. `src/when_a_worker_dies.md` says when a worker is dead, and what else
   * to do.
   *
   * Buffers that other threads have too remain with them. A thread that may have died before it was
   * attached, or after it left, has nothing to reclaim: {@link BufferPool.isAttached} tells.
   *
   * @param thread The {@link BufferPool.thread} of the dead thread.
   * @returns How many buffers became free.
   * @throws {TypeError} If `options` is not an object.
   * @throws {RangeError} If there is no such thread.
   * @throws {Error} If that thread is not attached, another thread is reclaiming it, or it is this
   * one.
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
    // If it has waited. A buffer that it had received is still offered, and is withdrawn below.
    if (queue.isJoined(thread)) queue.reclaim(thread);
    const count = this.#buffers.reclaim(thread, options?.detached ?? false);
    // The dead thread may have handed a buffer to a waiter, and not woken it.
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
      // A buffer may have been counted twice while it moved from one thread to another.
      inUse: Math.max(0, this.bufferCount - free - kept.reduce((sum, count) => sum + count)),
      waiting: threads.filter((thread) => (bits & 1 << thread) !== 0),
      waitingHere: this.#waiting.count,
    };
  }

  /**
   * The references that this thread has not released, and where they were taken, oldest first.
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
   * Leaves the pool. All buffers of this thread return to it, also those in use. Closing again does
   * nothing.
   *
   * @throws {ReclaimedError} If another thread has reclaimed this one, which is alive. Nothing is
   * returned then.
   * @throws {Error} If the pool was created with `debug`, and buffers or packets were not released.
   * This thread has left the pool nevertheless. The error says where they were taken.
   */
  close(): void {
    if (this.#buffers.isClosed) return;
    const { words, identity } = this.#shared;
    if (isReclaimed(words, identity)) {
      // The number may belong to another thread by now.
      this.#buffers.abandon();
      throw new ReclaimedError(
        `Cannot leave the pool as thread ${this.thread} as another thread has reclaimed it`,
      );
    }
    this.#waiting.close();
    this.#buffers.close();
    leave(words, this.thread, this.threads);
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

  /** Throws unless the range lies within a buffer. */
  #checkRange(offset: number, length: number): void {
    const isWhole = offset >>> 0 === offset && length >>> 0 === length;
    if (isWhole && offset + length <= this.bufferBytes) return;
    checkInteger("make packet", "offset", offset, 0, this.bufferBytes);
    checkInteger("make packet", "length", length, 0, this.bufferBytes - offset);
  }

  /** Records that a buffer was acquired or adopted. */
  #watch(buffer: number): number {
    if (this.#leaks !== undefined && buffer >= 0) this.#leaks.addNumber(buffer);
    return buffer;
  }

  /** Records that a reference by number was dropped. */
  #unwatch(buffer: number): void {
    if (!this.#buffers.hasNumber(buffer)) this.#leaks?.removeNumber(buffer);
  }
}
