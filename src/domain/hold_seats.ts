/**
 * Holds: entries that writers pass over while a thread reads them in place.
 *
 * A slot has some *hold seats*, which is how many of its messages can be held at once. A seat names
 * the member that has it, the entry, and since when. A bit for each seat in one word tells writers
 * at one look whether anything is held.
 *
 *     holder                                     writer
 *     take a seat: owner 0 -> own                claim: state of the entry -> claimed
 *     seat: the entry                            look at the bits, and at the seats that have one
 *     set the bit of the seat                    an entry that is held is given back at once
 *     look at the state of the entry
 *
 * Each changes a word of its own first, and then looks at that of the other. So at least one finds
 * the other; if both do, both give way, and the holder finds its message overwritten or not.
 *
 * A holder releases by clearing the bit: a read-modify-write that the writer's load reads from, so
 * what the holder has read comes before what the writer writes. Then it frees the seat.
 *
 * @module
 */

import { HELD_ENTRY, HOLD_BITS, HOLD_SEAT_WORDS, READABLE, SEAT_OWNER, SINCE } from "./layout.ts";
import { NOWHERE, type SlotWords } from "./slot_words.ts";

const FREE = 0;

/** Returned by {@link HoldSeats.hold} if the message is not kept any more. */
export const GONE = -1;
/** Returned by {@link HoldSeats.hold} if every seat is taken. */
export const ALL_TAKEN = -2;

/** A seat that is taken. */
export interface SeatInspection {
  /** The owner. */
  readonly owner: number;
  /** The entry that it names, or that it named last. */
  readonly entry: number;
  /** Since when, in milliseconds since 1970. */
  readonly since: number;
}

/** The hold seats of one slot. */
export class HoldSeats {
  readonly #slot: SlotWords;
  readonly #words: Int32Array;
  readonly #count: number;
  readonly #bits: number;
  readonly #first: number;
  /** The entry that was held last. */
  #entry = NOWHERE;

  /** The seats of a slot. */
  constructor(slot: SlotWords) {
    this.#slot = slot;
    this.#words = slot.words;
    this.#count = slot.card.holds;
    this.#bits = slot.first + HOLD_BITS;
    this.#first = slot.holdSeats;
  }

  /** The entry that this thread has held last. */
  get entry(): number {
    return this.#entry;
  }

  /**
   * Holds the entry with the message of this word, which is then in {@link HoldSeats.entry}.
   *
   * @returns The seat, {@link GONE} or {@link ALL_TAKEN}.
   */
  hold(owner: number, word: number): number {
    const words = this.#words;
    const entry = this.#slot.find(word);
    if (entry === NOWHERE) return GONE;
    this.#entry = entry;
    const seat = this.#take(owner);
    if (seat === ALL_TAKEN) return ALL_TAKEN;
    Atomics.store(words, this.#seat(seat) + HELD_ENTRY, entry + 1);
    // Pairs with the writer's look after its claim: it finds the bit, or we find its claim.
    Atomics.or(words, this.#bits, 1 << seat);
    if (Atomics.load(words, this.#slot.state(entry)) === (word | READABLE)) return seat;
    this.release(seat, owner);
    return GONE;
  }

  /**
   * Releases a seat.
   *
   * @returns Whether it was the owner's.
   */
  release(seat: number, owner: number): boolean {
    const words = this.#words;
    const index = this.#seat(seat) + SEAT_OWNER;
    if (Atomics.load(words, index) !== owner) return false;
    // In this order, as the bit is the next owner's once the seat is free. Pairs with the look of
    // the writer that claims the entry: what was read in it comes before what is written.
    Atomics.and(words, this.#bits, ~(1 << seat));
    return Atomics.compareExchange(words, index, owner, FREE) === owner;
  }

  /** Whether an entry is held, or a thread is about to hold it. */
  isHeld(entry: number): boolean {
    if (this.#count === 0) return false;
    // Pairs with the holder's setting and clearing of its bit.
    let bits = Atomics.load(this.#words, this.#bits);
    while (bits !== 0) {
      const seat = 31 - Math.clz32(bits);
      bits ^= 1 << seat;
      if (Atomics.load(this.#words, this.#seat(seat) + HELD_ENTRY) === entry + 1) return true;
    }
    return false;
  }

  /** Releases what a dead member holds. */
  reclaim(dead: number): void {
    for (let seat = 0; seat < this.#count; seat++) this.release(seat, dead);
  }

  /** The seats that are taken. */
  inspect(now: number): SeatInspection[] {
    const seats: SeatInspection[] = [];
    for (let seat = 0; seat < this.#count; seat++) {
      const index = this.#seat(seat);
      const owner = Atomics.load(this.#words, index + SEAT_OWNER);
      if (owner === FREE) continue;
      const entry = Atomics.load(this.#words, index + HELD_ENTRY) - 1;
      seats.push({ owner, entry, since: timeOf(Atomics.load(this.#words, index + SINCE), now) });
    }
    return seats;
  }

  #take(owner: number): number {
    for (let seat = 0; seat < this.#count; seat++) {
      const index = this.#seat(seat);
      if (Atomics.load(this.#words, index + SEAT_OWNER) !== FREE) continue;
      if (Atomics.compareExchange(this.#words, index + SEAT_OWNER, FREE, owner) !== FREE) continue;
      Atomics.store(this.#words, index + SINCE, Date.now() | 0);
      return seat;
    }
    return ALL_TAKEN;
  }

  #seat(seat: number): number {
    return this.#first + seat * HOLD_SEAT_WORDS;
  }
}

/** The time that was stored modulo 2^32, not after `now`. */
export function timeOf(stored: number, now: number): number {
  return now - (now - stored >>> 0);
}
