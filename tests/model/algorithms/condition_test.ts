/**
 * A condition variable beside a mutex: release the mutex and sleep, without missing a notification
 * in between. A count that every notification raises makes the two steps atomic.
 *
 * Source: C. A. R. Hoare, "Monitors: An Operating System Structuring Concept", CACM 17(10), 1974;
 * with the semantics of Lampson and Redell, "Experience with Processes and Monitors in Mesa", CACM
 * 23(2), 1980: a woken thread checks its condition again.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the mutex, and the count of notifications. */
const MUTEX = 0;
const COUNT = 1;

interface State {
  readonly words: Int32Array;
  /** The number of elements; guarded by the mutex, and accessed plainly. */
  readonly elements: Int32Array;
}

interface Condition {
  wait(words: Int32Array): void;
  notifyOne(words: Int32Array): void;
}

function lock(words: Int32Array): void {
  while (Atomics.compareExchange(words, MUTEX, 0, 1) !== 0) Atomics.wait(words, MUTEX, 1);
}

function unlock(words: Int32Array): void {
  Atomics.store(words, MUTEX, 0);
  Atomics.notify(words, MUTEX, 1);
}

const condition: Condition = {
  wait(words) {
    // Under the mutex: each later notification raises the count, so that the wait does not sleep.
    const count = Atomics.load(words, COUNT);
    unlock(words);
    Atomics.wait(words, COUNT, count);
    lock(words);
  },
  notifyOne(words) {
    Atomics.add(words, COUNT, 1);
    Atomics.notify(words, COUNT, 1);
  },
};

/** Reads the count after releasing the mutex: a notification in between is missed. */
const countReadLate: Condition = {
  ...condition,
  wait(words) {
    unlock(words);
    Atomics.wait(words, COUNT, Atomics.load(words, COUNT));
    lock(words);
  },
};

/** Sleeps while holding the mutex: no thread can make the condition true. */
const keepsTheMutex: Condition = {
  ...condition,
  wait(words) {
    Atomics.wait(words, COUNT, Atomics.load(words, COUNT));
  },
};

function put({ words, elements }: State, { notifyOne }: Condition): void {
  lock(words);
  elements[0]!++;
  unlock(words);
  notifyOne(words);
}

/** Returns the number of elements that are left. */
function take({ words, elements }: State, { wait }: Condition): number {
  lock(words);
  while (elements[0] === 0) wait(words);
  const left = --elements[0]!;
  unlock(words);
  return left;
}

/** Assumes, once woken, that there is an element. */
function takeWithoutRecheck({ words, elements }: State, { wait }: Condition): number {
  lock(words);
  if (elements[0] === 0) wait(words);
  const left = --elements[0]!;
  unlock(words);
  return left;
}

/** Takes an element if there is one, and puts it back. */
function borrow(state: State, condition: Condition): void {
  const { words, elements } = state;
  lock(words);
  const isThere = elements[0]! > 0;
  if (isThere) elements[0]!--;
  unlock(words);
  if (isThere) put(state, condition);
}

function model(condition: Condition, count: number) {
  return {
    setup: () => ({ words: sharedWords(2), elements: sharedWords(1) }),
    threads: {
      putter: (state: State) => {
        for (let i = 0; i < count; i++) put(state, condition);
      },
      taker: (state: State) => {
        for (let i = 0; i < count; i++) take(state, condition);
      },
    },
    check: ({ elements }: State) => assertEquals(elements[0], 0),
  };
}

/** The taker may be woken for an element that is borrowed, and will be put back. */
function modelWithBorrower(taker: typeof take) {
  return {
    setup: () => ({ words: sharedWords(2), elements: sharedWords(1) }),
    threads: {
      taker: (state: State) => taker(state, condition),
      borrower: (state: State) => {
        put(state, condition);
        borrow(state, condition);
      },
    },
    check: (_: State, { taker }: { taker: number }) => assertEquals(taker, 0),
  };
}

Deno.test("a condition variable wakes its taker, 1 element", async () => {
  await assertHolds(model(condition, 1));
});

Deno.test("a condition variable wakes its taker, 2 elements", async () => {
  await assertHolds(model(condition, 2));
});

Deno.test("a condition variable's taker waits again for an element that was borrowed", async () => {
  await assertHolds(modelWithBorrower(take));
});

Deno.test("a taker that does not check again takes an element that is not there", async () => {
  await assertFails("assertion", modelWithBorrower(takeWithoutRecheck));
});

Deno.test("a condition variable misses a notification if it reads the count without the mutex", async () => {
  await assertFails("deadlock", model(countReadLate, 1));
});

Deno.test("a condition variable that keeps the mutex deadlocks", async () => {
  await assertFails("deadlock", model(keepsTheMutex, 1));
});
