/**
 * The semaphore as shipped, under every schedule that matters, and broken twins of it.
 *
 * With one permit what is inside is a plain counter, which races if two are inside at once.
 *
 * @module
 */

import { Semaphore, type SemaphoreHandle } from "@busbar/busbar";
import type { ExploreOptions, Threads } from "@busbar/busbar/model";
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: SemaphoreHandle;
  /** Changed plainly while one holds the only permit. */
  readonly counter: Int32Array;
  /** Changed atomically by those that hold a permit: how many they are. */
  readonly inside: Int32Array;
}

/** How often a body held a permit. */
type Body = (state: State) => number | Promise<number>;

/** The words of a semaphore. */
const WAITERS = 3;
const LARGE_WAITERS = 4;

const setup = (permits: number) => (): State => ({
  handle: Semaphore.create({ permits }).handle,
  counter: sharedWords(1),
  inside: sharedWords(1),
});

/** In the end all permits are there, no waiter is counted, and each entry was. */
function excluding(threads: Record<string, Body>): ExploreOptions<State, Threads<State>> {
  return {
    setup: setup(1),
    threads,
    check({ handle, counter }, results) {
      const entries = Object.values(results) as number[];
      assertEquals(counter[0], entries.reduce((sum, count) => sum + count, 0));
      const { permits, waiters } = Semaphore.attach(handle);
      assertEquals([permits, waiters], [1, 0]);
    },
  };
}

const enter: Body = ({ handle, counter }) => {
  using _permit = Semaphore.attach(handle).acquire();
  counter[0]!++;
  return 1;
};

const enterAsync: Body = async ({ handle, counter }) => {
  using _permit = await Semaphore.attach(handle).acquireAsync();
  counter[0]!++;
  return 1;
};

const enterBriefly: Body = ({ handle, counter }) => {
  using permit = Semaphore.attach(handle).acquire(1, { timeoutMs: 10 });
  if (permit === undefined) return 0;
  counter[0]!++;
  return 1;
};

const enterBrieflyAsync: Body = async ({ handle, counter }) => {
  using permit = await Semaphore.attach(handle).acquireAsync(1, { timeoutMs: 10 });
  if (permit === undefined) return 0;
  counter[0]!++;
  return 1;
};

/** Is aborted at any moment of its wait, also when it was woken already. */
const abort: Body = async ({ handle, counter }) => {
  const semaphore = Semaphore.attach(handle);
  const controller = new AbortController();
  const acquired = semaphore.acquireAsync(1, controller);
  semaphore.permits; // others may run before this
  controller.abort("enough");
  try {
    using _permit = await acquired;
    counter[0]!++;
    return 1;
  } catch (reason) {
    assertEquals(reason, "enough");
    return 0;
  }
};

/** Awaits a permit, and blocks for it meanwhile. */
const both: Body = async ({ handle, counter }) => {
  const semaphore = Semaphore.attach(handle);
  const later = semaphore.acquireAsync();
  const isFirst = await isSettled(later);
  if (!isFirst) {
    using _permit = semaphore.acquire();
    counter[0]!++;
  }
  using _permit = await later;
  counter[0]!++;
  return isFirst ? 1 : 2;
};

for (
  const [what, threads] of Object.entries<Record<string, Body>>({
    "2 threads": { a: enter, b: enter },
    "2 threads, of which 1 awaits": { a: enterAsync, b: enter },
    "2 tasks of a thread, and a thread": {
      tasks: async (state) => (await Promise.all([enterAsync(state), enterAsync(state)])).length,
      b: enter,
    },
    "a thread that awaits and blocks, and another": { both, b: enter },
    "a thread that gives up, and another": { a: enterBriefly, b: enter },
    "a thread that awaits and gives up, and another": { a: enterBrieflyAsync, b: enter },
    "a thread that is aborted, and another": { a: abort, b: enter },
  })
) {
  Deno.test(`semaphore: of 1 permit there is one holder at a time: ${what}`, async () => {
    await passes(excluding(threads));
  });
}

