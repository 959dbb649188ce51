/**
 * The event count: sleep on a condition over any words. A waiter takes a ticket, checks its
 * condition, and then sleeps unless the count has moved since.
 *
 * Source: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 22(2),
 * 1979.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the count, the number of registered sleepers, and the two words of the condition. */
const COUNT = 0;
const SLEEPERS = 1;
const LEFT = 2;
const RIGHT = 3;

const isTrue = (words: Int32Array) =>
  Atomics.load(words, LEFT) === 1 && Atomics.load(words, RIGHT) === 1;

function waitUntilTrue(words: Int32Array): void {
  while (!isTrue(words)) {
    const ticket = Atomics.load(words, COUNT);
    Atomics.add(words, SLEEPERS, 1);
    if (!isTrue(words)) Atomics.wait(words, COUNT, ticket);
    Atomics.sub(words, SLEEPERS, 1);
  }
}

/** To be called after making the condition true. */
function notifyAll(words: Int32Array): void {
  Atomics.add(words, COUNT, 1);
  if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, COUNT);
}

/** Takes the ticket after the check: a notification in between is missed. */
function ticketTakenLate(words: Int32Array): void {
  while (!isTrue(words)) {
    Atomics.add(words, SLEEPERS, 1);
    if (!isTrue(words)) Atomics.wait(words, COUNT, Atomics.load(words, COUNT));
    Atomics.sub(words, SLEEPERS, 1);
  }
}

/** Registers as a sleeper only after the check. */
function registeredLate(words: Int32Array): void {
  while (!isTrue(words)) {
    const ticket = Atomics.load(words, COUNT);
    if (isTrue(words)) return;
    Atomics.add(words, SLEEPERS, 1);
    Atomics.wait(words, COUNT, ticket);
    Atomics.sub(words, SLEEPERS, 1);
  }
}

/** Checks for sleepers before it moves the count. */
function checksSleepersFirst(words: Int32Array): void {
  const isAnyAsleep = Atomics.load(words, SLEEPERS) > 0;
  Atomics.add(words, COUNT, 1);
  if (isAnyAsleep) Atomics.notify(words, COUNT);
}

/** Notifies sleepers, but does not move the count. */
function countStays(words: Int32Array): void {
  if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, COUNT);
}

/** One thread waits for both words, which are set by one thread or by two. */
function model(waiter: typeof waitUntilTrue, notify: typeof notifyAll, setters: 1 | 2) {
  const set = (...indices: number[]) => (words: Int32Array) => {
    for (const index of indices) {
      Atomics.store(words, index, 1);
      notify(words);
    }
  };
  return {
    setup: () => sharedWords(4),
    threads: {
      waiter,
      ...(setters === 1 ? { setter: set(LEFT, RIGHT) } : { left: set(LEFT), right: set(RIGHT) }),
    },
    check: (words: Int32Array) => assertEquals(words[SLEEPERS], 0),
  };
}

Deno.test("an event count wakes its sleeper, 1 setter of 2 words", async () => {
  await assertHolds(model(waitUntilTrue, notifyAll, 1));
});

Deno.test("an event count wakes its sleeper, 2 setters of a word", async () => {
  await assertHolds(model(waitUntilTrue, notifyAll, 2));
});

Deno.test("an event count loses a wake-up if the ticket is taken after the check", async () => {
  await assertFails("deadlock", model(ticketTakenLate, notifyAll, 1));
});

Deno.test("an event count may register sleepers late if the count moves before sleepers are checked", async () => {
  await assertHolds(model(registeredLate, notifyAll, 1));
});

Deno.test("an event count may check for sleepers first if they register before their check", async () => {
  await assertHolds(model(waitUntilTrue, checksSleepersFirst, 1));
});

Deno.test("an event count loses a wake-up if sleepers both register late and are checked first", async () => {
  await assertFails("deadlock", model(registeredLate, checksSleepersFirst, 1));
});

Deno.test("an event count loses a wake-up if the count does not move", async () => {
  await assertFails("deadlock", model(waitUntilTrue, countStays, 1));
});
