/**
 * Fairness in an event loop: a task that never has to wait gives others their turn now and then.
 *
 * @module
 */

import { isObserved } from "./observer.ts";
import { nextTask, now } from "./platform.ts";

/** For how long a task runs before others get a turn. */
const SLICE_MS = 4;

/** The time that a task has until others get a turn. */
export class TimeSlice {
  /** When others had their last turn; at first that is unknown. */
  #begin = 0;

  /** Whether others must have a turn now. Under a checker there are no others. */
  get isOver(): boolean {
    return !isObserved() && now() - this.#begin >= SLICE_MS;
  }

  /** Begins again: others have had a turn. */
  restart(): void {
    this.#begin = now();
  }

  /** Gives others their turn. */
  async yield(): Promise<void> {
    await nextTask();
    this.restart();
  }
}
