/**
 * The entry point: explores a model, and turns a failing schedule into an error that shows it.
 *
 * @module
 */

import type { Failure } from "./failure.ts";
import type { Mutation } from "./mutation/mutated_calls.ts";
import { checkOptions } from "./option_checks.ts";
import type { ExploreOptions, Report, Threads } from "./options.ts";
import { environment, writeTextFile } from "./platform.ts";
import type { FailedExecution } from "./report/failed_execution.ts";
import { formatHtml } from "./report/html.ts";
import type { Step } from "./report/steps.ts";
import { decodeSchedule } from "./report/schedule.ts";
import { formatTable } from "./report/table.ts";
import { Dependence } from "./search/dependence.ts";
import { OptimalDpor } from "./search/dpor.ts";
import { Enumeration } from "./search/enumeration.ts";
import { advice } from "./search/limits.ts";
import { Portfolio } from "./search/portfolio.ts";
import { Pct, RandomWalk } from "./search/random.ts";
import { Replay } from "./search/replay.ts";
import { type AnyOptions, Search } from "./search/search.ts";
import type { Strategy } from "./search/strategy.ts";

/** A schedule in which the model fails. */
export class ExplorationError extends Error {
  /** Always `ExplorationError`. */
  override readonly name = "ExplorationError";
  /** How it fails. */
  readonly failure: Failure;
  /** The schedule, for `replay`; empty, as `steps` is, if all executions together failed. */
  readonly replay: string;
  /** The steps of that schedule. */
  readonly steps: readonly Step[];
  /** The state of the search when it failed. */
  readonly report: Report;

  readonly #failed: FailedExecution;

  /** @ignore Used by {@linkcode explore}. */
  constructor(failed: FailedExecution, report: Report, replayed?: ReplayedSchedule) {
    const { cause } = failed.failure;
    super(formatFailure(failed, report, replayed), cause === undefined ? {} : { cause });
    this.failure = failed.failure;
    this.replay = failed.replay;
    this.steps = failed.steps;
    this.report = report;
    this.#failed = failed;
  }

