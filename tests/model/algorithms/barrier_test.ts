/**
 * The sense-reversing barrier: the last thread to arrive resets the count and flips the sense on
 * which the others spin or sleep, so that the barrier can be used again at once.
 *
 * Source: J. M. Mellor-Crummey, M. L. Scott, "Algorithms for Scalable Synchronization on
 * Shared-Memory Multiprocessors", ACM TOCS 9(1), 1991, algorithm 7.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the number of threads that are still to arrive, and the sense. */
const MISSING = 0;
const SENSE = 1;

/** One thread's side of a barrier. */
type Barrier = (words: Int32Array, threads: number) => () => void;

const spinning: Barrier = (words, threads) => {
  let sense = 0;
  return () => {
    sense = 1 - sense;
    if (Atomics.sub(words, MISSING, 1) === 1) {
      // Before the sense is flipped: from then on the others may arrive again.
      Atomics.store(words, MISSING, threads);
      Atomics.store(words, SENSE, sense);
    } else {
      while (Atomics.load(words, SENSE) !== sense) Atomics.pause();
    }
  };
};

const sleeping: Barrier = (words, threads) => {
  let sense = 0;
  return () => {
    sense = 1 - sense;
    if (Atomics.sub(words, MISSING, 1) === 1) {
      Atomics.store(words, MISSING, threads);
      Atomics.store(words, SENSE, sense);
      Atomics.notify(words, SENSE);
    } else {
      while (Atomics.load(words, SENSE) !== sense) Atomics.wait(words, SENSE, 1 - sense);
    }
  };
};

/** Resets the count after the sense: an arrival in between is lost. */
const resetsLate: Barrier = (words, threads) => {
  let sense = 0;
  return () => {
    sense = 1 - sense;
    if (Atomics.sub(words, MISSING, 1) === 1) {
      Atomics.store(words, SENSE, sense);
      Atomics.store(words, MISSING, threads);
    } else {
      while (Atomics.load(words, SENSE) !== sense) Atomics.pause();
    }
  };
};

/** Waits for the count to be full again: a fast thread lowers it before a slow one reads it. */
const withoutSense: Barrier = (words, threads) => () => {
  if (Atomics.sub(words, MISSING, 1) === 1) Atomics.store(words, MISSING, threads);
  else while (Atomics.load(words, MISSING) !== threads) Atomics.pause();
};

/** Lowers the count in two operations: two arrivals may be counted as one. */
const countsUnchecked: Barrier = (words, threads) => {
  const side = spinning(words, threads);
  let sense = 0;
  return () => {
    const missing = Atomics.load(words, MISSING);
    if (missing === 1) return side();
    sense = 1 - sense;
    Atomics.store(words, MISSING, missing - 1);
    while (Atomics.load(words, SENSE) !== sense) Atomics.pause();
  };
};

interface State {
  readonly words: Int32Array;
  /** The phase of each thread, written and read plainly. */
  readonly phases: Int32Array;
}

/** In each phase each thread writes its word, and after the barrier reads the words of all. */
function model(barrier: Barrier, threads: number, rounds: number) {
  const body = (me: number) => ({ words, phases }: State) => {
    const arrive = barrier(words, threads);
    const seen: number[] = [];
    for (let phase = 1; phase <= rounds; phase++) {
      phases[me] = phase;
      arrive();
      for (let other = 0; other < threads; other++) seen.push(phases[other]!);
      // No thread may write for the next phase before all have read.
      arrive();
    }
    return seen;
  };
  const expected = Array.from({ length: rounds * threads }, (_, i) => Math.floor(i / threads) + 1);
  return {
    setup: () => {
      const words = sharedWords(2);
      words[MISSING] = threads;
      return { words, phases: sharedWords(threads) };
    },
    threads: Object.fromEntries(Array.from({ length: threads }, (_, me) => [`t${me}`, body(me)])),
    check: (_: State, results: Record<string, number[]>) => {
      for (const seen of Object.values(results)) assertEquals(seen, expected);
    },
  };
}

Deno.test("a spinning barrier keeps phases apart, 2 threads, 2 phases", async () => {
  await assertHolds(model(spinning, 2, 2));
});

Deno.test("a spinning barrier keeps phases apart, 3 threads, 1 phase", async () => {
  await assertHolds(model(spinning, 3, 1));
});

Deno.test("a sleeping barrier keeps phases apart, 2 threads, 2 phases", async () => {
  await assertHolds(model(sleeping, 2, 2));
});

Deno.test("a sleeping barrier keeps phases apart, 3 threads, 1 phase", async () => {
  await assertHolds(model(sleeping, 3, 1));
});

Deno.test("a barrier livelocks if it resets the count after it flips the sense", async () => {
  await assertFails("livelock", model(resetsLate, 2, 1));
});

Deno.test("a barrier without a sense livelocks when it is used again", async () => {
  await assertFails("livelock", model(withoutSense, 2, 1));
});

Deno.test("a barrier livelocks if arrivals are counted in two operations", async () => {
  await assertFails("livelock", model(countsUnchecked, 2, 1));
});
