/**
 * Sleeping until an event, and the ways to lose the wake-up.
 *
 * The rule: a sleeper waits for a change of the value that it saw, and a thread that changes the
 * word notifies afterwards. Then either the change comes before the wait compares the value (and it
 * does not sleep), or the notification comes after the thread fell asleep (and it wakes).
 *
 * Source: U. Drepper, "Futexes Are Tricky", 2011, section 2.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: whether the event has occurred, a word that is never written, and a payload. */
const READY = 0;
const OTHER = 1;
const PAYLOAD = 2;

function wait(words: Int32Array): void {
  while (Atomics.load(words, READY) === 0) Atomics.wait(words, READY, 0);
}

function signal(words: Int32Array): void {
  words[PAYLOAD] = 42;
  // Publishes the payload, and comes before the notification: see above.
  Atomics.store(words, READY, 1);
  Atomics.notify(words, READY);
}

/** Checks one word and sleeps on another, which does not change when the first one does. */
function waitOnAnother(words: Int32Array): void {
  while (Atomics.load(words, READY) === 0) Atomics.wait(words, OTHER, 0);
}

function signalAnother(words: Int32Array): void {
  words[PAYLOAD] = 42;
  Atomics.store(words, READY, 1);
  Atomics.notify(words, OTHER);
}

/** Waits for a change of the value that the word has by then, not of the one that it checked. */
function waitForAnyChange(words: Int32Array): void {
  while (Atomics.load(words, READY) === 0) Atomics.wait(words, READY, Atomics.load(words, READY));
}

function notifyThenStore(words: Int32Array): void {
  words[PAYLOAD] = 42;
  Atomics.notify(words, READY);
  Atomics.store(words, READY, 1);
}

/** Publishes the payload before writing it. */
function signalThenWrite(words: Int32Array): void {
  Atomics.store(words, READY, 1);
  words[PAYLOAD] = 42;
  Atomics.notify(words, READY);
}

/** One thread waits for a payload that the other writes plainly before it signals. */
function model(waiter: (words: Int32Array) => void, signaller: (words: Int32Array) => void) {
  return {
    setup: () => sharedWords(3),
    threads: {
      waiter: (words: Int32Array) => {
        waiter(words);
        return words[PAYLOAD];
      },
      signaller,
    },
    check: (_: Int32Array, { waiter }: { waiter: number | undefined }) => assertEquals(waiter, 42),
  };
}

Deno.test("a sleeper that waits with the value it saw is always woken, 1 sleeper", async () => {
  await assertHolds(model(wait, signal));
});

Deno.test("one notification wakes 3 sleepers", async () => {
  await assertHolds({
    setup: () => sharedWords(3),
    threads: { a: wait, b: wait, c: wait, signaller: signal },
  });
});

Deno.test("a sleeper with a timeout wakes without a notification", async () => {
  await assertHolds({
    setup: () => sharedWords(1),
    threads: {
      waiter: (words: Int32Array) => {
        while (Atomics.load(words, READY) === 0) {
          if (Atomics.wait(words, READY, 0, 10) === "timed-out") Atomics.store(words, READY, 2);
        }
      },
    },
    check: (words) => assertEquals(words[READY], 2),
  });
});

Deno.test("a wake-up is lost between the check and the sleep on another word", async () => {
  await assertFails("deadlock", model(waitOnAnother, signalAnother));
});

Deno.test("a wake-up is lost if the sleeper waits with a value that it reads after the check", async () => {
  await assertFails("deadlock", model(waitForAnyChange, signal));
});

Deno.test("a wake-up is lost if the notification comes before the store", async () => {
  await assertFails("deadlock", model(wait, notifyThenStore));
});

Deno.test("a wake-up is lost if another word is notified", async () => {
  await assertFails("deadlock", model(wait, signalAnother));
});

Deno.test("a wake-up is lost if one of 2 sleepers is notified", async () => {
  await assertFails("deadlock", {
    setup: () => sharedWords(1),
    threads: {
      a: wait,
      b: wait,
      signaller: (words: Int32Array) => {
        Atomics.store(words, READY, 1);
        Atomics.notify(words, READY, 1);
      },
    },
  });
});

Deno.test("a signal that comes before its payload races with the reader", async () => {
  await assertFails("data race", model(wait, signalThenWrite));
});
