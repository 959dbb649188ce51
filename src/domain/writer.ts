/**
 * Writers of a slot.
 *
 * @module
 */

import { checkBytes, checkInteger } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { RecordInput } from "../record/mod.ts";
import type { Attachment, SlotParts } from "./attachment.ts";
import { CopyIn } from "./copy_in.ts";
import { DomainFullError, SlotClosedError } from "./errors.ts";
import { CLOSED, JOINED, LEFT, LENGTH } from "./layout.ts";
import { memberOf } from "./members.ts";
import { NOWHERE } from "./slot_words.ts";
import { type MessageOf, type SlotRecord, type ViewOf, viewOf } from "./slot_types.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const CLOSED_FLAG = CLOSED;
const LENGTH_OFFSET = LENGTH;

/**
 * A writer of a slot: it publishes messages, and waits for nothing.
 *
 * Either send a message, which is copied in; or claim, fill in place, and publish.
 *
 * - **Never blocked.** Neither readers nor other writers hold a writer up, whatever they do.
 * - **One order.** Messages of several writers get numbers in the order in which they are
 *   published.
 * - **Whole or not at all.** No other thread sees a message before it is published.
 *
 * @example Filling in place
 * ```ts
 * import { Domain } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using domain = Domain.create({ slots: 1, dataBytes: 64 * 1024 });
 * const pose = domain.slot("pose", { messageBytes: 24 });
 * using writer = pose.writer();
 * const offset = writer.claim(24);
 * new DataView(writer.bytes.buffer).setFloat64(offset, 1.5);
 * assertEquals(writer.publish(), 1);
 * ```
 *
 * @typeParam R The record of a typed slot.
 */
export class SlotWriter<R extends SlotRecord | undefined = undefined> implements Disposable {
  /** The shared memory. Only claimed bytes may be written. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** A view of the claimed message, if the slot is typed; {@link SlotWriter.claim} moves it. */
  readonly view: ViewOf<R>;
  readonly #domain: Attachment;
  readonly #slot: SlotParts;
  readonly #record: R;
  readonly #seat: number;
  readonly #owner: number;
  readonly #copyIn: CopyIn;
  readonly #words: Int32Array;
  readonly #first: number;
  readonly #messageBytes: number;
  /** The bytes of the smallest message: a record is never cut short. */
  readonly #minBytes: number;
  /** Whether the slot has one writer. */
  readonly #isAlone: boolean;
  /** The claimed entry. */
  #entry = NOWHERE;
  #length = 0;
  /** Where to look for a free entry next. */
  #next = 0;
  #isClosed = false;

