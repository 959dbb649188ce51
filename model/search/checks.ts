/**
 * The code of the test that judges an execution: its invariant, its check and its conditions.
 *
 * @module
 */

import type { Execution } from "../machine/execution.ts";
import { isThenable } from "../machine/thenable.ts";
import { unrunText } from "../machine/unrun.ts";
import type { ExploreOptions, Results, Threads } from "../options.ts";
import type { Evidence } from "./evidence.ts";

/** The options that are such code. */
type Judges = Pick<ExploreOptions<unknown, Threads<unknown>>, "check" | "invariant">;

/** Judges the executions of one machine; what is wrong becomes the failure of the execution. */
export class Checks {
  readonly #execution: Execution;
  readonly #judges: Judges;
  readonly #evidence: Evidence;

  constructor(execution: Execution, judges: Judges, evidence: Evidence) {
    this.#execution = execution;
    this.#judges = judges;
    this.#evidence = evidence;
  }

  /** Runs the invariant, if there is one: after each step. */
  invariant(): void {
    const { invariant } = this.#judges;
    if (invariant !== undefined) this.#run("invariant", (state) => invariant(state));
  }

  /** Runs the check, and then the conditions that no execution has met: at the end. */
  end(): void | Promise<void> {
    const { check } = this.#judges;
    const execution = this.#execution;
    const results: Record<string, unknown> = {};
    for (const thread of execution.threads) if (thread) results[thread.name] = thread.result;
    // An execution without a step has been in one state only.
    if (execution.trace.length === 0) this.invariant();
    if (execution.failure !== undefined) return;
    const checking = check &&
      this.#run("check", (state) => check(state, results as Results<Threads<unknown>>), true);
    if (checking) return checking.then(() => this.#conditions(results));
    return this.#conditions(results);
  }

  #conditions(results: Record<string, unknown>): void {
    if (this.#execution.failure !== undefined) return;
    for (const [name, condition] of this.#evidence.unmet) {
      this.#run(
        `condition "${name}"`,
        (state) => {
          const isMet = condition(state, results as Results<Threads<unknown>>) as unknown;
          if (isThenable(isMet) || unrunText(isMet) !== undefined) return isMet;
          if (isMet) this.#evidence.met(name);
        },
      );
    }
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
    if (result === undefined) return;
    if (!isThenable(result)) return this.#judge(name, result);
    if (mayBeAsync) {
      return Promise.resolve(result).then(
        (value) => this.#judge(name, value),
        (error) => this.#fail(error),
      );
    }
    result.then(undefined, () => {});
    execution.fail({
      kind: "misuse",
      message: `The ${name} returned a promise, which nothing awaits: it must not be async`,
    });
  }

  /** Fails if the value says that the execution is wrong, or that nothing was judged. */
  #judge(name: string, value: unknown): void {
    if (value === false) {
      this.#execution.fail({ kind: "assertion", message: `The ${name} returned false` });
    }
    const unrun = unrunText(value);
    if (unrun !== undefined) {
      this.#execution.fail({ kind: "misuse", message: `The ${name} returned ${unrun}` });
    }
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#execution.fail({ kind: "assertion", message, cause: error });
  }
}
