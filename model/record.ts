/**
 * Records the calls of an object that should be linearizable.
 *
 * @module
 */

import { runningCalls } from "./interception/intercept.ts";
import { isThenable } from "./machine/thenable.ts";
import { SUSPENDED } from "./machine/thread.ts";
import { valueText } from "./values.ts";

/**
 * Makes a call, and records when it begins, when it ends and how; for use in a thread whose
 * exploration has a `linearizable` specification.
 *
 * A call that returns a promise ends when the promise settles. A call that throws, or whose promise
 * rejects, is recorded with its error, which the specification may expect with `throws`. Calls of
 * one thread may overlap: one made inside another, or by several tasks of an asynchronous thread.
 *
 * @param name The name of the operation in the specification.
 * @param args Its arguments in the specification.
 * @param call Makes the call.
 * @returns The result of the call.
 * @throws {unknown} What the call throws.
 * @throws {Error} If no simulated thread is running.
 */
export function record<T>(name: string, args: readonly unknown[], call: () => T): T {
  if (typeof name !== "string" || !Array.isArray(args) || typeof call !== "function") {
    throw new TypeError(
      "Cannot record: expected a name, an array of arguments and a function that makes the call, " +
        `received ${[name, args, call].map(valueText).join(", ")}`,
    );
  }
  const begin = runningCalls("record a call").beginCall(name, args);
  const end = (result: unknown, isThrown: boolean) =>
    runningCalls("record a call").endCall(begin, result, isThrown);
  const returns = <R>(result: R): R => {
    end(result, false);
    return result;
  };
  const throws = (error: unknown): never => {
    if (error !== SUSPENDED) end(error, true);
    throw error;
  };
  let result: T;
  try {
    result = call();
  } catch (error) {
    return throws(error);
  }
  return isThenable(result) ? result.then(returns, throws) as T : returns(result);
}
