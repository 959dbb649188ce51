/**
 * The threads of a pool: attaching and leaving, reclaiming what a dead thread had, and which
 * threads wait.
 *
 * The state of a thread:
 *
 *                compareExchange              store
 *          FREE -----------------> LIVE -------------------+
 *           ^                       |                      |
 *           |                       | compareExchange      |  the generation goes up
 *           |                       v                      |
 *           +---- store ---------- DYING, with a reclaimer |
 *           +----------------------------------------------+
 *
 * @module
 */

import { assertState, checkInteger } from "../memory/check.ts";
import { racyLoad } from "../memory/memory.ts";
import {
  DYING,
  FREE,
  GENERATION_SHIFT,
  KEPT,
  LIVE,
  RECLAIMER_SHIFT,
  STATE,
  STATE_MASK,
  threadLine,
  WAITING,
} from "./layout.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const peek = racyLoad;
const WAITING_INDEX = WAITING;

const RECLAIMER_MASK = (1 << GENERATION_SHIFT - RECLAIMER_SHIFT) - 1;
/** In place of a reclaimer: it has left, or has died itself. */
const NO_RECLAIMER = RECLAIMER_MASK;

/** One of the threads of a pool. */
export interface Identity {
  /** Its number. */
  readonly thread: number;
  /** How many threads had that number before. */
  readonly generation: number;
}

/**
 * Attaches this thread under a number that is free.
 *
 * @param wanted The number; any if undefined.
 * @throws {RangeError} If there is no thread of that number.
 * @throws {Error} If another thread is attached under it, or all numbers are in use.
 */
export function becomeThread(
  words: Int32Array,
  threads: number,
  wanted: number | undefined,
): Identity {
  if (wanted !== undefined) {
    checkInteger("attach to the buffer pool", "thread", wanted, 0, threads - 1);
    const identity = tryToBecome(words, wanted);
    if (identity !== undefined) return identity;
    throw new Error(`Cannot attach to the buffer pool as thread ${wanted} is attached`);
  }
  for (let thread = 0; thread < threads; thread++) {
    const identity = tryToBecome(words, thread);
    if (identity !== undefined) return identity;
  }
  throw new Error(`Cannot attach to the buffer pool as all ${threads} thread slots are in use`);
}

function tryToBecome(words: Int32Array, thread: number): Identity | undefined {
  const index = threadLine(thread) + STATE;
  const state = Atomics.load(words, index);
  if ((state & STATE_MASK) !== FREE) return undefined;
  // Pairs with the store of leave, by the thread that had this number before or by its reclaimer.
  if (Atomics.compareExchange(words, index, state, state | LIVE) !== state) return undefined;
  return { thread, generation: state >>> GENERATION_SHIFT };
}

/**
 * Frees the number of a thread that has nothing of the pool any more: its own, or that of a dead
 * thread which it has reclaimed.
 *
 * @param threads How many threads there can be.
 */
export function leave(words: Int32Array, thread: number, threads: number): void {
  for (let dead = 0; dead < threads; dead++) {
    if (dead !== thread) abandonReclaim(words, dead, thread);
  }
  const generation = (Atomics.load(words, threadLine(thread) + STATE) >>> GENERATION_SHIFT) + 1;
  tellKept(words, thread, 0);
  // Pairs with the compareExchange of the thread that attaches under this number next.
  Atomics.store(words, threadLine(thread) + STATE, generation << GENERATION_SHIFT | FREE);
}

/** Tells others how many free buffers this thread keeps. */
export function tellKept(words: Int32Array, thread: number, count: number): void {
  Atomics.store(words, threadLine(thread) + KEPT, count);
}

/** How many free buffers a thread keeps, as it told last. */
export function keptOf(words: Int32Array, thread: number): number {
  return Atomics.load(words, threadLine(thread) + KEPT);
}

/**
 * Becomes the reclaimer of a thread that has died.
 *
 * @throws {Error} If no thread is attached under that number, or another is reclaiming it.
 */
