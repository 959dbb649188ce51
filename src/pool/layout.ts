/**
 * The layout of a buffer pool in memory: its words and its size. What they mean to one another is
 * told at the head of `buffer_pool.ts`.
 *
 * Region (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | buffer size | batches | batch size | threads | tickets | debug | identity |
 *             |  written once, before the region is handed to anybody                                       |
 *     word 16 | waiting |                  which threads wait, a bit each
 *     word 32 | state | kept |             thread 0
 *     word 48 | state | kept |             thread 1
 *       ...
 *             | batch 0 | batch 1 | ...    which buffers are taken, and who is taking
 *             | hold 0 | hold 1 | ...      who has a taken buffer
 *             | state | buffer | ...       tickets of thread 0, then of thread 1 ...
 *             | data: the buffers, each aligned to 8 bytes ...
 *
 * A batch, whose buffer number `i` is buffer `batch * batch size + i` of the pool:
 *
 *      31    29 28        24 23                                         0
 *     | 0      | taker      | taken: a bit for each buffer of the batch |
 *
 * A hold, in a pool of T threads:
 *
 *      31  30                            T  T - 1                             0
 *     | 0 | flights: how many tickets       | holders: a bit for each thread   |
 *     | 1 | sender: a thread (5 bits) | number of the ticket (26 bits)         |
 *     | 1 ... all bits are 1: offered to who waits                             |
 *
 * The state of a ticket:
 *
 *      31                              8 7                   3 2              0
 *     | number: how often it was used   | receiver: a thread  | phase          |
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { alignUp, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { isObserved } from "../memory/observer.ts";
import { FIRST_WORD, type Region, type RegionKind } from "../memory/region.ts";

/** What the regions of pools are known by. */
export const KIND: RegionKind<"busbar.buffer_pool"> = {
  kind: "busbar.buffer_pool",
  version: 1,
  magic: 0x62756670, // "bufp"
};

const BUFFER_BYTES = FIRST_WORD;
const BATCH_COUNT = FIRST_WORD + 1;
const BUFFERS_PER_BATCH = FIRST_WORD + 2;
const THREADS = FIRST_WORD + 3;
const TICKETS = FIRST_WORD + 4;
const DEBUG = FIRST_WORD + 5;
const IDENTITY = FIRST_WORD + 6;

/**
 * Which threads wait for a buffer: bit `t` is set by thread `t` before it registers as a waiter, and
 * taken away by it afterwards, both by read-modify-write.
 */
export const WAITING: number = CACHE_LINE_WORDS;

const THREAD_LINES = 2 * CACHE_LINE_WORDS;
/**
 * In a thread's line: {@link FREE}, {@link LIVE} or {@link DYING}, with a generation, which goes up
 * each time the line becomes free. compareExchange by who becomes the thread and by who reclaims
 * it, stored by it when it leaves and by its reclaimer in the end.
 */
export const STATE = 0;
/** In a thread's line: how many free buffers it keeps. Stored by it when it deals with the pool. */
export const KEPT = 1;

/** A thread's state: nobody is this thread. */
export const FREE = 0;
/** A thread's state: somebody is. */
export const LIVE = 1;
/** A thread's state: somebody was, and another thread is reclaiming what it had. */
export const DYING = 2;
/** The bits of a thread's state that tell those three apart. */
export const STATE_MASK = 3;
/** Where in a dying thread's state the number of its reclaimer stands. */
export const RECLAIMER_SHIFT = 2;
/** Where in a thread's state its generation stands. */
export const GENERATION_SHIFT = 8;

/** The most threads: each has a bit in a hold, beside the flights. */
export const MAX_THREADS = 20;
/** The most buffers of a batch: each has a bit in the batch's word, below its taker. */
export const MAX_BUFFERS_PER_BATCH = 24;
/** Where in a batch's word its taker stands: the number of a thread + 1, or 0. */
export const TAKER_SHIFT = 24;
/** The bits of a batch's word that its taker stands in. */
export const TAKER_MASK: number = 31 << TAKER_SHIFT;

/** A hold: the buffer was handed over with all references to it, to whoever has the ticket. */
export const SEALED: number = 1 << 31;
/** A hold: the buffer is offered to who waits. */
export const OFFERED = -1;
/** Where in a sealed hold its sender stands. */
export const SENDER_SHIFT = 26;

/** A ticket's phase: it is not in use. */
export const IDLE = 0;
/** A ticket's phase: its owner is about to send, and counted in the hold if not a holder. */
export const SENDING = 1;
/** A ticket's phase: it is in flight, and counted in the hold. */
export const FLYING = 2;
/** A ticket's phase: its receiver has it; it is counted in the hold. */
export const LANDING = 3;
/** A ticket's phase: its receiver has it; it is counted in the hold if that is not a holder. */
export const LANDED = 4;
/** The bits of a ticket's state that hold its phase. */
export const PHASE_MASK = 7;
/** Where in a ticket's state its receiver stands. */
export const RECEIVER_SHIFT = 3;
/** Where in a ticket's state its number stands. */
export const NUMBER_SHIFT = 8;
/** The words of a ticket: its state, and the buffer. */
export const TICKET_WORDS = 2;

