/**
 * A buffer pool: memory for messages, taken once and used over and over by any number of threads.
 *
 * Each thread keeps some free buffers of its own, see `thread_buffers.ts`; what threads have to do
 * with one another is described in `buffer_pool_holds.ts`, and the words in `buffer_pool_layout.ts`.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { Holds } from "./buffer_pool_holds.ts";
import {
  checkShape,
  FREE,
  initialize,
  KIND,
  LEAST_BYTES,
  LIVE,
  placesOf,
  readShape,
  type Shape,
  sizeFrom,
  STATE,
  STATE_BITS,
  STATE_MASK,
  threadLine,
} from "./buffer_pool_layout.ts";
import { ThreadBuffers } from "./thread_buffers.ts";

/** Opens a {@link BufferPool} in another thread. */
export type BufferPoolHandle = RegionHandle<"busbar.buffer_pool">;

/** The size of a {@link BufferPool}. */
export interface BufferPoolSize {
  /** The bytes of a buffer. */
  bufferSize: number;
  /** The number of batches; give at least two for each thread. */
  batchCount: number;
  /** The buffers of a batch, from 1 to 24; 16 by default. Threads take free buffers by the batch. */
  batchSize?: number;
  /** How many threads can be attached at a time, from 1 to 24; 8 by default. */
  threads?: number;
}

/** Options of {@link BufferPool.create}. */
export interface BufferPoolOptions extends BufferPoolSize {
  /** The memory to lay the pool out in; one of its own by default. */
  memory?: Memory;
}

const DEFAULT_BATCH_SIZE = 16;
const DEFAULT_THREADS = 8;

/**
 * A buffer pool: memory for messages, taken once and used over and over by any number of threads.
 *
 * This object is one thread's part in the pool, and must stay in that thread.
 *
 * @example Usage
 * ```ts
 * import { BufferPool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferSize: 1024, batchCount: 16 });
 * // worker.postMessage(pool.handle), and there: BufferPool.attach(handle)
 *
 * const buffer = pool.tryAcquire();
 * const offset = pool.offsetOf(buffer);
 * pool.bytes.fill(7, offset, offset + pool.bufferSize);
 * pool.release(buffer);
 * assertEquals(pool.totalBufferCount, 256);
 * ```
 */
export class BufferPool implements Disposable {
  /** The memory that the pool lies in. */
  readonly memory: Memory;
  /** Where in the memory the pool begins. */
  readonly byteOffset: number;
  /** The bytes of a buffer. */
  readonly bufferSize: number;
  /** The number of batches. */
  readonly batchCount: number;
  /** The buffers of a batch. */
  readonly batchSize: number;
  /** How many threads can be attached at a time. */
  readonly threads: number;
  /** How many buffers there are. */
  readonly totalBufferCount: number;
  /** The number of this thread among those attached, from 0. */
  readonly thread: number;
  /** The bytes of all buffers; each begins at its {@link BufferPool.offsetOf}. */
  readonly bytes: Uint8Array;
  readonly #region: Region<"busbar.buffer_pool">;
  /** From one buffer to the next, in bytes. */
  readonly #stride: number;
  readonly #buffers: ThreadBuffers;
  #isDisposed = false;

  private constructor(region: Region<"busbar.buffer_pool">, shape: Shape) {
    const { memory, byteOffset } = region;
    const { data, stride, byteLength } = placesOf(shape);
    this.memory = memory;
    this.byteOffset = byteOffset;
    this.bufferSize = shape.bufferSize;
    this.batchCount = shape.batchCount;
    this.batchSize = shape.batchSize;
    this.threads = shape.threads;
    this.totalBufferCount = shape.batchCount * shape.batchSize;
    this.bytes = new Uint8Array(memory.buffer, byteOffset + data * 4, byteLength - data * 4);
    this.#region = region;
    this.#stride = stride;
    this.thread = becomeThread(region.words, shape.threads);
    const holds = new Holds(memory, byteOffset, shape, this.thread);
    this.#buffers = new ThreadBuffers(holds, shape.batchCount, shape.batchSize);
  }

  /**
   * How many bytes of memory a pool takes.
   *
   * @throws {RangeError} If that is not the size of a pool.
   */
  static byteLength(size: BufferPoolSize): number {
    return placesOf(shapeOf(size)).byteLength;
  }

  /**
   * Lays a new pool out, all of whose buffers are free, and attaches this thread.
   *
   * @throws {RangeError} If an option is out of range, or the memory has not enough free bytes.
   */
  static create(options: BufferPoolOptions): BufferPool {
    const shape = shapeOf(options);
    const region = Region.create(KIND, placesOf(shape).byteLength, options.memory);
    initialize(region, shape);
    return new BufferPool(region, shape);
  }

  /**
   * Attaches this thread to a pool that another one created.
   *
   * @throws {TypeError} If it is not a handle of a pool of this version.
   * @throws {Error} If as many threads as can are attached.
   */
  static attach(handle: BufferPoolHandle): BufferPool {
    const region = Region.attach(KIND, handle, LEAST_BYTES, sizeFrom);
    return new BufferPool(region, readShape(region.words));
  }

  /** A plain object that survives structured clone and attaches another thread to this pool. */
  get handle(): BufferPoolHandle {
    return this.#region.handle;
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
    return this.#buffers.tryAcquire();
  }

  /**
   * Adds a reference to a buffer: it is free after one more {@link BufferPool.release}.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {Error} If it is not in use here, or this was disposed of.
   */
  retain(buffer: number): void {
    this.#buffers.retain(buffer);
  }

  /**
   * Drops a reference to a buffer. Without any left it is free, and its bytes must not be touched.
   *
   * @param buffer The number of a buffer that is in use in this thread.
   * @throws {Error} If it is not in use here, or this was disposed of.
   */
  release(buffer: number): void {
    this.#buffers.release(buffer);
  }

  /**
   * Gives the free buffers that this thread keeps back to the pool, for others. To be called when
   * the thread will not use the pool for a while.
   */
  flush(): void {
    this.#buffers.flush();
  }

  /** Leaves the pool, to which all buffers of this thread return. Doing it again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#buffers.dispose();
    const { words } = this.#region;
    const state = threadLine(this.thread) + STATE;
    const generation = Atomics.load(words, state) >> STATE_BITS;
    // Pairs with the compareExchange of who becomes this thread next.
    Atomics.store(words, state, (generation + 1) << STATE_BITS | FREE);
  }
}

/** The shape of a pool of this size. */
function shapeOf(size: BufferPoolSize): Shape {
  const { bufferSize, batchCount, batchSize = DEFAULT_BATCH_SIZE, threads = DEFAULT_THREADS } =
    size;
  const shape = { bufferSize, batchCount, batchSize, threads };
  checkShape(shape);
  return shape;
}

/** Becomes a thread that nobody is; returns its number. */
function becomeThread(words: Int32Array, threads: number): number {
  for (let thread = 0; thread < threads; thread++) {
    const index = threadLine(thread) + STATE;
    const state = Atomics.load(words, index);
    if ((state & STATE_MASK) !== FREE) continue;
    // Pairs with the store of who was this thread before.
    if (Atomics.compareExchange(words, index, state, state | LIVE) === state) return thread;
  }
  throw new Error(`Cannot attach to the buffer pool as ${threads} threads are, and no more can be`);
}
