/**
 * A flush queue: many writers on any threads, one flusher, and the messages between them in the
 * buffers of a pool.
 *
 * A writer's messages lie one after the other in *segments*, each one buffer of the pool, numbered in
 * the order in which they are opened. A buffer has a table beside it: where each message lies, and
 * one bit that marks it as *ended*, committed or aborted. The flusher goes through the segments of a
 * writer in order, and through the messages of each in order, as far as they are marked. The words
 * are drawn in `layout.ts`; this is who changes them:
 *
 *     word          its value, and who changes it
 *     use           who has the writer: taken by compareExchange; given back by its holder, or, once
 *                   it is reclaimed, by the flusher
 *     reserved[s]   messages and bytes reserved in segment s, and CLOSED. Stored by who opens the
 *                   segment; added to by compareExchange by who reserves; closed by `or` or store
 *     marks[b]      16 messages a word, and STALLED. Cleared plainly by who opens a segment in the
 *                   buffer; or-ed to by who ends a message (a local writer, which knows its marks,
 *                   stores them), and by the flusher
 *     messages[b]   offset, length and count: written plainly by who ends the message, before its mark
 *     ticket[s]     of the buffer: written by who opens the segment; from there on the flusher's
 *     current       the number of the latest segment, SWITCHING, WAITING: see below
 *     consumed      the segment that is received next: stored by the flusher
 *     received      how many messages of it were: read and written plainly, by the flusher alone
 *     flushed       a bit for each writer that has flushed, SLEEPING, ABANDONING: see below
 *     flusher       which thread receives: as `use`
 *
 * **Reserving** takes bytes and a place in the order at once, by one compareExchange of `reserved`.
 * A thread remembers the value that it saw last and begins with that, so alone it succeeds at once.
 * Whoever succeeds is in a segment that is open and will stay until the message has ended; the
 * buffer is read after that. Had the place in the ring of segments been opened anew in the meantime,
 * the reservation would be one in the new segment. A local writer counts in private and writes
 * `reserved` only when it opens or closes a segment.
 *
 * **A message of more than half a buffer** gets a buffer for its own, and takes a place in the order
 * but no bytes of the segment; so what is left of the segment is not lost and the order is kept.
 *
 * **Switching.** A thread that finds no room sets SWITCHING in `current`, if it is not set, by
 * compareExchange. It alone then acquires a buffer, closes the segment by `or` of CLOSED, opens the
 * next with its own message as the first, and exchanges `current` for the new number. Others that
 * find no room set WAITING and sleep on `current`; the exchange finds that, and wakes them. One
 * that gives up exchanges `current` for the old number, which lets another try. One that comes by
 * the place of the ring alone may reserve, end and flush a message before the exchange, when the
 * flusher cannot find it; so after the exchange the opener looks whether `reserved` has changed,
 * and if so sets the writer's bit in `flushed` again. Shorter messages may be reserved in what is
 * left of the segment until it is closed. Who closes a segment flushes with its next flush at the
 * latest, so the flusher learns of it. If the pool has no buffer, the thread closes the segment and
 * flushes *before* it waits: the buffer that it waits for may be that very segment's.
 *
 * **Ending** in any order: each thread marks its own message by one `or`, which publishes it, and
 * waits for nobody. An aborted message has a mark, too, and the length ABORTED. A local writer joins
 * messages that end in order, and marks them as one when it flushes.
 *
 * **Flushing.** A thread notes in private which writers it has ended messages of. To flush it sets
 * the bits of all of them in `flushed`, by one `or`, and if it found SLEEPING there and no bit it
 * notifies. The flusher takes all bits by exchange, and looks at the marks of those writers *then*. So
 * either the exchange comes after the `or`, and the flusher finds the messages, or before, and it
 * finds the bits the next time. To sleep it changes `flushed` from 0 to SLEEPING by compareExchange.
 *
 * **Messages behind an open one** that are flushed wait for it. The flusher that finds such sets
 * STALLED in the word of marks of the open one, by `or`, which tells it whether the message has
 * ended meanwhile. Otherwise the thread that ends it finds STALLED, by its own `or`, and flushes at
 * once. So a flushed message is received as soon as all before it have ended, whoever flushes when.
 * A local writer knows by itself.
 *
 * **Consuming.** When all messages of a closed segment are received, the flusher takes the buffer
 * over by its ticket, stores `consumed`, and gives the buffer back to the pool. Until then the pool
 * has the buffer in flight, so reclaiming the thread of a dead writer or flusher does not free it.
 *
 * **Dying.** Whatever a thread does for others is one operation: the `or` that flushes, the mark, the
 * opening of a segment. So one that dies leaves nobody else waiting, but for those that share its
 * writer, and messages behind what it had open. Who reclaims it makes `use` ABANDONED and sets
 * ABANDONING beside the writer's bit; the flusher then leaves out what is open of that writer,
 * closes its last segment, and makes it free. A flusher that dies may have taken any bits, so all are
 * set for the one that follows; which begins with what is not `received`. The dead one may have taken a buffer over
 * and not have stored `consumed`: then its ticket is void, the one that follows leaves it at that,
 * and the pool frees the buffer as one that the dead one had.
 *
 * **Why nothing races.** A message's bytes, offset, length and count are written before its mark, by
 * an atomic write which the flusher reads from, directly or through a chain of read-modify-writes.
 * The words of a segment are written before `reserved` and `current`, one of which all who read them
 * have read. A place in the ring of segments is rewritten after `consumed` was read, which the
 * flusher stores after its last look at it. Table and bytes of a buffer go with the buffer, through
 * the pool. The words of the flusher go from one to the next through `flusher`, and those of a dead
 * thread to who knows that it has died.
 *
 * **Limits.** Threads that share a writer with one that dies, while that switches or has something
 * open, may wait for it until their time is over; the writer is to be given up as a whole. A
 * process that is killed while it makes a packet of a run may take the run's buffer with it. A
 * writer holds the buffer of its latest segment until it is disposed of, and one more if it makes
 * packets, so a pool needs more buffers than a queue has writers. Messages of different writers come
 * in no order, also if one thread has disposed of one writer and then made another.
 *
 * Proven by: tests/queue/flush_queue_model_test.ts, for two writing threads and a flusher with buffers of
 * a plain pool; tests/queue/flush_queue_pool_model_test.ts, with those of a real one; and
 * tests/queue/flush_queue_death_model_test.ts, for threads that die at each instruction.
 *
 * @module
 */

