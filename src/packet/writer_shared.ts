/**
 * The writer that several threads share: each reserves and ends messages by one read-modify-write.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { deadlineAfter, remainingMs, SleepWord, type WaitOptions } from "../memory/sleep.ts";
import type { Buffers } from "./buffers.ts";
import type { Flushable, FlushList } from "./flush_list.ts";
import {
  ABORTED,
  BUFFER,
  CLOSED,
  CONSUMED,
  CURRENT,
  CURRENT_SHIFT,
  ID,
  IS_SHARED,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  SEGMENT_WORDS,
  SEGMENTS,
  type Shape,
  SHARED,
  STALLED,
  SWITCHING,
  TICKET,
  USE,
  WAITING,
} from "./flush_queue_layout.ts";
import { NO_BUFFER, OpenReservations } from "./open_reservations.ts";
import { PacketCopies } from "./writer_packets.ts";
import type { Packet } from "../pool/packet.ts";
import {
  checkLength,
  committedLength,
  refuseDisposed,
  Writer,
  WRITER_KIND,
  WRITER_VERSION,
  type WriterHandle,
} from "./writer.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;
const STALL = STALLED;
const RESERVED_WORD = RESERVED;
const BUFFER_WORD = BUFFER;

/** There is no room in the present segment. */
const FULL = -1;

/** One thread's end of a {@link Writer} that several threads share. */
export class SharedWriter extends Writer implements Flushable {
  readonly index: number;
  isDirty = false;
  readonly #list: FlushList;
  readonly #pool: Buffers;
  readonly #words: Int32Array;
  readonly #shape: Shape;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #id: number;
  readonly #current: SleepWord;
  readonly #open = new OpenReservations();
  readonly #packets: PacketCopies;
  readonly #bufferSize: number;
  /** Messages longer than this get a buffer of their own. */
  readonly #half: number;
  readonly #slotLimit: number;
  /** How many bits of {@link RESERVED} count bytes. */
  readonly #bytesBits: number;
  /** Where the table of buffer 0 begins. */
  readonly #tables: number;
  /** The words from one table to the next. */
  readonly #tableWords: number;
  /** The words of marks in a table. */
  readonly #marksWords: number;

  /** How many reservations this thread has made. */
  #made = 0;
  /** Where the youngest reservation begins, if it is open and has no buffer of its own; or -1. */
  #lone = -1;
  /** How many bytes it has. */
  #loneLength = 0;
  /** The buffer that it lies in. */
  #loneBuffer = NO_BUFFER;
  /** Which message of its segment it is. */
  #loneSlot = 0;

  /** The number of the segment that this thread reserves from. */
  #sequence = -1;
  /** The word of that segment that says what is reserved. */
  #segment: number;
  /** What it said last; negative if the segment is closed. */
  #reserved = CLOSED;
  /** Whether this thread is to open the next segment. */
  #isSwitching = false;
  #isDisposed = false;

  /** Made by the queue, which has counted this thread. */
  constructor(list: FlushList, index: number, id: number) {
    super();
    const { shape } = list;
    this.#list = list;
    this.#pool = list.pool;
    this.#words = list.words;
    this.#shape = shape;
    this.#bytes = list.pool.bytes;
    this.#packets = new PacketCopies(list.pool);
    this.#bufferSize = shape.bufferSize;
    this.#half = shape.bufferSize >> 1;
    this.#slotLimit = shape.messageCount;
    this.#bytesBits = shape.bytesBits;
    this.#tables = shape.table(0);
    this.#tableWords = shape.table(1) - this.#tables;
    this.#marksWords = shape.marksWords;
    this.index = index;
    this.#base = shape.writer(index);
    this.#segment = this.#base + SEGMENTS;
    this.#id = id;
    this.#current = new SleepWord(list.memory, list.words, this.#base + CURRENT);
  }

  override get bytes(): Uint8Array {
    return this.#bytes;
  }

  override get largestMessage(): number {
    return this.#bufferSize;
  }

