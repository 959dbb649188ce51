/**
 * The search: drives a model through its schedules, and says what it found.
 *
 * @module
 */

import { Dependence } from "./dependence.ts";
import { OptimalDpor } from "./dpor.ts";
import { type Entry, PAUSE, WAKE } from "./entry.ts";
import { Enumeration } from "./enumerate.ts";
import type { AccessReport, Failure } from "./failure.ts";
import { install, uninstall } from "./intercept.ts";
import { MAX_THREADS } from "./clock.ts";
import { type Body, Machine, type Thread } from "./machine.ts";
import { now } from "./native.ts";
import { Pct, RandomWalk } from "./random.ts";
import { describe } from "./races.ts";
import { encodeSchedule, Replay } from "./replay.ts";
import type { Strategy } from "./strategy.ts";
import { formatTable, operationText, type Step, stepsOf } from "./table.ts";

/** The bodies of the threads, by name. */
// deno-lint-ignore no-explicit-any
export type Threads<State> = Readonly<Record<string, (state: State) => any>>;

/** What the threads returned, by name. */
export type Results<T> = {
  readonly [K in keyof T]: T[K] extends (...args: never[]) => infer R ? Awaited<R> : never;
};

/** How the schedules are chosen. */
export type StrategyName = "dpor" | "all" | "pct" | "random";

/** A model, and how far to explore it. */
export interface ExploreOptions<State, T extends Threads<State>> {
  /** Makes the shared memory, and whatever the threads are handed. Runs once. */
  readonly setup: () => State;
  /**
   * What each thread does, at most eight. A body is run many times over: it must depend on nothing
   * but its argument and shared memory, and change nothing else that another run could see.
   */
  readonly threads: T;
  /** Looks at the outcome of each execution; throws if it is wrong. */
  readonly check?: (state: State, results: Results<T>) => void | Promise<void>;
  /** Must hold after every step; it throws if not. It sees what was written atomically. */
  readonly invariant?: (state: State) => void;
  /**
   * `dpor` (default) visits one schedule of each set that cannot differ in outcome; `all` visits
   * every schedule; `pct` and `random` try `executions` random ones.
   */
  readonly strategy?: StrategyName;
  /** With `all`: the most times that a thread which could go on may be interrupted. */
  readonly preemptions?: number;
  /** With `pct` and `random`: chooses the schedules. Default 1. */
  readonly seed?: number;
  /** With `pct`: how many ordering constraints a bug may need. Default 3. */
  readonly depth?: number;
  /** With `pct` and `random`: how many schedules to try. Default 1000. */
  readonly executions?: number;
  /** Stop after so many executions. Default 1,000,000. */
  readonly maxExecutions?: number;
  /** Stop after so many transitions in all. Default: no limit. */
  readonly maxTransitions?: number;
  /** Stop after so many milliseconds. Default: no limit. */
  readonly timeLimitMs?: number;
  /** A single execution longer than this many transitions is a livelock. Default 10,000. */
  readonly maxSteps?: number;
  /** Accept a search that a limit has stopped; the report still says so. Default false. */
  readonly allowIncomplete?: boolean;
  /** Run just this schedule, as a failure printed it. */
  readonly replay?: string;
  /**
   * What a thread sees of time: nothing (`refuse`, the default: looking is an error), or a
   * `virtual` clock that stands still but for the timeouts that fire.
   */
  readonly clock?: "refuse" | "virtual";
  /** Report reads of bytes that nobody has written. Default false. */
  readonly reportUninitialised?: boolean;
  /** How often a thread may look again without a change before it counts as stuck. Default 100. */
  readonly spinLimit?: number;
  /** Collect the source lines of the operations that were reached. Default false. */
  readonly coverage?: boolean;
}

/** What a search has done. */
export interface Report {
  /** Executions that ran to their end. */
  readonly executions: number;
  /** Executions abandoned because an equivalent one was or will be visited. */
  readonly pruned: number;
  /** Operations performed, in all. */
  readonly transitions: number;
  /** Operations of the longest execution. */
  readonly longest: number;
  /** Whether every schedule that matters was visited. */
  readonly complete: boolean;
  /** If not complete: why. */
  readonly reason?: string;
  /** Milliseconds taken. */
  readonly elapsedMs: number;
  /** Source lines with atomic operations that were reached, if asked for. */
  readonly coverage?: readonly string[];
}

