/**
 * How one writer follows another: after it gave the ring up, or without its consent.
 *
 * The word {@link WRITER} says who writes. A writer that gives up leaves nothing undone, so its
 * successor goes on where it ended. One that is *replaced* may be dead, or may merely be late: it
 * may be anywhere in its code, and write on for a while. So who takes over
 *
 * 1. takes the word, and puts its tag into the position, where it stays: no publication of the old
 *    writer, which expects another one there, succeeds any more. What is published is now settled;
 * 2. puts its tag into the epoch of every segment, from the one with the published position on: the
 *    old writer, which expects them without it, can enter no other segment. It may still write
 *    in those that it had entered, after the published position. There is the *cut*: of these
 *    segments, the frames end at the published position;
 * 3. publishes the start of the next segment as the position, and goes on writing there.
 *
 * Readers that find a tag in an epoch ask for the cut, and read on in the next segment after it. So
 * no message that was published is lost, none that was not is seen, and whatever the old writer
 * still writes, nobody reads it until its successor comes around to those segments, which is after
 * half the ring at the earliest. It learns of its fate when it publishes, or enters a segment, and
 * throws.
 *
 * Another who takes over meanwhile does the same again with the next tag, and who finds that the word
 * is no longer its own gives up. A taker-over that dies halfway is replaced like any other writer.
 * Each of them takes a segment at least, though. So if as many as there are segments take over one
 * after the other, and none gets so far as to publish, nothing is left to go on from, and the ring
 * can be read but not be written any more. Let one thread decide who writes.
 *
 * **Whether the old writer is alive** nobody can tell: a worker that was terminated goes on until it
 * next awaits, which may be never, and no store of one that is merely late can be held back. So it
 * is asked for: without `takeOver` a ring that has a writer is refused. What the late one may do is
 * limited instead. It can finish what it was writing in segments that it had entered, and learns of
 * its fate at its next publication or segment. That does harm only if the system keeps it off its
 * processor, between two stores of one batch, for as long as its successor takes to write half a
 * ring; or if it fills a claim of before. So do not hold a claim across an `await`.
 *
 * @module
 */

import {
  CUT,
  CUT_COUNT_MASK,
  EPOCH,
  EPOCH_CUT,
  EPOCH_MASK,
  EPOCH_TAG_SHIFT,
  POSITION,
  POSITION_TAG_MASK,
  POSITION_TAG_SHIFT,
  SLEEPING,
  TAG_MASK,
  TAGS,
  TAKEN,
  WRITER,
  WRITER_GONE,
  WRITER_TAG_SHIFT,
} from "./layout.ts";
import { sequenceAt } from "./place.ts";
import { loadPosition, raiseHigh } from "./position.ts";
import type { Ring } from "./ring.ts";

/** What a new writer begins with. */
export interface Seat {
  /** What stands in the word {@link WRITER} while this one writes. */
  readonly writer: number;
  /** The tag that epochs have: of the last writer that took over; 0 if none did. */
  readonly tag: number;
  /** The published position. */
  readonly position: number;
  /** How many messages end before it. */
  readonly sequence: number;
  /** Up to where segments are entered already. */
  readonly frontier: number;
}

const TAKE_OVER = "take over";
const BECOME = "become the writer";

/** What a writer throws that was replaced. */
export function replacedError(action: string): Error {
  return new Error(`Cannot ${action} as another writer has taken over`);
}

/**
 * Becomes the writer of a ring that has none.
 *
 * @throws {Error} If the ring has a writer.
 */
export function succeed(ring: Ring): Seat {
  const found = Atomics.load(ring.words, WRITER);
  if ((found & TAKEN) === 0 && exchange(ring.words, found, found | TAKEN)) {
    return goOn(ring, found | TAKEN);
  }
  throw new Error(
    "Cannot become the writer of the broadcast as it has one: dispose of that one, or take over",
  );
}

/**
 * Becomes the writer of a ring, whatever its present writer does.
 *
 * @throws {Error} If yet another takes over meanwhile.
 */
export function takeOver(ring: Ring): Seat {
  const { words } = ring;
  for (;;) {
    const found = Atomics.load(words, WRITER);
    if ((found & TAKEN) === 0) {
      if (exchange(words, found, found | TAKEN)) return goOn(ring, found | TAKEN);
    } else {
      const tag = tagOf(found) % TAGS + 1;
      const writer = withTag((found + WRITER_GONE) | 0, tag);
      if (exchange(words, found, writer)) return replace(ring, writer, tag);
    }
  }
}

/** Puts one word {@link WRITER} in the place of another; says whether it was there. */
function exchange(words: Int32Array, before: number, after: number): boolean {
  // Giving up pairs with becoming the writer: that one sees all that was done before.
  return Atomics.compareExchange(words, WRITER, before, after) === before;
}

/** Goes on where a writer gave up. */
function goOn(ring: Ring, writer: number): Seat {
  const position = loadPosition(ring.words);
  const sequence = knownSequence(ring, writer, position);
  const frontier = findFrontier(ring, position);
  // Otherwise what we have seen might be the doing of one that took over from us already.
  if (Atomics.load(ring.words, WRITER) !== writer) throw replacedError(BECOME);
  return { writer, tag: tagOf(writer), position, sequence, frontier };
}

