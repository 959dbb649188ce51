/**
 * Broken twins of shipped code: the same functions, with some atomic operations gone wrong.
 *
 * @module
 */

const OPERATIONS = [
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
] as const;

/** The operations that a twin can get wrong. */
type Operations = Pick<typeof Atomics, typeof OPERATIONS[number]>;

/**
 * A body that runs with other atomic operations.
 *
 * @param body What a thread does.
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

/** What a thread that died cannot go on from. */
class Death extends Error {}

/** What became of a thread that may have died. */
export interface Life {
  /** Whether it died before its end. */
  readonly hasDied: boolean;
  /** What it noted until then. */
  readonly notes: number[];
}

/**
 * A body that dies before its operation number `life`, and does nothing more, not even in
 * `finally`.
 *
 * @param body What the thread does; it can note numbers.
 */
export function mortal<Argument>(
  life: number,
  body: (argument: Argument, notes: number[]) => void,
): (argument: Argument) => Life {
  return (argument) => {
    const notes: number[] = [];
    const proper = globalThis.Atomics;
    const last = Object.create(proper);
    let count = 0;
    let hasDied = false;
    for (const name of OPERATIONS) {
      const operation = proper[name] as (...operands: unknown[]) => unknown;
      last[name] = (...operands: unknown[]) => {
        hasDied ||= count++ >= life;
        if (hasDied) throw new Death();
        return operation.apply(proper, operands);
      };
    }
    globalThis.Atomics = last;
    try {
      body(argument, notes);
      return { hasDied, notes };
    } catch (error) {
      if (!hasDied) throw error;
      return { hasDied, notes };
    } finally {
      globalThis.Atomics = proper;
    }
  };
}
