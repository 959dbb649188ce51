/**
 * The pace at which a thread looks at a level that another one raises all the time.
 *
 * Each look takes the cache line from the thread that raises the level, which then waits for the
 * line longer than it takes to produce several events. A thread that is faster than the events
 * come would look after every one of them, and slow them down. So it *rests* between two looks: the
 * longer, the more that makes a difference to what it finds.
 *
 * It does not rest if there are pauses between the events anyway, or if it is the slower one; and
 * only as long as the answer takes if it finds the same each time, as with questions and answers.
 *
 * A rest has at most 128 pauses, 2 to 4 microseconds, which is less than it takes to wake a thread.
 * It changes when a thread looks, and nothing else.
 *
 * @module
 */

import type { WaitStrategy } from "./barrier.ts";

/** The longest rest, in pauses. */
const MAX_REST = 128;

/** The longest rest with this strategy: none for a thread that only spins, or sleeps at once. */
export function maxRest(strategy: WaitStrategy): number {
  return strategy === "phased" || strategy === "yielding" ? MAX_REST : 0;
}

/** From how many pauses on a wait was for an event by itself, not for the next of a stream. */
const LONG_WAIT = 16;

/** The pace of one thread. */
export class Pace {
  readonly #most: number;
  readonly #enough: number;
  #rest = 0;
  #found = 0;

  /**
   * @param capacity The most that can be found.
   * @param strategy How the thread waits.
   */
  constructor(capacity: number, strategy: WaitStrategy) {
    this.#most = maxRest(strategy);
    this.#enough = capacity >> 2;
  }

  /** Rests, before a look. */
  rest(): void {
    for (let i = this.#rest; i > 0; i--) Atomics.pause?.();
  }

  /**
   * Learns from a look.
   *
   * @param found How many events were found.
   * @param pauses For how long they were waited for after the rest.
   */
  learn(found: number, pauses: number): void {
    const before = this.#found;
    this.#found = found;
    let rest = this.#rest;
    if (pauses >= LONG_WAIT || found >= this.#enough) rest = 0;
    else if (pauses > 0) rest += pauses;
    else if (found !== before) rest += (rest >> 1) + 1;
    else rest -= rest >> 2;
    this.#rest = rest > this.#most ? this.#most : rest;
  }
}
