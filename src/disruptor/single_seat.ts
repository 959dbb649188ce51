/**
 * The producer of a disruptor that has a single one: no more than its own numbers and one
 * compareExchange of the cursor for each publication.
 *
 * @module
 */

import { CLAIMS, CLOSED, FILLED, FLAGS, TAKEN } from "./layout.ts";
import type { Ring } from "./ring.ts";
import type { Room, Seat } from "./seat.ts";

// Local copies for the hot path.
const IS_CLOSED = CLOSED;
const CLAIMS_WORD = CLAIMS;
const POSITION_MASK = ~FLAGS;

/** The seat of a single producer. */
export class SingleSeat implements Seat {
  readonly #ring: Ring;
  readonly #room: Room;
  readonly #words: Int32Array;
  /** The word of the cursor as this producer left it. */
  #published: number;
  /** The position of the next slot to claim. */
  #next: number;
  #taken: number;
  readonly #hasObservers: boolean;
  /** Up to where slots may have been filled, by this producer or one before it. */
  #filled: number;

  private constructor(ring: Ring, room: Room, position: number) {
    this.#ring = ring;
    this.#room = room;
    this.#words = ring.words;
    this.#hasObservers = ring.hasObservers;
    this.#filled = Atomics.load(ring.words, FILLED);
    this.#published = this.#next = this.#taken = position;
  }

  /**
   * Becomes the producer.
   *
   * @throws {Error} If there is one.
   */
  static join(ring: Ring, room: Room): SingleSeat {
    // Pairs with the store of leave.
    if (Atomics.compareExchange(ring.words, TAKEN, 0, 1) !== 0) {
      throw new Error(
        "Cannot produce as the disruptor has a single producer, and one is attached: close it, " +
          'reclaim it if its thread has died, or create the disruptor with producers: "multi"',
      );
    }
    const position = ring.cursor.load() & ~FLAGS;
    room.limit = position;
    return new SingleSeat(ring, room, position);
  }

  get place(): number {
    return -1;
  }

  take(length: number): boolean {
    const end = this.#next + length | 0;
    if ((this.#room.limit - end | 0) < 0) {
      if ((end - this.#published | 0) > this.#room.lap) throw tooMuch(this.#ring.capacity);
      if (!this.#room.find(end)) return false;
    }
    this.#taken = this.#next;
    this.#next = end;
    this.#words[CLAIMS_WORD] = end;
    if (this.#hasObservers && (end - this.#filled | 0) > 0) this.#announce(end);
    return true;
  }

  /** Lets observers know what may be filled from now on. */
  #announce(end: number): void {
    if ((this.#filled ^ end) < 0) this.#ring.countHalf(this.#filled);
    this.#filled = end;
    // Not a store: it must read from the observer's operation that comes before. See observer.ts.
    Atomics.exchange(this.#words, FILLED, end);
  }

  get taken(): number {
    return this.#taken;
  }

  get claimed(): number {
    return this.#next;
  }

  get open(): number {
    return this.#next - (this.#published & POSITION_MASK) | 0;
  }

  publish(): void {
    this.#publishTo(this.#next);
  }

  publishPart(length: number): void {
    this.#publishTo((this.#published & POSITION_MASK) + length | 0);
  }

  #publishTo(position: number): void {
    const word = this.#ring.cursor.move(this.#published, position);
    if ((word & IS_CLOSED) !== 0) {
      this.#next = this.#published & POSITION_MASK;
      throw this.#ring.endError("publish");
    }
    this.#published = word;
  }

  abort(): void {
    this.#next = this.#published & POSITION_MASK;
    this.#words[CLAIMS_WORD] = this.#next;
  }

  leave(): void {
    Atomics.store(this.#words, TAKEN, 0);
  }
}

function tooMuch(capacity: number): RangeError {
  return new RangeError(
    `Cannot claim as more than the ${capacity} slots of the ring would be claimed: publish first`,
  );
}
