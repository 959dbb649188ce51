import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { explore, IncompleteError, label, shareBuffer, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const increment = (w: Int32Array) => {
  Atomics.store(w, 0, Atomics.load(w, 0) + 1);
};
const isTwo = (w: Int32Array) => assertEquals(Atomics.load(w, 0), 2);
const lostUpdate = { setup: words, threads: { a: increment, b: increment }, check: isTwo };

// --- reports ----------------------------------------------------------------------------------

Deno.test("a failure shows each thread's steps, the values seen, the switches and the lines", async () => {
  const setup = () => {
    const w = words();
    label(w.buffer, 0, 4, "counter");
    return w;
  };
  const { message, steps } = await fails("assertion", { ...lostUpdate, setup });
  assertStringIncludes(message, "load counter → 0");
  assertStringIncludes(message, "store counter ← 1");
  assertStringIncludes(message, "explore_test.ts:");
  assertEquals(steps.map((s) => [s.thread, s.isSwitch]), [
    ["a", false],
    ["b", true],
    ["b", false],
    ["a", true],
  ]);
});

Deno.test("a failure replays from its string", async () => {
  const { replay } = await fails("assertion", lostUpdate);
  assertEquals(replay, "a1b2a1");
  const again = await fails("assertion", { ...lostUpdate, replay });
  assertEquals(again.replay, replay);
  assertEquals(again.report.executions, 0);
  await assertRejects(
    () => explore({ ...lostUpdate, replay: "a2b2" }),
    IncompleteError,
    "ran to its end (4 of 4 steps) without a failure",
  );
});

Deno.test("a replay that is not a schedule, or not of this model, fails", async () => {
  await assertRejects(
    () => explore({ ...lostUpdate, replay: "a1 b1" }),
    TypeError,
    'such as "a3b1" or "(a1b1)20", received "a1 b1"',
  );
  const { message } = await fails("misuse", { ...lostUpdate, replay: "a1c1" });
  assertStringIncludes(message, "as step 2");
});

Deno.test("a failure is shown with few preemptions", async () => {
  const noise = (w: Int32Array) => {
    for (let i = 0; i < 3; i++) Atomics.add(w, 1, 1);
    increment(w);
  };
  const { steps } = await fails("assertion", { ...lostUpdate, threads: { a: noise, b: noise } });
  assertEquals(steps.filter((step) => step.isSwitch).length, 2);
});

Deno.test("a failure is simplified within a number of transitions, not within a time", async () => {
  // The count becomes 10 only if the threads alternate, which few preemptions do not reach.
  const alternate = (me: number) => (w: Int32Array) => {
    for (let i = me; i < 10; i += 2) Atomics.compareExchange(w, 0, i, i + 1);
  };
  const noise = (w: Int32Array) => {
    for (let i = 0; i < 5; i++) Atomics.load(w, 1);
  };
  const run = async () => {
    let checks = 0;
    const { replay } = await fails("assertion", {
      setup: words,
      threads: { a: alternate(0), b: alternate(1), noise },
      check(w) {
        checks++;
        assert(w[0] !== 10, "ten");
      },
    });
    return { replay, checks };
  };
  const first = await run();
  assert(first.checks > 1000, `${first.checks} executions`);
  assertEquals(await run(), first);
});

Deno.test("a failure as a page has every step and an arrow for each edge", async () => {
  const error = await fails("assertion", {
    setup: words,
    threads: {
      a: (w) => Atomics.store(w, 0, 1),
      b: (w) => assert(Atomics.load(w, 0) !== 1, "a < b & c"),
    },
    check: () => {},
  }).catch(() => undefined);
  assertEquals(error, undefined, "an exception is its own kind");
  const thrown = await fails("exception", {
    setup: words,
    threads: {
      a: (w) => Atomics.store(w, 0, 1),
      b: (w) => assert(Atomics.load(w, 0) !== 1, "a < b & c"),
    },
  });
  const html = thrown.toHtml();
  assertEquals(html.match(/<circle/g)?.length, 2);
  assertEquals(html.match(/class="edge"/g)?.length, 1);
  assertStringIncludes(html, "a &#60; b &#38; c");
  assert(!/src=|href=/.test(html), "nothing is loaded");
});

Deno.test("a page that cannot be written does not hide the failure", async () => {
  const { message } = await fails("assertion", { ...lostUpdate, html: "/no/such/place.html" });
  assertStringIncludes(message, "The page /no/such/place.html could not be written");
});

Deno.test("the source lines of operations that were reached are reported when asked for", async () => {
  const report = await explore({ ...lostUpdate, check: () => {}, coverage: true });
  assertEquals(report.coverage?.length, 2);
  for (const line of report.coverage!) assertMatch(line, /explore_test\.ts:\d+/);
  assertEquals((await explore({ ...lostUpdate, check: () => {} })).coverage, undefined);
});

// --- bounds -----------------------------------------------------------------------------------

Deno.test("a search that a limit stops fails, unless that is allowed", async () => {
  const model = { ...lostUpdate, check: () => {} };
  for (
    const [limit, reason] of [
      [{ maxExecutions: 2 }, "stopped after 2 executions"],
      [{ maxTransitions: 5 }, "stopped after 5 transitions"],
      [{ preemptions: 0 }, "more than 0 preemptions"],
    ] as const
  ) {
    const error = await assertRejects(() => explore({ ...model, ...limit }), IncompleteError);
    assertStringIncludes(error.message, reason);
    const report = await explore({ ...model, ...limit, allowIncomplete: true });
    assertEquals(report.complete, false);
    assertStringIncludes(report.reason!, reason);
  }
});

Deno.test("a time limit stops a search", async () => {
  const busy = (w: Int32Array) => {
    for (let i = 0; i < 12; i++) Atomics.add(w, 0, 1);
  };
  const model = { setup: words, threads: { a: busy, b: busy, c: busy }, strategy: "all" } as const;
  await assertRejects(() => explore({ ...model, timeLimitMs: 20 }), IncompleteError, "20 ms");
});

Deno.test("a search whose preemption bound excludes nothing is complete", async () => {
  const report = await explore({ ...lostUpdate, check: () => {}, preemptions: 10 });
  assertEquals([report.executions, report.complete], [6, true]);
});

Deno.test("an execution beyond maxSteps is a livelock", async () => {
  const flip = (w: Int32Array) => {
    while (Atomics.xor(w, 0, 1) !== 5) Atomics.pause();
  };
  const { message } = await fails("livelock", {
    setup: words,
    threads: { a: flip, b: flip },
    maxSteps: 200,
  });
  assertStringIncludes(message, "200 steps");
});

Deno.test("random strategies find the bug, and the same seed tries the same schedules", async () => {
  for (const strategy of ["pct", "random"] as const) {
    await fails("assertion", { ...lostUpdate, strategy, executions: 100 });
    const outcomes = async (seed: number) => {
      const seen: number[] = [];
      const report = await explore({
        ...lostUpdate,
        strategy,
        seed,
        executions: 40,
        check: (w) => void seen.push(Atomics.load(w, 0)),
      });
      assertEquals([report.executions, report.complete], [40, false]);
      return seen.join();
    };
    assertEquals(await outcomes(7), await outcomes(7));
    assert(new Set([await outcomes(1), await outcomes(2), await outcomes(3)]).size > 1);
  }
});

Deno.test("invalid options throw a TypeError", async () => {
  await assertRejects(
    () => explore({ setup: words, threads: {} }),
    TypeError,
    "1 to 8 threads, received 0",
  );
  await assertRejects(
    () => explore({ setup: words, threads: { a: increment }, strategy: "bfs" as "all" }),
    TypeError,
    "received bfs",
  );
});

Deno.test("two explorations at once throw, and one after the other do not", async () => {
  const slow = explore({ ...lostUpdate, check: () => Promise.resolve() });
  await assertRejects(() => explore(lostUpdate), Error, "another exploration is running");
  await slow;
});

Deno.test("the platform's globals are restored after an exploration, also after a failure", async () => {
  const before = [Atomics, SharedArrayBuffer, Int32Array, Math.random, performance.now];
  await fails("assertion", lostUpdate);
  assertEquals([Atomics, SharedArrayBuffer, Int32Array, Math.random, performance.now], before);
});

// --- checks -----------------------------------------------------------------------------------

Deno.test("check gets the results of the threads, and may be asynchronous", async () => {
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads: { a: (w) => Atomics.add(w, 0, 1), b: (w) => Atomics.add(w, 0, 1) },
    async check(_, { a, b }) {
      await Promise.resolve();
      seen.add(`${a}${b}`);
    },
  });
  assertEquals([...seen].sort(), ["01", "10"]);
  await fails("assertion", {
    ...lostUpdate,
    async check(w) {
      await Promise.resolve();
      isTwo(w);
    },
  });
});