import { checkHandle } from "../memory/handle.ts";
import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { isObserved } from "../memory/observer.ts";
import { randomIdentity } from "../memory/platform.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import { checkPool } from "../pool/options.ts";
import {
  ABANDONED,
  ABANDONING,
  DIED,
  FLUSH_QUEUE,
  FLUSHER,
  type FlushQueueKind,
  FREE,
  IDENTITY,
  initialize,
  labelRegion,
  largestMessageCount,
  MAX_BUFFER_BYTES,
  MOST_WRITERS,
  POOL,
  readShape,
  Shape,
  SHARED,
  USE,
  WRITERS,
} from "./layout.ts";
import { QueueEnd } from "./thread_queue.ts";
import { LocalWriter } from "./local_writer.ts";
import { SharedWriter } from "./shared_writer.ts";
import { WriteFlusher } from "./flusher.ts";
import { type Writer, WRITER_KIND, WRITER_VERSION, type WriterHandle } from "./writer.ts";

/** Opens a {@link FlushQueue} in another thread. */
export type FlushQueueHandle = RegionHandle<"busbar.flushQueue">;

/** Options of {@link FlushQueue.create}. */
export interface FlushQueueOptions {
  /** Where the writers' buffers come from. */
  pool: BufferPool;
  /** How many writers there may be at a time, from 1 to 30; 8 by default. */
  writers?: number;
  /**
   * How many messages of a shared writer one buffer may hold, and how many flushes of a local one; by default one
   * for every 32 bytes, but at least 16. Each takes 12 bytes of memory for every buffer of the pool.
   */
  messagesPerBuffer?: number;
  /** The memory to lay the queue out in; one of its own by default. */
  memory?: Memory;
}

/** Options of {@link FlushQueue.writer}. */
export interface QueueWriterOptions {
  /** A number of the user's by which the flusher knows the writer; its place by default. */
  id?: number;
  /** Whether other threads may attach to it, too; false by default, which is several times faster. */
  isShared?: boolean;
}

const DEFAULT_WRITERS = 8;
const DEFAULT_BYTES_PER_MESSAGE = 32;
const DEFAULT_LEAST_MESSAGES = 16;
const MAX_ID = 2 ** 31 - 1;

