import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, IncompleteError, type Report } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const [LOCK, CONDITION, COUNT] = [0, 1, 2];

function lock(w: Int32Array): void {
  while (Atomics.compareExchange(w, LOCK, 0, 1) !== 0) Atomics.wait(w, LOCK, 1);
}

function unlock(w: Int32Array): void {
  Atomics.store(w, LOCK, 0);
  Atomics.notify(w, LOCK, 1);
}

/** Waits until a condition holds, under the lock. */
function waitUntil(w: Int32Array, holds: () => boolean): void {
  while (!holds()) {
    const seen = Atomics.load(w, CONDITION);
    unlock(w);
    Atomics.wait(w, CONDITION, seen);
    lock(w);
  }
}

/** Changes the number of items of a queue that holds one, once that is possible. */
const change = (from: number, to: number) => (w: Int32Array) => {
  lock(w);
  waitUntil(w, () => w[COUNT] === from);
  w[COUNT] = to;
  Atomics.add(w, CONDITION, 1);
  Atomics.notify(w, CONDITION, 1); // one: it may be a thread of the same side
  unlock(w);
};

/** Of many schedules, all of which pass. */
const adders = {
  setup: words,
  threads: Object.fromEntries([..."abc"].map((name) => [name, (w: Int32Array) => {
    for (let i = 0; i < 4; i++) Atomics.add(w, 0, 1);
  }])),
};

const visited = ({ executions, transitions, probes }: Report) => ({
  executions: executions + (probes?.executions ?? 0),
  transitions: transitions + (probes?.transitions ?? 0),
});

Deno.test("a bug that few switches suffice for is found soon in a model of many schedules", async () => {
  const { message, replay, report } = await fails("deadlock", {
    setup: words,
    threads: {
      first: change(0, 1),
      second: change(0, 1),
      third: change(1, 0),
      fourth: change(1, 0),
    },
  });
  assert(visited(report).transitions < 45_000, `${visited(report).transitions} transitions`);
  assertStringIncludes(message, `after ${visited(report).executions} executions without failure`);
  assert(replay.length < 40, replay);
});

Deno.test("a long search visits what DPOR alone visits, whatever other strategies try between", async () => {
  const run = async (strategy: "dpor" | undefined) => {
    const outcomes = new Set<string>();
    let setups = 0;
    const report = await explore({
      ...adders,
      setup: () => (setups++, words()),
      threads: {
        a: adders.threads.a!,
        b: adders.threads.b!,
        d(w) {
          Atomics.store(w, 1, Atomics.load(w, 0));
          if (Atomics.wait(w, 0, 4, 10) === "ok") throw new Error("nobody notifies");
          return Atomics.load(w, 0);
        },
      },
      check: (w, { d }) => void outcomes.add(`${w[1]} ${d}`),
      ...(strategy === undefined ? {} : { strategy }),
    });
    const { executions, pruned, longest, complete, probes } = report;
    return { counts: { executions, pruned, longest, complete, outcomes, setups }, probes };
  };
  const alone = await run("dpor");
  const usual = await run(undefined);
  assertEquals(usual.counts, alone.counts);
  assertEquals(alone.probes, undefined);
  assert(usual.probes!.transitions >= 10_000);
});

Deno.test("a small model is visited by DPOR alone", async () => {
  const { probes, complete } = await explore({
    ...adders,
    threads: { a: adders.threads.a!, b: adders.threads.b! },
  });
  assertEquals([probes, complete], [undefined, true]);
});

Deno.test("limits hold over all runs together", async () => {
  const byTransitions = await explore({
    ...adders,
    maxTransitions: 12_000,
    allowIncomplete: true,
  });
  assert(byTransitions.probes!.transitions > 0);
  assert(visited(byTransitions).transitions < 12_100);
  const { executions } = visited(byTransitions);
  const byExecutions = await explore({
    ...adders,
    maxExecutions: executions,
    allowIncomplete: true,
  });
  assertEquals(visited(byExecutions).executions, executions);
});

Deno.test("an incomplete search says what to try, as the limit and the strategy are", async () => {
  const incomplete = async (options: Partial<Parameters<typeof explore>[0]>) =>
    (await assertRejects(() => explore({ ...adders, ...options } as never), IncompleteError))
      .message;
  const usual = await incomplete({ maxExecutions: 100 });
  for (const attempt of ["preemptions: 2", '"pct"', "smaller model", "higher `maxExecutions`"]) {
    assertStringIncludes(usual, attempt);
  }
  assertStringIncludes(await incomplete({ maxTransitions: 100 }), "higher `maxTransitions`");
  const chosen = await incomplete({ maxExecutions: 100, strategy: "all" });
  assert(!chosen.includes("pct"), chosen);
  const bounded = await incomplete({ preemptions: 0 });
  assertStringIncludes(bounded, "more `preemptions`");
  assert(!bounded.includes("higher"), bounded);
});
