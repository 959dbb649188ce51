/**
 * The verdict on a speculative read: whether the writer has overwritten the source meanwhile.
 *
 * A reader copies first and asks afterwards. The answer is the epoch of the segment in which the
 * copy begins: later segments of the copy are entered later still.
 *
 * @module
 */

import { CUT, CUT_COUNT_MASK, EPOCH, EPOCH_CUT, EPOCH_MASK } from "./layout.ts";
import type { Ring } from "./ring.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const EPOCH_INDEX = EPOCH;
const ALL_BUT_TAG = EPOCH_MASK;

/** Returned by {@link retainedBytes} for a segment that was overwritten. */
export const OVERWRITTEN = -1;

/** The epoch of the segment with this line, without its tag, after all reads before the call. */
export function validationEpoch(words: Int32Array, line: number): number {
  // Pairs with the writer's compareExchange on entering the segment. A load would not do: only a
  // read-modify-write either is read by the writer's, and so happens before it, or sees it.
  return Atomics.add(words, line + EPOCH_INDEX, 0) & ALL_BUT_TAG;
}

/**
 * How many bytes of the segment at `start` are frames that were retained until now: its size,
 * unless a writer was replaced there; {@link OVERWRITTEN} if it was entered again.
 */
export function retainedBytes(ring: Ring, start: number): number {
  const line = ring.line(start);
  const epoch = validationEpoch(ring.words, line);
  const past = epoch - ring.enteredEpoch(start);
  if (past === 0) return ring.segmentBytes;
  if (past !== EPOCH_CUT) return OVERWRITTEN;
  const cut = Atomics.load(ring.words, line + CUT) & ~CUT_COUNT_MASK;
  // If this differs, the segment may have been entered and cut again meanwhile.
  const again = Atomics.load(ring.words, line + EPOCH) & EPOCH_MASK;
  return again === epoch ? cut : OVERWRITTEN;
}
