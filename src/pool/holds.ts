/**
 * Who has the buffers that are taken: their holds, as one thread sees them. Each method is one step
 * of the protocol that is described at the head of `buffer_pool.ts`.
 *
 * @module
 */

import { type BufferPoolLayout, OFFERED, SEALED, SENDER_SHIFT } from "./layout.ts";
import type { Identity } from "./threads.ts";

/** The bits of a ticket's number in a sealed hold. */
const SEAL_MASK = (1 << SENDER_SHIFT) - 1;
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
    // Not plainly: who comes too late with a number or a ticket may be looking, and is refused.
    Atomics.store(this.#words, this.#start + buffer, this.#bit);
  }

  /** Offers a buffer that only this thread has; then its number is given to who waits. */
  offer(buffer: number): void {
    Atomics.store(this.#words, this.#start + buffer, OFFERED);
  }

  /** Takes a buffer that was offered, here or elsewhere; says whether it still was. */
  accept(buffer: number): boolean {
    return this.#exchange(buffer, OFFERED, this.#bit);
  }

  /** Hands a buffer over that only this thread has, to who has the ticket that this returns. */
  seal(buffer: number): number {
    const ticket = SEALED | this.thread << SENDER_SHIFT | this.#seal;
    this.#seal = (this.#seal + 1) & SEAL_MASK;
    // Publishes what we did with it to who receives it.
    Atomics.store(this.#words, this.#start + buffer, ticket);
    return ticket;
  }

  /** Takes a buffer that was handed over with this ticket; says whether it still was. */
  unseal(buffer: number, ticket: number): boolean {
    return ticket !== OFFERED && this.#exchange(buffer, ticket, this.#bit);
  }

  /** Leaves a buffer to a ticket that is from now on counted among its flights. */
  leaveToFlight(buffer: number): void {
    Atomics.add(this.#words, this.#start + buffer, this.#flight - this.#bit);
  }

  /** Takes a buffer over from a ticket, which is counted no more. This thread is not its holder. */
  takeFromFlight(buffer: number): void {
    // Pairs with the sender's leaving: all that it did with the buffer is done.
    Atomics.add(this.#words, this.#start + buffer, this.#bit - this.#flight);
  }

  /** Becomes a holder of a buffer that cannot become free meanwhile. */
  join(buffer: number): void {
    Atomics.or(this.#words, this.#start + buffer, this.#bit);
  }

  /** Is no longer a holder of a buffer that cannot become free meanwhile. */
  part(buffer: number): void {
    Atomics.and(this.#words, this.#start + buffer, ~this.#bit);
  }

  /**
   * Lets go of a buffer, unless nobody else has it.
   *
   * @returns Whether this thread alone has it now.
   */
  dropHold(buffer: number): boolean {
    for (;;) {
      const hold = Atomics.load(this.#words, this.#start + buffer);
      // Nobody can come in: only who has a buffer can send it. And all that others did is done.
      if (hold === this.#bit) return true;
      // Publishes what we did with it to who lets go after us.
      if (this.#exchange(buffer, hold, hold & ~this.#bit)) return false;
    }
  }

  /** Whether nobody else has a buffer that this thread has. */
  isAlone(buffer: number): boolean {
    return Atomics.load(this.#words, this.#start + buffer) === this.#bit;
  }

  /** Whether a thread is a holder of a buffer that some thread or ticket has. */
  isHolder(thread: number, buffer: number): boolean {
    return (Atomics.load(this.#words, this.#start + buffer) & 1 << thread) !== 0;
  }

  /**
   * Takes a buffer back that a dead thread has, or that is offered: it may have been offered by the
   * dead thread and to nobody, or to it. This thread is the taker of its batch.
   *
   * @param reclaimsDetached Whether to take it back, too, if the dead thread has handed it over and
   * nobody has received it.
   * @returns Whether it may become free now: nobody else has it.
   */
  reclaim(buffer: number, dead: number, reclaimsDetached: boolean): boolean {
    const bit = 1 << dead;
    for (;;) {
      const hold = Atomics.load(this.#words, this.#start + buffer);
      // Nobody else has it, so nobody changes it.
      if (hold === bit) return true;
      if (hold < 0) {
        if (hold !== OFFERED && !(reclaimsDetached && senderOf(hold) === dead)) return false;
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

/** Who sealed a hold. */
function senderOf(seal: number): number {
  return seal >>> SENDER_SHIFT & 31;
}
