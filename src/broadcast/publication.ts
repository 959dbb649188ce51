/**
 * What the writer has published, and how it publishes more.
 *
 * @module
 */

import { POSITION, POSITION_BITS, POSITION_HIGH_UNIT, SLEEPING } from "./layout.ts";
import { raiseHigh } from "./position.ts";
import type { Ring } from "./ring.ts";
import { positionTag, replacedError } from "./succession.ts";
import type { Track } from "./track.ts";

// The hot path's own name, since an imported binding is loaded anew at each use.
const POSITION_INDEX = POSITION;

/** The published position, of which one writer knows that nobody else changes it. */
export class Publication {
  readonly #ring: Ring;
  readonly #words: Int32Array;
  readonly #track: Track;
  /** The tag that the position has, as long as we are not replaced. */
  readonly #tag: number;
  /** The position as it was published, with the tag; a number of 32 bits is stored in place. */
  #low: number;
  /** The position from which on the high word must change. */
  #highEnd: number;

  /** Publishes what is before the place of `track`, from where that is now. */
  constructor(ring: Ring, track: Track, tag: number) {
    const { position } = track;
    this.#ring = ring;
    this.#words = ring.words;
    this.#track = track;
    this.#tag = positionTag(tag);
    this.#low = (position | 0) | this.#tag;
    this.#highEnd = (Math.floor(position / POSITION_HIGH_UNIT) + 1) * POSITION_HIGH_UNIT;
  }

  /** How many bytes before the place of the track are not published. */
  get pendingBytes(): number {
    return (this.#track.position - (this.#low & ~POSITION_BITS)) >>> 0;
  }

  /**
   * Makes everything before the place of the track visible, and wakes who sleeps.
   *
   * @throws {Error} If another writer has taken over.
   */
  advance(): void {
    const position = this.#track.lapStart + this.#track.offset;
    const before = this.#low;
    const after = (position | 0) | this.#tag;
    // Never as much as 2^32 bytes apart.
    if (after === before) return;
    if (position >= this.#highEnd) this.#raiseHigh();
    // Publishes all frames before it: pairs with the reader's load of the position. It fails if
    // somebody may sleep, or takes over.
    const found = Atomics.compareExchange(this.#words, POSITION_INDEX, before, after);
    if (found !== before) this.#advancePast(found, before, after);
    this.#low = after;
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
  #raiseHigh(): void {
    // Before the position, so that it is never behind: see position.ts.
    raiseHigh(this.#words, this.#track.position);
    this.#highEnd += POSITION_HIGH_UNIT;
  }
}
