/**
 * The layout of a buffer pool in memory: its words and its size. What they mean to one another is
 * told in `buffer_pool_holds.ts`.
 *
 * Region (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | buffer size | batches | batch size | threads |
 *             |  written once, before the region is handed to anybody         |
 *     word 16 | waiting |                  which threads wait, a bit each
 *     word 32 | state | waiter | cached |  thread 0
 *     word 48 | state | waiter | cached |  thread 1
 *       ...
 *             | batch 0 | batch 1 | ...    which buffers are taken, and who is taking
 *             | hold 0 | hold 1 | ...      who has a taken buffer
 *             | data: the buffers, each aligned to 8 bytes ...
 *
 * A batch, whose buffer number `i` is buffer `batch * batch size + i` of the pool:
 *
 *      bit 31   29 28         24 23                                            0
 *     |  always 0 |   taker     | taken: a bit for each buffer of the batch     |
 *
 * @module
 */

import { alignUp, CACHE_LINE_WORDS, checkInteger } from "../memory/layout.ts";
import { isObserved } from "../memory/observer.ts";
import { FIRST_WORD, type Region, type RegionKind } from "../memory/region.ts";

/** What the regions of pools are known by. */
export const KIND: RegionKind<"busbar.buffer_pool"> = {
  kind: "busbar.buffer_pool",
  version: 1,
  magic: 0x62756670, // "bufp"
};

const BUFFER_SIZE = FIRST_WORD;
const BATCH_COUNT = FIRST_WORD + 1;
const BATCH_SIZE = FIRST_WORD + 2;
const THREADS = FIRST_WORD + 3;

/**
 * Which threads wait for a buffer: bit `t` is set by thread `t` before it registers as a waiter, and
 * taken away by it afterwards, both by read-modify-write.
 */
export const WAITING: number = CACHE_LINE_WORDS;

const THREAD_LINES = 2 * CACHE_LINE_WORDS;
/**
 * In a thread's line: {@link FREE} or {@link LIVE} with a generation, which goes up each time
 * the line is given back. compareExchange by who becomes the thread, stored by it when it leaves.
 */
export const STATE = 0;
/** In a thread's line: its slot in the waiter queue + 1, or 0. Stored by the thread. */
export const WAITER = 1;
/** In a thread's line: how many free buffers it keeps. Stored by the thread when it deals with the pool. */
export const CACHED = 2;

/** A thread's state: nobody is this thread. */
export const FREE = 0;
/** A thread's state: somebody is. */
export const LIVE = 1;
/** The bits of a thread's state below its generation. */
export const STATE_BITS = 8;
/** The bits of a thread's state that tell {@link FREE} from {@link LIVE}. */
export const STATE_MASK = 3;

/** The most threads: each has a bit in a hold. */
export const MAX_THREADS = 24;
/** The most buffers of a batch: each has a bit in the batch's word, below its taker. */
export const MAX_BATCH_SIZE = 24;
/** Where in a batch's word its taker stands: the number of a thread + 1, or 0. */
export const TAKER_SHIFT = 24;

const MAX_BUFFER_SIZE = 2 ** 30;
const MAX_BUFFERS = 2 ** 24;
const BUFFER_ALIGNMENT = 8;

/** The shape of one pool. */
export interface Shape {
  /** The bytes of a buffer. */
  readonly bufferSize: number;
  /** The number of batches. */
  readonly batchCount: number;
  /** The buffers of a batch. */
  readonly batchSize: number;
  /** How many threads can be attached. */
  readonly threads: number;
}

/** Where the words of one pool stand. */
export interface Places {
  /** The word of batch 0. */
  readonly batches: number;
  /** The hold of buffer 0. */
  readonly holds: number;
  /** Where the data begins, in words. */
  readonly data: number;
  /** From one buffer to the next, in bytes. */
  readonly stride: number;
  /** The size of the whole region, in bytes. */
  readonly byteLength: number;
}

/** The first word of a thread's line. */
export function threadLine(thread: number): number {
  return THREAD_LINES + thread * CACHE_LINE_WORDS;
}

/** Where the words of a pool of this shape stand. */
export function placesOf(shape: Shape): Places {
  const { bufferSize, batchCount, batchSize, threads } = shape;
  const buffers = batchCount * batchSize;
  const batches = threadLine(threads);
  const holds = alignUp(batches + batchCount, CACHE_LINE_WORDS);
  const data = alignUp(holds + buffers, CACHE_LINE_WORDS);
  const stride = alignUp(bufferSize, BUFFER_ALIGNMENT);
  const byteLength = data * Int32Array.BYTES_PER_ELEMENT + buffers * stride;
  return { batches, holds, data, stride, byteLength };
}

/** Refuses what is not the shape of a pool. */
export function checkShape(shape: Shape): void {
  const { bufferSize, batchCount, batchSize, threads } = shape;
  const action = "create buffer pool";
  checkInteger(action, "bufferSize", bufferSize, 1, MAX_BUFFER_SIZE);
  checkInteger(action, "batchSize", batchSize, 1, MAX_BATCH_SIZE);
  checkInteger(action, "batchCount", batchCount, 1, Math.floor(MAX_BUFFERS / batchSize));
  checkInteger(action, "threads", threads, 1, MAX_THREADS);
}

/** Writes the header of a pool of this shape, all of whose buffers are free. */
export function initialize(region: Region<typeof KIND.kind>, shape: Shape): void {
  const { words } = region;
  words[BUFFER_SIZE] = shape.bufferSize;
  words[BATCH_COUNT] = shape.batchCount;
  words[BATCH_SIZE] = shape.batchSize;
  words[THREADS] = shape.threads;
  if (isObserved()) labelRegion(region, shape);
}

/** The size of the region that begins with these words; NaN if they are not the header of one. */
export function sizeFrom(words: Int32Array): number {
  const shape = readShape(words);
  try {
    checkShape(shape);
  } catch {
    return NaN;
  }
  return placesOf(shape).byteLength;
}

/** The size of the smallest region. */
export const LEAST_BYTES: number =
  placesOf({ bufferSize: 1, batchCount: 1, batchSize: 1, threads: 1 }).byteLength;

/** The shape that the header says. */
export function readShape(words: Int32Array): Shape {
  return {
    bufferSize: words[BUFFER_SIZE]!,
    batchCount: words[BATCH_COUNT]!,
    batchSize: words[BATCH_SIZE]!,
    threads: words[THREADS]!,
  };
}

/** Names the words of a pool, for an observer's reports. */
function labelRegion(region: Region<typeof KIND.kind>, shape: Shape): void {
  const { batches, holds, data, stride } = placesOf(shape);
  region.label("waiting", WAITING);
  for (let i = 0; i < shape.threads; i++) {
    region.label(`state[${i}]`, threadLine(i) + STATE);
    region.label(`waiter[${i}]`, threadLine(i) + WAITER);
    region.label(`cached[${i}]`, threadLine(i) + CACHED);
  }
  for (let i = 0; i < shape.batchCount; i++) region.label(`batch[${i}]`, batches + i);
  for (let i = 0; i < shape.batchCount * shape.batchSize; i++) {
    region.label(`hold[${i}]`, holds + i);
    region.label(`data[${i}]`, data + i * stride / 4, stride / 4);
  }
}
