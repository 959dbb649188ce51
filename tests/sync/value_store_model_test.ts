/**
 * What a waiter queue needs of its store, and what becomes of a waiter if a store falls short.
 *
 * Two threads release a value each, and two waiters take one each, whatever the store. The waiters
 * are two threads, or one thread that waits in two slots, which is explored completely.
 *
 * @module
 */

import {
  ValueSet,
  type ValueSetHandle,
  type ValueStore,
  WaiterQueue,
  type WaiterQueueHandle,
} from "@busbar/busbar";
import { type ExploreOptions, label, type Threads } from "@busbar/busbar/model";
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { sharedWords } from "./models.ts";

/** A kind of store. */
interface StoreKind<Shared> {
  /** Lays an empty one out. */
  create(): Shared;
  /** Opens it in one of the threads. */
  open(shared: Shared, thread: Thread): ValueStore;
  /** What is released: the first value by thread 0, the other by thread 1. */
  readonly values: [number, number];
}

/** The number of a thread: 0 and 1 release, 2 and 3 wait. */
type Thread = 0 | 1 | 2 | 3;

interface State<Shared> {
  readonly queue: WaiterQueueHandle;
  readonly shared: Shared;
  /** What belongs to each value: written plainly before it is released, and after it was taken. */
  readonly payload: Int32Array;
}

const setup = <Shared>({ create }: StoreKind<Shared>) => (): State<Shared> => ({
  queue: WaiterQueue.create({ threads: 2 }).handle,
  shared: create(),
  payload: sharedWords(64),
});

const release =
  <Shared>({ open, values }: StoreKind<Shared>, thread: 0 | 1) =>
  ({ queue, shared, payload }: State<Shared>): void => {
    const value = values[thread];
    payload[value] = 10;
    WaiterQueue.attach(queue).release(value, open(shared, thread));
  };

const take =
  <Shared>({ open }: StoreKind<Shared>, slot: 0 | 1) =>
  ({ queue, shared, payload }: State<Shared>): number[] => {
    const thread = slot === 0 ? 2 : 3;
    const value = WaiterQueue.attach(queue).join(open(shared, thread), { slot }).take();
    payload[value]! += 1;
    return [value];
  };

/** Waits in two slots, as two threads would, of which one comes after the other. */
const takeTwice =
  <Shared>({ open }: StoreKind<Shared>) =>
  async ({ queue, shared, payload }: State<Shared>): Promise<number[]> => {
    const first = WaiterQueue.attach(queue).join(open(shared, 2), { slot: 0 });
    const second = WaiterQueue.attach(queue).join(open(shared, 3), { slot: 1 });
    const values = await Promise.all([first.takeAsync(), second.takeAsync()]);
    for (const value of values) payload[value]! += 1;
    return values;
  };

/** Each value is taken once, and no thread still waits. */
function serving<Shared>(
  { values }: StoreKind<Shared>,
  model: Pick<ExploreOptions<State<Shared>, Threads<State<Shared>>>, "setup" | "threads">,
): ExploreOptions<State<Shared>, Threads<State<Shared>>> {
  return {
    ...model,
    check({ queue }, results) {
      const taken = Object.values(results).filter(Array.isArray).flat();
      assertEquals(taken.sort((a, b) => a - b), values);
      assertEquals(WaiterQueue.attach(queue).isAnyWaiting, false);
    },
  };
}

/** Two waiters in one thread. */
function inOneThread<Shared>(store: StoreKind<Shared>) {
  return serving(store, {
    setup: setup(store),
    threads: { a: release(store, 0), b: release(store, 1), waiters: takeTwice(store) },
  });
}

/** Two waiters in two threads. */
function inTwoThreads<Shared>(store: StoreKind<Shared>) {
  return serving(store, {
    setup: setup(store),
    threads: {
      a: release(store, 0),
      b: release(store, 1),
      c: take(store, 0),
      d: take(store, 1),
    },
  });
}

// --- the value set ----------------------------------------------------------------------------

