/**
 * The barrier as shipped, under every schedule that matters, and broken twins of it.
 *
 * Each thread writes a plain word of its own before it arrives, and reads those of the others when
 * it goes on: a thread that goes on too early races.
 *
 * @module
 */

import { Barrier, type BarrierHandle } from "@busbar/busbar";
import { awaitDeath, type ExploreOptions, type Threads } from "@busbar/busbar/model";
import { assert, assertEquals } from "@std/assert";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { sharedWords, withMemory } from "./models.ts";

interface State {
  readonly handle: BarrierHandle;
  /** For each round, of each thread whether it has arrived. */
  readonly done: Int32Array;
}

/** Room for so many threads in a round. */
const WIDTH = 3;
/** The word of a barrier. */
const STATE = 2;

/** @param round The number of the first round: the last one before it wraps, say. */
const setup = (parties: number, round = 0) => (): State => {
  const { handle } = Barrier.create({ parties });
  new Int32Array(handle.memory.buffer, handle.byteOffset)[STATE]! |= round << 20;
  return { handle, done: sharedWords(2 * WIDTH) };
};

const write = ({ done }: State, round: number, thread: number) => {
  done[round * WIDTH + thread] = 1;
};

/** How many had arrived in a round, of so many parties. */
const read = ({ done }: State, round: number, parties: number): number => {
  let sum = 0;
  for (let thread = 0; thread < parties; thread++) sum += done[round * WIDTH + thread]!;
  return sum;
};

/** What a thread got from each round, and how many others it saw. */
type Passed = readonly [order: number, seen: number][];

const passing = (thread: number, parties: number, rounds = 1) => (state: State): Passed => {
  const barrier = Barrier.attach(state.handle);
  return Array.from({ length: rounds }, (_, round) => {
    write(state, round, thread);
    return [barrier.wait(), read(state, round, parties)];
  });
};

const passingAsync =
  (thread: number, parties: number, rounds = 1) => async (state: State): Promise<Passed> => {
    const barrier = Barrier.attach(state.handle);
    const passed: [number, number][] = [];
    for (let round = 0; round < rounds; round++) {
      write(state, round, thread);
      passed.push([await barrier.waitAsync(), read(state, round, parties)]);
    }
    return passed;
  };

/** Each sees all of each round, and their orders are those in which they arrived. */
function together(
  parties: number,
  threads: Record<string, (state: State) => Passed | Promise<Passed>>,
  round = 0,
): ExploreOptions<State, Threads<State>> {
  return {
    setup: setup(parties, round),
    threads,
    check({ handle }, results) {
      const all = Object.values(results) as Passed[];
      for (let round = 0; round < all[0]!.length; round++) {
        const orders = all.map((passed) => passed[round]![0]).sort();
        assertEquals(orders, Array.from({ length: parties }, (_, i) => i + 1));
        assertEquals(all.map((passed) => passed[round]![1]), all.map(() => parties));
      }
      const barrier = Barrier.attach(handle);
      assertEquals([barrier.arrived, barrier.parties], [0, parties]);
    },
  };
}

Deno.test("barrier: 2 threads wait for each other, 2 rounds", async () => {
  await passes(together(2, { a: passing(0, 2, 2), b: passing(1, 2, 2) }));
});

Deno.test("barrier: 3 threads wait for each other", async () => {
  await passes(together(3, { a: passing(0, 3), b: passing(1, 3), c: passing(2, 3) }));
});

Deno.test("barrier: 2 threads wait for each other, of which 1 awaits, 2 rounds", async () => {
  await passes(together(2, { a: passing(0, 2, 2), b: passingAsync(1, 2, 2) }));
});

Deno.test("barrier: the number of the round wraps", async () => {
  await passes(together(2, { a: passing(0, 2, 2), b: passing(1, 2, 2) }, 2 ** 12 - 1));
});

/** Goes on as the other does, or gives up and has not arrived. */
const giving = {
  "gives up": (state: State): number => {
    write(state, 0, 1);
    const order = Barrier.attach(state.handle).wait({ timeoutMs: 10 });
    return order < 0 ? order : read(state, 0, 2);
  },
  "awaits and gives up": async (state: State): Promise<number> => {
    write(state, 0, 1);
    const order = await Barrier.attach(state.handle).waitAsync({ timeoutMs: 10 });
    return order < 0 ? order : read(state, 0, 2);
  },
  "is aborted": async (state: State): Promise<number> => {
    write(state, 0, 1);
    const barrier = Barrier.attach(state.handle);
    const controller = new AbortController();
    const passed = barrier.waitAsync(controller);
    barrier.arrived; // others may run before this
    controller.abort("enough");
    return await passed.then(() => read(state, 0, 2), () => -1);
  },
};

for (const [what, quitter] of Object.entries(giving)) {
  Deno.test(`barrier: one that ${what} goes on with the other, or neither does`, async () => {
    const outcomes = new Set<number>();
    await passes({
      setup: setup(2),
      threads: {
        other: (state: State) => {
          write(state, 0, 0);
          return Barrier.attach(state.handle).wait({ timeoutMs: 20 });
        },
        quitter,
      },
      check({ handle }, { other, quitter }) {
        outcomes.add(quitter);
        assertEquals(other > 0, quitter > 0);
        if (quitter > 0) assertEquals(quitter, 2);
        assertEquals(Barrier.attach(handle).arrived, 0);
      },
    });
    assertEquals([...outcomes].sort(), [-1, 2]);
  });
}

