/**
 * The work-stealing deque of Chase and Lev: its owner pushes and takes at the bottom, thieves steal
 * at the top; owner and thieves compete for the last element only.
 *
 * Sources: D. Chase, Y. Lev, "Dynamic Circular Work-Stealing Deque", SPAA 2005. N. M. Lê, A. Pop,
 * A. Cohen, F. Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models", PPoPP
 * 2013.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the index to steal from next, the index to push to next, and a circle of elements. */
const TOP = 0;
const BOTTOM = 1;
const CAPACITY = 4;
const slot = (index: number) => 2 + index % CAPACITY;

/** No element: the deque was empty, or another thread was faster. */
const NONE = 0;

function push(words: Int32Array, value: number): void {
  const bottom = Atomics.load(words, BOTTOM);
  Atomics.store(words, slot(bottom), value);
  // Publishes the element: thieves read this word before they read the element.
  Atomics.store(words, BOTTOM, bottom + 1);
}

function take(words: Int32Array): number {
  const bottom = Atomics.load(words, BOTTOM) - 1;
  // Before the top is read: a thief that comes later finds the element gone.
  Atomics.store(words, BOTTOM, bottom);
  const top = Atomics.load(words, TOP);
  if (top > bottom) {
    Atomics.store(words, BOTTOM, bottom + 1);
    return NONE;
  }
  const value = Atomics.load(words, slot(bottom));
  if (top < bottom) return value;
  // The last element: the thread that moves the top gets it.
  const isMine = Atomics.compareExchange(words, TOP, top, top + 1) === top;
  Atomics.store(words, BOTTOM, bottom + 1);
  return isMine ? value : NONE;
}

function steal(words: Int32Array): number {
  const top = Atomics.load(words, TOP);
  if (top >= Atomics.load(words, BOTTOM)) return NONE;
  const value = Atomics.load(words, slot(top));
  return Atomics.compareExchange(words, TOP, top, top + 1) === top ? value : NONE;
}

/** Takes the last element without competing for it. */
function takeWithoutExchange(words: Int32Array): number {
  const bottom = Atomics.load(words, BOTTOM) - 1;
  Atomics.store(words, BOTTOM, bottom);
  const top = Atomics.load(words, TOP);
  if (top <= bottom) return Atomics.load(words, slot(bottom));
  Atomics.store(words, BOTTOM, bottom + 1);
  return NONE;
}

/** Reads the top before it lowers the bottom: a thief may move the top in between. */
function takeTopFirst(words: Int32Array): number {
  const bottom = Atomics.load(words, BOTTOM) - 1;
  const top = Atomics.load(words, TOP);
  Atomics.store(words, BOTTOM, bottom);
  if (top > bottom) {
    Atomics.store(words, BOTTOM, bottom + 1);
    return NONE;
  }
  const value = Atomics.load(words, slot(bottom));
  if (top < bottom) return value;
  const isMine = Atomics.compareExchange(words, TOP, top, top + 1) === top;
  Atomics.store(words, BOTTOM, bottom + 1);
  return isMine ? value : NONE;
}

/** Reads the element after moving the top, when the owner may have written another one there. */
function stealThenRead(words: Int32Array): number {
  const top = Atomics.load(words, TOP);
  if (top >= Atomics.load(words, BOTTOM)) return NONE;
  if (Atomics.compareExchange(words, TOP, top, top + 1) !== top) return NONE;
  return Atomics.load(words, slot(top));
}

/** Fails unless each element was taken once, was stolen once, or is still there. */
function assertOnce(words: Int32Array, out: number[], pushed: number[]): void {
  const all = out.filter((value) => value !== NONE);
  for (let i = words[TOP]!; i < words[BOTTOM]!; i++) all.push(words[slot(i)]!);
  assertEquals(all.sort(), pushed);
}

function takeAgainstSteals(
  taker: typeof take,
  thief: typeof steal,
  pushes: number,
  steals: number,
) {
  return {
    setup: () => sharedWords(2 + CAPACITY),
    threads: {
      owner: (words: Int32Array) => {
        for (let value = 1; value <= pushes; value++) push(words, value);
        return Array.from({ length: pushes }, () => taker(words));
      },
      thief: (words: Int32Array) => Array.from({ length: steals }, () => thief(words)),
    },
    check: (words: Int32Array, { owner, thief }: { owner: number[]; thief: number[] }) => {
      assertOnce(words, [...owner, ...thief], Array.from({ length: pushes }, (_, i) => i + 1));
    },
  };
}

Deno.test("a Chase-Lev deque hands out each element once, 1 thief, 2 elements", async () => {
  await assertHolds(takeAgainstSteals(take, steal, 2, 2));
});

Deno.test("a Chase-Lev deque hands out each element once, 1 thief, 3 elements", async () => {
  await assertHolds(takeAgainstSteals(take, steal, 3, 2));
});

Deno.test("a Chase-Lev deque hands out each element once, 2 thieves, 2 elements", async () => {
  await assertHolds({
    setup: () => {
      const words = sharedWords(2 + CAPACITY);
      push(words, 1);
      push(words, 2);
      return words;
    },
    threads: {
      owner: (words: Int32Array) => [take(words), take(words)],
      thief0: (words: Int32Array) => steal(words),
      thief1: (words: Int32Array) => steal(words),
    },
    check: (words, { owner, thief0, thief1 }) => {
      assertOnce(words, [...owner, thief0, thief1], [1, 2]);
    },
  });
});

Deno.test("a Chase-Lev deque hands out the last element twice without compareExchange", async () => {
  await assertFails("assertion", takeAgainstSteals(takeWithoutExchange, steal, 1, 1));
});

Deno.test("a Chase-Lev deque hands out an element twice if its owner reads the top first", async () => {
  await assertFails("assertion", takeAgainstSteals(takeTopFirst, steal, 2, 2));
});

Deno.test("a Chase-Lev thief gets the wrong element if it reads it after moving the top", async () => {
  await assertFails("assertion", {
    setup: () => {
      const words = sharedWords(2 + CAPACITY);
      for (let value = 1; value <= CAPACITY - 1; value++) push(words, value);
      return words;
    },
    threads: {
      owner: (words: Int32Array) => {
        // Pushes only while there is room, like an owner that grows its deque when it is full.
        for (let value = CAPACITY; value <= CAPACITY + 1; value++) {
          if (Atomics.load(words, BOTTOM) - Atomics.load(words, TOP) < CAPACITY) push(words, value);
        }
      },
      thief: (words: Int32Array) => stealThenRead(words),
    },
    check: (_, { thief }) => assertEquals(thief, 1),
  });
});
