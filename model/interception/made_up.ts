/**
 * Answers to a thread whose code catches every error.
 *
 * A thread is suspended by an error. Code that catches every error in a loop would never end, so
 * after some attempts its calls return made-up results, different each time, to lead it out of its
 * loop. Nothing that it does then has an effect.
 *
 * @module
 */

import { COMPARE_EXCHANGE, type Kind, NOTIFY, WAIT, WAIT_ASYNC } from "../machine/kinds.ts";
import { SUSPENDED, type Thread } from "../machine/thread.ts";
import { abort } from "../platform.ts";
import { viewOf } from "./registry.ts";

/** So many times in a row the error is thrown. */
const MAX_THROWN = 32;
/** After so many calls nothing has led the code out of its loop, and the process is ended. */
const MAX_CALLS = 1_000_000;

/**
 * To be called when a suspended thread makes another call.
 *
 * @returns The number of calls that it has made, once it must be answered.
 * @throws {unknown} {@linkcode SUSPENDED} for the first calls.
 */
export function suspendAgain(thread: Thread): number {
  const calls = ++thread.rethrown;
  if (calls <= MAX_THROWN) throw SUSPENDED;
  if (calls > MAX_CALLS) {
    abort(
      `Thread ${thread.name} of an exploration cannot be suspended: a loop in it catches every ` +
        "error and goes on. Rethrow errors that it does not know, or end the loop on an error.",
    );
  }
  return calls;
}

/** A number, different for each of some calls in a row. */
export function madeUpNumber(call: number): number {
  switch (call & 7) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return -1;
    default:
      return call >> 3;
  }
}

/** The result of a function of `Atomics`. */
export function madeUpResult(thread: Thread, kind: Kind, view: unknown, a: unknown): unknown {
  const call = suspendAgain(thread);
  switch (kind) {
    case WAIT:
      return ["ok", "not-equal", "timed-out"][call % 3];
    case WAIT_ASYNC:
      return { async: false, value: call % 2 === 0 ? "not-equal" : "timed-out" };
    case NOTIFY:
      return call & 1;
    case COMPARE_EXCHANGE:
      if ((call & 1) === 0) return a;
  }
  const number = madeUpNumber(call);
  return viewOf(view)?.type?.isBigInt === true ? BigInt(number) : number;
}
