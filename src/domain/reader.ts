/**
 * Readers of a slot: any kept message, by its number or its age.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import type { Attachment, SlotParts } from "./attachment.ts";
import { NOTHING, Reading } from "./reading.ts";
import type { SlotRecord, ViewOf } from "./slot_types.ts";
import { wordOf } from "./slot_words.ts";

/**
 * Reads messages of a slot by copying them: the latest, one further back, or one by its number. A
 * blackboard cell, or seqlock, with some history.
 *
 * A reader has no place in shared memory, so there can be any number, and none needs closing. It
 * never blocks a writer, nor is it blocked.
 *
 * - **True messages.** A message is copied and validated before it is shown, so none is torn.
 *
 * @example Usage
 * ```ts
 * import { Domain } from "@busbar/busbar";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using domain = Domain.create({ slots: 1, dataBytes: 64 * 1024 });
 * const pose = domain.slot("pose", { messageBytes: 8, history: 4 });
 * using writer = pose.writer();
 * for (let i = 1; i <= 6; i++) writer.send(new Uint8Array([i]));
 *
 * const reader = pose.reader();
 * assert(reader.latest());
 * assertEquals([reader.sequence, ...reader.message()], [6, 6]);
 * assert(reader.back(3));
 * assertEquals([reader.sequence, ...reader.message()], [3, 3]);
 * assert(!reader.at(2)); // not kept any more
 * ```
 *
 * @typeParam R The record of a typed slot.
 */
export class SlotReader<R extends SlotRecord | undefined = undefined> {
  readonly #reading: Reading<R>;
  readonly #slot: SlotParts;
  readonly #history: number;
  #word = 0;
  #hasMessage = false;

  /** @ignore Use {@link Slot.reader}. */
  constructor(domain: Attachment, slot: SlotParts, record: R) {
    this.#reading = new Reading(domain, slot, record);
    this.#slot = slot;
    this.#history = slot.words.card.history;
  }

  /**
   * Private memory with the message that was read last, in its first `length` bytes. It is valid
   * until the next read, also one that finds nothing.
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

  /**
   * The number of the message that was read last; 0 if there was none. To be asked for soon after
   * the read: before another 2^27 messages are published.
   */
  get sequence(): number {
    return this.#hasMessage ? this.#slot.words.numberOf(this.#word) : 0;
  }

  /** The message that was read last: a view of private memory, valid until the next read. */
  message(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  /**
   * Reads the last message.
   *
   * @returns Whether there is one.
   */
  latest(): boolean {
    const word = this.#reading.takeLast();
    if (word === NOTHING) return false;
    this.#word = word;
    this.#hasMessage = true;
    return true;
  }

  /**
   * Reads a message further back: with 0 the last one, with 1 the one before, and so on.
   *
   * @param count Less than the history of the slot.
   * @returns Whether there is one.
   * @throws {RangeError} If fewer messages are kept.
   */
  back(count: number): boolean {
    checkInteger("read", "count", count, 0, this.#history - 1);
    const { words } = this.#slot;
    for (let last = words.loadSequence();;) {
      if (count >= last) return false;
      if (this.#take(last - count)) return true;
      // Overwritten meanwhile, so there is a newer one that far back.
      const again = words.loadSequence();
      if (again === last) return false;
      last = again;
    }
  }

  /**
   * Reads the message with this number.
   *
   * @returns Whether it was published, and is kept.
   * @throws {RangeError} If it is no whole number.
   */
  at(sequence: number): boolean {
    if (!Number.isInteger(sequence)) checkInteger("read", "sequence", sequence, 0);
    const last = this.#slot.words.loadSequence();
    return sequence >= 1 && sequence <= last && sequence > last - this.#history &&
      this.#take(sequence);
  }

  #take(sequence: number): boolean {
    const word = wordOf(sequence);
    const length = this.#reading.take(word);
    if (length === NOTHING) return false;
    this.#reading.length = length;
    this.#word = word;
    this.#hasMessage = true;
    return true;
  }
}