  override get handle(): WriterHandle {
    return { kind: WRITER_KIND, version: WRITER_VERSION, index: this.index, id: this.#id };
  }

  override get openCount(): number {
    return this.#open.count + (this.#lone < 0 ? 0 : 1);
  }

  override tryReserve(length: number): number {
    if (length >>> 0 === length && length - 1 < this.#half && length !== 0) {
      const offset = this.#reserve(length);
      if (offset >= 0) return offset;
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
    this.#end(row, committedLength(length, open.lengths[row]!));
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
    this.#isDisposed = true;
    this.#packets[Symbol.dispose]();
    this.#reserved = CLOSED;
    if (Atomics.sub(this.#words, this.#base + USE, 1) === SHARED + 1) this.#closeLast();
    else if (this.#isSwitching) this.#endSwitch(this.#sequence);
    this.#list.flush();
  }

  /** Nothing to do: each message is marked when it ends. */
  publish(): void {}

  protected override waitToReserve(length: number, timeoutMs: number): number {
    const deadline = deadlineAfter(timeoutMs);
    this.#list.flush();
    let offset = FULL;
    const attempt = (): number | undefined => {
      if ((offset = this.#reserveAny(length)) >= 0) return undefined;
      return this.#isSwitching ? undefined : this.#takeSwitch();
    };
    if (!this.#current.sleepUntil(attempt, timeoutMs)) return -1;
    if (offset >= 0) return offset;
    let buffer = this.#pool.tryAcquire();
    if (buffer < 0) {
      this.#yieldBuffers();
      buffer = this.#pool.acquire(Math.max(0, remainingMs(deadline)));
    }
    return this.#switchWith(buffer, length);
  }

  protected override async waitToReserveAsync(
    length: number,
    options: WaitOptions,
  ): Promise<number> {
    const deadline = deadlineAfter(options.timeoutMs ?? Infinity);
    this.#list.flush();
    for (;;) {
      let offset = FULL;
      const attempt = (): number | undefined =>
        (offset = this.#reserveAny(length)) >= 0 ? undefined : this.#takeSwitch();
      const left = { ...options, timeoutMs: Math.max(0, remainingMs(deadline)) };
      if (!await this.#current.sleepUntilAsync(attempt, left)) return -1;
      if (offset >= 0) return offset;
      this.#yieldBuffers();
      const sequence = this.#sequence;
      left.timeoutMs = Math.max(0, remainingMs(deadline));
      const buffer = await this.#acquireToSwitch(left);
      // A blocking call of this thread, or its disposal, may have done the switch meanwhile.
      if (this.#isSwitching && this.#sequence === sequence) {
        return this.#switchWith(buffer, length);
      }
      if (buffer >= 0) this.#pool.release(buffer);
      else return -1;
    }
  }

  /** Acquires a buffer; gives the switch up if that fails. */
  async #acquireToSwitch(options: WaitOptions): Promise<number> {
    try {
      return await this.#pool.acquireAsync(options);
    } catch (error) {
      if (this.#isSwitching) this.#endSwitch(this.#sequence);
      throw error;
    }
  }

  /** Reserves in the present segment; {@link FULL} if there is no room. */
  #reserve(length: number): number {
    const words = this.#words;
    const bits = this.#bytesBits;
    let reserved = this.#reserved;
    for (;;) {
      const used = reserved & (1 << bits) - 1;
      if (
        reserved < 0 || used + length > this.#bufferSize || reserved >>> bits >= this.#slotLimit
      ) {
        this.#reserved = reserved;
        return FULL;
      }
      const next = reserved + length + (1 << bits);
      // Pairs with the opening of the segment. Should the place of the ring have been opened anew
      // meanwhile, and be at the same count, then that is where we reserve.
      const seen = Atomics.compareExchange(words, this.#segment + RESERVED_WORD, reserved, next);
      if (seen === reserved) {
        this.#reserved = next;
        const buffer = words[this.#segment + BUFFER_WORD]!;
        return this.#hold(this.#pool.offsetOf(buffer) + used, length, buffer, reserved >>> bits);
      }
      reserved = seen;
    }
  }

  /** Notes a reservation as the youngest; returns where it begins. */
  #hold(offset: number, length: number, buffer: number, slot: number): number {
    if (this.#lone >= 0) this.#keepLone();
    this.#made++;
    this.#loneLength = length;
    this.#loneBuffer = buffer;
    this.#loneSlot = slot;
    return this.#lone = offset;
  }

  /** Puts the youngest reservation to the others. */
  #keepLone(): void {
    const ordinal = this.#made - 1;
    const buffer = this.#loneBuffer;
    this.#open.add(this.#lone, this.#loneLength, buffer, this.#loneSlot, NO_BUFFER, ordinal);
    this.#lone = -1;
  }

  /** Ends the youngest reservation with so many bytes. */
  #endLone(length: number): void {
    const buffer = this.#loneBuffer;
    const offset = this.#lone - this.#pool.offsetOf(buffer);
    this.#lone = -1;
    this.#mark(buffer, this.#loneSlot, offset, length);
  }

  /** Reserves in the latest segment, with a buffer of its own where the message is long. */
  #reserveAny(length: number): number {
    if (this.#isDisposed) refuseDisposed("reserve");
    for (;;) {
      if (length <= this.#half) {
        const offset = this.#reserve(length);
        if (offset >= 0) return offset;
      } else if (this.#reserved >= 0) {
        const buffer = this.#pool.tryAcquire();
        if (buffer >= 0) {
          if (this.#reserveOwned(length, buffer)) return this.#pool.offsetOf(buffer);
          this.#pool.release(buffer);
        }
      }
      if (!this.#enterLatest()) return FULL;
    }
  }

  /** Reserves a message whose bytes lie in `buffer`, in its order in the present segment. */
  #reserveOwned(length: number, buffer: number): boolean {
    const words = this.#words;
    const bits = this.#bytesBits;
    let reserved = this.#reserved;
    for (;;) {
      this.#reserved = reserved;
      if (reserved < 0 || reserved >>> bits >= this.#slotLimit) return false;
      const next = reserved + (1 << bits);
      const seen = Atomics.compareExchange(words, this.#segment + RESERVED, reserved, next);
      if (seen === reserved) {
        this.#reserved = next;
        const segmentBuffer = words[this.#segment + BUFFER]!;
        const offset = this.#pool.offsetOf(buffer);
        this.#open.add(offset, length, segmentBuffer, reserved >>> bits, buffer, this.#made++);
        return true;
      }
      reserved = seen;
    }
  }

  /** Goes on to the latest segment; says whether that is another one. */
  #enterLatest(): boolean {
    // Pairs with the switching thread's exchange: the segment is open.
    const current = Atomics.load(this.#words, this.#base + CURRENT);
    const sequence = current >>> CURRENT_SHIFT;
    if (sequence === this.#sequence) return false;
    this.#enter(sequence);
    return true;
  }

  #enter(sequence: number): void {
    this.#sequence = sequence;
    this.#segment = this.#segmentAt(sequence);
    this.#reserved = Atomics.load(this.#words, this.#segment + RESERVED);
  }

  #segmentAt(sequence: number): number {
    const place = sequence & (this.#shape.segmentCount - 1);
    return this.#base + SEGMENTS + place * SEGMENT_WORDS;
  }

  /**
   * Becomes the thread that switches segments, if none is yet.
   *
   * @returns Nothing if so; otherwise at which value of {@link CURRENT} to sleep.
   */
  #takeSwitch(): number | undefined {
    const words = this.#words;
    const index = this.#base + CURRENT;
    let current = this.#sequence << CURRENT_SHIFT;
    for (;;) {
      const wanted = (current & SWITCHING) === 0 ? current | SWITCHING : current | WAITING;
      const seen = Atomics.compareExchange(words, index, current, wanted);
      if (seen >>> CURRENT_SHIFT !== this.#sequence) {
        // Not to sleep: the value is gone, so the wait ends at once, and the next attempt looks.
        return this.#sequence << CURRENT_SHIFT;
      }
      if (seen === current) {
        if ((current & SWITCHING) !== 0) {
          // Buffers that this thread keeps may be what the other waits for.
          this.#pool.flush();
          return wanted;
        }
        this.#isSwitching = true;
        return undefined;
      }
      current = seen;
    }
  }

  /** Ends the switch that this thread began: `sequence` is the latest segment. Wakes who waits. */
  #endSwitch(sequence: number): void {
    this.#isSwitching = false;
    // Publishes the segment; finds the mark of all that wait, and one that comes later finds this.
    const before = Atomics.exchange(
      this.#words,
      this.#base + CURRENT,
      sequence << CURRENT_SHIFT,
    );
    if ((before & WAITING) !== 0) this.#current.notify();
  }

  /** Reserves what does not fit, or needs a buffer, without waiting. */
  #tryWithBuffer(length: number): number {
    checkLength(length, this.#bufferSize);
    const offset = this.#reserveAny(length);
    if (offset >= 0 || this.#isSwitching || this.#takeSwitch() !== undefined) return offset;
    const buffer = this.#pool.tryAcquire();
    if (buffer < 0) this.#yieldBuffers();
    return this.#switchWith(buffer, length);
  }

  /**
   * The pool is empty: lets the flusher give back whatever it can, be it the buffer of the present
   * segment, which otherwise nobody might ever close. Only the thread that switches may do this.
   */
  #yieldBuffers(): void {
    Atomics.or(this.#words, this.#segment + RESERVED, CLOSED);
    this.#reserved = CLOSED;
    if (!this.isDirty) this.#list.add(this);
    this.#list.flush();
  }

  /** Opens the next segment in `buffer`, with a first message; gives the switch up without one. */
  #switchWith(buffer: number, length: number): number {
    if (buffer < 0) {
      this.#endSwitch(this.#sequence);
      return -1;
    }
    const words = this.#words;
    // Whoever has reserved in the segment before is counted, and nobody can afterwards.
    Atomics.or(words, this.#segment + RESERVED, CLOSED);
    const sequence = (this.#sequence + 1) & (-1 >>> CURRENT_SHIFT);
    const segment = this.#segmentAt(sequence);
    // Pairs with the flusher's store after its last look at this place of the ring. There are not
    // fewer places than buffers, and each segment that is not consumed has one: it is free.
    Atomics.load(words, this.#base + CONSUMED);
    // It is the flusher's from here on; the segment keeps it from being given back.
    words[segment + TICKET] = this.#pool.sendBuffer(buffer);
    words[segment + BUFFER] = buffer;
    words[segment + ID] = this.#id;
    words[segment + IS_SHARED] = 1;
    const reserved = length + (1 << this.#bytesBits);
    // Publishes the segment to one that comes by the place of the ring alone.
    Atomics.store(words, segment + RESERVED, reserved);
    this.#sequence = sequence;
    this.#segment = segment;
    this.#reserved = reserved;
    this.#endSwitch(sequence);
    // The flusher must learn of the segment before.
    if (!this.isDirty) this.#list.add(this);
    return this.#hold(this.#pool.offsetOf(buffer), length, buffer, 0);
  }

  /** Closes the segment after the last thread has left; one that comes meanwhile opens another. */
  #closeLast(): void {
    while (this.#enterLatest());
    // Another that is about to open the next segment closes this one.
    if (!this.#isSwitching && this.#takeSwitch() !== undefined) return;
    const before = Atomics.or(this.#words, this.#segment + RESERVED, CLOSED);
    this.#endSwitch(this.#sequence);
    if (before >= 0 && !this.isDirty) this.#list.add(this);
  }

  /** Ends a reservation with so many bytes, or {@link ABORTED}. */
  #end(row: number, length: number): void {
    const open = this.#open;
    const slot = open.slots[row]!;
    const buffer = open.buffers[row]!;
    const owned = open.owned[row]!;
    const offset = owned === NO_BUFFER
      ? open.offsets[row]! - this.#pool.offsetOf(buffer)
      : -1 - owned;
    open.remove(row);
    if (owned !== NO_BUFFER && length !== ABORTED) {
      this.#words[this.#shape.ownedTicket(owned)] = this.#pool.sendBuffer(owned);
    }
    this.#mark(buffer, slot, offset, length);
  }

  /** Says where a message lies, and marks it as ended. */
  #mark(buffer: number, slot: number, offset: number, length: number): void {
    const words = this.#words;
    const marks = this.#tables + buffer * this.#tableWords;
    const entry = marks + this.#marksWords + 2 * slot;
    words[entry] = offset;
    words[entry + 1] = length;
    if (!this.isDirty) this.#list.add(this);
    // Publishes the message; pairs with the flusher's load of the marks. Either the flusher's mark
    // that others wait behind it came before, and is found here, or the flusher finds the message.
    const before = Atomics.or(words, marks + (slot >> SHIFT), 1 << (slot & MASK));
    if ((before & STALL) !== 0) this.#list.flush();
  }
}
