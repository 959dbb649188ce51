/**
 * Would this test notice? A passing model is explored again and again, each time with one operation
 * at one source line gone wrong. What still passes is what the model does not prove.
 *
 * @module
 */

import { ExplorationError, exploreMutated, IncompleteError } from "./explore.ts";
import type { FailureKind } from "./failure.ts";
import { KINDS } from "./machine/kinds.ts";
import type { ExploreOptions, Report, Threads } from "./options.ts";
import { type Call, type Change, changes } from "./mutation/changes.ts";
import type { Mutation } from "./mutation/mutated_calls.ts";

/** Which mutants are made, and how long each may take. */
export interface MutantOptions {
  /** Only operations at lines that match; by default, all of the threads. */
  readonly include?: RegExp;
  /** Stop each mutant after so many milliseconds; 10,000 by default. */
  readonly timeLimitMs?: number;
  /** Mutants that are left out: those that another model has noticed, say. */
  readonly skip?: (mutant: Pick<Mutant, "line" | "operation" | "change">) => boolean;
}

/** One operation gone wrong. */
export interface Mutant {
  /** Where: a line of a stack. */
  readonly line: string;
  /** The operation that stands there. */
  readonly operation: string;
  /** What was done instead. */
  readonly change: string;
  /** How the model failed; undefined if it did not, so that the mutant survived. */
  readonly failure: FailureKind | undefined;
  /** The schedule that fails, for the report of a `replay`; undefined if it survived. */
  readonly replay: string | undefined;
  /** Whether the search of a survivor was stopped by a limit. */
  readonly isIncomplete: boolean;
}

/** What {@linkcode mutants} has found. */
export interface MutantReport {
  /** All mutants, by their lines. */
  readonly mutants: readonly Mutant[];
  /** Those that the model did not notice. */
  readonly survivors: readonly Mutant[];
  /** All of them as a table. */
  readonly table: string;
  /** The report of the model as it is. */
  readonly report: Report;
}

/** Each mutant is stopped after so many times the executions of the model, and some. */
const EXECUTIONS_FACTOR = 10;
const EXECUTIONS = 10_000;

/** An end of a speculative span; it has no kind of `Atomics`. */
const SPAN = "end of speculation";
const ALWAYS_KEPT = "kept, whatever was found";

/** Where operations stand, and what they are. */
class Survey implements Mutation {
  /** By line and operation, the changes that make a difference there. */
  readonly sites = new Map<string, { line: string; operation: string; changes: Set<string> }>();
  readonly #include: RegExp | undefined;

  constructor(include: RegExp | undefined) {
    this.#include = include;
  }

  changeAt(line: string, call: Call): undefined {
    for (const change of changes[call.kind]) {
      if (change.applies?.(call) !== false) this.#note(line, KINDS[call.kind].name, change.name);
    }
  }

  isAlwaysKept(line: string): boolean {
    this.#note(line, SPAN, ALWAYS_KEPT);
    return false;
  }

  #note(line: string, operation: string, change: string): void {
    if (this.#include?.test(line) === false) return;
    const key = `${line} ${operation}`;
    let site = this.sites.get(key);
    if (site === undefined) this.sites.set(key, site = { line, operation, changes: new Set() });
    site.changes.add(change);
  }
}

/** One change at one line. */
class OneChange implements Mutation {
  readonly #line: string;
  readonly #operation: string;
  readonly #change: string;

  constructor(line: string, operation: string, change: string) {
    this.#line = line;
    this.#operation = operation;
    this.#change = change;
  }

