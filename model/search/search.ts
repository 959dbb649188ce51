/**
 * One search over one model: creates the machine, drives it as the strategy chooses, and stops at
 * the first failure.
 *
 * @module
 */

import { install, uninstall } from "../interception/intercept.ts";
import { nameState } from "../interception/state_names.ts";
import { formatViolation, historyOf, type Violation } from "../history.ts";
import { findViolation, SpecificationError } from "../linearizability.ts";
import { isForced } from "../machine/entry.ts";
import { type Execution, FOUND_TASKS } from "../machine/execution.ts";
import { freeze } from "../machine/freeze.ts";
import { Machine } from "../machine/machine.ts";
import { isThenable } from "../machine/thenable.ts";
import { SUSPENDED, type Thread } from "../machine/thread.ts";
import type { Body } from "../machine/thread_declaration.ts";
import { recordSleepers, removeLaterTimeouts } from "../machine/timeouts.ts";
import { now } from "../native.ts";
import type { ExploreOptions, Report, Results, Threads } from "../options.ts";
import {
  collectedRejections,
  collectRejections,
  microtasks,
  stopCollecting,
  withinMs,
} from "../platform.ts";
import {
  type FailedExecution,
  reportExecution,
  showExecution,
  type ShownExecution,
} from "../report/failed_execution.ts";
import { threadsByStart } from "../report/schedule.ts";
import { endlessFailure, isStuck, stuckFailure } from "../report/stuck_threads.ts";
import { formatTable } from "../report/table.ts";
import { messageOf, valueText } from "../values.ts";
import { Enumeration } from "./enumeration.ts";
import { Progress } from "./progress.ts";
import type { Strategy } from "./strategy.ts";

/** The options of any model. */
export type AnyOptions = ExploreOptions<unknown, Threads<unknown>>;

/** The clock is read once in so many transitions; a power of two, less one. */
const CLOCK_MASK = 63;
/** Between executions, progress may be shown once in so many transitions. */
const PROGRESS_INTERVAL = 1024;
/** The most rounds of a waiting loop that are looked ahead, by default. */
const SPIN_LIMIT = 1000;

/** A check must settle in so many milliseconds. */
const MAX_CHECK_MS = 10_000;
const late: unique symbol = Symbol();

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** In place of a reason: the search must begin once more, with what is known about the threads. */
const again: unique symbol = Symbol();

/** Why a search stopped, if not by itself. */
type StopReason = string | typeof again | undefined;

/** One search over one model. */
export class Search {
  /** The failed execution that ended the search. */
  failed: FailedExecution | undefined = undefined;
  /** The execution that a strategy asked to show, if it did not fail. */
  #shown: ShownExecution | undefined = undefined;
  /** To be called at the end of each execution that did not fail. */
  onExecution: ((execution: Execution) => void) | undefined = undefined;
  /** Executions that would become longer than this are abandoned, and count as pruned. */
  maxExecutionSteps = Infinity;
  readonly #progress = new Progress();
  readonly #options: AnyOptions;
  readonly #maxSteps: number;
  readonly #ordersTimeouts: boolean;
  /** The number of threads of the model, without those that these spawn. */
  readonly #declared: number;
  readonly #machine: Machine;
  readonly #execution: Execution;
  /** The threads that can run in the present state. */
  readonly #enabled: Thread[] = [];
  #executions = 0;
  #pruned = 0;
  #transitions = 0;
  /** The number of transitions from which progress may be shown again. */
  #nextProgress = 0;
  #longest = 0;
  /** Whether the time limit was reached in a check that does not settle. */
  #isInCheck = false;
  /** Whether the time limit must be looked at, as much time may have passed. */
  #isClockDue = false;

