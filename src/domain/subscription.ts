/**
 * Subscriptions: the messages of one slot, one after the other, for one waiter.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import type { Attachment, SlotParts } from "./attachment.ts";
import type { HeldMessage } from "./held_message.ts";
import { DIED, JOINED, LEFT } from "./layout.ts";
import { NOTHING, Reading } from "./reading.ts";
import type { SlotRecord, ViewOf } from "./slot_types.ts";
import { wordOf } from "./slot_words.ts";
import { CHANGE, Watch } from "./watch.ts";

/** Options of {@link Waiter.subscribe}. */
export interface SubscribeOptions {
  /**
   * How many of the messages that are there already to get: 0 for none (the default), 1 for the
   * last one, Infinity for all that are kept.
   */
  readonly history?: number;
  /**
   * Whether what happens to this slot ends a wait; true by default. Otherwise it is only reported
   * when a wait ends because of another slot.
   */
  readonly wakes?: boolean;
  /** Whether a writer that joins, leaves, or dies is a change, too; false by default. */
  readonly writers?: boolean;
  /**
   * Reports if nothing was published for so many milliseconds, since this thread last found
   * something; never by default.
   */
  readonly deadlineMs?: number;
}

/** The writers of a slot so far. */
export interface Presence {
  /** How many have joined. */
  readonly joined: number;
  /** How many have left. */
  readonly left: number;
  /** How many have died, and were reclaimed. */
  readonly died: number;
}

/** What a waiter does with a subscription of its own. */
export interface WatchedSubscription {
  /** What it knows of the slot. */
  readonly watch: Watch;
  /** Notes what was reported. */
  tell(changes: number): void;
}

/** Gives a waiter what it needs of a subscription. */
export let watched: (subscription: Subscription<SlotRecord | undefined>) => WatchedSubscription;

/**
 * The messages of one slot, one after the other, and what has changed in it.
 *
 * - **Exact losses.** `received + missed` is the number of messages up to the last one that was
 *   read: whatever a writer overwrote before it was read is counted.
 * - **In order.** Messages come in the order of their numbers, each once.
 *
 * The properties `hasMessages`, `hasClosed`, `hasWriters` and `hasDeadlinePassed` say why the last
 * wait has reported this subscription.
 *
 * @typeParam R The record of a typed slot.
 */
export class Subscription<R extends SlotRecord | undefined = undefined> implements Disposable {
  /** The name of the slot. */
  readonly name: string;
  readonly #reading: Reading<R>;
  readonly #slot: SlotParts;
  readonly #history: number;
  readonly #watch: Watch;
  readonly #unsubscribe: () => void;
  /** The number of the last message that was received or missed. */
  #seen: number;
  /** The number of the last message that was published, as was last looked. */
  #last: number;
  #received = 0;
  #missed = 0;
  #passed = 0;
  #changes = 0;
  #isClosed = false;

  static {
    watched = (subscription) => ({
      watch: subscription.#watch,
      tell: (changes) => subscription.#changes = changes,
    });
  }

  /** @ignore Use {@link Waiter.subscribe}. */
  constructor(
    domain: Attachment,
    slot: SlotParts,
    record: R,
    options: Required<SubscribeOptions>,
    unsubscribe: () => void,
  ) {
    const { words } = slot;
    this.name = words.card.name;
    this.#reading = new Reading(domain, slot, record);
    this.#slot = slot;
    this.#history = words.card.history;
    this.#last = words.loadSequence();
    this.#seen = this.#last - Math.min(this.#last, this.#history, options.history);
    this.#watch = new Watch(
      words,
      wordOf(this.#seen),
      options.wakes,
      options.writers,
      options.deadlineMs,
    );
    this.#unsubscribe = unsubscribe;
  }

