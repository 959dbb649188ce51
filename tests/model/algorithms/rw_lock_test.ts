/**
 * A reader-writer lock whose waiters sleep: one word counts the readers inside, and is negative
 * while a writer is inside.
 *
 * Source: P. J. Courtois, F. Heymans, D. L. Parnas, "Concurrent Control with Readers and Writers",
 * CACM 14(10), 1971, first problem: a reader waits only for a writer that is inside.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { assertFails, assertHolds, sharedWords } from "./verdict.ts";

const WRITER = -1;

interface RwLock {
  acquireRead(words: Int32Array): void;
  releaseRead(words: Int32Array): void;
  acquireWrite(words: Int32Array): void;
  releaseWrite(words: Int32Array): void;
}

const rwLock: RwLock = {
  acquireRead(words) {
    for (;;) {
      const readers = Atomics.load(words, 0);
      if (readers === WRITER) Atomics.wait(words, 0, WRITER);
      else if (Atomics.compareExchange(words, 0, readers, readers + 1) === readers) return;
    }
  },
  releaseRead(words) {
    if (Atomics.sub(words, 0, 1) === 1) Atomics.notify(words, 0);
  },
  acquireWrite(words) {
    for (;;) {
      const readers = Atomics.compareExchange(words, 0, 0, WRITER);
      if (readers === 0) return;
      Atomics.wait(words, 0, readers);
    }
  },
  releaseWrite(words) {
    Atomics.store(words, 0, 0);
    Atomics.notify(words, 0);
  },
};

/** Checks for a writer, and enters in a second operation: a writer may enter in between. */
const entersUnchecked: RwLock = {
  ...rwLock,
  acquireRead(words) {
    while (Atomics.load(words, 0) === WRITER) Atomics.wait(words, 0, WRITER);
    Atomics.add(words, 0, 1);
  },
};

/** The last reader leaves without a notification, although a writer may sleep. */
const leavesSilently: RwLock = {
  ...rwLock,
  releaseRead(words) {
    Atomics.sub(words, 0, 1);
  },
};

/** The writer wakes one sleeper. If that is a reader, the last reader to leave wakes the rest. */
const wakesOne: RwLock = {
  ...rwLock,
  releaseWrite(words) {
    Atomics.store(words, 0, 0);
    Atomics.notify(words, 0, 1);
  },
};

interface State {
  readonly words: Int32Array;
  /** Guarded by the lock: two words that always get the same value. */
  readonly data: Int32Array;
}

function model(lock: RwLock, writers: number, readers: number) {
  const write = ({ words, data }: State) => {
    lock.acquireWrite(words);
    data[0]!++;
    data[1]!++;
    lock.releaseWrite(words);
    return [0, 0];
  };
  const read = ({ words, data }: State) => {
    lock.acquireRead(words);
    const seen = [data[0]!, data[1]!];
    lock.releaseRead(words);
    return seen;
  };
  const named = <B>(count: number, name: string, body: B) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, body]));
  return {
    setup: () => ({ words: sharedWords(1), data: sharedWords(2) }),
    threads: { ...named(writers, "writer", write), ...named(readers, "reader", read) },
    check: ({ words, data }: State, results: Record<string, number[]>) => {
      assertEquals([words[0], data[0], data[1]], [0, writers, writers]);
      for (const [first, second] of Object.values(results)) assertEquals(first, second);
    },
  };
}

Deno.test("a reader-writer lock excludes, 2 writers", async () => {
  await assertHolds(model(rwLock, 2, 0));
});

Deno.test("a reader-writer lock excludes, 1 writer, 2 readers", async () => {
  await assertHolds(model(rwLock, 1, 2));
});

Deno.test("a reader-writer lock excludes, 2 writers, 1 reader", async () => {
  await assertHolds(model(rwLock, 2, 1));
});

Deno.test("two readers are inside a reader-writer lock at once in some schedule", async () => {
  let most = 0;
  const read = (words: Int32Array) => {
    rwLock.acquireRead(words);
    const inside = Atomics.load(words, 0);
    rwLock.releaseRead(words);
    return inside;
  };
  await assertHolds({
    setup: () => sharedWords(1),
    threads: { a: read, b: read },
    check: (_, { a, b }) => {
      most = Math.max(most, a, b);
    },
  });
  assertEquals(most, 2);
});

Deno.test("a reader-writer lock's writer may wake only one sleeper, 1 writer, 2 readers", async () => {
  await assertHolds(model(wakesOne, 1, 2));
});

Deno.test("a reader-writer lock does not exclude if a reader checks and enters in two operations", async () => {
  await assertFails("data race", model(entersUnchecked, 1, 1));
});

Deno.test("a reader-writer lock deadlocks if the last reader does not notify", async () => {
  await assertFails("deadlock", model(leavesSilently, 1, 1));
});
