/**
 * Locks whose waiters stand in a queue, each spinning on a word of its own: MCS, where a waiter spins
 * on its own node and is handed the lock, and CLH, where it spins on the node of the one before it.
 *
 * Sources: J. M. Mellor-Crummey, M. L. Scott, "Algorithms for Scalable Synchronization on
 * Shared-Memory Multiprocessors", ACM TOCS 9(1), 1991, algorithm 5. T. S. Craig, "Building FIFO and
 * Priority-Queuing Spin Locks from Atomic Swap", TR 93-02-02, University of Washington, 1993.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: the last node in the queue, or 0; then for node `n` (from 1) its two words at `2 n`. */
const TAIL = 0;
const next = (node: number) => 2 * node;
const isWaiting = (node: number) => 2 * node + 1;

function mcs(words: Int32Array, me: number): Lock {
  const mine = me + 1;
  return {
    acquire() {
      Atomics.store(words, next(mine), 0);
      const before = Atomics.exchange(words, TAIL, mine);
      if (before === 0) return;
      // Before the link is made: whoever follows the link must find the flag raised.
      Atomics.store(words, isWaiting(mine), 1);
      Atomics.store(words, next(before), mine);
      while (Atomics.load(words, isWaiting(mine)) === 1) Atomics.pause();
    },
    release() {
      if (Atomics.load(words, next(mine)) === 0) {
        if (Atomics.compareExchange(words, TAIL, mine, 0) === mine) return;
        // Somebody is behind, but has not made the link yet.
        while (Atomics.load(words, next(mine)) === 0) Atomics.pause();
      }
      Atomics.store(words, isWaiting(Atomics.load(words, next(mine))), 0);
    },
  };
}

/** Empties the queue although somebody may have come in the meantime. */
function mcsThatForgets(words: Int32Array, me: number): Lock {
  const mine = me + 1;
  return {
    ...mcs(words, me),
    release() {
      const follower = Atomics.load(words, next(mine));
      if (follower === 0) Atomics.store(words, TAIL, 0);
      else Atomics.store(words, isWaiting(follower), 0);
    },
  };
}

/** Raises the flag after the link, so that the hand-over may come before it and be lost. */
function mcsThatLinksFirst(words: Int32Array, me: number): Lock {
  const mine = me + 1;
  return {
    ...mcs(words, me),
    acquire() {
      Atomics.store(words, next(mine), 0);
      const before = Atomics.exchange(words, TAIL, mine);
      if (before === 0) return;
      Atomics.store(words, next(before), mine);
      Atomics.store(words, isWaiting(mine), 1);
      while (Atomics.load(words, isWaiting(mine)) === 1) Atomics.pause();
    },
  };
}

/** A released thread takes over the node before it, since its own is still being watched. */
function clh(words: Int32Array, me: number): Lock {
  let mine = me + 1;
  let before = 0;
  return {
    acquire() {
      Atomics.store(words, isWaiting(mine), 1);
      before = Atomics.exchange(words, TAIL, mine);
      // Node 0 stands for a lock that nobody holds.
      while (Atomics.load(words, isWaiting(before)) === 1) Atomics.pause();
    },
    release() {
      Atomics.store(words, isWaiting(mine), 0);
      mine = before;
    },
  };
}

/** Keeps its own node, and raises its flag again while the next thread may still look at it. */
function clhThatKeepsItsNode(words: Int32Array, me: number): Lock {
  const lock = clh(words, me);
  const mine = me + 1;
  return {
    ...lock,
    release() {
      Atomics.store(words, isWaiting(mine), 0);
    },
  };
}

Deno.test("an MCS lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(mcs, { threads: 2, rounds: 2 }));
});

Deno.test("an MCS lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(mcs, { threads: 3 }));
});

Deno.test("an MCS lock is broken if its release does not look for late comers", async () => {
  await assertFails("livelock", countingUnder(mcsThatForgets, { threads: 2 }));
});

Deno.test("an MCS lock loses a hand-over if the link comes before the flag", async () => {
  await assertFails("livelock", countingUnder(mcsThatLinksFirst, { threads: 2 }));
});

Deno.test("a CLH lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(clh, { threads: 2, rounds: 2 }));
});

Deno.test("a CLH lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(clh, { threads: 3 }));
});

Deno.test("a CLH lock livelocks if a thread uses its own node again", async () => {
  await assertFails("livelock", countingUnder(clhThatKeepsItsNode, { threads: 2, rounds: 2 }));
});
