/**
 * What a look ahead has found.
 *
 * @module
 */

import type { Watch } from "./entry.ts";
import type { Cell } from "./memory.ts";

/** A range that was read during a look, with the bytes that it had. */
export interface ReadRange extends Watch {
  readonly bytes: Uint8Array;
}

/** What a thread does next if nothing that it reads is changed by others. */
export interface Outlook {
  /**
   * Whether it stops waiting by itself: it ends, falls asleep, wakes or starts another thread, or
   * changes memory otherwise than in each round.
   */
  readonly leaves: boolean;
  /** If it leaves: how many more times it pauses, or a timeout of it expires, before. */
  readonly rounds: number;
  /** Whether it changes no memory. */
  readonly isQuiet: boolean;
  /** Whether it does the same until its next yield as it did since the last one. */
  readonly repeats: boolean;
  /** What it has read. */
  readonly reads: readonly ReadRange[];
  /** The waiter lists in which it found no sleeper to wake. */
  readonly emptyLists: readonly Cell[];
  /** Whether the outlook depends on nothing else, so that it can be remembered. */
  readonly isRepeatable: boolean;
}
