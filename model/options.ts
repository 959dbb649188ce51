/**
 * Options and results of an exploration.
 *
 * @module
 */

import type { Step } from "./report/steps.ts";
import type { Specification } from "./specification.ts";

/** The bodies of the threads, by the threads' names. */
// deno-lint-ignore no-explicit-any
export type Threads<State> = Readonly<Record<string, (state: State) => any>>;

/** The results of the threads, by their names. */
export type Results<T> = {
  readonly [K in keyof T]: T[K] extends (...args: never[]) => infer R ? Awaited<R> : never;
};

/** The ways to choose schedules; see {@linkcode ExploreOptions.strategy}. */
export type StrategyName = "dpor" | "all" | "pct" | "random";

/** A model, and the bounds of its exploration. */
export interface ExploreOptions<State, T extends Threads<State>> {
  /**
   * Creates the shared memory, and returns the argument of all threads. It is not asynchronous:
   * what it needs can be awaited before. It may run again, and must do the same then: for the
   * search of a simpler schedule, and where it makes objects of classes.
   *
   * Threads get what workers could have. Views and shared buffers are the same for all. Plain
   * objects, arrays and objects of classes are frozen; private fields cannot be, but what a thread
   * leaves in one for another is found, as the first executions are repeated with other objects.
   * Maps, sets, dates, regular expressions and memory that is not shared are copied for each run of
   * a body. Functions and promises are refused, and so is what would have to be copied inside an
   * object of a class: create such objects in the body, from the shared memory, as a worker does.
   */
  readonly setup: () => State;
  /**
   * The bodies of one to eight threads. A body runs many times: it must depend on nothing but its
   * argument and shared memory, and must change nothing else that another run could see.
   */
  readonly threads: T;
  /**
   * Checks the outcome of each execution: must throw or return false if it is wrong, and return
   * nothing or true if it is right. Any other value is refused, as it may be the result of a
   * condition. Plain objects and arrays that threads return are frozen: use `toSorted`, not `sort`.
   */
  readonly check?: (
    state: State,
    results: Results<T>,
  ) => void | boolean | Promise<void | boolean>;
  /**
   * Checks the state after each step, as `check` checks the outcome, but is not asynchronous. It
   * must depend only on words that are written atomically.
   */
  readonly invariant?: (state: State) => void | boolean;
  /**
   * Conditions by name, each of which must hold at the end of at least one execution: that the slow
   * path is taken, say, so that the search does not pass because it never is. They are looked at
   * where `check` has passed, each until it holds, and judged when the search ends by itself.
   */
  readonly reaches?: Readonly<Record<string, (state: State, results: Results<T>) => boolean>>;
  /**
   * The names of threads that may die before any of their operations, as a worker that is
   * terminated and a process that is killed do: they do nothing more, not even in a `finally`. All
   * points of death are explored. Another thread learns of it by `awaitDeath`. A thread that died
   * has no result.
   */
  readonly mortal?: readonly (keyof T & string)[];
  /** The sequential specification of the calls that threads make with `record`. */
  // deno-lint-ignore no-explicit-any
  readonly linearizable?: Specification<any>;
  /**
   * `dpor` visits one schedule of each set that differs only in the order of independent
   * operations; `all` visits every schedule; `pct` and `random` try `executions` random ones.
   *
   * By default `dpor`; if it is not done after 10,000 transitions, schedules without preemptions,
   * with one, and those of `pct` get as many each, which finds shallow bugs at once, and then it
   * goes on.
   */
  readonly strategy?: StrategyName;
  /** Visit all schedules with at most so many switches away from a thread that can go on. */
  readonly preemptions?: number;
  /** With `pct` and `random`: the seed of the random schedules. Default 1. */
  readonly seed?: number;
  /** With `pct`: the number of ordering constraints that a bug may need. Default 3. */
  readonly depth?: number;
  /** With `pct` and `random`: the number of schedules to try. Default 1000. */
  readonly executions?: number;
  /** Stop after so many executions. Default 1,000,000. */
  readonly maxExecutions?: number;
  /** Stop after so many transitions of all executions together. Default: no limit. */
  readonly maxTransitions?: number;
  /** Stop after so many milliseconds. Default: no limit. */
  readonly timeLimitMs?: number;
  /** A single execution longer than this many transitions is a livelock. Default 10,000. */
  readonly maxSteps?: number;
  /** Accept a search that a limit has stopped: its report is not `complete`. Default false. */
  readonly allowIncomplete?: boolean;
  /**
   * Run only this schedule, as a failure printed it. The environment variable `BUSBAR_REPLAY` does
   * the same without an edit, where it may be read; run only the one test then. Either is not set
   * if it is empty; the option goes before the variable.
   *
   * A schedule that does not fail is an incomplete search: explore throws an `IncompleteError` that
   * shows it, or, with `allowIncomplete` and if the schedule is from the option, returns it in the
   * report.
   */
  readonly replay?: string;
  /** Also write a failure to this file, as a page with a space-time diagram. */
  readonly html?: string | URL;
  /**
   * The clock of the threads: `refuse` (default) makes reading it an error; `virtual` is a clock
   * that starts at 0, and that only expired timeouts advance. What a thread reads is never earlier
   * than what any thread has read before, if that happens before.
   */
  readonly clock?: "refuse" | "virtual";
  /**
   * The order in which timeouts expire: `any` (default), since a real thread can be late by any
   * time, so that a timeout of an hour may expire before one of a millisecond; or `ordered`, an
   * earlier deadline before a later one for which another thread waits at the same time. The timed
   * asynchronous waits of one thread expire by their deadlines in any case.
   */
  readonly timeouts?: "any" | "ordered";
  /** Report reads of bytes that were never written. Default false. */
  readonly reportUninitialised?: boolean;
  /**
   * How many rounds of a loop that waits are looked ahead, to see whether it ends by itself. A loop
   * of more rounds goes on only when something that it reads changes, or nothing else can run.
   * Default 1000.
   */
  readonly spinLimit?: number;
  /**
   * Whether a loop may wait for another thread without `Atomics.pause()` and without a wait:
   * `yield` (default) lets the others run as if it paused; `refuse` is a failure.
   */
  readonly polling?: "yield" | "refuse";
  /** Collect the source lines of the operations that were reached. Default false. */
  readonly coverage?: boolean;
}

