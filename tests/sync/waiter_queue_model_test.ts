/**
 * The waiter queue as shipped, under every schedule that matters, and broken twins of it.
 *
 * The store is one word, a bit for each value. What belongs to a value is written plainly before it
 * is released, and changed plainly by its owner: two owners of the same value race.
 *
 * @module
 */

import {
  type ThreadWaiters,
  type ValueStore,
  WaiterQueue,
  type WaiterQueueHandle,
} from "@busbar/busbar";
import { type ExploreOptions, spawn, type Threads } from "@busbar/busbar/model";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords } from "./models.ts";

interface State {
  readonly handle: WaiterQueueHandle;
  /** The values that no thread has, a bit for each. */
  readonly free: Int32Array;
  /** What belongs to each value. */
  readonly payload: Int32Array;
}

/** What a body took, and has. */
type Body = (state: State) => number[] | Promise<number[]>;

/** The words of a queue of up to 32 threads. */
const MARKS = 16;
const SLOTS = 32;
const SLOT = 16;
const IDLE = 1 << 31;

const VALUES = [0, 1, 2];

const setup = (threads = 2) => (): State => ({
  handle: WaiterQueue.create({ threads }).handle,
  free: sharedWords(1),
  payload: sharedWords(VALUES.length),
});

function storeOf(free: Int32Array): ValueStore {
  return {
    take() {
      for (;;) {
        const seen = Atomics.load(free, 0);
        if (seen === 0) return undefined;
        const bit = 31 - Math.clz32(seen);
        if (Atomics.compareExchange(free, 0, seen, seen ^ (1 << bit)) === seen) return bit;
      }
    },
    put: (value) => void Atomics.or(free, 0, 1 << value),
  };
}

function join({ handle, free }: State): ThreadWaiters {
  return WaiterQueue.attach(handle).join(storeOf(free));
}

/** The owner of a value is alone with what belongs to it. */
function have({ payload }: State, value: number | undefined): number[] {
  if (value === undefined) return [];
  payload[value]! += 1;
  return [value];
}

const take = (state: State) => have(state, join(state).take());

const takeAsync: Body = async (state) => have(state, await join(state).takeAsync());

const takeBriefly = (state: State) => have(state, join(state).take({ timeoutMs: 10 }));

const takeBrieflyAsync: Body = async (state) =>
  have(state, await join(state).takeAsync({ timeoutMs: 10 }));

/** Is aborted at any moment of its wait, also when it was served already. */
const abort: Body = async (state) => {
  const waiters = join(state);
  const controller = new AbortController();
  const taken = waiters.takeAsync(controller);
  Atomics.load(state.free, 0); // others may run before this
  controller.abort("enough");
  try {
    return have(state, await taken);
  } catch (reason) {
    assertEquals(reason, "enough");
    return [];
  }
};

/** Two tasks of one thread. */
const takeTwice: Body = async (state) => {
  const waiters = join(state);
  const [first, second] = await Promise.all([waiters.takeAsync(), waiters.takeAsync()]);
  assertEquals(waiters.waiting, 0);
  return [...have(state, first), ...have(state, second)];
};

/** Awaits, and blocks meanwhile. */
const both: Body = async (state) => {
  const waiters = join(state);
  const later = waiters.takeAsync();
  if (!await isSettled(later)) {
    const value = waiters.take();
    have(state, value);
    waiters.release(value);
  }
  return have(state, await later);
};

/** Releases values that it makes. */
const release = (...values: number[]) => (state: State): number[] => {
  const queue = WaiterQueue.attach(state.handle);
  const store = storeOf(state.free);
  for (const value of values) {
    state.payload[value] = 10;
    queue.release(value, store);
  }
  return [];
};

/** Each released value has one owner or lies in the store, and no thread waits. */
function conserving(
  released: number[],
  threads: Record<string, Body>,
  slots = 2,
): ExploreOptions<State, Threads<State>> {
  return {
    setup: setup(slots),
    threads,
    check({ handle, free }, results) {
      const left = VALUES.filter((value) => (free[0]! & (1 << value)) !== 0);
      const taken = Object.values(results).filter(Array.isArray).flat();
      assertEquals([...left, ...taken].sort(), released);
      assertEquals(WaiterQueue.attach(handle).isAnyWaiting, false);
    },
  };
}

