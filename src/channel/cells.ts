/**
 * The cells of a channel, and how senders and receivers take them in turn.
 *
 *                claim             publish             take               free
 *     FREE, lap n ---> WRITING, s ------> FULL, lap n ----> READING, r ----> FREE, lap n + 1
 *         |                |                                   |  ^             ^
 *         | seal           | abort, or s died         r died   |  | take        |
 *         v                v                                   v  |             |
 *        END            SKIPPED ---------- pass ------------> ORPHAN            |
 *                          +----------------------------------------------------+
 *
 * **Each step is one compareExchange of the cell's word**, which then names the new owner: so there
 * is no instruction at which a thread can die and it cannot be told which cells it had.
 *
 * **In order.** A sender claims the cell at the tail, and the tail moves on afterwards. If a thread
 * finds the cell at the tail claimed, it moves the tail on itself: the one that claimed it may be
 * slow, or dead. So cells are claimed in the order of their positions, each before the next.
 * Likewise receivers take messages at the head, in order.
 *
 * **Full** is a channel whose cell at the tail is still of the lap before. **Empty** is one whose
 * cell at the head is not full: free, or being written.
 *
 * **The end.** After the channel was closed, a receiver that finds the cell at the head free *seals*
 * it: END, which no sender can claim. If a sender was quicker, which had looked before the channel
 * was closed, there is one more message to wait for.
 *
 * Proven by: tests/channel/passing_model_test.ts, ending_model_test.ts, death_model_test.ts.
 * Source: the idea of a turn for each cell is that of D. Vyukov's bounded queue; cells that name
 * their owner are ours.
 *
 * @module
 */

import { ReclaimedError } from "../memory/errors.ts";
import {
  type ChannelLayout,
  CLOSED,
  END,
  FREE,
  FULL,
  HEAD,
  lapShiftOf,
  MESSAGE,
  ORPHAN,
  ORPHANS,
  READING,
  SKIPPED,
  STATE,
  STATE_BITS,
  STATE_MASK,
  TAIL,
  WRITING,
} from "./layout.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const IS_WRITING = WRITING;
const IS_FULL = FULL;
const IS_READING = READING;
const TAIL_WORD = TAIL;
const HEAD_WORD = HEAD;
const ORPHANS_WORD = ORPHANS;
/** From here on the word of a cell is of a later lap. */
const NEXT_LAP = 1 << STATE_BITS;

/** Returned by {@link Cells.claim} and {@link Cells.take} if there will never be a cell. */
export const ENDED = -1;

/** The cells of a channel, as one thread sees them. */
export class Cells {
  readonly words: Int32Array;
  /** The number of cells. */
  readonly capacity: number;
  readonly #mask: number;
  /** By how much a position is shifted to get the number of its lap, and that to get its word. */
  readonly #down: number;
  readonly #up: number;
  readonly #first: number;
  readonly #stride: number;
  /** The position of the first of the cells that were claimed, or taken, last. */
  position = 0;
  /** Set once a cell was passed that has no message: senders may have room. */
  hasPassed = false;

  /** The cells in these words. */
  constructor(words: Int32Array, layout: ChannelLayout) {
    this.words = words;
    this.capacity = layout.size.capacity;
    this.#mask = this.capacity - 1;
    this.#down = 31 - Math.clz32(this.capacity);
    this.#up = lapShiftOf(this.capacity);
    this.#first = layout.cells;
    this.#stride = layout.stride;
  }

  /** The word of the cell at a position. */
  indexOf(position: number): number {
    return this.#first + (position & this.#mask) * this.#stride;
  }

  /** Where the message at a position begins, in words. */
  messageOf(position: number): number {
    return this.#first + (position & this.#mask) * this.#stride + MESSAGE;
  }

  /** The word of a cell that is free for a position: its lap. */
  #lapOf(position: number): number {
    return (position >>> this.#down) << this.#up;
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return Atomics.load(this.words, STATE) === CLOSED;
  }

