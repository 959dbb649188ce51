/**
 * What the writer has published, and how it publishes more.
 *
 * @module
 */

import { POSITION, POSITION_HIGH_UNIT, SLEEPING } from "./layout.ts";
import { raiseHigh } from "./position.ts";
import type { Ring } from "./ring.ts";
import { replacedError } from "./succession.ts";

// The hot path's own name, since an imported binding is loaded anew at each use.
const POSITION_INDEX = POSITION;

/** The published position, of which one writer knows that nobody else changes it. */
export class Publication {
  readonly #ring: Ring;
  readonly #words: Int32Array;
  /** The published position. */
  #position: number;
  /** The position from which on the high word must change. */
  #highEnd: number;

  /** Goes on from `position`. */
  constructor(ring: Ring, position: number) {
    this.#ring = ring;
    this.#words = ring.words;
    this.#position = position;
    this.#highEnd = (Math.floor(position / POSITION_HIGH_UNIT) + 1) * POSITION_HIGH_UNIT;
  }

  /** The published position. */
  get position(): number {
    return this.#position;
  }

  /**
   * Makes everything before `position` visible, and wakes who sleeps.
   *
   * @throws {Error} If another writer has taken over.
   */
  advance(position: number): void {
    if (position >= this.#highEnd) this.#raiseHigh(position);
    const before = this.#position | 0;
    // Publishes all frames before it: pairs with the reader's load of the position. It fails if
    // somebody may sleep, or takes over.
    const found = Atomics.compareExchange(this.#words, POSITION_INDEX, before, position | 0);
    if (found !== before) this.#advancePast(found, before, position | 0);
    this.#position = position;
  }

  /** Publishes although the word is not as we left it. */
  #advancePast(found: number, before: number, after: number): void {
    const words = this.#words;
    // A reader that marks itself later than this finds the new position, and does not sleep.
    if (
      found !== (before | SLEEPING) ||
      Atomics.compareExchange(words, POSITION, found, after) !== found
    ) {
      throw replacedError("publish");
    }
    this.#ring.memory.notify(words, POSITION);
  }

  /** The position is about to pass a multiple of the unit of its high word. */
  #raiseHigh(position: number): void {
    // Before the position, so that it is never behind: see position.ts.
    raiseHigh(this.#words, position);
    this.#highEnd += POSITION_HIGH_UNIT;
  }
}
