/**
 * A flush queue: many writers on any threads, one flusher, and the messages between them in the
 * buffers of a pool.
 *
 * The messages of a writer lie one after the other in *segments*, each in one buffer of the pool,
 * numbered in the order in which they are opened. A buffer has a table beside it, which states for
 * each message where it lies, and has one bit that marks it as *ended*, committed or aborted. The
 * flusher goes through the segments of a writer in order, and through the messages of each in
 * order, as far as they are marked. The words are drawn in `layout.ts`; these threads change them:
 *
 *     word          its value, and the threads that change it
 *     use           its holder, and how often it was closed: taken by compareExchange;
 *                   released by its holder or, once it was reclaimed, by the flusher
 *     reserved[s]   messages and bytes reserved in segment s, and CLOSED. Stored by the thread that
 *                   opens the segment; increased by compareExchange by threads that claim; closed
 *                   by `or` or store
 *     marks[b]      16 messages a word, and STALLED. Cleared plainly by the thread that opens a
 *                   segment in the buffer; set by `or` by threads that end a message (a local
 *                   writer, which knows its marks, stores them), and by the flusher
 *     messages[b]   offset, length and count: written plainly by the thread that ends the message,
 *                   before its mark
 *     ticket[s]     of the buffer: written by the thread that opens the segment; from then on the
 *                   flusher's
 *     current       the number of the latest segment, SWITCHING, WAITING: see below
 *     consumed      the segment that is received next: stored by the flusher
 *     received      how many of its messages were received: used plainly, by the flusher alone
 *     flushed       a bit for each writer that has published, SLEEPING, ABANDONING: see below
 *     flusher       which thread is the flusher: as `use`
 *
 * **Claiming** takes bytes and a slot in the order at once, by one compareExchange of `reserved`. A
 * thread remembers the value that it saw last and begins with that, so alone it succeeds at once. A
 * thread that succeeds is in a segment that is open and stays so until the message has ended; it
 * reads the buffer's number after that. If the place in the ring of segments was opened again
 * meanwhile, the reservation lies in the new segment. A local writer counts in private and writes
 * `reserved` only when it opens or closes a segment.
 *
 * **A message of more than half a buffer** gets a buffer to itself, and takes a slot in the order
 * but no bytes of the segment. So the rest of the segment is not lost and the order is kept.
 *
 * **Switching.** A thread that finds no room sets SWITCHING in `current`, unless it is set, by
 * compareExchange. That thread alone then acquires a buffer, closes the segment by `or` of CLOSED,
 * opens the next with its own message as the first, and exchanges `current` for the new number.
 * Other threads that find no room set WAITING and sleep on `current`; the exchange finds that, and
 * wakes them. A thread that gives up exchanges `current` for the old number, which lets another
 * try. A thread that finds the new segment through its place in the ring may claim, end and publish
 * a message before the exchange, when the flusher cannot find it; so after the exchange the opener
 * looks whether `reserved` has changed, and if so sets the writer's bit in `flushed` again. Shorter
 * messages may be claimed in the rest of the segment until it is closed. A thread that closes a
 * segment publishes with its next publish at the latest, so the flusher learns of it. If the pool
 * has no buffer, the thread closes the segment and publishes *before* it waits: the buffer that it
 * waits for may be the very buffer of that segment.
 *
 * **Ending** in any order: each thread marks its own message by one `or`, which publishes it, and
 * waits for no other. An aborted message has a mark, too, and the length ABORTED. A local writer
 * joins messages that end in order, and marks them as one when it publishes.
 *
 * **Publishing.** A thread notes in private in which writers it has ended messages. To publish, it
 * sets the bits of all of them in `flushed`, by one `or`, and notifies if it found SLEEPING and no
 * other bit there. The flusher takes all bits by exchange, and looks at the marks of those writers
 * *afterwards*. So either the exchange comes after the `or`, and the flusher finds the messages, or
 * before, and it finds the bits the next time. To sleep it changes `flushed` from 0 to SLEEPING by
 * compareExchange.
 *
 * **Messages behind an open one** that are published wait for it. The flusher that finds such
 * messages sets STALLED in the word of marks of the open one, by `or`, which tells it whether the
 * message has ended meanwhile. Otherwise the thread that ends it finds STALLED, by its own `or`,
 * and publishes at once. So a published message is received as soon as all before it have ended, in
 * whichever order the threads publish. A local writer knows this by itself.
 *
 * **Consuming.** When all messages of a closed segment are received, the flusher adopts the buffer
 * by its ticket, stores `consumed`, and releases the buffer. Until then the pool has the buffer in
 * flight, so reclaiming the thread of a dead writer or flusher does not free it. Having consumed a
 * segment, it goes to the next of the writers that it took, and returns to this one in the next
 * round, together with those that have published meanwhile.
 *
 * **Closing.** A writer publishes everything, *then* raises its count of closings, in the same
 * store that frees its place, and then sets its bit in `flushed` and wakes the flusher. A flusher
 * that has received everything sums up the counts, and *then* looks at `flushed`: if there is no
 * bit, it took those of the closed writers before, and so has received all their messages. If the
 * closing comes after it looked, the bit that follows wakes it.
 *
 * **Dying.** Everything that a thread does for others is one operation: the `or` that publishes,
 * the mark, the opening of a segment. So a thread that dies leaves no other waiting, except threads
 * that share its writer, and messages behind those that it had open. The thread that reclaims it
 * makes `use` ABANDONED and sets ABANDONING beside the writer's bit; the flusher then skips the
 * open messages of that writer, closes its last segment, and frees it. A flusher that dies may have
 * taken any bits, so all are set for its successor, which begins with the messages that were not
 * `received`. The dead one may have adopted a buffer and not have stored `consumed`: then the
 * ticket is void, the successor skips it, and the pool frees the buffer as one that the dead thread
 * had.
 *
 * **Why nothing races.** A message's bytes, offset, length and count are written before its mark,
 * by an atomic write which the flusher reads from, directly or through a chain of
 * read-modify-writes. The words of a segment are written before `reserved` and `current`, and every
 * thread that reads them has read one of these. A place in the ring of segments is rewritten after
 * `consumed` was read, which the flusher stores after its last look at it. Table and bytes of a
 * buffer change hands with the buffer, through the pool. The words of the flusher pass from one to
 * the next through `flusher`, and those of a dead thread to the thread that knows that it has died.
 *
 * **Limits.** Threads that share a writer with one that dies, while that switches or has a message
 * open, may wait for it until their time is over; the writer must be given up as a whole. A process
 * that is killed while it makes a packet of a run may take the buffer of the run with it. A writer
 * holds the buffer of its latest segment until it is closed, and one more if it makes packets, so a
 * pool needs more buffers than a queue has writers. Messages of different writers come in no order,
 * even if one thread has closed one writer and then made another. Closings of one writer's place
 * are counted up to 2^24.
 *
 * Proven by: tests/queue/flush_queue_model_test.ts, for two writing threads and a flusher with
 * buffers of a plain pool; tests/queue/flush_queue_pool_model_test.ts, with those of a real one;
 * tests/queue/flush_queue_death_model_test.ts, for threads that die at each instruction; and
 * tests/queue/closing_model_test.ts, for writers that close.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import { checkHandle } from "../memory/handle.ts";
import type { Memory } from "../memory/memory.ts";
import { isObserved } from "../memory/observer.ts";
import { randomIdentity } from "../memory/platform.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { type BufferSource, checkPool } from "../pool/buffer_source.ts";
import { WriteFlusher } from "./flusher.ts";
import {
  ABANDONED,
  ABANDONING,
  DIED,
  FLUSHER,
  FlushQueueLayout,
  FREE,
  HOLDER_MASK,
  IDENTITY,
  KIND,
  POOL,
  SHARED,
  USE,
  WRITER_KIND,
} from "./layout.ts";
import { LocalWriter } from "./local_writer.ts";
import { SharedWriter } from "./shared_writer.ts";
import { ThreadQueue } from "./thread_queue.ts";
import type { Writer, WriterHandle } from "./writer.ts";

/** Opens a {@link FlushQueue} in another thread. */
export type FlushQueueHandle = RegionHandle<"busbar.flush_queue">;