/** A schedule in which the model fails. */
export class ExplorationError extends Error {
  override readonly name = "ExplorationError";
  /** What is wrong. */
  readonly failure: Failure;
  /** The schedule, for `replay`. */
  readonly replay: string;
  /** The steps of that schedule. */
  readonly steps: readonly Step[];
  /** What the search had done by then. */
  readonly report: Report;

  /** Used by {@linkcode explore}. */
  constructor(
    failure: Failure,
    replay: string,
    steps: readonly Step[],
    threads: readonly string[],
    report: Report,
  ) {
    super(
      formatFailure(failure, replay, steps, threads, report),
      failure.cause === undefined ? {} : { cause: failure.cause },
    );
    this.failure = failure;
    this.replay = replay;
    this.steps = steps;
    this.report = report;
  }
}

function formatFailure(
  failure: Failure,
  replay: string,
  steps: readonly Step[],
  threads: readonly string[],
  report: Report,
): string {
  const parts = [`${failure.kind}: ${failure.message}`];
  for (const { thread, access, lines } of failure.accesses ?? []) {
    parts.push([`${thread}: ${access}`, ...lines.slice(0, 4).map((l) => `    at ${l}`)].join("\n"));
  }
  const switches = steps.filter((step) => step.isSwitch).length;
  parts.push(
    `Schedule: ${steps.length} steps, ${switches} switches (>), after ${report.executions} ` +
      "executions without failure",
    formatTable(steps, threads),
    `replay: "${replay}"`,
  );
  return parts.join("\n\n");
}

/**
 * Runs the threads of a model under every schedule that matters.
 *
 * The bodies are ordinary code: they use `Atomics`, typed arrays and `SharedArrayBuffer` by their
 * global names, and are neither changed nor informed.
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
 * @returns What was visited.
 * @throws {ExplorationError} If a schedule fails; its message shows the schedule.
 * @throws {IncompleteError} If a limit stopped the search and `allowIncomplete` is not set.
 */
export async function explore<State, T extends Threads<State>>(
  options: ExploreOptions<State, T>,
): Promise<Report> {
  const search = new Search(options as unknown as AnyOptions);
  const report = await search.run(strategyOf(options));
  if (search.failed === undefined) {
    if (!report.complete && !options.allowIncomplete && report.reason !== undefined) {
      throw new IncompleteError(report);
    }
    return report;
  }
  const shorter = await simplify(options as unknown as AnyOptions, search.failed);
  const { failure, replay, steps } = shorter ?? search.failed;
  throw new ExplorationError(failure, replay, steps, search.names, report);
}

/** A search that a limit stopped before it was complete. */
export class IncompleteError extends Error {
  override readonly name = "IncompleteError";

  /** Used by {@linkcode explore}. */
  constructor(
    /** What the search had done by then. */
    readonly report: Report,
  ) {
    super(
      `The search is incomplete: ${report.reason} (${report.executions} executions, ` +
        `${report.transitions} transitions). Raise the limit, make the model smaller, or accept ` +
        "it with `allowIncomplete: true`.",
    );
  }
}

type AnyOptions = ExploreOptions<unknown, Threads<unknown>>;

/** A failing execution. */
interface Failed {
  readonly failure: Failure;
  readonly replay: string;
  readonly steps: readonly Step[];
}

function strategyOf<S, T extends Threads<S>>(options: ExploreOptions<S, T>): Strategy {
  const { strategy = "dpor", seed = 1, depth = 3, executions = 1000 } = options;
  if (options.replay !== undefined) return new Replay(options.replay);
  switch (options.preemptions === undefined ? strategy : "all") {
    case "all":
      return new Enumeration(options.preemptions);
    case "pct":
      return new Pct(depth, seed, executions);
    case "random":
      return new RandomWalk(seed, executions);
    case "dpor":
      return new OptimalDpor(new Dependence(options.invariant !== undefined));
    default:
      throw new TypeError(
        `Cannot explore: expected strategy dpor, all, pct or random, received ${String(strategy)}`,
      );
  }
}

