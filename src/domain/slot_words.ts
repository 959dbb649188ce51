/**
 * One slot as a thread sees it: where its words are, the number of the last message, and which
 * entry has which message.
 *
 * **The number of the last message.** The word {@link PUBLISHED} has its low 28 bits. The high word
 * is raised *before* it. So a high word that is loaded after the low one is that of its unit, or of
 * the unit after; the top bit of the low word tells which, as the two overlap in that bit. It fails
 * only if 2^27 messages are published between the two loads.
 *
 * **The index** is a ring of words, one for each of the last messages and at least one more. Each
 * names the entry that has the message, beside the lap of the ring, which tells for which message
 * it was written.
 *
 * @module
 */

import { CACHE_LINE_WORDS } from "../memory/layout.ts";
import { type Memory, racyLoad } from "../memory/memory.ts";
import {
  CLOSED,
  DATA_LINE,
  ENTRY_HEADER_WORDS,
  FLAGS,
  HIGH_UNIT,
  NEAR_INDEX,
  PUBLISHED,
  PUBLISHED_HIGH,
  SlotLayout,
  UNIT_SHIFT,
} from "./layout.ts";
import type { DomainRegion } from "./region.ts";
import type { ListedSlot, SlotCard } from "./slot_table.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const SHIFT = UNIT_SHIFT;
const HEADER_WORDS = ENTRY_HEADER_WORDS;

/** Returned instead of an entry if none has the message. */
export const NOWHERE = -1;

/** One slot, as a thread sees it. */
export class SlotWords {
  /** What it is. */
  readonly card: SlotCard;
  /** The memory that it lies in. */
  readonly memory: Memory;
  /** All words of the domain. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** What is where in the data of the slot. */
  readonly layout: SlotLayout;
  /** Its table entry. */
  readonly entry: number;
  /** The first word of its table entry. */
  readonly first: number;
  /** The word {@link PUBLISHED}. */
  readonly published: number;
  /** The first hold seat. */
  readonly holdSeats: number;
  /** The first writer seat. */
  readonly writerSeats: number;
  /** How many entries there are. */
  readonly entries: number;
  /** How far apart the first and the last kept message are, at most, as words are. */
  readonly span: number;
  readonly #high: number;
  /** What the high word was when this thread last loaded it. */
  #highSeen = 0;
  readonly #byteOffset: number;
  /** The same in 64-bit words. */
  readonly #longOffset: number;
  readonly #index: number;
  readonly #indexMask: number;
  readonly #lapShift: number;
  readonly #entryBits: number;
  readonly #entryMask: number;
  readonly #firstEntry: number;
  readonly #stride: number;

  /** The words of a listed slot. */
  constructor({ memory, byteOffset, words, layout }: DomainRegion, { entry, card }: ListedSlot) {
    this.card = card;
    this.memory = memory;
    this.words = words;
    this.layout = new SlotLayout(card);
    this.entry = entry;
    this.first = layout.entry(entry);
    this.published = this.first + PUBLISHED;
    this.#high = this.first + PUBLISHED_HIGH;
    this.#byteOffset = byteOffset;
    this.#longOffset = byteOffset / 8;
    const data = layout.data + words[this.first + DATA_LINE]! * CACHE_LINE_WORDS;
    this.holdSeats = data;
    this.writerSeats = data + this.layout.writerSeats;
    this.entries = this.layout.entries;
    this.span = card.history << UNIT_SHIFT;
    const { index } = this.layout;
    this.#index = index === undefined ? this.first + NEAR_INDEX : data + index;
    this.#indexMask = this.layout.indexWords - 1;
    this.#lapShift = UNIT_SHIFT + 31 - Math.clz32(this.layout.indexWords);
    this.#entryBits = this.layout.entryBits;
    this.#entryMask = (1 << this.layout.entryBits) - 1;
    this.#firstEntry = data + this.layout.first;
    this.#stride = this.layout.stride;
  }

  /** The word with the state of an entry; its length is in the next one. */
  state(entry: number): number {
    return this.#firstEntry + entry * this.#stride;
  }

  /** Where in the memory the message of an entry begins, in bytes. */
  dataOffset(entry: number): number {
    return this.#byteOffset + (this.state(entry) + HEADER_WORDS) * 4;
  }

  /** The same in 64-bit words. */
  dataLong(entry: number): number {
    return this.#longOffset + (this.state(entry) + HEADER_WORDS >> 1);
  }

  /** The number of the last message, and perhaps {@link CLOSED}. */
  loadPublished(): number {
    // Pairs with the publication: messages up to this number are whole.
    return Atomics.load(this.words, this.published);
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return (this.loadPublished() & CLOSED) !== 0;
  }

  /** The number of the last message, in full. */
  loadSequence(): number {
    return this.numberOf(this.loadPublished());
  }

  /**
   * The full number of the message with this word, which this thread knows to be published, and
   * which was less than 2^27 messages ago.
   */
  numberOf(word: number): number {
    // The high word was raised before the message was published, so what we read is not older.
    if (racyLoad(this.words, this.#high) !== this.#highSeen) {
      this.#highSeen = Atomics.load(this.words, this.#high);
    }
    return fullNumber(word, this.#highSeen);
  }

  /** Prepares the high word for a message that is the first of its unit. */
  raiseHigh(word: number): void {
    if ((word >>> SHIFT & HIGH_UNIT - 1) !== 0) return;
    const high = Atomics.load(this.words, this.#high);
    // Another thread may have raised it for the same message.
    if ((high & 1) === word >>> 31) return;
    Atomics.compareExchange(this.words, this.#high, high, high + 1);
  }

  /** Where the index names the entry of the message with this word. */
  place(word: number): number {
    return this.#index + (word >>> SHIFT & this.#indexMask);
  }

  /** What the index has there if `entry` has the message. */
  indexWord(word: number, entry: number): number {
    return word >>> this.#lapShift << this.#entryBits | entry + 1;
  }

  /** The entry that `found`, a word of the index, names for this message. */
  entryIn(found: number, word: number): number {
    const entry = (found & this.#entryMask) - 1;
    return found === this.indexWord(word, entry) ? entry : NOWHERE;
  }

  /** The entry that has the message with this word. */
  find(word: number): number {
    return this.entryIn(Atomics.load(this.words, this.place(word)), word);
  }

  /** The entry that seems to have it, by a plain load: a hint where to look first. */
  guess(word: number): number {
    return this.entryIn(racyLoad(this.words, this.place(word)), word);
  }
}

/** The number whose low bits `word` has, by a high word that may be of the unit after. */
function fullNumber(word: number, high: number): number {
  const unit = (high & 1) === word >>> 31 ? high : high - 1;
  return unit * HIGH_UNIT + (word >>> SHIFT & HIGH_UNIT - 1);
}

/** The word of a message with this number. */
export function wordOf(number: number): number {
  return number << SHIFT;
}

/** The number of messages from the one with the word `from` to that with `to`, less than 2^27. */
export function messagesBetween(from: number, to: number): number {
  return (to & ~FLAGS) - (from & ~FLAGS) >> SHIFT;
}
