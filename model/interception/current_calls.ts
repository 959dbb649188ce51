/**
 * The calls of the machine that is being explored, to which all intercepted objects report.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import { replaceGettersNow } from "./replacements.ts";
import type { CurrentCalls } from "./views.ts";

/** The calls to which the intercepted objects report; undefined while no machine is installed. */
export let calls: Calls | undefined;

/** The same for objects that look them up at each use. */
export const current: CurrentCalls = {
  get calls(): Calls {
    if (calls === undefined) {
      throw new Error("Cannot use memory of a model outside the exploration that created it");
    }
    return calls;
  },
  get isThreadRunning(): boolean {
    return calls?.isThreadRunning === true;
  },
  replaceGetters: replaceGettersNow,
};

/** Sets, or forgets, the calls. */
export function setCalls(next: Calls | undefined): void {
  calls = next;
}

/** Suspends the code that runs if it is of a task that a thread left behind. */
export function suspendLeftTask(): void {
  calls?.suspendLeftTask();
}

/** A function that is the replacement while a simulated thread runs, else the native one. */
export function whileThreadRuns<F extends (...args: never[]) => unknown>(native: F, model: F): F {
  return function (this: unknown, ...args: never[]) {
    if (calls === undefined) return native.apply(this, args);
    calls.suspendLeftTask();
    return (calls.isThreadRunning ? model : native).apply(this, args);
  } as F;
}
