/**
 * One search over one model: creates the machine, drives it as the strategy chooses, and stops at
 * the first failure.
 *
 * @module
 */

import { Calls } from "../interception/calls.ts";
import { handOver } from "../interception/hand_over.ts";
import { giveOwnStates } from "../interception/own_state.ts";
import { install, runningCalls, uninstall } from "../interception/intercept.ts";
import { nameState } from "../interception/state_names.ts";
import { formatViolation, historyOf, type Violation } from "../history.ts";
import { findViolation, SpecificationError } from "../linearizability.ts";
import { recheckAll } from "../machine/advance.ts";
import { isForced } from "../machine/entry.ts";
import { JOIN } from "../machine/kinds.ts";
import { type Execution, FOUND_TASKS } from "../machine/execution.ts";
import { Rechecks } from "../machine/recheck.ts";
import { Machine } from "../machine/machine.ts";
import { isThenable } from "../machine/thenable.ts";
import { SUSPENDED, type Thread } from "../machine/thread.ts";
import type { Body } from "../machine/thread_declaration.ts";
import { recordSleepers, removeLaterTimeouts } from "../machine/timeouts.ts";
import { now } from "../native.ts";
import { MutatedCalls, type Mutation } from "../mutation/mutated_calls.ts";
import type { ExploreOptions, Report, Threads } from "../options.ts";
import { collectedRejections, collectRejections, microtasks, stopCollecting } from "../platform.ts";
import {
  type FailedExecution,
  reportExecution,
  reportSearch,
  showExecution,
  type ShownExecution,
} from "../report/failed_execution.ts";
import { endlessFailure, isStuck, stuckFailure } from "../report/stuck_threads.ts";
import { formatTable } from "../report/table.ts";
import { Checks } from "./checks.ts";
import { Enumeration } from "./enumeration.ts";
import { Evidence, idleFailure } from "./evidence.ts";
import type { ReachedLimit } from "./limits.ts";
import { Progress } from "./progress.ts";
import type { Strategy } from "./strategy.ts";

/** The options of any model. */
export type AnyOptions = ExploreOptions<unknown, Threads<unknown>>;

/** The clock is read once in so many transitions; a power of two, less one. */
const CLOCK_MASK = 63;
/** Between executions, progress may be shown once in so many transitions. */
const PROGRESS_INTERVAL = 1024;
/** Tasks that threads leave behind are looked for once in so many executions, less one. */
const PROBE_MASK = 63;
/** The most rounds of a waiting loop that are looked ahead, by default. */
const SPIN_LIMIT = 1000;

/** What a search has visited. */
class Counts {
  executions = 0;
  pruned = 0;
  transitions = 0;
  longest = 0;
}

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** In place of a limit: the search must begin once more, with what is known about the threads. */
const again: unique symbol = Symbol();

