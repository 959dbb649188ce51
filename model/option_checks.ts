/**
 * Checks the options of an exploration before anything runs.
 *
 * @module
 */

import { MAX_THREADS } from "./machine/clock.ts";
import { nearestName } from "./nearest_name.ts";
import type { ExploreOptions, StrategyName, Threads } from "./options.ts";
import { valueText } from "./values.ts";

/** Checks the value of an option: returns what was expected, if it is something else. */
type Check = (value: unknown) => string | undefined;

const unless = (isRight: (value: unknown) => boolean, expected: string): Check => (value) =>
  isRight(value) ? undefined : expected;

const isNumber = (value: unknown): value is number => typeof value === "number";
const isInteger = (min: number) => (value: unknown) =>
  isNumber(value) && (Number.isSafeInteger(value) || value === Infinity) && value >= min;

const positive = unless(isInteger(1), "a whole number from 1 on");
const flag = unless((value) => typeof value === "boolean", "true or false");

/** What kind of function a value is. */
type FunctionKind = "plain" | "an async function" | "a generator function" | undefined;

function functionKind(value: unknown): FunctionKind {
  if (typeof value !== "function") return undefined;
  const tag = Object.prototype.toString.call(value);
  if (tag.endsWith("GeneratorFunction]")) return "a generator function";
  return tag === "[object AsyncFunction]" ? "an async function" : "plain";
}

const synchronous = unless(
  (value) => functionKind(value) === "plain",
  "a synchronous function",
);
const anyFunction = unless(
  (value) => typeof value === "function" && functionKind(value) !== "a generator function",
  "a function, async or not",
);

function choice<T extends string>(values: Readonly<Record<T, true>>): Check {
  const names = Object.keys(values);
  const expected = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  return unless((value) => names.includes(value as string), expected);
}

const strategies: Readonly<Record<StrategyName, true>> = {
  dpor: true,
  all: true,
  pct: true,
  random: true,
};

const checks: { readonly [K in keyof Required<ExploreOptions<unknown, Threads<unknown>>>]: Check } =
  {
    setup: unless(
      (value) => functionKind(value) === "plain",
      "a synchronous function (what it needs can be awaited before explore)",
    ),
    threads: unless(
      (value) => typeof value === "object" && value !== null && !Array.isArray(value),
      "an object of functions by the names of threads",
    ),
    mortal: unless(
      (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
      "an array of names of threads",
    ),
    check: anyFunction,
    invariant: synchronous,
    reaches: unless(
      (value) =>
        typeof value === "object" && value !== null && !Array.isArray(value) &&
        Object.values(value).every((each) => functionKind(each) === "plain"),
      "an object of synchronous functions by the names of conditions",
    ),
    linearizable: unless(
      (value) =>
        typeof value === "object" && value !== null && "initial" in value &&
        functionKind((value as { apply?: unknown }).apply) === "plain",
      "an object of an initial state and a synchronous function apply",
    ),
    strategy: choice(strategies),
    preemptions: unless(isInteger(0), "a whole number from 0 on"),
    seed: unless(Number.isSafeInteger, "an integer"),
    depth: positive,
    executions: positive,
    maxExecutions: positive,
    maxTransitions: positive,
    timeLimitMs: unless((value) => isNumber(value) && value > 0, "a number greater than 0"),
    maxSteps: positive,
    allowIncomplete: flag,
    replay: unless((value) => typeof value === "string", "a schedule as a failure printed it"),
    html: unless(
      (value) => (typeof value === "string" && value !== "") || value instanceof URL,
      "the path or URL of a file",
    ),
    clock: choice({ refuse: true, virtual: true }),
    timeouts: choice({ any: true, ordered: true }),
    reportUninitialised: flag,
    spinLimit: positive,
    polling: choice({ yield: true, refuse: true }),
    coverage: flag,
  };

const optional = (Object.keys(checks) as (keyof typeof checks)[]).filter((name) =>
  name !== "setup" && name !== "threads"
);

/**
 * Checks all options; those that are undefined are not set.
 *
 * @throws {TypeError} If one is unknown, is missing, or has a wrong value.
 */
export function checkOptions(options: unknown): void {
  if (typeof options !== "object" || options === null) {
    fail("an object of options", valueText(options));
  }
  const given = options as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(checks, name)) continue;
    const known = Object.keys(checks);
    const nearest = nearestName(name, known);
    const hint = nearest ? `did you mean ${nearest}?` : `the options are ${known.join(", ")}`;
    throw new TypeError(`Cannot explore: unknown option ${name}; ${hint}`);
  }
  for (const name of ["setup", "threads"] as const) checkValue(name, given[name], checks[name]);
  for (const name of optional) {
    const value = given[name];
    if (value !== undefined) checkValue(name, value, checks[name]);
  }
  checkThreads(given.threads as Readonly<Record<string, unknown>>, given.mortal as string[]);
}

function checkThreads(
  threads: Readonly<Record<string, unknown>>,
  mortal: readonly string[] = [],
): void {
  const bodies = Object.entries(threads);
  if (bodies.length === 0 || bodies.length > MAX_THREADS) {
    fail(`1 to ${MAX_THREADS} threads`, `${bodies.length}`);
  }
  mortal.forEach((name, i) => {
    if (!Object.hasOwn(threads, name)) {
      fail(`mortal to name threads (${Object.keys(threads).join(", ")})`, valueText(name));
    }
    if (mortal.indexOf(name) !== i) fail("mortal to name each thread once", valueText(name));
  });
  if (bodies.length + mortal.length > MAX_THREADS) {
    fail(
      `at most ${MAX_THREADS} threads, a mortal one counted twice`,
      `${bodies.length} and ${mortal.length} mortal ones`,
    );
  }
  for (const [name, body] of bodies) checkValue(`thread ${name}`, body, anyFunction);
}

function checkValue(name: string, value: unknown, check: Check): void {
  const expected = check(value);
  if (expected === undefined) return;
  const kind = functionKind(value);
  const isWord = typeof value === "string" && /^[a-z]+$/i.test(value);
  const text = isWord ? value : valueText(value);
  fail(`${name} to be ${expected}`, kind === undefined || kind === "plain" ? text : kind);
}

function fail(expected: string, received: string): never {
  throw new TypeError(`Cannot explore: expected ${expected}, received ${received}`);
}
