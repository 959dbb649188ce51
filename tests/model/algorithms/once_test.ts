/**
 * Initialisation by whoever comes first, and double-checked: all later comers only look.
 *
 * Source: D. C. Schmidt, T. Harrison, "Double-Checked Locking", PLoP 1996; how it goes wrong: "The
 * 'Double-Checked Locking is Broken' Declaration", D. Bacon and others, 2000.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: whether the value is there, a lock, and how often it was made. */
const DONE = 0;
const LOCK = 1;
const MADE = 2;

interface State {
  readonly words: Int32Array;
  /** What is made once, written and read plainly. */
  readonly value: Int32Array;
}

function lock(words: Int32Array): void {
  while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) Atomics.wait(words, LOCK, 1);
}

function unlock(words: Int32Array): void {
  Atomics.store(words, LOCK, 0);
  Atomics.notify(words, LOCK, 1);
}

function make({ words, value }: State): void {
  Atomics.add(words, MADE, 1);
  value[0] = 42;
}

function once(state: State): number {
  const { words, value } = state;
  // Pairs with the store below: who sees it sees the value.
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    if (Atomics.load(words, DONE) === 0) {
      make(state);
      Atomics.store(words, DONE, 1);
    }
    unlock(words);
  }
  return value[0]!;
}

/** Looks with a plain read, which orders nothing. */
function plainLook(state: State): number {
  const { words, value } = state;
  if (words[DONE] === 0) {
    lock(words);
    if (words[DONE] === 0) {
      make(state);
      words[DONE] = 1;
    }
    unlock(words);
  }
  return value[0]!;
}

/** Says that the value is there before it is. */
function doneFirst(state: State): number {
  const { words, value } = state;
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    if (Atomics.load(words, DONE) === 0) {
      Atomics.store(words, DONE, 1);
      make(state);
    }
    unlock(words);
  }
  return value[0]!;
}

/** Does not look again under the lock. */
function checkedOnce(state: State): number {
  const { words, value } = state;
  if (Atomics.load(words, DONE) === 0) {
    lock(words);
    make(state);
    Atomics.store(words, DONE, 1);
    unlock(words);
  }
  // Read under the lock, so that only the number of makings tells.
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
      assertEquals(words[MADE], 1);
      for (const seen of Object.values(results)) assertEquals(seen, 42);
    },
  };
}

Deno.test("a double-checked value is made once and seen by all, 2 threads", async () => {
  await assertHolds(model(once, 2));
});

Deno.test("a double-checked value is made once and seen by all, 3 threads", async () => {
  await assertHolds(model(once, 3));
});

Deno.test("a double-checked value races if the first look is a plain read", async () => {
  await assertFails("data race", model(plainLook, 2));
});

Deno.test("a double-checked value races if it is announced before it is made", async () => {
  await assertFails("data race", model(doneFirst, 2));
});

Deno.test("a value that is checked once only is made twice", async () => {
  await assertFails("assertion", model(checkedOnce, 2));
});
