/**
 * Queue locks, where each waiter spins on a word of its own: in MCS on its own node, until the lock
 * is handed over; in CLH on the node of its predecessor.
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
      // Before the link: the owner that follows the link must find the flag raised.
      Atomics.store(words, isWaiting(mine), 1);
      Atomics.store(words, next(before), mine);
      while (Atomics.load(words, isWaiting(mine)) === 1) Atomics.pause();
    },
    release() {
      if (Atomics.load(words, next(mine)) === 0) {
        if (Atomics.compareExchange(words, TAIL, mine, 0) === mine) return;
        // There is a successor, which has not linked its node yet.
        while (Atomics.load(words, next(mine)) === 0) Atomics.pause();
      }
      Atomics.store(words, isWaiting(Atomics.load(words, next(mine))), 0);
    },
  };
}

/** Empties the queue although a successor may have come in the meantime. */
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

/** Raises the flag after the link: a hand-over in between is lost. */
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

/** After its release a thread uses its predecessor's node, as its successor reads its own. */
function clh(words: Int32Array, me: number): Lock {
  let mine = me + 1;
  let before = 0;
  return {
    acquire() {
      Atomics.store(words, isWaiting(mine), 1);
      before = Atomics.exchange(words, TAIL, mine);
      // Node 0 is never waiting: it stands for a free lock.
      while (Atomics.load(words, isWaiting(before)) === 1) Atomics.pause();
    },
    release() {
      Atomics.store(words, isWaiting(mine), 0);
      mine = before;
    },
  };
}

/** Keeps its own node, and raises the flag again while its successor may still read it. */
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

Deno.test("an MCS lock livelocks if its release forgets a successor that has not linked", async () => {
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
