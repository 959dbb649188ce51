/**
 * The writer that one thread has for itself: it marks its messages when it flushes, not one by one.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { deadlineAfter, type WaitOptions } from "../memory/sleep.ts";
import type { Buffers } from "./buffers.ts";
import type { Flushable, FlushList } from "./flush_list.ts";
import {
  ABORTED,
  BUFFER,
  CLOSED,
  CONSUMED,
  CURRENT,
  CURRENT_SHIFT,
  FREE,
  ID,
  IS_SHARED,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  SEGMENT_WORDS,
  SEGMENTS,
  type Shape,
  TICKET,
  USE,
} from "./flush_queue_layout.ts";
import { NO_BUFFER, OpenReservations } from "./open_reservations.ts";
import { Reopening } from "./reopening.ts";
import { PacketCopies } from "./writer_packets.ts";
import type { Packet } from "../pool/packet.ts";
import {
  checkLength,
  committedLength,
  refuseDisposed,
  refuseHandle,
  Writer,
  type WriterHandle,
} from "./writer.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** A word of marks that has all. */
const ALL_MARKS = (1 << MASK + 1) - 1;

/** A {@link Writer} that one thread has for itself. */
export class LocalWriter extends Writer implements Flushable {
  readonly index: number;
  isDirty = false;
  readonly #list: FlushList;
  readonly #pool: Buffers;
  readonly #words: Int32Array;
  readonly #shape: Shape;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #id: number;
  readonly #open = new OpenReservations();
  readonly #packets: PacketCopies;
  readonly #reopening: Reopening;
  /** Messages longer than this get a buffer of their own. */
  readonly #half: number;

  /** How many reservations were made. */
  #made = 0;
  /** Where the youngest reservation begins, if it is open and lies in the present segment; or -1. */
  #lone = -1;
  /** How many bytes it has; it is the last message of the segment. */
  #loneLength = 0;

  /** The number of the present segment. */
  #sequence: number;
  /** The buffer of the present segment; {@link NO_BUFFER} before the first and at the end. */
  #buffer = NO_BUFFER;
  /** Where in the pool's bytes the segment's buffer begins. */
  #start = 0;
  /** Where in the pool's bytes the next message begins. */
  #next = 0;
  /** Where in the pool's bytes the segment's buffer ends; less than {@link LocalWriter.#next} at the
   * end of the writer. */
  #limit = 0;
  /** How many messages the segment has. */
  #slot = 0;
  /** How many messages the segment may have. */
  readonly #slotLimit: number;
  /** The word where the marks of the segment begin. */
  #marks = 0;
  /** The word where offsets and lengths of its messages begin. */
  #slots = 0;
  /** So many messages of the segment have ended, from the first on, as far as they did in order. */
  #prefix = 0;
  /** The marks of the others that have ended. */
  readonly #ended: Int32Array;
  /** From which word of marks on those in shared memory may lack some. */
  #publishFrom = 0;
  /** Whether a message was flushed while one before it was open. */
  #isStalled = false;
  #isDisposed = false;

  /** Made by {@link FlushQueue.writer}, which has taken the place `index` for it. */
  constructor(list: FlushList, index: number, id: number) {
    super();
    this.#list = list;
    this.#pool = list.pool;
    this.#words = list.words;
    this.#shape = list.shape;
    this.#bytes = list.pool.bytes;
    this.#packets = new PacketCopies(list.pool);
    this.#reopening = new Reopening(list.pool);
    this.#half = list.shape.bufferSize >> 1;
    this.#slotLimit = list.shape.messageCount;
    this.#ended = new Int32Array(list.shape.marksWords);
    this.index = index;
    this.#base = list.shape.writer(index);
    this.#id = id;
    this.#sequence = Atomics.load(this.#words, this.#base + CURRENT) >>> CURRENT_SHIFT;
  }

  override get bytes(): Uint8Array {
    return this.#bytes;
  }

  override get largestMessage(): number {
    return this.#shape.bufferSize;
  }

  override get handle(): WriterHandle {
    return refuseHandle();
  }

  override get openCount(): number {
    return this.#open.count + (this.#lone < 0 ? 0 : 1);
  }