/** Options of {@link FlushQueue.create}. */
export interface FlushQueueOptions {
  /** Where the writers' buffers come from. */
  pool: BufferSource;
  /** How many writers there may be at a time, from 1 to 30; 8 by default. */
  writers?: number;
  /**
   * How many messages of a shared writer one buffer may hold, and how many publications of a local
   * one; by default one for every 32 bytes, but at least 16. Each takes 12 bytes of memory for
   * every buffer of the pool.
   */
  messagesPerBuffer?: number;
  /** The memory to lay the queue out in; one of its own by default. */
  memory?: Memory;
}

/** Options of {@link FlushQueue.writer}. */
export interface QueueWriterOptions {
  /** A number by which the flusher tells you the writer of a run; its place by default. */
  id?: number;
  /**
   * Whether other threads may attach to it, too; false by default, which is several times faster.
   */
  shared?: boolean;
}

const DEFAULT_WRITERS = 8;
const MAX_ID = 2 ** 31 - 1;

/**
 * A queue of many writers and one consumer (MPSC queue), with its messages in the buffers of a
 * pool.
 *
 * The thread that creates the queue sends its handle, and that of the pool, to the other threads.
 * Each of them makes a {@link Writer} or attaches to a shared one; one becomes the {@link
 * WriteFlusher}.
 *
 * - **FIFO order.** The messages of a writer arrive in the order in which they were claimed.
 * - **Exactly once.** Each published message arrives once, also if threads die and are reclaimed.
 * - **Backpressure.** Writers wait for free buffers; the memory of the queue never grows.
 * - **Batching.** Any number of messages is published by one atomic operation and at most one
 *   wake-up.
 * - **End of stream.** The flusher learns how many writers were closed.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * // worker.postMessage({ pool: pool.handle, queue: queue.handle }), and there:
 * // const pool = BufferPool.attach(handles.pool);
 * // const writer = FlushQueue.attach(handles.queue, pool).writer();
 *
 * using writer = queue.writer({ id: 7 });
 * writer.append(new Uint8Array([1, 2]));
 * writer.append(new Uint8Array([3]));
 * writer.publish(); // both at once
 *
 * using flusher = queue.flusher();
 * flusher.drain((run) => {
 *   assertEquals(run.writerId, 7);
 *   assertEquals([...run.view()], [1, 2, 3]);
 * });
 * ```
 */
