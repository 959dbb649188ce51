/**
 * The parker as shipped, under every schedule that matters, and broken twins of it.
 *
 * What is passed on is written plainly before the unpark, and read plainly after the park.
 *
 * @module
 */

import { Parker, type ParkerHandle } from "@busbar/busbar";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { isSettled, sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: ParkerHandle;
  /** Written before the unpark. */
  readonly payload: Int32Array;
}

const PARKED = 2;

const setup = (): State => ({ handle: Parker.create().handle, payload: sharedWords(2) });

const park = ({ handle, payload }: State) => {
  Parker.attach(handle).park();
  return payload[0];
};

const parkAsync = async ({ handle, payload }: State) => {
  await Parker.attach(handle).parkAsync();
  return payload[0];
};

const unpark = ({ handle, payload }: State) => {
  payload[0] = 42;
  Parker.attach(handle).unpark();
};

/** Parks for a while; looks only if it was unparked. */
const parkBriefly = ({ handle, payload }: State) =>
  Parker.attach(handle).park({ timeoutMs: 10 }) ? payload[0] : undefined;

const parkBrieflyAsync = async ({ handle, payload }: State) =>
  await Parker.attach(handle).parkAsync({ timeoutMs: 10 }) ? payload[0] : undefined;

/** Is aborted at any moment of its wait, and parks again. */
const abortAndPark = async ({ handle, payload }: State) => {
  const parker = Parker.attach(handle);
  const controller = new AbortController();
  const parked = parker.parkAsync({ signal: controller.signal });
  Atomics.load(payload, 1); // others may run before this
  controller.abort("enough");
  const isParked = await parked.catch((reason) => {
    assertEquals(reason, "enough");
    return false;
  });
  if (!isParked) parker.park();
  return payload[0];
};

for (
  const [what, parks] of Object.entries({
    "that blocks": park,
    "that awaits": parkAsync,
    "that was aborted, and parks again": abortAndPark,
  })
) {
  Deno.test(`parker: a thread ${what} continues, whether it was unparked before or after`, async () => {
    await passes({
      setup,
      threads: { parks, unpark },
      check: (_, { parks }) => assertEquals(parks, 42),
    });
  });
}

for (
  const [what, parks] of Object.entries({
    "that blocks": parkBriefly,
    "that awaits": parkBrieflyAsync,
  })
) {
  Deno.test(`parker: a thread ${what} for a time continues by then, unparked or not`, async () => {
    const outcomes = new Set<unknown>();
    await passes({
      setup,
      threads: { parks, unpark },
      check: ({ handle }, { parks }) => {
        outcomes.add(parks);
        // The permit was taken, or is there still.
        assertEquals(Parker.attach(handle).park({ timeoutMs: 0 }), parks === undefined);
      },
    });
    assertEquals(outcomes, new Set([undefined, 42]));
  });
}

Deno.test("parker: writes before the first of two unparks are seen, whichever of them ended the park", async () => {
  await passes({
    setup,
    threads: {
      parks: park,
      unparks({ handle, payload }) {
        const parker = Parker.attach(handle);
        payload[0] = 42;
        parker.unpark();
        parker.unpark();
      },
    },
    check: (_, { parks }) => assertEquals(parks, 42),
  });
});

Deno.test("parker: a thread that waits for two others misses neither", async () => {
  const arrive = ({ handle, payload }: State) => {
    Atomics.add(payload, 0, 1);
    Parker.attach(handle).unpark();
  };
  await passes({
    setup,
    threads: {
      parks({ handle, payload }) {
        const parker = Parker.attach(handle);
        while (Atomics.load(payload, 0) < 2) parker.park();
      },
      first: arrive,
      second: arrive,
    },
  });
});

/** Takes a permit, and says so. */
const takeOne = ({ handle, payload }: State) => {
  Parker.attach(handle).park();
  Atomics.add(payload, 1, 1);
};

/** Leaves a permit, and another once that is taken. */
const giveTwo = ({ handle, payload }: State) => {
  const parker = Parker.attach(handle);
  parker.unpark();
  while (Atomics.load(payload, 1) === 0) Atomics.pause();
  parker.unpark();
};

Deno.test("parker: two threads that park at one parker continue one by one", async () => {
  await passes({ setup, threads: { a: takeOne, b: takeOne, giveTwo } });
});

Deno.test("parker: a thread that awaits can block as well, and that wait ends first", async () => {
  await passes({
    setup,
    threads: {
      async parks({ handle, payload }) {
        const parker = Parker.attach(handle);
        const later = parker.parkAsync();
        if (!await isSettled(later)) {
          parker.park();
          parker.unpark();
        }
        await later;
        return payload[0];
      },
      unpark,
    },
    check: (_, { parks }) => assertEquals(parks, 42),
  });
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: an unpark that drops the notify leaves a thread asleep", async () => {
  const error = await fails("deadlock", {
    setup,
    threads: { park, unpark: tampered(unpark, () => ({ notify: () => 0 })) },
  });
  assert(error.message.includes("parker.permit"), error.message);
});

Deno.test("broken twin: an unpark by a load and a store overlooks the mark", async () => {
  await fails("deadlock", {
    setup,
    threads: {
      park,
      unpark: tampered(unpark, (proper) => ({
        exchange(view: Int32Array, index: number, value: number) {
          const before = proper.load(view, index);
          proper.store(view, index, value);
          return before;
        },
      })),
    },
  });
});

Deno.test("broken twin: an unpark by a plain store is a race", async () => {
  await fails("data race", {
    setup,
    threads: {
      park,
      unpark: tampered(unpark, (proper) => ({
        exchange(view: Int32Array, index: number, value: number) {
          const before = proper.load(view, index);
          view[index] = value;
          return before;
        },
      })),
    },
  });
});

Deno.test("broken twin: a park that marks by a store destroys a permit", async () => {
  await fails("deadlock", {
    setup,
    threads: {
      park: tampered(park, (proper) => ({
        compareExchange(view: Int32Array, index: number, expected: number, value: number) {
          if (value !== PARKED) return proper.compareExchange(view, index, expected, value);
          proper.store(view, index, value);
          return expected;
        },
      })),
      unpark,
    },
  });
});

Deno.test("broken twin: an unpark that wakes one of two forgets the other", async () => {
  await withMemory(
    ({ notify }) => ({ notify: (view, index) => notify(view, index, 1) }),
    () => fails("deadlock", { setup, threads: { a: takeOne, b: takeOne, giveTwo } }),
  );
});
