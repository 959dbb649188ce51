/**
 * What a producer does with the ring: it differs for a single producer and for one of several.
 *
 * @module
 */

import type { Barrier, WaitStrategy } from "./barrier.ts";
import { CLOSED, NO_ROOM, UNIT_SHIFT } from "./layout.ts";
import { maxRest } from "./pace.ts";
import type { Ring } from "./ring.ts";

const ENDS = CLOSED | NO_ROOM;

/** How a producer claims and publishes. */
export interface Seat {
  /** Claims this much, if there is room; returns whether there was. */
  take(length: number): boolean;
  /** Where the last claim begins. */
  readonly taken: number;
  /** The position after everything that is claimed, by any producer. */
  readonly claimed: number;
  /** How much is claimed and neither published nor aborted. */
  readonly open: number;
  /** The place among several producers; -1 for a single one. */
  readonly place: number;
  /** Publishes what was claimed. */
  publish(): void;
  /** Publishes a first part of it. */
  publishPart(length: number): void;
  /** Gives up what was claimed and not published. */
  abort(): void;
  /** Leaves the disruptor. */
  leave(): void;
}

/** The room that a producer has. */
export class Room {
  /** What keeps the producer. */
  readonly barrier: Barrier;
  /** The length of the ring in positions. */
  readonly lap: number;
  /** The position up to which there is room for sure. */
  limit: number;
  /** How long the producer may rest if it meets others, in pauses. */
  readonly maxRest: number;
  /** How much was missing when there was not enough room. */
  missing = 0;
  readonly #ring: Ring;

  /** The room of one thread, which knows of none beyond `position`. */
  constructor(ring: Ring, strategy: WaitStrategy, position: number) {
    this.#ring = ring;
    this.barrier = ring.producerBarrier(strategy);
    this.maxRest = maxRest(strategy);
    this.lap = ring.capacity << UNIT_SHIFT;
    this.limit = position;
  }

  /** Finds whether there is room up to `end`. */
  find(end: number): boolean {
    const ahead = this.barrier.look(end - this.lap | 0);
    if ((this.barrier.flags & ENDS) !== 0) throw this.#ring.endError("claim");
    this.missing = ahead < 0 ? -ahead : 0;
    if (ahead < 0) return false;
    this.limit = end + ahead | 0;
    return true;
  }
}