  override tryReserve(length: number): number {
    const offset = this.#next;
    const slot = this.#slot;
    if (
      length >>> 0 === length && length - 1 < this.#half && length !== 0 &&
      offset + length <= this.#limit && slot < this.#slotLimit
    ) {
      if (this.#lone >= 0) this.#keepLone();
      this.#next = offset + length;
      this.#slot = slot + 1;
      this.#made++;
      this.#loneLength = length;
      return this.#lone = offset;
    }
    return this.#tryWithBuffer(length);
  }

  override commit(offset: number, length?: number): void {
    if (offset === this.#lone) {
      const reserved = this.#loneLength;
      return this.#endLone(length === undefined ? reserved : committedLength(length, reserved));
    }
    const open = this.#open;
    const row = open.find("commit", offset);
    const size = committedLength(length, open.lengths[row]!);
    this.#end(row, size);
  }

  override commitPacket(offset: number, length?: number): Packet {
    if (this.#lone >= 0) this.#keepLone();
    const open = this.#open;
    const row = open.find("commit", offset);
    const size = committedLength(length, open.lengths[row]!);
    const packet = this.#packets.copy(offset, size);
    this.#end(row, size);
    return packet;
  }

  override abort(offset: number): void {
    if (this.#lone >= 0) this.#keepLone();
    const open = this.#open;
    const row = open.find("abort", offset);
    const owned = open.owned[row]!;
    if (owned !== NO_BUFFER) this.#pool.release(owned);
    this.#end(row, ABORTED);
  }

  override flush(): void {
    this.#list.flush();
  }

  override [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    if (this.#lone >= 0) this.#keepLone();
    while (this.#open.count > 0) this.abort(this.#open.offsets[this.#open.count - 1]!);
    this.#close();
    this.#isDisposed = true;
    this.#packets[Symbol.dispose]();
    this.#reopening.announce();
    this.#list.flush();
    // Pairs with the compareExchange of who takes the place next.
    Atomics.store(this.#words, this.#base + USE, FREE);
  }

  /** Marks in shared memory all messages that have ended. */
  publish(): void {
    const words = this.#words;
    const marks = this.#marks;
    const end = (this.#slot + MASK) >> SHIFT;
    for (let i = this.#publishFrom; i < end; i++) {
      // Publishes the messages; pairs with the flusher's load of the marks.
      Atomics.store(words, marks + i, this.#marksOf(i));
    }
    this.#publishFrom = this.#slot >> SHIFT;
    if (this.#open.count > 0) {
      if (this.#lone >= 0) this.#keepLone();
      this.#isStalled = this.#open.hasEndedBehind(this.#made);
    } else {
      this.#isStalled = false;
    }
  }

  /** The messages of a word of marks that have ended. */
  #marksOf(word: number): number {
    const inOrder = this.#prefix - (word << SHIFT);
    if (inOrder > MASK) return ALL_MARKS;
    return this.#ended[word]! | (inOrder > 0 ? (1 << inOrder) - 1 : 0);
  }

  /** Ends the youngest reservation with so many bytes. */
  #endLone(length: number): void {
    const words = this.#words;
    const slot = this.#slot - 1;
    const entry = this.#slots + 2 * slot;
    words[entry] = this.#lone - this.#start;
    words[entry + 1] = length;
    this.#lone = -1;
    if (slot === this.#prefix) this.#prefix = slot + 1;
    else this.#markEnded(slot);
    if (!this.isDirty) this.#list.add(this);
    if (this.#isStalled) this.#list.flush();
  }

  /** Puts the youngest reservation to the others. */
  #keepLone(): void {
    const slot = this.#slot - 1;
    this.#open.add(this.#lone, this.#loneLength, this.#buffer, slot, NO_BUFFER, this.#made - 1);
    this.#lone = -1;
  }

  /** Notes that a message of the present segment has ended out of order. */
  #markEnded(slot: number): void {
    const word = slot >> SHIFT;
    this.#ended[word]! |= 1 << (slot & MASK);
    if (word < this.#publishFrom) this.#publishFrom = word;
  }

  protected override waitToReserve(length: number, timeoutMs: number): number {
    this.#yieldBuffers();
    const buffer = this.#pool.acquire(timeoutMs);
    return buffer < 0 ? -1 : this.#place(buffer, length);
  }

  protected override async waitToReserveAsync(
    length: number,
    options: WaitOptions,
  ): Promise<number> {
    const deadline = deadlineAfter(options.timeoutMs ?? Infinity);
    for (;;) {
      this.#yieldBuffers();
      const buffer = await this.#reopening.acquire(options, deadline);
      if (buffer === -1) return -1;
      // Others of this thread may have gone on, or have disposed of the writer.
      if (buffer >= 0 && !this.#isDisposed && !this.#fits(length)) {
        return this.#place(buffer, length);
      }
      if (buffer >= 0) this.#pool.release(buffer);
      const offset = this.tryReserve(length);
      if (offset >= 0) return offset;
    }
  }

  /** Reserves what may need a buffer. */
  #tryWithBuffer(length: number): number {
    if (this.#isDisposed) refuseDisposed("reserve");
    checkLength(length, this.#shape.bufferSize);
    const buffer = this.#pool.tryAcquire();
    if (buffer >= 0) return this.#place(buffer, length);
    this.#yieldBuffers();
    return -1;
  }

  /**
   * The pool is empty: lets the flusher give back whatever it can, be it the buffer of the present
   * segment, which otherwise nobody might ever close.
   */
  #yieldBuffers(): void {
    this.#close();
    this.#list.flush();
  }

  /** Whether a message needs no buffer. */
  #fits(length: number): boolean {
    return length <= this.#half && this.#next + length <= this.#limit &&
      this.#slot < this.#slotLimit;
  }

  /** Reserves room in a new buffer. */
  #place(buffer: number, length: number): number {
    const offset = this.#pool.offsetOf(buffer);
    if (length > this.#half && this.#buffer !== NO_BUFFER && this.#slot < this.#slotLimit) {
      if (this.#lone >= 0) this.#keepLone();
      this.#open.add(offset, length, this.#buffer, this.#slot++, buffer, this.#made++);
    } else {
      this.#switch(buffer, length);
      this.#made++;
      this.#loneLength = length;
      this.#lone = offset;
    }
    return offset;
  }

  /** Closes the present segment and opens the next, with a first message of `length` bytes. */
  #switch(buffer: number, length: number): void {
    this.#close();
    const words = this.#words;
    const { bufferSize, segmentCount, marksWords } = this.#shape;
    const sequence = (this.#sequence + 1) & (-1 >>> CURRENT_SHIFT);
    const segment = this.#base + SEGMENTS + (sequence & (segmentCount - 1)) * SEGMENT_WORDS;
    // Pairs with the flusher's store after its last look at this place of the ring. There are not
    // fewer places than buffers, and each segment that is not consumed has one: it is free.
    Atomics.load(words, this.#base + CONSUMED);
    // It is the flusher's from here on; the segment keeps it from being given back.
    words[segment + TICKET] = this.#pool.sendBuffer(buffer);
    words[segment + BUFFER] = buffer;
    words[segment + ID] = this.#id;
    words[segment + IS_SHARED] = 0;
    Atomics.store(words, segment + RESERVED, 0);
    // Publishes the segment; pairs with the flusher's load.
    Atomics.store(words, this.#base + CURRENT, sequence << CURRENT_SHIFT);
    this.#sequence = sequence;
    this.#buffer = buffer;
    this.#start = this.#pool.offsetOf(buffer);
    this.#next = this.#start + length;
    this.#limit = this.#start + bufferSize;
    this.#slot = 1;
    this.#marks = this.#shape.table(buffer);
    this.#slots = this.#marks + marksWords;
    this.#publishFrom = 0;
    // The flusher must learn of the segment before.
    if (!this.isDirty) this.#list.add(this);
    this.#reopening.announce();
  }

  /** Marks all messages of the present segment that have ended, and says that it has no more. */
  #close(): void {
    if (this.#buffer === NO_BUFFER) return;
    if (this.#lone >= 0) this.#keepLone();
    this.publish();
    this.#ended.fill(0, 0, (this.#slot + MASK) >> SHIFT);
    const { segmentCount, bytesBits } = this.#shape;
    const place = this.#sequence & (segmentCount - 1);
    const segment = this.#base + SEGMENTS + place * SEGMENT_WORDS;
    Atomics.store(this.#words, segment + RESERVED, CLOSED | this.#slot << bytesBits);
    this.#buffer = NO_BUFFER;
    this.#limit = -1;
    this.#publishFrom = this.#prefix = this.#slot = 0;
    if (!this.isDirty) this.#list.add(this);
  }

  /** Ends a reservation with so many bytes, or {@link ABORTED}. */
  #end(row: number, length: number): void {
    const open = this.#open;
    const words = this.#words;
    const slot = open.slots[row]!;
    const buffer = open.buffers[row]!;
    const owned = open.owned[row]!;
    const offset = open.offsets[row]!;
    open.remove(row);
    if (owned !== NO_BUFFER && length !== ABORTED) {
      words[this.#shape.ownedTicket(owned)] = this.#pool.sendBuffer(owned);
    }
    if (buffer === this.#buffer) {
      const entry = this.#slots + 2 * slot;
      words[entry] = owned === NO_BUFFER ? offset - this.#start : -1 - owned;
      words[entry + 1] = length;
      this.#markEnded(slot);
    } else {
      this.#endInClosed(buffer, slot, owned, offset, length);
    }
    if (!this.isDirty) this.#list.add(this);
    if (this.#isStalled) this.#list.flush();
  }

  /** Ends a reservation of a segment that is not the present one. */
  #endInClosed(buffer: number, slot: number, owned: number, offset: number, length: number): void {
    const words = this.#words;
    const marks = this.#shape.table(buffer);
    const entry = marks + this.#shape.marksWords + 2 * slot;
    words[entry] = owned === NO_BUFFER ? offset - this.#pool.offsetOf(buffer) : -1 - owned;
    words[entry + 1] = length;
    // Publishes the message; pairs with the flusher's load of the marks.
    Atomics.or(words, marks + (slot >> SHIFT), 1 << (slot & MASK));
  }
}
