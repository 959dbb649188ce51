/**
 * The event count as shipped, under every schedule that matters, and broken twins of it.
 *
 * The condition is made of two words that are set one after the other, or by two threads; what it
 * announces is written plainly before.
 *
 * @module
 */

import { EventCount, type EventCountHandle } from "@busbar/busbar";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords } from "./models.ts";

interface State {
  readonly handle: EventCountHandle;
  readonly words: Int32Array;
  /** Written plainly before the words are set, and read once they are. */
  readonly payload: Int32Array;
  /** The words that must be set. */
  readonly needed: readonly number[];
}

const LEFT = 0;
const RIGHT = 1;

const needing = (...needed: number[]) => (): State => ({
  handle: EventCount.create().handle,
  words: sharedWords(2),
  payload: sharedWords(2),
  needed,
});
const setup = needing(LEFT, RIGHT);

const holds = ({ words, needed }: State) => () =>
  needed.every((index) => Atomics.load(words, index) === 1);

const sum = ({ payload, needed }: State) => needed.reduce((sum, index) => sum + payload[index]!, 0);

const until = (state: State) => {
  EventCount.attach(state.handle).until(holds(state));
  return sum(state);
};

const untilAsync = async (state: State) => {
  await EventCount.attach(state.handle).untilAsync(holds(state));
  return sum(state);
};

const stepByStep = (state: State) => {
  const count = EventCount.attach(state.handle);
  const isTrue = holds(state);
  while (!isTrue()) {
    const key = count.prepare();
    if (!isTrue()) count.wait(key);
  }
  return sum(state);
};

const stepByStepAsync = async (state: State) => {
  const count = EventCount.attach(state.handle);
  const isTrue = holds(state);
  while (!isTrue()) {
    const key = count.prepare();
    if (!isTrue()) await count.waitAsync(key);
  }
  return sum(state);
};

/** Awaits and blocks at once. */
const both = async (state: State) => {
  const count = EventCount.attach(state.handle);
  const later = count.untilAsync(holds(state));
  if (!await isSettled(later)) count.until(holds(state));
  await later;
  return sum(state);
};

const briefly = (state: State) =>
  EventCount.attach(state.handle).until(holds(state), { timeoutMs: 10 }) ? sum(state) : undefined;

const brieflyAsync = async (state: State) =>
  await EventCount.attach(state.handle).untilAsync(holds(state), { timeoutMs: 10 })
    ? sum(state)
    : undefined;

/** Is aborted at any moment of its wait. */
const abort = async (state: State) => {
  const controller = new AbortController();
  const { signal } = controller;
  const waited = EventCount.attach(state.handle).untilAsync(holds(state), { signal });
  Atomics.load(state.words, LEFT); // others may run before this
  controller.abort("enough");
  try {
    await waited;
    return sum(state);
  } catch (reason) {
    assertEquals(reason, "enough");
    return undefined;
  }
};

/** Sets words, one by one, and notifies after each. */
const set = (...indices: number[]) => ({ handle, words, payload }: State) => {
  const count = EventCount.attach(handle);
  for (const index of indices) {
    payload[index] = 21;
    Atomics.store(words, index, 1);
    count.notify();
  }
};

for (
  const [what, waiter] of Object.entries({
    "blocks": until,
    "awaits": untilAsync,
    "blocks step by step": stepByStep,
    "awaits step by step": stepByStepAsync,
    "awaits and blocks": both,
  })
) {
  Deno.test(`event count: a waiter that ${what} sees its condition, 1 setter of 2 words`, async () => {
    await passes({
      setup,
      threads: { waiter, setter: set(LEFT, RIGHT) },
      check: (_, { waiter }) => assertEquals(waiter, 42),
    });
  });

  Deno.test(`event count: a waiter that ${what} sees its condition, 2 setters`, async () => {
    await passes({
      setup,
      threads: { waiter, left: set(LEFT), right: set(RIGHT) },
      check: (_, { waiter }) => assertEquals(waiter, 42),
    });
  });
}

