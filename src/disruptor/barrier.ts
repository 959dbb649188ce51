/**
 * A barrier: the levels that a thread must not pass. For a consumer, the cursor or the gates of the
 * nodes before; for a producer, the gates of the last nodes, a ring's length ahead.
 *
 * A node that was removed counts no more: its levels are replaced by those that it waited for. It
 * may be added again, so each look ends with a look at the nodes that do not count: what was found
 * before is then from before the node was added.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { type AsyncWaitOptions, Deadline, type WaitOptions } from "../memory/wait_options.ts";
import { FLAGS, REMOVED } from "./layout.ts";
import { isBelow, type Level } from "./level.ts";

// Local copies for the hot path.
const POSITION_MASK = ~FLAGS;
const IS_REMOVED = REMOVED;

/** How a thread waits before, or instead of, sleeping. */
export type WaitStrategy = "blocking" | "phased" | "yielding" | "spinning";

const STRATEGIES: readonly WaitStrategy[] = ["blocking", "phased", "yielding", "spinning"];
/**
 * How often a thread looks before it sleeps, or looks at the clock: for about as long as it takes
 * to wake it. Longer is worse where a thread that it waits for has no core.
 */
const SPINS = 400;
/** How long a thread that yields sleeps between two looks, in milliseconds. */
const NAP_MS = 0.05;

/** Throws unless it is a wait strategy. */
export function checkStrategy(action: string, strategy: WaitStrategy): void {
  if (STRATEGIES.includes(strategy)) return;
  throw new TypeError(
    `Cannot ${action} as 'strategy' must be one of ${STRATEGIES.join(", ")}: received ${
      describe(strategy)
    }`,
  );
}

/** A level, and what to wait for instead once its node is removed. */
export interface Guard {
  /** The level. */
  readonly level: Level;
  /** The guards of the node that it belongs to; none for the cursor. */
  readonly sources: () => readonly Guard[];
}

/** The levels that a thread must not pass. */
export class Barrier {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #strategy: WaitStrategy;
  /** How often this thread looks before it sleeps. */
  readonly #spins: number;
  readonly #guards: readonly Guard[];
  /** The levels that count. */
  #levels: readonly Level[] = [];
  /** The levels that do not, as their nodes are removed. */
  #removed: readonly Level[] = [];
  /** The word of the level that {@link Barrier.#blocking} has found. */
  #word = 0;
  /** The flags of the lowest level, or levels, at the last look. */
  flags = 0;
  /** How often the last wait has paused; as often as it could if it slept. */
  pauses = 0;

  /** The barrier of one thread. */
  constructor(
    memory: Memory,
    words: Int32Array,
    guards: readonly Guard[],
    strategy: WaitStrategy,
  ) {
    this.#memory = memory;
    this.#words = words;
    this.#strategy = strategy;
    this.#spins = strategy === "blocking" ? 0 : SPINS;
    this.#guards = guards;
    this.#findLevels();
  }

  /** How far the lowest level is past `position`; negative if it is behind. */
  look(position: number): number {
    for (;;) {
      const levels = this.#levels;
      let least = 0x7fffffff;
      let flags = 0;
      let all = 0;
      for (let i = 0; i < levels.length; i++) {
        const word = levels[i]!.load();
        const ahead = (word & POSITION_MASK) - position | 0;
        all |= word;
        if (ahead < least) {
          least = ahead;
          flags = word;
        } else if (ahead === least) {
          flags |= word;
        }
      }
      this.flags = flags;
      if ((all & IS_REMOVED) === 0 && (this.#removed.length === 0 || !this.#hasAdded())) {
        return least;
      }
      this.#findLevels();
    }
  }

  /** Whether a node was added that was removed before. */
  #hasAdded(): boolean {
    return this.#removed.some((level) => (level.load() & REMOVED) === 0);
  }

  /** Replaces the levels of removed nodes by those that these waited for. */
  #findLevels(): void {
    const levels = new Set<Level>();
    const removed = new Set<Level>();
    const visit = ({ level, sources }: Guard): void => {
      if ((level.load() & REMOVED) === 0) {
        levels.add(level);
      } else {
        removed.add(level);
        sources().forEach(visit);
      }
    };
    this.#guards.forEach(visit);
    this.#levels = [...levels];
    this.#removed = [...removed];
  }

  /** A level that is below `target`, without any of the flags; undefined if there is none. */
  #blocking(target: number, flags: number): Level | undefined {
    const levels = this.#levels;
    for (let i = 0; i < levels.length; i++) {
      const word = levels[i]!.load();
      if (!isBelow(word, target)) continue;
      this.#word = word;
      return (word & flags) === 0 ? levels[i] : undefined;
    }
    return undefined;
  }

  /**
   * Blocks until no level is below `target`, one that is has one of the flags, or the time is over;
   * returns whether it was not the time.
   */
  wait(target: number, flags: number, options: WaitOptions | undefined): boolean {
    const breaking = flags | REMOVED;
    const isTry = options !== undefined && options.timeoutMs === 0;
    return this.#spin(target, breaking, isTry ? 0 : this.#spins) ||
      (!isTry && this.#sleep(target, breaking, Deadline.of(options)));
  }

  /** Looks for a while whether nothing is left to wait for; allocates nothing. */
  #spin(target: number, flags: number, spins: number): boolean {
    let pauses = 0;
    for (;;) {
      const level = this.#blocking(target, flags);
      this.pauses = pauses;
      if (level === undefined) return true;
      do {
        if (pauses >= spins) return false;
        pauses++;
        Atomics.pause?.();
      } while (level.glance() === this.#word);
    }
  }

  #sleep(target: number, flags: number, deadline: Deadline): boolean {
    for (;;) {
      const level = this.#blocking(target, flags);
      if (level === undefined) return true;
      const { remainingMs } = deadline;
      if (remainingMs === 0) return false;
      if (this.#strategy === "yielding") {
        // On a word that never changes: the thread that raises the level need not notify.
        this.#memory.wait(this.#words, 0, this.#words[0]!, Math.min(NAP_MS, remainingMs));
      } else if (this.#strategy !== "spinning") {
        if (!level.sleep(target, flags, remainingMs)) return false;
      }
      if (this.#spin(target, flags, this.#spins)) return true;
    }
  }

  /** As {@link Barrier.wait}, without blocking. */
  async waitAsync(
    target: number,
    flags: number,
    options: AsyncWaitOptions | undefined,
  ): Promise<boolean> {
    const breaking = flags | REMOVED;
    const deadline = new Deadline(options);
    for (;;) {
      options?.signal?.throwIfAborted();
      const level = this.#blocking(target, breaking);
      if (level === undefined) return true;
      const timeoutMs = deadline.remainingMs;
      if (!(await level.sleepAsync(target, breaking, { signal: options?.signal, timeoutMs }))) {
        return false;
      }
    }
  }
}
