/**
 * What a waiter queue relies on in a store: one bit for each value holds it, and the usual bounded
 * ring does not, which the explorer shows by a waiter that sleeps beside a full store.
 *
 * @module
 */

import { type ValueStore, WaiterQueue, type WaiterQueueHandle } from "@busbar/busbar";
import { fails, passes } from "../verdicts.ts";
import { sharedWords } from "./models.ts";

interface State {
  readonly queue: WaiterQueueHandle;
  readonly words: Int32Array;
}

const setup = (): State => ({
  queue: WaiterQueue.create({ threads: 1 }).handle,
  words: sharedWords(8),
});

/** A bit for each value below 32. */
const bits = (words: Int32Array): ValueStore => ({
  take() {
    for (let seen = Atomics.load(words, 0); seen !== 0;) {
      const bit = seen & -seen;
      const before = Atomics.and(words, 0, ~bit);
      if ((before & bit) !== 0) return 31 - Math.clz32(bit);
      seen = before & ~bit;
    }
    return undefined;
  },
  put: (value) => void Atomics.or(words, 0, 1 << value),
});

/** The usual ring of two places, each with its turn: a place is taken before it is filled. */
const ring = (words: Int32Array): ValueStore => {
  const [HEAD, TAIL, TURN, VALUE] = [0, 1, 2, 4];
  return {
    take() {
      for (;;) {
        const head = Atomics.load(words, HEAD);
        const place = head & 1;
        if (Atomics.load(words, TURN + place) !== head + 1 - place) return undefined;
        if (Atomics.compareExchange(words, HEAD, head, head + 1) !== head) continue;
        const value = Atomics.load(words, VALUE + place);
        Atomics.store(words, TURN + place, head + 2 - place);
        return value;
      }
    },
    put(value) {
      const tail = Atomics.add(words, TAIL, 1);
      const place = tail & 1;
      Atomics.store(words, VALUE + place, value);
      Atomics.store(words, TURN + place, tail + 1 - place);
    },
  };
};

const model = (make: (words: Int32Array) => ValueStore) => {
  const release = (value: number) => ({ queue, words }: State) =>
    WaiterQueue.attach(queue).release(value, make(words));
  return {
    setup,
    threads: {
      first: release(1),
      second: release(2),
      waiter: ({ queue, words }: State) => WaiterQueue.attach(queue).join(make(words)).take(),
    },
  };
};

Deno.test("waiter queue: nobody sleeps beside a store that misses no value", async () => {
  await passes({ ...model(bits), preemptions: 3 });
});

Deno.test("broken twin: a ring whose places are taken before they are filled strands a waiter", async () => {
  // The first releaser has died, or is late, between the two; the second one's value is missed.
  const { setup, threads: { second, waiter } } = model(ring);
  const late = ({ words }: State) => void Atomics.add(words, 1, 1);
  await fails("deadlock", { setup, threads: { late, second, waiter } });
});
