/**
 * The layout of a buffer pool in memory: its words and its size. The protocol is described at the
 * head of `buffer_pool.ts`.
 *
 * Region (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | buffer bytes | batches | buffers per batch | threads |
 *             | tickets | debug | identity |
 *             |  all written once, before the region is handed to another thread
 *     word 16 | waiting |                  which threads wait, a bit each
 *     word 32 | state | kept |             thread 0
 *     word 48 | state | kept |             thread 1
 *       ...
 *             | batch 0 | batch 1 | ...    which buffers are taken, and which thread is the taker
 *             | hold 0 | hold 1 | ...      which threads or tickets have a taken buffer
 *             | state | buffer | ...       tickets of thread 0, then of thread 1 ...
 *             | data: the buffers, each aligned to 8 bytes ...
 *
 * A batch, whose buffer number `i` is buffer `batch * buffers per batch + i` of the pool:
 *
 *      31    29 28        24 23                                         0
 *     | 0      | taker      | taken: a bit for each buffer of the batch |
 *
 * A hold, in a pool of T threads:
 *
 *      31  30                            T  T - 1                             0
 *     | 0 | flights: how many tickets       | holders: a bit for each thread   |
 *     | 1 | sealer: a thread (5 bits) | number of the ticket (26 bits)         |
 *     | 1 ... all bits are 1: offered to a waiting thread                      |
 *
 * The state of a ticket:
 *
 *      31                              8 7                   3 2              0
 *     | number: how often it was used   | adopter: a thread   | phase          |
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { alignUp, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { isObserved } from "../memory/observer.ts";
import { randomIdentity } from "../memory/platform.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";
import type { BufferPoolOptions, BufferPoolSize } from "./types.ts";

const BUFFER_BYTES = FIRST_WORD;
const BATCH_COUNT = FIRST_WORD + 1;
const BUFFERS_PER_BATCH = FIRST_WORD + 2;
const THREADS = FIRST_WORD + 3;
const TICKETS = FIRST_WORD + 4;
const DEBUG = FIRST_WORD + 5;
const IDENTITY = FIRST_WORD + 6;

/**
 * Which threads wait for a buffer: bit `t` is set by thread `t` before it registers as a waiter,
 * and cleared by it afterwards, or by the thread that reclaims it; all by read-modify-write.
 */
export const WAITING: number = CACHE_LINE_WORDS;

const THREAD_LINES = 2 * CACHE_LINE_WORDS;
/**
 * In a thread's line: {@link FREE}, {@link LIVE} or {@link DYING}, with a generation, which goes up
 * each time the line becomes free. Changed by compareExchange when a thread attaches and when
 * another begins to reclaim it; stored by the thread when it leaves, or by its reclaimer at the
 * end.
 */
export const STATE = 0;
/**
 * In a thread's line: how many free buffers it keeps. Stored by it when it takes or returns some.
 */
export const KEPT = 1;

/** A thread's state: no thread is attached under this number. */
export const FREE = 0;
/** A thread's state: a thread is attached under this number. */
export const LIVE = 1;
/** A thread's state: the thread has died, and another is reclaiming what it had. */
export const DYING = 2;
/** The bits of a thread's state that tell those three apart. */
export const STATE_MASK = 3;
/** Where in a dying thread's state the number of its reclaimer begins. */
export const RECLAIMER_SHIFT = 2;
/** Where in a thread's state its generation begins. */
export const GENERATION_SHIFT = 8;

/** How many threads there can be: each has a bit in a hold, beside the flights. */
export const MAX_THREADS = 20;
/** How many buffers a batch can have: each has a bit in the batch's word, below its taker. */
export const MAX_BUFFERS_PER_BATCH = 24;
/** Where in a batch's word its taker begins: the number of a thread + 1, or 0 for none. */
export const TAKER_SHIFT = 24;
/** The bits of a batch's word that name its taker. */
export const TAKER_MASK: number = 31 << TAKER_SHIFT;

/** A hold: the buffer was detached as a whole, and the rest of the word is the ticket. */
export const SEALED: number = 1 << 31;
/** A hold: the buffer is offered to a waiting thread. */
export const OFFERED = -1;
/** Where in a sealed hold the number of the thread that sealed it begins. */
export const SEALER_SHIFT = 26;

