/**
 * A buffer pool: memory for messages, taken once and used over and over by any number of threads.
 *
 * What the threads share is drawn in `layout.ts`, and each part of it has a file: `batches.ts`,
 * `holds.ts`, `tickets.ts`, `threads.ts`, `waiting_threads.ts`. What one thread keeps to itself is
 * told in `thread_buffers.ts`, and how it waits in `waiting.ts`. Here is what threads have to do
 * with one another.
 *
 * A buffer is *free*, or it is *taken*, and its hold says who has it: threads, which are its
 * *holders*, or *tickets* on their way to a thread. The taken bit decides: the hold of a free buffer
 * means nothing.
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
 * holder of each free buffer, and with one exclusive-or sets their taken bits and takes its name away.
 * Other takers pass a batch over that has one.
 *
 * **Giving back** is one `and`, which clears the taken bits of any buffers of a batch that only this
 * thread has.
 *
 * **Sending.** A buffer that only the sender has is *sealed*: its hold becomes a ticket, unique
 * among 2^26, and a receiver that knows it becomes the holder by compareExchange. If the sender keeps
 * the buffer, or others have it, one of its tickets is counted in the hold instead.
 *
 * **Letting go.** A thread that drops its last reference and is the only holder, without flights,
 * has the buffer to itself. Else it takes itself out of the holders by compareExchange. If two do
 * so at once, one of them fails, looks again, and finds that it is the only one.
 *
 * **Waiting.** A thread registers in the queue of waiters, and *then* looks at all batches. Whoever
 * gives back, or stops being a taker, looks *then* whether anybody is registered. So either the waiter
 * finds a buffer, or is found; and is handed one, first come, first served.
 *
 * What a thread releases it keeps in private, unless a plain look tells it that somebody waits. So a
 * waiter is served at the latest when a thread that keeps a buffer acquires, releases, waits,
 * flushes or leaves; a thread that does not use the pool for a while flushes.
 *
 * **Happens before.** Batches are only read-modify-written, so what was done with a buffer before
 * it was given back happens before what is done with it after it was taken. What a sender did
 * happens before what the receiver does, and what all holders did before what the one does who lets
 * go last.
 *
 * **Too late.** Who comes with a ticket that was received before, or with the number of an offered
 * buffer that was taken back, finds another hold, and is refused; whoever has the buffer by then.
 * Numbers of tickets come again after 2^26 whole buffers of one sender, those of shared ones after 2^16
 * flights of one ticket.
 *
 * **Reclaiming.** Each step from one owner to the next is one atomic operation on one word, and the
 * word then names the new one; so there is no instruction at which a thread can die and take a
 * buffer with it. A taker that dies has not taken yet. Who reclaims a dead thread becomes the taker
 * of each batch in turn, and takes it out of the holds; it waits for living takers, some
 * nanoseconds, and for nobody else. What is offered to waiters is taken back, too, since it may have
 * been offered by the dead thread to nobody; the waiters are served again.
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
import { checkTimeout, checkWaitOptions, type WaitOptions } from "../memory/wait_options.ts";
import { WaiterQueue } from "../sync/waiter_queue.ts";
import { initialize, KIND, LEAST_BYTES, placesOf, readShape, type Shape } from "./layout.ts";
import { describeLeaks, type Leak, Leaks } from "./leaks.ts";
import { PoolWaiting } from "./waiting.ts";
import {
  type AttachOptions,
  type BufferPoolHandle,
  type BufferPoolOptions,
  type BufferPoolSize,
  type BufferPoolUsage,
  type ReclaimOptions,
  shapeOf,
} from "./options.ts";
import {
  checkWords,
  type DetachedPacket,
  makePacket,
  type Packet,
  type PacketSource,
  receivePacket,
  receiveParts,
} from "./packet.ts";
import { openSharedState, type SharedState } from "./shared_state.ts";
import { NUMBER, ThreadBuffers } from "./thread_buffers.ts";
import { becomeReclaimer, becomeThread, keptOf, leave } from "./threads.ts";

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
export class BufferPool implements Disposable {
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
  readonly bytes: Uint8Array;
  readonly #region: Region<"busbar.buffer_pool">;
  readonly #shared: SharedState;
  readonly #buffers: ThreadBuffers;
  readonly #waiting: PoolWaiting;
  /** What packets of this pool know. */
  readonly #source: PacketSource;
  /** From one buffer to the next, in bytes. */
  readonly #stride: number;
  /** Where buffers and packets were taken, in a debug mode. */
  readonly #leaks: Leaks | undefined;

  private constructor(
    region: Region<"busbar.buffer_pool">,
    queue: WaiterQueue,
    shape: Shape,
    thread?: number,
  ) {
    const { memory, byteOffset } = region;
    const { data, stride, byteLength } = placesOf(shape);
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.bufferBytes = shape.bufferBytes;
    this.batchCount = shape.batchCount;
    this.buffersPerBatch = shape.buffersPerBatch;
    this.threads = shape.threads;
    this.bufferCount = shape.batchCount * shape.buffersPerBatch;
    this.identity = shape.identity;
    this.bytes = new Uint8Array(memory.buffer, byteOffset + data * 4, byteLength - data * 4);
    this.#region = region;
    this.#stride = stride;
    this.#leaks = shape.debug ? new Leaks() : undefined;

    const words = new Int32Array(memory.buffer, byteOffset, data);
    const identity = becomeThread(words, shape.threads, thread);
    this.thread = identity.thread;
    this.#shared = openSharedState(words, queue, shape, identity);
    this.#buffers = new ThreadBuffers(this.#shared);
    this.#waiting = new PoolWaiting(this.#shared, this.#buffers);
    this.#source = {
      buffers: this.#buffers,
      bytes: this.bytes,
      bufferBytes: shape.bufferBytes,
      stride,
      pool: shape.identity,
      leaks: this.#leaks,
    };
  }

  /**
   * How many bytes of memory a pool takes.
   *
   * @throws {RangeError} If that is not the size of a pool.
   */
  static byteLength(size: BufferPoolSize): number {
    const shape = shapeOf(size);
    const poolBytes = alignUp(placesOf(shape).byteLength, CACHE_LINE_BYTES);
    return poolBytes + WaiterQueue.byteLength(shape.threads);
  }

  /**
   * Lays a new pool out, all of whose buffers are free, and attaches this thread.
   *
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   */
  static create(options: BufferPoolOptions): BufferPool {
    const shape = shapeOf(options);
    const memory = options.memory ?? Memory.create({ byteLength: BufferPool.byteLength(options) });
    const region = Region.create(KIND, placesOf(shape).byteLength, memory);
    const queue = WaiterQueue.create({ threads: shape.threads, memory });
    initialize(region, shape);
    return new BufferPool(region, queue, shape);
  }

  /**
   * Attaches this thread to a pool that another one created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a pool of this version.
   * @throws {RangeError} If there is no thread of that number.
   * @throws {Error} If that thread is attached, or as many as can be.
   */
  static attach(handle: BufferPoolHandle, options: AttachOptions = {}): BufferPool {
    checkOptions("attach to the buffer pool", options);
    const size = (words: Int32Array) => placesOf(readShape(words)).byteLength;
    const region = Region.attach(KIND, handle, LEAST_BYTES, size);
    const shape = readShape(region.words);
    const queue = WaiterQueue.attach(handle.waiters);
    const place = region.byteOffset + alignUp(placesOf(shape).byteLength, CACHE_LINE_BYTES);
    if (queue.byteOffset !== place || queue.memory.buffer !== region.memory.buffer) {
      throw new TypeError(
        `Cannot attach as 'waiters' must lie in the memory of the pool at ${place}: received others at ${queue.byteOffset}`,
      );
    }
    return new BufferPool(region, queue, shape, options.thread);
  }

  /** A plain object that survives structured clone and attaches another thread to this pool. */
  get handle(): BufferPoolHandle {
    return { ...this.#region.handle, waiters: this.#shared.queue.handle };
  }

  /** Whether this thread has left the pool: then it can neither have buffers nor make packets. */
  get hasLeft(): boolean {
    return this.#buffers.isDisposed;
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
   * Takes a free buffer.
   *
   * @returns Its number, or -1 if there is none that this thread can have at once.
   * @throws {Error} If this was disposed of.
   */
  tryAcquire(): number {
    const buffer = this.#buffers.tryAcquire();
    if (this.#leaks !== undefined) this.#watch(buffer);
    return buffer;
  }

  /**
   * Takes a free buffer; blocks while there is none. Who waits longest comes first.
   *
   * @param timeoutMs For how many milliseconds at most; for ever by default.
   * @returns Its number, or -1 if the time is over.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this was disposed of.
   */
  acquire(timeoutMs: number = Infinity): number {
    if (timeoutMs !== Infinity) checkTimeout(timeoutMs);
    const buffer = this.tryAcquire();
    return buffer < 0 ? this.#watch(this.#waiting.acquire(timeoutMs)) : buffer;
  }

  /**
   * Takes a free buffer; waits, without blocking, while there is none. Who waits longest comes first. The process
   * stays alive meanwhile.
   *
   * @returns Its number, or -1 if the time is over.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   * @throws {Error} If this was or is disposed of.
   */
  async acquireAsync(options: WaitOptions = {}): Promise<number> {
    checkWaitOptions(options);
    const buffer = this.tryAcquire();
    return buffer < 0 ? this.#watch(await this.#waiting.acquireAsync(options)) : buffer;
  }

  /**
   * Adds a reference to a buffer: it is free after one more {@link BufferPool.release}.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {RangeError} If it is referred to 1023 times.
   * @throws {Error} If it is not in use here, or this was disposed of.
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
   * @throws {Error} If no number of it is in use here, or this was disposed of.
   */
  release(buffer: number): void {
    this.#buffers.release(buffer, NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
  }

  /**
   * Hands a reference to a buffer over to another thread, which must receive it.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @returns The ticket: a 32-bit whole number, to be sent there with the number of the buffer.
   * @throws {Error} If the buffer is not in use here, or this was disposed of; or if this thread,
   * or others, have it, too, and all tickets for those are in flight.
   */
  detachBuffer(buffer: number): number {
    const ticket = this.#buffers.send(buffer, NUMBER);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return ticket;
  }

  /**
   * Takes a reference over that another thread has sent.
   *
   * @param buffer The number of the buffer.
   * @param ticket What {@link BufferPool.detachBuffer} has returned there.
   * @throws {Error} If that ticket is not in flight: it was received before, never sent, or
   * reclaimed. Or if this was disposed of.
   */
  adoptBuffer(buffer: number, ticket: number): void {
    this.#buffers.receive(buffer, ticket, NUMBER);
    this.#watch(buffer);
  }

  /**
   * As {@link BufferPool.adoptBuffer}, for a ticket that another may have received.
   *
   * @returns Whether the ticket was in flight, and the reference is this thread's now.
   * @throws {Error} If this was disposed of.
   */
  tryAdoptBuffer(buffer: number, ticket: number): boolean {
    if (!this.#buffers.tryReceive(buffer, ticket, NUMBER)) return false;
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
   * @throws {Error} If the buffer is not in use here, or this was disposed of.
   */
  packet(buffer: number, offset: number = 0, length: number = this.bufferBytes - offset): Packet {
    this.#checkStretch(offset, length);
    this.#buffers.wrap(buffer);
    if (this.#leaks !== undefined) this.#unwatch(buffer);
    return makePacket(this.#source, buffer, offset, length);
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
   * Receives a packet that another thread has sent.
   *
   * @param sent What {@link Packet.send} has returned there.
   * @throws {TypeError} If it is not that, or of another pool.
   * @throws {Error} If it is not in flight: it was received before, never sent, or reclaimed. Or if
   * this was disposed of.
   */
  receive(sent: DetachedPacket): Packet {
    return receivePacket(this.#source, sent);
  }

  /**
   * As {@link BufferPool.receive}, from the words that {@link Packet.detachInto} has written there.
   *
   * @param words Where they are.
   * @param index Where in it they begin.
   * @throws {TypeError} If `words` is no Int32Array, or what it has there is not that.
   * @throws {RangeError} If it does not have four words there.
   * @throws {Error} As {@link BufferPool.receive}, also if they are those of another pool.
   */
  adoptFrom(words: Int32Array, index: number): Packet {
    checkWords("receive", words, index);
    const source = this.#source;
    return receiveParts(
      source,
      words[index]!,
      words[index + 1]!,
      words[index + 2]!,
      words[index + 3]! ^ source.pool,
    );
  }

  /**
   * Gives the free buffers that this thread keeps back to the pool, and to who waits. To be called
   * when the thread will not use the pool for a while.
   */
  flush(): void {
    this.#buffers.flush();
  }

  /**
   * Takes back what another thread had that has died, by `terminate` say, and did not dispose of its
   * part. Call it only if the thread is dead, and executes nothing more: in Deno a worker that
   * computes or blocks goes on after `terminate`, and would go on with buffers that were taken back.
   * `src/when_a_worker_dies.md` says when a worker is dead, and what else to do.
   *
   * Buffers that others have, too, remain with them.
   *
   * @param thread The {@link BufferPool.thread} of the one that died.
   * @returns How many buffers became free.
   * @throws {RangeError} If there is no such thread.
   * @throws {Error} If that thread is not attached, or another one reclaims it, or it is this one.
   */
  reclaim(thread: number, options: ReclaimOptions = {}): number {
    checkOptions("reclaim", options);
    checkInteger("reclaim", "thread", thread, 0, this.threads - 1);
    if (thread === this.thread) {
      throw new Error(`Cannot reclaim thread ${thread} as it is this one: dispose of it`);
    }
    const { words, waiting, queue } = this.#shared;
    becomeReclaimer(words, thread, this.thread);
    waiting.remove(thread);
    // If it has waited: what it was given is offered, and taken back as such.
    if (queue.isJoined(thread)) queue.evict(thread);
    const count = this.#buffers.reclaim(thread, options.sent ?? false);
    // It may have handed a buffer to somebody, and not woken them.
    queue.wakeAll();
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
   * Leaves the pool, to which all buffers of this thread return, also those in use. Doing it again
   * does nothing.
   *
   * @throws {Error} If the pool was created with `debug` and buffers or packets are not released;
   * this thread has left the pool nevertheless. The error says where they were taken.
   */
  [Symbol.dispose](): void {
    if (this.#buffers.isDisposed) return;
    this.#waiting[Symbol.dispose]();
    this.#buffers.dispose();
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

  /** Refuses what does not lie within a buffer. */
  #checkStretch(offset: number, length: number): void {
    const isWhole = offset >>> 0 === offset && length >>> 0 === length;
    if (isWhole && offset + length <= this.bufferBytes) return;
    checkInteger("make packet", "offset", offset, 0, this.bufferBytes);
    checkInteger("make packet", "length", length, 0, this.bufferBytes - offset);
  }

  /** A buffer was acquired or received. */
  #watch(buffer: number): number {
    if (this.#leaks !== undefined && buffer >= 0) this.#leaks.addNumber(buffer);
    return buffer;
  }

  /** A reference by number was dropped. */
  #unwatch(buffer: number): void {
    if (!this.#buffers.hasNumber(buffer)) this.#leaks?.removeNumber(buffer);
  }
}
