import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ASYNCHRONOUS,
  BLOCKING,
  FREE,
  LOOPS,
  type Outcome,
  outcomeOf,
  type Program,
  programs,
} from "./random_programs.ts";

const MAX_EXECUTIONS = 20_000;
const RUNS = Number(Deno.args[0] ?? 200);

/** Searches both ways, unless every schedule would be too many. */
async function both(
  program: Program,
  timeouts?: "any" | "ordered",
): Promise<{ all: Outcome; dpor: Outcome } | undefined> {
  const all = await outcomeOf(program, "none", MAX_EXECUTIONS, timeouts);
  if (all.failure === undefined && !all.isComplete) return undefined;
  return { all, dpor: await outcomeOf(program, "dpor", MAX_EXECUTIONS, timeouts) };
}

const sorted = (set: ReadonlySet<string>) => [...set].sort();

Deno.test("optimal DPOR visits one execution of each trace, and every trace", async () => {
  let compared = 0;
  const property = fc.asyncProperty(programs(FREE, 3, 4), async (program) => {
    const found = await both(program);
    if (found === undefined) return;
    compared++;
    const { all, dpor } = found;
    assertEquals(sorted(dpor.finals), sorted(all.finals));
    assertEquals(sorted(dpor.traces), sorted(all.traces));
    assertEquals(dpor.executions, all.traces.size);
    assertEquals(dpor.pruned, 0);
  });
  await fc.assert(property, { numRuns: RUNS });
  assertEquals(compared > RUNS / 2, true, `only ${compared} of ${RUNS} programs were compared`);
});

/**
 * Compares the results of both searches for programs that can block.
 *
 * @param comparesTraces Whether the numbers of traces must be the same. Where loops wait, when a
 *   round may begin depends on the values before it, so that one trace counts as several.
 */
async function compare(
  kinds: readonly string[],
  calls: number,
  runs: number,
  comparesTraces = true,
  timeouts?: "any" | "ordered",
): Promise<void> {
  let passed = 0;
  let failed = 0;
  const property = fc.asyncProperty(programs(kinds, 3, calls), async (program) => {
    const found = await both(program, timeouts);
    if (found === undefined) return;
    const { all, dpor } = found;
    const fails = (outcome: Outcome) => outcome.failure !== undefined;
    assertEquals(fails(dpor), fails(all));
    if (fails(all)) {
      failed++;
      return;
    }
    passed++;
    assertEquals(sorted(dpor.finals), sorted(all.finals));
    if (!comparesTraces) return;
    assertEquals(dpor.executions <= all.executions, true);
    assertEquals(dpor.traces.size, all.traces.size);
  });
  await fc.assert(property, { numRuns: runs });
  const enough = passed > runs / 20 && failed > runs / 20;
  assertEquals(enough, true, `${passed} passed, ${failed} failed`);
}

Deno.test("with blocking, DPOR finds the same final states and the same deadlocks", async () => {
  await compare([...FREE, ...BLOCKING], 3, RUNS);
});

Deno.test("with loops that wait, DPOR finds the same final states and the same deadlocks", async () => {
  await compare([...LOOPS, "store", "add", "load", "wait"], 2, RUNS / 2, false);
});

Deno.test("a yield that is held after a race is reversed, and was free before, loses no outcome", async () => {
  const found = await both([
    [["store", 0, 1, 0]],
    [["poll briefly", 0, 0, 0]],
    [["spin briefly", 1, 0, 0], ["spin", 0, 0, 0]],
  ]);
  assertEquals(sorted(found!.dpor.finals), sorted(found!.all.finals));
  assertEquals(found!.all.finals.size, 2);
});

Deno.test("with asynchronous threads, DPOR finds the same final states", async () => {
  await compare([...ASYNCHRONOUS, "task", "await", "store", "notify", "add"], 2, RUNS / 2);
});

const TIMED = ["wait with timeout", "wait with timeout", "store", "notify", "add", "clock"];
const ASYNCHRONOUSLY_TIMED = [...ASYNCHRONOUS, "task with timeout", "task", "task", "await"];

for (const timeouts of ["any", "ordered"] as const) {
  Deno.test(`with ${timeouts} timeouts, DPOR finds the same final states and times`, async () => {
    await compare([...TIMED, "wait"], 3, RUNS, true, timeouts);
  });

  Deno.test(`with ${timeouts} timeouts and asynchronous threads, too`, async () => {
    await compare([...TIMED, ...ASYNCHRONOUSLY_TIMED], 2, RUNS / 2, true, timeouts);
  });
}

Deno.test("timeouts reversed before their notify, and notifies of one thread, lose no trace", async () => {
  const timed = (word: number, ms: number) => ["wait with timeout", word, 0, ms - 1] as const;
  const task = (word: number) => ["task with timeout", word, 0, 0] as const;
  const notify = (word: number) => ["notify", word, 1, 0] as const;
  const cases: [Program, "any" | "ordered"][] = [
    [[[timed(0, 1), notify(0), timed(1, 1)], [notify(0)], [timed(0, 1)]], "any"],
    [[[notify(1), timed(0, 1)], [notify(0)], [task(0), task(1)]], "any"],
    [[[timed(0, 1)], [["add", 0, 1, 0]], [timed(1, 2)]], "ordered"],
    [[[timed(0, 2)], [timed(0, 1), timed(0, 1)], [timed(1, 2)]], "ordered"],
    [[[timed(0, 1)], [timed(1, 1)], [notify(0), timed(0, 1), timed(1, 1)]], "ordered"],
    [[[notify(0), timed(0, 1)], [timed(0, 2), ["store", 0, 0, 0]], [
      ["store", 0, 0, 0],
      timed(1, 1),
    ]], "ordered"],
  ];
  for (const [program, timeouts] of cases) {
    const { all, dpor } = (await both(program, timeouts))!;
    assertEquals(sorted(dpor.finals), sorted(all.finals));
    assertEquals(sorted(dpor.traces), sorted(all.traces));
  }
});