/** Goes on in spite of a writer that did not give up. */
function replace(ring: Ring, writer: number, tag: number): Seat {
  tagPosition(ring.words, writer, tag);
  const settled = loadPosition(ring.words);
  const sequence = knownSequence(ring, writer, settled);
  const position = tagEpochs(ring, settled, writer, tag);
  publishSeam(ring, settled, position, tag);
  return { writer, tag, position, sequence, frontier: position };
}

/** Lets another become the writer, unless one has taken over already. */
export function giveUp(words: Int32Array, writer: number): void {
  exchange(words, writer, (writer - TAKEN + WRITER_GONE) | 0);
}

/** The tag in a word {@link WRITER}. */
function tagOf(writer: number): number {
  return (writer >> WRITER_TAG_SHIFT) & TAG_MASK;
}

/** A word {@link WRITER} with another tag. */
function withTag(writer: number, tag: number): number {
  return (writer & ~(TAG_MASK << WRITER_TAG_SHIFT)) | (tag << WRITER_TAG_SHIFT);
}

/** A tag as the position has it. */
export function positionTag(tag: number): number {
  return tag === 0 ? 0 : (1 + tag % 3) << POSITION_TAG_SHIFT;
}

/** The sequence at the published position, which the ring retains as long as `writer` writes. */
function knownSequence(ring: Ring, writer: number, position: number): number {
  const sequence = sequenceAt(ring, position, position);
  if (sequence >= 0) return sequence;
  if (Atomics.load(ring.words, WRITER) !== writer) throw replacedError(BECOME);
  throw new Error(`Cannot ${BECOME} of the broadcast as nothing is left to go on from`);
}

/** Finds up to where the writer before us entered segments, which may be past `position`. */
function findFrontier(ring: Ring, position: number): number {
  let frontier = ring.segmentStart(position);
  for (;;) {
    const epoch = Atomics.load(ring.words, ring.line(frontier) + EPOCH);
    if ((epoch & EPOCH_MASK & ~EPOCH_CUT) !== ring.enteredEpoch(frontier)) return frontier;
    frontier += ring.segmentBytes;
  }
}

/** Puts the tag into the position, in place of any other. */
function tagPosition(words: Int32Array, writer: number, tag: number): void {
  for (;;) {
    const found = Atomics.load(words, POSITION);
    // Another who took over from us changes the position after this, and we fail below; or did so
    // before, and we must leave its position alone.
    if (Atomics.load(words, WRITER) !== writer) throw replacedError(TAKE_OVER);
    const tagged = (found & ~POSITION_TAG_MASK) | positionTag(tag);
    // Pairs with the old writer's publication, which either came before and is settled, or fails.
    if (Atomics.compareExchange(words, POSITION, found, tagged) === found) return;
  }
}

/**
 * Puts the tag into all epochs, and says where the frames of the old writer end.
 *
 * @param settled The published position.
 * @returns The start of the first segment that the old writer has not entered, and never will.
 */
function tagEpochs(ring: Ring, settled: number, writer: number, tag: number): number {
  const { words, segmentBytes, capacityBytes } = ring;
  const first = ring.segmentStart(settled);
  let seam = -1;
  for (let start = first; start < first + capacityBytes;) {
    const line = ring.line(start);
    const before = Atomics.load(words, line + CUT);
    const epoch = Atomics.load(words, line + EPOCH);
    // Another who took over from us leaves its tags after this, and we fail below; or has begun to,
    // and we must leave them alone.
    if (Atomics.load(words, WRITER) !== writer) throw replacedError(TAKE_OVER);
    const entered = epoch & EPOCH_MASK & ~EPOCH_CUT;
    const isOld = seam < 0 && entered === ring.enteredEpoch(start);
    // One that is cut stays as it is: it was before what is published, or by who took over just
    // before us, and then in the same place.
    if ((epoch & EPOCH_CUT) === 0) {
      const cut = (isOld ? Math.max(0, settled - start) : segmentBytes) |
        ((before + 1) & CUT_COUNT_MASK);
      if (Atomics.compareExchange(words, line + CUT, before, cut) !== before) continue;
    }
    const after = entered | (tag << EPOCH_TAG_SHIFT) | EPOCH_CUT;
    // Pairs with the old writer's compareExchange on entering: it came before, or it fails.
    if (Atomics.compareExchange(words, line + EPOCH, epoch, after) !== epoch) continue;
    if (seam < 0 && !isOld) seam = start;
    start += segmentBytes;
  }
  return seam;
}

/** Publishes the position that follows on the settled one, and wakes who sleeps. */
function publishSeam(ring: Ring, settled: number, position: number, tag: number): void {
  const { memory, words } = ring;
  raiseHigh(words, position);
  const awake = (settled | 0) | positionTag(tag);
  const asleep = awake | SLEEPING;
  const after = (position | 0) | positionTag(tag);
  // Pairs with the reader's load: one that sees what we publish from here on finds the cut.
  if (
    Atomics.compareExchange(words, POSITION, awake, after) !== awake &&
    Atomics.compareExchange(words, POSITION, asleep, after) !== asleep
  ) {
    throw replacedError(TAKE_OVER);
  }
  // In any case: the old writer may have been lost after it took the sleepers' mark away, and before
  // it notified them.
  memory.notify(words, POSITION);
}