/**
 * The body on a slot of its own, without the search for one: that is the same wherever threads
 * join, and explored by itself below.
 */
function at<R>(slot: number, body: (state: State) => R): (state: State) => R {
  return tampered(body, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const isOwner = index >= SLOTS && (index - SLOTS) % SLOT === 0;
      if (!isOwner) return proper.compareExchange(view, index, expected, value);
      return index === SLOTS + slot * SLOT ? 0 : 1;
    },
  }));
}

for (
  const [what, released, threads] of [
    ["1 thread", [0], { take, release: release(0) }],
    ["1 thread that awaits", [0], { takeAsync, release: release(0) }],
    ["2 threads, 2 values", [0, 1], { a: at(0, take), b: at(1, take), release: release(0, 1) }],
    ["1 thread, 2 that release", [0, 1], { take, release: release(0), other: release(1) }],
    ["2 tasks of a thread, 2 values", [0, 1], { takeTwice, release: release(0, 1) }],
  ] as [string, number[], Record<string, Body>][]
) {
  Deno.test(`waiter queue: each value goes to one thread, and no thread is forgotten: ${what}`, async () => {
    await passes(conserving(released, threads));
  });
}

Deno.test("waiter queue: a thread that awaits can block as well, and is served first", async () => {
  await passes(conserving([0], { both, release: release(0) }));
});

Deno.test("waiter queue: two threads that join at once get different slots", async () => {
  const body = (state: State) => join(state).slot;
  await passes({
    setup: setup(),
    threads: { a: body, b: body },
    check: (_, { a, b }) => assertEquals([a, b].sort(), [0, 1]),
  });
});

for (
  const [what, quitter] of Object.entries<Body>({
    "gives up": takeBriefly,
    "awaits and gives up": takeBrieflyAsync,
    "is aborted": abort,
  })
) {
  Deno.test(`waiter queue: a waiter that ${what} has the value, or the store does`, async () => {
    const outcomes = new Set<unknown>();
    const { check, ...rest } = conserving([0], { quitter, release: release(0) });
    await passes({
      ...rest,
      check(state, results) {
        check!(state, results);
        outcomes.add((results["quitter"] as number[]).length);
      },
    });
    assertEquals(outcomes, new Set([0, 1]));
  });
}

/** Gives back what the body has taken. */
const inPassing = (body: Body): Body => async (state) => {
  for (const value of await body(state)) {
    WaiterQueue.attach(state.handle).release(value, storeOf(state.free));
  }
  return [];
};

for (
  const [what, quitter] of Object.entries<Body>({
    "gives up": inPassing(at(0, takeBriefly)),
    "is aborted": inPassing(at(0, abort)),
  })
) {
  Deno.test(`waiter queue: a value for a waiter that ${what} goes to the next one`, async () => {
    await passes(conserving([0], { quitter, take: at(1, take), release: release(0) }));
  });
}

Deno.test("waiter queue: closing fails tasks that await, and passes on a value that has arrived", async () => {
  const outcomes = new Set<unknown>();
  const { check, ...rest } = conserving([0], {
    async disposer(state) {
      const waiters = join(state);
      const taken = waiters.takeAsync().catch((error: Error) => error.message);
      Atomics.load(state.free, 0); // others may run before this
      waiters[Symbol.dispose]();
      const value = await taken;
      if (typeof value === "number") return have(state, value);
      assertEquals(value, "Cannot take a value as the thread has left the waiter queue");
      return [];
    },
    release: release(0),
  });
  await passes({
    ...rest,
    check(state, results) {
      check!(state, results);
      outcomes.add((results["disposer"] as number[]).length);
      // The slot can be had by another.
      assertEquals(join(state).slot, 0);
    },
  });
  assertEquals(outcomes, new Set([0, 1]));
});

/** A thread dies; what it was given and has not taken goes to another. */
const reap = (die: (state: State) => Dead | Promise<Dead>) => (state: State): number[] => {
  const { slot, taken } = spawn(() => die(state)).join() as Dead;
  const queue = WaiterQueue.attach(state.handle);
  const value = queue.reclaim(slot);
  if (value !== undefined) queue.release(value, storeOf(state.free));
  return taken;
};

