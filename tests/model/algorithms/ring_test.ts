/**
 * The ring buffer of one producer and one consumer (SPSC), which needs no read-modify-write: each
 * side writes one cursor and reads the other's.
 *
 * Source: L. Lamport, "Specifying Concurrent Program Modules", ACM TOPLAS 5(2), 1983.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the number of elements that were put, and that were taken. */
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
    // Returns the slot: pairs with the producer's load of the head.
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

/** Publishes a slot before writing it. */
const publishesFirst: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    while (tail - Atomics.load(cursors, HEAD) === CAPACITY) Atomics.pause();
    Atomics.store(cursors, TAIL, tail + 1);
    slots[tail % CAPACITY] = value;
  },
};

/** Returns a slot before reading it. */
const returnsFirst: Ring = {
  ...ring,
  take({ cursors, slots }) {
    const head = Atomics.load(cursors, HEAD);
    while (Atomics.load(cursors, TAIL) === head) Atomics.pause();
    Atomics.store(cursors, HEAD, head + 1);
    return slots[head % CAPACITY]!;
  },
};

/** Does not check whether the ring is full. */
const overwrites: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    slots[tail % CAPACITY] = value;
    Atomics.store(cursors, TAIL, tail + 1);
  },
};

/** Assumes one slot more than there is. */
const offByOne: Ring = {
  ...ring,
  put({ cursors, slots }, value) {
    const tail = Atomics.load(cursors, TAIL);
    while (tail - Atomics.load(cursors, HEAD) > CAPACITY) Atomics.pause();
    slots[tail % CAPACITY] = value;
    Atomics.store(cursors, TAIL, tail + 1);
  },
};

/** Passes the values 1 to `count` through a ring of two slots. */
function model({ put, take }: Ring, count: number) {
  return {
    ...unchecked({ put, take }, count),
    check: (_: State, { consumer }: { consumer: number[] }) => {
      assertEquals(consumer, Array.from({ length: count }, (_, i) => i + 1));
    },
  };
}

/** The same without a check, for rings that also pass wrong values, to find the race. */
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

Deno.test("a ring of 2 slots passes 5 elements in order", async () => {
  await assertHolds(model(ring, 5));
});

Deno.test("a ring races if it publishes with a plain write", async () => {
  await assertFails("data race", model(plainPublish, 1));
});

Deno.test("a ring races if it publishes a slot before it is written", async () => {
  await assertFails("data race", model(publishesFirst, 1));
});

Deno.test("a ring races if it returns a slot before it is read", async () => {
  await assertFails("data race", unchecked(returnsFirst, 3));
});

Deno.test("a ring races if it does not check whether it is full", async () => {
  await assertFails("data race", unchecked(overwrites, 3));
});

Deno.test("a ring races if it assumes one slot more than there is", async () => {
  await assertFails("data race", unchecked(offByOne, 3));
});