Deno.test("semaphore: of 2 permits there are two holders at a time, 3 threads", async () => {
  let most = 0;
  const body = ({ handle, inside }: State) => {
    using _permit = Semaphore.attach(handle).acquire();
    const count = Atomics.add(inside, 0, 1) + 1;
    Atomics.sub(inside, 0, 1);
    return count;
  };
  await passes({
    setup: setup(2),
    threads: { a: body, b: body, c: body },
    check: ({ handle }, { a, b, c }) => {
      most = Math.max(most, a, b, c);
      assertLessOrEqual(most, 2);
      assertEquals(Semaphore.attach(handle).permits, 2);
    },
  });
  assertEquals(most, 2);
});

/** Takes so many permits, for good. */
const take = (count: number) => ({ handle }: State) => void Semaphore.attach(handle).acquire(count);

const takeAsync = (count: number) => async ({ handle }: State) => {
  await Semaphore.attach(handle).acquireAsync(count);
};

/** Gives permits, so many at a time. */
const give = (...counts: number[]) => ({ handle }: State) => {
  const semaphore = Semaphore.attach(handle);
  for (const count of counts) semaphore.release(count);
};

/** Gives two permits once it had one. */
const takesAndGives = (state: State) => {
  take(1)(state);
  give(2)(state);
};

for (
  const [what, threads] of Object.entries<Threads<State>>({
    "1 and 1, given 1 by 1": { a: take(1), b: take(1), giver: give(1, 1) },
    "1 and 1, given at once": { a: take(1), b: take(1), giver: give(2) },
    "1 and 1, given by two": { a: take(1), b: take(1), giver: give(1), other: give(1) },
    "1 and 1, of which one awaits": { a: takeAsync(1), b: take(1), giver: give(1, 1) },
    "2 and 1, given 1 and 2": { large: take(2), b: take(1), giver: give(1, 2) },
    "2 and 1, given by two": { large: take(2), b: take(1), giver: give(1), other: give(2) },
    "2 that awaits and 1, given 1 and 2": { large: takeAsync(2), b: take(1), giver: give(1, 2) },
    "2 and 2, given at once": { large: take(2), other: take(2), giver: give(4) },
    "2 waits for what 1 gives": { large: take(2), takesAndGives, giver: give(1) },
  })
) {
  Deno.test(`semaphore: no waiter is forgotten: ${what}`, async () => {
    await passes({
      setup: setup(0),
      threads,
      check({ handle }) {
        const { permits, waiters } = Semaphore.attach(handle);
        assertEquals([permits, waiters], [0, 0]);
      },
    });
  });
}

for (
  const [what, quitter] of Object.entries<Body>({
    "wants 1 and gives up": ({ handle }) =>
      Semaphore.attach(handle).acquire(1, { timeoutMs: 10 }) === undefined ? 0 : 1,
    "wants 2 and gives up": ({ handle }) =>
      Semaphore.attach(handle).acquire(2, { timeoutMs: 10 }) === undefined ? 0 : 2,
    "awaits and gives up": async ({ handle }) =>
      await Semaphore.attach(handle).acquireAsync(1, { timeoutMs: 10 }) === undefined ? 0 : 1,
    "is aborted": async ({ handle }) => {
      const semaphore = Semaphore.attach(handle);
      const controller = new AbortController();
      const acquired = semaphore.acquireAsync(1, controller);
      semaphore.permits; // others may run before this
      controller.abort("enough");
      return await acquired.then(() => 1, () => 0);
    },
  })
) {
  Deno.test(`semaphore: one that ${what} takes a permit, or leaves it to another`, async () => {
    const outcomes = new Set<unknown>();
    await passes({
      setup: setup(0),
      threads: { quitter, giver: give(2) },
      check({ handle }, { quitter }) {
        outcomes.add(quitter);
        const { permits, waiters } = Semaphore.attach(handle);
        assertEquals([permits, waiters], [2 - (quitter as number), 0]);
      },
    });
    assertEquals(outcomes.size, 2);
  });

  Deno.test(`semaphore: a thread that ${what} strands no other`, async () => {
    await passes({
      setup: setup(0),
      threads: {
        // A thread that has taken what the other waits for releases it.
        async quitter(state) {
          const taken = await quitter(state);
          if (taken > 0) Semaphore.attach(state.handle).release(taken);
        },
        waiter: take(1),
        giver: give(1),
      },
      check: ({ handle }) => assertEquals(Semaphore.attach(handle).permits, 0),
    });
  });
}

