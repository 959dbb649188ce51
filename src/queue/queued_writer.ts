/**
 * What the writers of a flush queue have in common: their open reservations, and how those end.
 *
 * Most often one reservation is open. It is kept in fields, as the *lone* one, and put to the others
 * only when another is made, or something else than its end happens.
 *
 * @module
 */

import type { BufferPool } from "../pool/buffer_pool.ts";
import type { Packet } from "../pool/packet.ts";
import {
  ABORTED,
  BUFFER,
  CONSUMED,
  ID,
  IS_SHARED,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  type Shape,
  TICKET,
} from "./layout.ts";
import { NO_BUFFER, OpenReservations } from "./open_reservations.ts";
import type { Flushable, QueueEnd } from "./thread_queue.ts";
import { committedLength, Writer } from "./writer.ts";
import { PacketCopies } from "./packet_copies.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** A {@link Writer} whose messages go to a flusher. */
export abstract class QueuedWriter extends Writer implements Flushable {
  /** Which writer of the queue it is. */
  readonly index: number;
  /** Whether it is to be flushed. */
  isDirty = false;
  protected readonly end: QueueEnd;
  protected readonly pool: BufferPool;
  protected readonly words: Int32Array;
  protected readonly shape: Shape;
  /** Where the writer's words begin. */
  protected readonly base: number;
  protected readonly id: number;
  /** All open reservations but the lone one. */
  protected readonly open: OpenReservations = new OpenReservations();
  /** Messages longer than this get a buffer of their own. */
  protected readonly half: number;
  /** How many messages the table of a buffer has places for. */
  protected readonly slotLimit: number;
  /** Where the table of buffer 0 begins. */
  protected readonly tables: number;
  /** The words from one table to the next. */
  protected readonly tableWords: number;
  /** The words of marks in a table. */
  protected readonly marksWords: number;
  /** The bytes from one buffer to the next. */
  protected readonly stride: number;
  /** Where the lone reservation begins; -1 if there is none. */
  protected lone = -1;
  /** How many bytes it has. */
  protected loneLength = 0;
  protected isDisposed = false;
  readonly #packets: PacketCopies;

  /** Opens the writer at `index` of a queue. */
  constructor(end: QueueEnd, index: number, id: number) {
    const { shape, pool, words } = end;
    super(pool);
    this.end = end;
    this.pool = pool;
    this.words = words;
    this.shape = shape;
    this.base = shape.writer(index);
    this.id = id;
    this.index = index;
    this.half = shape.bufferBytes >> 1;
    this.slotLimit = shape.messageCount;
    this.tables = shape.table(0);
    this.tableWords = shape.table(1) - this.tables;
    this.marksWords = shape.marksWords;
    this.stride = pool.offsetOf(1);
    this.#packets = new PacketCopies(pool);
  }

  /** Puts the lone reservation, which there is, to the others. */
  protected abstract keepLone(): void;
  /** Ends the lone reservation with so many bytes. */
  protected abstract endLone(length: number): void;
  /** Gives the lone reservation up. */
  protected abstract abortLone(): void;
  /** Notes that message `slot` of the segment in `buffer` has ended, and lies at this offset of it. */
  protected abstract mark(buffer: number, slot: number, offset: number, length: number): void;
  /** Leaves the writer, in which nothing is open. */
  protected abstract leave(): void;
  /** Marks in shared memory all messages that have ended. */
  abstract publish(): void;

  override get openCount(): number {
    return this.open.count + (this.lone < 0 ? 0 : 1);
  }

  override commit(offset: number, length?: number): void {
    if (offset === this.lone && offset >= 0) {
      const reserved = this.loneLength;
      return this.endLone(length === undefined ? reserved : committedLength(length, reserved));
    }
    const row = this.open.find("commit", offset);
    this.#end(row, committedLength(length, this.open.lengths[row]!));
  }

  override commitPacket(offset: number, length?: number): Packet {
    const isLone = offset === this.lone && offset >= 0;
    const row = isLone ? -1 : this.open.find("commit", offset);
    const size = committedLength(length, isLone ? this.loneLength : this.open.lengths[row]!);
    const packet = this.#packets.copy(offset, size);
    if (isLone) this.endLone(size);
    else this.#end(row, size);
    return packet;
  }

  override abort(offset: number): void {
    if (offset === this.lone && offset >= 0) return this.abortLone();
    const row = this.open.find("abort", offset);
    const owned = this.open.owned[row]!;
    // A thread that leaves the pool gives all its buffers back.
    if (owned !== NO_BUFFER && !this.pool.hasLeft) this.pool.release(owned);
    this.#end(row, ABORTED);
  }

  override flush(): void {
    this.end.flush();
  }

  override [Symbol.dispose](): void {
    if (this.isDisposed) return;
    if (this.lone >= 0) this.abortLone();
    while (this.open.count > 0) this.abort(this.open.offsets[this.open.count - 1]!);
    this.isDisposed = true;
    this.#packets[Symbol.dispose]();
    this.leave();
  }

  /** Ends a reservation with so many bytes, or {@link ABORTED}. */
  #end(row: number, length: number): void {
    const { open, words } = this;
    const slot = open.slots[row]!;
    const buffer = open.buffers[row]!;
    const owned = open.owned[row]!;
    const offset = owned === NO_BUFFER ? open.offsets[row]! - buffer * this.stride : -1 - owned;
    if (owned !== NO_BUFFER && length !== ABORTED) {
      // Before the reservation has ended: if this throws, it is still open, and can be aborted.
      words[this.shape.ownedTicket(owned)] = this.pool.detachBuffer(owned);
    }
    open.remove(row);
    this.mark(buffer, slot, offset, length);
  }

  /** Writes where a message lies. */
  protected writeEntry(table: number, slot: number, offset: number, length: number): void {
    const entry = table + this.marksWords + 2 * slot;
    this.words[entry] = offset;
    this.words[entry + 1] = length;
  }

  /** Marks a message in shared memory; returns what the word was before. */
  protected publishMark(table: number, slot: number): number {
    // Publishes the message; pairs with the flusher's load of the marks.
    return Atomics.or(this.words, table + (slot >> SHIFT), 1 << (slot & MASK));
  }

  /**
   * Writes the words of the segment `sequence` in `buffer`, and stores what is reserved in it. It
   * becomes the flusher's; nobody else knows of it yet.
   *
   * @returns Where its words begin.
   */
  protected prepareSegment(
    sequence: number,
    buffer: number,
    isShared: boolean,
    reserved: number,
  ): number {
    const { words } = this;
    const segment = this.shape.segment(this.base, sequence);
    const table = this.tables + buffer * this.tableWords;
    // Pairs with the flusher's store after its last look at this place of the ring. There are not
    // fewer places than buffers, and each segment that is not consumed has one: it is free.
    Atomics.load(words, this.base + CONSUMED);
    words.fill(0, table, table + this.marksWords);
    words[segment + BUFFER] = buffer;
    words[segment + ID] = this.id;
    words[segment + IS_SHARED] = isShared ? 1 : 0;
    words[segment + TICKET] = this.pool.detachBuffer(buffer);
    // Publishes the segment to a thread that comes by its place of the ring alone.
    Atomics.store(words, segment + RESERVED, reserved);
    return segment;
  }
}
