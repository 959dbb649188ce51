/**
 * The producer of a disruptor that has a single one: no more than its own numbers and one
 * compareExchange of the cursor for each publication.
 *
 * @module
 */

import { CLAIMS, CLOSED, FLAGS, TAKEN } from "./layout.ts";
import type { Ring } from "./ring.ts";
import type { Room, Seat } from "./seat.ts";

// Local copies for the hot path.
const IS_CLOSED = CLOSED;
const CLAIMS_WORD = CLAIMS;

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

  private constructor(ring: Ring, room: Room, position: number) {
    this.#ring = ring;
    this.#room = room;
    this.#words = ring.words;
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
    return true;
  }

  get taken(): number {
    return this.#taken;
  }

  get claimed(): number {
    return this.#next;
  }

  get isOpen(): boolean {
    return (this.#published & ~FLAGS) !== this.#next;
  }

  publish(): void {
    const word = this.#ring.cursor.move(this.#published, this.#next);
    if ((word & IS_CLOSED) !== 0) {
      this.#next = this.#published & ~FLAGS;
      throw this.#ring.endError("publish");
    }
    this.#published = word;
  }

  abort(): void {
    this.#next = this.#published & ~FLAGS;
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