/** Which thread has died, and what it had. */
interface Dead {
  readonly slot: number;
  readonly taken: number[];
}

const dieAsleep = async (state: State): Promise<Dead> => {
  const waiters = join(state);
  const { waitAsync } = Atomics;
  // It is never told that it was woken.
  Atomics.waitAsync = ((...args: [Int32Array, number, number, number?]) => {
    const wait = waitAsync(...args);
    return wait.async ? { async: true, value: new Promise(() => {}) } : wait;
  }) as typeof waitAsync;
  const later = waiters.takeAsync();
  Atomics.waitAsync = waitAsync;
  // What it had at once, from the store, it has died with.
  return { slot: waiters.slot, taken: await isSettled(later) ? have(state, await later) : [] };
};

const dieServed = (state: State): Dead => {
  const waiters = join(state);
  return { slot: waiters.slot, taken: have(state, waiters.take()) };
};

for (const [what, die] of Object.entries({ "asleep": dieAsleep, "served": dieServed })) {
  Deno.test(`waiter queue: what a thread that died ${what} has not taken goes to another`, async () => {
    await passes(conserving([0], { reaper: reap(die), release: release(0) }));
  });
}

// --- broken twins ---------------------------------------------------------------------------

const released = release(0);

Deno.test("broken twin: an offer that drops the notify leaves a waiter asleep", async () => {
  const release = tampered(released, () => ({ notify: () => 0 }));
  const error = await fails("deadlock", conserving([0], { take, release }));
  assert(error.message.includes("waiter_queue.mail[0]"), error.message);
});

Deno.test("broken twin: a waiter that is not marked is not found", async () => {
  const waiter = tampered(take, (proper) => ({
    or: (view: Int32Array, index: number, bits: number) =>
      index === MARKS ? 0 : proper.or(view, index, bits),
  }));
  await fails("deadlock", conserving([0], { waiter, release: released }));
});

Deno.test("broken twin: a waiter that marks itself after it looked into the store is missed", async () => {
  const waiter = tampered(take, (proper) => {
    let late: (() => void) | undefined;
    return {
      or(view: Int32Array, index: number, bits: number) {
        if (index !== MARKS) return proper.or(view, index, bits);
        late = () => proper.or(view, index, bits);
        return 0;
      },
      wait(...args: [Int32Array, number, number, number]) {
        late?.();
        late = undefined;
        return proper.wait(...args);
      },
    };
  });
  await fails("deadlock", conserving([0], { waiter, release: released }));
});

Deno.test("broken twin: a release that does not look again after it put a value in", async () => {
  const release = tampered(released, (proper) => {
    let looks = 0;
    return {
      load: (view: Int32Array, index: number) =>
        index === MARKS && looks++ > 0 ? 0 : proper.load(view, index),
    };
  });
  await fails("deadlock", conserving([0], { take, release }));
});

Deno.test("broken twin: an offer by a load and a store gives two values, and one is lost", async () => {
  const broken = (value: number) =>
    tampered(release(value), (proper) => ({
      compareExchange(view: Int32Array, index: number, expected: number, value: number) {
        const before = proper.load(view, index);
        if (before === expected) proper.store(view, index, value);
        return before;
      },
    }));
  await fails(
    "assertion",
    conserving([0, 1], { take, first: broken(0), second: broken(1) }),
  );
});

Deno.test("broken twin: a waiter that cancels by a store loses the value that has arrived", async () => {
  const quitter = tampered(takeBriefly, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      if (value >= 0) return proper.compareExchange(view, index, expected, value);
      proper.store(view, index, value);
      return expected;
    },
  }));
  await fails("assertion", conserving([0], { quitter, release: released }));
});

Deno.test("broken twin: a value that is offered plainly is a race", async () => {
  const release = tampered(released, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) view[index] = value;
      return before;
    },
  }));
  await fails("data race", conserving([0], { take, release }));
});

Deno.test("broken twin: a value that is collected by a load alone is taken twice", async () => {
  const die = tampered(dieServed, (proper) => ({
    compareExchange: (view: Int32Array, index: number, expected: number, value: number) =>
      value === IDLE && expected >= 0
        ? proper.load(view, index)
        : proper.compareExchange(view, index, expected, value),
  }));
  await fails("assertion", conserving([0], { reaper: reap(die), release: released }));
});