for (
  const [what, a, b] of [
    ["that block", until, stepByStep],
    ["of which one awaits", untilAsync, until],
  ] as const
) {
  Deno.test(`event count: two waiters ${what} are both woken`, async () => {
    await passes({
      setup: needing(LEFT),
      threads: { a, b, setter: set(LEFT) },
      check: (_, { a, b }) => assertEquals([a, b], [21, 21]),
    });
  });
}

for (
  const [what, quitter] of Object.entries({
    "blocks for a time": briefly,
    "awaits for a time": brieflyAsync,
    "is aborted": abort,
  })
) {
  Deno.test(`event count: a waiter that ${what} takes nothing from another`, async () => {
    const outcomes = new Set<unknown>();
    await passes({
      setup: needing(LEFT),
      threads: { quitter, waiter: until, setter: set(LEFT) },
      check: (_, { quitter, waiter }) => {
        assertEquals(waiter, 21);
        outcomes.add(quitter);
      },
    });
    assertEquals(outcomes, new Set([undefined, 21]));
  });
}

Deno.test("event count: notify is one load while no thread waits, and one wake-up for all that do", () => {
  const calls: string[] = [];
  const watched = tampered(
    (notifications: number) => {
      const count = EventCount.create();
      for (let i = 0; i < notifications; i++) count.notify();
      count.prepare();
      count.prepare();
      for (let i = 0; i < notifications; i++) count.notify();
    },
    (proper) => ({
      load: (view: Int32Array, index: number) => {
        calls.push("load");
        return proper.load(view, index);
      },
      compareExchange: (view: Int32Array, index: number, expected: number, value: number) => {
        calls.push("compareExchange");
        return proper.compareExchange(view, index, expected, value);
      },
      notify: () => calls.push("notify"),
    }),
  );
  watched(2);
  assertEquals(calls, ["load", "load", "load", "compareExchange", "notify", "load"]);
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: an event count that drops the notify leaves a waiter asleep", async () => {
  const setter = tampered(set(LEFT, RIGHT), () => ({ notify: () => 0 }));
  const error = await fails("deadlock", { setup, threads: { until, setter } });
  assert(error.message.includes("event_count.count"), error.message);
});

Deno.test("broken twin: an event count that does not count lets a waiter fall asleep", async () => {
  const setter = tampered(set(LEFT, RIGHT), () => ({
    compareExchange: (_view: Int32Array, _index: number, expected: number) => expected,
  }));
  await fails("deadlock", { setup, threads: { until, setter } });
});

Deno.test("broken twin: a waiter that prepares by a load and a store takes a count back", async () => {
  const waiter = tampered(until, (proper) => ({
    or(view: Int32Array, index: number, bits: number) {
      const before = proper.load(view, index);
      proper.store(view, index, before | bits);
      return before;
    },
  }));
  await fails("deadlock", { setup, threads: { waiter, until, setter: set(LEFT, RIGHT) } });
});

Deno.test("broken twin: a notifier that looks plainly is a race", async () => {
  const setter = tampered(set(LEFT, RIGHT), () => ({
    load: (view: Int32Array, index: number) => view[index],
  }));
  await fails("data race", { setup, threads: { until, setter } });
});

Deno.test("broken twin: a notifier that notifies before the condition holds loses a wake-up", async () => {
  const setter = ({ handle, words }: State) => {
    Atomics.store(words, LEFT, 1);
    EventCount.attach(handle).notify();
    Atomics.store(words, RIGHT, 1);
  };
  await fails("deadlock", { setup, threads: { until, setter } });
});

Deno.test("broken twin: a waiter that looks only before it prepares loses a wake-up", async () => {
  const waiter = (state: State) => {
    const count = EventCount.attach(state.handle);
    while (!holds(state)()) count.wait(count.prepare());
  };
  await fails("deadlock", { setup, threads: { waiter, setter: set(LEFT, RIGHT) } });
});
