/**
 * One search over one model: creates the machine, drives it as the strategy chooses, and stops at
 * the first failure.
 *
 * @module
 */

import { install, uninstall } from "../interception/intercept.ts";
import { nameState } from "../interception/state_names.ts";
import { formatHistory, historyOf, isLinearizable } from "../linearizability.ts";
import { MAX_THREADS } from "../machine/clock.ts";
import { isForcedPause } from "../machine/entry.ts";
import { type Execution, FOUND_TASKS } from "../machine/execution.ts";
import { freeze } from "../machine/freeze.ts";
import { Machine } from "../machine/machine.ts";
import { SUSPENDED, type Thread } from "../machine/thread.ts";
import { recordSleepers, removeLaterTimeouts } from "../machine/timeouts.ts";
import type { Body } from "../machine/thread_declaration.ts";
import { now } from "../native.ts";
import type { ExploreOptions, Report, Results, Threads } from "../options.ts";
import { collectedRejections, collectRejections, microtasks, stopCollecting } from "../platform.ts";
import { type FailedExecution, reportExecution } from "../report/failed_execution.ts";
import { isStuck, stuckFailure } from "../report/stuck_threads.ts";
import { Enumeration } from "./enumeration.ts";
import { Progress } from "./progress.ts";
import type { Strategy } from "./strategy.ts";

/** The options of any model. */
export type AnyOptions = ExploreOptions<unknown, Threads<unknown>>;

/** The clock is read once in so many executions; a power of two, less one. */
const CLOCK_MASK = 63;

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** In place of a reason: the search must begin once more, with what is known about the threads. */
const again = Symbol();

/** Why a search stopped, if not by itself. */
type StopReason = string | typeof again | undefined;

/** One search over one model. */
export class Search {
  /** The failed execution that ended the search. */
  failed: FailedExecution | undefined = undefined;
  /** To be called at the end of each execution that did not fail. */
  onExecution: ((execution: Execution) => void) | undefined = undefined;
  /** Executions that would become longer than this are abandoned, and count as pruned. */
  maxExecutionSteps = Infinity;
  readonly #progress = new Progress();
  readonly #options: AnyOptions;
  readonly #maxSteps: number;
  readonly #ordersTimeouts: boolean;
  readonly #machine: Machine;
  readonly #execution: Execution;
  /** The threads that can run in the present state. */
  readonly #enabled: Thread[] = [];
  #executions = 0;
  #pruned = 0;
  #transitions = 0;
  #longest = 0;

  /** @throws {TypeError} If the model has no threads, or too many. */
  constructor(options: AnyOptions) {
    this.#options = options;
    this.#maxSteps = options.maxSteps ?? 10_000;
    this.#ordersTimeouts = options.timeouts === "ordered";
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
    this.#execution = this.#machine.execution;
  }

  /**
   * Searches until the strategy ends, an execution fails, or a limit is reached.
   *
   * @param newStrategy Creates the strategy; called again if the search has to begin once more.
   */
  async run(newStrategy: () => Strategy): Promise<Report> {
    // The caller runs on, and may set a timer, say, before the globals are replaced.
    await microtasks();
    const started = now();
    const execution = this.#execution;
    let strategy = newStrategy();
    let reason = await this.#runOnce(strategy, started, true);
    while (reason === again) {
      this.#machine.reset();
      execution.hasTasks = true;
      execution.foundTasks = false;
      this.#executions =
        this.#pruned =
        this.#transitions =
        this.#longest =
          0;
      strategy = newStrategy();
      reason = await this.#runOnce(strategy, started, false);
    }
    if (strategy instanceof Enumeration && strategy.isCut) {
      reason ??= `schedules with more than ${this.#options.preemptions} preemptions were left out`;
    }
    const isStopped = reason !== undefined || this.failed !== undefined;
    const coverage = this.#execution.reached;
    return {
      executions: this.#executions,
      pruned: this.#pruned,
      transitions: this.#transitions,
      longest: this.#longest,
      complete: strategy.isExhaustive && !isStopped,
      ...(reason === undefined ? {} : { reason }),
      elapsedMs: now() - started,
      ...(coverage === undefined ? {} : { coverage: [...new Set(coverage.values())].sort() }),
    };
  }