/** The most tickets of a thread. */
const MAX_TICKETS = 1024;
const MAX_BUFFER_BYTES = 2 ** 30;
const MAX_BUFFERS = 2 ** 24;
const BUFFER_ALIGNMENT = 8;

/** The shape of one pool. */
export interface Shape {
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
  /** Whether to remember where packets were taken. */
  readonly debug: boolean;
  /** What this pool is known by among others: any number. */
  readonly identity: number;
}

/** Where the words of one pool stand. */
export interface Places {
  /** The word of batch 0. */
  readonly batches: number;
  /** The hold of buffer 0. */
  readonly holds: number;
  /** The first ticket of thread 0. */
  readonly tickets: number;
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

/** How many tickets each of so many threads can have: together they fit the flights of a hold. */
export function mostTickets(threads: number): number {
  return Math.min(MAX_TICKETS, Math.floor((2 ** (31 - threads) - 1) / threads));
}

/** Where the words of a pool of this shape stand. */
export function placesOf(shape: Shape): Places {
  const { bufferBytes, batchCount, buffersPerBatch, threads } = shape;
  const buffers = batchCount * buffersPerBatch;
  const batches = threadLine(threads);
  const holds = alignUp(batches + batchCount, CACHE_LINE_WORDS);
  const tickets = alignUp(holds + buffers, CACHE_LINE_WORDS);
  const data = alignUp(tickets + threads * shape.tickets * TICKET_WORDS, CACHE_LINE_WORDS);
  const stride = alignUp(bufferBytes, BUFFER_ALIGNMENT);
  const byteLength = data * Int32Array.BYTES_PER_ELEMENT + buffers * stride;
  return { batches, holds, tickets, data, stride, byteLength };
}

/** Refuses what is not the shape of a pool. */
export function checkShape(shape: Shape): void {
  const { bufferBytes, batchCount, buffersPerBatch, threads, tickets } = shape;
  const action = "create buffer pool";
  checkInteger(action, "bufferBytes", bufferBytes, 1, MAX_BUFFER_BYTES);
  checkInteger(action, "buffersPerBatch", buffersPerBatch, 1, MAX_BUFFERS_PER_BATCH);
  checkInteger(action, "batchCount", batchCount, 1, Math.floor(MAX_BUFFERS / buffersPerBatch));
  checkInteger(action, "threads", threads, 1, MAX_THREADS);
  checkInteger(action, "tickets", tickets, 1, mostTickets(threads));
}

/** Writes the header of a pool of this shape, all of whose buffers are free. */
export function initialize(region: Region<typeof KIND.kind>, shape: Shape): void {
  const { words } = region;
  words[BUFFER_BYTES] = shape.bufferBytes;
  words[BATCH_COUNT] = shape.batchCount;
  words[BUFFERS_PER_BATCH] = shape.buffersPerBatch;
  words[THREADS] = shape.threads;
  words[TICKETS] = shape.tickets;
  words[DEBUG] = shape.debug ? 1 : 0;
  words[IDENTITY] = shape.identity;
  if (isObserved()) labelRegion(region, shape);
}

/** The shape that the header says. */
export function readShape(words: Int32Array): Shape {
  return {
    bufferBytes: words[BUFFER_BYTES]!,
    batchCount: words[BATCH_COUNT]!,
    buffersPerBatch: words[BUFFERS_PER_BATCH]!,
    threads: words[THREADS]!,
    tickets: words[TICKETS]!,
    debug: words[DEBUG] === 1,
    identity: words[IDENTITY]!,
  };
}

/** The size of the smallest region. */
export const LEAST_BYTES: number = placesOf({
  bufferBytes: 1,
  batchCount: 1,
  buffersPerBatch: 1,
  threads: 1,
  tickets: 1,
  debug: false,
  identity: 0,
}).byteLength;

/** Names the words of a pool, for an observer's reports. */
function labelRegion(region: Region<typeof KIND.kind>, shape: Shape): void {
  const { batches, holds, tickets, data, stride } = placesOf(shape);
  region.label("waiting", WAITING);
  for (let i = 0; i < shape.threads; i++) {
    region.label(`state[${i}]`, threadLine(i) + STATE);
    region.label(`kept[${i}]`, threadLine(i) + KEPT);
  }
  for (let i = 0; i < shape.batchCount; i++) region.label(`batch[${i}]`, batches + i);
  for (let i = 0; i < shape.batchCount * shape.buffersPerBatch; i++) {
    region.label(`hold[${i}]`, holds + i);
    region.label(`data[${i}]`, data + i * stride / 4, stride / 4);
  }
  for (let i = 0; i < shape.threads * shape.tickets; i++) {
    region.label(`ticket[${i}]`, tickets + i * TICKET_WORDS);
    region.label(`ticketBuffer[${i}]`, tickets + i * TICKET_WORDS + 1);
  }
}