/**
 * Brings the messages of many writers, on any threads, to one flusher.
 *
 * Whoever creates the queue hands its handle, and that of the pool, to the other threads. Each of
 * them makes a {@link Writer} or attaches to a shared one; one becomes the {@link WriteFlusher}.
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
  readonly #region: Region<FlushQueueKind>;
  readonly #pool: BufferPool;
  readonly #shape: Shape;
  readonly #end: QueueEnd;

  private constructor(region: Region<FlushQueueKind>, shape: Shape, pool: BufferPool) {
    this.#region = region;
    this.#shape = shape;
    this.#pool = pool;
    this.#end = new QueueEnd(region.memory, region.words, shape, pool);
    labelRegion(region, shape);
  }

  /**
   * Lays a new, empty queue out.
   *
   * @throws {TypeError} If `pool` is none.
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   * @throws {Error} If this thread has left the pool.
   */
  static create(options: FlushQueueOptions): FlushQueue {
    const action = "create flush queue";
    checkOptions(action, options);
    const { pool, writers = DEFAULT_WRITERS } = options;
    checkPool(action, pool);
    const { bufferBytes, bufferCount } = pool;
    checkInteger(action, "pool.bufferBytes", bufferBytes, 1, MAX_BUFFER_BYTES);
    checkInteger(action, "writers", writers, 1, MOST_WRITERS);
    const most = largestMessageCount(bufferBytes);
    const usual = Math.max(DEFAULT_LEAST_MESSAGES, bufferBytes / DEFAULT_BYTES_PER_MESSAGE);
    const { messagesPerBuffer = Math.min(most, Math.ceil(usual)) } = options;
    checkInteger(action, "messagesPerBuffer", messagesPerBuffer, 1, most);
    const shape = new Shape(bufferBytes, bufferCount, writers, messagesPerBuffer);
    const region = Region.create(FLUSH_QUEUE, shape.byteLength, options.memory);
    // Under a checker nothing may be left to chance.
    initialize(region.words, shape, isObserved() ? 0 : randomIdentity(), pool.identity);
    return new FlushQueue(region, shape, pool);
  }

  /**
   * Opens a queue that another thread created.
   *
   * @param handle Of the queue.
   * @param pool This thread's own end of the pool that the queue was created with.
   * @throws {TypeError} If it is not a handle of a queue of this version, or not of this pool.
   * @throws {Error} If this thread has left the pool.
   */
  static attach(handle: FlushQueueHandle, pool: BufferPool): FlushQueue {
    checkPool("attach to the flush queue", pool);
    const region = Region.attach(
      FLUSH_QUEUE,
      handle,
      WRITERS * 4,
      (words) => readShape(words).byteLength,
    );
    const shape = readShape(region.words);
    const { bufferBytes, bufferCount } = pool;
    if (shape.bufferBytes !== bufferBytes || shape.bufferCount !== bufferCount) {
      throw new TypeError(
        `Cannot attach as the queue is for a pool of ${shape.bufferCount} buffers of ${shape.bufferBytes} bytes: received one of ${bufferCount} of ${bufferBytes} bytes`,
      );
    }
    const identity = region.words[POOL]!;
    if (identity !== pool.identity) {
      throw new TypeError(
        `Cannot attach as the queue is for another pool: expected pool ${identity}, received pool ${pool.identity}`,
      );
    }
    return new FlushQueue(region, shape, pool);
  }

  /** A plain object that survives structured clone and opens this queue in another thread. */
  get handle(): FlushQueueHandle {
    return this.#region.handle;
  }

  /** This thread's end of the pool. */
  get pool(): BufferPool {
    return this.#pool;
  }

  /** How many messages of a shared writer one buffer may hold, and how many flushes of a local one. */
  get messagesPerBuffer(): number {
    return this.#shape.messageCount;
  }

  /**
   * Makes a writer for this thread. Dispose of it to give its place to another.
   *
   * A shared one keeps its place for the life of the queue; its {@link Writer.handle} lets other
   * threads attach.
   *
   * @throws {RangeError} If `id` is not a whole number from 0 to 2^31 - 1.
   * @throws {Error} If all places are taken, or this thread has left the pool.
   */
  writer(options: QueueWriterOptions = {}): Writer {
    checkOptions("create writer", options);
    checkPool("create writer", this.#pool);
    const { isShared = false } = options;
    const { words } = this.#region;
    if (options.id !== undefined) checkInteger("create writer", "id", options.id, 0, MAX_ID);
    const use = isShared ? SHARED + 1 : 1 + this.#pool.thread;
    for (let index = 0; index < this.#shape.writerCount; index++) {
      const base = this.#shape.writer(index);
      // Pairs with the store of who had the place before.
      if (Atomics.compareExchange(words, base + USE, FREE, use) !== FREE) continue;
      const id = options.id ?? index;
      if (!isShared) return new LocalWriter(this.#end, index, id);
      return new SharedWriter(this.#end, index, id);
    }
    throw new Error(
      `Cannot create writer as all ${this.#shape.writerCount} places are taken: dispose of one first`,
    );
  }

  /**
   * Opens a shared writer for this thread.
   *
   * @throws {TypeError} If it is not a handle of a shared writer of this queue.
   * @throws {Error} If this thread has left the pool.
   */
  attachWriter(handle: WriterHandle): Writer {
    checkPool("attach to the writer", this.#pool);
    this.#changeShared("attach", handle, (use) => use + 1);
    return new SharedWriter(this.#end, handle.index, handle.id);
  }

  /**
   * Becomes the flusher. Dispose of it to let another, here or in another thread, take over.
   *
   * @throws {Error} If the queue has one, or this thread has left the pool.
   */
  flusher(): WriteFlusher {
    checkPool("become the flusher", this.#pool);
    return new WriteFlusher(this.#end);
  }

  /**
   * Takes back what another thread had that has died, by `terminate` say: the writers that it had for
   * itself, and its part as the flusher. Call it before {@link BufferPool.reclaim}, and only if the
   * thread is dead: `src/when_a_worker_dies.md` says when a terminated worker is.
   *
   * What it had flushed arrives, what it had open is given up, and what it had committed but not
   * flushed may be lost. Its writers' places are free once the flusher has gone through what they have
   * left; until then do not have the pool reclaim what it had `sent`. If it was the flusher, another
   * can follow at once, and begins with the run that the dead one was at.
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
   * @param thread The {@link BufferPool.thread} of the one that died.
   * @throws {RangeError} If there is no such thread.
   * @throws {Error} If it is this one.
   */
  reclaim(thread: number): void {
    checkInteger("reclaim", "thread", thread, 0, this.#pool.threads - 1);
    if (thread === this.#pool.thread) {
      throw new Error(`Cannot reclaim thread ${thread} as it is this one: dispose of what it has`);
    }
    const { words } = this.#region;
    const { writerCount } = this.#shape;
    const owner = 1 + thread;
    let bits = 0;
    for (let index = 0; index < writerCount; index++) {
      const use = this.#shape.writer(index) + USE;
      // Pairs with the load of the flusher, which frees the place.
      if (Atomics.compareExchange(words, use, owner, ABANDONED) === owner) bits |= 1 << index;
    }
    // Pairs with the compareExchange of who becomes the flusher next. What the dead one had taken of
    // those that have flushed nobody knows, so all are looked at.
    if (Atomics.compareExchange(words, FLUSHER, owner, DIED) === owner) {
      bits = (1 << writerCount) - 1;
    }
    if (bits !== 0) this.#end.revisit(bits | ABANDONING);
  }

  /**
   * As {@link FlushQueue.reclaim}, of a shared writer that no thread uses any more. To be called if
   * one of its threads has died and all others have disposed of it. They cannot go on with it: what
   * the dead one had reserved, nobody ends.
   *
   * @param handle The {@link Writer.handle}.
   * @throws {TypeError} If it is not a handle of a shared writer of this queue.
   */
  reclaimWriter(handle: WriterHandle): void {
    this.#changeShared("reclaim", handle, () => ABANDONED);
    this.#end.revisit(1 << handle.index | ABANDONING);
  }

  /** Changes who has a shared writer. */
  #changeShared(action: string, handle: WriterHandle, change: (use: number) => number): void {
    checkHandle(handle, WRITER_KIND, WRITER_VERSION);
    const { index } = handle;
    const { words } = this.#region;
    if (handle.queue !== words[IDENTITY]) {
      throw new TypeError(
        `Cannot ${action} as the writer is of another queue: expected queue ${
          words[IDENTITY]
        }, received queue ${describe(handle.queue)}`,
      );
    }
    const isOne = Number.isSafeInteger(index) && index >= 0 && index < this.#shape.writerCount;
    for (const at = this.#shape.writer(index) + USE; isOne;) {
      const use = Atomics.load(words, at);
      if (use < SHARED) break;
      if (Atomics.compareExchange(words, at, use, change(use)) === use) return;
    }
    throw new TypeError(
      `Cannot ${action} as the queue has no shared writer with this index: received ${
        describe(index)
      }`,
    );
  }
}