  /** Searches with the globals replaced, and then looks at what the threads have left behind. */
  async #runOnce(strategy: Strategy, started: number, isFirst: boolean): Promise<StopReason> {
    const execution = this.#execution;
    let reason: StopReason;
    install(this.#machine);
    // A suspended asynchronous thread rejects promises that the code under test does not await.
    collectRejections(SUSPENDED);
    try {
      if (isFirst) this.#setUp();
      const start = this.#machine.start();
      if (start) await start;
      reason = await this.#search(strategy, started);
    } finally {
      uninstall();
      this.#progress.end();
    }
    const rejections = await collectedRejections();
    stopCollecting();
    if (reason === again || this.failed !== undefined) return reason;
    if (rejections.length === 0 || execution.catchesRejections) return reason;
    execution.catchesRejections = true;
    return again;
  }

  /** Runs the setup of the test, and declares the threads. */
  #setUp(): void {
    const execution = this.#execution;
    execution.state = freeze(this.#options.setup());
    nameState(execution.state);
    for (const [name, body] of Object.entries(this.#options.threads)) {
      this.#machine.declare(name, body as Body);
      if (body instanceof AsyncFunction) execution.hasTasks = true;
    }
  }

  /** Whether threads have left tasks behind: they would run now, and are suspended. */
  async #hasLeftTasks(): Promise<boolean> {
    const execution = this.#execution;
    if (execution.hasTasks) return false;
    execution.isProbing = true;
    await microtasks();
    execution.isProbing = false;
    execution.isUnprobed = false;
    return execution.foundTasks || execution.failure === FOUND_TASKS;
  }

