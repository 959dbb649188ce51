/**
 * Slots: named places for the last messages about something.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import type { AsyncWaitOptions } from "../memory/wait_options.ts";
import type { Attachment, SlotParts } from "./attachment.ts";
import type { HeldMessage } from "./held_message.ts";
import { CLOSED } from "./layout.ts";
import { SlotReader } from "./reader.ts";
import { Reading } from "./reading.ts";
import type { SlotMessages } from "./slot_messages.ts";
import { SlotWriter } from "./writer.ts";
import type { SlotRecord } from "./slot_types.ts";

/** Options of {@link Slot.hold}: the last message by default. */
export interface HoldOptions {
  /** How many messages before the last one. */
  readonly back?: number;
  /** The number of the message. */
  readonly sequence?: number;
}

/** Options of {@link Slot.messages}. */
export interface SlotMessagesOptions extends Pick<AsyncWaitOptions, "signal"> {
  /**
   * How many of the messages that are there already to get: 0 for none (the default), 1 for the
   * last one, Infinity for all that are kept.
   */
  readonly history?: number;
  /**
   * Whether to hand out views that are valid until the next message is asked for, instead of copies
   * that can be kept; false by default.
   */
  readonly borrow?: boolean;
}

/** Iterates over the messages of a slot. */
export type Iterate = (
  slot: Slot<SlotRecord | undefined>,
  options: SlotMessagesOptions,
) => SlotMessages;

/**
 * The parts of a slot.
 *
 * @throws {TypeError} If it is not one of this domain.
 */
export let partsOf: (slot: Slot<SlotRecord | undefined>, domain: Attachment) => SlotParts;

/** The record of a slot. */
export let recordOf: <R extends SlotRecord | undefined>(slot: Slot<R>) => R;

/**
 * A slot: a named place in a domain that keeps the last messages, for publish and subscribe with
 * history, or as a blackboard.
 *
 * @typeParam R The record of a typed slot.
 */
export class Slot<R extends SlotRecord | undefined = undefined> {
  readonly #domain: Attachment;
  readonly #parts: SlotParts;
  readonly #record: R;
  readonly #iterate: Iterate;

  static {
    partsOf = (slot, domain) => {
      if (typeof slot === "object" && slot !== null && #domain in slot && slot.#domain === domain) {
        return slot.#parts;
      }
      throw new TypeError(
        "Cannot subscribe as 'slot' must be a slot of the waiter's domain, as domain.slot() returns it: received another",
      );
    };
    recordOf = (slot) => slot.#record;
  }

  /** @ignore Use {@link Domain.slot}. */
  constructor(domain: Attachment, parts: SlotParts, record: R, iterate: Iterate) {
    this.#domain = domain;
    this.#parts = parts;
    this.#record = record;
    this.#iterate = iterate;
  }

  /** Its name. */
  get name(): string {
    return this.#parts.words.card.name;
  }

  /** The bytes of the largest message. */
  get messageBytes(): number {
    return this.#parts.words.card.messageBytes;
  }

  /** How many messages are kept. */
  get history(): number {
    return this.#parts.words.card.history;
  }

  /** How many messages can be held at once. */
  get holds(): number {
    return this.#parts.words.card.holds;
  }

  /** How many writers there can be at once. */
  get writers(): number {
    return this.#parts.words.card.writers;
  }

  /** The number of the last message; 0 if there is none. */
  get sequence(): number {
    return this.#parts.words.loadSequence();
  }

  /** Whether it was closed: nothing more is published. */
  get isClosed(): boolean {
    return this.#parts.words.isClosed;
  }

  /**
   * Becomes a writer.
   *
   * @throws {DomainFullError} If there are as many as there can be, naming the members that have
   * them.
   */
  writer(): SlotWriter<R> {
    this.#domain.checkOpen("write");
    return new SlotWriter(this.#domain, this.#parts, this.#record);
  }

  /** Makes a reader of messages by their numbers or ages. It needs no closing. */
  reader(): SlotReader<R> {
    return new SlotReader(this.#domain, this.#parts, this.#record);
  }

  /**
   * Holds a message, so that it can be read where it lies. Writers pass over it until it is
   * released.
   *
   * @returns The message; nothing if there is no such one, or it is not kept any more.
   * @throws {RangeError} If `back` is not less than the history, or `sequence` no whole number.
   * @throws {TypeError} If both are given.
   * @throws {HoldLimitError} If as many messages of the slot are held as can be, naming the
   * holders.
   */
  hold(options: HoldOptions = {}): HeldMessage<R> | undefined {
    checkOptions("hold", options);
    const { words } = this.#parts;
    const { back = 0, sequence } = options;
    checkInteger("hold", "back", back, 0, this.history - 1);
    if (sequence !== undefined) {
      checkInteger("hold", "sequence", sequence, 0);
      if (options.back !== undefined) {
        throw new TypeError(
          `Cannot hold as 'back' or 'sequence' must be left out: received ${back} and ${sequence}`,
        );
      }
    }
    this.#domain.checkOpen("hold");
    const reading = new Reading(this.#domain, this.#parts, this.#record);
    for (let last = words.loadSequence();;) {
      const number = sequence ?? last - back;
      if (!(number >= 1 && number <= last && number > last - this.history)) return undefined;
      const held = reading.hold(number);
      if (held !== undefined) return held;
      const again = words.loadSequence();
      if (again === last) return undefined;
      last = again;
    }
  }

  /**
   * Iterates over the messages as they come, on a waiter of its own, which is closed as the
   * iteration ends. It ends after the last message once the slot is closed. Messages that are
   * overwritten before they are asked for are counted as missed.
   *
   * @throws {TypeError} If an option is not of its type.
   * @throws {DomainFullError} If all waiters are in use.
   */
  messages(options: SlotMessagesOptions = {}): SlotMessages {
    return this.#iterate(this as unknown as Slot<SlotRecord | undefined>, options);
  }

  /** As {@link Slot.messages}. */
  [Symbol.asyncIterator](): SlotMessages {
    return this.messages();
  }

  /**
   * Closes the slot for all threads, for good: nothing more is published in it. What is kept can
   * still be read, and iterations end after it. Closing again does nothing.
   */
  close(): void {
    const { words, published, first } = this.#parts.words;
    // Pairs with the publication, which fails from now on, and with the look of those that wait.
    const before = Atomics.or(words, published, CLOSED);
    if ((before & CLOSED) === 0) this.#domain.signals.wake(first);
  }
}
