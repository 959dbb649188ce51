/** Options that are no such options are refused before anything runs; so are odd verdicts. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, type ExploreOptions, spawn, type Threads } from "@busbar/busbar/model";
import { nearestName } from "../../model/nearest_name.ts";
import { fails, words } from "./failing.ts";

type Options = ExploreOptions<Int32Array, Threads<Int32Array>>;

const increment = (w: Int32Array) => Atomics.add(w, 0, 1);
const model = { setup: words, threads: { a: increment, b: increment } };

/** The message with which options are refused. */
async function refusal(options: Readonly<Record<string, unknown>>): Promise<string> {
  let runs = 0;
  const setup = () => {
    runs++;
    return words();
  };
  const { message } = await assertRejects(
    () => explore({ ...model, setup, ...options } as unknown as Options),
    TypeError,
  );
  assertEquals(runs, 0, "nothing runs");
  return message;
}

Deno.test("a number that an option cannot be is refused, with what was expected", async () => {
  const wrong: [option: string, value: unknown, expected: string][] = [
    ["executions", 0, "a whole number from 1 on, received 0"],
    ["executions", NaN, "received NaN"],
    ["executions", 1.5, "received 1.5"],
    ["executions", "10", 'received "10"'],
    ["executions", 10n, "received 10n"],
    ["maxExecutions", NaN, "received NaN"],
    ["maxTransitions", -1, "received -1"],
    ["maxSteps", 0, "received 0"],
    ["spinLimit", 0, "received 0"],
    ["depth", 0, "received 0"],
    ["depth", null, "received null"],
    ["preemptions", -1, "a whole number from 0 on, received -1"],
    ["seed", NaN, "an integer, received NaN"],
    ["seed", Infinity, "an integer, received Infinity"],
    ["timeLimitMs", 0, "a number greater than 0, received 0"],
    ["timeLimitMs", "1 s", 'a number greater than 0, received "1 s"'],
  ];
  for (const [option, value, expected] of wrong) {
    const message = await refusal({ [option]: value });
    assertStringIncludes(message, `Cannot explore: expected ${option} to be a`);
    assertStringIncludes(message, expected);
  }
});

Deno.test("a function that an option cannot be is refused, with what was expected", async () => {
  const wrong: [option: string, value: unknown, expected: string][] = [
    ["setup", undefined, "setup to be a synchronous function"],
    ["threads", [increment], "threads to be an object of functions by the names"],
    ["reaches", [], "reaches to be an object of synchronous functions"],
    ["setup", new Int32Array(1), "received Int32Array [0]"],
    // deno-lint-ignore require-await
    ["setup", async () => words(), "can be awaited before explore), received an async function"],
    ["setup", function* () {}, "received a generator function"],
    ["check", 5, "check to be a function, async or not, received 5"],
    ["check", function* () {}, "received a generator function"],
    ["check", async function* () {}, "received a generator function"],
    ["invariant", "w[0] > 1", 'invariant to be a synchronous function, received "w[0] > 1"'],
    ["invariant", async () => {}, "received an async function"],
    ["invariant", function* () {}, "received a generator function"],
    ["threads", undefined, "names of threads, received undefined"],
    ["threads", increment, "received function increment"],
    ["threads", {}, "1 to 8 threads, received 0"],
    ["threads", { a: increment, b: undefined }, "thread b to be a function, async or not"],
    ["threads", { a: 5 }, "thread a to be a function, async or not, received 5"],
    ["threads", { a: function* () {} }, "received a generator function"],
    ["linearizable", increment, "received function increment"],
    ["linearizable", { apply: increment }, "an initial state and a synchronous function apply"],
    ["linearizable", { initial: 0 }, "received {initial: 0}"],
    ["linearizable", { initial: 0, async apply() {} }, "received {initial: 0, apply: function"],
  ];
  for (const [option, value, expected] of wrong) {
    assertStringIncludes(await refusal({ [option]: value }), expected);
  }
});