export class FlushQueue {
  readonly #region: Region<"busbar.flush_queue", FlushQueueLayout>;
  readonly #pool: BufferSource;
  readonly #layout: FlushQueueLayout;
  readonly #queue: ThreadQueue;

  /** @ignore */
  private constructor(region: Region<"busbar.flush_queue", FlushQueueLayout>, pool: BufferSource) {
    this.#region = region;
    this.#layout = region.layout;
    this.#pool = pool;
    this.#queue = new ThreadQueue(region.memory, region.words, region.layout, pool);
  }

  /**
   * Lays out a new, empty queue.
   *
   * @throws {TypeError} If `pool` is not a pool.
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   * @throws {ClosedError} If this thread has left the pool.
   */
  static create(options: FlushQueueOptions): FlushQueue {
    const action = "create flush queue";
    checkOptions(action, options);
    const { pool, writers = DEFAULT_WRITERS, messagesPerBuffer, memory } = options;
    checkPool(action, pool);
    const layout = FlushQueueLayout.of(pool, writers, messagesPerBuffer);
    const region = Region.create(KIND, layout, memory);
    // Under a checker nothing may depend on chance.
    layout.initialize(region.words, isObserved() ? 0 : randomIdentity(), pool.identity);
    return new FlushQueue(region, pool);
  }

