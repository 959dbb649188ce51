/**
 * The bounded queue of Vyukov, for many producers and many consumers: the sequence of each slot is
 * the position at which the slot can be used next.
 *
 * Source: D. Vyukov, "Bounded MPMC queue", 1024cores.net, 2010.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

/** Words: the next positions to put to and to take from, then one sequence for each slot. */
const PUT = 0;
const TAKE = 1;
const CAPACITY = 2;
const sequenceOf = (position: number) => 2 + position % CAPACITY;

interface State {
  readonly words: Int32Array;
  /** The elements, written and read plainly. */
  readonly slots: Int32Array;
}

interface Queue {
  /** Puts an element; returns whether there was room. */
  put(state: State, value: number): boolean;
  /** Takes an element; returns 0 if there is none. */
  take(state: State): number;
}

const queue: Queue = {
  put({ words, slots }, value) {
    for (;;) {
      const position = Atomics.load(words, PUT);
      const lag = Atomics.load(words, sequenceOf(position)) - position;
      if (lag < 0) return false;
      if (lag > 0) continue;
      if (Atomics.compareExchange(words, PUT, position, position + 1) !== position) continue;
      slots[position % CAPACITY] = value;
      // Hands the slot to the consumer of this position, whose load pairs with it.
      Atomics.store(words, sequenceOf(position), position + 1);
      return true;
    }
  },
  take({ words, slots }) {
    for (;;) {
      const position = Atomics.load(words, TAKE);
      const lag = Atomics.load(words, sequenceOf(position)) - (position + 1);
      if (lag < 0) return 0;
      if (lag > 0) continue;
      if (Atomics.compareExchange(words, TAKE, position, position + 1) !== position) continue;
      const value = slots[position % CAPACITY]!;
      // Hands the slot to the producer of the next lap, whose load pairs with it.
      Atomics.store(words, sequenceOf(position), position + CAPACITY);
      return value;
    }
  },
};

/** Publishes the slot before writing it. */
const publishesFirst: Queue = {
  ...queue,
  put({ words, slots }, value) {
    for (;;) {
      const position = Atomics.load(words, PUT);
      const lag = Atomics.load(words, sequenceOf(position)) - position;
      if (lag < 0) return false;
      if (lag > 0) continue;
      if (Atomics.compareExchange(words, PUT, position, position + 1) !== position) continue;
      Atomics.store(words, sequenceOf(position), position + 1);
      slots[position % CAPACITY] = value;
      return true;
    }
  },
};

/** Moves the position in a second operation: two producers may write to the same slot. */
const movesUnchecked: Queue = {
  ...queue,
  put({ words, slots }, value) {
    const position = Atomics.load(words, PUT);
    if (Atomics.load(words, sequenceOf(position)) !== position) return false;
    Atomics.store(words, PUT, position + 1);
    slots[position % CAPACITY] = value;
    Atomics.store(words, sequenceOf(position), position + 1);
    return true;
  },
};

/** Returns the slot to its own lap: the producer of the next lap never gets it. */
const returnsToOwnLap: Queue = {
  ...queue,
  take({ words, slots }) {
    for (;;) {
      const position = Atomics.load(words, TAKE);
      const lag = Atomics.load(words, sequenceOf(position)) - (position + 1);
      if (lag < 0) return 0;
      if (lag > 0) continue;
      if (Atomics.compareExchange(words, TAKE, position, position + 1) !== position) continue;
      const value = slots[position % CAPACITY]!;
      Atomics.store(words, sequenceOf(position), position);
      return value;
    }
  },
};

function setup(): State {
  const words = sharedWords(2 + CAPACITY);
  for (let position = 0; position < CAPACITY; position++) words[sequenceOf(position)] = position;
  return { words, slots: sharedWords(CAPACITY) };
}

/** Tries until there is room. */
function put(queue: Queue, state: State, value: number): void {
  while (!queue.put(state, value)) Atomics.pause();
}

/** Tries until there is an element. */
function take(queue: Queue, state: State): number {
  for (;;) {
    const value = queue.take(state);
    if (value !== 0) return value;
    Atomics.pause();
  }
}

function oneToOne(queue: Queue, count: number) {
  return {
    setup,
    threads: {
      producer: (state: State) => {
        for (let value = 1; value <= count; value++) put(queue, state, value);
      },
      consumer: (state: State) => Array.from({ length: count }, () => take(queue, state)),
    },
    check: (_: State, { consumer }: { consumer: number[] }) => {
      assertEquals(consumer, Array.from({ length: count }, (_, i) => i + 1));
    },
  };
}

function twoProducers(queue: Queue) {
  return {
    setup,
    threads: {
      a: (state: State) => put(queue, state, 1),
      b: (state: State) => put(queue, state, 2),
      consumer: (state: State) => [take(queue, state), take(queue, state)].sort(),
    },
    check: (_: State, { consumer }: { consumer: number[] }) => assertEquals(consumer, [1, 2]),
  };
}

Deno.test("an MPMC queue of 2 slots passes 3 elements in order, 1 producer, 1 consumer", async () => {
  await assertHolds(oneToOne(queue, 3));
});

Deno.test("an MPMC queue passes every element, 2 producers, 1 consumer", async () => {
  await assertHolds(twoProducers(queue));
});

Deno.test("an MPMC queue passes each element to one of 2 consumers, 1 producer", async () => {
  await assertHolds({
    setup,
    threads: {
      producer: (state: State) => {
        put(queue, state, 1);
        put(queue, state, 2);
      },
      a: (state: State) => take(queue, state),
      b: (state: State) => take(queue, state),
    },
    check: (_, { a, b }) => assertEquals([a, b].sort(), [1, 2]),
  });
});

Deno.test("an MPMC queue races if it publishes a slot before it is written", async () => {
  await assertFails("data race", oneToOne(publishesFirst, 1));
});

Deno.test("an MPMC queue races if two producers can claim one slot", async () => {
  const { check: _, ...unchecked } = twoProducers(movesUnchecked);
  await assertFails("data race", {
    ...unchecked,
    threads: { a: unchecked.threads.a, b: unchecked.threads.b },
  });
});

Deno.test("an MPMC queue livelocks if a slot is returned to its own lap", async () => {
  await assertFails("livelock", oneToOne(returnsToOwnLap, 3));
});
