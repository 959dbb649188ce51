/**
 * The registrations of a waiter queue: which threads wait, since when, and which value each
 * received.
 *
 * Layout (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | threads | tickets |       number of slots; next ticket
 *     word 16 | marks of slots 0 to 31 | of slots 32 to 63 | ...
 *             | owner | mail |                              slot 0
 *             | owner | mail |                              slot 1
 *       ...
 *
 *     threads  written once, before the queue is handed to another thread
 *     tickets  increased by each thread that registers
 *     marks    a bit for each slot that may be waiting: set and cleared by its owner
 *     owner    0 free, or the identity of the thread that has the slot: compareExchange by a thread
 *              that claims it, stored by it
 *     mail     IDLE               the owner does not wait: compareExchange by the owner
 *              WAITING | ticket   it waits: stored by the owner
 *              0 or more          a value that it received: compareExchange by the offering thread
 *
 * A thread that reclaims the slot of a dead owner exchanges the mail for IDLE, and does the rest in
 * the owner's place.
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
import { isObserved } from "../memory/observer.ts";
import { randomIdentity } from "../memory/platform.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";

const THREADS = FIRST_WORD;
const TICKETS = FIRST_WORD + 1;
const MARKS: number = CACHE_LINE_WORDS;
/** In a slot: the thread that has it. */
const OWNER = 0;
/** In a slot: whether its owner waits, or the value that it received. */
const MAIL = 1;

const UNOWNED = 0;

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

/** Returned by {@link Registrations.collect} if the slot was reclaimed. */
export const RECLAIMED = -1;

/** The most slots. */
export const MAX_THREADS = 1024;

/** Where the words of a waiter queue lie. */
export class WaiterQueueLayout implements Layout {
  /** The number of slots. */
  readonly threads: number;

  /** The layout for so many threads. */
  constructor(threads: number) {
    this.threads = threads;
  }

  /** The size of the region. */
  get byteLength(): number {
    return this.slot(this.threads) * Int32Array.BYTES_PER_ELEMENT;
  }

  /** The first word of a slot; the slots lie behind the marks. */
  slot(slot: number): number {
    const marks = alignUp(Math.ceil(this.threads / BITS), CACHE_LINE_WORDS);
    return MARKS + marks + slot * CACHE_LINE_WORDS;
  }

  /** Writes the header and empties the slots; no other thread has the memory yet. */
  initialize(words: Int32Array): void {
    words[THREADS] = this.threads;
    for (let slot = 0; slot < this.threads; slot++) words[this.slot(slot) + MAIL] = IDLE;
  }

  /** Names the words, for an observer's reports. */
  *labels(): Generator<Label> {
    yield ["threads", THREADS];
    yield ["tickets", TICKETS];
    for (let word = 0; word * BITS < this.threads; word++) yield [`marks[${word}]`, MARKS + word];
    for (let slot = 0; slot < this.threads; slot++) {
      yield [`owner[${slot}]`, this.slot(slot) + OWNER];
      yield [`mail[${slot}]`, this.slot(slot) + MAIL];
    }
  }
}

/** The kind of waiter queues. */
export const KIND: RegionKind<"busbar.waiter_queue", WaiterQueueLayout> = {
  kind: "busbar.waiter_queue",
  magic: 0x77747175, // "wtqu"
  minBytes: new WaiterQueueLayout(1).byteLength,
  read(words) {
    const threads = words[THREADS]!;
    if (threads >= 1 && threads <= MAX_THREADS) return new WaiterQueueLayout(threads);
    throw new TypeError(
      `Cannot attach as the header of the waiter queue is damaged: expected 1 to ${MAX_THREADS} threads, found ${threads}`,
    );
  },
};

/** The registrations of a waiter queue, as one thread sees them. */
export class Registrations {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #threads: number;
  /** Where slot 0 begins. */
  readonly #slots: number;
  /** Tells this thread from one that has a slot before or after it. Never 0. */
  readonly #identity: number;
  /** The mail that {@link Registrations.#findFirst} found. */
  #first = 0;
  /** What was in it. */
  #firstMail = 0;

