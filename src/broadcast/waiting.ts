/**
 * How a reader waits for messages.
 *
 * It sleeps until something is published after its position: on the position word, whose bit
 * {@link SLEEPING} tells the writer that it must notify.
 *
 * If the writer's publication comes before the reader sets the bit, the reader finds another
 * position and does not sleep; if after, it finds the bit, and notifies. A reader that dies asleep,
 * or gives up, leaves at most one needless notification.
 *
 * @module
 */

import { SleepWord } from "../memory/sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { POSITION, POSITION_BITS, SLEEPING } from "./layout.ts";
import { loadPosition } from "./position.ts";
import type { Ring } from "./ring.ts";

/** Waits for what one reader of a ring has not read. */
export class Arrivals {
  readonly #words: Int32Array;
  readonly #word: SleepWord;

  /** Waits on the position of `ring`. */
  constructor({ memory, words }: Ring) {
    this.#words = words;
    this.#word = new SleepWord(memory, words, POSITION);
  }

  /** How far what is published is ahead of `position`. */
  distance(position: number): number {
    return loadPosition(this.#words) - position;
  }

  /** Blocks while nothing is published after `position`; says whether something is. */
  wait(position: number, options: WaitOptions | undefined): boolean {
    return this.#word.sleepUntil(() => this.#attempt(position), options);
  }

  /** The same without blocking. */
  waitAsync(position: number, options: AsyncWaitOptions | undefined): Promise<boolean> {
    return this.#word.sleepUntilAsync(() => this.#attempt(position), options);
  }

  /** Looks; if nothing is published, marks that somebody may sleep, and returns on what value. */
  #attempt(position: number): number | undefined {
    const level = position | 0;
    let word = level;
    for (;;) {
      // Pairs with the writer's publication: see above.
      const found = Atomics.compareExchange(this.#words, POSITION, word, word | SLEEPING);
      if ((found & ~POSITION_BITS) !== level) return undefined;
      if ((found | SLEEPING) === (word | SLEEPING)) break;
      // Somebody takes over just now.
      word = found;
    }
    // The low bits are equal, too, a multiple of 2^32 bytes behind; then nobody might ever wake us.
    return this.distance(position) > 0 ? undefined : word | SLEEPING;
  }
}
