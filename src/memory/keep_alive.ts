/**
 * Keeps the process alive while it awaits shared memory, which an asynchronous wait alone does not.
 *
 * @module
 */

import { isObserved } from "./observer.ts";

/** The longest delay of a timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** How many callers keep the process alive. */
let holds = 0;
/** A no-op interval: it only keeps the event loop alive. */
let timer: ReturnType<typeof setInterval> | undefined;

/**
 * Keeps the process alive until the result is called, which must happen once.
 *
 * It does nothing where there is neither a process nor a timer: under a checker, or in a worklet.
 */
export function keepAlive(): () => void {
  if (isObserved() || globalThis.setInterval === undefined) return noop;
  if (holds++ === 0) timer = setInterval(() => {}, MAX_TIMER_MS);
  return release;
}

function release(): void {
  if (--holds === 0) clearInterval(timer);
}

function noop(): void {}
