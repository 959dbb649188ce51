/**
 * Waking the waiters of a slot.
 *
 * Each waiter has one word to sleep on, its *signal*. A slot has a bit for each waiter that its
 * publications wake.
 *
 *     waiter                                 publisher
 *     set the bit in each slot, once         publish: the slot's last number changes
 *     signal: exchange for WAITING           look at the bits of the slot
 *     look at the number of each slot        each waiter: if its signal is WAITING,
 *     sleep while the signal is WAITING          compareExchange for IDLE, and notify
 *
 * Each changes a word of its own first, and then looks at those of the other: so either the waiter
 * finds the publication, or the publisher finds the bit and the signal. Of the publications in a
 * burst the first changes the signal, and the others find it IDLE: a burst wakes once.
 *
 * A thread that dies between the compareExchange and the notify leaves the waiter asleep, with its
 * signal IDLE. So a reclaim notifies all waiters, whatever their signals say.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import {
  type DomainLayout,
  IDLE,
  SIGNAL,
  WAITER_OWNER,
  WAITING,
  WAKE_BITS,
  WAKE_SUMMARY,
} from "./layout.ts";
import type { DomainRegion } from "./region.ts";

const FREE = 0;
const LINE_SHIFT = 4;

/** A waiter that a thread has. */
export interface WaiterInspection {
  /** Its number. */
  readonly waiter: number;
  /** The owner. */
  readonly owner: number;
  /** Whether a thread or task of it sleeps, or is about to. */
  readonly isWaiting: boolean;
}

/** The waiters of one domain. */
export class Signals {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #layout: DomainLayout;
  /** The signal of waiter 0. */
  readonly #signals: number;

  /** The waiters of a domain. */
  constructor({ memory, words, layout }: DomainRegion) {
    this.#memory = memory;
    this.#words = words;
    this.#layout = layout;
    this.#signals = layout.waiter(0) + SIGNAL;
  }

  /** Takes a waiter; returns its number, or -1 if all are taken. */
  take(owner: number): number {
    for (let waiter = 0; waiter < this.#layout.size.waiters; waiter++) {
      const index = this.#layout.waiter(waiter) + WAITER_OWNER;
      if (Atomics.load(this.#words, index) !== FREE) continue;
      if (Atomics.compareExchange(this.#words, index, FREE, owner) === FREE) return waiter;
    }
    return -1;
  }

  /** Frees a waiter that no slot has a bit of; returns whether it was the owner's. */
  release(waiter: number, owner: number): boolean {
    const index = this.#layout.waiter(waiter) + WAITER_OWNER;
    return Atomics.compareExchange(this.#words, index, owner, FREE) === owner;
  }

  /** Whether the owner has the waiter. */
  isOwned(waiter: number, owner: number): boolean {
    return Atomics.load(this.#words, this.#layout.waiter(waiter) + WAITER_OWNER) === owner;
  }

  /** The word with the signal of a waiter. */
  signal(waiter: number): number {
    return this.#signals + (waiter << LINE_SHIFT);
  }

  /** Has a slot wake a waiter. `slot` is the first word of its table entry. */
  subscribe(slot: number, waiter: number): void {
    const word = waiter >> 5;
    Atomics.or(this.#words, slot + WAKE_BITS + word, 1 << (waiter & 31));
    Atomics.or(this.#words, slot + WAKE_SUMMARY, 1 << word);
  }

  /** Has a slot no longer wake a waiter. */
  unsubscribe(slot: number, waiter: number): void {
    // The summary stays: a waiter of the same word may be subscribing.
    Atomics.and(this.#words, slot + WAKE_BITS + (waiter >> 5), ~(1 << (waiter & 31)));
  }

  /** Marks a waiter, so that publications wake it. */
  arm(waiter: number): void {
    // A read-modify-write, so that the look of the waiter after it comes after what it finds.
    Atomics.exchange(this.#words, this.signal(waiter), WAITING);
  }

  /** Takes the mark off, if nobody waits. */
  disarm(waiter: number): void {
    Atomics.store(this.#words, this.signal(waiter), IDLE);
  }

  /** Wakes the waiters of a slot that wait. */
  wake(slot: number): void {
    const words = this.#words;
    // Pairs with the waiter's subscription.
    for (let summary = Atomics.load(words, slot + WAKE_SUMMARY); summary !== 0;) {
      const word = 31 - Math.clz32(summary);
      summary ^= 1 << word;
      for (let bits = Atomics.load(words, slot + WAKE_BITS + word); bits !== 0;) {
        const bit = 31 - Math.clz32(bits);
        bits ^= 1 << bit;
        this.#wakeOne(this.#signals + ((word << 5) + bit << LINE_SHIFT));
      }
    }
  }

  #wakeOne(signal: number): void {
    const words = this.#words;
    // Pairs with the waiter's mark before its last look. No load comes first: it would fetch the
    // line of a waiter that waits twice.
    if (Atomics.compareExchange(words, signal, WAITING, IDLE) !== WAITING) return;
    this.#memory.notify(words, signal);
  }

  /** Wakes every waiter, for threads that may have died before they did. */
  wakeAll(): void {
    for (let waiter = 0; waiter < this.#layout.size.waiters; waiter++) {
      const signal = this.signal(waiter);
      Atomics.exchange(this.#words, signal, IDLE);
      this.#memory.notify(this.#words, signal);
    }
  }

  /**
   * Frees the waiters of a dead member.
   *
   * @param slots The first words of all table entries of slots.
   */
  reclaim(dead: number, slots: readonly number[]): void {
    for (let waiter = 0; waiter < this.#layout.size.waiters; waiter++) {
      if (!this.isOwned(waiter, dead)) continue;
      for (const slot of slots) this.unsubscribe(slot, waiter);
      this.release(waiter, dead);
    }
  }

  /** The waiters that a slot wakes. */
  waitersOf(slot: number): number[] {
    const waiters: number[] = [];
    for (let word = 0; word < this.#layout.wakeWords; word++) {
      const bits = Atomics.load(this.#words, slot + WAKE_BITS + word);
      for (let bit = 0; bit < 32; bit++) {
        if ((bits >>> bit & 1) === 1) waiters.push(word * 32 + bit);
      }
    }
    return waiters;
  }

  /** The waiters that are taken. */
  inspect(): WaiterInspection[] {
    const found: WaiterInspection[] = [];
    for (let waiter = 0; waiter < this.#layout.size.waiters; waiter++) {
      const owner = Atomics.load(this.#words, this.#layout.waiter(waiter) + WAITER_OWNER);
      if (owner === FREE) continue;
      const isWaiting = Atomics.load(this.#words, this.signal(waiter)) === WAITING;
      found.push({ waiter, owner, isWaiting });
    }
    return found;
  }
}
