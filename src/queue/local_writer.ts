/**
 * The writer that one thread has for itself. It joins messages that lie end to end into *runs*, and
 * marks those when it flushes; so a message costs no atomic operation, and no place in the table.
 *
 * Of the present segment:
 *
 *     | ended, in the table ... | run: ended, not yet in the table | lone | free ...
 *                               runStart                                  next        limit
 *
 * A run goes to the table when it is flushed, and when something else needs the place after it: a
 * second open reservation, or a message with a buffer of its own.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { WaitOptions } from "../memory/wait_options.ts";
import {
  CLOSED,
  CURRENT,
  CURRENT_SHIFT,
  FREE,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  SEQUENCE_MASK,
  USE,
} from "./layout.ts";
import { NO_BUFFER } from "./open_reservations.ts";
import type { QueueEnd } from "./thread_queue.ts";
import { Reopening } from "./room_waiters.ts";
import { checkLength, refuseDisposed, refuseHandle, type WriterHandle } from "./writer.ts";
import { QueuedWriter } from "./queued_writer.ts";

/** The most places of a table that a reservation may need: its own, the lone one's, the run's. */
const MOST_PLACES = 3;

/** A writer that one thread has for itself. */
export class LocalWriter extends QueuedWriter {
  readonly #reopening: Reopening;
  /** From a table's beginning to its counts. */
  readonly #countsOffset: number;
  /** Up to so many places of a table may be taken for the next reservation to find room surely. */
  readonly #easyLimit: number;
  /** How many places in tables were taken, in all. */
  #made = 0;

  /** The number of the present segment. */
  #sequence: number;
  /** The buffer of the present segment; {@link NO_BUFFER} before the first and at the end. */
  #buffer = NO_BUFFER;
  /** The table of that buffer. */
  #table = 0;
  /** Where in the pool's bytes the next message begins. */
  #next = 0;
  /** Where in the pool's bytes the buffer ends; less than `#next` if there is none. */
  #limit = -1;
  /** How many places of the table are taken. */
  #slot = 0;
  /** Where in the pool's bytes the run begins. */
  #runStart = 0;
  /** How many messages the run has. */
  #runCount = 0;
  /** The marks of the segment, of which those in shared memory may lack some. */
  readonly #marks: Int32Array;
  /** From which word of marks on. */
  #publishFrom = 0;
  /** Whether a message was flushed while one before it was open. */
  #isStalled = false;

  /** Made by the queue, which has taken the place `index` for it. */
  constructor(end: QueueEnd, index: number, id: number) {
    super(end, index, id);
    this.#reopening = new Reopening(end.pool);
    this.#countsOffset = end.shape.countsOffset;
    this.#easyLimit = end.shape.messageCount - MOST_PLACES;
    this.#marks = new Int32Array(end.shape.marksWords);
    this.#sequence = Atomics.load(this.words, this.base + CURRENT) >>> CURRENT_SHIFT;
  }

  override get handle(): WriterHandle {
    return refuseHandle();
  }

  override tryClaim(length: number): number {
    const offset = this.#next;
    if (
      length >>> 0 === length && length - 1 < this.half && length !== 0 &&
      offset + length <= this.#limit && this.#slot <= this.#easyLimit
    ) {
      if (this.lone >= 0) this.keepLone();
      this.#next = offset + length;
      this.loneLength = length;
      return this.lone = offset;
    }
    return this.#reserveSlowly(length);
  }