  /**
   * Opens a queue that another thread created.
   *
   * @param handle The handle of the queue.
   * @param pool This thread's part in the pool that the queue was created with.
   * @throws {TypeError} If it is not a handle of a queue of this version, or not of this pool.
   * @throws {ClosedError} If this thread has left the pool.
   */
  static attach(handle: FlushQueueHandle, pool: BufferSource): FlushQueue {
    checkPool("attach to the flush queue", pool);
    const region = Region.attach(KIND, handle);
    const { layout } = region;
    const { bufferBytes, bufferCount } = pool;
    if (layout.bufferBytes !== bufferBytes || layout.bufferCount !== bufferCount) {
      throw new TypeError(
        `Cannot attach as the queue is for a pool of ${layout.bufferCount} buffers of ${layout.bufferBytes} bytes: received one of ${bufferCount} of ${bufferBytes} bytes`,
      );
    }
    const identity = region.words[POOL]!;
    if (identity !== pool.identity) {
      throw new TypeError(
        `Cannot attach as the queue is for another pool: expected pool ${identity}, received pool ${pool.identity}`,
      );
    }
    return new FlushQueue(region, pool);
  }

  /** A plain object that survives structured clone and opens this queue in another thread. */
  get handle(): FlushQueueHandle {
    return this.#region.handle;
  }

  /** This thread's part in the pool. */
  get pool(): BufferSource {
    return this.#pool;
  }

  /** How many messages of a shared writer one buffer may hold, and publications of a local one. */
  get messagesPerBuffer(): number {
    return this.#layout.messageCount;
  }

