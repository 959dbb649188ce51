/**
 * The threads of a pool: becoming one, leaving, and taking over what one had that has died.
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

import { checkInteger } from "../memory/check.ts";
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
} from "./layout.ts";

const RECLAIMER_MASK = (1 << GENERATION_SHIFT - RECLAIMER_SHIFT) - 1;
/** In place of a reclaimer: it has left, or has died itself. */
const NOBODY = RECLAIMER_MASK;

/** One of the threads of a pool. */
export interface Identity {
  /** Its number. */
  readonly thread: number;
  /** How many have been that thread before. */
  readonly generation: number;
}

/**
 * Becomes a thread that nobody is.
 *
 * @param wanted Its number; any if undefined.
 * @throws {RangeError} If there is no thread of that number.
 * @throws {Error} If somebody is that thread, or all of them.
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
  // Pairs with the store of who was this thread before.
  if (Atomics.compareExchange(words, index, state, state | LIVE) !== state) return undefined;
  return { thread, generation: state >>> GENERATION_SHIFT };
}

/**
 * Lets another become a thread, which has nothing of the pool any more.
 *
 * @param threads How many threads there can be.
 */
export function leave(words: Int32Array, thread: number, threads: number): void {
  for (let dead = 0; dead < threads; dead++) {
    if (dead !== thread) abandonReclaim(words, dead, thread);
  }
  const generation = (Atomics.load(words, threadLine(thread) + STATE) >>> GENERATION_SHIFT) + 1;
  tellKept(words, thread, 0);
  // Pairs with the compareExchange of who becomes this thread next.
  Atomics.store(words, threadLine(thread) + STATE, generation << GENERATION_SHIFT | FREE);
}

/** Says to others how many free buffers this thread keeps. */
export function tellKept(words: Int32Array, thread: number, count: number): void {
  Atomics.store(words, threadLine(thread) + KEPT, count);
}

/** How many free buffers a thread keeps, as it said last. */
export function keptOf(words: Int32Array, thread: number): number {
  return Atomics.load(words, threadLine(thread) + KEPT);
}

/**
 * Becomes the reclaimer of a thread that has died.
 *
 * @throws {Error} If nobody is that thread, or it is reclaimed by another.
 */
export function becomeReclaimer(words: Int32Array, dead: number, reclaimer: number): void {
  const index = threadLine(dead) + STATE;
  for (;;) {
    const state = Atomics.load(words, index);
    if ((state & STATE_MASK) === FREE) {
      throw new Error(`Cannot reclaim thread ${dead} as it is not attached`);
    }
    const other = state >>> RECLAIMER_SHIFT & RECLAIMER_MASK;
    if ((state & STATE_MASK) === DYING && other !== reclaimer && isLive(words, other)) {
      throw new Error(`Cannot reclaim thread ${dead} as thread ${other} does`);
    }
    const generation = state >>> GENERATION_SHIFT;
    const dying = generation << GENERATION_SHIFT | reclaimer << RECLAIMER_SHIFT | DYING;
    if (Atomics.compareExchange(words, index, state, dying) === state) return;
  }
}

/**
 * Abandons an unfinished reclaim of `reclaimer`, so that another thread can finish it.
 */
function abandonReclaim(words: Int32Array, dead: number, reclaimer: number): void {
  const index = threadLine(dead) + STATE;
  const state = Atomics.load(words, index);
  if ((state & STATE_MASK) !== DYING) return;
  if ((state >>> RECLAIMER_SHIFT & RECLAIMER_MASK) !== reclaimer) return;
  // Fails only if another has become the reclaimer since.
  Atomics.compareExchange(words, index, state, state | NOBODY << RECLAIMER_SHIFT);
}

function isLive(words: Int32Array, thread: number): boolean {
  return thread !== NOBODY &&
    (Atomics.load(words, threadLine(thread) + STATE) & STATE_MASK) === LIVE;
}
