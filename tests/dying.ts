/**
 * Threads that die: they stop before one of their atomic operations, and do nothing more, not even
 * in a `finally` block.
 *
 * @module
 */

import { type AtomicOperation, atomicOperations } from "./tamper.ts";

/** Thrown by each operation of a dead thread. */
class Death extends Error {}

const OPERATIONS: ReadonlySet<AtomicOperation> = new Set(
  atomicOperations.filter((name) => name !== "pause"),
);

/** The operations that have an effect on other threads, or wait for one. */
export const VISIBLE_OPERATIONS: ReadonlySet<AtomicOperation> = new Set(
  atomicOperations.filter((name) => name !== "load" && name !== "pause"),
);

/** Runs a function, and calls another before each of its atomic operations. */
export function runHooked(body: () => void, before: (name: AtomicOperation) => void): void {
  const proper = globalThis.Atomics;
  const hooked = Object.create(proper);
  for (const name of atomicOperations) {
    const operation = proper[name] as (...operands: unknown[]) => unknown;
    hooked[name] = (...operands: unknown[]) => {
      before(name);
      return operation.apply(proper, operands);
    };
  }
  globalThis.Atomics = hooked;
  try {
    body();
  } finally {
    globalThis.Atomics = proper;
  }
}

/**
 * Runs a function until it dies.
 *
 * @param life How many operations it performs before it dies.
 * @param counted The operations that count: all but pauses by default. Dying before one
 * without effect is the same as dying after the operation before it.
 * @returns Whether it died before its end.
 */
export function diesAfter(
  life: number,
  body: () => void,
  counted: ReadonlySet<AtomicOperation> = OPERATIONS,
): boolean {
  let count = 0;
  let hasDied = false;
  try {
    runHooked(body, (name) => {
      hasDied ||= counted.has(name) && count++ >= life;
      if (hasDied) throw new Death();
    });
  } catch (error) {
    // Only a dead thread may throw: its death, or an error that its code made of that.
    if (!hasDied) throw error;
  }
  return hasDied;
}

/** The fate of a thread that may have died. */
export interface Life {
  /** Whether it died before its end. */
  readonly hasDied: boolean;
  /** The numbers that it noted until then. */
  readonly notes: number[];
}

/**
 * The body of a thread that dies before its operation number `life`.
 *
 * @param body The body of the thread, which can note numbers.
 * @param counted The operations that count, as for {@link diesAfter}.
 */
export function mortal<Argument>(
  life: number,
  body: (argument: Argument, notes: number[]) => void,
  counted: ReadonlySet<AtomicOperation> = OPERATIONS,
): (argument: Argument) => Life {
  return (argument) => {
    const notes: number[] = [];
    const hasDied = diesAfter(life, () => body(argument, notes), counted);
    return { hasDied, notes };
  };
}

/**
 * Runs a function, and another one just before an atomic operation of the first.
 *
 * @param operations How many operations come before that.
 * @returns Whether the first one was interrupted, rather than at its end before.
 */
export function isInterruptedAfter(
  operations: number,
  body: () => void,
  meanwhile: () => void,
): boolean {
  const proper = globalThis.Atomics;
  let count = 0;
  runHooked(body, (name) => {
    if (!OPERATIONS.has(name) || count++ !== operations) return;
    const hooked = globalThis.Atomics;
    globalThis.Atomics = proper;
    try {
      meanwhile();
    } finally {
      globalThis.Atomics = hooked;
    }
  });
  return count > operations;
}
