/**
 * The ring of one producer and one consumer, which needs no read-modify-write: each side writes one
 * cursor and reads the other's.
 *
 * Source: L. Lamport, "Specifying Concurrent Program Modules", ACM TOPLAS 5(2), 1983.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: how many were put in, how many were taken out. */
const TAIL = 0;
const HEAD = 1;
const CAPACITY = 2;

interface State {
  readonly cursors: Int32Array;
  /** The elements, written and read plainly. */
  readonly slots: Int32Array;
}

interface Ring {
  put(state: State, value: number): void;
  take(state: State): number;
}

const ring: Ring = {
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    while (tail - Atomics.load(cursors, HEAD) === CAPACITY) Atomics.pause();
    slots[tail % CAPACITY] = value;
    // Publishes the slot: pairs with the consumer's load of the tail.
    Atomics.store(cursors, TAIL, tail + 1);
  },
  take({ cursors, slots }) {
    const head = Atomics.load(cursors, HEAD);
    while (Atomics.load(cursors, TAIL) === head) Atomics.pause();
    const value = slots[head % CAPACITY]!;
    // Gives the slot back: pairs with the producer's load of the head.
    Atomics.store(cursors, HEAD, head + 1);
    return value;
  },
};

/** Publishes with a plain write. */
const plainPublish: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = cursors[TAIL]!;
    while (tail - Atomics.load(cursors, HEAD) === CAPACITY) Atomics.pause();
    slots[tail % CAPACITY] = value;
    cursors[TAIL] = tail + 1;
  },
};

/** Publishes a slot before it has written it. */
const publishesFirst: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    while (tail - Atomics.load(cursors, HEAD) === CAPACITY) Atomics.pause();
    Atomics.store(cursors, TAIL, tail + 1);
    slots[tail % CAPACITY] = value;
  },
};

/** Gives a slot back before it has read it. */
const givesBackFirst: Ring = {
  ...ring,
  take({ cursors, slots }) {
    const head = Atomics.load(cursors, HEAD);
    while (Atomics.load(cursors, TAIL) === head) Atomics.pause();
    Atomics.store(cursors, HEAD, head + 1);
    return slots[head % CAPACITY]!;
  },
};

/** Does not look whether the ring is full. */
const overwrites: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    slots[tail % CAPACITY] = value;
    Atomics.store(cursors, TAIL, tail + 1);
  },
};

/** Believes that it has one slot more than it has. */
const offByOne: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    while (tail - Atomics.load(cursors, HEAD) > CAPACITY) Atomics.pause();
    slots[tail % CAPACITY] = value;
    Atomics.store(cursors, TAIL, tail + 1);
  },
};

/** The values 1 to `count` go through a ring of two slots. */
function model({ put, take }: Ring, count: number) {
  return {
    ...unchecked({ put, take }, count),
    check: (_: State, { consumer }: { consumer: number[] }) => {
      assertEquals(consumer, Array.from({ length: count }, (_, i) => i + 1));
    },
  };
}

/** The same for rings that hand on wrong values too, where the race is what is asked for. */
function unchecked({ put, take }: Ring, count: number) {
  return {
    setup: () => ({ cursors: sharedWords(2), slots: sharedWords(CAPACITY) }),
    threads: {
      producer: (state: State) => {
        for (let value = 1; value <= count; value++) put(state, value);
      },
      consumer: (state: State) => Array.from({ length: count }, () => take(state)),
    },
  };
}

Deno.test("a ring of 2 slots hands on 5 elements in order", async () => {
  await assertHolds(model(ring, 5));
});

Deno.test("a ring races if it publishes with a plain write", async () => {
  await assertFails("data race", model(plainPublish, 1));
});

Deno.test("a ring races if it publishes a slot before it is written", async () => {
  await assertFails("data race", model(publishesFirst, 1));
});

Deno.test("a ring races if it gives a slot back before it is read", async () => {
  await assertFails("data race", unchecked(givesBackFirst, 3));
});

Deno.test("a ring races if it does not look whether it is full", async () => {
  await assertFails("data race", unchecked(overwrites, 3));
});

Deno.test("a ring races if it believes that it has one slot more", async () => {
  await assertFails("data race", unchecked(offByOne, 3));
});