  /** Opens the registrations in these words. */
  constructor(memory: Memory, words: Int32Array, layout: WaiterQueueLayout) {
    this.#memory = memory;
    this.#words = words;
    this.#threads = layout.threads;
    this.#slots = layout.slot(0);
    // Under a checker nothing may depend on chance.
    this.#identity = isObserved() ? 1 : randomIdentity() | 1;
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

  /** Gives a value to the thread that has waited longest; false if no thread waits. */
  offer(value: number): boolean {
    const words = this.#words;
    while (this.#findFirst()) {
      const first = this.#first;
      const mail = this.#firstMail;
      // Publishes what we did before to the thread that takes the value. Fails unless the
      // registration still stands.
      if (Atomics.compareExchange(words, first, mail, value) === mail) {
        this.#memory.notify(words, first);
        return true;
      }
    }
    return false;
  }

  /** Claims a free slot, from `first` to `last`; returns its number, or -1 if there is none. */
  claimSlot(first: number = 0, last: number = this.#threads - 1): number {
    for (let slot = first; slot <= last; slot++) {
      // Pairs with the store that released it: its mail is idle.
      const index = this.#ownerOf(slot);
      const owner = Atomics.compareExchange(this.#words, index, UNOWNED, this.#identity);
      if (owner === UNOWNED) return slot;
    }
    return -1;
  }

  /** Whether a thread has the slot. */
  isClaimed(slot: number): boolean {
    return Atomics.load(this.#words, this.#ownerOf(slot)) !== UNOWNED;
  }

  /** Whether this thread still has the slot that it has claimed. */
  isOurs(slot: number): boolean {
    return Atomics.load(this.#words, this.#ownerOf(slot)) === this.#identity;
  }

  /** Releases a slot that is neither registered nor marked. */
  releaseSlot(slot: number): void {
    Atomics.store(this.#words, this.#ownerOf(slot), UNOWNED);
  }

  /** Registers the owner of an idle slot; returns the content of its mail until a value arrives. */
  register(slot: number): number {
    const mail = WAITING | (Atomics.add(this.#words, TICKETS, 1) & TICKET_MASK);
    Atomics.store(this.#words, this.#mailOf(slot), mail);
    return mail;
  }

  /** Marks a registered slot, so that it is found. */
  mark(slot: number): void {
    Atomics.or(this.#words, MARKS + (slot >> 5), 1 << (slot & 31));
  }

  /** Clears the mark of an idle slot. */
  unmark(slot: number): void {
    Atomics.and(this.#words, MARKS + (slot >> 5), ~(1 << (slot & 31)));
  }

  /** Ends the registration with this mail; false if a value has arrived instead. */
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
    // Fails only if this slot was reclaimed meanwhile.
    if (mail < 0 || Atomics.compareExchange(this.#words, index, mail, IDLE) !== mail) {
      return RECLAIMED;
    }
    return mail;
  }

  /** Makes the slot of a dead owner idle; returns the value that it had received, if any. */
  reclaim(slot: number): number | undefined {
    const mail = Atomics.exchange(this.#words, this.#mailOf(slot), IDLE);
    this.unmark(slot);
    // Removes a dead sleeper from the wait list; a live one wakes and finds its slot reclaimed.
    this.wake(slot);
    return mail < 0 ? undefined : mail;
  }

  /** Blocks until the registration with this mail receives a value, or the time is over. */
  wait(slot: number, mail: number, timeoutMs: number): void {
    this.#memory.wait(this.#words, this.#mailOf(slot), mail, timeoutMs);
  }

  /** As {@link Registrations.wait}, without blocking. */
  waitAsync(slot: number, mail: number, timeoutMs: number): Promise<string> | string {
    return this.#memory.waitAsync(this.#words, this.#mailOf(slot), mail, timeoutMs);
  }

  /** Makes the owner of a slot look at its mail again. */
  wake(slot: number): void {
    this.#memory.notify(this.#words, this.#mailOf(slot));
  }

  #ownerOf(slot: number): number {
    return this.#slots + slot * CACHE_LINE_WORDS + OWNER;
  }

  #mailOf(slot: number): number {
    return this.#slots + slot * CACHE_LINE_WORDS + MAIL;
  }

  /** Finds the registration with the oldest ticket; false if there is none. */
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
