/** The replay of a schedule ends in its failure, or says what became of it; it is never silent. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type ExplorationError,
  explore,
  type ExploreOptions,
  IncompleteError,
  spawn,
  type Threads,
} from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const increment = (w: Int32Array) => {
  Atomics.store(w, 0, Atomics.load(w, 0) + 1);
};
const isTwo = (w: Int32Array) => assertEquals(w[0], 2);
const lostUpdate = { setup: words, threads: { a: increment, b: increment }, check: isTwo };
const mended = { ...lostUpdate, threads: { a: increment, b: () => {} }, check: () => {} };

/** What a replay says that does not fail. */
async function passed<S, T extends Threads<S>>(
  options: ExploreOptions<S, T>,
): Promise<IncompleteError> {
  return await assertRejects(() => explore(options), IncompleteError);
}

/** Runs code while BUSBAR_REPLAY has a value. */
async function withVariable<T>(value: string, run: () => Promise<T>): Promise<T> {
  Deno.env.set("BUSBAR_REPLAY", value);
  try {
    return await run();
  } finally {
    Deno.env.delete("BUSBAR_REPLAY");
  }
}

// --- how a replay ends ------------------------------------------------------------------------

Deno.test("a replay that does not fail says whether the schedule ran to its end", async () => {
  for (
    const [replay, reason] of [
      ["a2b2", "the schedule ran to its end (4 of 4 steps) without a failure"],
      ["a2", "the schedule ran to its end (2 of 4 steps), and the threads ran on to theirs"],
      ["a0", "the schedule ran to its end (0 of 4 steps), and the threads ran on to theirs"],
      ["a2b2a9", "the run ended after 4 of the 13 steps of the schedule, without a failure"],
    ] as const
  ) {
    const { message, report } = await passed({ ...lostUpdate, replay });
    assertStringIncludes(message, reason);
    assertEquals([report.complete, report.executions], [false, 1]);
    assertStringIncludes(report.reason!, reason);
  }
});

Deno.test("a replay of a mended program is not green", async () => {
  const { replay } = await fails("assertion", lostUpdate);
  const { message } = await fails("misuse", { ...mended, replay });
  assertStringIncludes(message, "as step 2 it runs thread b (b), which cannot run there");
  assertStringIncludes(message, "Threads that can: a");
  const { message: other } = await fails("misuse", { ...mended, replay: "a1d1" });
  assertStringIncludes(other, "thread d, which does not exist there");
});

Deno.test("a replay that fails after another number of steps says so", async () => {
  const { message } = await fails("assertion", { ...lostUpdate, replay: "a1b2a7" });
  assertStringIncludes(message, "The schedule to replay has 10 steps, this failure 4.");
  const { message: short } = await fails("assertion", { ...lostUpdate, replay: "a1b1" });
  assertStringIncludes(short, "The schedule to replay has 2 steps, this failure 4.");
  const { message: whole } = await fails("assertion", { ...lostUpdate, replay: "a1b2a1" });
  assert(!whole.includes("The schedule to replay"), whole);
});

Deno.test("a schedule that passes can be shown", async () => {
  const error = await passed({ ...lostUpdate, replay: "b1" });
  assertMatch(error.message, /1 +load state\[0\] → 0 +replay_test\.ts:\d+/);
  const report = await explore({ ...lostUpdate, replay: "b1", allowIncomplete: true });
  assertEquals(report.steps!.map(({ thread, operation }) => `${thread}: ${operation}`), [
    "b: load state[0] → 0",
    "b: store state[0] ← 1",
    "a: load state[0] → 1",
    "a: store state[0] ← 2",
  ]);
  assertEquals(report.replay, "b2a2");
  assertStringIncludes(report.table!, ">3 load state[0] → 1");
  const search = await explore({ ...lostUpdate, check: () => {} });
  assertEquals([search.replay, search.steps, search.table], [undefined, undefined, undefined]);
});

Deno.test("a replay that passes sees when a thread does not do the same again", async () => {
  // The search does not run the thread again after its last step; the report does.
  let runs = 0;
  const { message } = await fails("nondeterminism", {
    setup: words,
    threads: { a: (w) => Atomics.load(w, ++runs > 2 ? 1 : 0) },
    replay: "a1",
  });
  assertStringIncludes(message, "load of state[1]");
});

// --- the empty schedule -----------------------------------------------------------------------

Deno.test("an empty schedule is none", async () => {
  const good = { ...lostUpdate, check: () => {} };
  assert((await explore({ ...good, replay: "" })).complete);
  await withVariable("", async () => {
    assert((await explore(good)).complete);
    assert((await explore({ ...good, replay: "" })).complete);
    await fails("assertion", lostUpdate);
  });
});

Deno.test("a failure before the first step has a schedule, too", async () => {
  const race = {
    setup: words,
    threads: { a: (w: Int32Array) => w[0] = 1, b: (w: Int32Array) => w[0] = 2 },
  };
  const { replay, message } = await fails("data race", race);
  assertEquals(replay, "a0");
  assertStringIncludes(message, "BUSBAR_REPLAY=a0");
  const again = await fails("data race", { ...race, replay });
  assertEquals(again.replay, replay);
  assert(!again.message.includes("The schedule to replay"), again.message);
  const { message: gone } = await passed({
    ...race,
    threads: { a: (w: Int32Array) => Atomics.store(w, 0, 1) },
    replay,
  });
  assertStringIncludes(gone, "(0 of 1 steps)");
});

// --- the environment --------------------------------------------------------------------------

