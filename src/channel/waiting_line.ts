/**
 * The line in which the senders of a channel wait for room, or its receivers for messages.
 *
 * A member that waits takes a ticket, and sets its bit in the word of the line. A thread that made
 * a wait worthwhile looks at that word: if it is 0, no thread waits, and that was all. Otherwise it
 * wakes the member with the oldest ticket, and no other: it stores 1 to the member's wake word, and
 * notifies, unless it was 1. A member that leaves the line, however its wait ended, wakes the next
 * one if there may be something for that.
 *
 *     waiter                                       waker
 *     set bit, store 0, look at the cells   <-->   change a cell, load bits, store 1, notify
 *     sleep while the wake word is 0
 *
 * **No lost wake-up.** Either the waiter finds the cell changed, or the waker finds its bit. If the
 * waker finds 1 in the wake word, the waiter has yet to store 0, and looks at the cells after that.
 * If the waker wakes another one that came first, that one wakes the next when it leaves.
 *
 * Proven by: tests/channel/passing_model_test.ts, waiting_model_test.ts.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import { SleepWord } from "../memory/sleep.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { CACHE_LINE_WORDS } from "../memory/layout.ts";
import { CLOSED, isClosedGate, TICKET, TICKETS, WAITING, WAKE } from "./layout.ts";

/** How often a thread looks before it sleeps: for longer than it takes to wake another. */
const SPINS = 1000;
/** The bits of members in the word of a line. */
const MEMBERS = ~CLOSED;

/** The line of one side, as one thread sees it. */
export class WaitingLine {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  /** The word of the bits. */
  readonly #waiting: number;
  /** The line of member 0. */
  readonly #members: number;

  /**
   * @param side The line of the side.
   * @param members The line of its member 0.
   */
  constructor(memory: Memory, words: Int32Array, side: number, members: number) {
    this.#memory = memory;
    this.#words = words;
    this.#waiting = side + WAITING;
    this.#members = members;
  }

