/**
 * The ticket lock: draw a ticket, and wait until it is served; in FIFO order.
 *
 * Source: J. M. Mellor-Crummey, M. L. Scott, "Algorithms for Scalable Synchronization on
 * Shared-Memory Multiprocessors", ACM TOCS 9(1), 1991, algorithm 2.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: the next ticket to draw, and the ticket that is served now. */
const NEXT = 0;
const SERVED = 1;

function ticketLock(words: Int32Array): Lock {
  return {
    acquire() {
      const mine = Atomics.add(words, NEXT, 1);
      while (Atomics.load(words, SERVED) !== mine) Atomics.pause();
    },
    release() {
      // Only the owner writes this word, so load and store need not be one operation.
      Atomics.store(words, SERVED, Atomics.load(words, SERVED) + 1);
    },
  };
}

/** Draws a ticket in two operations: two threads may draw the same one, and enter together. */
function sharedTickets(words: Int32Array): Lock {
  return {
    ...ticketLock(words),
    acquire() {
      const mine = Atomics.load(words, NEXT);
      Atomics.store(words, NEXT, mine + 1);
      while (Atomics.load(words, SERVED) < mine) Atomics.pause();
    },
  };
}

/** Serves the ticket that is drawn next: tickets that wait are never served. */
function servesTheLast(words: Int32Array): Lock {
  return {
    ...ticketLock(words),
    release() {
      Atomics.store(words, SERVED, Atomics.load(words, NEXT));
    },
  };
}

Deno.test("a ticket lock excludes, 2 threads 3 times", async () => {
  await assertHolds(countingUnder(ticketLock, { threads: 2, rounds: 3 }));
});

Deno.test("a ticket lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(ticketLock, { threads: 3 }));
});

Deno.test("a ticket lock does not exclude if a ticket is drawn in two operations", async () => {
  await assertFails("data race", countingUnder(sharedTickets, { threads: 2 }));
});

Deno.test("a ticket lock livelocks if it serves the ticket that is drawn next", async () => {
  await assertFails("livelock", countingUnder(servesTheLast, { threads: 2 }));
});
