/**
 * How one writer follows another: after that one was closed, or by taking over from it.
 *
 * The word {@link WRITER} shows which writer has the ring. A writer that closes leaves nothing
 * undone, so the next one continues where it ended. A writer that is *replaced* may be dead, or
 * merely late: it may be anywhere in its code, and write on for a while. So a writer that takes
 * over
 *
 * 1. takes the word, and puts its tag into the position, where it stays. The old writer expects
 *    another tag there, so none of its publications succeeds any more: the published position is
 *    settled;
 * 2. puts its tag into the epoch of every segment, from the one with the published position on. The
 *    old writer expects the epochs without it, so it can enter no further segment. It may still
 *    write in those that it had entered, after the published position. There is the *cut*: the
 *    frames of these segments end at the published position;
 * 3. publishes the start of the next segment as the position, and continues writing there.
 *
 * Readers that find a tag in an epoch look up the cut, and read on in the next segment after it. So
 * no published message is lost, no unpublished one is seen, and no reader reads anything that the
 * old writer still writes, until the new writer comes around to those segments, which is after half
 * the ring at the earliest. The old one finds out when it publishes, or enters a segment, and
 * throws a ReplacedError.
 *
 * Another writer that takes over meanwhile does the same with the next tag, and a writer that finds
 * another word than its own gives up. A writer that dies during a takeover is replaced like any
 * other. Each takeover needs a segment, though: if as many writers as there are segments take over
 * one after the other, and none of them gets as far as publishing, nothing is left to continue
 * from, and the ring can be read but no longer written. Let a single thread order takeovers.
 *
 * **Whether the old writer is alive** cannot be told: a worker that was terminated runs on until it
 * next awaits, which may be never, and no store of a late one can be held back. So a takeover must
 * be requested: without `takeOver`, becoming the writer of a ring that has one fails. Instead, the
 * harm that a late writer can do is limited. It may finish what it was writing in segments that it
 * had entered. That does harm only if the system keeps it off its processor, between two stores of
 * one batch, for as long as the new writer takes to write half a ring; or if it fills a claim from
 * before. So do not hold a claim across an `await`.
 *
 * Proven by: tests/broadcast/succession_model_test.ts, succession_test.ts.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { ReplacedError } from "./errors.ts";
import { CUT, CUT_COUNT_MASK, EPOCH, EPOCH_CUT, EPOCH_MASK, EPOCH_TAG_SHIFT } from "./layout.ts";
import { sequenceAt } from "./marks.ts";
import type { Ring } from "./ring.ts";
import {
  exchangeWriter,
  isTaken,
  loadWriter,
  release,
  tagOf,
  takenBy,
  takenOver,
} from "./writer_word.ts";

/** The state that a new writer begins with. */
export interface WriterStart {
  /** The word {@link WRITER} while this one writes. */
  readonly writer: number;
  /** The tag that epochs have: of the last writer that took over; 0 if none did. */
  readonly tag: number;
  /** The published position. */
  readonly position: number;
  /** How many messages end before it. */
  readonly sequence: number;
  /** The position up to which segments are entered already. */
  readonly frontier: number;
}

const TAKE_OVER = "take over";
const BECOME = "become the writer";

/**
 * Becomes the writer of a ring that has none.
 *
 * @throws {Error} If the ring has a writer.
 */
export function becomeWriter(ring: Ring): WriterStart {
  const found = loadWriter(ring.words);
  if (!isTaken(found) && exchangeWriter(ring.words, found, takenBy(found))) {
    return continueAfter(ring, takenBy(found));
  }
  throw new Error(
    "Cannot become the writer of the broadcast as it has one: close that one, or take over",
  );
}

/**
 * Becomes the writer of a ring, whatever its present writer does.
 *
 * @throws {ReplacedError} If yet another writer takes over meanwhile.
 */
export function takeOver(ring: Ring): WriterStart {
  const { words } = ring;
  for (;;) {
    const found = loadWriter(words);
    const isReplaced = isTaken(found);
    const writer = isReplaced ? takenOver(found) : takenBy(found);
    if (!exchangeWriter(words, found, writer)) continue;
    return isReplaced ? replace(ring, writer) : continueAfter(ring, writer);
  }
}