  /**
   * Runs one execution after the other.
   *
   * @returns Why the search stopped early, if a limit stopped it.
   */
  async #search(strategy: Strategy, started: number): Promise<StopReason> {
    const execution = this.#execution;
    const { invariant } = this.#options;
    for (;;) {
      for (;;) {
        const thread = this.#choose(strategy);
        if (thread === undefined) break;
        const entry = thread.announced!;
        const step = this.#machine.step(thread);
        if (step) await step;
        this.#transitions++;
        if (this.#ordersTimeouts) recordSleepers(thread, entry);
        strategy.advanced(entry, thread.log);
        if (invariant !== undefined && execution.failure === undefined) {
          this.#checkInvariant(invariant);
        }
      }
      if (execution.isUnprobed && await this.#hasLeftTasks()) return again;
      if (execution.failure === undefined) {
        const ended = this.#endExecution();
        if (ended) await ended;
      }
      if (execution.failure !== undefined) {
        if (await this.#hasLeftTasks()) return again;
        this.failed = await reportExecution(execution);
        return undefined;
      }
      const keep = strategy.backtrack();
      if (keep < 0) return undefined;
      while (execution.trace.length > keep) this.#machine.undo();
      const reason = this.#reachedLimit();
      if (reason !== undefined) return reason;
      if (((this.#executions + this.#pruned) & CLOCK_MASK) !== 0) continue;
      const { timeLimitMs = Infinity } = this.#options;
      if (now() - started >= timeLimitMs) return `stopped after ${timeLimitMs} ms`;
      this.#progress.show(this.#executions, keep, strategy.fraction);
    }
  }

  /** The thread that makes the next transition; undefined if the execution is over. */
  #choose(strategy: Strategy): Thread | undefined {
    const execution = this.#execution;
    if (execution.failure !== undefined) return undefined;
    do {
      this.#collectEnabled();
    } while (this.#enabled.length === 0 && this.#machine.forcePause());
    if (this.#enabled.length === 0) return undefined;
    const steps = execution.trace.length;
    if (steps >= this.#maxSteps) {
      execution.fail({
        kind: "livelock",
        message: `An execution has not ended after ${this.#maxSteps} steps (maxSteps)`,
      });
      return undefined;
    }
    if (steps >= this.maxExecutionSteps) return undefined;
    const thread = strategy.choose(this.#enabled, execution);
    if (thread === undefined && strategy.problem !== undefined) {
      execution.fail({ kind: "misuse", message: strategy.problem });
    }
    return thread;
  }

  #collectEnabled(): void {
    const machine = this.#machine;
    const enabled = this.#enabled;
    const { threads } = this.#execution;
    enabled.length = 0;
    for (let i = 0; i < threads.length; i++) {
      const thread = threads[i];
      if (machine.isEnabled(thread)) enabled.push(thread);
    }
    if (this.#ordersTimeouts) removeLaterTimeouts(enabled);
  }

  /** Checks an execution in which no thread was chosen, and counts it. */
  #endExecution(): void | Promise<void> {
    if (this.#enabled.length > 0) {
      this.#pruned++;
      return;
    }
    const { threads, trace } = this.#execution;
    if (threads.some((thread) => thread !== undefined && isStuck(thread))) return this.#failStuck();
    if (trace.length > this.#longest) this.#longest = trace.length;
    const checked = this.#check();
    return checked ? checked.then(() => this.#endChecked()) : this.#endChecked();
  }

  #endChecked(): void {
    const execution = this.#execution;
    if (execution.failure !== undefined) return;
    this.#checkLinearizable();
    if (execution.failure !== undefined) return;
    this.#executions++;
    this.onExecution?.(execution);
  }

  /** Fails as no thread can run. */
  #failStuck(): void {
    const execution = this.#execution;
    const failure = stuckFailure(execution);
    // The forced rounds of spinning explain nothing: the report ends before the first of them.
    const first = execution.trace.findIndex(isForcedPause);
    if (first >= 0) { while (execution.trace.length > first) this.#machine.undo(); }
    execution.fail(failure);
  }

  /** Runs the check of the test. */
  #check(): void | Promise<void> {
    const { check } = this.#options;
    if (check === undefined) return;
    const execution = this.#execution;
    const results: Record<string, unknown> = {};
    for (const thread of execution.threads) if (thread) results[thread.name] = thread.result;
    try {
      const checked = execution.runUntracked(() =>
        check(execution.state, results as Results<Threads<unknown>>)
      );
      if (checked) return checked.catch((error) => this.#failAssertion(error));
    } catch (error) {
      this.#failAssertion(error);
    }
  }

  #checkInvariant(invariant: (state: unknown) => void): void {
    const execution = this.#execution;
    try {
      execution.runUntracked(() => invariant(execution.state));
    } catch (error) {
      this.#failAssertion(error);
    }
  }

  #failAssertion(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#execution.fail({ kind: "assertion", message, cause: error });
  }

  /** Fails if the specification allows no order of the recorded calls. */
  #checkLinearizable(): void {
    const { linearizable } = this.#options;
    if (linearizable === undefined) return;
    const { trace, threads } = this.#execution;
    const history = historyOf(trace, threads);
    if (isLinearizable(history, linearizable)) return;
    this.#execution.fail({
      kind: "not linearizable",
      message: `no order of these calls has these results:\n\n${formatHistory(history)}`,
    });
  }

  /** Why the search must stop, if a limit on its size is reached. */
  #reachedLimit(): string | undefined {
    const { maxExecutions = 1_000_000, maxTransitions = Infinity } = this.#options;
    if (this.#executions >= maxExecutions) return `stopped after ${maxExecutions} executions`;
    if (this.#transitions >= maxTransitions) return `stopped after ${maxTransitions} transitions`;
    return undefined;
  }
}
