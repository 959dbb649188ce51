/**
 * Mutexes whose waiters sleep: one word, free (0), held (1), or held while waiters may sleep (2).
 *
 * Source: U. Drepper, "Futexes Are Tricky", 2011, sections 5 to 7.
 *
 * @module
 */

import { countingUnder, type Lock } from "./lock.ts";
import { assertFails, assertHolds } from "./verdict.ts";

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

function mutex(words: Int32Array): Lock {
  return {
    acquire() {
      let state = Atomics.compareExchange(words, 0, FREE, HELD);
      if (state === FREE) return;
      if (state !== CONTENDED) state = Atomics.exchange(words, 0, CONTENDED);
      while (state !== FREE) {
        Atomics.wait(words, 0, CONTENDED);
        // Always contended: other threads may still sleep, and the release must notify them.
        state = Atomics.exchange(words, 0, CONTENDED);
      }
    },
    release() {
      if (Atomics.exchange(words, 0, FREE) === CONTENDED) Atomics.notify(words, 0, 1);
    },
  };
}

/** A thread that was woken takes the mutex as if no other thread slept. */
function wokenTakesAsHeld(words: Int32Array): Lock {
  return {
    ...mutex(words),
    acquire() {
      while (Atomics.compareExchange(words, 0, FREE, HELD) !== FREE) {
        Atomics.compareExchange(words, 0, HELD, CONTENDED);
        Atomics.wait(words, 0, CONTENDED);
      }
    },
  };
}

/** Two states, and a count of sleepers that is raised too late. */
function countsSleepersLate(words: Int32Array): Lock {
  const SLEEPERS = 1;
  return {
    acquire() {
      while (Atomics.compareExchange(words, 0, FREE, HELD) !== FREE) {
        Atomics.wait(words, 0, HELD);
        Atomics.add(words, SLEEPERS, 1);
      }
    },
    release() {
      Atomics.store(words, 0, FREE);
      if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, 0, 1);
    },
  };
}

/** Two states, which do not tell whether a thread sleeps, so that each release notifies. */
function alwaysNotifies(words: Int32Array): Lock {
  return {
    acquire() {
      while (Atomics.compareExchange(words, 0, FREE, HELD) !== FREE) Atomics.wait(words, 0, HELD);
    },
    release() {
      Atomics.store(words, 0, FREE);
      Atomics.notify(words, 0, 1);
    },
  };
}

/** Two states, and a release that never notifies. */
function neverNotifies(words: Int32Array): Lock {
  return {
    ...alwaysNotifies(words),
    release() {
      Atomics.store(words, 0, FREE);
    },
  };
}

/** Notifies while it still holds the mutex: the woken thread finds it held and sleeps again. */
function notifiesFirst(words: Int32Array): Lock {
  return {
    ...alwaysNotifies(words),
    release() {
      Atomics.notify(words, 0, 1);
      Atomics.store(words, 0, FREE);
    },
  };
}

Deno.test("a mutex of three states excludes and wakes, 2 threads twice", async () => {
  await assertHolds(countingUnder(mutex, { threads: 2, rounds: 2 }));
});

Deno.test("a mutex of three states excludes and wakes, 3 threads once", async () => {
  await assertHolds(countingUnder(mutex, { threads: 3 }));
});

Deno.test("a mutex of two states that always notifies excludes and wakes, 2 threads twice", async () => {
  await assertHolds(countingUnder(alwaysNotifies, { threads: 2, rounds: 2 }));
});

Deno.test("a mutex of two states that always notifies excludes and wakes, 3 threads once", async () => {
  await assertHolds(countingUnder(alwaysNotifies, { threads: 3 }));
});

Deno.test("a mutex of two states deadlocks if it never notifies", async () => {
  await assertFails("deadlock", countingUnder(neverNotifies, { threads: 2 }));
});

Deno.test("a mutex of two states loses a wake-up if it notifies before it is free", async () => {
  await assertFails("deadlock", countingUnder(notifiesFirst, { threads: 2 }));
});

Deno.test("a mutex of two states loses a wake-up if sleepers are counted too late", async () => {
  await assertFails("deadlock", countingUnder(countsSleepersLate, { threads: 2 }));
});

Deno.test("a mutex forgets a third thread if a woken one takes it as held", async () => {
  await assertFails("deadlock", countingUnder(wokenTakesAsHeld, { threads: 3 }));
});
