/**
 * A counting semaphore whose waiters sleep while no permit is left.
 *
 * Source: E. W. Dijkstra, "Cooperating Sequential Processes", EWD 123, 1965, section 4.
 *
 * @module
 */

import { assertEquals, assertLessOrEqual } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the number of permits that are left; for the tests, of threads that are inside. */
const PERMITS = 0;
const INSIDE = 1;

interface Semaphore {
  acquire(words: Int32Array): void;
  release(words: Int32Array): void;
}

const semaphore: Semaphore = {
  acquire(words) {
    for (;;) {
      const permits = Atomics.load(words, PERMITS);
      if (permits === 0) Atomics.wait(words, PERMITS, 0);
      else if (Atomics.compareExchange(words, PERMITS, permits, permits - 1) === permits) return;
    }
  },
  release(words) {
    Atomics.add(words, PERMITS, 1);
    Atomics.notify(words, PERMITS, 1);
  },
};

/** Notifies only for the first permit that is released: the second sleeper is forgotten. */
const notifiesTheFirstOnly: Semaphore = {
  ...semaphore,
  release(words) {
    if (Atomics.add(words, PERMITS, 1) === 0) Atomics.notify(words, PERMITS, 1);
  },
};

/** Checks and takes a permit in two operations: two threads may take the same one. */
const takesUnchecked: Semaphore = {
  ...semaphore,
  acquire(words) {
    while (Atomics.load(words, PERMITS) === 0) Atomics.wait(words, PERMITS, 0);
    Atomics.sub(words, PERMITS, 1);
  },
};

/** Each thread acquires a permit, and releases it. */
function model({ acquire, release }: Semaphore, permits: number, threads: number) {
  const body = (words: Int32Array) => {
    acquire(words);
    const inside = Atomics.add(words, INSIDE, 1) + 1;
    Atomics.sub(words, INSIDE, 1);
    release(words);
    return inside;
  };
  return {
    setup: () => {
      const words = sharedWords(2);
      words[PERMITS] = permits;
      return words;
    },
    threads: Object.fromEntries(Array.from({ length: threads }, (_, i) => [`t${i}`, body])),
    check: (words: Int32Array, results: Record<string, number>) => {
      for (const inside of Object.values(results)) assertLessOrEqual(inside, permits);
      assertEquals(words[PERMITS], permits);
    },
  };
}

/** Two threads wait for permits that a third one releases. */
function released({ acquire, release }: Semaphore) {
  return {
    setup: () => sharedWords(1),
    threads: {
      a: acquire,
      b: acquire,
      releaser: (words: Int32Array) => {
        release(words);
        release(words);
      },
    },
    check: (words: Int32Array) => assertEquals(words[PERMITS], 0),
  };
}

Deno.test("a semaphore of 1 permit lets one thread in at a time, 2 threads", async () => {
  await assertHolds(model(semaphore, 1, 2));
});

Deno.test("a semaphore of 2 permits lets two threads in at a time, 3 threads", async () => {
  await assertHolds(model(semaphore, 2, 3));
});

Deno.test("a semaphore wakes a sleeper for each permit, 2 sleepers, 2 permits", async () => {
  await assertHolds(released(semaphore));
});

Deno.test("a semaphore forgets a sleeper if it notifies only for the first permit", async () => {
  await assertFails("deadlock", released(notifiesTheFirstOnly));
});

Deno.test("a semaphore lets too many in if it checks and takes in two operations", async () => {
  await assertFails("assertion", model(takesUnchecked, 1, 2));
});