/**
 * Lets another thread become the writer, and tells readers that the stream has ended until one
 * does. Does nothing if another writer has taken over already.
 */
export function resign(ring: Ring, writer: number): void {
  const word = ring.published.loadWord();
  // In this order, so that a reader either sees the end or is woken: see published_position.ts.
  if (release(ring.words, writer)) ring.published.wakeAll(word);
}

/** Continues where a writer was closed. */
function continueAfter(ring: Ring, writer: number): WriterStart {
  const position = ring.published.load();
  const sequence = knownSequence(ring, writer, position);
  const frontier = findFrontier(ring, position);
  // Otherwise the words may be the work of a writer that took over from us already.
  checkStillWriter(ring, writer, BECOME);
  return { writer, tag: tagOf(writer), position, sequence, frontier };
}

/** Continues in spite of a writer that was not closed. */
function replace(ring: Ring, writer: number): WriterStart {
  const { published } = ring;
  const tag = tagOf(writer);
  published.takeOver(tag, () => checkStillWriter(ring, writer, TAKE_OVER));
  const settled = published.load();
  const sequence = knownSequence(ring, writer, settled);
  const position = tagEpochs(ring, settled, writer, tag);
  published.publishTakeover(settled, position, tag);
  return { writer, tag, position, sequence, frontier: position };
}

/** Throws unless the ring still belongs to this writer. */
function checkStillWriter(ring: Ring, writer: number, action: string): void {
  if (loadWriter(ring.words) !== writer) throw new ReplacedError(action);
}

/** The sequence at the published position, which the ring retains as long as `writer` writes. */
function knownSequence(ring: Ring, writer: number, position: number): number {
  const sequence = sequenceAt(ring, position, position);
  if (sequence >= 0) return sequence;
  checkStillWriter(ring, writer, BECOME);
  throw new Error(`Cannot ${BECOME} of the broadcast as nothing is left to continue from`);
}

/** Finds how far the writer before us entered segments, which may be past `position`. */
function findFrontier(ring: Ring, position: number): number {
  let frontier = ring.segmentStart(position);
  for (;;) {
    const epoch = Atomics.load(ring.words, ring.line(frontier) + EPOCH);
    if ((epoch & EPOCH_MASK & ~EPOCH_CUT) !== ring.enteredEpoch(frontier)) return frontier;
    frontier += ring.segmentBytes;
  }
}

/**
 * Puts the tag into all epochs, and cuts the segments that the old writer has entered.
 *
 * @param settled The published position.
 * @returns The start of the first segment that the old writer has not entered, and never will.
 */
function tagEpochs(ring: Ring, settled: number, writer: number, tag: number): number {
  const { words, segmentBytes, capacityBytes } = ring;
  const first = ring.segmentStart(settled);
  let frontier = -1;
  for (let start = first; start < first + capacityBytes;) {
    const line = ring.line(start);
    const before = Atomics.load(words, line + CUT);
    const epoch = Atomics.load(words, line + EPOCH);
    // Another writer that takes over leaves its tags after this check, and then we fail below; or
    // it has begun to, and then they must stay.
    checkStillWriter(ring, writer, TAKE_OVER);
    const entered = epoch & EPOCH_MASK & ~EPOCH_CUT;
    const isOld = frontier < 0 && entered === ring.enteredEpoch(start);
    // A segment that is cut stays as it is: it was cut before the published position, or by a
    // writer that took over just before us, and then in the same place.
    if ((epoch & EPOCH_CUT) === 0) {
      const cut = (isOld ? Math.max(0, settled - start) : segmentBytes) |
        ((before + 1) & CUT_COUNT_MASK);
      if (Atomics.compareExchange(words, line + CUT, before, cut) !== before) continue;
    }
    const after = entered | (tag << EPOCH_TAG_SHIFT) | EPOCH_CUT;
    // Pairs with the old writer's compareExchange on entering: it came before, or it fails.
    if (Atomics.compareExchange(words, line + EPOCH, epoch, after) !== epoch) continue;
    if (frontier < 0 && !isOld) frontier = start;
    start += segmentBytes;
  }
  assertState(frontier >= 0, "a segment that the replaced writer has not entered");
  return frontier;
}