/** The same failure with as few preemptions as possible, if that is found quickly. */
async function simplify(options: AnyOptions, failed: Failed): Promise<Failed | undefined> {
  if (options.replay !== undefined || options.invariant !== undefined) return undefined;
  const switches = failed.steps.filter((step) => step.isSwitch).length;
  for (let bound = 0; bound < Math.min(switches, 4); bound++) {
    const search = new Search({ ...options, maxExecutions: 20_000, timeLimitMs: 1000 });
    await search.run(new Enumeration(bound));
    if (search.failed?.failure.kind === failed.failure.kind) return search.failed;
  }
  return undefined;
}

/** One search over one model. */
class Search {
  /** The failure that ended it. */
  failed: Failed | undefined;
  /** Names of the threads, for the report. */
  names: string[] = [];
  readonly #options: AnyOptions;
  readonly #machine: Machine;
  #executions = 0;
  #pruned = 0;
  #transitions = 0;
  #longest = 0;

  constructor(options: AnyOptions) {
    this.#options = options;
    const names = Object.keys(options.threads);
    if (names.length === 0 || names.length > MAX_THREADS) {
      throw new TypeError(
        `Cannot explore: expected 1 to ${MAX_THREADS} threads, received ${names.length}`,
      );
    }
    this.#machine = new Machine({
      clock: options.clock ?? "refuse",
      uninitialised: options.reportUninitialised ?? false,
      spinLimit: options.spinLimit ?? 100,
      coverage: options.coverage ?? false,
    });
  }

  async run(strategy: Strategy): Promise<Report> {
    const started = now();
    let reason: string | undefined;
    install(this.#machine);
    try {
      const machine = this.#machine;
      machine.state = freeze(this.#options.setup());
      for (const [name, body] of Object.entries(this.#options.threads)) {
        machine.declare(name, body as Body);
      }
      const start = machine.start();
      if (start) await start;
      reason = await this.#search(strategy, started);
    } finally {
      uninstall();
    }
    if (strategy instanceof Enumeration && strategy.isCut) {
      reason ??= `schedules with more than ${this.#options.preemptions} preemptions were left out`;
    }
    const stopped = reason !== undefined || this.failed !== undefined;
    const coverage = this.#machine.reached;
    return {
      executions: this.#executions,
      pruned: this.#pruned,
      transitions: this.#transitions,
      longest: this.#longest,
      complete: strategy.isExhaustive && !stopped,
      ...(reason === undefined ? {} : { reason }),
      elapsedMs: now() - started,
      ...(coverage === undefined ? {} : { coverage: [...new Set(coverage.values())].sort() }),
    };
  }

  /** @returns Why the search stopped early, if it did. */
  async #search(strategy: Strategy, started: number): Promise<string | undefined> {
    const machine = this.#machine;
    const {
      maxExecutions = 1_000_000,
      maxTransitions = Infinity,
      timeLimitMs = Infinity,
      maxSteps = 10_000,
      invariant,
    } = this.#options;
    const { threads, trace } = machine;
    const enabled: Thread[] = [];
    for (;;) {
      if (machine.failure !== undefined) return await this.#fail();
      enabled.length = 0;
      for (let i = 0; i < threads.length; i++) {
        const thread = threads[i];
        if (machine.isEnabled(thread)) enabled.push(thread);
      }
      if (enabled.length > 0) {
        if (trace.length >= maxSteps) {
          machine.failure = {
            kind: "livelock",
            message: `An execution has not ended after ${maxSteps} steps (maxSteps)`,
          };
          continue;
        }
        const thread = strategy.choose(machine, enabled);
        if (thread !== undefined) {
          const entry = thread.announced!;
          const step = machine.step(thread);
          if (step) await step;
          this.#transitions++;
          strategy.advanced(entry);
          if (invariant !== undefined && machine.failure === undefined) this.#hold(invariant);
          continue;
        }
        if (machine.failure !== undefined) continue;
        this.#pruned++;
      } else {
        if (machine.forcePause()) continue;
        if (threads.some((thread) => thread !== undefined && !thread.done)) {
          this.#deadlock();
          continue;
        }
        if (trace.length > this.#longest) this.#longest = trace.length;
        if (this.#options.check !== undefined) {
          const checked = this.#check();
          if (checked) await checked;
          if (machine.failure !== undefined) continue;
        }
        this.#executions++;
      }
      const keep = strategy.backtrack(machine);
      if (keep < 0) return undefined;
      while (trace.length > keep) machine.undo();
      if (this.#executions >= maxExecutions) return `stopped after ${maxExecutions} executions`;
      if (this.#transitions >= maxTransitions) return `stopped after ${maxTransitions} transitions`;
      if ((this.#executions & 63) === 0 && now() - started >= timeLimitMs) {
        return `stopped after ${timeLimitMs} ms`;
      }
    }
  }

  #check(): void | Promise<void> {
    const machine = this.#machine;
    const results: Record<string, unknown> = {};
    for (const thread of machine.threads) if (thread) results[thread.name] = thread.result;
    try {
      const checked = machine.aside(() =>
        this.#options.check!(machine.state, results as Results<Threads<unknown>>)
      );
      if (checked) return checked.catch((error) => this.#wrong(error));
    } catch (error) {
      this.#wrong(error);
    }
  }

  #hold(invariant: (state: unknown) => void): void {
    try {
      this.#machine.aside(() => invariant(this.#machine.state));
    } catch (error) {
      this.#wrong(error);
    }
  }

  #wrong(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#machine.failure = { kind: "assertion", message, cause: error };
  }

  /** Nothing can run: says who waits for what, and who wrote there last. */
  #deadlock(): void {
    const machine = this.#machine;
    const stuck = machine.threads.filter((t) => t !== undefined && !t.done) as Thread[];
    const spinning = stuck.every((thread) => thread.announced?.kind === PAUSE);
    const what = stuck.map((thread) => `${thread.name} ${this.#waitsFor(thread)}`);
    // The forced rounds of spinning tell nothing: go back to where they began.
    const first = machine.trace.findIndex((entry) => entry.forced);
    if (first >= 0) while (machine.trace.length > first) machine.undo();
    machine.failure = {
      kind: spinning ? "livelock" : "deadlock",
      message: `No thread can go on: ${what.join("; ")}`,
    };
  }

  #waitsFor(thread: Thread): string {
    const entry = thread.announced;
    const words = entry?.kind === WAKE
      ? [entry]
      : entry?.kind === PAUSE
      ? entry.watches!
      : thread.outstanding;
    if (words.length === 0) return "cannot go on";
    return (entry?.kind === PAUSE ? "spins on " : "sleeps on ") +
      words.map((word) => {
        const name = word.buffer!.nameOf(word.start, word.size);
        const last = this.#machine.trace.findLast((e) =>
          e.wrote && e.buffer === word.buffer && e.start < word.start + word.size &&
          word.start < e.start + e.size
        );
        return last === undefined
          ? `${name}, which no thread has written`
          : `${name}, last written by ${this.#machine.threads[last.thread]!.name}: ${
            operationText(last, this.#machine.threads)
          }`;
      }).join(" and ");
  }

  async #fail(): Promise<undefined> {
    const machine = this.#machine;
    const failure = machine.failure!;
    const { raced } = machine;
    const steps = await stepsOf(machine);
    let accesses: AccessReport[] | undefined;
    if (raced !== undefined && failure.kind.endsWith("race")) {
      accesses = [];
      for (const entry of [raced.first, raced.second]) {
        if (entry !== undefined) accesses.push(await this.#accessReport(entry));
      }
    }
    this.names = machine.threads.filter((t) => t !== undefined).map((t) => t.name);
    this.failed = {
      failure: accesses === undefined ? failure : { ...failure, accesses },
      replay: encodeSchedule(machine.trace),
      steps,
    };
    return undefined;
  }

  async #accessReport(entry: Entry): Promise<AccessReport> {
    const thread = this.#machine.threads[entry.thread]!;
    const captured = await this.#machine.capture(thread);
    const lines = captured[thread.log.lastIndexOf(entry)] ?? [];
    return { thread: thread.name, access: describe(entry), lines };
  }
}

/** Freezes plain objects and arrays, so that a body that changes them is told at once. */
function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