  changeAt(line: string, call: Call): Change | undefined {
    if (line !== this.#line || KINDS[call.kind].name !== this.#operation) return undefined;
    const change = changes[call.kind].find(({ name }) => name === this.#change);
    return change?.applies?.(call) === false ? undefined : change;
  }

  isAlwaysKept(line: string): boolean {
    return line === this.#line && this.#operation === SPAN;
  }
}

/**
 * Explores a model that passes, and then each of its mutants: with one operation at one line of the
 * threads' code gone wrong. No source is changed: the explorer makes another call where the code
 * makes one.
 *
 * A mutant that survives shows an operation that the model does not need: the test has a hole, the
 * operation may be weaker, or nothing can tell the difference.
 *
 * @example A lock, of which one operation could be a weaker one
 * ```ts
 * import { mutants } from "@busbar/busbar/model";
 * import { assertEquals } from "@std/assert";
 *
 * const enter = (word: Int32Array) => {
 *   while (Atomics.compareExchange(word, 0, 0, 1) !== 0) Atomics.wait(word, 0, 1);
 *   word[1] = word[1]! + 1;
 *   Atomics.store(word, 0, 0);
 *   Atomics.notify(word, 0, 1);
 * };
 * const { mutants: all, survivors } = await mutants({
 *   setup: () => new Int32Array(new SharedArrayBuffer(8)),
 *   threads: { a: enter, b: enter },
 *   check: (word) => word[1] === 2,
 * });
 * assertEquals(all.length, 7);
 * assertEquals(survivors.map(({ operation, change }) => `${operation} → ${change}`), [
 *   "compareExchange → an exchange: the value before does not matter",
 * ]);
 * ```
 *
 * @param model The model, as for `explore`.
 * @param options Which mutants are made, and how long each may take.
 * @returns All mutants, and which of them were noticed, and how.
 * @throws As `explore`, if the model itself does not pass.
 */
export async function mutants<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
  options: MutantOptions = {},
): Promise<MutantReport> {
  const { include, timeLimitMs = 10_000, skip } = options;
  const survey = new Survey(include);
  const report = await exploreMutated(model, survey);
  const maxExecutions = report.executions * EXECUTIONS_FACTOR + EXECUTIONS;
  const found: Mutant[] = [];
  const sites = [...survey.sites.values()].sort((a, b) => compareLines(a.line, b.line));
  for (const { line, operation, changes } of sites) {
    for (const change of changes) {
      if (skip?.({ line, operation, change })) continue;
      const mutation = new OneChange(line, operation, change);
      const mutated = { ...model, timeLimitMs, maxExecutions, allowIncomplete: false };
      const outcome = await outcomeOf(() => exploreMutated(mutated, mutation));
      found.push({ line, operation, change, ...outcome });
    }
  }
  const survivors = found.filter(({ failure }) => failure === undefined);
  return { mutants: found, survivors, table: formatMutants(found), report };
}

async function outcomeOf(
  explore: () => Promise<Report>,
): Promise<Pick<Mutant, "failure" | "replay" | "isIncomplete">> {
  try {
    await explore();
    return { failure: undefined, replay: undefined, isIncomplete: false };
  } catch (error) {
    if (error instanceof IncompleteError) {
      return { failure: undefined, replay: undefined, isIncomplete: true };
    }
    if (!(error instanceof ExplorationError)) throw error;
    return { failure: error.failure.kind, replay: error.replay, isIncomplete: false };
  }
}

/** By file and line number, as far as the engine's text has them. */
function compareLines(a: string, b: string): number {
  return a.replace(/^.*\(/, "").localeCompare(b.replace(/^.*\(/, ""), "en", { numeric: true });
}

function formatMutants(mutants: readonly Mutant[]): string {
  const rows = mutants.map(({ line, operation, change, failure, isIncomplete }) => [
    failure ?? (isIncomplete ? "NOT NOTICED within the limits" : "NOT NOTICED"),
    `${operation} → ${change}`,
    line,
  ]);
  const widths = [0, 1].map((i) => Math.max(0, ...rows.map((row) => row[i]!.length)));
  return rows.map(([outcome, change, line]) =>
    `${outcome!.padEnd(widths[0]!)}  ${change!.padEnd(widths[1]!)}  ${line}`
  ).join("\n");
}
