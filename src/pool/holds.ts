/**
 * Which threads and tickets have the buffers that are taken: the holds of a pool, as one thread
 * sees them. Each method is one step of the protocol that is described at the head of
 * `buffer_pool.ts`.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { type BufferPoolLayout, OFFERED, SEALED, SEALER_SHIFT } from "./layout.ts";
import type { Identity } from "./threads.ts";

/** The bits of a ticket's number in a sealed hold. */
const SEAL_MASK = (1 << SEALER_SHIFT) - 1;
/** Spreads the generations of a thread over the numbers of tickets, so that old ones differ. */
const GENERATION_STEP = 0x2545f49;

/** The holds of a pool, as one thread sees them. */
export class Holds {
  /** The number of this thread. */
  readonly thread: number;
  readonly #words: Int32Array;
  /** The hold of buffer 0. */
  readonly #start: number;
  /** This thread among the holders. */
  readonly #bit: number;
  /** One ticket among the flights. */
  readonly #flight: number;
  /** The number of the next ticket for a sealed buffer. */
  #seal: number;

  /**
   * Opens the holds of a pool.
   *
   * @param words All words of the region.
   * @param identity The thread that looks at them.
   */
  constructor(words: Int32Array, layout: BufferPoolLayout, { thread, generation }: Identity) {
    this.thread = thread;
    this.#words = words;
    this.#start = layout.holdWords;
    this.#bit = 1 << thread;
    this.#flight = 1 << layout.threads;
    this.#seal = Math.imul(generation, GENERATION_STEP) & SEAL_MASK;
  }

  /** Makes this thread the holder of a free buffer, in whose batch it is the taker. */
  own(buffer: number): void {
    // Atomic: a thread with a stale number or ticket may read this word now; its compareExchange
    // will fail.
    Atomics.store(this.#words, this.#start + buffer, this.#bit);
  }

  /** Offers a buffer that only this thread has; the caller then gives its number to a waiter. */
  offer(buffer: number): void {
    Atomics.store(this.#words, this.#start + buffer, OFFERED);
  }

  /** Accepts a buffer that was offered, here or elsewhere; false if it no longer is. */
  accept(buffer: number): boolean {
    return this.#exchange(buffer, OFFERED, this.#bit);
  }

  /** Detaches a buffer that only this thread has; returns the ticket that adopts it. */
  seal(buffer: number): number {
    const ticket = SEALED | this.thread << SEALER_SHIFT | this.#seal;
    this.#seal = (this.#seal + 1) & SEAL_MASK;
    // Publishes what we did with the buffer; pairs with the compareExchange of unseal.
    Atomics.store(this.#words, this.#start + buffer, ticket);
    return ticket;
  }

  /** Adopts a buffer that was sealed with this ticket; false if it no longer is. */
  unseal(buffer: number, ticket: number): boolean {
    return ticket !== OFFERED && this.#exchange(buffer, ticket, this.#bit);
  }

  /** Stops being a holder, and counts a ticket among the flights instead, in one operation. */
  leaveToFlight(buffer: number): void {
    Atomics.add(this.#words, this.#start + buffer, this.#flight - this.#bit);
  }

  /**
   * Becomes a holder, which this thread was not, and counts a ticket no longer, in one operation.
   */
  takeFromFlight(buffer: number): void {
    // Pairs with the sender's leaveToFlight: we see what it did with the buffer.
    Atomics.add(this.#words, this.#start + buffer, this.#bit - this.#flight);
  }

  /** Becomes a holder of a buffer that cannot become free meanwhile. */
  join(buffer: number): void {
    Atomics.or(this.#words, this.#start + buffer, this.#bit);
  }

  /** Stops being a holder of a buffer that cannot become free meanwhile. */
  leave(buffer: number): void {
    Atomics.and(this.#words, this.#start + buffer, ~this.#bit);
  }

  /**
   * Stops being a holder of a buffer, unless this thread is the only one.
   *
   * @returns Whether only this thread has the buffer: it remains the holder.
   */
  dropHold(buffer: number): boolean {
    for (;;) {
      const hold = Atomics.load(this.#words, this.#start + buffer);
      // No other can join, since only a thread that has a buffer can detach it. And we see what the
      // others did with it before they left.
      if (hold === this.#bit) return true;
      // Publishes what we did with the buffer to the thread that drops it last.
      if (this.#exchange(buffer, hold, hold & ~this.#bit)) return false;
    }
  }

  /** Whether no other has a buffer that this thread has. */
  isAlone(buffer: number): boolean {
    return Atomics.load(this.#words, this.#start + buffer) === this.#bit;
  }

  /** Whether a thread is a holder of a buffer that some thread or ticket has. */
  isHolder(thread: number, buffer: number): boolean {
    return (Atomics.load(this.#words, this.#start + buffer) & 1 << thread) !== 0;
  }

  /**
   * Takes a taken buffer away from a dead thread. One that is offered is withdrawn, too, as it may
   * have been offered by the dead thread to no waiter yet, or to the dead thread. This thread is
   * the taker of its batch.
   *
   * @param reclaimsDetached Whether to take the buffer back also if the dead thread has sealed it
   * and no thread has adopted it.
   * @returns Whether the buffer can become free: no other has it.
   */
  reclaim(buffer: number, dead: number, reclaimsDetached: boolean): boolean {
    const bit = 1 << dead;
    for (;;) {
      const hold = Atomics.load(this.#words, this.#start + buffer);
      // Only the dead thread has it, so no thread changes the hold.
      if (hold === bit) return true;
      assertState(hold !== 0, `a holder or a flight of buffer ${buffer}, which is taken`);
      if (hold < 0) {
        if (hold !== OFFERED && !(reclaimsDetached && sealerOf(hold) === dead)) return false;
        if (this.#exchange(buffer, hold, this.#bit)) return true;
      } else if ((hold & bit) === 0 || this.#exchange(buffer, hold, hold & ~bit)) {
        return false;
      }
    }
  }

  #exchange(buffer: number, expected: number, replacement: number): boolean {
    const index = this.#start + buffer;
    return Atomics.compareExchange(this.#words, index, expected, replacement) === expected;
  }
}

/** The thread that sealed a hold. */
function sealerOf(seal: number): number {
  return seal >>> SEALER_SHIFT & 31;
}