  /**
   * Makes a writer for this thread. Close it to free its place for another.
   *
   * A shared one keeps its place for the life of the queue; its {@link Writer.handle} lets other
   * threads attach.
   *
   * @throws {TypeError} If `options` is not an object.
   * @throws {RangeError} If `id` is not a whole number from 0 to 2^31 - 1.
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If all places are taken.
   */
  writer(options?: QueueWriterOptions): Writer {
    if (options !== undefined) checkOptions("create writer", options);
    checkPool("create writer", this.#pool);
    const isShared = options?.shared ?? false;
    const { words } = this.#region;
    if (options?.id !== undefined) checkInteger("create writer", "id", options.id, 0, MAX_ID);
    const holder = isShared ? SHARED + 1 : 1 + this.#pool.thread;
    for (let index = 0; index < this.#layout.writerCount; index++) {
      const at = this.#layout.writer(index) + USE;
      const use = Atomics.load(words, at);
      if ((use & HOLDER_MASK) !== FREE) continue;
      // Pairs with the store of the writer that had the place before.
      if (Atomics.compareExchange(words, at, use, use | holder) !== use) continue;
      const id = options?.id ?? index;
      if (!isShared) return new LocalWriter(this.#queue, index, id);
      return new SharedWriter(this.#queue, index, id);
    }
    throw new Error(
      `Cannot create writer as all ${this.#layout.writerCount} places are taken: close one first`,
    );
  }

  /**
   * Attaches this thread to a shared writer.
   *
   * @throws {TypeError} If it is not a handle of a shared writer of this queue.
   * @throws {ClosedError} If this thread has left the pool.
   */
  attachWriter(handle: WriterHandle): Writer {
    checkPool("attach to the writer", this.#pool);
    this.#changeShared("attach", handle, (use) => use + 1);
    return new SharedWriter(this.#queue, handle.index, handle.id);
  }

  /**
   * Becomes the flusher. Close it to let another, here or in another thread, take its place.
   *
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If the queue has a flusher.
   */
  flusher(): WriteFlusher {
    checkPool("become the flusher", this.#pool);
    return new WriteFlusher(this.#queue);
  }

  /**
   * Reclaims what a dead thread had: the writers that it had to itself, and its part as the
   * flusher. Call it before {@link BufferPool.reclaim}, and only if the thread is dead:
   * `src/when_a_worker_dies.md` says when a terminated worker is.
   *
   * Messages that it had published arrive, open ones are aborted, and messages that it had
   * committed but not published may be lost. The places of its writers are free once the flusher
   * has received what they have left; until then the pool must not reclaim what the thread had
   * detached. If it was the flusher, another can follow at once, and begins with the run that the
   * dead one was at.
   *
   * @example Usage
   * ```ts
   * import { BufferPool, FlushQueue } from "@busbar/busbar";
   *
   * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4 });
   * const queue = FlushQueue.create({ pool });
   *
   * // In reality in a worker, which was terminated and had told its number before.
   * const there = BufferPool.attach(pool.handle);
   * FlushQueue.attach(queue.handle, there).writer().claim(8);
   *
   * queue.reclaim(there.thread);
   * pool.reclaim(there.thread);
   * ```
   *
   * @param thread The {@link BufferPool.thread} of the dead thread.
   * @throws {RangeError} If there is no such thread.
   * @throws {Error} If it is this thread.
   */
  reclaim(thread: number): void {
    checkInteger("reclaim", "thread", thread, 0, this.#pool.threads - 1);
    if (thread === this.#pool.thread) {
      throw new Error(`Cannot reclaim thread ${thread} as it is this one: close what it has`);
    }
    const { words } = this.#region;
    const { writerCount } = this.#layout;
    const owner = 1 + thread;
    for (let index = 0; index < writerCount; index++) {
      const at = this.#layout.writer(index) + USE;
      const use = Atomics.load(words, at);
      if ((use & HOLDER_MASK) !== owner) continue;
      // Pairs with the load of the flusher, which frees the place.
      Atomics.compareExchange(words, at, use, use | ABANDONED);
    }
    // Pairs with the compareExchange of the next flusher. Which bits the dead one had taken is not
    // known, so it looks at all writers. So does a living one if a writer died while it closed.
    Atomics.compareExchange(words, FLUSHER, owner, DIED);
    this.#queue.announceAndWake((1 << writerCount) - 1 | ABANDONING);
  }

  /**
   * As {@link FlushQueue.reclaim}, for a shared writer that no thread uses any more. Call it if one
   * of its threads has died and all others have closed it. They cannot go on with it, since the
   * reservations of the dead one never end.
   *
   * @param handle The {@link Writer.handle}.
   * @throws {TypeError} If it is not a handle of a shared writer of this queue.
   */
  reclaimWriter(handle: WriterHandle): void {
    this.#changeShared("reclaim", handle, (use) => use | ABANDONED);
    this.#queue.announceAndWake(1 << handle.index | ABANDONING);
  }

  /** Changes how many threads hold a shared writer. */
  #changeShared(action: string, handle: WriterHandle, change: (use: number) => number): void {
    checkHandle(handle, WRITER_KIND);
    const { index } = handle;
    const { words } = this.#region;
    if (handle.queue !== words[IDENTITY]) {
      throw new TypeError(
        `Cannot ${action} as the writer is of another queue: expected queue ${
          words[IDENTITY]
        }, received queue ${describe(handle.queue)}`,
      );
    }
    const exists = Number.isSafeInteger(index) && index >= 0 && index < this.#layout.writerCount;
    for (const at = this.#layout.writer(index) + USE; exists;) {
      const use = Atomics.load(words, at);
      const holder = use & HOLDER_MASK;
      if (holder < SHARED || holder === ABANDONED) break;
      if (Atomics.compareExchange(words, at, use, change(use)) === use) return;
    }
    throw new TypeError(
      `Cannot ${action} as the queue has no shared writer with this index: received ${
        describe(index)
      }`,
    );
  }
}
