/**
 * The published position with all its bits.
 *
 * Two words hold it. The writer raises the high one first, so between two equal looks at the high
 * word the low one belongs to it or to the unit before, and its top bit tells which: the two words
 * overlap in that bit.
 *
 * @module
 */

import { POSITION, POSITION_BITS, POSITION_HIGH, POSITION_HIGH_UNIT } from "./layout.ts";

/** Loads the published position of the ring whose header is `words`. */
export function loadPosition(words: Int32Array): number {
  for (;;) {
    const high = Atomics.load(words, POSITION_HIGH);
    const low = Atomics.load(words, POSITION) & ~POSITION_BITS;
    // Changes once in 2^31 bytes; unchanged, it was not the next unit's position that we loaded.
    if (Atomics.load(words, POSITION_HIGH) !== high) continue;
    const unit = (high & 1) === (low >>> 31) ? high : high - 1;
    return unit * POSITION_HIGH_UNIT + (low & (POSITION_HIGH_UNIT - 1));
  }
}

/** Makes the high word ready for a published position of `position`. */
export function raiseHigh(words: Int32Array, position: number): void {
  const high = Math.floor(position / POSITION_HIGH_UNIT);
  // Not a store: a writer that was replaced, and is late, must not set it back.
  Atomics.compareExchange(words, POSITION_HIGH, high - 1, high);
}