/** What stopped a search, if it did not stop by itself. */
type Stop = ReachedLimit | typeof again | undefined;

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
  /** Whether all its executions together must show what the options ask for. */
  isWhole = false;
  readonly #progress = new Progress();
  readonly #options: AnyOptions;
  readonly #mutation: Mutation | undefined;
  readonly #maxSteps: number;
  readonly #ordersTimeouts: boolean;
  /** The number of threads of the model, without those that these spawn. */
  readonly #declared: number;
  readonly #machine: Machine;
  readonly #execution: Execution;
  readonly #evidence: Evidence;
  readonly #checks: Checks;
  /** The threads that can run in the present state. */
  readonly #enabled: Thread[] = [];
  /** What the search itself has visited, and what its probes have. */
  #main = new Counts();
  #probes = new Counts();
  /** The one of them to which the present execution belongs. */
  #counts = this.#main;
  /** The number of transitions from which progress may be shown again. */
  #nextProgress = 0;
  /** Whether a check, or a replay at the end of an execution, was awaited. */
  #awaitsChecks = false;
  /** The number of executions whose threads may have left tasks. */
  #unprobed = 0;
  /** Whether the time limit must be looked at, as much time may have passed. */
  #isClockDue = false;

  constructor(options: AnyOptions, mutation?: Mutation) {
    this.#options = options;
    this.#mutation = mutation;
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
    this.#evidence = new Evidence(options.reaches ?? {}, options.linearizable !== undefined);
    this.#checks = new Checks(this.#execution, options, this.#evidence, this.#declared);
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
    const { strategy, limit: reached } = await this.#runUntilKnown(newStrategy);
    this.#execution.rechecks.end();
    const ended = this.failed === undefined ? strategy.reason : undefined;
    let limit = reached;
    if (strategy instanceof Enumeration && strategy.isCut) {
      limit ??= {
        stoppedBy: "preemptions",
        reason: `schedules with more than ${this.#options.preemptions} preemptions were left out`,
      };
    }
    const reason = limit?.reason ?? ended;
    const isStopped = reason !== undefined || this.failed !== undefined;
    const shown = this.#shown;
    const coverage = this.#execution.reached;
    const { executions, transitions } = this.#probes;
    return {
      ...this.#main,
      ...(transitions === 0 ? {} : { probes: { executions, transitions } }),
      complete: strategy.isExhaustive && !isStopped,
      ...limit,
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
  ): Promise<{ readonly strategy: Strategy; readonly limit: ReachedLimit | undefined }> {
    const execution = this.#execution;
    for (let isFirst = true;; isFirst = false) {
      const strategy = newStrategy();
      const limit = await this.#runOnce(strategy, isFirst);
      if (limit !== again) return { strategy, limit };
      this.#machine.reset();
      execution.hasTasks = true;
      execution.foundTasks = false;
      this.#counts = this.#main = new Counts();
      this.#probes = new Counts();
    }
  }

  /** Searches with the globals replaced, and then looks at what the threads have left behind. */
  async #runOnce(strategy: Strategy, isFirst: boolean): Promise<Stop> {
    const execution = this.#execution;
    let stop: Stop;
    install(this.#callsOf(this.#machine));
    // A suspended asynchronous thread rejects promises that the code under test does not await.
    collectRejections(SUSPENDED);
    try {
      if (isFirst) this.#setUp();
      execution.rechecks = new Rechecks(Object.values(this.#options.threads) as Body[]);
      const start = this.#machine.start();
      if (start) await start;
      stop = await this.#search(strategy);
    } finally {
      uninstall();
      this.#progress.end();
    }
    const rejections = await collectedRejections();
    stopCollecting();
    if (stop === again || this.failed !== undefined) return stop;
    if (rejections.length === 0 || execution.catchesRejections) return stop;
    execution.catchesRejections = true;
    return again;
  }

  #callsOf(machine: Machine): Calls {
    const mutation = this.#mutation;
    return mutation === undefined ? new Calls(machine) : new MutatedCalls(machine, mutation);
  }

  /** Runs the setup of the test, and declares the threads. */
  #setUp(): void {
    const execution = this.#execution;
    const state = this.#options.setup();
    if (isThenable(state)) throw promisedState(state);
    nameState(state);
    execution.state = state;
    const { forThread, hasInstances } = handOver(state);
    execution.stateForThread = forThread;
    if (hasInstances) giveOwnStates(execution, this.#options.setup);
    for (const [name, body] of Object.entries(this.#options.threads)) {
      this.#machine.declare(name, body as Body);
      if (body instanceof AsyncFunction) execution.hasTasks = true;
    }
    for (const name of this.#options.mortal ?? []) {
      const victim = Object.keys(this.#options.threads).indexOf(name);
      const die = () => runningCalls("die").die(victim);
      this.#machine.declare(`death of ${name}`, die, victim);
    }
  }

  /**
   * Whether to look for tasks that threads have left behind. They cannot run before something is
   * awaited, so that many executions are looked at together, unless checks are awaited.
   */
  #mustProbe(): boolean {
    if (!this.#execution.isUnprobed) return false;
    return this.#awaitsChecks || (this.#unprobed++ & PROBE_MASK) === 0;
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
   * @returns The limit that stopped the search, if one did.
   */
  async #search(strategy: Strategy): Promise<Stop> {
    const execution = this.#execution;
    for (;;) {
      for (;;) {
        const thread = this.#choose(strategy);
        if (thread === undefined) break;
        const limit = this.#reachedLimitWithin();
        if (limit !== undefined) return limit;
        const entry = thread.announced!;
        const step = this.#machine.step(thread);
        if (step) {
          await step;
          this.#isClockDue = true;
        }
        this.#counts.transitions++;
        if (this.#ordersTimeouts) recordSleepers(thread, entry);
        strategy.advanced(entry, thread.log);
        if (execution.failure === undefined) this.#checks.invariant();
      }
      if (execution.isOutOfTime) return this.#reachedLimitWithin();
      if (this.#mustProbe() && await this.#hasLeftTasks()) return again;
      if (execution.failure === undefined) {
        const ended = this.#endExecution();
        if (ended) {
          this.#awaitsChecks = true;
          await ended;
        }
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
      if (keep < 0) {
        if (execution.isUnprobed && await this.#hasLeftTasks()) return again;
        this.#judgeWhole();
        return undefined;
      }
      while (execution.trace.length > keep) this.#machine.undo();
      this.#counts = strategy.isProbe ? this.#probes : this.#main;
      const limit = this.#reachedLimit();
      if (limit !== undefined) {
        return execution.isUnprobed && await this.#hasLeftTasks() ? again : limit;
      }
      if (this.#transitions < this.#nextProgress) continue;
      this.#nextProgress = this.#transitions + PROGRESS_INTERVAL;
      this.#progress.show(this.#executions, keep, strategy.fraction);
    }
  }

  /** Fails if all executions together lack something that was asked for. */
  #judgeWhole(): void {
    if (!this.isWhole) return;
    const failure = this.#evidence.failure(this.#executions);
    if (failure !== undefined) this.failed = reportSearch(this.#execution, failure);
  }

  /** The thread that makes the next transition; undefined if the execution is over. */
  #choose(strategy: Strategy): Thread | undefined {
    const execution = this.#execution;
    if (execution.failure !== undefined) return undefined;
    do {
      this.#collectEnabled();
    } while (this.#enabled.every((thread) => thread.isDeath) && this.#machine.forceYield());
    if (this.#enabled.every((thread) => thread.isDeath) && this.#isStuckAlive()) {
      this.#enabled.length = 0;
    }
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

  /** Whether threads can go on only if one dies, and none waits for that. */
  #isStuckAlive(): boolean {
    const { threads } = this.#execution;
    const living = threads.filter((thread) => thread !== undefined && isStuck(thread));
    return living.length > 0 && !living.some((thread) => {
      const entry = thread!.announced;
      return entry?.kind === JOIN && threads[entry.detail.child]?.isDeath;
    });
  }

  #collectEnabled(): void {
    const machine = this.#machine;
    const enabled = this.#enabled;
    const { threads } = this.#execution;
    if (this.#execution.hurried !== undefined) {
      const { hurried } = machine;
      if (hurried !== undefined) {
        enabled[0] = hurried;
        enabled.length = 1;
        return;
      }
    }
    // The array keeps its room: emptying it first would allocate for every transition.
    let count = 0;
    for (let i = 0; i < threads.length; i++) {
      const thread = threads[i];
      if (machine.isEnabled(thread)) enabled[count++] = thread;
    }
    if (enabled.length !== count) enabled.length = count;
    if (this.#ordersTimeouts) removeLaterTimeouts(enabled);
  }

  /** Looks at an execution in which no thread was chosen. */
  #endExecution(): void | Promise<void> {
    if (this.#enabled.length > 0) {
      this.#counts.pruned++;
      return;
    }
    const { threads, trace } = this.#execution;
    if (threads.some((thread) => thread !== undefined && isStuck(thread))) return this.#failStuck();
    if (trace.length > this.#counts.longest) this.#counts.longest = trace.length;
    if (this.#execution.rechecks.nextExecution()) {
      const rechecked = recheckAll(this.#execution);
      if (rechecked) return rechecked.then(() => this.#finish());
    }
    return this.#finish();
  }

  /** Checks an execution in which every thread has ended, and counts it. */
  #finish(): void | Promise<void> {
    if (this.#execution.failure !== undefined) return;
    // What a thread does before its first operation is the same in every execution.
    if (this.#executions === 0) {
      const idle = idleFailure(this.#execution.threads, this.#declared);
      if (idle !== undefined) return this.#execution.fail(idle);
    }
    const checked = this.#checks.end();
    return checked ? checked.then(() => this.#endChecked()) : this.#endChecked();
  }

  #endChecked(): void {
    const execution = this.#execution;
    if (execution.failure !== undefined) return;
    this.#evidence.look(execution);
    this.#checkLinearizable();
    if (execution.failure !== undefined) return;
    this.#counts.executions++;
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

  get #executions(): number {
    return this.#main.executions + this.#probes.executions;
  }

  get #transitions(): number {
    return this.#main.transitions + this.#probes.transitions;
  }

  /** The limit that stops the search between two executions, if one is reached. */
  #reachedLimit(): ReachedLimit | undefined {
    const { maxExecutions = 1_000_000 } = this.#options;
    if (this.#executions >= maxExecutions) {
      return { stoppedBy: "maxExecutions", reason: `stopped after ${maxExecutions} executions` };
    }
    return this.#reachedLimitWithin();
  }

  /** The limit that stops the search at once, if one is reached. */
  #reachedLimitWithin(): ReachedLimit | undefined {
    const { maxTransitions = Infinity, timeLimitMs } = this.#options;
    const transitions = this.#transitions;
    if (transitions >= maxTransitions) {
      return { stoppedBy: "maxTransitions", reason: `stopped after ${maxTransitions} transitions` };
    }
    const execution = this.#execution;
    if (execution.deadline === Infinity) return undefined;
    if ((transitions & CLOCK_MASK) !== 0 && !this.#isClockDue && !execution.isOutOfTime) {
      return undefined;
    }
    this.#isClockDue = false;
    if (now() < execution.deadline && !this.#checks.isLate) return undefined;
    const where = this.#checks.isLate ? ", in a check whose promise was not settled" : "";
    return { stoppedBy: "timeLimitMs", reason: `stopped after ${timeLimitMs} ms${where}` };
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