Deno.test("barrier: one that tries goes on if it is the last, and has not arrived else", async () => {
  const outcomes = new Set<number>();
  await passes({
    setup: setup(2),
    threads: {
      other: (state: State) => {
        write(state, 0, 0);
        return Barrier.attach(state.handle).wait({ timeoutMs: 10 });
      },
      trier: (state: State) => {
        write(state, 0, 1);
        return Barrier.attach(state.handle).tryWait() < 0 ? -1 : read(state, 0, 2);
      },
    },
    check({ handle }, { other, trier }) {
      outcomes.add(trier);
      assertEquals([other, Barrier.attach(handle).arrived], [trier < 0 ? -1 : 1, 0]);
    },
  });
  assertEquals([...outcomes].sort(), [-1, 2]);
});

Deno.test("barrier: one that leaves is not waited for", async () => {
  await passes({
    setup: setup(3),
    threads: {
      a: passing(0, 2),
      b: passing(1, 2),
      leaver: ({ handle }: State) => Barrier.attach(handle).leave(),
    },
    check({ handle }, { a, b }) {
      assertEquals([a[0]![1], b[0]![1]], [2, 2]);
      const barrier = Barrier.attach(handle);
      assertEquals([barrier.arrived, barrier.parties], [0, 2]);
    },
  });
});

/** Leaves in place of a dead thread, which may have arrived before, or not, or have woken none. */
const repair = ({ handle }: State): void => {
  awaitDeath("dying");
  const barrier = Barrier.attach(handle);
  barrier.leave();
  barrier.reclaimWakeups();
};

const arrive = ({ handle }: State): number => Barrier.attach(handle).wait();

Deno.test("barrier: wherever a thread dies, the one that waits for it can go on", async () => {
  await passes({
    setup: setup(2),
    mortal: ["dying"],
    threads: { dying: arrive, living: arrive, repair },
    check({ handle }, { living }) {
      assert(living >= 1);
      const { arrived, parties } = Barrier.attach(handle);
      assertEquals([arrived, parties], [0, 1]);
    },
  });
});

// --- broken twins ---------------------------------------------------------------------------

Deno.test("broken twin: a barrier whose last thread does not notify leaves one asleep", async () => {
  const b = tampered(passing(1, 2), () => ({ notify: () => 0 }));
  const error = await fails("deadlock", together(2, { a: passing(0, 2), b }));
  assert(error.message.includes("barrier.state"), error.message);
});

Deno.test("broken twin: a barrier that wakes one of two leaves the other asleep", async () => {
  await withMemory(
    ({ notify }) => ({ notify: (view, index) => notify(view, index, 1) }),
    () => fails("deadlock", together(3, { a: passing(0, 3), b: passing(1, 3), c: passing(2, 3) })),
  );
});

Deno.test("broken twin: one that leaves and does not notify leaves the others asleep", async () => {
  const leaver = tampered(
    ({ handle }: State) => Barrier.attach(handle).leave(),
    () => ({ notify: () => 0 }),
  );
  await fails("deadlock", { setup: setup(2), threads: { a: passing(0, 1), leaver } });
});

Deno.test("broken twin: an arrival by a load and a store may be lost", async () => {
  const wrong = tampered(passing(1, 2), (proper) => ({
    compareExchange(view: Int32Array, index: number, expected: number, value: number) {
      const before = proper.load(view, index);
      if (before === expected) proper.store(view, index, value);
      return before;
    },
  }));
  await fails(["deadlock", "data race"], together(2, { a: passing(0, 2), b: wrong }));
});

Deno.test("broken twin: a thread that does not look at the round goes on too early", async () => {
  const wrong = tampered(passing(1, 2), (proper) => {
    let looks = 0;
    return {
      // The second look, after its arrival, finds another round.
      load: (view: Int32Array, index: number) =>
        proper.load(view, index) + (index === STATE && looks++ > 0 ? 1 << 20 : 0),
    };
  });
  await fails("data race", together(2, { a: passing(0, 2), b: wrong }));
});

Deno.test("broken twin: one that gives up and stays arrived lets the other go on alone", async () => {
  const quitter = tampered(giving["gives up"], (proper) => {
    let changes = 0;
    return {
      compareExchange: (view: Int32Array, index: number, expected: number, value: number) =>
        changes++ > 0 ? expected : proper.compareExchange(view, index, expected, value),
    };
  });
  await fails("assertion", {
    setup: setup(2),
    threads: {
      other: ({ handle }: State) => Barrier.attach(handle).wait({ timeoutMs: 20 }),
      quitter,
    },
    check: (_, { other, quitter }) => assertEquals(other > 0, quitter > 0),
  });
});

Deno.test("broken twin: one that leaves for the dead, and wakes none, leaves another asleep", async () => {
  await fails("deadlock", {
    setup: setup(2),
    mortal: ["dying"],
    threads: {
      dying: arrive,
      living: arrive,
      repair: tampered(repair, () => ({ notify: () => 0 })),
    },
  });
});