  /**
   * @ignore Use {@link Slot.writer}.
   * @throws {DomainFullError} If the slot has as many writers as it can have.
   */
  constructor(domain: Attachment, slot: SlotParts, record: R) {
    const { words, writers } = slot;
    this.#domain = domain;
    this.#slot = slot;
    this.#record = record;
    this.#words = words.words;
    this.#first = words.first;
    this.#minBytes = record === undefined ? 0 : words.card.messageBytes;
    this.#isAlone = words.card.writers === 1;
    this.#messageBytes = words.card.messageBytes;
    this.bytes = new Uint8Array(words.memory.buffer);
    this.view = viewOf(record, this.bytes);
    this.#copyIn = new CopyIn(words.memory);
    this.#owner = domain.owner;
    this.#seat = writers.take(this.#owner);
    if (this.#seat === -1) throw fullError(slot);
    Atomics.add(this.#words, this.#first + JOINED, 1);
    domain.open.add(this);
    domain.signals.wake(this.#first);
  }

  /** Whether something is claimed, and neither published nor aborted. */
  get isOpen(): boolean {
    return this.#entry !== NOWHERE;
  }

  /**
   * Claims room for the next message, which is then filled in place. It is the only thread that may
   * touch these bytes until it publishes or aborts.
   *
   * @param byteLength The bytes of the message; the largest message by default.
   * @returns Where they begin in {@link SlotWriter.bytes}: a multiple of 16.
   * @throws {RangeError} If it is longer than a message of this slot can be, or shorter than its
   * record.
   * @throws {Error} If a claim is open.
   * @throws {SlotClosedError} If the slot was closed.
   * @throws {ClosedError} If this writer was closed.
   */
  claim(byteLength: number = this.#messageBytes): number {
    if (this.#entry !== NOWHERE) {
      throw new Error("Cannot claim as a claim is open: publish or abort it first");
    }
    if (
      !(Number.isInteger(byteLength) && byteLength >= this.#minBytes &&
        byteLength <= this.#messageBytes)
    ) {
      checkInteger("claim", "byteLength", byteLength, this.#minBytes, this.#messageBytes);
    }
    if (this.#isClosed) throw new ClosedError("Cannot claim as the writer was closed");
    const { words, writers } = this.#slot;
    const entry = writers.claim(this.#seat, this.#next);
    if (entry === NOWHERE) throw new SlotClosedError("claim", words.card.name);
    this.#next = entry + 1 === words.entries ? 0 : entry + 1;
    this.#entry = entry;
    this.#length = byteLength;
    const offset = words.dataOffset(entry);
    if (this.#record !== undefined) (this.view as { moveTo(at: number): unknown }).moveTo(offset);
    return offset;
  }

  /**
   * Publishes the claimed message.
   *
   * @param byteLength How many bytes of the claim the message has; all by default.
   * @returns Its number: the first message of a slot has 1.
   * @throws {Error} If nothing is claimed.
   * @throws {RangeError} If that is more than was claimed.
   * @throws {SlotClosedError} If the slot was closed: the message is dropped.
   * @throws {ReclaimedError} If this thread was taken for dead.
   */
  publish(byteLength: number = this.#length): number {
    const entry = this.#entry;
    if (entry === NOWHERE) throw new Error("Cannot publish as nothing is claimed: claim first");
    if (
      !(Number.isInteger(byteLength) && byteLength >= this.#minBytes && byteLength <= this.#length)
    ) {
      checkInteger("publish", "byteLength", byteLength, this.#minBytes, this.#length);
    }
    const { words, writers } = this.#slot;
    if (!writers.isOwned(this.#seat, this.#owner)) {
      this.#entry = NOWHERE;
      throw this.#domain.reclaimedError("publish");
    }
    this.#words[words.state(entry) + LENGTH_OFFSET] = byteLength;
    const word = this.#isAlone ? writers.publishAlone(entry) : writers.publish(entry);
    if ((word & CLOSED_FLAG) !== 0) {
      this.abort();
      throw new SlotClosedError("publish", words.card.name);
    }
    this.#entry = NOWHERE;
    this.#domain.signals.wake(this.#first);
    return words.numberOf(word);
  }

  /** Gives a claim up, if one is open. */
  abort(): void {
    if (this.#entry === NOWHERE) return;
    if (this.#slot.writers.isOwned(this.#seat, this.#owner)) {
      this.#slot.writers.abort(this.#entry);
    }
    this.#entry = NOWHERE;
  }

  /**
   * Copies a message in, and publishes it.
   *
   * @param message Bytes; or, if the slot is typed, an object that the record is written from.
   * @returns Its number.
   * @throws {TypeError} If it is no such message.
   * @throws {RangeError} If it is longer than a message of this slot can be.
   * @throws As {@link SlotWriter.claim} and {@link SlotWriter.publish}.
   */
  send(message: MessageOf<R>): number {
    const bytes = message as Uint8Array;
    if (this.#record !== undefined && bytes?.BYTES_PER_ELEMENT !== 1) {
      return this.#sendRecord(message as RecordInput<R & SlotRecord>);
    }
    checkBytes("send", "message", bytes);
    const offset = this.claim(bytes.length);
    this.#copyIn.copy(bytes, offset);
    return this.publish();
  }

  #sendRecord(value: RecordInput<R & SlotRecord>): number {
    const offset = this.claim();
    try {
      (this.#record as SlotRecord).write(this.view as never, offset, value as never);
    } catch (error) {
      this.abort();
      throw error;
    }
    return this.publish();
  }

  /**
   * Gives the place of this writer to others; a claim that is open is given up. Closing again does
   * nothing.
   *
   * @throws {ReclaimedError} If this thread was taken for dead.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#domain.open.delete(this);
    this.abort();
    const { writers } = this.#slot;
    if (!writers.isOwned(this.#seat, this.#owner)) {
      throw this.#domain.reclaimedError("close a writer");
    }
    // Before the release: a thread that dies in between is found, and told of twice.
    Atomics.add(this.#words, this.#first + LEFT, 1);
    writers.release(this.#seat, this.#owner);
    this.#domain.signals.wake(this.#first);
  }

  /** As {@link SlotWriter.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function fullError({ words, writers }: SlotParts): DomainFullError {
  const { name, writers: count } = words.card;
  const members = writers.inspect(Date.now()).map(({ owner }) => memberOf(owner)).join(", ");
  return new DomainFullError(
    `Cannot write to slot "${name}" as it can have ${count} writers at once: members ${members} have it; close a writer, reclaim a member that has died, or create the slot with more 'writers'`,
  );
}
