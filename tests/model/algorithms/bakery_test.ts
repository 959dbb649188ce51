/**
 * Lamport's bakery: draw a number above all that are held, and wait for threads with smaller ones.
 * It uses only loads and stores.
 *
 * Source: L. Lamport, "A New Solution of Dijkstra's Concurrent Programming Problem", CACM 17(8),
 * 1974.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: for each thread whether it is choosing, and its number, 0 for none. */
const isChoosing = (thread: number) => 2 * thread;
const number = (thread: number) => 2 * thread + 1;

function bakery(words: Int32Array, me: number, threads: number): Lock {
  return {
    acquire() {
      Atomics.store(words, isChoosing(me), 1);
      const mine = draw(words, me, threads);
      Atomics.store(words, isChoosing(me), 0);
      for (let other = 0; other < threads; other++) {
        if (other === me) continue;
        while (Atomics.load(words, isChoosing(other)) === 1) Atomics.pause();
        while (isServedBefore(Atomics.load(words, number(other)), other, mine, me)) Atomics.pause();
      }
    },
    release() {
      Atomics.store(words, number(me), 0);
    },
  };
}

/** One more than the greatest number held. */
function draw(words: Int32Array, me: number, threads: number): number {
  let greatest = 0;
  for (let other = 0; other < threads; other++) {
    if (other !== me) greatest = Math.max(greatest, Atomics.load(words, number(other)));
  }
  Atomics.store(words, number(me), greatest + 1);
  return greatest + 1;
}

/** Two threads may draw the same number; then the one with the smaller id goes first. */
function isServedBefore(theirs: number, other: number, mine: number, me: number): boolean {
  return theirs !== 0 && (theirs < mine || (theirs === mine && other < me));
}

/** Does not wait for threads that are choosing, whose numbers may turn out smaller. */
function withoutChoosing(words: Int32Array, me: number, threads: number): Lock {
  return {
    ...bakery(words, me, threads),
    acquire() {
      const mine = draw(words, me, threads);
      for (let other = 0; other < threads; other++) {
        if (other === me) continue;
        while (isServedBefore(Atomics.load(words, number(other)), other, mine, me)) Atomics.pause();
      }
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

Deno.test("Lamport's bakery does not exclude without waiting for threads that are choosing", async () => {
  await assertFails("data race", countingUnder(withoutChoosing, { threads: 2 }));
});
