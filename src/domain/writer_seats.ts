/**
 * Writing into a slot: which entry, under which number, and when others see it.
 *
 * A slot has a *writer seat* for each writer that it can have at once. No writer ever waits for
 * another one:
 *
 * 1. **Claim.** A writer looks for an entry that is free: empty, or with a message that is not
 *    among those that are kept, and not held. It puts its seat into the state of the entry by
 *    compareExchange. There is one entry more than kept messages, holds and other writers can
 *    occupy, so it finds one.
 * 2. **Fill.** Only this writer writes into the entry, plainly.
 * 3. **Append.** It takes the number after the last one, by compareExchange of the place that this
 *    number has in the index: from what is there to the entry.
 * 4. **Finish.** The state of the entry becomes readable, under that number; and then the last
 *    number is raised, by compareExchange of each. Any writer that finds a number appended and not
 *    finished does that, too, before it appends its own. So a writer that dies in between is in
 *    nobody's way.
 *
 * Only the last step makes a message visible. If the slot was closed before, it fails for everyone,
 * and the message was never published.
 *
 * In a slot that has one writer nobody else appends, so it does that by a store, and finishes.
 *
 * **No step is done twice.** A writer that finishes late has loaded the state of the entry while
 * the message was not published; it was a claim then, with a seat and the number of the message
 * before, and that state does not come again. One that appends late has loaded the place in the
 * index while the number was not taken, and what was there then does not come again.
 *
 * @module
 */

import { CACHE_LINE_WORDS } from "../memory/layout.ts";
import { type HoldSeats, type SeatInspection, timeOf } from "./hold_seats.ts";
import { CLOSED, EMPTY, FLAGS, READABLE, SEAT_OWNER, SINCE, UNIT } from "./layout.ts";
import { NOWHERE, type SlotWords } from "./slot_words.ts";

const FREE = 0;

// Local copies for the hot path: an imported binding is loaded at each use.
const CLOSED_FLAG = CLOSED;
const FLAG_BITS = FLAGS;
const READABLE_STATE = READABLE;
const STEP = UNIT;

/** As far ahead of the last number that was loaded as one may be, in words: 2^20 messages. */
const MAX_AHEAD = -(2 ** 20) * UNIT;

/** The writer seats of one slot. */
export class WriterSeats {
  readonly #slot: SlotWords;
  readonly #holds: HoldSeats;
  readonly #words: Int32Array;
  readonly #entries: number;
  readonly #span: number;
  readonly #published: number;

  /** The seats of a slot. */
  constructor(slot: SlotWords, holds: HoldSeats) {
    this.#slot = slot;
    this.#holds = holds;
    this.#words = slot.words;
    this.#entries = slot.entries;
    this.#span = slot.span;
    this.#published = slot.published;
  }

