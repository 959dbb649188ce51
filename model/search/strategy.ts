/**
 * How a search chooses the thread that runs next, and the state to which it goes back.
 *
 * @module
 */

import type { Entry, Operation } from "../machine/entry.ts";
import type { Thread } from "../machine/thread.ts";

/** The part of an execution that a strategy sees. */
export interface ExecutionView {
  /** By thread number; undefined where a spawned thread is undone. */
  readonly threads: readonly (Thread | undefined)[];
  /** The operations that took effect, in order. */
  readonly trace: readonly Operation[];
}

/** A way to search the schedules of a model. */
export interface Strategy {
  /** Whether the search has visited every schedule that matters when it runs to its end. */
  readonly isExhaustive: boolean;
  /** How much of the search is done, from 0 to 1, where that can be estimated. */
  readonly fraction?: number;
  /** Whether the present execution is of a short run beside the search, and is counted apart. */
  readonly isProbe?: boolean;
  /** Whether an execution that does not fail is shown, too. */
  readonly isShown?: boolean;
  /** Why the search was not exhaustive, once it is over. */
  readonly reason?: string | undefined;
  /** Why the strategy cannot go on, if that is the user's mistake. */
  readonly problem?: string | undefined;
  /**
   * Chooses one of the threads that can run; there is at least one.
   *
   * @returns undefined to abandon the execution: nothing new lies ahead, or there is a problem.
   */
  choose(enabled: readonly Thread[], execution: ExecutionView): Thread | undefined;
  /**
   * To be called after each transition.
   *
   * @param entry The operation.
   * @param log The log of its thread.
   */
  advanced(entry: Operation, log: readonly Entry[]): void;
  /**
   * To be called at the end of each execution.
   *
   * @returns The number of transitions to keep, or -1 if the search is over.
   */
  backtrack(): number;
}
