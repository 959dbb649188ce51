/**
 * Tickets for buffers that several threads have. Each ticket can be adopted once.
 *
 * A buffer that only its sender has is handed over as a whole, with the hold as its ticket. For a
 * buffer that the sender keeps, or that other threads have too, one of the sender's tickets goes on
 * the flight, and is counted in the hold meanwhile. At every instruction the state of a ticket says
 * whether it is counted: in two phases that depends on whether its owner or its adopter is a
 * holder, a bit that changes in the very operation that counts the ticket.
 *
 *     sender, a holder                          adopter
 *     IDLE -> DETACHING                         FLYING -> LANDED, if it is no holder
 *     one operation: count, and be no holder    one operation: be a holder, and count no longer
 *     DETACHING -> FLYING                       LANDED -> IDLE, with the next number
 *     be a holder again, if it keeps            (a holder: FLYING -> LANDING, be none, -> LANDED)
 *
 * In a message a ticket is a word that is not negative: the index of the ticket, and the low bits
 * of its number.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { TicketsExhaustedError } from "./errors.ts";
import type { Holds } from "./holds.ts";
import {
  ADOPTER_SHIFT,
  type BufferPoolLayout,
  DETACHING,
  FLYING,
  IDLE,
  LANDED,
  LANDING,
  NUMBER_SHIFT,
  PHASE_MASK,
  TICKET_WORDS,
} from "./layout.ts";

/** Where in the word of a message the index of the ticket begins, above the bits of its number. */
const TICKET_SHIFT = 16;
/** The bits of a ticket's number in the word of a message. */
const NUMBER_MASK = (1 << TICKET_SHIFT) - 1;
/** The bits of a ticket's number in its state. */
const NUMBER_BITS = -1 << NUMBER_SHIFT;
const ADOPTER_MASK = (1 << NUMBER_SHIFT - ADOPTER_SHIFT) - 1;

/** The tickets of a pool, as one thread sees them. */
export class Tickets {
  readonly #holds: Holds;
  readonly #words: Int32Array;
  /** The first ticket of thread 0. */
  readonly #start: number;
  /** How many tickets each thread has. */
  readonly #perThread: number;
  readonly #count: number;
  /** How many buffers there are. */
  readonly #bufferCount: number;
  /** Which of this thread's tickets to try next. */
  #next = 0;
  /** The number of the idle ticket that was found, in its place in the state. */
  #number = 0;

  /**
   * Opens the tickets of a pool.
   *
   * @param words All words of the region.
   * @param holds The holds, as the same thread sees them.
   */
  constructor(words: Int32Array, layout: BufferPoolLayout, holds: Holds) {
    this.#holds = holds;
    this.#words = words;
    this.#start = layout.ticketWords;
    this.#perThread = layout.tickets;
    this.#count = layout.tickets * layout.threads;
    this.#bufferCount = layout.bufferCount;
  }