  constructor(options: AnyOptions) {
    this.#options = options;
    this.#maxSteps = options.maxSteps ?? 10_000;
    this.#ordersTimeouts = options.timeouts === "ordered";
    this.#declared = Object.keys(options.threads).length;
    this.#machine = new Machine({
      clock: options.clock ?? "refuse",
      uninitialised: options.reportUninitialised ?? false,
      spinLimit: options.spinLimit ?? SPIN_LIMIT,
      maxSteps: this.#maxSteps,
      refusesPolling: options.polling === "refuse",
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
    this.#execution.deadline = started + (this.#options.timeLimitMs ?? Infinity);
    const { strategy, stopped } = await this.#runUntilKnown(newStrategy);
    let reason = stopped ?? (this.failed === undefined ? strategy.reason : undefined);
    if (strategy instanceof Enumeration && strategy.isCut) {
      reason ??= `schedules with more than ${this.#options.preemptions} preemptions were left out`;
    }
    const isStopped = reason !== undefined || this.failed !== undefined;
    const shown = this.#shown;
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
      ...(shown === undefined ? {} : {
        replay: shown.replay,
        steps: shown.steps,
        table: formatTable(shown.steps, shown.threads),
      }),
    };
  }

  /** Searches, and begins once more with what is found out about the threads. */
  async #runUntilKnown(
    newStrategy: () => Strategy,
  ): Promise<{ readonly strategy: Strategy; readonly stopped: string | undefined }> {
    const execution = this.#execution;
    for (let isFirst = true;; isFirst = false) {
      const strategy = newStrategy();
      const stopped = await this.#runOnce(strategy, isFirst);
      if (stopped !== again) return { strategy, stopped };
      this.#machine.reset();
      execution.hasTasks = true;
      execution.foundTasks = false;
      this.#executions = 0;
      this.#pruned = 0;
      this.#transitions = 0;
      this.#longest = 0;
    }
  }

  /** Searches with the globals replaced, and then looks at what the threads have left behind. */
  async #runOnce(strategy: Strategy, isFirst: boolean): Promise<StopReason> {
    const execution = this.#execution;
    let reason: StopReason;
    install(this.#machine);
    // A suspended asynchronous thread rejects promises that the code under test does not await.
    collectRejections(SUSPENDED);
    try {
      if (isFirst) this.#setUp();
      const start = this.#machine.start();
      if (start) await start;
      reason = await this.#search(strategy);
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
    const state = this.#options.setup();
    if (isThenable(state)) throw promisedState(state);
    execution.state = freeze(state);
    nameState(state);
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
  async #search(strategy: Strategy): Promise<StopReason> {
    const execution = this.#execution;
    const { invariant } = this.#options;
    for (;;) {
      for (;;) {
        const thread = this.#choose(strategy);
        if (thread === undefined) break;
        const reason = this.#reachedLimitWithin();
        if (reason !== undefined) return reason;
        const entry = thread.announced!;
        const step = this.#machine.step(thread);
        if (step) {
          await step;
          this.#isClockDue = true;
        }
        this.#transitions++;
        if (this.#ordersTimeouts) recordSleepers(thread, entry);
        strategy.advanced(entry, thread.log);
        if (invariant !== undefined && execution.failure === undefined) {
          this.#checkInvariant(invariant);
        }
      }
      if (execution.isOutOfTime) return this.#reachedLimitWithin();
      if (execution.isUnprobed && await this.#hasLeftTasks()) return again;
      if (execution.failure === undefined) {
        const ended = this.#endExecution();
        if (ended) await ended;
        if (execution.isOutOfTime) return this.#reachedLimitWithin();
      }
      if (execution.failure === undefined && strategy.isShown) {
        this.#shown = await showExecution(execution);
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
      if (this.#transitions < this.#nextProgress) continue;
      this.#nextProgress = this.#transitions + PROGRESS_INTERVAL;
      this.#progress.show(this.#executions, keep, strategy.fraction);
    }
  }

  /** The thread that makes the next transition; undefined if the execution is over. */
  #choose(strategy: Strategy): Thread | undefined {
    const execution = this.#execution;
    if (execution.failure !== undefined) return undefined;
    do {
      this.#collectEnabled();
    } while (this.#enabled.length === 0 && this.#machine.forceYield());
    if (this.#enabled.length === 0) return undefined;
    const steps = execution.trace.length;
    if (steps >= this.#maxSteps) {
      execution.fail(endlessFailure(execution, this.#maxSteps));
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
    if (this.#execution.hurried !== undefined) {
      const { hurried } = machine;
      if (hurried !== undefined) {
        enabled.push(hurried);
        return;
      }
    }
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
    const first = execution.trace.findIndex(isForced);
    if (first >= 0) { while (execution.trace.length > first) this.#machine.undo(); }
    execution.fail(failure);
  }

  /** Runs the check of the test. */
  #check(): void | Promise<void> {
    const { check } = this.#options;
    if (check === undefined) return;
    const execution = this.#execution;
    const results = this.#results();
    try {
      const checked = execution.runUntracked(() =>
        check(execution.state, results as Results<Threads<unknown>>)
      );
      if (isThenable(checked)) {
        const leftMs = Math.max(0, execution.deadline - now());
        return withinMs(checked, Math.min(leftMs, MAX_CHECK_MS), late).then(
          (value) =>
            value === late
              ? this.#stopInCheck(leftMs <= MAX_CHECK_MS)
              : this.#judge("Check", value),
          (error) => this.#failAssertion(error),
        );
      }
      this.#judge("Check", checked);
    } catch (error) {
      this.#failAssertion(error);
    }
  }

  /** Stops as the promise of a check is not settled: the time limit is reached, or another one. */
  #stopInCheck(isOutOfTime: boolean): void {
    const execution = this.#execution;
    this.#isInCheck = execution.isOutOfTime = isOutOfTime;
    if (isOutOfTime) return;
    execution.fail({
      kind: "misuse",
      message: `Check returned a promise that was not settled after ${MAX_CHECK_MS} ms: expected ` +
        "one that is. Threads do not run during a check: await nothing that they would do",
    });
  }

  /** The results of the threads, in the order of their starts. */
  #results(): Record<string, unknown> {
    const { threads, trace } = this.#execution;
    if (threads.length > this.#declared) {
      const order = threadsByStart(threads, trace);
      return Object.fromEntries(order.map((id) => [threads[id]!.name, threads[id]!.result]));
    }
    const results: Record<string, unknown> = {};
    for (const thread of threads) results[thread!.name] = thread!.result;
    return results;
  }

  #checkInvariant(invariant: (state: unknown) => unknown): void {
    const execution = this.#execution;
    try {
      this.#judge("The invariant", execution.runUntracked(() => invariant(execution.state)));
    } catch (error) {
      this.#failAssertion(error);
    }
  }

  /** Fails unless a check or an invariant returned that all is right. */
  #judge(name: string, value: unknown): void {
    if (value === undefined || value === true) return;
    if (value === false) {
      return this.#execution.fail({ kind: "assertion", message: `${name} returned false` });
    }
    const text = isThenable(value) ? "a promise" : valueText(value);
    this.#execution.fail({
      kind: "misuse",
      message:
        `${name} returned ${text}: expected nothing or true if all is right, false if not. ` +
        "If the value means nothing, write void before the expression",
    });
  }

  #failAssertion(error: unknown): void {
    const message = this.#execution.runUntracked(() => messageOf(error));
    this.#execution.fail({ kind: "assertion", message, cause: error });
  }

  /** Fails if the specification allows no order of the recorded calls. */
  #checkLinearizable(): void {
    const { linearizable } = this.#options;
    if (linearizable === undefined) return;
    const { trace, threads } = this.#execution;
    const history = historyOf(trace, threads);
    let violation: Violation | undefined;
    try {
      violation = this.#execution.runUntracked(() => findViolation(history, linearizable));
    } catch (error) {
      if (!(error instanceof SpecificationError)) throw error;
      const { message, cause } = error;
      return this.#execution.fail({ kind: "misuse", message, cause });
    }
    if (violation === undefined) return;
    this.#execution.fail({
      kind: "not linearizable",
      message: "no order of these calls has these results:\n\n" +
        formatViolation(history, violation),
    });
  }

  /** Why the search must stop between two executions, if a limit is reached. */
  #reachedLimit(): string | undefined {
    const { maxExecutions = 1_000_000 } = this.#options;
    if (this.#executions >= maxExecutions) return `stopped after ${maxExecutions} executions`;
    return this.#reachedLimitWithin();
  }

  /** Why the search must stop at once, if a limit is reached. */
  #reachedLimitWithin(): string | undefined {
    const { maxTransitions = Infinity, timeLimitMs } = this.#options;
    if (this.#transitions >= maxTransitions) return `stopped after ${maxTransitions} transitions`;
    const execution = this.#execution;
    if (execution.deadline === Infinity) return undefined;
    if ((this.#transitions & CLOCK_MASK) !== 0 && !this.#isClockDue && !execution.isOutOfTime) {
      return undefined;
    }
    this.#isClockDue = false;
    if (now() < execution.deadline && !this.#isInCheck) return undefined;
    return `stopped after ${timeLimitMs} ms` +
      (this.#isInCheck ? ", in a check whose promise was not settled" : "");
  }
}

/** The error of a setup that returned a promise, whose own error is of no interest then. */
function promisedState(state: PromiseLike<unknown>): TypeError {
  state.then(undefined, () => {});
  return new TypeError(
    "Cannot explore: expected setup to return the state of the threads, received a promise. " +
      "Setup is not asynchronous: await what it needs before explore",
  );
}