Deno.test("writes of check do not reach the next execution", async () => {
  await explore({
    setup: words,
    threads: { a: (w) => Atomics.add(w, 0, 1), b: (w) => Atomics.add(w, 0, 1) },
    check(w) {
      isTwo(w);
      w[0] = 9;
      Atomics.store(w, 1, 9);
      w.fill(9, 2);
    },
  });
});

Deno.test("an invariant sees every state that any schedule goes through", async () => {
  const twice = (w: Int32Array) => {
    Atomics.add(w, 0, 1);
    Atomics.add(w, 1, 1);
  };
  const statesOf = async (strategy: "all" | "dpor") => {
    const states = new Set<string>();
    const report = await explore({
      setup: words,
      threads: { a: twice, b: twice },
      strategy,
      invariant: (w) => void states.add(`${w[0]},${w[1]}`),
    });
    return { states: [...states].sort(), executions: report.executions };
  };
  const all = await statesOf("all");
  const dpor = await statesOf("dpor");
  assertEquals(dpor.states, all.states);
  await fails("assertion", {
    setup: words,
    threads: { a: twice, b: twice },
    invariant: (w) => assert(w[0]! - w[1]! < 2, "two ahead"),
  });
});

// --- waiting ----------------------------------------------------------------------------------

Deno.test("a lost wake-up is a deadlock that names the word and its last write", async () => {
  const { message } = await fails("deadlock", {
    setup: words,
    threads: {
      sleeper: (w) => Atomics.wait(w, 0, 0),
      waker: (w) => {
        Atomics.notify(w, 0);
        Atomics.store(w, 0, 1);
      },
    },
  });
  assertStringIncludes(message, "sleeper sleeps on state[0], last written by waker: store");
});

