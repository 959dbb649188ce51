/**
 * Double-checked initialisation: the first thread creates the value, and all others only check.
 *
 * Source: D. C. Schmidt, T. Harrison, "Double-Checked Locking", PLoP 1996; how it goes wrong: "The
 * 'Double-Checked Locking is Broken' Declaration", D. Bacon and others, 2000.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: whether the value is there, a lock, and how many times it was created. */
const DONE = 0;
const LOCK = 1;
const CREATED = 2;

interface State {
  readonly words: Int32Array;
  /** The value, written and read plainly. */
  readonly value: Int32Array;
}

function lock(words: Int32Array): void {
  while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) Atomics.wait(words, LOCK, 1);
}

function unlock(words: Int32Array): void {
  Atomics.store(words, LOCK, 0);
  Atomics.notify(words, LOCK, 1);
}

function create({ words, value }: State): void {
  Atomics.add(words, CREATED, 1);
  value[0] = 42;
}

function once(state: State): number {
  const { words, value } = state;
  // Pairs with the store below: a thread that reads 1 also sees the value.
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    if (Atomics.load(words, DONE) === 0) {
      create(state);
      Atomics.store(words, DONE, 1);
    }
    unlock(words);
  }
  return value[0]!;
}

/** Checks with a plain read, which orders nothing. */
function plainCheck(state: State): number {
  const { words, value } = state;
  if (words[DONE] === 0) {
    lock(words);
    if (words[DONE] === 0) {
      create(state);
      words[DONE] = 1;
    }
    unlock(words);
  }
  return value[0]!;
}

/** Publishes the value before creating it. */
function doneFirst(state: State): number {
  const { words, value } = state;
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    if (Atomics.load(words, DONE) === 0) {
      Atomics.store(words, DONE, 1);
      create(state);
    }
    unlock(words);
  }
  return value[0]!;
}

/** Does not check again under the lock. */
function checkedOnce(state: State): number {
  const { words, value } = state;
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    create(state);
    Atomics.store(words, DONE, 1);
    unlock(words);
  }
  // Read under the lock, so that only the count is wrong.
  lock(words);
  const seen = value[0]!;
  unlock(words);
  return seen;
}

function model(get: typeof once, threads: number) {
  return {
    setup: () => ({ words: sharedWords(3), value: sharedWords(1) }),
    threads: Object.fromEntries(Array.from({ length: threads }, (_, i) => [`t${i}`, get])),
    check: ({ words }: State, results: Record<string, number>) => {
      assertEquals(words[CREATED], 1);
      for (const seen of Object.values(results)) assertEquals(seen, 42);
    },
  };
}

Deno.test("a double-checked value is created once and seen by all, 2 threads", async () => {
  await assertHolds(model(once, 2));
});

Deno.test("a double-checked value is created once and seen by all, 3 threads", async () => {
  await assertHolds(model(once, 3));
});

Deno.test("a double-checked value races if the first check is a plain read", async () => {
  await assertFails("data race", model(plainCheck, 2));
});

Deno.test("a double-checked value races if it is published before it is created", async () => {
  await assertFails("data race", model(doneFirst, 2));
});

Deno.test("a value that is checked only once is created twice", async () => {
  await assertFails("assertion", model(checkedOnce, 2));
});
