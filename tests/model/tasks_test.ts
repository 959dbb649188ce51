import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { explore, type ExploreOptions, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

declare const process: { nextTick(task: (...args: unknown[]) => void, ...args: unknown[]): void };
declare function setImmediate(task: (...args: unknown[]) => void, ...args: unknown[]): unknown;
declare function clearImmediate(immediate: unknown): void;

type Body = (w: Int32Array) => unknown;

/** What `look` sees at the end of each execution of a model, by one strategy. */
async function outcomesOf(
  threads: Record<string, Body>,
  look: (w: Int32Array, results: Record<string, unknown>) => unknown,
  options: Partial<ExploreOptions<Int32Array, Record<string, Body>>> = {},
): Promise<string[]> {
  const seen = new Set<string>();
  await explore({
    setup: words,
    threads,
    check: (w, results) => void seen.add(JSON.stringify(look(w, results))),
    ...options,
  });
  return [...seen].sort();
}

// --- tasks that nothing awaits ----------------------------------------------------------------

/** Ways to begin a task that adds 1 to a word. */
const tasks: [name: string, begin: Body][] = [
  ["an asynchronous function", (w) => void (async () => Atomics.add(w, 0, await 1))()],
  ["one that acts before it awaits", (w) => {
    void (async () => {
      Atomics.load(w, 1);
      await null;
      Atomics.add(w, 0, 1);
    })();
  }],
  ["one that awaits many times", (w) => {
    void (async () => {
      for (let i = 0; i < 20; i++) await null;
      Atomics.add(w, 0, 1);
    })();
  }],
  ["a reaction", (w) => void Promise.resolve(1).then((one) => Atomics.add(w, 0, one))],
  ["queueMicrotask", (w) => queueMicrotask(() => Atomics.add(w, 0, 1))],
  ["process.nextTick", (w) => process.nextTick((one) => Atomics.add(w, 0, one as number), 1)],
  ["setImmediate", (w) => void setImmediate((one) => Atomics.add(w, 0, one as number), 1)],
  ["waitAsync", (w) => {
    const { value } = Atomics.waitAsync(w, 1, 0, 10);
    void Promise.resolve(value).then(() => Atomics.add(w, 0, 1));
  }],
  ["a task of a task", (w) => {
    setImmediate(() => queueMicrotask(() => process.nextTick(() => Atomics.add(w, 0, 1))));
  }],
];

Deno.test("a thread goes on with its tasks after its body has returned", async () => {
  for (const [name, begin] of tasks) {
    const bodies: [string, Body][] = [
      ["plain", (w) => void begin(w)],
      ["plain, with an operation afterwards", (w) => {
        begin(w);
        Atomics.load(w, 1);
      }],
      ["asynchronous", async (w) => {
        begin(w);
        await null;
        Atomics.load(w, 1);
      }],
    ];
    for (const [kind, body] of bodies) {
      const threads = { a: body, b: body };
      assertEquals(await outcomesOf(threads, (w) => w[0]), ["2"], `${name}, ${kind}`);
    }
  }
});

Deno.test("a task that comes late in a search, or in a spawned thread, is found as well", async () => {
  const rarely: Body = (w) => {
    for (let i = 0; i < 3; i++) Atomics.add(w, 1, 1);
    // The last schedules of a search.
    if (Atomics.load(w, 2) === 3) void Promise.resolve().then(() => Atomics.add(w, 0, 1));
  };
  const other: Body = (w) => {
    for (let i = 0; i < 3; i++) Atomics.add(w, 2, 1);
  };
  for (const strategy of ["dpor", "all"] as const) {
    assertEquals(
      await outcomesOf({ rarely, other }, (w) => w[0], { strategy }),
      ["0", "1"],
      strategy,
    );
  }
  const parent: Body = (w) => {
    spawn(() => void Promise.resolve().then(() => Atomics.add(w, 0, 1))).join();
  };
  assertEquals(await outcomesOf({ parent }, (w) => w[0]), ["1"]);
});

Deno.test("setup runs once, whatever is found out about the threads", async () => {
  let setups = 0;
  await explore({
    setup() {
      setups++;
      return words();
    },
    threads: { a: (w) => void Promise.resolve().then(() => Atomics.add(w, 0, 1)) },
    check: (w) => assertEquals(w[0], 1),
  });
  assertEquals(setups, 1);
});

Deno.test("tasks run in the order of the platform", async () => {
  const run = (note: (name: string) => void) => {
    setImmediate(() => {
      note("immediate 1");
      process.nextTick(() => note("tick of immediate 1"));
      void Promise.resolve().then(() => note("reaction of immediate 1"));
    });
    const cancelled = setImmediate(() => note("cancelled"));
    setImmediate(() => note("immediate 2"));
    void Promise.resolve().then(() => {
      note("reaction");
      process.nextTick(() => note("tick of reaction"));
      queueMicrotask(() => note("microtask of reaction"));
    });
    process.nextTick(() => {
      note("tick");
      void Promise.resolve().then(() => note("reaction of tick"));
      process.nextTick(() => note("tick of tick"));
    });
    queueMicrotask(() => note("microtask"));
    clearImmediate(cancelled);
  };
  const native: string[] = [];
  await new Promise<void>((resolve) =>
    setImmediate(() => {
      run((name) => native.push(name));
      setTimeout(resolve, 10);
    })
  );
  const orders = await outcomesOf({
    a: (w) => {
      const order: string[] = [];
      run((name) => {
        order.push(name);
        Atomics.add(w, 0, 1);
      });
      return order;
    },
  }, (w, { a }) => [w[0], a]);
  assertEquals(orders, [JSON.stringify([native.length, native])]);
});

Deno.test("ticks run also if their thread is suspended as, or before, it queues them", async () => {
  let runs = 0;
  let ran = 0;
  const tick = () => process.nextTick(() => void ran++);
  await explore({
    setup: words,
    threads: {
      async a(w) {
        runs++;
        await Promise.resolve().then(tick);
        tick();
        try {
          Atomics.add(w, 0, 1);
        } finally {
          tick();
        }
      },
    },
  });
  await new Promise((resolve) => setTimeout(resolve, 1));
  // Of a stream that is written to, say, none may be lost.
  assert(runs >= 2);
  assertEquals(ran, 3 * runs);
});

Deno.test("a timed waitAsync of a thread that has ended times out", async () => {
  const threads: Record<string, Body> = {
    a(w) {
      Atomics.waitAsync(w, 0, 0, 10);
      Atomics.store(w, 1, 1);
    },
    b: (w) => Atomics.load(w, 1) === 1 ? Atomics.notify(w, 0) : -1,
  };
  for (const strategy of ["dpor", "all"] as const) {
    assertEquals(await outcomesOf(threads, (_, { b }) => b, { strategy }), ["-1", "0", "1"]);
  }
});

Deno.test("a waitAsync that is left behind is no deadlock, a task that blocks is one", async () => {
  assertEquals(await outcomesOf({ a: (w) => void Atomics.waitAsync(w, 0, 0) }, () => 0), ["0"]);
  const { message } = await fails("deadlock", {
    setup: words,
    threads: { a: (w) => queueMicrotask(() => Atomics.wait(w, 0, 0)) },
  });
  assertStringIncludes(message, "a sleeps on state[0]");
});

Deno.test("join waits for the body of a thread, not for the tasks that it left", async () => {
  const threads: Record<string, Body> = {
    parent(w) {
      const child = spawn(async () => {
        await null;
        Promise.resolve(Atomics.waitAsync(w, 1, 0, 5).value).then(() => Atomics.add(w, 0, 1));
        return Atomics.load(w, 2);
      });
      return [child.join(), Atomics.load(w, 0), Atomics.notify(w, 1)];
    },
  };
  const all = await outcomesOf(threads, (w, { parent }) => [w[0], parent], { strategy: "all" });
  assertEquals(all, ["[1,[0,0,0]]", "[1,[0,0,1]]", "[1,[0,1,0]]"]);
  assertEquals(await outcomesOf(threads, (w, { parent }) => [w[0], parent]), all);
});

Deno.test("what a task does after its thread was joined can race with the parent", async () => {
  await fails("data race", {
    setup: words,
    threads: {
      parent(w) {
        spawn(() => {
          Promise.resolve(Atomics.waitAsync(w, 1, 0, 5).value).then(() => w[0] = 1);
        }).join();
        return w[0];
      },
    },
  });
});

// --- what tasks throw -------------------------------------------------------------------------

Deno.test("what a task throws, or a promise that nothing handles, fails with its schedule", async () => {
  const lost = (when: number) => {
    if (when === 1) throw new Error("lost");
  };
  const ways: [name: string, begin: (when: () => number) => void][] = [
    ["an asynchronous function", (when) => void (async () => lost(await when()))()],
    ["a reaction", (when) => void Promise.resolve().then(() => lost(when()))],
    ["a rejection", (when) => {
      if (when() === 1) void Promise.reject(new Error("lost"));
    }],
    ["queueMicrotask", (when) => queueMicrotask(() => lost(when()))],
    ["process.nextTick", (when) => process.nextTick(() => lost(when()))],
    ["setImmediate", (when) => void setImmediate(() => lost(when()))],
  ];
  for (const [name, begin] of ways) {
    for (const isAsync of [false, true]) {
      const when = (w: Int32Array) => () => Atomics.load(w, 0);
      const a: Body = isAsync ? async (w) => begin(await when(w)) : (w) => begin(when(w));
      const { message, steps } = await fails("exception", {
        setup: words,
        threads: { a, b: (w) => void Atomics.store(w, 0, 1) },
      });
      assertStringIncludes(message, "Thread a threw Error: lost", name);
      assertEquals(steps.map((step) => step.thread).slice(0, 2), ["b", "a"], name);
    }
  }
});

Deno.test("a promise that is handled later, or rejected only as its thread is suspended, is none", async () => {
  const report = await explore({
    setup: words,
    threads: {
      async a(w) {
        const failing = (async () => {
          Atomics.load(w, 0);
          await null;
          throw new Error("handled");
        })();
        for (let i = 0; i < 3; i++) await null;
        await failing.catch(() => Atomics.add(w, 1, 1));
      },
      b(w) {
        void (async () => {
          try {
            Atomics.add(w, 0, 1);
            await null;
            Atomics.add(w, 0, 1);
          } catch (cause) {
            throw new Error("the task cannot go on", { cause });
          }
        })();
      },
    },
    check: (w) => assertEquals([w[0], w[1]], [2, 1]),
  });
  assert(report.complete);
});

Deno.test("suspended tasks never reach the process, neither during a search nor after it", async () => {
  const reasons: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    if (!event.defaultPrevented) reasons.push(event.reason);
    event.preventDefault();
  };
  addEventListener("unhandledrejection", listener);
  try {
    for (const [, begin] of tasks) {
      await explore({
        setup: words,
        threads: { a: begin, b: async (w) => await begin(w), c: (w) => Atomics.add(w, 1, 1) },
      });
    }
    await fails("assertion", {
      setup: words,
      threads: { a: tasks[1]![1], b: tasks[1]![1] },
      check: (w) => assertEquals(w[0], 3),
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    removeEventListener("unhandledrejection", listener);
  }
  assertEquals(reasons, []);
});

Deno.test("a promise of another thread is a misuse", async () => {
  let promise: Promise<number>;
  const { message } = await fails("misuse", {
    setup: words,
    threads: {
      a: (w) => {
        promise = (async () => await Atomics.add(w, 0, 1))();
        Atomics.load(w, 1);
      },
      async b() {
        await promise;
      },
    },
  });
  assertStringIncludes(message, "Thread b awaits a promise that another thread made");
});