const valueSet = (first: number, second: number): StoreKind<ValueSetHandle> => ({
  create: () => ValueSet.create({ capacity: 64 }).handle,
  open: (handle) => ValueSet.attach(handle),
  values: [first, second],
});

const inOneWord = valueSet(0, 1);
const inTwoWords = valueSet(0, 32);

Deno.test("value set as the store: no thread sleeps beside a value", async () => {
  await passes(inOneThread(inTwoWords));
});

for (
  const [what, store] of Object.entries({
    "lie in one word": inOneWord,
    "lie in two words": inTwoWords,
    "lie in the last word": valueSet(32, 33),
  })
) {
  Deno.test(`value set as the store: neither of 2 threads sleeps beside values that ${what}`, async () => {
    await passes({ ...inTwoThreads(store), preemptions: 2 });
  });
}

// --- a textbook ring --------------------------------------------------------------------------

/** The words of a ring: the next position to put to, the next to take from; then the slots. */
const TAIL = 0;
const HEAD = 1;
const SLOTS = 2;
const CAPACITY = 2;
/** In a slot: whose turn it is there, and the value. */
const sequenceOf = (position: number) => SLOTS + 2 * (position % CAPACITY);
const valueOf = (position: number) => sequenceOf(position) + 1;

/**
 * A bounded queue for many producers and many consumers, in which each slot has a sequence: the
 * position whose producer may write it, or one more once its consumer may read it.
 *
 * Source: D. Vyukov, "Bounded MPMC queue", 1024cores.net, 2010.
 */
const ring: StoreKind<Int32Array> = {
  create() {
    const words = sharedWords(SLOTS + 2 * CAPACITY);
    label(words.buffer, TAIL * 4, 4, "ring.tail");
    label(words.buffer, HEAD * 4, 4, "ring.head");
    for (let position = 0; position < CAPACITY; position++) {
      label(words.buffer, sequenceOf(position) * 4, 4, `ring.sequence[${position}]`);
      label(words.buffer, valueOf(position) * 4, 4, `ring.value[${position}]`);
      words[sequenceOf(position)] = position;
    }
    return words;
  },
  open: (words) => ({
    put(value) {
      for (;;) {
        const position = Atomics.load(words, TAIL);
        const lag = Atomics.load(words, sequenceOf(position)) - position;
        if (lag < 0) throw new Error("the ring is full");
        if (lag > 0) continue;
        if (Atomics.compareExchange(words, TAIL, position, position + 1) !== position) continue;
        words[valueOf(position)] = value;
        Atomics.store(words, sequenceOf(position), position + 1);
        return;
      }
    },
    take() {
      for (;;) {
        const position = Atomics.load(words, HEAD);
        const lag = Atomics.load(words, sequenceOf(position)) - (position + 1);
        if (lag < 0) return undefined; // empty, or its producer has not written it yet
        if (lag > 0) continue;
        if (Atomics.compareExchange(words, HEAD, position, position + 1) !== position) continue;
        const value = words[valueOf(position)]!;
        Atomics.store(words, sequenceOf(position), position + CAPACITY);
        return value;
      }
    },
  }),
  values: [0, 1],
};

Deno.test("a textbook ring as the store leaves a waiter asleep beside a value", async () => {
  // Release a claims slot 0, and is delayed. Release b writes slot 1, finds no waiter, and is
  // done. Two waiters register, look at slot 0, take the ring for empty, and sleep. Release a goes
  // on: it writes slot 0, takes the value out again, gives it to the first waiter, and is done.
  const { message, report } = await fails("deadlock", inOneThread(ring));
  assertStringIncludes(message, "waiters sleeps on waiter_queue.mail[1]");
  // A value was put into slot 1, and no thread took it.
  assertStringIncludes(message, "store ring.sequence[1] ← 2");
  assert(!message.includes("compareExchange ring.head 1 ⇒ 2"), message);
  assertLess(report.executions, 1_000); // 234, as this is written
});

