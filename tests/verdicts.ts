/**
 * Verdicts on models: what every test that explores one asks for.
 *
 * `deno test -P tests -- --figures` says how much was explored.
 *
 * @module
 */

import { assert, assertRejects } from "@std/assert";
import {
  ExplorationError,
  explore,
  type ExploreOptions,
  type FailureKind,
  type Mutant,
  mutants,
  type Report,
  type Threads,
} from "@busbar/busbar/model";

const makesMutants = Deno.args.includes("--mutants");
/** What `deno test -P tests -- --mutants` prints of each mutant: see `mutants.ts`. */
export const MUTANT_LINE = /^mutant (noticed|survived): (.*)$/;
/** So long a mutant is looked at. */
const MUTANT_MS = 3_000;
/** The mutants that a model of this file has noticed. */
const noticed = new Set<string>();

const showsFigures = Deno.args.includes("--figures");

/**
 * Fails unless every schedule was visited, more than one, and none fails. A model that says how
 * many preemptions to look at is visited within that bound.
 */
export async function passes<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
): Promise<Report> {
  const isBounded = model.preemptions !== undefined;
  const report = await explore({ clock: "virtual", allowIncomplete: isBounded, ...model });
  const isWithinBound = isBounded && report.reason?.includes("preemptions");
  assert(report.complete || isWithinBound, report.reason);
  assert(report.executions > 1, "one execution proves nothing");
  if (makesMutants) {
    await printMutants({ clock: "virtual", allowIncomplete: isBounded, ...model });
  }
  if (showsFigures) {
    const time = Math.round(report.elapsedMs);
    console.log(`  ${report.executions} executions, ${time} ms, ${report.reason ?? "complete"}`);
  }
  return report;
}

/** Prints which mutants of the library's own code a model notices. */
async function printMutants<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
): Promise<void> {
  const nameOf = ({ line, operation, change }: Pick<Mutant, "line" | "operation" | "change">) =>
    `${/src\/[^)]*/.exec(line)![0]} ${operation} → ${change}`;
  const { mutants: all } = await mutants(model, {
    include: /\/src\//,
    timeLimitMs: MUTANT_MS,
    skip: (mutant) => noticed.has(nameOf(mutant)),
  });
  for (const mutant of all) {
    const name = nameOf(mutant);
    if (mutant.failure !== undefined) noticed.add(name);
    console.log(`mutant ${mutant.failure === undefined ? "survived" : "noticed"}: ${name}`);
  }
}

/** How many schedules {@linkcode passesAtRandom} tries. */
const RANDOM_SCHEDULES = 40;

/** Fails if one of some random schedules does: for models that are too large to visit them all. */
export async function passesAtRandom<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
  seed: number,
): Promise<void> {
  await explore({
    clock: "virtual",
    strategy: "pct",
    depth: 4,
    executions: RANDOM_SCHEDULES,
    allowIncomplete: true,
    ...model,
    seed,
  });
}

/** Fails unless some schedule fails in this way, or one of these; returns what is said of it. */
export async function fails<State, T extends Threads<State>>(
  kinds: FailureKind | readonly FailureKind[],
  model: ExploreOptions<State, T>,
): Promise<ExplorationError> {
  const error = await assertRejects(
    () => explore({ clock: "virtual", ...model }),
    ExplorationError,
  );
  assert([kinds].flat().includes(error.failure.kind), error.message);
  return error;
}
