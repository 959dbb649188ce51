/**
 * The mutex as shipped, under every schedule that matters, and broken twins of it.
 *
 * What is inside is a plain counter: if two threads are ever inside at once, or one does not see
 * what the one before it wrote, then the increments race.
 *
 * @module
 */

import { Mutex, type MutexHandle } from "@busbar/busbar";
import type { ExploreOptions, Threads } from "@busbar/busbar/model";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: MutexHandle;
  /** Guarded by the mutex, and accessed plainly. */
  readonly counter: Int32Array;
}

/** How often a body was inside. */
type Body = (state: State) => number | Promise<number>;

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

function model(threads: Record<string, Body>): ExploreOptions<State, Threads<State>> {
  return {
    setup: () => ({ handle: Mutex.create().handle, counter: sharedWords(1) }),
    threads,
    check({ handle, counter }, results) {
      const entries = Object.values(results) as number[];
      assertEquals(counter[0], entries.reduce((sum, count) => sum + count, 0));
      assertEquals(Mutex.attach(handle).isLocked, false);
    },
  };
}

/** Is inside so many times. */
const lock = (rounds: number) => ({ handle, counter }: State) => {
  const mutex = Mutex.attach(handle);
  for (let round = 0; round < rounds; round++) {
    using _guard = mutex.lock();
    counter[0]!++;
  }
  return rounds;
};

const lockAsync = (rounds: number) => async ({ handle, counter }: State) => {
  const mutex = Mutex.attach(handle);
  for (let round = 0; round < rounds; round++) {
    using _guard = await mutex.lockAsync();
    counter[0]!++;
  }
  return rounds;
};

const tryLock = (timeoutMs: number) => ({ handle, counter }: State) => {
  using guard = Mutex.attach(handle).lock({ timeoutMs: timeoutMs });
  if (guard === undefined) return 0;
  counter[0]!++;
  return 1;
};

const tryLockAsync = async ({ handle, counter }: State) => {
  using guard = await Mutex.attach(handle).lockAsync({ timeoutMs: 10 });
  if (guard === undefined) return 0;
  counter[0]!++;
  return 1;
};

/** Is aborted at any moment of its wait, also when it was woken already. */
const abort = async ({ handle, counter }: State) => {
  const mutex = Mutex.attach(handle);
  const controller = new AbortController();
  const locked = mutex.lockAsync({ signal: controller.signal });
  mutex.isLocked; // others may run before this
  controller.abort("enough");
  try {
    using _guard = await locked;
    counter[0]!++;
    return 1;
  } catch (reason) {
    assertEquals(reason, "enough");
    return 0;
  }
};

/** Awaits the mutex, and blocks for it before it can have it. */
const both = async ({ handle, counter }: State) => {
  const mutex = Mutex.attach(handle);
  const later = mutex.lockAsync();
  const isFirst = await isSettled(later);
  if (!isFirst) {
    using _guard = mutex.lock();
    counter[0]!++;
  }
  using _guard = await later;
  counter[0]!++;
  return isFirst ? 1 : 2;
};

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "2 threads twice": { a: lock(2), b: lock(2) },
    "3 threads once": { a: lock(1), b: lock(1), c: lock(1) },
    "2 threads, of which 1 awaits": { a: lockAsync(2), b: lock(1) },
    "3 threads, of which 2 await": { a: lockAsync(1), b: lockAsync(1), c: lock(1) },
    "2 tasks of a thread, and a thread": {
      tasks: async (state) =>
        (await Promise.all([lockAsync(1)(state), lockAsync(1)(state)])).length,
      b: lock(1),
    },
  })
) {
  Deno.test(`mutex: one thread is inside at a time, and none is forgotten: ${what}`, async () => {
    await passes(model(threads));
  });
}

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "a lock with a timeout": { quitter: tryLock(10), b: lock(1), c: lock(1) },
    "an asynchronous lock with a timeout": { quitter: tryLockAsync, b: lock(1), c: lock(1) },
    "an asynchronous lock that is aborted": { quitter: abort, b: lock(1), c: lock(1) },
  })
) {
  Deno.test(`mutex: ${what} has the lock or not, and takes no wake-up with it`, async () => {
    const outcomes = new Set<unknown>();
    const { check, ...rest } = model(threads);
    await passes({
      ...rest,
      check(state, results) {
        check!(state, results);
        outcomes.add(results["quitter"]);
      },
    });
    assertEquals(outcomes, new Set([0, 1]));
  });
}

Deno.test("mutex: a thread that awaits it can block for it, and that wait ends first", async () => {
  await passes(model({ both, b: lock(1) }));
});

Deno.test("mutex: an unlock notifies only if another thread contends", () => {
  const uncontended = tampered(lock(2), () => ({
    notify() {
      throw new Error("a needless wake-up");
    },
  }));
  assertEquals(uncontended({ handle: Mutex.create().handle, counter: sharedWords(1) }), 2);
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a mutex that drops the notify deadlocks", async () => {
  const body = tampered(lock(1), () => ({ notify: () => 0 }));
  const error = await fails("deadlock", model({ a: body, b: body }));
  assert(error.message.includes("mutex.state"), error.message);
});

Deno.test("broken twin: a mutex that is unlocked by a load and a store loses a mark", async () => {
  const body = tampered(lock(1), (proper) => ({
    exchange(view: Int32Array, index: number, value: number) {
      if (value === CONTENDED) return proper.exchange(view, index, value);
      const before = proper.load(view, index);
      proper.store(view, index, value);
      return before;
    },
  }));
  await fails("deadlock", model({ a: body, b: body }));
});

Deno.test("broken twin: a mutex that is unlocked by a plain store is a race", async () => {
  const body = tampered(lock(1), (proper) => ({
    exchange(view: Int32Array, index: number, value: number) {
      if (value === CONTENDED) return proper.exchange(view, index, value);
      const before = proper.load(view, index);
      view[index] = value;
      return before;
    },
  }));
  await fails("data race", model({ a: body, b: body }));
});

Deno.test("broken twin: a mutex that is locked by a load and a store has two holders", async () => {
  const body = tampered(lock(1), (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails("data race", model({ a: body, b: body }));
});

Deno.test("broken twin: a sleeper that locks without marking other sleepers forgets a third thread", async () => {
  const body = tampered(lock(1), (proper) => ({
    exchange(view: Int32Array, index: number, value: number) {
      if (value !== CONTENDED) return proper.exchange(view, index, value);
      const before = proper.compareExchange(view, index, FREE, HELD);
      if (before === HELD) proper.compareExchange(view, index, HELD, CONTENDED);
      return before;
    },
  }));
  await fails("deadlock", model({ a: body, b: body, c: body }));
});

Deno.test("broken twin: an aborted lock that does not pass on its wake-up strands a sleeper", async () => {
  await withMemory(
    ({ notify }) => ({
      // Only a thread that gives up wakes all.
      notify(view, index, count) {
        return count === undefined || count === Infinity ? 0 : notify(view, index, count);
      },
    }),
    () => fails("deadlock", model({ quitter: abort, b: lock(1), c: lock(1) })),
  );
});

Deno.test("broken twin: a lock that blocks beside its own await, and wakes only that", async () => {
  await withMemory(
    ({ notify }) => ({
      notify(view, index, count) {
        return count === undefined || count === Infinity ? 0 : notify(view, index, count);
      },
    }),
    () => fails("deadlock", model({ both, b: lock(1) })),
  );
});
