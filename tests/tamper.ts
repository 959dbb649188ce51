/**
 * Broken twins of shipped code: the same functions, with some atomic operations gone wrong.
 *
 * @module
 */

/** All operations that threads perform on shared memory, and pauses. */
export const atomicOperations = [
  "load",
  "store",
  "add",
  "sub",
  "and",
  "or",
  "xor",
  "exchange",
  "compareExchange",
  "wait",
  "notify",
  "pause",
] as const;

/** The name of one of them. */
export type AtomicOperation = typeof atomicOperations[number];

/** The operations that a twin can get wrong. */
type Operations = Pick<typeof Atomics, AtomicOperation>;

/**
 * A body that runs with other atomic operations.
 *
 * @param body The body of a thread.
 * @param wrong Makes the operations that differ, out of the proper ones.
 */
export function tampered<Argument, Result>(
  body: (argument: Argument) => Result,
  wrong: (proper: Operations) => Partial<Record<keyof Operations, unknown>>,
): (argument: Argument) => Result {
  return (argument) => {
    const proper = globalThis.Atomics;
    globalThis.Atomics = Object.assign(Object.create(proper), wrong(proper));
    try {
      return body(argument);
    } finally {
      globalThis.Atomics = proper;
    }
  };
}
