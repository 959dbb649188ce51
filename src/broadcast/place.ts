/**
 * Where a reader begins.
 *
 * @module
 */

import { checkInteger } from "../memory/layout.ts";
import { FRAME_ALIGNMENT } from "./frame.ts";
import { findPlace, NO_FRAME, noPlaceError, OVERWRITTEN, type Place, sequenceAt } from "./mark.ts";
import { loadPosition } from "./position.ts";
import type { Ring } from "./ring.ts";

/**
 * Where a reader may begin: at what is published next (`latest`), at the oldest frame that can be
 * found (`oldest`), or at a position at which a frame begins.
 */
export type ReaderBeginning = "latest" | "oldest" | number;

/**
 * Finds the place to begin at.
 *
 * @throws {RangeError} If it is a position that is not retained, or at which no frame begins. Where
 * the ring began is taken in any case.
 */
export function findBeginning(ring: Ring, from: ReaderBeginning): Place {
  if (from === "latest") return findLatest(ring);
  if (from === "oldest") return findPlace(ring, ring.capacityBytes);
  const published = loadPosition(ring.words);
  checkInteger("begin to read", "from", from, ring.startPosition, published);
  const sequence = from % FRAME_ALIGNMENT === 0 ? sequenceAt(ring, from, published) : NO_FRAME;
  if (sequence >= 0) return { position: from, sequence };
  if (sequence === OVERWRITTEN) {
    const { position } = findPlace(ring, ring.capacityBytes);
    throw new RangeError(
      `Cannot begin to read at ${from} as that is overwritten: the oldest frame found begins at ${position}`,
    );
  }
  throw new RangeError(`Cannot begin to read at ${from} as no frame begins there`);
}

function findLatest(ring: Ring): Place {
  for (;;) {
    const position = loadPosition(ring.words);
    const sequence = sequenceAt(ring, position, position);
    if (sequence >= 0) return { position, sequence };
    // The writer must have gone on meanwhile.
    if (loadPosition(ring.words) === position) throw noPlaceError();
  }
}
