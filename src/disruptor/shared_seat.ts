/**
 * One of several producers. See `claims.ts` for how they share the ring.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import type { Claims } from "./claims.ts";
import { CLAIMS_CLOSED, FLAGS, SKIPS, UNIT, UNIT_SHIFT } from "./layout.ts";
import type { Ring } from "./ring.ts";
import type { Room, Seat } from "./seat.ts";

const POSITION_MASK = ~FLAGS;
const IS_CLOSED = CLAIMS_CLOSED;
const SKIPS_WORD = SKIPS;

/** The seat of one of several producers. */
export class SharedSeat implements Seat {
  readonly #ring: Ring;
  readonly #room: Room;
  readonly #claims: Claims;
  readonly #words: Int32Array;
  readonly #skipped: number;
  readonly #hasObservers: boolean;
  /** The claims as they were after the last claim of this producer. */
  #last = 0;
  #hasLimit = false;
  /** For how many pauses to rest before a claim: it fades with each. */
  #rest = 0;
  /** Whether slots that there is room in may be marked as skipped. */
  #maySkip = false;

  private constructor(ring: Ring, room: Room, claims: Claims) {
    this.#ring = ring;
    this.#room = room;
    this.#claims = claims;
    this.#words = ring.words;
    this.#hasObservers = ring.hasObservers;
    this.#skipped = ring.region.layout.skipped;
  }

  /**
   * Becomes a producer.
   *
   * @param place Its place among the producers; any that is free if undefined.
   * @throws {Error} If that place is taken, or all are.
   */
  static join(ring: Ring, room: Room, place: number | undefined): SharedSeat {
    const found = ring.producerClaims(-1).join(place);
    if (found !== -1) return new SharedSeat(ring, room, ring.producerClaims(found));
    const { producers } = ring.region.layout.size;
    throw new Error(
      place === undefined
        ? `Cannot produce as all ${producers} places of producers are taken: close one, or reclaim it if its thread has died`
        : `Cannot produce as place ${place} is taken: close that producer, or reclaim it if its thread has died`,
    );
  }

  get place(): number {
    return this.#claims.place;
  }

  take(length: number): boolean {
    const claims = this.#claims;
    if (claims.isOpen) {
      throw new Error("Cannot claim as slots are claimed: publish or abort them first");
    }
    if (this.#rest > 0) this.#restAmongOthers();
    for (let hasFailed = false;; hasFailed = true) {
      const seen = hasFailed ? claims.load() : claims.glance();
      const end = (seen & POSITION_MASK) + length | 0;
      // If others have claimed since, the limit may be out of date by any number of laps.
      const isKnown = this.#hasLimit && seen === this.#last && (this.#room.limit - end | 0) >= 0;
      if (!isKnown && !this.#findRoom(seen, end, hasFailed)) return false;
      if (this.#hasObservers && (seen ^ end) < 0) this.#ring.countHalf(seen);
      if (!claims.tryClaim(seen, length)) {
        this.#rest = this.#room.maxRest;
        continue;
      }
      this.#last = end | claims.place;
      // Others may have found the intent that failed, and left events behind it unpublished.
      if (hasFailed) claims.advance();
      return true;
    }
  }

  /**
   * Two producers at once wait for each other's cache lines at each step. After they have met, they
   * rest before claims that follow one of another, so that one of them claims many times in a row.
   */
  #restAmongOthers(): void {
    if (this.#claims.glance() === this.#last) return;
    for (let i = this.#rest--; i > 0; i--) Atomics.pause?.();
  }

  #findRoom(seen: number, end: number, hasFailed: boolean): boolean {
    try {
      if ((seen & IS_CLOSED) !== 0) throw this.#ring.endError("claim");
      this.#hasLimit = this.#room.find(end);
      // Not atomic: a thread that skipped a slot stored the word before the gate passed the slot.
      this.#maySkip ||= racyLoad(this.#words, SKIPS_WORD) === 1;
      if (this.#hasLimit) return true;
    } catch (error) {
      if (hasFailed) this.#claims.withdraw();
      throw error;
    }
    if (hasFailed) this.#claims.withdraw();
    return false;
  }

  get taken(): number {
    return this.#claims.start;
  }

  get claimed(): number {
    return this.#claims.load() & POSITION_MASK;
  }

  get open(): number {
    const claims = this.#claims;
    return claims.isOpen ? claims.end - claims.start | 0 : 0;
  }

  publish(): void {
    const claims = this.#claims;
    if (!claims.isOpen) return;
    this.#clearSkipped(claims.end);
    if (!claims.finish()) throw this.#ring.endError("publish");
  }

  publishPart(length: number): void {
    const claims = this.#claims;
    this.#clearSkipped(claims.start + length | 0);
    if (!claims.finishPart(length)) throw this.#ring.endError("publish");
  }

  /** Unmarks the slots up to `end`, which may have been skipped a lap ago. */
  #clearSkipped(end: number): void {
    if (!this.#maySkip) return;
    const mask = this.#ring.capacity - 1;
    const words = this.#words;
    for (let at = this.#claims.start; at !== end; at = at + UNIT | 0) {
      words[this.#skipped + ((at >>> UNIT_SHIFT) & mask)] = 0;
    }
  }

  abort(): void {
    const claims = this.#claims;
    if (!claims.isOpen) return;
    markSkipped(this.#ring, claims.start, claims.end - claims.start | 0);
    claims.finish();
  }

  leave(): void {
    this.#claims.leave(this.#claims.place);
  }
}

/** Marks claimed slots that nobody fills. */
export function markSkipped(ring: Ring, start: number, length: number): void {
  const { words, region, capacity } = ring;
  for (let i = 0; i < length >>> UNIT_SHIFT; i++) {
    words[region.layout.skipped + ((start >>> UNIT_SHIFT) + i & capacity - 1)] = 1;
  }
  // Before the cursor passes them: a consumer that finds the cursor looks at this word afterwards.
  Atomics.store(words, SKIPS, 1);
}
