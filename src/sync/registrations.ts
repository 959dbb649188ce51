/**
 * The registrations of a waiter queue: which threads wait, since when, and what they were given.
 *
 * Layout (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | threads | tickets |       how many slots; the next ticket
 *     word 16 | marks of slots 0 to 31 | of slots 32 to 63 | ...
 *             | owner | mail |                              slot 0
 *             | owner | mail |                              slot 1
 *       ...
 *
 *     tickets  added to by who registers
 *     marks    a bit for each slot that may be waiting: set and taken away by its owner
 *     owner    0 free, 1 taken: compareExchange by who becomes the owner, stored by it
 *     mail     IDLE               the owner does not wait: compareExchange by the owner
 *              WAITING | ticket   it waits: stored by the owner
 *              0 or more          a value that it was given: compareExchange by who offers
 *
 * Who evicts a dead owner exchanges its mail for IDLE, and does the rest in its place.
 *
 *                   register: store             offer: compareExchange, notify
 *          IDLE --------------------> WAITING ---------------------------------> value
 *           ^                            |                                         |
 *           +-- cancel: compareExchange -+---------- take: compareExchange --------+
 *
 * The protocol is described at the head of `waiter_queue.ts`.
 *
 * @module
 */

import { alignUp, CACHE_LINE_WORDS } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD } from "../memory/region.ts";

/** How many slots there are. */
export const THREADS = FIRST_WORD;
const TICKETS = FIRST_WORD + 1;
const MARKS: number = CACHE_LINE_WORDS;
/** In a slot: whether it is taken. */
const OWNER = 0;
/** In a slot: whether its owner waits, or what it was given. */
const MAIL = 1;

const NOBODY = 0;
const TAKEN = 1;

/** The mail of an owner that does not wait. */
const IDLE: number = 1 << 31;
/** With a ticket: the mail of an owner that waits. */
const WAITING: number = 1 << 31 | 1 << 30;
const TICKET_MASK: number = (1 << 30) - 1;
/** How many bits of a mail are above its ticket. */
const ABOVE_TICKET = 2;

/** How many marks a word holds. */
const BITS = 32;

/** The greatest value: a mail that is not negative is a value. */
export const MAX_VALUE: number = 2 ** 31 - 1;

/** What {@link Registrations.collect} returns if the slot was given to another. */
export const EVICTED = -1;

/** How many bytes the registrations of so many threads take. */
export function registrationsByteLength(threads: number): number {
  return slotIndex(threads, threads) * Int32Array.BYTES_PER_ELEMENT;
}

/** Where a slot begins, after the marks. */
function slotIndex(threads: number, slot: number): number {
  const marks = alignUp(Math.ceil(threads / BITS), CACHE_LINE_WORDS);
  return MARKS + marks + slot * CACHE_LINE_WORDS;
}

/** Empties the registrations of so many threads; nobody else has the memory yet. */
export function initialize(words: Int32Array, threads: number): void {
  words[THREADS] = threads;
  for (let slot = 0; slot < threads; slot++) words[slotIndex(threads, slot) + MAIL] = IDLE;
}

/** Names the words, for an observer's reports. */
export function labelRegistrations(
  threads: number,
  label: (name: string, index: number) => void,
): void {
  label("threads", THREADS);
  label("tickets", TICKETS);
  for (let word = 0; word * BITS < threads; word++) label(`marks[${word}]`, MARKS + word);
  for (let slot = 0; slot < threads; slot++) {
    label(`owner[${slot}]`, slotIndex(threads, slot) + OWNER);
    label(`mail[${slot}]`, slotIndex(threads, slot) + MAIL);
  }
}

/** The registrations of a waiter queue, as one thread sees them. */
export class Registrations {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #threads: number;
  /** Where slot 0 begins. */
  readonly #slots: number;
  /** The mail that {@link Registrations.#findFirst} found. */
  #first = 0;
  /** What was in it. */
  #firstMail = 0;

  /** Opens those that lie at `byteOffset`. */
  constructor(memory: Memory, byteOffset: number, threads: number) {
    this.#memory = memory;
    this.#words = new Int32Array(memory.buffer, byteOffset, slotIndex(threads, threads));
    this.#threads = threads;
    this.#slots = slotIndex(threads, 0);
  }

  /** Whether a thread waited just now. */
  get isAnyWaiting(): boolean {
    return this.#findFirst();
  }