Deno.test("a schedule of the environment is never silent", async () => {
  await withVariable("a1b2a1", async () => {
    const { message } = await fails("assertion", lostUpdate);
    assertStringIncludes(message, "This is a replay, since BUSBAR_REPLAY is set.");
  });
  await withVariable("a2b2", async () => {
    const { message } = await passed(lostUpdate);
    assertStringIncludes(message, "explore without `replay` and BUSBAR_REPLAY");
    // A test that accepts an incomplete search does not ask for one schedule.
    await passed({ ...lostUpdate, allowIncomplete: true });
    await passed({ ...lostUpdate, strategy: "random", executions: 5 });
  });
});

Deno.test("the option goes before the variable", async () => {
  await withVariable("a2b2", () => fails("assertion", { ...lostUpdate, replay: "a1b2a1" }));
});

// --- letters ----------------------------------------------------------------------------------

/** A model in which two threads spawn, and the second child must not be first. */
const spawning = {
  setup: words,
  threads: {
    a(w: Int32Array) {
      const seen = Atomics.load(w, 0);
      spawn(() => Atomics.compareExchange(w, 1, 0, 1));
      return seen;
    },
    b(w: Int32Array) {
      Atomics.load(w, 3);
      spawn(() => Atomics.compareExchange(w, 1, 0, 2));
      Atomics.store(w, 0, 1);
    },
  },
  check(w: Int32Array, { a }: { readonly a: number }) {
    assert(!(w[1] === 2 && a === 1), "the child of b was first");
  },
};

Deno.test("a program in which two threads spawn replays to the same schedule", async () => {
  for (const strategy of ["dpor", "all", "pct", "random"] as const) {
    const first = await fails("assertion", { ...spawning, strategy });
    const again = await fails("assertion", { ...spawning, replay: first.replay });
    assertEquals(again.replay, first.replay);
    assertEquals(again.steps, first.steps);
  }
});

Deno.test("the letters of spawned threads follow the order in which the schedule spawns them", async () => {
  const operations = async (replay: string) => {
    const { steps } = await explore({ ...spawning, replay, allowIncomplete: true, check() {} });
    return steps!.map(({ thread }) => thread).join(" ");
  };
  assertEquals(await operations("b2a2c1d1b1"), "b b a a b.0 a.0 b");
  assertEquals(await operations("a2b2c1d1b1"), "a a b b a.0 b.0 b");
});

Deno.test("every schedule of a program that spawns replays to itself", async () => {
  const schedules = new Set<string>();
  let error: ExplorationError | undefined;
  // Each failure excludes its outcome, until none is left.
  const seen = new Set<string>();
  const check = (w: Int32Array, { a }: { readonly a: number }) => {
    assert(seen.has(`${a} ${w[1]}`), `${a} ${w[1]}`);
  };
  for (;;) {
    error = await explore({ ...spawning, check, strategy: "all" }).then(() => undefined, (e) => e);
    if (error === undefined) break;
    schedules.add(error.replay);
    const again = await fails("assertion", { ...spawning, check, replay: error.replay });
    assertEquals([again.replay, again.steps], [error.replay, error.steps]);
    seen.add(error.failure.message);
  }
  assertEquals(schedules.size, 4);
});

// --- long schedules ---------------------------------------------------------------------------

Deno.test("a long schedule of a long period is short", async () => {
  const steps = 30;
  // Each of three threads makes its steps in turn, in runs that repeat after 30 runs only.
  const turns = Array.from({ length: steps }, (_, i) => "abc"[(i * i + i % 7) % 3]!);
  const replay = turns.map((turn) => `${turn}1`).join("").repeat(20);
  const body = (w: Int32Array) => {
    for (let i = 0; i < 20 * steps; i++) Atomics.add(w, 0, 1);
  };
  const threads = { a: body, b: body, c: body };
  const { message, replay: printed } = await fails("assertion", {
    setup: words,
    threads,
    check: () => assert(false, "always"),
    maxSteps: 2000,
    replay,
  });
  assert(printed.length < 120, printed);
  assertStringIncludes(message, printed);
});

Deno.test("a schedule without a period is not printed, but the message says where it is", async () => {
  const body = (w: Int32Array) => {
    for (let i = 0; i < 400; i++) Atomics.add(w, 0, 1);
  };
  const error = await fails("assertion", {
    setup: words,
    threads: { a: body, b: body, c: body },
    check: () => assert(false, "always"),
    strategy: "random",
    preemptions: undefined,
    executions: 1,
    maxSteps: 2000,
    replay: randomSchedule(1200),
  } as unknown as ExploreOptions<Int32Array, Threads<Int32Array>>);
  assert(error.replay.length > 400);
  assertStringIncludes(error.message, `replay: a text of ${error.replay.length} characters, the`);
  assert(!error.message.includes(error.replay));
  assertStringIncludes(error.toHtml(), error.replay);
});

/** A schedule of three threads, of equally many steps, without a period. */
function randomSchedule(steps: number): string {
  const left = [steps / 3, steps / 3, steps / 3];
  let state = 1;
  let text = "";
  for (let i = 0; i < steps; i++) {
    state = state * 1103515245 % 2147483647 + 12345;
    let thread = state % 3;
    while (left[thread] === 0) thread = (thread + 1) % 3;
    left[thread]!--;
    text += `${"abc"[thread]}1`;
  }
  return text;
}

Deno.test("a text that stands for too many steps is refused", async () => {
  for (const replay of ["a99999999999", "(a1b1)99999999", "a0b0", "a0a1", "a1b0", " "]) {
    await assertRejects(() => explore({ ...lostUpdate, replay }), TypeError, "Cannot replay");
  }
});
