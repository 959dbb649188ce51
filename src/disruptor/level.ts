/**
 * A level: how far events are published, or how far a node has released them. One word, on which
 * others sleep until it has risen.
 *
 *     | position: the number of an event times 16 | REMOVED | NO_ROOM | CLOSED | SLEEPING |
 *
 * **Rising.** A level is raised by compareExchange, which orders everything that the thread did
 * before (events written, or read) before everything that a thread does which finds the level. It
 * fails if a flag was set meanwhile, so neither sleepers nor the end are ever overlooked, and a
 * level on which nobody sleeps costs its owner this one operation.
 *
 * **Sleeping.** A thread that finds the level too low sets SLEEPING by compareExchange, and sleeps
 * on the word with that bit. The thread that raises the level, or sets another flag, changes the
 * word, and then notifies if the bit was there. If the change comes first, the compareExchange
 * fails, and the thread looks again. If the bit comes first, the change finds it.
 *
 * Each reason to wake up is a change of this word. So a thread that waits for several levels sleeps
 * on the first that is too low, and looks at the others afterwards.
 *
 * Proven by: tests/disruptor/gating_model_test.ts, ending_model_test.ts.
 *
 * @module
 */

import { type Memory, racyLoad } from "../memory/memory.ts";
import { SleepWord } from "../memory/sleep.ts";
import type { AsyncWaitOptions } from "../memory/wait_options.ts";
import { CLOSED, FLAGS, SLEEPING } from "./layout.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const IS_CLOSED = CLOSED;
const POSITION_MASK = ~FLAGS;
const KEPT_FLAGS = FLAGS & ~SLEEPING;

/** One level word, as one thread sees it. */
export class Level {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #sleepers: SleepWord;
  /** What the blocking wait of this thread waits for. */
  #target = 0;
  #flags = 0;
  readonly #attemptTarget = () => this.#attempt(this.#target, this.#flags);

  /** The level at `words[index]`. */
  constructor(memory: Memory, words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
    this.#sleepers = new SleepWord(memory, words, index);
  }

  /** Loads the word: the position and its flags. */
  load(): number {
    // Pairs with the compareExchange that raised it.
    return Atomics.load(this.#words, this.#index);
  }

  /** The word, as a hint whether to load it. */
  glance(): number {
    return racyLoad(this.#words, this.#index);
  }

  /**
   * Raises the level, by its only owner, unless it is closed.
   *
   * @param before The word as the owner left it.
   * @param position The new position.
   * @returns The word as it is now, but for SLEEPING.
   */
  move(before: number, position: number): number {
    const after = position | (before & KEPT_FLAGS);
    // Publishes what this thread wrote, and ends what it read: pairs with load.
    const found = Atomics.compareExchange(this.#words, this.#index, before, after);
    return found === before ? after : this.#moveFrom(found, position);
  }

  #moveFrom(found: number, position: number): number {
    for (;;) {
      if ((found & IS_CLOSED) !== 0) return found & ~SLEEPING;
      const after = position | (found & KEPT_FLAGS);
      const seen = Atomics.compareExchange(this.#words, this.#index, found, after);
      if (seen === found) {
        if ((found & SLEEPING) !== 0) this.#sleepers.notify();
        return after;
      }
      found = seen;
    }
  }

  /**
   * Raises the level to `position`, unless it is there or beyond, as another thread may raise it,
   * too.
   *
   * @returns Whether it is that high: false if it is lower, and closed.
   */
  raiseTo(position: number): boolean {
    let found = Atomics.load(this.#words, this.#index);
    for (;;) {
      if (((found & POSITION_MASK) - position | 0) >= 0) return true;
      if ((found & IS_CLOSED) !== 0) return false;
      const after = position | (found & KEPT_FLAGS);
      const seen = Atomics.compareExchange(this.#words, this.#index, found, after);
      if (seen === found) {
        if ((found & SLEEPING) !== 0) this.#sleepers.notify();
        return true;
      }
      found = seen;
    }
  }

  /** Raises the level from exactly this word; returns whether that was the word. */
  tryMove(before: number, after: number): boolean {
    return Atomics.compareExchange(this.#words, this.#index, before, after) === before;
  }

  /** Sets a flag, and wakes all that sleep. */
  set(flag: number): void {
    Atomics.or(this.#words, this.#index, flag);
    // In any case: a thread that set the flag before may have died before it notified.
    this.#sleepers.notify();
  }

  /** Begins to count again, at `position`, if it has the flag. */
  clear(flag: number, position: number): void {
    for (;;) {
      const found = Atomics.load(this.#words, this.#index);
      if ((found & flag) === 0) return;
      const after = position | (found & KEPT_FLAGS & ~flag);
      if (Atomics.compareExchange(this.#words, this.#index, found, after) === found) return;
    }
  }

  /** Wakes all that sleep, for a thread that may have died before it did. */
  notify(): void {
    this.#sleepers.notify();
  }

  /**
   * Blocks until the level is at `target` or beyond, has one of the flags, or the time is over;
   * returns whether it was not the time.
   *
   * @param timeoutMs Infinity for never.
   */
  sleep(target: number, flags: number, timeoutMs: number): boolean {
    this.#target = target;
    this.#flags = flags;
    const options = timeoutMs === Infinity ? undefined : { timeoutMs };
    return this.#sleepers.sleepUntil(this.#attemptTarget, options);
  }

  /** As {@link Level.sleep}, without blocking. */
  sleepAsync(
    target: number,
    flags: number,
    options: AsyncWaitOptions | undefined,
  ): Promise<boolean> {
    return this.#sleepers.sleepUntilAsync(() => this.#attempt(target, flags), options);
  }

  #attempt(target: number, flags: number): number | undefined {
    let found = Atomics.load(this.#words, this.#index);
    for (;;) {
      if (!isBelow(found, target) || (found & flags) !== 0) return undefined;
      const marked = found | SLEEPING;
      if (found === marked) return marked;
      // Pairs with the compareExchange that raises the level, and with `or`.
      const seen = Atomics.compareExchange(this.#words, this.#index, found, marked);
      if (seen === found) return marked;
      found = seen;
    }
  }
}

/** Whether the level `word`, with whatever flags, is below the position `target`. */
export function isBelow(word: number, target: number): boolean {
  return (word - target | 0) < 0;
}