  /**
   * The failure as one self-contained HTML page to step through: a space-time diagram, the source
   * lines of each step, and memory before and after it.
   */
  toHtml(): string {
    return formatHtml(this.#failed);
  }
}

/** A schedule that was asked for. */
interface ReplayedSchedule {
  readonly text: string;
  readonly isFromEnvironment: boolean;
}

function formatFailure(
  { failure, replay, steps, threads, isOfSearch }: FailedExecution,
  report: Report,
  replayed: ReplayedSchedule | undefined,
): string {
  const parts = [`${failure.kind}: ${failure.message}`];
  if (isOfSearch) return parts[0]!;
  for (const { thread, access, step, lines } of failure.accesses ?? []) {
    const when = step === 0 ? "before its first step" : `in step ${step}`;
    parts.push(
      [`${thread}, ${when}: ${access}`, ...lines.slice(0, 4).map((l) => `    at ${l}`)].join("\n"),
    );
  }
  const switches = steps.filter((step) => step.isSwitch).length;
  parts.push(
    `Schedule: ${count(steps.length, "step")}, ${count(switches, "switch", "switches")} (>), ` +
      `after ${count(visited(report, "executions"), "execution")} without failure`,
    formatTable(steps, threads),
    replay.length > MAX_REPLAY
      ? `replay: a text of ${replay.length} characters, the property \`replay\` of this error; the ` +
        "page that the option `html` writes has it, too"
      : `replay: "${replay}"  (an option, or BUSBAR_REPLAY=${replay} with the test's --filter)`,
  );
  if (replayed !== undefined) parts.push(...formatReplayed(replayed, steps.length));
  return parts.join("\n\n");
}

/** How many there were, with those of the probes. */
function visited(report: Report, key: "executions" | "transitions"): number {
  return report[key] + (report.probes?.[key] ?? 0);
}

/** Longer schedules are not printed. */
const MAX_REPLAY = 400;

/** What is to be said of a schedule that was asked for. */
function formatReplayed({ text, isFromEnvironment }: ReplayedSchedule, steps: number): string[] {
  const { length } = decodeSchedule(text);
  const parts: string[] = [];
  if (isFromEnvironment) parts.push("This is a replay, since BUSBAR_REPLAY is set.");
  if (length !== steps) {
    parts.push(`The schedule to replay has ${count(length, "step")}, this failure ${steps}.`);
  }
  return parts;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/**
 * Runs the threads of a model under every schedule that matters.
 *
 * The bodies are ordinary code: they use `Atomics`, typed arrays and `SharedArrayBuffer` by their
 * global names, unmodified and unaware of the explorer.
 *
 * @example Two unguarded increments lose an update
 * ```ts
 * import { explore, ExplorationError } from "@busbar/busbar/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const increment = ({ word }: { word: Int32Array }) => {
 *   Atomics.store(word, 0, Atomics.load(word, 0) + 1);
 * };
 * await assertRejects(
 *   () =>
 *     explore({
 *       setup: () => ({ word: new Int32Array(new SharedArrayBuffer(4)) }),
 *       threads: { a: increment, b: increment },
 *       check: ({ word }) => assertEquals(Atomics.load(word, 0), 2),
 *     }),
 *   ExplorationError,
 * );
 * ```
 *
 * @param options The model and the bounds.
 * @returns How many executions were visited, and whether that is all of them.
 * @throws {ExplorationError} If a schedule fails; its message shows the schedule.
 * @throws {TypeError} If an option is unknown, is missing, or has a wrong value.
 * @throws {IncompleteError} If a limit stopped the search and `allowIncomplete` is not set, or a
 *   schedule that was replayed did not fail.
 */
export function explore<State, T extends Threads<State>>(
  options: ExploreOptions<State, T>,
): Promise<Report> {
  return exploreMutated(options, undefined);
}

/** As {@linkcode explore}, with a mutation of the calls that threads make. */
export async function exploreMutated<State, T extends Threads<State>>(
  options: ExploreOptions<State, T>,
  mutation: Mutation | undefined,
): Promise<Report> {
  if (globalThis.SharedArrayBuffer === undefined) {
    throw new Error(
      "Cannot explore as SharedArrayBuffer is not defined: a page needs cross-origin isolation",
    );
  }
  checkOptions(options);
  const replayed = replayedSchedule(options.replay);
  const model = { ...options, replay: replayed?.text } as unknown as AnyOptions;
  const search = new Search(model, mutation);
  search.isWhole = replayed === undefined;
  const report = await search.run(() => strategyOf(model));
  if (search.failed === undefined) {
    const isAllowed = options.allowIncomplete === true && !replayed?.isFromEnvironment;
    if (!report.complete && !isAllowed && report.reason !== undefined) {
      throw new IncompleteError(report, advice(report.stoppedBy, isDefault(model)));
    }
    return report;
  }
  const failed = await simplify(model, search.failed, mutation) ?? search.failed;
  const error = new ExplorationError(failed, report, replayed);
  if (options.html !== undefined) writePage(options.html, error);
  throw error;
}

/** The schedule to replay: the option, or the variable of the environment; empty is not set. */
function replayedSchedule(option: string | undefined): ReplayedSchedule | undefined {
  if (option) return { text: option, isFromEnvironment: false };
  const text = environment("BUSBAR_REPLAY");
  return text ? { text, isFromEnvironment: true } : undefined;
}

/** A search that a limit stopped before it was complete, or the replay of a single schedule. */
export class IncompleteError extends Error {
  /** Always `IncompleteError`. */
  override readonly name = "IncompleteError";
  /** The state of the search when it stopped. */
  readonly report: Report;

  /** @ignore Used by {@linkcode explore}. */
  constructor(report: Report, advice: string) {
    super(report.table === undefined ? formatIncomplete(report, advice) : formatPassed(report));
    this.report = report;
  }
}

/** Whether the model leaves the choice of schedules to the explorer. */
function isDefault({ strategy, preemptions }: AnyOptions): boolean {
  return strategy === undefined && preemptions === undefined;
}

function formatIncomplete(report: Report, advice: string): string {
  return `The search is incomplete: ${report.reason} (${visited(report, "executions")} ` +
    `executions, ${visited(report, "transitions")} transitions). ${advice}`;
}

/** A replay without a failure: the failure may be mended, or the schedule be of another test. */
function formatPassed({ reason, table }: Report): string {
  return `A replay is no search: ${reason}. If the failure is mended, explore without \`replay\` ` +
    `and BUSBAR_REPLAY; else the schedule is of another model.\n\n${table}`;
}

function strategyOf(options: AnyOptions): Strategy {
  const { strategy = "dpor", seed = 1, depth = 3, executions = 1000 } = options;
  if (options.replay !== undefined) return new Replay(options.replay);
  switch (options.preemptions === undefined ? strategy : "all") {
    case "all":
      return new Enumeration(options.preemptions);
    case "pct":
      return new Pct(depth, seed, executions);
    case "random":
      return new RandomWalk(seed, executions);
    case "dpor": {
      const dpor = new OptimalDpor(
        new Dependence(options.invariant !== undefined, options.timeouts === "ordered"),
      );
      if (!isDefault(options)) return dpor;
      const probes = [new Enumeration(0), new Enumeration(1), new Pct(depth, seed, Infinity)];
      return new Portfolio(dpor, probes);
    }
  }
}

/** How many transitions may be spent to simplify a failing schedule; some tenths of a second. */
const MAX_SIMPLIFY_TRANSITIONS = 300_000;

/**
 * Searches for a failure of the same kind with as few preemptions as possible, and then in as few
 * steps, until {@linkcode MAX_SIMPLIFY_TRANSITIONS} are spent. Their number, not a time limit, ends
 * it, so that the printed schedule is the same on every machine.
 */
async function simplify(
  options: AnyOptions,
  failed: FailedExecution,
  mutation: Mutation | undefined,
): Promise<FailedExecution | undefined> {
  if (options.replay !== undefined || options.strategy === "all" || failed.isOfSearch) {
    return undefined;
  }
  let left = MAX_SIMPLIFY_TRANSITIONS;
  const search = async (preemptions: number, maxExecutionSteps: number) => {
    const limits = { maxTransitions: left, timeLimitMs: Infinity };
    const search = new Search({ ...options, ...limits }, mutation);
    search.maxExecutionSteps = maxExecutionSteps;
    const { transitions } = await search.run(() => new Enumeration(preemptions));
    left -= transitions;
    return search.failed?.failure.kind === failed.failure.kind ? search.failed : undefined;
  };
  const switches = failed.steps.filter((step) => step.isSwitch).length;
  for (let preemptions = 0; preemptions < switches && left > 0; preemptions++) {
    let best = await search(preemptions, Infinity);
    if (best === undefined) continue;
    while (left > 0) {
      const shorter = await search(preemptions, best.steps.length - 1);
      if (shorter === undefined) break;
      best = shorter;
    }
    return best;
  }
  return undefined;
}

/** Writes the page; an error in writing is added to the failure, and must not hide it. */
function writePage(path: string | URL, error: ExplorationError): void {
  try {
    writeTextFile(path, error.toHtml());
  } catch (cause) {
    error.message += `\n\nThe page ${path} could not be written: ${(cause as Error).message}`;
  }
}