  /** The members that wait: a bit each. */
  get waiting(): number {
    return Atomics.load(this.#words, this.#waiting) & MEMBERS;
  }

  /** How many members wait. */
  get count(): number {
    return countBits(this.waiting);
  }

  /**
   * Wakes the member that has waited longest, if any waits.
   *
   * @returns Whether this is the line of senders, and the channel was closed.
   */
  wakeFirst(): boolean {
    // After a cell was changed: pairs with the `or` of a waiter, or of a thread that closes.
    const word = Atomics.load(this.#words, this.#waiting);
    if (word === 0) return false;
    if ((word & MEMBERS) !== 0) this.#wakeFirstOf(word & MEMBERS);
    return isClosedGate(word);
  }

  #wakeFirstOf(waiting: number): void {
    const first = this.#firstOf(waiting);
    const wake = this.#lineOf(first) + WAKE;
    if (Atomics.load(this.#words, wake) === 1) return;
    Atomics.store(this.#words, wake, 1);
    this.#memory.notify(this.#words, wake);
  }

  /** The member among these that has the oldest ticket. */
  #firstOf(waiting: number): number {
    let first = -1;
    let oldest = 0;
    for (let rest = waiting; rest !== 0; rest &= rest - 1) {
      const place = 31 - Math.clz32(rest & -rest);
      const ticket = Atomics.load(this.#words, this.#lineOf(place) + TICKET);
      if (first !== -1 && (ticket - oldest | 0) > 0) continue;
      first = place;
      oldest = ticket;
    }
    return first;
  }

  /** Whether this member comes first, or no member waits. */
  isFirst(place: number): boolean {
    const waiting = this.waiting;
    return waiting === 0 || this.#firstOf(waiting) === place;
  }

  /** Wakes the members up to this place, whatever their wake words say. */
  wakeAll(members: number): void {
    for (let place = 0; place < members; place++) {
      const wake = this.#lineOf(place) + WAKE;
      Atomics.store(this.#words, wake, 1);
      this.#memory.notify(this.#words, wake);
    }
  }

  /** Lets a member wait. */
  enter(place: number): void {
    const tickets = this.#waiting - WAITING + TICKETS;
    const ticket = Atomics.add(this.#words, tickets, 1);
    Atomics.store(this.#words, this.#lineOf(place) + TICKET, ticket);
    // Before the look at the cells: pairs with wakeFirst.
    Atomics.or(this.#words, this.#waiting, 1 << place);
  }

  /** Ends the wait of a member. */
  leave(place: number): void {
    Atomics.and(this.#words, this.#waiting, ~(1 << place));
  }

  /** The wake word of a member. */
  wakeWord(place: number): number {
    return this.#lineOf(place) + WAKE;
  }

  #lineOf(place: number): number {
    return this.#members + place * CACHE_LINE_WORDS;
  }
}

/** How many bits are 1. */
function countBits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** The place of an end, as its membership tells. */
export interface Membership {
  /** Which place it is. */
  readonly place: number;
  /** Whether it is still there. */
  readonly isValid: boolean;
  /** Throws unless it is. */
  check(): void;
}

/** Tries to get what is waited for; returns whether it did. */
export type Try = () => boolean;

/** The place of one member in its line. */
export class WaitingPlace {
  readonly #words: Int32Array;
  readonly #line: WaitingLine;
  readonly #membership: Membership;
  readonly #place: number;
  readonly #wake: number;
  readonly #isNear: () => boolean;
  readonly #spins: number;
  readonly #sleepers: SleepWord;
  #isInLine = false;

  /**
   * @param isNear Whether an attempt may succeed now; changes nothing.
   * @param spins Whether to look for a while before sleeping.
   */
  constructor(
    { memory, words }: { readonly memory: Memory; readonly words: Int32Array },
    line: WaitingLine,
    membership: Membership,
    isNear: () => boolean,
    spins: boolean,
  ) {
    this.#words = words;
    this.#line = line;
    this.#membership = membership;
    this.#place = membership.place;
    this.#wake = line.wakeWord(membership.place);
    this.#isNear = isNear;
    this.#spins = spins ? SPINS : 0;
    this.#sleepers = new SleepWord(memory, words, this.#wake);
  }

  /** Blocks until an attempt succeeds; false if the time is over. */
  wait(options: WaitOptions | undefined, attempt: Try): boolean {
    if (options?.timeoutMs !== 0 && this.#spin(attempt)) return true;
    return this.#sleepers.sleepUntil(() => this.#attempt(attempt), options, () => this.leave());
  }

  /** As {@link WaitingPlace.wait}, without blocking. */
  waitAsync(options: AsyncWaitOptions | undefined, attempt: Try): Promise<boolean> {
    return this.#sleepers.sleepUntilAsync(
      () => this.#attempt(attempt),
      options,
      () => this.leave(),
    );
  }

  /** Looks for a while. */
  #spin(attempt: Try): boolean {
    for (let i = 0; i < this.#spins; i++) {
      if (this.#isNear() && attempt()) return true;
      Atomics.pause?.();
    }
    return false;
  }

  #attempt(attempt: Try): number | undefined {
    this.#membership.check();
    if (!this.#isInLine) {
      this.#line.enter(this.#place);
      this.#isInLine = true;
    }
    // Before the look at the cells: a thread that changes one after that stores 1 again.
    Atomics.store(this.#words, this.#wake, 0);
    if (!attempt()) return 0;
    this.leave();
    return undefined;
  }

  /** Leaves the line. Waits that go on look again, and enter it again, or find the end closed. */
  leave(): void {
    if (!this.#isInLine) return;
    this.#isInLine = false;
    // The place may be that of another member by now.
    if (!this.#membership.isValid) return;
    this.#line.leave(this.#place);
    if (this.#sleepers.isAwaited) {
      Atomics.store(this.#words, this.#wake, 1);
      this.#sleepers.notify();
    }
    // What this member was woken for may still be there, or more of it.
    if (this.#isNear()) this.#line.wakeFirst();
  }
}
