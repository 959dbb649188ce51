/**
 * A model for locks: threads increment a plain counter under the lock.
 *
 * If two threads are ever inside at once, or an owner does not see the writes of the owner before,
 * then the increments race and the race detector fails. The final count is a second check.
 *
 * @module
 */

import type { ExploreOptions, Threads } from "@busbar/busbar/model";
import { assertEquals } from "@std/assert";
import { sharedWords } from "./verdict.ts";

/** One thread's side of a lock. */
export interface Lock {
  acquire(): void;
  release(): void;
}

/** Opens a lock for the thread `me` of `threads`; its state is in words that begin as zero. */
export type OpenLock = (words: Int32Array, me: number, threads: number) => Lock;

interface State {
  readonly words: Int32Array;
  /** Guarded by the lock, and accessed plainly. */
  readonly counter: Int32Array;
}

/** Each thread acquires the lock `rounds` times, and increments the counter. */
export function countingUnder(
  open: OpenLock,
  { threads, rounds = 1 }: { threads: number; rounds?: number },
): ExploreOptions<State, Threads<State>> {
  const body = (me: number) => ({ words, counter }: State) => {
    const lock = open(words, me, threads);
    for (let round = 0; round < rounds; round++) {
      lock.acquire();
      counter[0]!++;
      lock.release();
    }
  };
  return {
    setup: () => ({ words: sharedWords(16), counter: sharedWords(1) }),
    threads: Object.fromEntries(Array.from({ length: threads }, (_, me) => [`t${me}`, body(me)])),
    check: ({ counter }) => assertEquals(counter[0], threads * rounds),
  };
}