/** A ticket's phase: it is not in use. */
export const IDLE = 0;
/**
 * A ticket's phase: its owner is detaching; it is counted in the hold if the owner is no holder.
 */
export const DETACHING = 1;
/** A ticket's phase: it is in flight, and counted in the hold. */
export const FLYING = 2;
/** A ticket's phase: its adopter has it; it is counted in the hold. */
export const LANDING = 3;
/** A ticket's phase: its adopter has it; it is counted in the hold if the adopter is no holder. */
export const LANDED = 4;
/** The bits of a ticket's state that hold its phase. */
export const PHASE_MASK = 7;
/** Where in a ticket's state the number of its adopter begins. */
export const ADOPTER_SHIFT = 3;
/** Where in a ticket's state its number begins. */
export const NUMBER_SHIFT = 8;
/** The words of a ticket: its state, and the buffer. */
export const TICKET_WORDS = 2;

/** How many tickets a thread can have. */
const MAX_TICKETS = 1024;
const MAX_BUFFER_BYTES = 2 ** 30;
const MAX_BUFFERS = 2 ** 24;
const BUFFER_ALIGNMENT = 8;

const DEFAULT_BUFFERS_PER_BATCH = 16;
const DEFAULT_THREADS = 8;
const DEFAULT_TICKETS = 256;

/** The size and the settings of one pool. */
interface PoolShape {
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** The number of batches. */
  readonly batchCount: number;
  /** The buffers of a batch. */
  readonly buffersPerBatch: number;
  /** How many threads can be attached. */
  readonly threads: number;
  /** How many tickets each thread has. */
  readonly tickets: number;
  /** Whether to record where buffers and packets were taken. */
  readonly debug: boolean;
  /** The number that tells this pool from others. */
  readonly identity: number;
}

/** How many tickets each of so many threads can have: all of them fit the flights of a hold. */
function maxTickets(threads: number): number {
  return Math.min(MAX_TICKETS, Math.floor((2 ** (31 - threads) - 1) / threads));
}

/** The first word of a thread's line. */
export function threadLine(thread: number): number {
  return THREAD_LINES + thread * CACHE_LINE_WORDS;
}

/** Where the words of one pool lie, and the numbers that its header holds. */
export class BufferPoolLayout implements Layout, PoolShape {
  readonly bufferBytes: number;
  readonly batchCount: number;
  readonly buffersPerBatch: number;
  readonly threads: number;
  readonly tickets: number;
  readonly debug: boolean;
  readonly identity: number;
  /** The number of buffers. */
  readonly bufferCount: number;
  /** The word of batch 0. */
  readonly batchWords: number;
  /** The hold of buffer 0. */
  readonly holdWords: number;
  /** The first ticket of thread 0. */
  readonly ticketWords: number;
  /** The first word of the data. */
  readonly dataWords: number;
  /** The bytes from one buffer to the next. */
  readonly stride: number;
  /** The size of the region. */
  readonly byteLength: number;

  /** The layout of a pool of this shape. */
  constructor(shape: PoolShape) {
    this.bufferBytes = shape.bufferBytes;
    this.batchCount = shape.batchCount;
    this.buffersPerBatch = shape.buffersPerBatch;
    this.threads = shape.threads;
    this.tickets = shape.tickets;
    this.debug = shape.debug;
    this.identity = shape.identity;
    this.bufferCount = shape.batchCount * shape.buffersPerBatch;
    this.batchWords = threadLine(shape.threads);
    this.holdWords = alignUp(this.batchWords + shape.batchCount, CACHE_LINE_WORDS);
    this.ticketWords = alignUp(this.holdWords + this.bufferCount, CACHE_LINE_WORDS);
    const ticketsEnd = this.ticketWords + shape.threads * shape.tickets * TICKET_WORDS;
    this.dataWords = alignUp(ticketsEnd, CACHE_LINE_WORDS);
    this.stride = alignUp(shape.bufferBytes, BUFFER_ALIGNMENT);
    this.byteLength = this.dataWords * Int32Array.BYTES_PER_ELEMENT +
      this.bufferCount * this.stride;
  }

