/**
 * Dekker's lock for two threads: raise a flag; if both flags are up, the thread that does not have
 * the turn steps back.
 *
 * Source: E. W. Dijkstra, "Cooperating Sequential Processes", EWD 123, 1965, section 2.1.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: one flag for each thread, then the thread that has the turn. */
const TURN = 2;

function dekker(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    acquire() {
      Atomics.store(words, me, 1);
      while (Atomics.load(words, other) === 1) {
        if (Atomics.load(words, TURN) !== me) {
          Atomics.store(words, me, 0);
          while (Atomics.load(words, TURN) !== me) Atomics.pause();
          Atomics.store(words, me, 1);
        } else {
          Atomics.pause();
        }
      }
    },
    release() {
      Atomics.store(words, TURN, other);
      Atomics.store(words, me, 0);
    },
  };
}

/** Reads the other's flag before it raises its own. */
function readsFirst(words: Int32Array, me: number): Lock {
  return {
    acquire() {
      while (Atomics.load(words, 1 - me) === 1) Atomics.pause();
      Atomics.store(words, me, 1);
    },
    release() {
      Atomics.store(words, me, 0);
    },
  };
}

/** Never steps back: excludes, but both may wait for each other. */
function neverStepsBack(words: Int32Array, me: number): Lock {
  return {
    acquire() {
      Atomics.store(words, me, 1);
      while (Atomics.load(words, 1 - me) === 1) Atomics.pause();
    },
    release() {
      Atomics.store(words, me, 0);
    },
  };
}

/** Steps back, but forgets to raise its flag again when its turn has come. */
function staysBack(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    ...dekker(words, me),
    acquire() {
      Atomics.store(words, me, 1);
      while (Atomics.load(words, other) === 1) {
        if (Atomics.load(words, TURN) !== me) {
          Atomics.store(words, me, 0);
          while (Atomics.load(words, TURN) !== me) Atomics.pause();
        } else {
          Atomics.pause();
        }
      }
    },
  };
}

Deno.test("Dekker's lock excludes, 2 threads once", async () => {
  await assertHolds(countingUnder(dekker, { threads: 2 }));
});

Deno.test("Dekker's lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(dekker, { threads: 2, rounds: 2 }));
});

Deno.test("a lock that reads the other flag before it raises its own does not exclude", async () => {
  await assertFails("data race", countingUnder(readsFirst, { threads: 2 }));
});

Deno.test("a lock of two flags without a turn livelocks", async () => {
  await assertFails("livelock", countingUnder(neverStepsBack, { threads: 2 }));
});

Deno.test("Dekker's lock does not exclude if a thread that stepped back leaves its flag down", async () => {
  await assertFails("data race", countingUnder(staysBack, { threads: 2, rounds: 2 }));
});
