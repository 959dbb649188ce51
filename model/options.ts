/**
 * What a caller says of a model, and what a search says of itself.
 *
 * @module
 */

import type { Specification } from "./linearizability.ts";

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
  /**
   * Looks at the outcome of each execution; throws if it is wrong. Plain objects and arrays that
   * threads return are frozen: use `toSorted`, not `sort`.
   */
  readonly check?: (state: State, results: Results<T>) => void | Promise<void>;
  /** Must hold after every step; it throws if not. It sees what was written atomically. */
  readonly invariant?: (state: State) => void;
  /** What the recorded calls must be explained by: see `record`. */
  // deno-lint-ignore no-explicit-any
  readonly linearizable?: Specification<any>;
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
  /**
   * Run just this schedule, as a failure printed it. The environment variable `BUSBAR_REPLAY` does
   * the same without an edit, if it may be read; run only the one test then.
   */
  readonly replay?: string;
  /** Write a failure to this file as well, as a page with a space-time diagram. */
  readonly html?: string | URL;
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