Deno.test("wait returns not-equal, ok and timed-out, each in some schedule", async () => {
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads: {
      sleeper: (w) => Atomics.wait(w, 0, 0, 10),
      waker: (w) => {
        Atomics.store(w, 0, 1);
        return Atomics.notify(w, 0);
      },
    },
    check: (_, { sleeper, waker }) => void seen.add(`${sleeper} ${waker}`),
  });
  assertEquals([...seen].sort(), ["not-equal 0", "ok 1", "timed-out 0"]);
});

Deno.test("a wait with a timeout of 0 returns at once", async () => {
  await explore({
    setup: words,
    threads: { a: (w) => Atomics.wait(w, 0, 0, 0) },
    check: (_, { a }) => assertEquals(a, "timed-out"),
  });
});

Deno.test("notify wakes sleepers in FIFO order", async () => {
  const sleeper = (w: Int32Array) => {
    const place = Atomics.add(w, 1, 1);
    const result = Atomics.wait(w, 0, 0, 100);
    return `${place}:${result}`;
  };
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads: {
      first: sleeper,
      second: sleeper,
      waker(w) {
        while (Atomics.load(w, 1) < 2) Atomics.pause();
        return Atomics.notify(w, 0, 1);
      },
    },
    check: (_, { first, second, waker }) => {
      const woken = [first, second].filter((result) => result.endsWith("ok")).length;
      assertEquals(woken, waker);
      seen.add(`${woken}`);
    },
  });
  assertEquals([...seen].sort(), ["0", "1"]);
});

Deno.test("a wait on a word of 64 bits is woken through its first 32", async () => {
  await explore({
    setup: words,
    threads: {
      sleeper: (w) => Atomics.wait(new BigInt64Array(w.buffer), 0, 0n, 5),
      waker: (w) => Atomics.notify(w, 0),
    },
    check: (_, { sleeper, waker }) => assertEquals(sleeper === "ok", waker === 1),
  });
});

Deno.test("a bounded spin ends once no other thread can run", async () => {
  await explore({
    setup: words,
    threads: {
      a(w) {
        for (let i = 0; i < 5; i++) {
          if (Atomics.load(w, 0) === 1) return "seen";
          Atomics.pause();
        }
        return "gave up";
      },
      b: (w) => Atomics.load(w, 1),
    },
    check: (_, { a }) => assertEquals(a, "gave up"),
  });
});

