/** A thread that does not do the same again: what it did at first, what it does now, and where. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { record, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** Whether a thread gets to the place that asks for the first time. */
const once = () => {
  let times = 0;
  return () => times++ === 0;
};

/** The failure of a thread whose later runs differ from its first one. */
const differing = (run: (w: Int32Array, isFirst: () => boolean) => unknown) => {
  const isFirst = once();
  return fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        run(w, isFirst);
        Atomics.load(w, 3);
      },
    },
  });
};

/** The same of an asynchronous thread. */
const differingAsync = (run: (w: Int32Array, isFirst: () => boolean) => Promise<unknown>) => {
  const isFirst = once();
  return fails("nondeterminism", {
    setup: words,
    threads: {
      async a(w) {
        await run(w, isFirst);
        Atomics.load(w, 3);
      },
    },
  });
};

Deno.test("operands and views that differ are named", async () => {
  const long = (w: Int32Array) => new BigInt64Array(w.buffer);
  const unsigned = (w: Int32Array) => new Uint32Array(w.buffer);
  const differences: [
    run: Parameters<typeof differing>[0],
    first: string,
    now: string,
  ][] = [
    [
      (w, isFirst) => Atomics.store(w, 0, isFirst() ? 1 : 2),
      "store of state[0] with 1",
      "store of state[0] with 2",
    ],
    [
      (w, isFirst) => Atomics.compareExchange(w, 0, 0, isFirst() ? 1 : 2),
      "compareExchange of state[0] with 0, 1",
      "compareExchange of state[0] with 0, 2",
    ],
    [
      (w, isFirst) => Atomics.add(long(w), 1, isFirst() ? 1n : -1n),
      "add of state[2] with 1n",
      "add of state[2] with -1n",
    ],
    [
      (w, isFirst) => Atomics.wait(w, 0, 1, isFirst() ? 5 : 6),
      "wait of state[0] with 1, 5",
      "wait of state[0] with 1, 6",
    ],
    [
      (w, isFirst) => Atomics.notify(w, 0, isFirst() ? 1 : 2),
      "notify of state[0] with 1",
      "notify of state[0] with 2",
    ],
    [
      (w, isFirst) => Atomics.load(w, isFirst() ? 0 : 1),
      "load of state[0]",
      "load of state[1]",
    ],
    [
      (w, isFirst) => {
        const views = [w, unsigned(w)];
        Atomics.load(views[isFirst() ? 0 : 1]!, 0);
      },
      "load of state[0]",
      "load of state[0], in elements of Uint32Array instead of Int32Array",
    ],
    [
      (w, isFirst) => isFirst() ? Atomics.load(w, 0) : Atomics.pause(),
      "load of state[0]",
      "pause",
    ],
    [
      (w, isFirst) => isFirst() ? w[1] = 1 : w[1],
      "plain write of 4 bytes at state[1]",
      "read of 4 bytes at state[1]",
    ],
    [
      (w, isFirst) => record(isFirst() ? "push" : "pop", [], () => Atomics.load(w, 0)),
      "call of push",
      "call of pop",
    ],
    [
      (_, isFirst) => spawn(() => {}, isFirst() ? "reader" : "writer"),
      "spawn of reader",
      "spawn of writer",
    ],
    [
      (_, isFirst) => {
        const tasks = [spawn(() => {}, "one"), spawn(() => {}, "two")];
        tasks[isFirst() ? 0 : 1]!.join();
      },
      "join of one",
      "join of two",
    ],
    [
      (_, isFirst) => new SharedArrayBuffer(isFirst() ? 4 : 8),
      "new buffer",
      "8 bytes instead of 4",
    ],
    [(w, isFirst) => new Int32Array(w.buffer, isFirst() ? 4 : 8), "new view", "view with 8"],
  ];
  for (const [run, first, now] of differences) {
    const { message, failure } = await differing(run);
    assertStringIncludes(message, `was ${first} at first, and is now `);
    assertStringIncludes(message.split("at first, and is now ")[1]!, now);
    const [before, after] = failure.accesses!;
    assertEquals(before!.access, `at first ${first}`);
    assertStringIncludes(after!.access, now);
    assertMatch(after!.lines[0]!, /nondeterminism_test\.ts:\d+/);
  }
});

Deno.test("both runs are shown, each with its line", async () => {
  let isAdded = false;
  const { message, failure, steps } = await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.load(w, 0);
        if (!isAdded) {
          Atomics.add(w, 1, 10);
        } else {
          Atomics.sub(w, 1, 20);
        }
        Atomics.load(w, 2);
      },
    },
    invariant: (w) => void (isAdded = w[1] === 10),
  });
  assertStringIncludes(
    message,
    "its step 2 was add of state[1] with 10 at first, and is now sub of",
  );
  const [first, now] = failure.accesses!;
  assertEquals([first!.step, now!.step], [2, 2]);
  const lineOf = (lines: readonly string[]) => Number(lines[0]!.match(/:(\d+):\d+/)![1]);
  assertEquals(lineOf(now!.lines) - lineOf(first!.lines), 2);
  assertMatch(message, /a, in step 2: at first add of state\[1\] with 10\n +at .*test\.ts:\d+/);
  assertMatch(message, /a, in step 2: now sub of state\[1\] with 20\n +at .*test\.ts:\d+/);
  // The table has the first run.
  assertEquals(steps.map(({ operation }) => operation).slice(0, 2), [
    "load state[0] → 0",
    "add state[1] 10: saw 0",
  ]);
  assertEquals(lineOf(steps[1]!.lines), lineOf(first!.lines));
});

Deno.test("a line of the present run is not shown for a plain access of the first one", async () => {
  const { failure, steps } = await differing((w, isFirst) => {
    Atomics.load(w, 0);
    return isFirst() ? w[0] : w[1];
  });
  assertEquals(failure.accesses!.map(({ lines }) => lines.length > 0), [false, true]);
  assertEquals(steps[0]!.accesses.map(({ lines }) => lines), [[]]);
});

Deno.test("a replay that ends or throws before what it did at first is nondeterminism", async () => {
  const ended = await differing((w, isFirst) => {
    if (!isFirst()) throw new Error("not again");
    Atomics.load(w, 0);
  });
  assertStringIncludes(ended.message, "load of state[0] at first, and is now an error: Error: not");
  let runs = 0;
  const { message } = await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        if (++runs === 1) Atomics.load(w, 0);
      },
    },
  });
  assertStringIncludes(message, "load of state[0] at first, and is now its end");
});

Deno.test("an asynchronous thread that awaits something else is told so", async () => {
  const awaited = await differingAsync(async (w, isFirst) => {
    if (isFirst()) Atomics.load(w, 0);
    else await new Promise(() => {});
  });
  assertStringIncludes(awaited.message, "load of state[0] at first, and is now an await");
  const resumed = await differingAsync(async (w, isFirst) => {
    const wait = Atomics.waitAsync(w, 0, 0, 10);
    if (isFirst()) await wait.value;
    Atomics.load(w, 1);
  });
  assertStringIncludes(resumed.message, "resume at first, and is now load of state[1]");
});
