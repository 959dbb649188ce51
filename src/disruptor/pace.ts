/**
 * The pace at which a thread looks at a level that another one raises all the time.
 *
 * Each look takes the cache line from the thread that raises the level, which then waits for the
 * line longer than it takes to produce several events. A thread that is faster than the events
 * come would look after every one of them, and slow them down. So it *rests* between two looks,
 * until it finds more at each look by no longer rest. It does not rest if there are pauses between
 * the events anyway, as between questions and answers, or if it is the slower one.
 *
 * A rest is at most 64 pauses, 1 to 2 microseconds. It changes when a thread looks, and nothing
 * else.
 *
 * @module
 */

/** The longest rest, in pauses. */
const MAX_REST = 64;
/** From how many pauses on a wait was for an event by itself, not for the next of a stream. */
const LONG_WAIT = 16;
/** The pace of one thread. */
export class Pace {
  readonly #enough: number;
  #rest = 0;
  #found = 0;

  /** @param most The most that can be found. */
  constructor(most: number) {
    this.#enough = most >> 2;
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
    if (pauses >= LONG_WAIT) rest = 0;
    else if (pauses > 0) rest += pauses;
    else if (found >= this.#enough) rest >>= 1;
    else if (found > before) rest += (rest >> 1) + 1;
    else if (found < before) rest -= rest >> 2;
    this.#rest = rest > MAX_REST ? MAX_REST : rest;
  }
}