Deno.test("a write of the same value does not end a spin", async () => {
  const once = (w: Int32Array) => {
    while (Atomics.exchange(w, 0, 1) === 1) Atomics.pause();
    Atomics.store(w, 0, 0);
  };
  const report = await explore({ setup: words, threads: { a: once, b: once, c: once } });
  assertEquals(report.complete, true);
});

Deno.test("of a very long schedule the middle is omitted", async () => {
  const { message, steps } = await fails("exception", {
    setup: words,
    threads: {
      a(w) {
        for (let i = 0; i < 500; i++) Atomics.add(w, 0, 1);
        throw new Error("after all");
      },
    },
  });
  assertEquals(steps.length, 500);
  assertStringIncludes(message, "... 300 rows ...");
  assertStringIncludes(message, " 500 add");
});

Deno.test("an endless spin is a livelock that names the word", async () => {
  const { message, steps } = await fails("livelock", {
    setup: words,
    threads: {
      a(w) {
        while (Atomics.load(w, 2) === 0) Atomics.pause();
      },
    },
  });
  assertStringIncludes(message, "a spins on state[2], which no thread has written");
  assert(steps.length < 4, "the rounds of spinning are not shown");
});

// --- asynchronous bodies ----------------------------------------------------------------------

Deno.test("waitAsync resolves to ok and timed-out, or answers at once", async () => {
  const seen = new Set<string>();
  const report = await explore({
    setup: words,
    threads: {
      async sleeper(w) {
        const { async, value } = Atomics.waitAsync(w, 0, 0, 10);
        return async ? `later ${await value}` : `at once ${value}`;
      },
      waker(w: Int32Array) {
        Atomics.store(w, 0, 1);
        Atomics.notify(w, 0);
      },
    },
    check: (_, { sleeper }) => void seen.add(sleeper),
  });
  assert(report.complete);
  assertEquals([...seen].sort(), ["at once not-equal", "later ok", "later timed-out"]);
});

Deno.test("several tasks of one asynchronous thread run as one thread", async () => {
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads: {
      async tasks(w) {
        const task = async (word: number) => {
          const { async, value } = Atomics.waitAsync(w, word, 0);
          return async ? await value : value;
        };
        return (await Promise.all([task(0), task(1)])).join();
      },
      waker(w: Int32Array) {
        for (const word of [0, 1]) {
          Atomics.store(w, word, 1);
          Atomics.notify(w, word);
        }
      },
    },
    check: (_, { tasks }) => void seen.add(tasks),
  });
  assertEquals([...seen].sort(), ["not-equal,not-equal", "not-equal,ok", "ok,not-equal", "ok,ok"]);
});

Deno.test("tasks resume in either order if different threads notify them", async () => {
  const orders = new Set<string>();
  await explore({
    setup: words,
    threads: {
      async tasks(w) {
        const order: number[] = [];
        const task = async (word: number) => {
          const { async, value } = Atomics.waitAsync(w, word, 0, 1000);
          if (async && await value === "ok") order.push(word);
        };
        await Promise.all([task(0), task(1)]);
        return order.join();
      },
      first: (w: Int32Array) => Atomics.notify(w, 0),
      second: (w: Int32Array) => Atomics.notify(w, 1),
    },
    check: (_, { tasks }) => void orders.add(tasks),
  });
  assertEquals([...orders].sort(), ["", "0", "0,1", "1", "1,0"]);
});

Deno.test("a lost wake-up of an asynchronous wait is a deadlock", async () => {
  const { message } = await fails("deadlock", {
    setup: words,
    threads: {
      async sleeper(w) {
        const { async, value } = Atomics.waitAsync(w, 0, 0);
        if (async) await value;
      },
      waker(w: Int32Array) {
        Atomics.notify(w, 0);
        Atomics.store(w, 0, 1);
      },
    },
  });
  assertStringIncludes(message, "sleeper sleeps on state[0]");
});

Deno.test("an asynchronous thread that catches everything is suspended anyway", async () => {
  const report = await explore({
    setup: words,
    threads: {
      async a(w) {
        try {
          Atomics.add(w, 0, 1);
          await Promise.resolve();
          Atomics.add(w, 0, 1);
        } catch {
          Atomics.add(w, 0, 100);
        } finally {
          Atomics.add(w, 1, 1);
        }
      },
      b: (w: Int32Array) => Atomics.add(w, 2, 1),
    },
    check: (w) => assertEquals([w[0], w[1], w[2]], [2, 1, 1]),
  });
  assert(report.complete);
});

