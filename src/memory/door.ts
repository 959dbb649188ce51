/**
 * A door: the three ways into anything that a thread may have to wait for, all of them over one
 * {@link SleepWord}.
 *
 * @module
 */

import type { Attempt, SleepWord } from "./sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "./wait_options.ts";

/** One wait at a door, as {@link SleepWord.sleepUntil} takes it. */
export interface Wait {
  /** Tries to enter; if it cannot, leaves a mark and says at which value to sleep. */
  readonly attempt: Attempt;
  /** Removes the marks of the attempts, if the wait ends without success. */
  readonly giveUp?: () => void;
}

/** What the door of one primitive consists of. */
export interface DoorSteps {
  /** Enters if that needs no waiting. Leaves no mark otherwise. */
  tryEnter(): boolean;
  /**
   * Begins a wait.
   *
   * @param isBlocking Whether the thread is going to block.
   * @throws If it would wait for itself.
   */
  beginWait(isBlocking: boolean): Wait;
}

/** The three ways in. Options are checked before anything happens. */
export class Door {
  readonly #sleepers: SleepWord;
  readonly #steps: DoorSteps;

  /** A door whose waiters sleep on this word. */
  constructor(sleepers: SleepWord, steps: DoorSteps) {
    this.#sleepers = sleepers;
    this.#steps = steps;
  }

  /** Enters, blocking while that is impossible; says whether it has, or the time is over. */
  enter(options: WaitOptions | undefined): boolean {
    if (options !== undefined) checkWaitOptions(options);
    if (this.#steps.tryEnter()) return true;
    const { attempt, giveUp } = this.#steps.beginWait(true);
    return this.#sleepers.sleepUntil(attempt, options, giveUp);
  }

  /** As {@link Door.enter}, without blocking. */
  async enterAsync(options: AsyncWaitOptions | undefined): Promise<boolean> {
    checkAsyncWaitOptions(options);
    if (this.#steps.tryEnter()) return true;
    const { attempt, giveUp } = this.#steps.beginWait(false);
    return await this.#sleepers.sleepUntilAsync(attempt, options, giveUp);
  }
}
