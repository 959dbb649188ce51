/**
 * How a search decides which thread goes next, and where it goes back to.
 *
 * @module
 */

import type { Entry } from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import type { Thread } from "../machine/thread.ts";

/** A way to search the schedules of a machine. */
export interface Strategy {
  /** Whether the search visits every schedule that matters when it runs to its end. */
  readonly isExhaustive: boolean;
  /**
   * Picks one of the threads that can go on; there is at least one.
   *
   * @returns undefined if nothing new lies ahead.
   */
  choose(machine: Machine, enabled: readonly Thread[]): Thread | undefined;
  /** Learns of the transition that was made, and of all that its thread has done. */
  advanced(entry: Entry, log: readonly Entry[]): void;
  /**
   * The execution has ended.
   *
   * @returns The number of transitions to keep, or -1 when the search is over.
   */
  backtrack(machine: Machine): number;
  /** A guess at how much of the search is done, from 0 to 1, where one can be made. */
  readonly fraction?: number;
}