/** The options that can leave schedules out. */
export type LimitName = "maxExecutions" | "maxTransitions" | "timeLimitMs" | "preemptions";

/** The result of a search. */
export interface Report {
  /** Executions that ran to their end. */
  readonly executions: number;
  /** Executions abandoned because an equivalent one was or will be visited. */
  readonly pruned: number;
  /** Operations of all executions together. */
  readonly transitions: number;
  /** Operations of the longest execution. */
  readonly longest: number;
  /**
   * The executions and transitions of the short runs of other strategies that the default strategy
   * makes before it goes on with a long search. They are not among those above, so that these are
   * of `dpor` alone; limits count both.
   */
  readonly probes?: { readonly executions: number; readonly transitions: number };
  /** Whether every schedule that matters was visited. */
  readonly complete: boolean;
  /** Why it is not complete, if a limit or bound is the reason. */
  readonly reason?: string;
  /** The option that is the reason. */
  readonly stoppedBy?: LimitName;
  /** Milliseconds that the search took. */
  readonly elapsedMs: number;
  /** Source lines with atomic operations that were reached, if asked for. */
  readonly coverage?: readonly string[];
  /** The whole schedule that was run, if this is of a replay that did not fail. */
  readonly replay?: string;
  /** The steps of that schedule. */
  readonly steps?: readonly Step[];
  /** These steps as a table for a terminal. */
  readonly table?: string;
}
