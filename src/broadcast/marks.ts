/**
 * Marks, and how a reader finds a position to read at by them.
 *
 * The writer leaves a mark in the line of each segment: where the first frame of the segment
 * begins, and how many messages end before it. So a mark tells a reader where it can begin, and how
 * much it has lost.
 *
 * A mark is valid once something beyond the start of its segment is published, and until the
 * segment is entered again. A reader learns the first from the published position, and the second
 * from the epoch after it has read the mark, as with every other speculative read.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import { FINAL_SHIFT, FRAME_ALIGNMENT, frameByteLength, LENGTH_MASK } from "./frame.ts";
import { FIRST, SEQUENCE_HIGH, SEQUENCE_LOW } from "./layout.ts";
import type { Ring } from "./ring.ts";
import { OVERWRITTEN, retainedBytes } from "./validation.ts";

/** A position at which a frame begins, and how many messages end before it. */
export interface Mark {
  /** The position. */
  readonly position: number;
  /** How many messages end before it. */
  readonly sequence: number;
}

/** Returned by {@link sequenceAt} for a position at which no frame begins. */
const NO_FRAME = -2;

/** Reads the mark of the segment at `start`; it must not be used before it is validated. */
export function readMark(ring: Ring, start: number): Mark {
  const line = ring.line(start);
  const low = ring.words[line + SEQUENCE_LOW]! >>> 0;
  return {
    position: start + ring.words[line + FIRST]!,
    sequence: ring.words[line + SEQUENCE_HIGH]! * 2 ** 32 + low,
  };
}

/**
 * Finds the oldest retained mark that is at most `reach` bytes before the published position, or
 * else the nearest one before that; if nothing is retained, the published position itself.
 */
export function findMark(ring: Ring, reach: number): Mark {
  const { published, segmentBytes, startPosition } = ring;
  for (;;) {
    const position = published.load();
    if (position === startPosition) return { position, sequence: 0 };
    // The newest segment whose mark is valid, and the oldest within reach.
    const newest = ring.segmentStart(position - FRAME_ALIGNMENT);
    const reached = ring.segmentStart(position - reach + segmentBytes - FRAME_ALIGNMENT);
    const oldest = Math.max(startPosition, Math.min(reached, newest));
    for (let start = oldest; start <= newest; start += segmentBytes) {
      const mark = tryMark(ring, start);
      if (mark !== undefined) return mark;
    }
    // Either the writer lapped us meanwhile, and we look again. Or it was replaced, and the new one
    // has not written yet: then the last frames are further back, or there are none.
    if (reach > ring.capacityBytes && published.load() === position) return findLatest(ring);
    reach += segmentBytes;
  }
}

/** The mark of the segment at `start`, if that is retained and has frames. */
function tryMark(ring: Ring, start: number): Mark | undefined {
  beginSpeculation();
  const mark = readMark(ring, start);
  const isKept = retainedBytes(ring, start) > 0;
  endSpeculation(isKept);
  return isKept ? mark : undefined;
}

/**
 * How many messages end before `position`, counted through the headers of its segment.
 *
 * @param position At most `published`, and not before the start of the ring.
 * @returns That number, or {@link OVERWRITTEN}, or {@link NO_FRAME}.
 */
export function sequenceAt(ring: Ring, position: number, published: number): number {
  const { segmentBytes, startPosition } = ring;
  // The newest segment before it whose mark is valid.
  let start = ring.segmentStart(position < published ? position : position - FRAME_ALIGNMENT);
  let target = position;
  for (;;) {
    if (target === startPosition) return 0;
    beginSpeculation();
    const sequence = countTo(ring, readMark(ring, start), target);
    const retained = retainedBytes(ring, start);
    const isKept = retained > 0 && retained >= target - start;
    endSpeculation(isKept);
    if (isKept) return sequence;
    if (retained === OVERWRITTEN) return OVERWRITTEN;
    // A writer was replaced. Either the frames before it end just here; or nothing lies between the
    // last of them and the published position, at which the new writer is about to begin.
    if (target === start) {
      start -= segmentBytes;
    } else if (position === published && target === start + segmentBytes) {
      target = start + retained;
    } else {
      return NO_FRAME;
    }
  }
}

/** Counts from a mark up to `target`; the words that it reads may hold anything. */
function countTo({ frames, capacityBytes }: Ring, mark: Mark, target: number): number {
  let { position, sequence } = mark;
  while (position < target) {
    const header = frames[(position % capacityBytes) >> 2]!;
    sequence += header >>> FINAL_SHIFT;
    position += frameByteLength(header & LENGTH_MASK);
  }
  return position === target ? sequence : NO_FRAME;
}

/**
 * Where a reader begins: at the next message that is published (`latest`), at the oldest frame that
 * can be found (`oldest`), or at a position at which a frame begins.
 */
export type ReaderBeginning = "latest" | "oldest" | number;

/**
 * Finds where to begin. The position at which the ring began is accepted even if it is overwritten.
 *
 * @throws {RangeError} If it is a position that is not retained, or at which no frame begins.
 */
export function findBeginning(ring: Ring, from: ReaderBeginning): Mark {
  if (from === "latest") return findLatest(ring);
  if (from === "oldest") return findMark(ring, ring.capacityBytes);
  if (typeof from !== "number") {
    throw new RangeError(
      `Cannot begin to read as 'from' must be "latest", "oldest" or a position: received ${
        describe(from)
      }`,
    );
  }
  const published = ring.published.load();
  checkInteger("begin to read", "from", from, ring.startPosition, published);
  const sequence = from % FRAME_ALIGNMENT === 0 ? sequenceAt(ring, from, published) : NO_FRAME;
  if (sequence >= 0) return { position: from, sequence };
  if (sequence === OVERWRITTEN) {
    const { position } = findMark(ring, ring.capacityBytes);
    throw new RangeError(
      `Cannot begin to read at ${from} as that is overwritten: the oldest frame found begins at ${position}`,
    );
  }
  throw new RangeError(`Cannot begin to read at ${from} as no frame begins there`);
}

function findLatest(ring: Ring): Mark {
  for (;;) {
    const position = ring.published.load();
    const sequence = sequenceAt(ring, position, position);
    if (sequence >= 0) return { position, sequence };
    // The writer has gone on meanwhile, unless one writer after the other died as it took over.
    if (ring.published.load() === position) {
      throw new Error(
        "Cannot begin to read as no frame ends at the published position: one writer after the other died during a takeover, or something was written outside of a claim",
      );
    }
  }
}
