/**
 * What keeps a process alive while it awaits shared memory: an asynchronous wait alone does not.
 *
 * @module
 */

import { isObserved } from "./observer.ts";

/** The longest delay of a timer, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How many have yet to let go. */
let holds = 0;
/** Does nothing, very rarely, but is there. */
let timer: ReturnType<typeof setInterval> | undefined;

/**
 * Keeps the process alive until the result is called, which must happen once.
 *
 * Nothing is done where there is neither a process nor a timer: under a checker, or in a worklet.
 */
export function keepAlive(): () => void {
  if (isObserved() || globalThis.setInterval === undefined) return letGoOfNothing;
  if (holds++ === 0) timer = setInterval(() => {}, LONGEST_TIMER_MS);
  return letGo;
}

function letGo(): void {
  if (--holds === 0) clearInterval(timer);
}

function letGoOfNothing(): void {}