  /**
   * Claims the next free cells, in one piece.
   *
   * @param place The place of the sender.
   * @param max How many at most.
   * @returns How many; 0 if the channel is full, {@link ENDED} if it was closed.
   */
  claim(place: number, max: number): number {
    const words = this.words;
    for (;;) {
      const position = Atomics.load(words, TAIL_WORD);
      const index = this.indexOf(position);
      const free = this.#lapOf(position);
      const word = Atomics.load(words, index);
      if (word === free) {
        if (Atomics.load(words, STATE) === CLOSED) return ENDED;
        // Pairs with the one that frees the cell: what was read from it happens before.
        if (Atomics.compareExchange(words, index, free, free | IS_WRITING | place) !== free) {
          continue;
        }
        const count = max === 1 ? 1 : this.#claimMore(position, place, max);
        this.position = position;
        this.#moveOn(TAIL_WORD, position, position + count | 0);
        return count;
      }
      if ((word - free | 0) < 0) return this.isClosed ? ENDED : 0;
      if (word === (free | END)) return ENDED;
      this.#moveOn(TAIL_WORD, position, position + 1 | 0);
    }
  }

  /** Claims the cells after the one at `position`; returns how many there are with that. */
  #claimMore(position: number, place: number, max: number): number {
    const words = this.words;
    let count = 1;
    while (count < max) {
      const next = position + count | 0;
      const index = this.indexOf(next);
      const free = this.#lapOf(next);
      if (Atomics.load(words, index) !== free) break;
      if (Atomics.compareExchange(words, index, free, free | IS_WRITING | place) !== free) break;
      count++;
    }
    return count;
  }

  /** Moves a cursor on, unless another thread has. */
  #moveOn(cursor: number, from: number, to: number): void {
    const words = this.words;
    let seen = Atomics.compareExchange(words, cursor, from, to);
    // Others may have moved it on by a part, as far as they found cells claimed.
    while (seen !== from && (to - seen | 0) > 0 && (seen - from | 0) > 0) {
      from = seen;
      seen = Atomics.compareExchange(words, cursor, from, to);
    }
  }

  /**
   * Whether a sender could claim a cell, and leave as many free ones as it says, or the channel is
   * closed. True also if that cannot be told now.
   */
  hasRoom(spare: number): boolean {
    const position = Atomics.load(this.words, TAIL_WORD);
    const last = position + spare | 0;
    const word = Atomics.load(this.words, this.indexOf(last));
    return (word - this.#lapOf(last) | 0) >= 0 || this.isClosed;
  }

  /** Hands the message in a claimed cell to the receivers. */
  publish(position: number, place: number): void {
    const free = this.#lapOf(position);
    // Everything that was written to the cell happens before: pairs with take.
    this.#change(position, free | IS_WRITING | place, free | IS_FULL);
  }

  /** Gives up a claimed cell. */
  abort(position: number, place: number): void {
    const free = this.#lapOf(position);
    this.#change(position, free | IS_WRITING | place, free | SKIPPED);
  }

  /**
   * Takes the next messages, in one piece.
   *
   * @param place The place of the receiver.
   * @param max How many at most.
   * @returns How many; 0 if the channel is empty, {@link ENDED} if there will be none.
   */
  take(place: number, max: number): number {
    const words = this.words;
    if (Atomics.load(words, ORPHANS_WORD) !== 0 && this.#takeOrphan(place)) return 1;
    for (;;) {
      const position = Atomics.load(words, HEAD_WORD);
      const index = this.indexOf(position);
      const free = this.#lapOf(position);
      const word = Atomics.load(words, index);
      if (word === (free | IS_FULL)) {
        // Pairs with publish.
        if (Atomics.compareExchange(words, index, word, free | IS_READING | place) !== word) {
          continue;
        }
        const count = max === 1 ? 1 : this.#takeMore(position, place, max);
        this.position = position;
        this.#moveOn(HEAD_WORD, position, position + count | 0);
        return count;
      }
      if ((word - free | 0) < 0) return 0;
      const state = word - free | 0;
      if (state === FREE) {
        if (!this.isClosed) return 0;
        // No sender can claim it any more, and none has: nor any cell after it.
        if (Atomics.compareExchange(words, index, free, free | END) === free) return ENDED;
        continue;
      }
      if (state === END) return ENDED;
      if (state < NEXT_LAP && (state & STATE_MASK) === IS_WRITING) return 0;
      const isOrphan = state === ORPHAN && this.#takeOrphanAt(position, place);
      if (state === SKIPPED) this.#pass(position);
      this.#moveOn(HEAD_WORD, position, position + 1 | 0);
      if (isOrphan) return 1;
    }
  }

  /** Takes the messages after the one at `position`; returns how many there are with that. */
  #takeMore(position: number, place: number, max: number): number {
    const words = this.words;
    let count = 1;
    while (count < max) {
      const next = position + count | 0;
      const index = this.indexOf(next);
      const free = this.#lapOf(next);
      const full = free | IS_FULL;
      if (Atomics.load(words, index) !== full) break;
      if (Atomics.compareExchange(words, index, full, free | IS_READING | place) !== full) break;
      count++;
    }
    return count;
  }

  /** Takes a message that a dead receiver had. */
  #takeOrphan(place: number): boolean {
    const { words } = this;
    // The oldest first: all cells that were taken lie in the lap before the head.
    const head = Atomics.load(words, HEAD_WORD);
    for (let i = this.capacity; i > 0; i--) {
      if (this.#takeOrphanAt(head - i | 0, place)) return true;
    }
    return false;
  }

  #takeOrphanAt(position: number, place: number): boolean {
    const { words } = this;
    const index = this.indexOf(position);
    const free = this.#lapOf(position);
    const orphan = free | ORPHAN;
    if (Atomics.load(words, index) !== orphan) return false;
    if (Atomics.compareExchange(words, index, orphan, free | READING | place) !== orphan) {
      return false;
    }
    Atomics.sub(words, ORPHANS_WORD, 1);
    this.position = position;
    return true;
  }

  /** Frees a cell that has no message. */
  #pass(position: number): void {
    const skipped = this.#lapOf(position) | SKIPPED;
    if (this.#tryChange(position, skipped, this.#freed(position))) this.hasPassed = true;
  }

  /** Whether there may be something for a receiver: a message, or the end. */
  hasMessage(): boolean {
    const { words } = this;
    if (Atomics.load(words, ORPHANS_WORD) !== 0) return true;
    const position = Atomics.load(words, HEAD_WORD);
    const state = Atomics.load(words, this.indexOf(position)) - this.#lapOf(position) | 0;
    if (state < 0) return false;
    if (state === FREE) return this.isClosed;
    return (state & STATE_MASK) !== IS_WRITING || state >= NEXT_LAP;
  }

  /** Lets senders have a cell again whose message was taken. */
  free(position: number, place: number): void {
    const reading = this.#lapOf(position) | IS_READING | place;
    // Everything that was read from the cell happens before: pairs with claim.
    this.#change(position, reading, this.#freed(position));
  }

  #freed(position: number): number {
    return this.#lapOf(position + this.capacity | 0);
  }

  #change(position: number, from: number, to: number): void {
    const index = this.indexOf(position);
    if (Atomics.compareExchange(this.words, index, from, to) !== from) throw reclaimed();
  }

  /**
   * What the owner of a place had, which has died; calls `end` for each cell, with its position.
   *
   * @param state {@link WRITING} for a sender, {@link READING} for a receiver.
   */
  ownedBy(state: number, place: number, end: (position: number) => void): void {
    const cursor = Atomics.load(this.words, state === WRITING ? TAIL_WORD : HEAD_WORD);
    // The cursor may be behind what a dead thread had claimed, by a lap at most.
    for (let i = -this.capacity; i < this.capacity; i++) {
      const position = cursor + i | 0;
      const word = Atomics.load(this.words, this.indexOf(position));
      if (word === (this.#lapOf(position) | state | place)) end(position);
    }
  }

  /** Has the cell of a dead sender passed by receivers. */
  skip(position: number, place: number): boolean {
    const free = this.#lapOf(position);
    return this.#tryChange(position, free | WRITING | place, free | SKIPPED);
  }

  /** Has the message of a dead receiver taken by another. */
  orphan(position: number, place: number): boolean {
    const free = this.#lapOf(position);
    Atomics.add(this.words, ORPHANS, 1);
    if (this.#tryChange(position, free | READING | place, free | ORPHAN)) return true;
    Atomics.sub(this.words, ORPHANS, 1);
    return false;
  }

  /** As {@link Cells.free}, for a dead receiver. */
  freeFor(position: number, place: number): boolean {
    return this.#tryChange(
      position,
      this.#lapOf(position) | READING | place,
      this.#freed(position),
    );
  }

  #tryChange(position: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, this.indexOf(position), from, to) === from;
  }
}

function reclaimed(): ReclaimedError {
  return new ReclaimedError(
    "Cannot use this message of the channel as the part of this thread was reclaimed: it was taken for dead",
  );
}