Deno.test("awaiting a promise that no simulated thread resolves is a misuse", async () => {
  const { message } = await fails("misuse", {
    setup: words,
    threads: {
      async a(w) {
        Atomics.load(w, 0);
        await new Promise(() => {});
      },
    },
  });
  assertStringIncludes(message, "only Atomics.waitAsync");
});

// --- threads and memory -----------------------------------------------------------------------

Deno.test("code that catches everything, or acts in finally, is suspended anyway", async () => {
  await explore({
    setup: words,
    threads: {
      a(w) {
        try {
          Atomics.add(w, 0, 1);
          Atomics.add(w, 0, 1);
        } catch {
          Atomics.add(w, 0, 100);
        } finally {
          Atomics.add(w, 1, 1);
          w[3] = 1;
        }
      },
      b(w) {
        using _ = { [Symbol.dispose]: () => void Atomics.add(w, 2, 1) };
        Atomics.add(w, 2, 1);
      },
    },
    check: (w) => assertEquals([...w], [2, 1, 2, 1]),
  });
});

Deno.test("a thread can spawn others, give them memory that it created, and join them", async () => {
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads: {
      parent() {
        const own = new BigInt64Array(new SharedArrayBuffer(16));
        own[1] = 7n;
        const child = spawn(() => [Atomics.add(own, 0, 5n), own[1]].join());
        const before = Atomics.sub(own, 0, 1n);
        return `${before} ${child.join()} ${own[0]}`;
      },
    },
    check: (_, { parent }) => void seen.add(parent),
  });
  assertEquals([...seen].sort(), ["0 -1,7 4", "5 0,7 4"]);
});

Deno.test("eight threads are possible, a ninth fails", async () => {
  const body = (w: Int32Array) => Atomics.load(w, 0);
  const names = [..."abcdefgh"];
  const eight = Object.fromEntries(names.map((name) => [name, body]));
  assertEquals((await explore({ setup: words, threads: eight })).executions, 1);
  await assertRejects(
    () => explore({ setup: words, threads: { ...eight, i: body } }),
    TypeError,
    "received 9",
  );
  const { message } = await fails("misuse", {
    setup: words,
    threads: { ...eight, h: (w) => spawn(() => body(w)).join() },
  });
  assertStringIncludes(message, "at most 8 threads");
});

Deno.test("a buffer that is not shared can be made part of the model", async () => {
  await fails("assertion", {
    ...lostUpdate,
    setup: () => new Int32Array(shareBuffer(new ArrayBuffer(16), "mapped")),
  });
  await fails("data race", {
    setup: () => new Int32Array(shareBuffer(new ArrayBuffer(16))),
    threads: { a: (w) => w[0] = 1, b: (w) => w[0] },
  });
});

// --- misuse -----------------------------------------------------------------------------------

Deno.test("functions that differ from run to run fail by name", async () => {
  for (
    const [look, name] of [
      [() => Math.random(), "Math.random()"],
      [() => crypto.getRandomValues(new Uint8Array(1)), "crypto.getRandomValues()"],
      [() => crypto.randomUUID(), "crypto.randomUUID()"],
      [() => Date.now(), "Date.now()"],
      [() => performance.now(), "performance.now()"],
      [() => new Date(), "new Date()"],
      [() => setTimeout(() => {}, 0), "setTimeout()"],
    ] as const
  ) {
    const { message } = await fails("misuse", { setup: words, threads: { a: () => look() } });
    assertStringIncludes(message, name);
  }
});

Deno.test("the virtual clock advances by the timeouts that fire", async () => {
  await explore({
    setup: words,
    clock: "virtual",
    threads: {
      a(w) {
        const start = performance.now();
        Atomics.wait(w, 0, 0, 25);
        return performance.now() - start;
      },
    },
    check: (_, { a }) => assertEquals(a, 25),
  });
});

