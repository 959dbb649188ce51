/**
 * A door: the two ways to wait for entering anything, blocking or not, over one {@link SleepWord}.
 *
 * A primitive tries to enter first, and comes to its door only if that fails. So each of its three
 * forms is one line:
 *
 *     enter(options)       check the options; try, or wait at the door
 *     tryEnter()           try
 *     enterAsync(options)  check the options; try, or wait at the door without blocking
 *
 * @module
 */

import type { Attempt, SleepWord } from "./sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "./wait_options.ts";

/** One wait at a door, as {@link SleepWord.sleepUntil} takes it. */
export interface Wait {
  /** Tries to enter; if it cannot, leaves a mark and returns the value to sleep at. */
  readonly attempt: Attempt;
  /** Removes the marks of the attempts, if the wait ends without success. */
  readonly giveUp?: () => void;
}

/** The two ways to wait. */
export class Door {
  readonly #sleepers: SleepWord;
  readonly #beginWait: (isBlocking: boolean) => Wait;

  /**
   * A door whose waiters sleep on this word.
   *
   * @param beginWait Begins a wait, of a thread that is going to block or of a task. Throws if it
   * would wait for itself.
   */
  constructor(sleepers: SleepWord, beginWait: (isBlocking: boolean) => Wait) {
    this.#sleepers = sleepers;
    this.#beginWait = beginWait;
  }

  /** Blocks until it can enter; false if the time is over. */
  wait(options: WaitOptions | undefined): boolean {
    const { attempt, giveUp } = this.#beginWait(true);
    return this.#sleepers.sleepUntil(attempt, options, giveUp);
  }

  /** As {@link Door.wait}, without blocking. */
  waitAsync(options: AsyncWaitOptions | undefined): Promise<boolean> {
    const { attempt, giveUp } = this.#beginWait(false);
    return this.#sleepers.sleepUntilAsync(attempt, options, giveUp);
  }
}
