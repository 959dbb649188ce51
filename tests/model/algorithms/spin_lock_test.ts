/**
 * Locks of one word on which all waiters spin: test-and-set, and test-and-test-and-set, which reads
 * the word before it tries to set it.
 *
 * Source: T. E. Anderson, "The Performance of Spin Lock Alternatives for Shared-Memory
 * Multiprocessors", IEEE TPDS 1(1), 1990.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

function testAndSet(words: Int32Array): Lock {
  return {
    acquire() {
      while (Atomics.exchange(words, 0, 1) === 1) Atomics.pause();
    },
    release() {
      Atomics.store(words, 0, 0);
    },
  };
}

function testAndTestAndSet(words: Int32Array): Lock {
  return {
    ...testAndSet(words),
    acquire() {
      for (;;) {
        while (Atomics.load(words, 0) === 1) Atomics.pause();
        if (Atomics.compareExchange(words, 0, 0, 1) === 0) return;
      }
    },
  };
}

/** Tests and sets in two operations: two threads may both find the lock free. */
function testThenSet(words: Int32Array): Lock {
  return {
    ...testAndSet(words),
    acquire() {
      while (Atomics.load(words, 0) === 1) Atomics.pause();
      Atomics.store(words, 0, 1);
    },
  };
}

/** Frees the lock with a plain write, from which the next owner acquires nothing. */
function plainRelease(words: Int32Array): Lock {
  return {
    ...testAndSet(words),
    release() {
      words[0] = 0;
    },
  };
}

Deno.test("a test-and-set lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(testAndSet, { threads: 2, rounds: 2 }));
});

Deno.test("a test-and-set lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(testAndSet, { threads: 3 }));
});

Deno.test("a test-and-test-and-set lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(testAndTestAndSet, { threads: 2, rounds: 2 }));
});

Deno.test("a test-and-test-and-set lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(testAndTestAndSet, { threads: 3 }));
});

Deno.test("a lock that tests and sets in two operations does not exclude", async () => {
  await assertFails("data race", countingUnder(testThenSet, { threads: 2 }));
});

Deno.test("a lock that is released by a plain write races", async () => {
  await assertFails("data race", countingUnder(plainRelease, { threads: 2 }));
});