  /** Takes a seat; returns its number, or -1 if all are taken. */
  take(owner: number): number {
    for (let seat = 0; seat < this.#slot.card.writers; seat++) {
      const index = this.#seat(seat);
      if (Atomics.load(this.#words, index + SEAT_OWNER) !== FREE) continue;
      // Pairs with the release of the writer that had it before.
      if (Atomics.compareExchange(this.#words, index + SEAT_OWNER, FREE, owner) !== FREE) continue;
      Atomics.store(this.#words, index + SINCE, Date.now() | 0);
      return seat;
    }
    return -1;
  }

  /** Frees a seat without a claim; returns whether it was the owner's. */
  release(seat: number, owner: number): boolean {
    const index = this.#seat(seat) + SEAT_OWNER;
    return Atomics.compareExchange(this.#words, index, owner, FREE) === owner;
  }

  /** Whether the owner has the seat. */
  isOwned(seat: number, owner: number): boolean {
    return Atomics.load(this.#words, this.#seat(seat) + SEAT_OWNER) === owner;
  }

  /**
   * Claims an entry.
   *
   * @param from The entry at which to begin to look.
   * @returns The entry, or {@link NOWHERE} if the slot was closed.
   */
  claim(seat: number, from: number): number {
    const words = this.#words;
    const entries = this.#entries;
    let last = Atomics.load(words, this.#published);
    let entry = from;
    for (let looked = 0; (last & CLOSED_FLAG) === 0; looked++) {
      if (looked === entries) {
        // Others were quicker everywhere: some of what was kept then is not kept any more.
        last = Atomics.load(words, this.#published);
        looked = 0;
      }
      const index = this.#slot.state(entry);
      const state = Atomics.load(words, index);
      if (this.#isFree(state, last)) {
        const claimed = (state & ~FLAG_BITS) | seat + 1;
        // Readers that validate later discard what they copied; holders that look later give up.
        if (Atomics.compareExchange(words, index, state, claimed) === state) {
          // Pairs with the holder's look at the state after it has set its bit.
          if (!this.#holds.isHeld(entry)) return entry;
          Atomics.exchange(words, index, state);
        }
      }
      entry = entry + 1 === entries ? 0 : entry + 1;
    }
    return NOWHERE;
  }

  #isFree(state: number, last: number): boolean {
    const flags = state & FLAG_BITS;
    if (flags === EMPTY) return true;
    if (flags !== READABLE_STATE) return false;
    // Old if it is at least as far behind the last one as messages are kept; or, since numbers
    // wrap, if it is farther ahead than others can have published since we looked.
    const behind = (last & ~FLAG_BITS) - (state & ~FLAG_BITS) | 0;
    return behind >= this.#span || behind < MAX_AHEAD;
  }

  /** Gives a claimed entry back. */
  abort(entry: number): void {
    const words = this.#words;
    const index = this.#slot.state(entry);
    // Empty, and not as before: it may be half overwritten.
    Atomics.exchange(words, index, (Atomics.load(words, index) & ~FLAG_BITS) | EMPTY);
  }

  /**
   * As {@link WriterSeats.publish}, for a slot that has one writer: nobody else appends.
   */
  publishAlone(entry: number): number {
    const words = this.#words;
    const slot = this.#slot;
    const last = Atomics.load(words, this.#published);
    if ((last & CLOSED_FLAG) !== 0) return last;
    const next = last + STEP | 0;
    // Before the rest, so that a reclaim can do that.
    Atomics.store(words, slot.place(next), slot.indexWord(next, entry));
    Atomics.exchange(words, slot.state(entry), next | READABLE_STATE);
    slot.raiseHigh(next);
    // Publishes the message to readers. Fails only if the slot was closed.
    const seen = Atomics.compareExchange(words, this.#published, last, next);
    return seen === last ? next : seen;
  }

  /**
   * Publishes a claimed and filled entry under the next number.
   *
   * @returns The word of that number; or one with the flag {@link CLOSED}, if the slot was closed.
   */
  publish(entry: number): number {
    const words = this.#words;
    const slot = this.#slot;
    for (;;) {
      const last = Atomics.load(words, this.#published);
      if ((last & CLOSED_FLAG) !== 0) return last;
      const next = last + STEP | 0;
      const place = slot.place(next);
      const found = Atomics.load(words, place);
      // After the look: now `found` is what was there before, or what was appended under `next`.
      if (Atomics.load(words, this.#published) !== last) continue;
      const other = slot.entryIn(found, next);
      if (other !== NOWHERE) {
        this.#finish(last, next, other);
        continue;
      }
      // Publishes what was filled to the thread that finishes. Fails if another was quicker.
      if (Atomics.compareExchange(words, place, found, slot.indexWord(next, entry)) !== found) {
        continue;
      }
      const seen = this.#finish(last, next, entry);
      // The last number was raised to ours, by us or by another, unless the slot was closed first.
      return (seen & ~FLAG_BITS) === last && (seen & CLOSED_FLAG) !== 0 ? seen : next;
    }
  }

  /**
   * Makes the message that was appended after `last` readable, and raises the last number.
   *
   * @returns The last number as it was before, or as another has changed it.
   */
  #finish(last: number, next: number, entry: number): number {
    const words = this.#words;
    const index = this.#slot.state(entry);
    const state = Atomics.load(words, index);
    if (state !== (next | READABLE_STATE)) {
      // After the look: while this is so, the state is the claim, which never comes again.
      const seen = Atomics.load(words, this.#published);
      if (seen !== last) return seen;
      Atomics.compareExchange(words, index, state, next | READABLE_STATE);
    }
    this.#slot.raiseHigh(next);
    // Publishes the message to readers.
    return Atomics.compareExchange(words, this.#published, last, next);
  }

  /**
   * Frees the seats of a dead member: what it had appended is published, what it had only claimed
   * is given back.
   */
  reclaim(dead: number): void {
    for (let seat = 0; seat < this.#slot.card.writers; seat++) {
      if (!this.isOwned(seat, dead)) continue;
      this.#finishPending();
      this.#giveBack(seat);
      this.release(seat, dead);
    }
  }

  /** How many seats a member has. */
  count(owner: number): number {
    let count = 0;
    for (let seat = 0; seat < this.#slot.card.writers; seat++) {
      if (this.isOwned(seat, owner)) count++;
    }
    return count;
  }

  /** Finishes what was appended and not finished, perhaps by a dead writer. */
  #finishPending(): void {
    const last = Atomics.load(this.#words, this.#published);
    if ((last & CLOSED_FLAG) !== 0) return;
    const next = last + STEP | 0;
    const entry = this.#slot.find(next);
    // Fails if another finishes it.
    if (entry !== NOWHERE) this.#finish(last, next, entry);
  }

  /** Empties the entries that this seat has claimed. */
  #giveBack(seat: number): void {
    for (let entry = 0; entry < this.#entries; entry++) {
      const index = this.#slot.state(entry);
      const state = Atomics.load(this.#words, index);
      if ((state & FLAG_BITS) !== seat + 1) continue;
      // The dead writer may have appended it, in a slot that was closed then; that is never seen.
      Atomics.compareExchange(this.#words, index, state, (state & ~FLAG_BITS) | EMPTY);
    }
  }

  /** The entry that a seat has claimed; {@link NOWHERE} if it has none. */
  #claimOf(seat: number): number {
    for (let entry = 0; entry < this.#entries; entry++) {
      const state = Atomics.load(this.#words, this.#slot.state(entry));
      if ((state & FLAG_BITS) === seat + 1) return entry;
    }
    return NOWHERE;
  }

  /** The seats that are taken; `entry` is what a seat has claimed, or -1. */
  inspect(now: number): SeatInspection[] {
    const seats: SeatInspection[] = [];
    for (let seat = 0; seat < this.#slot.card.writers; seat++) {
      const index = this.#seat(seat);
      const owner = Atomics.load(this.#words, index + SEAT_OWNER);
      if (owner === FREE) continue;
      const entry = this.#claimOf(seat);
      seats.push({ owner, entry, since: timeOf(Atomics.load(this.#words, index + SINCE), now) });
    }
    return seats;
  }

  #seat(seat: number): number {
    return this.#slot.writerSeats + seat * CACHE_LINE_WORDS;
  }
}
