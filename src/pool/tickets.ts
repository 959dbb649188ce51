/**
 * Tickets for buffers that several threads have: each lets one receiver in, once.
 *
 * A buffer that only its sender has is handed over as a whole, with the hold as its ticket. For one
 * that the sender keeps, or that others have too, one of the sender's tickets goes on the flight,
 * and is counted in the hold meanwhile. A ticket's state says at every instruction whether it is
 * counted: in two phases that depends on whether its owner or its receiver is a holder, a bit that
 * changes in the very operation that counts it.
 *
 *     sender, a holder                         receiver
 *     IDLE -> SENDING                          FLYING -> LANDED, not being a holder
 *     count it, and be no holder, in one       count it no more, and be a holder, in one
 *     SENDING -> FLYING                        LANDED -> IDLE, with the next number
 *     be a holder again, if it keeps           (a holder: FLYING -> LANDING, be none, -> LANDED)
 *
 * In a message a ticket is a word that is not negative: which one it is, and the low bits of its
 * number.
 *
 * @module
 */

import { TicketsExhaustedError } from "./errors.ts";
import type { Holds } from "./holds.ts";
import {
  type BufferPoolLayout,
  FLYING,
  IDLE,
  LANDED,
  LANDING,
  NUMBER_SHIFT,
  PHASE_MASK,
  RECEIVER_SHIFT,
  SENDING,
  TICKET_WORDS,
} from "./layout.ts";

/** Where in the word of a message the ticket stands, above the bits of its number. */
const TICKET_SHIFT = 16;
/** The bits of a ticket's number in the word of a message. */
const NUMBER_MASK = (1 << TICKET_SHIFT) - 1;
/** The bits of a ticket's number in its state. */
const NUMBER_BITS = -1 << NUMBER_SHIFT;
const RECEIVER_MASK = (1 << NUMBER_SHIFT - RECEIVER_SHIFT) - 1;

/** The tickets of a pool, as one thread sees them. */
export class Tickets {
  readonly #holds: Holds;
  readonly #words: Int32Array;
  /** The first ticket of thread 0. */
  readonly #start: number;
  /** How many tickets each thread has. */
  readonly #perThread: number;
  readonly #count: number;
  /** Which of this thread's tickets to try next. */
  #next = 0;
  /** The number of the idle ticket that was found, where it stands in the state. */
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
  }

  /**
   * Sends a buffer on one of this thread's tickets.
   *
   * @param keeps Whether this thread remains a holder.
   * @returns The word that receives it.
   * @throws {Error} If all tickets of this thread are in flight.
   */
  detach(buffer: number, keeps: boolean): number {
    const ticket = this.#findIdle();
    const index = this.#start + ticket * TICKET_WORDS;
    const number = this.#number;
    this.#words[index + 1] = buffer;
    Atomics.store(this.#words, index, number | SENDING);
    // It counts from here on, as we are no holder.
    this.#holds.leaveToFlight(buffer);
    // Publishes the buffer's number to who receives it.
    Atomics.store(this.#words, index, number | FLYING);
    // Nobody can have received it yet, so the buffer is not free.
    if (keeps) this.#holds.join(buffer);
    return ticket << TICKET_SHIFT | (number >>> NUMBER_SHIFT & NUMBER_MASK);
  }

  /**
   * Receives a buffer.
   *
   * @param word What {@link Tickets.detach} returned.
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
   * Settles the tickets that a dead thread was about to send or to receive.
   *
   * @param reclaimsDetached Whether to receive, too, what it has sent and nobody has received.
   * @param isHolder Whether this thread has a buffer already.
   * @param onReceived Called with each buffer of which this thread got a reference.
   */
  reclaim(
    dead: number,
    reclaimsDetached: boolean,
    isHolder: (buffer: number) => boolean,
    onReceived: (buffer: number) => void,
  ): void {
    for (let ticket = 0; ticket < this.#count; ticket++) {
      const index = this.#start + ticket * TICKET_WORDS;
      const state = Atomics.load(this.#words, index);
      const phase = state & PHASE_MASK;
      const isSender = Math.floor(ticket / this.#perThread) === dead;
      const isReceiver = (state >>> RECEIVER_SHIFT & RECEIVER_MASK) === dead;
      const isSending = phase === SENDING && isSender;
      const isLanded = phase === LANDED && isReceiver;
      const isLeft = phase === LANDING && isReceiver ||
        phase === FLYING && isSender && reclaimsDetached;
      if (!isSending && !isLanded && !isLeft) continue;
      const buffer = this.#words[index + 1]!;
      if (!isLeft && this.#holds.isHolder(dead, buffer)) {
        // It is not counted, and nobody but us uses it.
        Atomics.store(this.#words, index, nextIdle(state));
      } else if (this.#land(index, state, isHolder(buffer), buffer)) {
        onReceived(buffer);
      }
    }
  }

  /** Goes from `state` to having received; says whether that was the state, and this the buffer. */
  #land(index: number, state: number, isHolder: boolean, buffer: number): boolean {
    const base = state & NUMBER_BITS | this.#holds.thread << RECEIVER_SHIFT;
    const landing = base | LANDING;
    const landed = base | LANDED;
    // Only one succeeds. Pairs with the sender's store: we see which buffer it is.
    const taken = Atomics.compareExchange(this.#words, index, state, isHolder ? landing : landed);
    if (taken !== state) return false;
    if (this.#words[index + 1] !== buffer) {
      Atomics.store(this.#words, index, state);
      return false;
    }
    if (isHolder) {
      // The flight keeps the buffer from becoming free.
      this.#holds.part(buffer);
      Atomics.store(this.#words, index, landed);
    }
    this.#holds.takeFromFlight(buffer);
    // Pairs with its owner's load: it may use the ticket again.
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

/** The state of a ticket that is done: idle, with the next number. */
function nextIdle(state: number): number {
  return (state & NUMBER_BITS) + (1 << NUMBER_SHIFT) | IDLE;
}
