/**
 * Reading messages of a slot by their numbers: copied, or held.
 *
 * @module
 */

import type { Attachment, SlotParts } from "./attachment.ts";
import { CopyOut, OVERWRITTEN } from "./copy_out.ts";
import { HoldLimitError } from "./errors.ts";
import { HeldMessage } from "./held_message.ts";
import { ALL_TAKEN, GONE } from "./hold_seats.ts";
import { FLAGS, LENGTH } from "./layout.ts";
import { memberOf } from "./members.ts";
import { type SlotRecord, type ViewOf, viewOf } from "./slot_types.ts";
import { wordOf } from "./slot_words.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const FLAG_BITS = FLAGS;

/** Returned by {@link Reading.take} if there is no such message, or it is not kept any more. */
export const NOTHING = -1;

/** Reads messages of one slot. */
export class Reading<R extends SlotRecord | undefined> {
  /** The parts of the slot. */
  readonly slot: SlotParts;
  readonly #domain: Attachment;
  readonly #record: R;
  #copy: CopyOut | undefined;
  #view: ViewOf<R> | undefined;

  /** Reads a slot. */
  constructor(domain: Attachment, slot: SlotParts, record: R) {
    this.#domain = domain;
    this.slot = slot;
    this.#record = record;
  }

  /** The copy of the message that was taken last. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return (this.#copy ??= new CopyOut(this.slot.words)).bytes;
  }

  /** The record in it. */
  get view(): ViewOf<R> {
    return this.#view ??= viewOf(this.#record, this.bytes);
  }

  /** Copies the message with this word; returns its bytes, or {@link NOTHING}. */
  take(word: number): number {
    return (this.#copy ??= new CopyOut(this.slot.words)).take(word);
  }

  /** Copies the last message; returns its word, and its bytes in {@link Reading.length}. */
  takeLast(): number {
    const { words } = this.slot;
    let last = words.loadPublished() & ~FLAG_BITS;
    for (;;) {
      const length = this.take(last);
      if (length !== OVERWRITTEN) {
        this.length = length;
        return last;
      }
      // Overwritten meanwhile; or there never was one.
      const again = words.loadPublished() & ~FLAG_BITS;
      if (again === last) return NOTHING;
      last = again;
    }
  }

  /** The bytes of the message that was taken last. */
  length = 0;

  /**
   * Holds the message with this number.
   *
   * @param action What the caller does, for errors.
   * @returns Nothing if it is not kept any more.
   * @throws {HoldLimitError} If as many messages of the slot are held as can be.
   */
  hold(number: number): HeldMessage<R> | undefined {
    const { words, holds } = this.slot;
    const word = wordOf(number);
    const seat = holds.hold(this.#domain.owner, word);
    if (seat === GONE) return undefined;
    if (seat === ALL_TAKEN) throw this.#limitError();
    // Not by the index, which may have come around.
    const { entry } = holds;
    const length = words.words[words.state(entry) + LENGTH]!;
    const bytes = new Uint8Array(words.memory.buffer, words.dataOffset(entry), length);
    return new HeldMessage(
      this.#domain,
      this.slot,
      seat,
      number,
      bytes,
      viewOf(this.#record, bytes),
    );
  }

  #limitError(): HoldLimitError {
    const { name, holds: count } = this.slot.words.card;
    const holders = this.slot.holds.inspect(Date.now())
      .map(({ owner, since }) => `member ${memberOf(owner)} since ${new Date(since).toISOString()}`)
      .join(", ");
    return new HoldLimitError(
      `Cannot hold a message of slot "${name}" as ${count} can be held at once: ${
        holders || "none"
      }; release one, reclaim a member that has died, or create the slot with more 'holds'`,
    );
  }
}