Deno.test("any other option is refused if its value is none of those possible", async () => {
  const wrong: [option: string, value: unknown, expected: string][] = [
    ["strategy", "dfs", "strategy to be dpor, all, pct or random, received dfs"],
    ["clock", "real", "clock to be refuse or virtual, received real"],
    ["coverage", 1, "coverage to be true or false, received 1"],
    ["allowIncomplete", "no", "received no"],
    ["reportUninitialised", null, "received null"],
    ["replay", 12, "replay to be a schedule as a failure printed it, received 12"],
    ["html", true, "the path or URL of a file, received true"],
    ["html", "", "the path or URL of a file"],
  ];
  for (const [option, value, expected] of wrong) {
    assertStringIncludes(await refusal({ [option]: value }), expected);
  }
  for (const options of [undefined, null, 5, increment]) {
    await assertRejects(
      () => explore(options as unknown as Options),
      TypeError,
      "expected an object of options",
    );
  }
});

Deno.test("an unknown option is refused, with the name that was probably meant", async () => {
  for (
    const [name, meant] of [
      ["prreemptions", "preemptions"],
      ["Strategy", "strategy"],
      ["timeLimit", "timeLimitMs"],
      ["maxExecution", "maxExecutions"],
      ["invariants", "invariant"],
      ["thread", "threads"],
    ] as const
  ) {
    assertStringIncludes(
      await refusal({ [name]: 2 }),
      `unknown option ${name}; did you mean ${meant}?`,
    );
  }
  assertStringIncludes(
    await refusal({ wibble: 2 }),
    "option wibble; the options are setup, threads,",
  );
});

Deno.test("the nearest name is the one with the fewest letters to change", () => {
  const known = ["maxSteps", "maxExecutions", "executions"];
  assertEquals(nearestName("maxstep", known), "maxSteps");
  assertEquals(nearestName("execution", known), "executions");
  assertEquals(nearestName("colour", known), undefined);
  assertEquals(nearestName("", known), undefined);
});

Deno.test("options that are undefined are not set, and limits may be infinite", async () => {
  const report = await explore({
    ...model,
    check: undefined,
    seed: undefined,
    strategy: undefined,
    maxSteps: Infinity,
    maxExecutions: Infinity,
    maxTransitions: Infinity,
    timeLimitMs: Infinity,
  } as unknown as Options);
  assert(report.complete);
});

Deno.test("a setup that returns a promise is refused, and its error is not left over", async () => {
  for (const state of [Promise.resolve(1), Promise.reject(new Error("late"))]) {
    await assertRejects(
      () => explore({ ...model, setup: () => state as unknown as Int32Array }),
      TypeError,
      "expected setup to return the state of the threads, received a promise",
    );
  }
});

// --- verdicts ---------------------------------------------------------------------------------

Deno.test("a check or an invariant that returns false fails, and one that returns true passes", async () => {
  const isNotTwo = (w: Int32Array) => Atomics.load(w, 0) !== 2;
  const isTwo = (w: Int32Array) => Atomics.load(w, 0) === 2;
  for (
    const [options, name] of [
      [{ check: isNotTwo }, "Check"],
      [{ check: (w: Int32Array) => Promise.resolve(isNotTwo(w)) }, "Check"],
      [{ invariant: isNotTwo }, "The invariant"],
    ] as const
  ) {
    const { message, steps } = await fails("assertion", { ...model, ...options });
    assertStringIncludes(message, `${name} returned false`);
    assertEquals(steps.length, 2);
  }
  assert((await explore({ ...model, check: isTwo, invariant: () => true })).complete);
  assert((await explore({ ...model, check: (w) => Promise.resolve(isTwo(w)) })).complete);
});

Deno.test("a check or an invariant that returns anything else is refused", async () => {
  for (const value of [0, 1, null, "", "wrong", NaN, 0n, [], () => false]) {
    const odd = () => value as unknown as boolean;
    for (const option of ["check", "invariant"]) {
      const { message } = await fails("misuse", { ...model, [option]: odd });
      assertStringIncludes(message, "expected nothing or true if all is right, false if not");
    }
  }
  const { message } = await fails("misuse", {
    ...model,
    invariant: (() => Promise.reject(new Error("late"))) as unknown as () => void,
  });
  assertStringIncludes(message, "The invariant returned a promise");
  await fails("misuse", { ...model, check: () => Promise.resolve("wrong" as unknown as boolean) });
});

Deno.test("a thread that spawns what is no function is told so", async () => {
  for (const [body, name] of [[undefined, "x"], [() => {}, 5]]) {
    const { message } = await fails("exception", {
      ...model,
      threads: { a: () => spawn(body as () => void, name as string) },
    });
    assertStringIncludes(message, "Cannot spawn: expected a function and a name, received");
  }
});
