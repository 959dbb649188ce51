/**
 * Peterson's lock for any number of threads: a row of levels, at each of which the last thread to
 * arrive waits while any other thread is at that level or beyond.
 *
 * Source: G. L. Peterson, "Myths about the Mutual Exclusion Problem", IPL 12(3), 1981; as the
 * filter lock in M. Herlihy, N. Shavit, "The Art of Multiprocessor Programming", 2008, section 2.4.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

/** Words: for each thread its level, 0 for none; then for each level the last to arrive. */
function filterLock(levels: (threads: number) => number) {
  return (words: Int32Array, me: number, threads: number): Lock => {
    const last = (level: number) => threads + level;
    const isAnyAsFar = (level: number) => {
      for (let other = 0; other < threads; other++) {
        if (other !== me && Atomics.load(words, other) >= level) return true;
      }
      return false;
    };
    return {
      acquire() {
        for (let level = 1; level <= levels(threads); level++) {
          Atomics.store(words, me, level);
          Atomics.store(words, last(level), me);
          while (isAnyAsFar(level) && Atomics.load(words, last(level)) === me) Atomics.pause();
        }
      },
      release() {
        Atomics.store(words, me, 0);
      },
    };
  };
}

const right = filterLock((threads) => threads - 1);
const oneLevelShort = filterLock((threads) => threads - 2);

Deno.test("a filter lock excludes, 2 threads twice", async () => {
  await assertHolds(countingUnder(right, { threads: 2, rounds: 2 }));
});

Deno.test("a filter lock excludes, 3 threads once", async () => {
  await assertHolds(countingUnder(right, { threads: 3 }));
});

Deno.test("a filter lock that is one level short lets two of 3 threads in", async () => {
  await assertFails("data race", countingUnder(oneLevelShort, { threads: 3 }));
});
