/**
 * The word {@link WRITER}: which writer has the ring, and whether the stream has ended.
 *
 * It is changed by compareExchange: by a thread that becomes the writer or takes over, and by the
 * writer that closes. The stream has *ended* if there is no writer and there was one: a writer that
 * closes leaves a count of at least 1 in the word. A writer that dies leaves the word as it is, so
 * its stream does not end; and a ring that never had a writer, whose word is 0, has not ended.
 *
 * @module
 */

import { TAG_MASK, TAGS, TAKEN, WRITER, WRITER_GONE, WRITER_TAG_SHIFT } from "./layout.ts";

/** Loads the word. */
export function loadWriter(words: Int32Array): number {
  return Atomics.load(words, WRITER);
}

/** Whether a writer has the ring, by its word. */
export function isTaken(writer: number): boolean {
  return (writer & TAKEN) !== 0;
}

/** Whether the last writer was closed and no other has begun. */
export function hasEnded(words: Int32Array): boolean {
  // Pairs with release: everything that the writer published is visible to a thread that sees it.
  const writer = Atomics.load(words, WRITER);
  return writer !== 0 && !isTaken(writer);
}

/** Replaces one word by another; returns whether it was there. */
export function exchangeWriter(words: Int32Array, before: number, after: number): boolean {
  // Pairs with release: the next writer sees everything that the one before has done.
  return Atomics.compareExchange(words, WRITER, before, after) === before;
}

/** The word of the writer that begins where there is none, of which the word is `writer`. */
export function takenBy(writer: number): number {
  return writer | TAKEN;
}

/** The word of the writer that takes over from the one whose word is `writer`. */
export function takenOver(writer: number): number {
  const tag = tagOf(writer) % TAGS + 1;
  const gone = (writer + WRITER_GONE) | 0;
  return (gone & ~(TAG_MASK << WRITER_TAG_SHIFT)) | (tag << WRITER_TAG_SHIFT);
}

/** Gives the ring up; returns false if another writer has taken over. */
export function release(words: Int32Array, writer: number): boolean {
  // Never 0, which is the word of a ring that has had no writer.
  const free = (writer - TAKEN + WRITER_GONE) | 0 || WRITER_GONE;
  return exchangeWriter(words, writer, free);
}

/** The tag of the last writer that took over; 0 if none did. */
export function tagOf(writer: number): number {
  return (writer >> WRITER_TAG_SHIFT) & TAG_MASK;
}
