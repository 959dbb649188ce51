/** Threads that may die at any operation. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { awaitDeath, explore, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** Three steps, each of which adds its bit. */
const steps = (w: Int32Array) => {
  for (const bit of [1, 2, 4]) Atomics.or(w, 0, bit);
};

const lock = (word: Int32Array, id: number) => {
  for (let seen; (seen = Atomics.compareExchange(word, 0, 0, id)) !== 0;) {
    Atomics.wait(word, 0, seen);
  }
};
const unlock = (word: Int32Array) => {
  Atomics.store(word, 0, 0);
  Atomics.notify(word, 0);
};
const locks = (id: number) => (word: Int32Array) => {
  lock(word, id);
  unlock(word);
};

for (const strategy of ["dpor", "all"] as const) {
  Deno.test(`a mortal thread dies before each of its operations, or after all: ${strategy}`, async () => {
    const seen = new Set<number>();
    const report = await explore({
      setup: words,
      strategy,
      mortal: ["worker"],
      threads: { worker: steps, other: (w) => Atomics.load(w, 1) },
      check: (w) => void seen.add(Atomics.load(w, 0)),
    });
    assert(report.complete);
    assertEquals([...seen].sort(), [0, 1, 3, 7]);
  });

  Deno.test(`of two mortal threads each dies anywhere: ${strategy}`, async () => {
    const seen = new Set<string>();
    await explore({
      setup: words,
      strategy,
      mortal: ["a", "b"],
      threads: {
        a: (w) => void [Atomics.add(w, 0, 1), Atomics.add(w, 0, 1)],
        b: (w) => void Atomics.add(w, 1, 1),
      },
      check: (w) => void seen.add(`${Atomics.load(w, 0)}${Atomics.load(w, 1)}`),
    });
    assertEquals([...seen].sort(), ["00", "01", "10", "11", "20", "21"]);
  });
}

Deno.test("a dead thread runs no finally, and has no result", async () => {
  const results = new Set<unknown>();
  await explore({
    setup: words,
    mortal: ["worker"],
    threads: {
      worker(w) {
        try {
          Atomics.add(w, 0, 1);
          return "done";
        } finally {
          Atomics.add(w, 1, 1);
        }
      },
    },
    check(w, all) {
      assertEquals(Object.keys(all), ["worker"]);
      results.add(all.worker);
      assert(Atomics.load(w, 1) === 0 || Atomics.load(w, 0) === 1);
      assertEquals(all.worker === "done", Atomics.load(w, 1) === 1);
    },
  });
  assertEquals(results, new Set([undefined, "done"]));
});

/** Two threads and a lock, which another one frees for the first once that is dead. */
const repaired = (notifies: boolean) => ({
  setup: words,
  mortal: ["worker"] as ["worker"],
  threads: {
    worker: locks(1),
    other: locks(2),
    repair(word: Int32Array) {
      awaitDeath("worker");
      Atomics.compareExchange(word, 0, 1, 0);
      if (notifies) Atomics.notify(word, 0);
    },
  },
  check: (w: Int32Array) => assertEquals(Atomics.load(w, 0), 0),
});

Deno.test("a lock is freed for a thread that died inside, wherever it died", async () => {
  const report = await explore(repaired(true));
  assert(report.complete);
});

Deno.test("broken twin: a repair that does not notify leaves the other asleep", async () => {
  const error = await fails("deadlock", repaired(false));
  assertStringIncludes(error.message, "other sleeps on state[0]");
  assertStringIncludes(error.message, "worker dies, before its end");
  const again = await fails("deadlock", { ...repaired(false), replay: error.replay });
  assertEquals(again.replay, error.replay);
});

Deno.test("a lock that nobody frees for the dead is a deadlock", async () => {
  const error = await fails("deadlock", {
    setup: words,
    mortal: ["worker"],
    threads: { worker: locks(1), other: locks(2) },
  });
  assertStringIncludes(error.message, "worker dies, before its end");
});