  /**
   * Detaches a buffer with one of this thread's tickets.
   *
   * @param keeps Whether this thread remains a holder.
   * @returns The word that adopts it.
   * @throws {TicketsExhaustedError} If all tickets of this thread are in flight.
   */
  detach(buffer: number, keeps: boolean): number {
    const ticket = this.#findIdle();
    const index = this.#start + ticket * TICKET_WORDS;
    const number = this.#number;
    this.#words[index + 1] = buffer;
    Atomics.store(this.#words, index, number | DETACHING);
    // The ticket counts from here on, as we are no holder.
    this.#holds.leaveToFlight(buffer);
    // Publishes the number of the buffer; pairs with the compareExchange of the adopter.
    Atomics.store(this.#words, index, number | FLYING);
    // No thread can have adopted it yet, as the word is not returned, so the buffer is not free.
    if (keeps) this.#holds.join(buffer);
    return ticket << TICKET_SHIFT | (number >>> NUMBER_SHIFT & NUMBER_MASK);
  }

  /**
   * Adopts a buffer.
   *
   * @param word The result of {@link Tickets.detach}.
   * @param isHolder Whether this thread has the buffer already.
   * @returns Whether the ticket was in flight, for this buffer. If not, nothing has changed.
   */
  adopt(buffer: number, word: number, isHolder: boolean): boolean {
    const ticket = word >>> TICKET_SHIFT;
    if (ticket >= this.#count) return false;
    const index = this.#start + ticket * TICKET_WORDS;
    const state = Atomics.load(this.#words, index);
    const isSame = (state >>> NUMBER_SHIFT & NUMBER_MASK) === (word & NUMBER_MASK);
    if ((state & PHASE_MASK) !== FLYING || !isSame) return false;
    return this.#land(index, state, isHolder, buffer);
  }

  /**
   * Settles the tickets that a dead thread was about to detach or to adopt.
   *
   * @param reclaimsDetached Whether to adopt also the buffers that it has detached and no thread
   * has adopted.
   * @param isHolder Whether this thread has a buffer already.
   * @param onAdopted Called with each buffer of which this thread got a reference.
   */
  reclaim(
    dead: number,
    reclaimsDetached: boolean,
    isHolder: (buffer: number) => boolean,
    onAdopted: (buffer: number) => void,
  ): void {
    for (let ticket = 0; ticket < this.#count; ticket++) {
      const index = this.#start + ticket * TICKET_WORDS;
      const state = Atomics.load(this.#words, index);
      const phase = state & PHASE_MASK;
      assertState(phase <= LANDED, `a phase of ticket ${ticket} up to ${LANDED}: found ${phase}`);
      const isOwner = Math.floor(ticket / this.#perThread) === dead;
      const isAdopter = (state >>> ADOPTER_SHIFT & ADOPTER_MASK) === dead;
      const isDetaching = phase === DETACHING && isOwner;
      const isLanded = phase === LANDED && isAdopter;
      const isCounted = phase === LANDING && isAdopter ||
        phase === FLYING && isOwner && reclaimsDetached;
      if (!isDetaching && !isLanded && !isCounted) continue;
      const buffer = this.#words[index + 1]!;
      assertState(
        buffer >= 0 && buffer < this.#bufferCount,
        `a buffer of ticket ${ticket} below ${this.#bufferCount}: found ${buffer}`,
      );
      if (!isCounted && this.#holds.isHolder(dead, buffer)) {
        // The ticket is not counted, and only this thread changes it.
        Atomics.store(this.#words, index, nextIdle(state));
      } else if (this.#land(index, state, isHolder(buffer), buffer)) {
        onAdopted(buffer);
      }
    }
  }

  /** Takes a ticket from `state` to its end; false if that is not its state, or this its buffer. */
  #land(index: number, state: number, isHolder: boolean, buffer: number): boolean {
    const base = state & NUMBER_BITS | this.#holds.thread << ADOPTER_SHIFT;
    const landing = base | LANDING;
    const landed = base | LANDED;
    // Only one thread succeeds. Pairs with the sender's store: we see which buffer it is.
    const taken = Atomics.compareExchange(this.#words, index, state, isHolder ? landing : landed);
    if (taken !== state) return false;
    if (this.#words[index + 1] !== buffer) {
      Atomics.store(this.#words, index, state);
      return false;
    }
    if (isHolder) {
      // The flight keeps the buffer from becoming free.
      this.#holds.leave(buffer);
      Atomics.store(this.#words, index, landed);
    }
    this.#holds.takeFromFlight(buffer);
    // Pairs with its owner's load in findIdle: the owner may use the ticket again.
    Atomics.store(this.#words, index, nextIdle(state));
    return true;
  }

  #findIdle(): number {
    const first = this.#holds.thread * this.#perThread;
    for (let i = 0; i < this.#perThread; i++) {
      const ticket = first + this.#next;
      this.#next = this.#next + 1 === this.#perThread ? 0 : this.#next + 1;
      const state = Atomics.load(this.#words, this.#start + ticket * TICKET_WORDS);
      if ((state & PHASE_MASK) !== IDLE) continue;
      this.#number = state & NUMBER_BITS;
      return ticket;
    }
    throw new TicketsExhaustedError(this.#perThread);
  }
}

/** The state of a ticket that was settled: idle, with the next number. */
function nextIdle(state: number): number {
  return (state & NUMBER_BITS) + (1 << NUMBER_SHIFT) | IDLE;
}
