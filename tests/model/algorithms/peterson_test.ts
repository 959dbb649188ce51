/**
 * Peterson's lock for two threads: raise a flag, give the turn to the other thread, and wait while
 * its flag is up and it has the turn.
 *
 * Source: G. L. Peterson, "Myths about the Mutual Exclusion Problem", IPL 12(3), 1981.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: one flag for each thread, then the thread that has the turn. */
const TURN = 2;

function peterson(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    acquire() {
      Atomics.store(words, me, 1);
      Atomics.store(words, TURN, other);
      while (Atomics.load(words, other) === 1 && Atomics.load(words, TURN) === other) {
        Atomics.pause();
      }
    },
    release() {
      Atomics.store(words, me, 0);
    },
  };
}

/** Gives the turn away before it raises its flag: the other may enter in between. */
function turnBeforeFlag(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    ...peterson(words, me),
    acquire() {
      Atomics.store(words, TURN, other);
      Atomics.store(words, me, 1);
      while (Atomics.load(words, other) === 1 && Atomics.load(words, TURN) === other) {
        Atomics.pause();
      }
    },
  };
}

/** Raises its flag with a plain write, which may take effect after the reads that follow. */
function plainFlag(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    acquire() {
      words[me] = 1;
      Atomics.store(words, TURN, other);
      while (words[other] === 1 && Atomics.load(words, TURN) === other) Atomics.pause();
    },
    release() {
      words[me] = 0;
    },
  };
}

/** Takes the turn instead of giving it away: the last thread to come enters, too. */
function turnTaken(words: Int32Array, me: number): Lock {
  const other = 1 - me;
  return {
    ...peterson(words, me),
    acquire() {
      Atomics.store(words, me, 1);
      Atomics.store(words, TURN, me);
      while (Atomics.load(words, other) === 1 && Atomics.load(words, TURN) === other) {
        Atomics.pause();
      }
    },
  };
}

Deno.test("Peterson's lock excludes, 2 threads once", async () => {
  await assertHolds(countingUnder(peterson, { threads: 2 }));
});

Deno.test("Peterson's lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(peterson, { threads: 2, rounds: 2 }));
});

Deno.test("Peterson's lock does not exclude if the turn is given before the flag is raised", async () => {
  await assertFails("data race", countingUnder(turnBeforeFlag, { threads: 2 }));
});

Deno.test("Peterson's lock does not exclude if each thread takes the turn", async () => {
  await assertFails("data race", countingUnder(turnTaken, { threads: 2 }));
});

Deno.test("Peterson's lock races if the flags are plain", async () => {
  await assertFails("data race", countingUnder(plainFlag, { threads: 2 }));
});
