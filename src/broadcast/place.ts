/**
 * Places at which a frame begins, and how a reader finds one: by the marks that the writer leaves in
 * each segment's line. A mark says where the first frame of the segment begins, and how many
 * messages end before it; so it tells a reader where to begin, and what it has lost.
 *
 * The mark of a segment may be trusted once something beyond the segment's start is published, and
 * until the segment is entered anew. The first is asked of the published position; the second of
 * the epoch, after the mark was read, as for any other speculative read.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import { FINAL_SHIFT, FRAME_ALIGNMENT, frameByteLength, LENGTH_MASK } from "./frame.ts";
import {
  CUT,
  CUT_COUNT_MASK,
  EPOCH,
  EPOCH_CUT,
  EPOCH_MASK,
  FIRST,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
} from "./layout.ts";
import { loadPosition } from "./position.ts";
import type { Ring } from "./ring.ts";

/** A position at which a frame begins, and how many messages end before it. */
export interface Place {
  /** The position. */
  readonly position: number;
  /** How many messages end before it. */
  readonly sequence: number;
}

/** What {@link sequenceAt} returns for a position that is overwritten. */
const OVERWRITTEN = -1;
/** What {@link sequenceAt} returns for a position at which no frame begins. */
const NO_FRAME = -2;

/** Writes the mark of the segment that begins at `start`, and is entered. */
export function writeMark(ring: Ring, start: number, { position, sequence }: Place): void {
  const line = ring.line(start);
  ring.words[line + FIRST] = position - start;
  ring.words[line + SEQUENCE_LOW] = sequence;
  ring.words[line + SEQUENCE_HIGH] = sequence / 2 ** 32;
}

/** What the mark of the segment at `start` holds; to be used only once it is validated. */
export function readMark(ring: Ring, start: number): Place {
  const line = ring.line(start);
  const low = ring.words[line + SEQUENCE_LOW]! >>> 0;
  return {
    position: start + ring.words[line + FIRST]!,
    sequence: ring.words[line + SEQUENCE_HIGH]! * 2 ** 32 + low,
  };
}

/**
 * After how many bytes of the segment at `start` its frames end: its size, unless a writer was
 * replaced there; -1 if the segment was entered anew.
 */
export function validate(ring: Ring, start: number): number {
  const line = ring.line(start);
  // Pairs with the writer's compareExchange on entering the segment. A load would not do: only a
  // read-modify-write is either read by the writer's, and so before it, or sees it.
  const epoch = Atomics.add(ring.words, line + EPOCH, 0);
  const past = (epoch & EPOCH_MASK) - ring.enteredEpoch(start);
  if (past === 0) return ring.segmentBytes;
  if (past !== EPOCH_CUT) return -1;
  const cut = Atomics.load(ring.words, line + CUT) & ~CUT_COUNT_MASK;
  // Otherwise the segment may have been entered, and cut, anew meanwhile.
  const again = Atomics.load(ring.words, line + EPOCH);
  return (again & EPOCH_MASK) === (epoch & EPOCH_MASK) ? cut : -1;
}

/**
 * Finds the oldest place that is retained within `reach` bytes before what is published, or the
 * nearest one before that; if nothing is retained, what is published next.
 */
export function findPlace(ring: Ring, reach: number): Place {
  const { words, segmentBytes, startPosition } = ring;
  for (;;) {
    const published = loadPosition(words);
    if (published === startPosition) return { position: startPosition, sequence: 0 };
    // The newest segment whose mark may be trusted, and the oldest within reach.
    const newest = ring.segmentStart(published - FRAME_ALIGNMENT);
    const reached = ring.segmentStart(published - reach + segmentBytes - FRAME_ALIGNMENT);
    const oldest = Math.max(startPosition, Math.min(reached, newest));
    for (let start = oldest; start <= newest; start += segmentBytes) {
      const place = tryMark(ring, start);
      if (place !== undefined) return place;
    }
    // Either we were lapped meanwhile, and look again; or the writer was replaced, and its
    // successor has not written yet: then what ended before is further back, or there is nothing.
    if (reach > ring.capacityBytes && loadPosition(words) === published) return findLatest(ring);
    reach += segmentBytes;
  }
}

/** The mark of the segment at `start`, if it is retained and has frames. */
function tryMark(ring: Ring, start: number): Place | undefined {
  beginSpeculation();
  const place = readMark(ring, start);
  const isKept = validate(ring, start) > 0;
  endSpeculation(isKept);
  return isKept ? place : undefined;
}

/**
 * How many messages end before `position`, found by going through the headers of its segment.
 *
 * @param position At most `published`, and not before the ring's start.
 * @returns That number, or {@link OVERWRITTEN}, or {@link NO_FRAME}.
 */
export function sequenceAt(ring: Ring, position: number, published: number): number {
  const { segmentBytes, startPosition } = ring;
  // The newest segment before it whose mark may be trusted.
  let start = ring.segmentStart(position < published ? position : position - FRAME_ALIGNMENT);
  let target = position;
  for (;;) {
    if (target === startPosition) return 0;
    beginSpeculation();
    const mark = readMark(ring, start);
    const found = countTo(ring, mark, target);
    const cut = validate(ring, start);
    const isKept = cut > 0 && cut >= target - start;
    endSpeculation(isKept);
    if (isKept) return found;
    if (cut < 0) return OVERWRITTEN;
    // A writer was replaced. The frames before may end just here; or nothing is between the last of
    // them and the published position, at which its successor is about to begin.
    if (target === start) {
      start -= segmentBytes;
    } else if (position === published && target === start + segmentBytes) {
      target = start + cut;
    } else {
      return NO_FRAME;
    }
  }
}

/** Counts from a mark up to `target`; the words that it sees may be anything. */
function countTo({ frames, capacityBytes }: Ring, mark: Place, target: number): number {
  let { position, sequence } = mark;
  while (position < target) {
    const header = frames[(position % capacityBytes) >> 2]!;
    sequence += header >>> FINAL_SHIFT;
    position += frameByteLength(header & LENGTH_MASK);
  }
  return position === target ? sequence : NO_FRAME;
}

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
    // The writer must have gone on meanwhile, unless one after the other was lost as it took over.
    if (loadPosition(ring.words) === position) {
      throw new Error(
        "Cannot begin to read as one writer after the other was lost as it took over",
      );
    }
  }
}
