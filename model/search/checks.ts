/**
 * The code of the test that judges an execution: its invariant, its check and its conditions.
 *
 * @module
 */

import type { Execution } from "../machine/execution.ts";
import { isThenable } from "../machine/thenable.ts";
import { unrunText } from "../machine/unrun.ts";
import type { ExploreOptions, Results, Threads } from "../options.ts";
import { threadsByStart } from "../report/schedule.ts";
import { withinMs } from "../platform.ts";
import { now } from "../native.ts";
import { messageOf, valueText } from "../values.ts";
import type { Evidence } from "./evidence.ts";

/** A check must settle in so many milliseconds. */
const MAX_CHECK_MS = 10_000;
const late: unique symbol = Symbol();

/** The options that are such code. */
type Judges = Pick<ExploreOptions<unknown, Threads<unknown>>, "check" | "invariant">;

/** Judges the executions of one machine; what is wrong becomes the failure of the execution. */
export class Checks {
  /** Whether the promise of a check was not settled in time. */
  isLate = false;
  readonly #execution: Execution;
  readonly #judges: Judges;
  readonly #evidence: Evidence;
  readonly #declared: number;

  /** @param declared The number of threads of the model, without those that these spawn. */
  constructor(execution: Execution, judges: Judges, evidence: Evidence, declared: number) {
    this.#declared = declared;
    this.#execution = execution;
    this.#judges = judges;
    this.#evidence = evidence;
  }

  /** Runs the invariant, if there is one: after each step. */
  invariant(): void {
    const { invariant } = this.#judges;
    if (invariant !== undefined) this.#run("The invariant", (state) => invariant(state));
  }

  /** Runs the check, and then the conditions that no execution has met: at the end. */
  end(): void | Promise<void> {
    const { check } = this.#judges;
    const execution = this.#execution;
    // An execution without a step has been in one state only.
    if (execution.trace.length === 0) this.invariant();
    if (execution.failure !== undefined) return;
    if (check === undefined && this.#evidence.unmet.size === 0) return;
    const results = this.#results();
    const checking = check &&
      this.#run("Check", (state) => check(state, results as Results<Threads<unknown>>), true);
    if (checking) return checking.then(() => this.#conditions(results));
    return this.#conditions(results);
  }

  #conditions(results: Record<string, unknown>): void {
    if (this.#execution.failure !== undefined || this.#execution.isOutOfTime) return;
    for (const [name, condition] of this.#evidence.unmet) {
      this.#run(
        `Condition "${name}"`,
        (state) => {
          const isMet = condition(state, results as Results<Threads<unknown>>) as unknown;
          if (isMet === true) this.#evidence.met(name);
          // Not met is not wrong; anything but a boolean is.
          return isMet === false ? true : isMet;
        },
      );
    }
  }

  /** The results of the threads, in the order of their starts. */
  #results(): Record<string, unknown> {
    const { threads, trace } = this.#execution;
    if (threads.length > this.#declared) {
      const order = threadsByStart(threads, trace).filter((id) => !threads[id]!.isDeath);
      return Object.fromEntries(order.map((id) => [threads[id]!.name, threads[id]!.result]));
    }
    const results: Record<string, unknown> = {};
    for (const thread of threads) results[thread!.name] = thread!.result;
    return results;
  }

  /** Runs code of the test, and looks at what it returns. */
  #run(name: string, code: (state: unknown) => unknown, mayBeAsync = false): void | Promise<void> {
    const execution = this.#execution;
    let result: unknown;
    try {
      result = execution.runUntracked(() => code(execution.state));
    } catch (error) {
      return this.#fail(error);
    }
    if (!isThenable(result)) return this.#judge(name, result);
    if (mayBeAsync) {
      const leftMs = Math.max(0, execution.deadline - now());
      return withinMs(result, Math.min(leftMs, MAX_CHECK_MS), late).then(
        (value) =>
          value === late ? this.#stop(name, leftMs <= MAX_CHECK_MS) : this.#judge(name, value),
        (error) => this.#fail(error),
      );
    }
    // Whether it is rejected is of no interest then.
    Promise.resolve(result).catch(() => {});
    this.#judge(name, result);
  }

  /** Stops as the promise of a check is not settled: the time limit is reached, or another one. */
  #stop(name: string, isOutOfTime: boolean): void {
    const execution = this.#execution;
    this.isLate = execution.isOutOfTime = isOutOfTime;
    if (isOutOfTime) return;
    execution.fail({
      kind: "misuse",
      message:
        `${name} returned a promise that was not settled after ${MAX_CHECK_MS} ms: expected ` +
        "one that is. Threads do not run during a check: await nothing that they would do",
    });
  }

  /** Fails unless a check, an invariant or a condition returned that all is right. */
  #judge(name: string, value: unknown): void {
    if (value === undefined || value === true) return;
    if (value === false) {
      return this.#execution.fail({ kind: "assertion", message: `${name} returned false` });
    }
    const text = unrunText(value) ?? (isThenable(value) ? "a promise" : valueText(value));
    this.#execution.fail({
      kind: "misuse",
      message:
        `${name} returned ${text}; expected nothing or true if all is right, false if not. ` +
        "If the value means nothing, write void before the expression",
    });
  }

  #fail(error: unknown): void {
    const message = this.#execution.runUntracked(() => messageOf(error));
    this.#execution.fail({ kind: "assertion", message, cause: error });
  }
}