Deno.test("semaphore: of releases that are too many together, one is refused", async () => {
  const most = 2 ** 30;
  const releaseMost = ({ handle }: State): number => {
    try {
      Semaphore.attach(handle).release(most);
      return most;
    } catch (error) {
      assert(error instanceof RangeError);
      return 0;
    }
  };
  await passes({
    setup: setup(0),
    threads: { a: releaseMost, b: releaseMost, c: releaseMost },
    check({ handle }, { a, b, c }) {
      assertEquals([a + b + c, Semaphore.attach(handle).permits], [most, most]);
    },
  });
});

Deno.test("semaphore: a release notifies only if a thread waits", () => {
  const body = tampered(enter, () => ({
    notify() {
      throw new Error("a needless wake-up");
    },
  }));
  assertEquals(body(setup(1)()), 1);
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a semaphore that drops the notify leaves a waiter asleep", async () => {
  const giver = tampered(give(1), () => ({ notify: () => 0 }));
  const error = await fails("deadlock", { setup: setup(0), threads: { a: take(1), giver } });
  assert(error.message.includes("semaphore.permits"), error.message);
});

Deno.test("broken twin: a semaphore whose waiters are not counted leaves one asleep", async () => {
  const a = tampered(take(1), (proper) => ({
    add: (view: Int32Array, index: number, value: number) =>
      index === WAITERS ? 0 : proper.add(view, index, value),
  }));
  await fails("deadlock", { setup: setup(0), threads: { a, giver: give(1) } });
});

Deno.test("broken twin: a release that looks for waiters before it adds loses a wake-up", async () => {
  const giver = tampered(give(1), (proper) => {
    let waiters = 0;
    return {
      compareExchange(view: Int32Array, index: number, expected: number, value: number) {
        waiters = proper.load(view, WAITERS);
        return proper.compareExchange(view, index, expected, value);
      },
      load: (view: Int32Array, index: number) =>
        index === WAITERS ? waiters : proper.load(view, index),
    };
  });
  await fails("deadlock", { setup: setup(0), threads: { a: take(1), giver } });
});

Deno.test("broken twin: a release of two permits that wakes one forgets the other", async () => {
  await withMemory(
    ({ notify }) => ({ notify: (view, index) => notify(view, index, 1) }),
    () =>
      fails("deadlock", {
        setup: setup(0),
        threads: { a: take(1), b: take(1), giver: give(2) },
      }),
  );
});

Deno.test("broken twin: a wake-up that only one that wants more gets is lost", async () => {
  const giver = tampered(give(1), (proper) => ({
    load: (view: Int32Array, index: number) =>
      index === LARGE_WAITERS ? 0 : proper.load(view, index),
  }));
  await fails("deadlock", { setup: setup(0), threads: { large: take(2), takesAndGives, giver } });
});

Deno.test("broken twin: a permit that is taken by a load and a store is taken twice", async () => {
  const body = tampered(enter as (state: State) => number, (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails("data race", excluding({ a: body, b: body }));
});

Deno.test("broken twin: a permit that is given back by a load and a store is lost", async () => {
  const giver = tampered(give(1), (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails("deadlock", {
    setup: setup(0),
    threads: { a: take(1), b: take(1), giver, other: giver },
  });
});

Deno.test("broken twin: a permit that is given back plainly is a race", async () => {
  const giver = tampered(give(1), () => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      view[index] = value;
      return expected;
    },
  }));
  await fails("data race", { setup: setup(0), threads: { a: take(1), giver } });
});

Deno.test("broken twin: an aborted wait that does not pass on its wake-up strands a waiter", async () => {
  await withMemory(
    ({ notify }) => ({
      // Only a thread that gives up wakes all.
      notify(view, index, count) {
        return count === undefined || count === Infinity ? 0 : notify(view, index, count);
      },
    }),
    () => fails("deadlock", excluding({ quitter: abort, b: enter, c: enter })),
  );
});
