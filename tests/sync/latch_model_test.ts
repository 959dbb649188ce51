/**
 * The latch as shipped, under every schedule that matters, and broken twins of it.
 *
 * What is done before the latch is opened are plain writes, which race with the waiter's reads if
 * it goes on too early.
 *
 * @module
 */

import { Latch, type LatchHandle } from "@busbar/busbar";
import { awaitDeath } from "@busbar/busbar/model";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: LatchHandle;
  /** Each thread that counts down writes one first, plainly. */
  readonly done: Int32Array;
}

const setup = (count: number) => (): State => ({
  handle: Latch.create({ count }).handle,
  done: sharedWords(2),
});

const countDown = (index: number) => ({ handle, done }: State): number => {
  done[index] = 1;
  return Latch.attach(handle).countDown();
};

const read = ({ done }: State) => done[0]! + done[1]!;

const wait = (state: State): number => {
  assert(Latch.attach(state.handle).wait());
  return read(state);
};

const waitAsync = async (state: State): Promise<number> => {
  assert(await Latch.attach(state.handle).waitAsync());
  return read(state);
};

for (const [what, waiter] of Object.entries({ "blocks": wait, "awaits": waitAsync })) {
  Deno.test(`latch: a thread that ${what} sees what was done before, 2 count down`, async () => {
    await passes({
      setup: setup(2),
      threads: { a: countDown(0), b: countDown(1), waiter },
      check(_, { a, b, waiter }) {
        assertEquals(waiter, 2);
        assertEquals([a, b].sort(), [0, 1]);
      },
    });
  });
}

Deno.test("latch: all that wait go on, 2 threads", async () => {
  const counter = ({ handle, done }: State) => {
    done.fill(1);
    Latch.attach(handle).countDown(2);
  };
  await passes({
    setup: setup(2),
    threads: { counter, a: wait, b: waitAsync },
    check: (_, { a, b }) => assertEquals([a, b], [2, 2]),
  });
});

Deno.test("latch: one that gives up is told, or sees all", async () => {
  const outcomes = new Set<number>();
  await passes({
    setup: setup(2),
    threads: {
      a: countDown(0),
      b: countDown(1),
      waiter: (state: State) =>
        Latch.attach(state.handle).wait({ timeoutMs: 10 }) ? read(state) : -1,
    },
    check: (_, { waiter }) => void outcomes.add(waiter),
  });
  assertEquals([...outcomes].sort(), [-1, 2]);
});

Deno.test("latch: of counts that are too many together, one is refused", async () => {
  const tooMany = ({ handle }: State): number => {
    try {
      return Latch.attach(handle).countDown(2);
    } catch (error) {
      assert(error instanceof RangeError);
      return -1;
    }
  };
  await passes({
    setup: setup(3),
    threads: { a: tooMany, b: tooMany },
    check: (_, { a, b }) => assertEquals([a, b].sort(), [-1, 1]),
  });
});

/** Counts down what a dead thread has not, and wakes the others in its place. */
const repair = ({ handle }: State): void => {
  awaitDeath("dying");
  const latch = Latch.attach(handle);
  if (latch.count > 0) latch.countDown();
  else latch.reclaimWakeups();
};

Deno.test("latch: wherever a thread that counts down dies, the waiter can be woken", async () => {
  await passes({
    setup: setup(1),
    mortal: ["dying"],
    threads: {
      dying: countDown(0),
      waiter: (state: State) => Latch.attach(state.handle).wait(),
      repair,
    },
    check: ({ handle }) => assertEquals(Latch.attach(handle).count, 0),
  });
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a latch that is opened without a notify leaves a waiter asleep", async () => {
  const b = tampered(countDown(1), () => ({ notify: () => 0 }));
  const error = await fails("deadlock", {
    setup: setup(2),
    threads: { a: countDown(0), b, waiter: wait },
  });
  assert(error.message.includes("latch.count"), error.message);
});

Deno.test("broken twin: a latch that wakes one of two leaves the other asleep", async () => {
  await withMemory(
    ({ notify }) => ({ notify: (view, index) => notify(view, index, 1) }),
    () =>
      fails("deadlock", {
        setup: setup(1),
        threads: { counter: countDown(0), a: wait, b: wait },
      }),
  );
});

Deno.test("broken twin: a count that is stored loses another one", async () => {
  const a = tampered(countDown(0), (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails("deadlock", { setup: setup(2), threads: { a, b: countDown(1), waiter: wait } });
});

Deno.test("broken twin: a waiter that sleeps at another count than it saw may sleep too late", async () => {
  const waiter = tampered(wait, (proper) => ({
    // As if it looked at the count once more on its way to sleep.
    wait: (view: Int32Array, index: number, _: number, timeoutMs: number) =>
      proper.wait(view, index, proper.load(view, index), timeoutMs),
  }));
  await fails("deadlock", { setup: setup(1), threads: { a: countDown(0), waiter } });
});

Deno.test("broken twin: a repair that wakes none leaves the waiter asleep", async () => {
  await fails("deadlock", {
    setup: setup(1),
    mortal: ["dying"],
    threads: {
      dying: countDown(0),
      waiter: (state: State) => Latch.attach(state.handle).wait(),
      repair: tampered(repair, () => ({ notify: () => 0 })),
    },
  });
});
