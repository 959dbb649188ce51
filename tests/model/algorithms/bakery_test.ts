/**
 * Lamport's bakery: draw a number above all that are held, and wait for the smaller ones. It needs
 * no operation but load and store.
 *
 * Source: L. Lamport, "A New Solution of Dijkstra's Concurrent Programming Problem", CACM 17(8),
 * 1974.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: for each thread whether it is choosing, then for each its number, 0 for none. */
function bakery(words: Int32Array, me: number, threads: number): Lock {
  const choosing = words.subarray(0, threads);
  const number = words.subarray(threads, 2 * threads);
  return {
    acquire() {
      Atomics.store(choosing, me, 1);
      const mine = draw(number, me);
      Atomics.store(choosing, me, 0);
      for (let other = 0; other < threads; other++) {
        if (other === me) continue;
        while (Atomics.load(choosing, other) === 1) Atomics.pause();
        while (isServedBefore(Atomics.load(number, other), other, mine, me)) Atomics.pause();
      }
    },
    release() {
      Atomics.store(number, me, 0);
    },
  };
}

/** One more than the greatest number held. */
function draw(number: Int32Array, me: number): number {
  let greatest = 0;
  for (let other = 0; other < number.length; other++) {
    if (other !== me) greatest = Math.max(greatest, Atomics.load(number, other));
  }
  Atomics.store(number, me, greatest + 1);
  return greatest + 1;
}

/** Two threads may draw the same number; the first of them in name goes first. */
function isServedBefore(theirs: number, other: number, mine: number, me: number): boolean {
  return theirs !== 0 && (theirs < mine || (theirs === mine && other < me));
}

/** Does not wait while others choose, whose numbers may still turn out smaller. */
function withoutChoosing(words: Int32Array, me: number, threads: number): Lock {
  const number = words.subarray(0, threads);
  return {
    acquire() {
      const mine = draw(number, me);
      for (let other = 0; other < threads; other++) {
        if (other === me) continue;
        while (isServedBefore(Atomics.load(number, other), other, mine, me)) Atomics.pause();
      }
    },
    release() {
      Atomics.store(number, me, 0);
    },
  };
}

Deno.test("Lamport's bakery excludes, 2 threads once", async () => {
  await assertHolds(countingUnder(bakery, { threads: 2 }));
});

Deno.test("Lamport's bakery excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(bakery, { threads: 2, rounds: 2 }));
});

Deno.test("Lamport's bakery excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(bakery, { threads: 3 }));
});

Deno.test("Lamport's bakery is broken if nobody waits for those who choose", async () => {
  await assertFails("data race", countingUnder(withoutChoosing, { threads: 2 }));
});
