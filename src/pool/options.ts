/**
 * What one says of a buffer pool, and what it says of itself.
 *
 * @module
 */

import { checkOptions, describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { isObserved } from "../memory/observer.ts";
import { randomIdentity } from "../memory/platform.ts";
import type { RegionHandle } from "../memory/region.ts";
import type { WaiterQueueHandle } from "../sync/waiter_queue.ts";
import { checkShape, mostTickets, type Shape } from "./layout.ts";

/** Opens a {@link BufferPool} in another thread. */
export interface BufferPoolHandle extends RegionHandle<"busbar.buffer_pool"> {
  /** Where threads wait for buffers. */
  readonly waiters: WaiterQueueHandle;
}

/** The size of a {@link BufferPool}. */
export interface BufferPoolSize {
  /** The bytes of a buffer. */
  bufferBytes: number;
  /** The number of batches. A thread keeps up to two to itself, so give more than that for each. */
  batchCount: number;
  /** The buffers of a batch, from 1 to 24; 16 by default. Threads take free buffers by the batch. */
  buffersPerBatch?: number;
  /** How many threads can be attached at a time, from 1 to 20; 8 by default. */
  threads?: number;
  /**
   * How many packets each thread can have in flight of buffers that it, or others, have, too; 256 by
   * default, or what can be: up to 1024 with 16 threads, 102 with 20. Others are not limited.
   */
  tickets?: number;
}

/** Options of {@link BufferPool.create}. */
export interface BufferPoolOptions extends BufferPoolSize {
  /** Whether to remember where buffers and packets were taken; see {@link BufferPool.leaks}. */
  debug?: boolean;
  /** The memory to lay the pool out in; one of its own by default. */
  memory?: Memory;
}

/** Options of {@link BufferPool.attach}. */
export interface AttachOptions {
  /**
   * Which of the threads to become, from 0; any that is not attached by default. The one that
   * creates the pool is thread 0. Give numbers to those that may have to be reclaimed.
   */
  thread?: number;
}

/** Options of {@link BufferPool.reclaim}. */
export interface ReclaimOptions {
  /**
   * Whether to reclaim, too, what the thread has sent and nobody has received. By default that can
   * still be received, and must be.
   */
  sent?: boolean;
}

/** How a {@link BufferPool} is used, as far as one can look while others use it. */
export interface BufferPoolUsage {
  /** How many buffers are free, for anybody. */
  readonly free: number;
  /**
   * How many free buffers each thread keeps to itself: of this thread now, of others when they last
   * dealt with the pool.
   */
  readonly kept: readonly number[];
  /** How many buffers are in use, or on their way. */
  readonly inUse: number;
  /** The numbers of the threads that wait. */
  readonly waiting: readonly number[];
  /** How many tasks of this thread wait. */
  readonly waitingHere: number;
}

const DEFAULT_BUFFERS_PER_BATCH = 16;
const DEFAULT_THREADS = 8;
const DEFAULT_TICKETS = 256;

/** Refuses what is no pool that this thread takes part in. */
export function checkPool(action: string, pool: PoolMember): void {
  if (typeof pool?.tryAcquire !== "function") {
    throw new TypeError(
      `Cannot ${action} as 'pool' must be a BufferPool: received ${describe(pool)}`,
    );
  }
  if (pool.hasLeft) throw new Error(`Cannot ${action} as this thread has left the pool`);
}

/** What is asked of a pool before it is used. */
interface PoolMember {
  readonly hasLeft: boolean;
  tryAcquire(): number;
}

/** The shape of a pool of this size. */
export function shapeOf(options: BufferPoolSize & Pick<BufferPoolOptions, "debug">): Shape {
  checkOptions("create buffer pool", options);
  const {
    bufferBytes,
    batchCount,
    buffersPerBatch = DEFAULT_BUFFERS_PER_BATCH,
    threads = DEFAULT_THREADS,
    debug = false,
  } = options;
  const tickets = options.tickets ?? Math.min(DEFAULT_TICKETS, mostTickets(threads));
  // Under a checker nothing may be left to chance.
  const identity = isObserved() ? 0 : randomIdentity();
  const shape = { bufferBytes, batchCount, buffersPerBatch, threads, tickets, debug, identity };
  checkShape(shape);
  return shape;
}