  /**
   * Writes the header of a pool all of whose buffers are free; no other thread has the memory yet.
   */
  initialize(words: Int32Array): void {
    words[BUFFER_BYTES] = this.bufferBytes;
    words[BATCH_COUNT] = this.batchCount;
    words[BUFFERS_PER_BATCH] = this.buffersPerBatch;
    words[THREADS] = this.threads;
    words[TICKETS] = this.tickets;
    words[DEBUG] = this.debug ? 1 : 0;
    words[IDENTITY] = this.identity;
  }

  /** Names the words, for an observer's reports. */
  *labels(): Generator<Label> {
    yield ["waiting", WAITING];
    for (let i = 0; i < this.threads; i++) {
      yield [`state[${i}]`, threadLine(i) + STATE];
      yield [`kept[${i}]`, threadLine(i) + KEPT];
    }
    for (let i = 0; i < this.batchCount; i++) yield [`batch[${i}]`, this.batchWords + i];
    for (let i = 0; i < this.bufferCount; i++) {
      yield [`hold[${i}]`, this.holdWords + i];
      yield [`data[${i}]`, this.dataWords + i * this.stride / 4, this.stride / 4];
    }
    for (let i = 0; i < this.threads * this.tickets; i++) {
      yield [`ticket[${i}]`, this.ticketWords + i * TICKET_WORDS];
      yield [`ticketBuffer[${i}]`, this.ticketWords + i * TICKET_WORDS + 1];
    }
  }
}

/** The layout of a new pool. */
export function layoutOf(
  options: BufferPoolSize & Pick<BufferPoolOptions, "debug">,
): BufferPoolLayout {
  checkOptions("create buffer pool", options);
  const {
    bufferBytes,
    batchCount,
    buffersPerBatch = DEFAULT_BUFFERS_PER_BATCH,
    threads = DEFAULT_THREADS,
    debug = false,
  } = options;
  const tickets = options.tickets ?? Math.min(DEFAULT_TICKETS, maxTickets(threads));
  // Under a checker nothing may depend on chance.
  const identity = isObserved() ? 0 : randomIdentity();
  const shape = { bufferBytes, batchCount, buffersPerBatch, threads, tickets, debug, identity };
  checkShape(shape);
  return new BufferPoolLayout(shape);
}

/**
 * Throws unless there can be a pool of this shape.
 *
 * @throws {RangeError} If one of its numbers is out of range.
 */
function checkShape(shape: PoolShape): void {
  const { bufferBytes, batchCount, buffersPerBatch, threads, tickets } = shape;
  const action = "create buffer pool";
  checkInteger(action, "bufferBytes", bufferBytes, 1, MAX_BUFFER_BYTES);
  checkInteger(action, "buffersPerBatch", buffersPerBatch, 1, MAX_BUFFERS_PER_BATCH);
  checkInteger(action, "batchCount", batchCount, 1, Math.floor(MAX_BUFFERS / buffersPerBatch));
  checkInteger(action, "threads", threads, 1, MAX_THREADS);
  checkInteger(action, "tickets", tickets, 1, maxTickets(threads));
}

/** The kind of buffer pools. */
export const KIND: RegionKind<"busbar.buffer_pool", BufferPoolLayout> = {
  kind: "busbar.buffer_pool",
  magic: 0x62756670, // "bufp"
  minBytes: new BufferPoolLayout({
    bufferBytes: 1,
    batchCount: 1,
    buffersPerBatch: 1,
    threads: 1,
    tickets: 1,
    debug: false,
    identity: 0,
  }).byteLength,
  read(words) {
    const shape = {
      bufferBytes: words[BUFFER_BYTES]!,
      batchCount: words[BATCH_COUNT]!,
      buffersPerBatch: words[BUFFERS_PER_BATCH]!,
      threads: words[THREADS]!,
      tickets: words[TICKETS]!,
      debug: words[DEBUG] === 1,
      identity: words[IDENTITY]!,
    };
    try {
      checkShape(shape);
    } catch (cause) {
      const { bufferBytes, batchCount, buffersPerBatch, threads, tickets } = shape;
      throw new TypeError(
        `Cannot attach as the header of the buffer pool is damaged: found ${batchCount} batches of ${buffersPerBatch} buffers of ${bufferBytes} bytes, ${threads} threads, ${tickets} tickets`,
        { cause },
      );
    }
    return new BufferPoolLayout(shape);
  },
};