  protected override endLone(length: number): void {
    const offset = this.lone;
    if (this.#runCount++ === 0) this.#runStart = offset;
    this.lone = -1;
    this.#next = offset + length;
    if (!this.isDirty) this.end.add(this);
    if (this.#isStalled) this.end.flush();
  }

  protected override abortLone(): void {
    this.#next = this.lone;
    this.lone = -1;
  }

  protected override keepLone(): void {
    this.#sealRun();
    this.open.add(
      this.lone,
      this.loneLength,
      this.#buffer,
      this.#takeSlot(),
      NO_BUFFER,
      this.#made - 1,
    );
    this.lone = -1;
  }

  protected override mark(buffer: number, slot: number, offset: number, length: number): void {
    const table = this.tables + buffer * this.tableWords;
    this.writeEntry(table, slot, offset, length);
    this.words[table + this.#countsOffset + slot] = 1;
    if (buffer === this.#buffer) this.#markHere(slot);
    else this.publishMark(table, slot);
    if (!this.isDirty) this.end.add(this);
    if (this.#isStalled) this.end.flush();
  }

  protected override leave(): void {
    this.#close();
    this.#reopening.announce();
    this.end.flush();
    // Pairs with the compareExchange of who takes the place next.
    Atomics.store(this.words, this.base + USE, FREE);
  }

  /** Marks in shared memory all messages of the present segment that have ended. */
  override publish(): void {
    this.#sealRun();
    const { words } = this;
    const marks = this.#marks;
    const table = this.#table;
    const end = (this.#slot + MARKS_MASK) >> MARKS_SHIFT;
    for (let i = this.#publishFrom; i < end; i++) {
      // Publishes the messages; pairs with the flusher's load of the marks.
      Atomics.store(words, table + i, marks[i]!);
    }
    this.#publishFrom = this.#slot >> MARKS_SHIFT;
    this.#isStalled = this.open.count > 0 && this.open.hasEndedBehind(this.#made);
  }

  protected override waitToReserve(length: number, timeoutMs: number): number {
    const buffer = this.pool.acquire(timeoutMs);
    return buffer < 0 ? -1 : this.#place(buffer, length);
  }

  protected override waitToReserveAsync(length: number, options: WaitOptions): Promise<number> {
    return this.#reopening.claim(
      options,
      () => this.isDisposed || this.#fits(length),
      (buffer) => this.#place(buffer, length),
      () => this.tryClaim(length),
    );
  }

  /** Takes the next place of the table. */
  #takeSlot(): number {
    this.#made++;
    return this.#slot++;
  }

  /** Puts the run, if there is one, into the table. */
  #sealRun(): void {
    const count = this.#runCount;
    if (count === 0) return;
    const slot = this.#takeSlot();
    const table = this.#table;
    const start = this.#runStart;
    const end = this.lone < 0 ? this.#next : this.lone;
    this.writeEntry(table, slot, start - this.#buffer * this.stride, end - start);
    this.words[table + this.#countsOffset + slot] = count;
    this.#markHere(slot);
    this.#runCount = 0;
  }

  /** Marks a message of the present segment, in private. */
  #markHere(slot: number): void {
    const word = slot >> MARKS_SHIFT;
    this.#marks[word]! |= 1 << (slot & MARKS_MASK);
    if (word < this.#publishFrom) this.#publishFrom = word;
  }

  /** Reserves what may need a buffer, without waiting. */
  #reserveSlowly(length: number): number {
    if (this.isDisposed) refuseDisposed("reserve");
    checkLength(length, this.maxMessageBytes);
    if (this.#fits(length)) {
      if (this.lone >= 0) this.keepLone();
      this.loneLength = length;
      this.lone = this.#next;
      this.#next += length;
      return this.lone;
    }
    const buffer = this.pool.tryAcquire();
    if (buffer >= 0) return this.#place(buffer, length);
    // Lets the flusher give back whatever it can, be it the buffer of the present segment, which
    // otherwise nobody might ever close.
    this.#close();
    this.end.flush();
    return -1;
  }

  /** Whether a message needs no buffer. */
  #fits(length: number): boolean {
    return length <= this.half && this.#next + length <= this.#limit && this.#hasPlace();
  }

  /** Whether the table of the present segment has places for all that may need one, and one more. */
  #hasPlace(): boolean {
    const needed = (this.#runCount > 0 ? 1 : 0) + (this.lone < 0 ? 0 : 1) + 1;
    return this.#buffer !== NO_BUFFER && this.#slot + needed <= this.slotLimit;
  }

  /** Reserves room in a new buffer, which a long message has for its own. */
  #place(buffer: number, length: number): number {
    const offset = buffer * this.stride;
    if (length > this.half && this.#hasPlace()) {
      if (this.lone >= 0) this.keepLone();
      this.#sealRun();
      this.open.add(offset, length, this.#buffer, this.#takeSlot(), buffer, this.#made - 1);
      return offset;
    }
    this.#switch(buffer);
    this.#next = offset + length;
    this.loneLength = length;
    return this.lone = offset;
  }

  /** Closes the present segment and opens the next. */
  #switch(buffer: number): void {
    this.#close();
    const sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    this.prepareSegment(sequence, buffer, false, 0);
    // Publishes the segment; pairs with the flusher's load.
    Atomics.store(this.words, this.base + CURRENT, sequence << CURRENT_SHIFT);
    this.#sequence = sequence;
    this.#buffer = buffer;
    this.#table = this.tables + buffer * this.tableWords;
    this.#limit = buffer * this.stride + this.maxMessageBytes;
    this.#reopening.announce();
  }

  /** Marks all messages of the present segment that have ended, and says that it has no more. */
  #close(): void {
    if (this.#buffer === NO_BUFFER) return;
    if (this.lone >= 0) this.keepLone();
    this.publish();
    this.#marks.fill(0, 0, (this.#slot + MARKS_MASK) >> MARKS_SHIFT);
    const segment = this.shape.segment(this.base, this.#sequence);
    // Pairs with the flusher's load: no message comes after these.
    Atomics.store(this.words, segment + RESERVED, CLOSED | this.#slot << this.shape.bytesBits);
    this.#buffer = NO_BUFFER;
    this.#limit = -1;
    this.#publishFrom = this.#slot = 0;
    // The flusher must learn of it.
    if (!this.isDirty) this.end.add(this);
  }
}
