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
async function both(program: Program): Promise<{ all: Outcome; dpor: Outcome } | undefined> {
  const all = await outcomeOf(program, "none", MAX_EXECUTIONS);
  if (all.failure === undefined && !all.isComplete) return undefined;
  return { all, dpor: await outcomeOf(program, "dpor", MAX_EXECUTIONS) };
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
): Promise<void> {
  let passed = 0;
  let failed = 0;
  const property = fc.asyncProperty(programs(kinds, 3, calls), async (program) => {
    const found = await both(program);
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
    assertEquals(dpor.executions <= all.executions, true);
    if (comparesTraces) assertEquals(dpor.traces.size, all.traces.size);
  });
  await fc.assert(property, { numRuns: runs });
  const enough = passed > runs / 10 && failed > runs / 10;
  assertEquals(enough, true, `${passed} passed, ${failed} failed`);
}

Deno.test("with blocking, DPOR finds the same final states and the same deadlocks", async () => {
  await compare([...FREE, ...BLOCKING], 3, RUNS);
});

Deno.test("with loops that wait, DPOR finds the same final states and the same deadlocks", async () => {
  await compare([...LOOPS, "store", "add", "load", "wait"], 2, RUNS / 2, false);
});

Deno.test("with asynchronous threads, DPOR finds the same final states", async () => {
  await compare([...ASYNCHRONOUS, "store", "notify", "notify", "add"], 2, RUNS / 2);
});
