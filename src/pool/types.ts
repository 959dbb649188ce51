/**
 * Options, handle and usage types of a buffer pool.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import type { RegionHandle } from "../memory/region.ts";
import type { WaiterQueueHandle } from "../sync/waiter_queue.ts";

/** Opens a {@link BufferPool} in another thread. */
export interface BufferPoolHandle extends RegionHandle<"busbar.buffer_pool"> {
  /** Opens the queue in which threads wait for buffers. */
  readonly waiters: WaiterQueueHandle;
}

/** The size of a {@link BufferPool}. */
export interface BufferPoolSize {
  /** The bytes of a buffer. */
  bufferBytes: number;
  /**
   * The number of batches. A thread keeps up to two batches of free buffers cached, so choose more
   * than two for each thread.
   */
  batchCount: number;
  /**
   * The buffers of a batch, from 1 to 24; 16 by default. Threads take free buffers by the batch.
   */
  buffersPerBatch?: number;
  /** How many threads can be attached at a time, from 1 to 20; 8 by default. */
  threads?: number;
  /**
   * How many packets of *shared* buffers each thread may have in flight. Packets whose sender keeps
   * no reference are not limited. Default: 256, or the maximum for this many threads, which is 1024
   * for up to 16 threads and 102 for 20.
   */
  tickets?: number;
}

/** Options of {@link BufferPool.create}. */
export interface BufferPoolOptions extends BufferPoolSize {
  /** Whether to record where buffers and packets were taken; see {@link BufferPool.leaks}. */
  debug?: boolean;
  /** The memory to lay the pool out in; one of its own by default. */
  memory?: Memory;
}

/** Options of {@link BufferPool.attach}. */
export interface AttachOptions {
  /**
   * The number of the thread, from 0; any free number by default. The thread that creates the pool
   * is thread 0. Assign numbers to threads that may have to be reclaimed.
   */
  thread?: number;
}

/** Options of {@link BufferPool.reclaim}. */
export interface ReclaimOptions {
  /**
   * Whether to reclaim also the buffers that the thread has detached and no other has adopted. By
   * default they can still be adopted, and must be.
   */
  detached?: boolean;
}

/** How a {@link BufferPool} is used: an estimate while other threads use it. */
export interface BufferPoolUsage {
  /** How many buffers are free for any thread. */
  readonly free: number;
  /**
   * How many free buffers each thread keeps cached: of this thread now, of others when they last
   * took or returned some.
   */
  readonly kept: readonly number[];
  /** How many buffers are in use, or in flight. */
  readonly inUse: number;
  /** The numbers of the threads that wait. */
  readonly waiting: readonly number[];
  /** How many tasks of this thread wait. */
  readonly waitingHere: number;
}