Deno.test("a textbook ring as the store leaves one of two threads asleep", async () => {
  const { message, report } = await fails("deadlock", inTwoThreads(ring));
  assertStringIncludes(message, "d sleeps on waiter_queue.mail[1]");
  assertLess(report.executions, 10_000); // 2,646
});

Deno.test("a textbook ring as the store serves a single waiter, which hides the fault", async () => {
  await passes({
    setup: setup(ring),
    threads: { a: release(ring, 0), b: release(ring, 1), c: take(ring, 0) },
  });
});

// --- scans of a bitmap ------------------------------------------------------------------------

/** Two words of a bitmap, in the order in which each thread goes through them. */
const bitmap = (orderOf: (thread: Thread) => readonly number[]): StoreKind<Int32Array> => ({
  create() {
    const words = sharedWords(2);
    label(words.buffer, 0, 4, "bitmap[0]");
    label(words.buffer, 4, 4, "bitmap[1]");
    return words;
  },
  open: (words, thread) => ({
    put: (value) => void Atomics.or(words, value >>> 5, 1 << (value & 31)),
    take() {
      for (const word of orderOf(thread)) {
        for (let seen = Atomics.load(words, word); seen !== 0;) {
          const bit = seen & -seen;
          seen = Atomics.and(words, word, ~bit);
          if ((seen & bit) !== 0) return 32 * word + 31 - Math.clz32(bit);
        }
      }
      return undefined;
    },
  }),
  values: [0, 32],
});

Deno.test("a bitmap that all threads scan in the same order is a store, in any order", async () => {
  await passes(inOneThread(bitmap(() => [1, 0])));
});

Deno.test("a bitmap that each thread scans in a different order leaves a waiter asleep", async () => {
  // Both waiters sleep when release a puts 0, finds them, and looks at word 1, which is empty.
  // Release b puts 32, finds them, too, takes 0 out of word 0, gives it to the first, and is done.
  // Release a looks at word 0, which is empty by now, and is done: 32 stays. So it is not enough
  // that a take returns undefined only if each value that was put before it began has been taken.
  const { message, report } = await fails(
    "deadlock",
    inOneThread(bitmap((thread) => thread === 0 ? [1, 0] : [0, 1])),
  );
  assertStringIncludes(message, "waiters sleeps on waiter_queue.mail[1]");
  assertLess(report.executions, 1_000); // 377
});

// --- broken twins ---------------------------------------------------------------------------

/** Word 1 of the bitmap of a value set. */
const SECOND_WORD = 17;

/** The same model, in which thread `a` or `b` gets operations wrong. */
function broken(
  store: StoreKind<ValueSetHandle>,
  thread: 0 | 1,
  wrong: Parameters<typeof tampered>[1],
): ExploreOptions<State<ValueSetHandle>, Threads<State<ValueSetHandle>>> {
  const model = inOneThread(store);
  const body = tampered(release(store, thread), wrong);
  return { ...model, threads: { ...model.threads, ["ab"[thread]!]: body } };
}

Deno.test("broken twin: a put by a load and a store loses a value, and a waiter sleeps for it", async () => {
  await fails(
    "deadlock",
    broken(inOneWord, 0, (proper) => ({
      or(view: Int32Array, index: number, bits: number) {
        const before = proper.load(view, index);
        proper.store(view, index, before | bits);
        return before;
      },
    })),
  );
});

Deno.test("broken twin: a release that overlooks the word of its value leaves a waiter asleep", async () => {
  await fails(
    "deadlock",
    broken(inTwoWords, 1, (proper) => ({
      load: (view: Int32Array, index: number) =>
        index === SECOND_WORD ? 0 : proper.load(view, index),
    })),
  );
});

Deno.test("broken twin: a value that is put by a plain write races with its take", async () => {
  await fails(
    "data race",
    broken(inTwoWords, 0, () => ({
      or(view: Int32Array, index: number, bits: number) {
        const before = view[index]!;
        view[index] = before | bits;
        return before;
      },
    })),
  );
});