  /** How many threads waited just now. */
  get waiting(): number {
    let count = 0;
    for (let word = 0; word * BITS < this.#threads; word++) {
      const marks = Atomics.load(this.#words, MARKS + word);
      for (let rest = marks; rest !== 0; rest &= rest - 1) {
        const index = this.#mailOf(word * BITS + 31 - Math.clz32(rest & -rest));
        if ((Atomics.load(this.#words, index) & WAITING) === WAITING) count++;
      }
    }
    return count;
  }

  /** Gives a value to the thread that has waited longest; says whether anybody waits. */
  offer(value: number): boolean {
    const words = this.#words;
    while (this.#findFirst()) {
      const first = this.#first;
      const mail = this.#firstMail;
      // Publishes what we did before to who takes it. Fails unless it is still that registration.
      if (Atomics.compareExchange(words, first, mail, value) === mail) {
        this.#memory.notify(words, first);
        return true;
      }
    }
    return false;
  }

  /** Takes a free slot, from `first` to `last`; returns its number, or -1 if there is none. */
  claimSlot(first: number = 0, last: number = this.#threads - 1): number {
    for (let slot = first; slot <= last; slot++) {
      // Pairs with the store by which it was given back: its mail is idle.
      const owner = Atomics.compareExchange(this.#words, this.#ownerOf(slot), NOBODY, TAKEN);
      if (owner === NOBODY) return slot;
    }
    return -1;
  }

  /** Whether somebody has the slot. */
  isClaimed(slot: number): boolean {
    return Atomics.load(this.#words, this.#ownerOf(slot)) === TAKEN;
  }

  /** Gives a slot back that is neither registered nor marked. */
  giveSlotBack(slot: number): void {
    Atomics.store(this.#words, this.#ownerOf(slot), NOBODY);
  }

  /** Registers the owner of an idle slot; returns what its mail is until it is given something. */
  register(slot: number): number {
    const mail = WAITING | (Atomics.add(this.#words, TICKETS, 1) & TICKET_MASK);
    Atomics.store(this.#words, this.#mailOf(slot), mail);
    return mail;
  }

  /** Marks a registered slot, so that it is found. */
  mark(slot: number): void {
    Atomics.or(this.#words, MARKS + (slot >> 5), 1 << (slot & 31));
  }

  /** Takes the mark of an idle slot away. */
  unmark(slot: number): void {
    Atomics.and(this.#words, MARKS + (slot >> 5), ~(1 << (slot & 31)));
  }

  /** Ends the registration with this mail; says whether it stood: else a value has come. */
  cancel(slot: number, mail: number): boolean {
    return Atomics.compareExchange(this.#words, this.#mailOf(slot), mail, IDLE) === mail;
  }

  /**
   * Takes the value that the registration with this mail was given: then the slot is idle.
   *
   * @returns The value; or nothing while there is none, or -1 if the slot was given to another.
   */
  collect(slot: number, registered: number): number | undefined {
    const index = this.#mailOf(slot);
    const mail = Atomics.load(this.#words, index);
    if (mail === registered) return undefined;
    // Fails only if somebody believes us dead, and has taken it.
    if (mail < 0 || Atomics.compareExchange(this.#words, index, mail, IDLE) !== mail) {
      return EVICTED;
    }
    return mail;
  }

  /** Makes a slot idle whose owner has died; returns the value that it was given, if it was. */
  clear(slot: number): number | undefined {
    const mail = Atomics.exchange(this.#words, this.#mailOf(slot), IDLE);
    this.unmark(slot);
    // It is among the sleepers still if it died asleep; and if it has not died, it hears of it.
    this.wake(slot);
    return mail < 0 ? undefined : mail;
  }

  /** Blocks until the registration with this mail is given something, at most for a time. */
  wait(slot: number, mail: number, timeoutMs: number): void {
    this.#memory.wait(this.#words, this.#mailOf(slot), mail, timeoutMs);
  }

  /** As {@link Registrations.wait}, without blocking. */
  waitAsync(slot: number, mail: number, timeoutMs: number): Promise<string> | string {
    return this.#memory.waitAsync(this.#words, this.#mailOf(slot), mail, timeoutMs);
  }

  /** Wakes who waits for the mail of a slot, to look again. */
  wake(slot: number): void {
    this.#memory.notify(this.#words, this.#mailOf(slot));
  }

  #ownerOf(slot: number): number {
    return this.#slots + slot * CACHE_LINE_WORDS + OWNER;
  }

  #mailOf(slot: number): number {
    return this.#slots + slot * CACHE_LINE_WORDS + MAIL;
  }

  /** Finds the registration with the oldest ticket, and says whether there is any. */
  #findFirst(): boolean {
    const words = this.#words;
    let isFound = false;
    for (let word = 0; word * BITS < this.#threads; word++) {
      let marks = Atomics.load(words, MARKS + word);
      while (marks !== 0) {
        const bit = 31 - Math.clz32(marks);
        marks ^= 1 << bit;
        const index = this.#mailOf(word * BITS + bit);
        const mail = Atomics.load(words, index);
        if ((mail & WAITING) !== WAITING) continue;
        if (isFound && (mail - this.#firstMail) << ABOVE_TICKET > 0) continue;
        isFound = true;
        this.#first = index;
        this.#firstMail = mail;
      }
    }
    return isFound;
  }
}