  /** Whether a wait that has ended found messages that were not reported before. */
  get hasMessages(): boolean {
    return (this.#changes & CHANGE.messages) !== 0;
  }

  /** Whether a wait that has ended found that the slot was closed. */
  get hasClosed(): boolean {
    return (this.#changes & CHANGE.closed) !== 0;
  }

  /** Whether a wait that has ended found that writers had joined, left or died. */
  get hasWriters(): boolean {
    return (this.#changes & CHANGE.writers) !== 0;
  }

  /** Whether a wait has ended as nothing was published in time. */
  get hasDeadlinePassed(): boolean {
    return (this.#changes & CHANGE.deadline) !== 0;
  }

  /**
   * Private memory with the message that was read last, in its first `length` bytes. It is valid
   * until the next read.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#reading.bytes;
  }

  /** A view of the record in it, if the slot is typed. */
  get view(): ViewOf<R> {
    return this.#reading.view;
  }

  /** The bytes of the message that was read last. */
  get length(): number {
    return this.#reading.length;
  }

  /** The number of the last message that was received, or missed. */
  get sequence(): number {
    return this.#seen;
  }

  /** How many messages were received. */
  get received(): number {
    return this.#received;
  }

  /** How many messages were missed: overwritten before they were read, or passed over. */
  get missed(): number {
    return this.#missed;
  }

  /** How many of them lie directly before the message that was received last. */
  get missedBefore(): number {
    return this.#passed;
  }

  /** How many published messages come after the last one that was received or missed. */
  get unread(): number {
    return this.#slot.words.loadSequence() - this.#seen;
  }

  /** Whether the slot was closed, and there is nothing more to read. */
  get isEnded(): boolean {
    const { words } = this.#slot;
    // In this order: nothing is published after the flag is set.
    return words.isClosed && words.loadSequence() === this.#seen;
  }

  /** How many writers of the slot have joined, left, and died so far. */
  get presence(): Presence {
    const { words, first } = this.#slot.words;
    return {
      joined: Atomics.load(words, first + JOINED),
      left: Atomics.load(words, first + LEFT),
      died: Atomics.load(words, first + DIED),
    };
  }

  /** Whether this subscription was closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The message that was read last: a view of private memory, valid until the next read. */
  message(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  /**
   * Copies the next message, if there is one: the oldest that was not read and is kept.
   *
   * @returns Whether there is one.
   * @throws {ClosedError} If this subscription was closed.
   */
  next(): boolean {
    return this.#read(0);
  }

  /**
   * Copies the last message, if it was not read. Those before it count as missed.
   *
   * @returns Whether there is one.
   * @throws {ClosedError} If this subscription was closed.
   */
  latest(): boolean {
    this.#last = this.#slot.words.loadSequence();
    return this.#read(Infinity);
  }

  /**
   * As {@link Subscription.next}, without copying: holds the message where it lies.
   *
   * @returns The message; nothing if there is none.
   * @throws {HoldLimitError} If as many messages of the slot are held as can be.
   * @throws {ClosedError} If this subscription was closed.
   */
  holdNext(): HeldMessage<R> | undefined {
    return this.#hold(0);
  }

  /** As {@link Subscription.latest}, without copying: holds the message where it lies. */
  holdLatest(): HeldMessage<R> | undefined {
    this.#last = this.#slot.words.loadSequence();
    return this.#hold(Infinity);
  }

  /**
   * Ends the subscription: the slot no longer wakes the waiter. Closing again does nothing.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsubscribe();
  }

  /** As {@link Subscription.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #read(from: number): boolean {
    for (;;) {
      const number = this.#target(from);
      if (number === 0) return false;
      const length = this.#reading.take(wordOf(number));
      if (length !== NOTHING) {
        this.#reading.length = length;
        this.#pass(number, true);
        return true;
      }
      if (!this.#isBehind()) this.#pass(number, false);
    }
  }

  #hold(from: number): HeldMessage<R> | undefined {
    for (;;) {
      const number = this.#target(from);
      if (number === 0) return undefined;
      const held = this.#reading.hold(number);
      if (held !== undefined) {
        this.#pass(number, true);
        return held;
      }
      if (!this.#isBehind()) this.#pass(number, false);
    }
  }

  /** The number of the message to read: from `from` on, the first that is kept; 0 for none. */
  #target(from: number): number {
    if (this.#isClosed) {
      throw new ClosedError(`Cannot read slot "${this.name}" as the subscription was closed`);
    }
    if (this.#seen === this.#last) {
      this.#last = this.#slot.words.loadSequence();
      if (this.#seen === this.#last) return 0;
    }
    return Math.max(this.#seen + 1, this.#last - this.#history + 1, Math.min(from, this.#last));
  }

  /** Whether more was published since the last look; then it looks again. */
  #isBehind(): boolean {
    const before = this.#last;
    this.#last = this.#slot.words.loadSequence();
    return this.#last !== before;
  }

  /** Counts everything up to a message, which was received or lost. */
  #pass(number: number, isReceived: boolean): void {
    const passed = number - this.#seen - (isReceived ? 1 : 0);
    this.#passed = isReceived ? passed : 0;
    this.#missed += passed;
    if (isReceived) this.#received++;
    this.#seen = number;
    this.#watch.rearm(wordOf(number));
  }
}
