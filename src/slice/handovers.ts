/**
 * Which thread has the slice of a slot, once it was sent: a word for each slot.
 *
 *     owner: take ... detach: store of ticket 1, in flight
 *                                    \
 *     thread 3:                       adopt: compareExchange of ticket 1, in flight -> thread 3
 *                                     detach: store of ticket 2, in flight ...
 *
 * A ticket is used once, so a detached slice is adopted once, and a handle that was kept does not
 * fit any later slice of the slot.
 *
 * @module
 */

import { handoverOf, IN_FLIGHT, THREAD_BITS } from "./layout.ts";

const THREAD_MASK = 2 ** THREAD_BITS - 1;

/** The greatest ticket; the next one is 0. */
export const MAX_TICKET: number = 2 ** (32 - THREAD_BITS) - 1;

/** The thread number of the owner of the block. */
export const OWNER = 0;

/** The word of a ticket whose slice a thread has, or is in flight. */
function wordOf(ticket: number, thread: number): number {
  return ticket << THREAD_BITS | thread;
}

/**
 * Gives the slice of a slot away; only for the thread that has it.
 *
 * @returns The ticket that adopts it.
 */
export function detachSlice(words: Int32Array, slot: number): number {
  const index = handoverOf(slot);
  const ticket = ((Atomics.load(words, index) >>> THREAD_BITS) + 1) & MAX_TICKET;
  // Publishes the bytes of the slice: pairs with the compareExchange of the thread that adopts it.
  Atomics.store(words, index, wordOf(ticket, IN_FLIGHT));
  return ticket;
}

/**
 * Adopts the slice of a slot.
 *
 * @returns Whether the ticket was in flight; the slice is then of this thread alone.
 */
export function adoptSlice(
  words: Int32Array,
  slot: number,
  ticket: number,
  thread: number,
): boolean {
  const before = wordOf(ticket, IN_FLIGHT);
  return Atomics.compareExchange(words, handoverOf(slot), before, wordOf(ticket, thread)) ===
    before;
}

/** Notes that the owner has the slice of a slot, whose earlier slice was sent; before it lives. */
export function keepSlice(words: Int32Array, slot: number): void {
  const index = handoverOf(slot);
  Atomics.store(words, index, Atomics.load(words, index) & ~THREAD_MASK | OWNER);
}

/**
 * Takes the slice of a slot away from a thread that has died, or out of flight.
 *
 * @param thread The thread, or {@link IN_FLIGHT}.
 * @returns Whether that thread had it.
 */
export function takeBack(words: Int32Array, slot: number, thread: number): boolean {
  const index = handoverOf(slot);
  const before = Atomics.load(words, index);
  if ((before & THREAD_MASK) !== thread) return false;
  // Fails only if the slice was adopted meanwhile.
  return Atomics.compareExchange(words, index, before, before & ~THREAD_MASK | OWNER) === before;
}
