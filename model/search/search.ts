/**
 * One search over one model: makes the machine, drives it as the strategy says, and stops at the
 * first failure.
 *
 * @module
 */

import { MAX_THREADS } from "../machine/clock.ts";
import { type Entry, LAST_OPERATION, PAUSE, WAKE } from "../machine/entry.ts";
import { Enumeration } from "./enumeration.ts";
import type { AccessReport, Failure } from "../failure.ts";
import { install, uninstall } from "../interception/intercept.ts";
import { freeze } from "../machine/freeze.ts";
import { formatHistory, historyOf, isLinearizable } from "../linearizability.ts";
import { Machine } from "../machine/machine.ts";
import { now } from "../native.ts";
import type { ExploreOptions, Report, Results, Threads } from "../options.ts";
import { Progress } from "./progress.ts";
import { describe } from "../machine/races.ts";
import { encodeSchedule } from "./replay.ts";
import type { Strategy } from "./strategy.ts";
import type { Body, Thread } from "../machine/thread.ts";
import { operationText, type Step, stepsOf } from "../report/table.ts";

/** The options of any model. */
export type AnyOptions = ExploreOptions<unknown, Threads<unknown>>;

/** A failing execution. */
export interface Failed {
  readonly failure: Failure;
  readonly replay: string;
  readonly steps: readonly Step[];
}

/** One search over one model. */
export class Search {
  /** The failure that ended it. */
  failed: Failed | undefined;
  /** Names of the threads, for the report. */
  names: string[] = [];
  /** Called at the end of each execution that did not fail. */
  onExecution: ((machine: Machine) => void) | undefined;
  /** Executions that would become longer than this are abandoned, and do not count. */
  cutoff = Infinity;
  readonly #progress = new Progress();
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
    // Lets the caller go on, which may set a timer, say, before the globals are replaced.
    await undefined;
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
      this.#progress.end();
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
        const thread = trace.length >= this.cutoff ? undefined : strategy.choose(machine, enabled);
        if (thread !== undefined) {
          const entry = thread.announced!;
          const step = machine.step(thread);
          if (step) await step;
          this.#transitions++;
          strategy.advanced(entry, thread.log);
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
        this.#explainHistory();
        if (machine.failure !== undefined) continue;
        this.#executions++;
        this.onExecution?.(machine);
      }
      const keep = strategy.backtrack(machine);
      if (keep < 0) return undefined;
      while (trace.length > keep) machine.undo();
      if (this.#executions >= maxExecutions) return `stopped after ${maxExecutions} executions`;
      if (this.#transitions >= maxTransitions) return `stopped after ${maxTransitions} transitions`;
      if (((this.#executions + this.#pruned) & 63) !== 0) continue;
      if (now() - started >= timeLimitMs) return `stopped after ${timeLimitMs} ms`;
      this.#progress.show(this.#executions, keep, strategy.fraction);
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

  /** Fails if no order of the recorded calls is one that the specification allows. */
  #explainHistory(): void {
    const { linearizable } = this.#options;
    if (linearizable === undefined) return;
    const { trace, threads } = this.#machine;
    const history = historyOf(trace, threads);
    if (isLinearizable(history, linearizable)) return;
    this.#machine.failure = {
      kind: "not linearizable",
      message: `no order of these calls has these results:\n\n${formatHistory(history)}`,
    };
  }

  /** Nothing can run: says who waits for what, and who wrote there last. */
  #deadlock(): void {
    const machine = this.#machine;
    const stuck = machine.threads.filter((t) => t !== undefined && !t.done) as Thread[];
    const spinning = stuck.every((thread) => thread.announced?.kind === PAUSE);
    const what = stuck.map((thread) => `${thread.name} ${this.#waitsFor(thread)}`);
    // The forced rounds of spinning tell nothing: go back to where they began.
    const first = machine.trace.findIndex((entry) => entry.forced);
    if (first >= 0) { while (machine.trace.length > first) machine.undo(); }
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
    const index = thread.log.lastIndexOf(entry);
    const operation = thread.log.slice(0, index + 1).findLast((e) => e.kind <= LAST_OPERATION);
    return {
      thread: thread.name,
      access: describe(entry),
      step: operation === undefined ? 0 : this.#machine.trace.lastIndexOf(operation) + 1,
      lines: captured[index] ?? [],
    };
  }
}