export function becomeReclaimer(words: Int32Array, dead: number, reclaimer: number): void {
  const index = threadLine(dead) + STATE;
  for (;;) {
    const state = Atomics.load(words, index);
    const phase = state & STATE_MASK;
    if (phase === FREE) throw new Error(`Cannot reclaim thread ${dead} as it is not attached`);
    assertState(
      phase === LIVE || phase === DYING,
      `thread ${dead} to be free, live or dying: found state ${phase}`,
    );
    const other = state >>> RECLAIMER_SHIFT & RECLAIMER_MASK;
    if (phase === DYING && other !== reclaimer && isLive(words, other)) {
      throw new Error(`Cannot reclaim thread ${dead} as thread ${other} is reclaiming it`);
    }
    const generation = state >>> GENERATION_SHIFT;
    const dying = generation << GENERATION_SHIFT | reclaimer << RECLAIMER_SHIFT | DYING;
    if (Atomics.compareExchange(words, index, state, dying) === state) return;
  }
}

/** Abandons an unfinished reclaim of this reclaimer, so that another thread can finish it. */
function abandonReclaim(words: Int32Array, dead: number, reclaimer: number): void {
  const index = threadLine(dead) + STATE;
  const state = Atomics.load(words, index);
  if ((state & STATE_MASK) !== DYING) return;
  if ((state >>> RECLAIMER_SHIFT & RECLAIMER_MASK) !== reclaimer) return;
  // Fails only if another thread has become the reclaimer since.
  Atomics.compareExchange(words, index, state, state | NO_RECLAIMER << RECLAIMER_SHIFT);
}

/** Whether another thread has reclaimed this one, or has begun to. */
export function isReclaimed(words: Int32Array, { thread, generation }: Identity): boolean {
  const state = Atomics.load(words, threadLine(thread) + STATE);
  return state !== (generation << GENERATION_SHIFT | LIVE);
}

/** Whether a thread is attached under a number, or was and its reclaim is unfinished. */
export function isAttached(words: Int32Array, thread: number): boolean {
  return (Atomics.load(words, threadLine(thread) + STATE) & STATE_MASK) !== FREE;
}

function isLive(words: Int32Array, thread: number): boolean {
  return thread !== NO_RECLAIMER &&
    (Atomics.load(words, threadLine(thread) + STATE) & STATE_MASK) === LIVE;
}

/**
 * Which threads of a pool wait for a buffer: a word with a bit for each, as one thread sees it.
 *
 * It is a hint beside the queue of waiters, for threads that have buffers: while no thread waits, a
 * plain load of it is all that a release costs. A thread that serves waiters asks the queue.
 */
export class WaitingThreads {
  readonly #words: Int32Array;
  /** The bit of this thread. */
  readonly #bit: number;

  /**
   * Opens the word of a pool.
   *
   * @param words All words of the region.
   */
  constructor(words: Int32Array, thread: number) {
    this.#words = words;
    this.#bit = 1 << thread;
  }

  /** Whether a thread seems to wait; a plain load, which may be too early or too late. */
  get hasWaiterHint(): boolean {
    return peek(this.#words, WAITING_INDEX) !== 0;
  }

  /** Whether a thread other than this one waits, or is about to. */
  get hasOtherWaiter(): boolean {
    return (Atomics.load(this.#words, WAITING) & ~this.#bit) !== 0;
  }

  /** The bits of the threads that wait. */
  get bits(): number {
    return Atomics.load(this.#words, WAITING);
  }

  /**
   * Announces that this thread is about to wait: others no longer keep the buffers they release.
   */
  join(): void {
    Atomics.or(this.#words, WAITING, this.#bit);
  }

  /** Withdraws that: this thread waits no longer. */
  leave(): void {
    Atomics.and(this.#words, WAITING, ~this.#bit);
  }

  /** Withdraws that for a thread that has died. */
  remove(dead: number): void {
    Atomics.and(this.#words, WAITING, ~(1 << dead));
  }
}