Deno.test("a body that does not replay to the same operations fails, naming both", async () => {
  let runs = 0;
  const { message } = await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.load(w, runs++ % 2);
        Atomics.load(w, 0);
        Atomics.load(w, 1);
      },
    },
  });
  assertStringIncludes(
    message,
    "step 1 was load of state[0] at first, and is now load of state[1]",
  );
});

Deno.test("each kind of difference in a replay is named", async () => {
  const observer = (globalThis as unknown as Record<symbol, {
    current: { beginSpeculation(): void; endSpeculation(isKept: boolean): void };
  }>)[Symbol.for("busbar.observer")]!;
  const differences: [name: string, (w: Int32Array, run: number) => void][] = [
    ["is now one of another size", (_, run) => new SharedArrayBuffer(4 * run)],
    ["is now another new view", (w, run) => new Int32Array(w.buffer, 4 * run)],
    ["is now read of 4 bytes at state[2]", (w, run) => w[run]],
    ["is now write of 4 bytes at state[2]", (w, run) => w[run] = 1],
    ["is now an end with another outcome", (_, run) => {
      observer.current.beginSpeculation();
      observer.current.endSpeculation(run === 1);
    }],
    ["is now clock", (w, run) => run === 1 ? w[0] : Date.now()],
    ["is now its end", (w, run) => run === 1 ? Atomics.load(w, 0) : undefined],
    ["is now pause", (w, run) => run === 1 ? Atomics.load(w, 0) : Atomics.pause()],
  ];
  for (const [name, differ] of differences) {
    let run = 0;
    const { message } = await fails("nondeterminism", {
      setup: words,
      clock: "virtual",
      threads: {
        a(w) {
          differ(w, ++run);
          if (name !== "is now its end") Atomics.load(w, 3);
        },
      },
    });
    assertStringIncludes(message, name);
  }
});

Deno.test("shared memory from outside the model fails", async () => {
  const outside = new Int32Array(new SharedArrayBuffer(4));
  const atomics = await fails("misuse", {
    setup: words,
    threads: { a: () => Atomics.load(outside, 0) },
  });
  assertStringIncludes(atomics.message, "Atomics.load on shared memory that is not part");
  await fails("misuse", { setup: words, threads: { a: () => new Uint8Array(outside.buffer)[0] } });
});

Deno.test("private memory is not tracked, atomic or not", async () => {
  await explore({
    setup: words,
    threads: {
      a(w) {
        const own = new Int32Array(2);
        Atomics.add(w, 0, 1);
        own[1] = Atomics.add(own, 0, 3) + 1;
        Atomics.add(w, 0, 1);
        return [...own];
      },
    },
    check: (_, { a }) => assertEquals(a, [3, 1]),
  });
});

Deno.test("reads of uninitialised bytes are reported when asked for", async () => {
  const model = {
    setup: words,
    threads: { a: (w: Int32Array) => Atomics.store(w, 0, 1), b: (w: Int32Array) => w[1] },
  };
  await explore(model);
  const { message } = await fails("uninitialised read", { ...model, reportUninitialised: true });
  assertStringIncludes(message, "plain read of 4 bytes at state[1]");
  await explore({ ...model, threads: { a: (w) => w[0] = 1 }, reportUninitialised: true });
});

const variable = "BUSBAR_REPLAY";
const maySetVariable = Deno.permissions.querySync({ name: "env", variable }).state === "granted";

Deno.test({
  name: `an environment variable can select a schedule${maySetVariable ? "" : " (needs -P)"}`,
  ignore: !maySetVariable,
  async fn() {
    Deno.env.set(variable, "a1b2a1");
    try {
      const { replay, report } = await fails("assertion", lostUpdate);
      assertEquals([replay, report.executions], ["a1b2a1", 0]);
    } finally {
      Deno.env.delete(variable);
    }
  },
});

Deno.test("the caller of an exploration runs on before the globals are replaced", async () => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const [report] = await Promise.all([
    explore({
      setup: () => new Int32Array(new SharedArrayBuffer(4)),
      threads: {
        async waiter(word) {
          if (Atomics.load(word, 0) === 0) await Atomics.waitAsync(word, 0, 0).value;
        },
        notifier(word) {
          Atomics.store(word, 0, 1);
          Atomics.notify(word, 0);
        },
      },
    }),
    timer = setTimeout(() => {}, 10_000), // a simulated thread must not
  ]);
  clearTimeout(timer);
  assertEquals(report.complete, true);
});