Deno.test("a deadlock of the living is found, though one of them could die", async () => {
  const sleep = (index: number) => (w: Int32Array) => void Atomics.wait(w, index, 0);
  const error = await fails("deadlock", {
    setup: words,
    mortal: ["a"],
    threads: { a: sleep(0), b: sleep(1) },
  });
  assert(!error.message.includes("dies"), error.message);
});

Deno.test("what the dead thread wrote is visible to one that is told, and to no other", async () => {
  const write = (w: Int32Array) => {
    w[2] = 1;
    Atomics.add(w, 0, 1);
    w[3] = 1;
  };
  await explore({
    setup: words,
    mortal: ["writer"],
    threads: {
      writer: write,
      told(w) {
        awaitDeath("writer");
        return w[2]! + w[3]!;
      },
    },
  });
  await fails("data race", {
    setup: words,
    mortal: ["writer"],
    threads: { writer: write, untold: (w) => Atomics.load(w, 0) + w[3]! },
  });
});

Deno.test("a thread that dies asleep may take a wake-up with it", async () => {
  const sleeper = (w: Int32Array) => void Atomics.wait(w, 0, 0);
  const error = await fails("deadlock", {
    setup: words,
    mortal: ["first"],
    threads: {
      first: sleeper,
      second: sleeper,
      waker(w) {
        Atomics.notify(w, 0, 1);
        Atomics.notify(w, 0, 1);
        Atomics.store(w, 0, 1);
      },
    },
    check() {},
  });
  assertStringIncludes(error.message, "second sleeps");
});

Deno.test("asynchronous threads, and threads that a mortal one has spawned, die and live", async () => {
  const seen = new Set<number>();
  await explore({
    setup: words,
    mortal: ["worker"],
    threads: {
      async worker(w) {
        Atomics.add(w, 0, 1);
        await Atomics.waitAsync(w, 1, 0).value;
        Atomics.add(w, 0, 1);
      },
      waker(w) {
        Atomics.store(w, 1, 1);
        Atomics.notify(w, 1);
      },
    },
    check: (w) => void seen.add(Atomics.load(w, 0)),
  });
  assertEquals([...seen].sort(), [0, 1, 2]);
  const sums = new Set<number>();
  await explore({
    setup: words,
    mortal: ["parent"],
    threads: {
      parent(w) {
        spawn(() => Atomics.add(w, 0, 1));
        Atomics.add(w, 0, 2);
      },
    },
    check: (w) => void sums.add(Atomics.load(w, 0)),
  });
  assertEquals([...sums].sort(), [0, 1, 3]);
});

Deno.test("random schedules contain deaths, too", async () => {
  for (const strategy of ["pct", "random"] as const) {
    const seen = new Set<number>();
    await explore({
      setup: words,
      strategy,
      executions: 200,
      allowIncomplete: true,
      mortal: ["worker"],
      threads: { worker: steps, other: (w) => Atomics.load(w, 1) },
      check: (w) => void seen.add(Atomics.load(w, 0)),
    });
    assert(seen.size > 1);
  }
});

Deno.test("a mortal name is that of a thread, once, and known to one that waits for it", async () => {
  const threads = { a: steps };
  for (
    const [mortal, expected] of [
      [["b"], 'expected mortal to name threads (a), received "b"'],
      [["a", "a"], 'expected mortal to name each thread once, received "a"'],
      ["a", "expected mortal to be an array of names of threads"],
    ] as [string[], string][]
  ) {
    const error = await assertRejects(
      () => explore({ setup: words, mortal: mortal as "a"[], threads }),
      TypeError,
    );
    assertStringIncludes(error.message, expected);
  }
  const error = await fails("exception", {
    setup: words,
    mortal: ["a"],
    threads: { a: steps, b: () => awaitDeath("c") },
  });
  assertStringIncludes(error.message, "Cannot wait for the death of c: the mortal threads are a");
});
