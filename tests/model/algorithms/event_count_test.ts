/**
 * The event count: sleep on any condition, whatever words it is made of. A sleeper takes a ticket,
 * looks at its condition, and then sleeps unless the count has moved since.
 *
 * Source: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 22(2),
 * 1979.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the count, how many sleep or are about to, and the two words of the condition. */
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

/** Called after the condition was made true. */
function notifyAll(words: Int32Array): void {
  Atomics.add(words, COUNT, 1);
  if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, COUNT);
}

/** Takes the ticket after it has looked: what happens in between is not noticed. */
function ticketTakenLate(words: Int32Array): void {
  while (!isTrue(words)) {
    Atomics.add(words, SLEEPERS, 1);
    if (!isTrue(words)) Atomics.wait(words, COUNT, Atomics.load(words, COUNT));
    Atomics.sub(words, SLEEPERS, 1);
  }
}

/** Is counted as a sleeper only after it has looked. */
function countedLate(words: Int32Array): void {
  while (!isTrue(words)) {
    const ticket = Atomics.load(words, COUNT);
    if (isTrue(words)) return;
    Atomics.add(words, SLEEPERS, 1);
    Atomics.wait(words, COUNT, ticket);
    Atomics.sub(words, SLEEPERS, 1);
  }
}

/** Looks for sleepers before it moves the count. */
function looksForSleepersFirst(words: Int32Array): void {
  const isAnyAsleep = Atomics.load(words, SLEEPERS) > 0;
  Atomics.add(words, COUNT, 1);
  if (isAnyAsleep) Atomics.notify(words, COUNT);
}

/** Notifies sleepers, but does not move the count. */
function countStands(words: Int32Array): void {
  if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, COUNT);
}

/** One thread waits for both words, which two threads set; or one does. */
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

Deno.test("an event count loses a wake-up if the ticket is taken after the look", async () => {
  await assertFails("deadlock", model(ticketTakenLate, notifyAll, 1));
});

Deno.test("an event count may count its sleepers late, if it counts before it looks for them", async () => {
  await assertHolds(model(countedLate, notifyAll, 1));
});

Deno.test("an event count may look for sleepers first, if they are counted before they look", async () => {
  await assertHolds(model(waitUntilTrue, looksForSleepersFirst, 1));
});

Deno.test("an event count loses a wake-up if sleepers are both counted late and looked for first", async () => {
  await assertFails("deadlock", model(countedLate, looksForSleepersFirst, 1));
});

Deno.test("an event count loses a wake-up if it does not count", async () => {
  await assertFails("deadlock", model(waitUntilTrue, countStands, 1));
});
