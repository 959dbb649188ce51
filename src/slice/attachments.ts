/**
 * Which threads are attached to a pool: a word with a bit for each. Thread 0 is the owner.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { OWNER } from "./handovers.ts";
import { ATTACHED, MAX_THREADS } from "./layout.ts";

/** Whether a thread is attached under a number. */
export function isAttached(words: Int32Array, thread: number): boolean {
  return (Atomics.load(words, ATTACHED) >>> thread & 1) !== 0;
}

/** Attaches the owner; returns whether there was none. */
export function attachOwner(words: Int32Array): boolean {
  return tryAttach(words, OWNER);
}

/**
 * Attaches a thread that receives slices.
 *
 * @param wanted Its number; any that is free if undefined.
 * @returns Its number.
 * @throws {RangeError} If there is no thread of that number.
 * @throws {Error} If another thread is attached under it, or all numbers are in use.
 */
export function attachReceiver(words: Int32Array, wanted: number | undefined): number {
  if (wanted !== undefined) {
    checkInteger("attach to the slice pool", "thread", wanted, OWNER + 1, MAX_THREADS - 1);
    if (tryAttach(words, wanted)) return wanted;
    throw new Error(`Cannot attach to the slice pool as thread ${wanted} is attached`);
  }
  for (let thread = OWNER + 1; thread < MAX_THREADS; thread++) {
    if (tryAttach(words, thread)) return thread;
  }
  throw new Error(
    `Cannot attach to the slice pool as all ${MAX_THREADS - 1} numbers of receivers are in use`,
  );
}

/** Detaches a thread that has nothing of the pool any more, or that has died. */
export function detachThread(words: Int32Array, thread: number): void {
  Atomics.and(words, ATTACHED, ~(1 << thread));
}

function tryAttach(words: Int32Array, thread: number): boolean {
  return (Atomics.or(words, ATTACHED, 1 << thread) >>> thread & 1) === 0;
}
