/**
 * The writer that several threads share: each reserves and ends messages by one read-modify-write.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { SleepWord } from "../memory/sleep.ts";
import { deadlineAfter, remainingMs, type WaitOptions } from "../memory/wait_options.ts";
import {
  ABORTED,
  BUFFER,
  CLOSED,
  CURRENT,
  CURRENT_SHIFT,
  IDENTITY,
  RESERVED,
  SEGMENTS,
  SEQUENCE_MASK,
  SHARED,
  STALLED,
  SWITCHING,
  USE,
  WAITING,
} from "./layout.ts";
import { NO_BUFFER } from "./open_reservations.ts";
import type { QueueEnd } from "./thread_queue.ts";
import { Reopening } from "./room_waiters.ts";
import {
  checkLength,
  refuseDisposed,
  WRITER_KIND,
  WRITER_VERSION,
  type WriterHandle,
} from "./writer.ts";
import { QueuedWriter } from "./queued_writer.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const STALL = STALLED;
const RESERVED_WORD = RESERVED;
const BUFFER_WORD = BUFFER;

/** There is no room in the present segment. */
const FULL = -1;

/** One thread's end of a writer that several threads share. */
export class SharedWriter extends QueuedWriter {
  readonly #current: SleepWord;
  readonly #reopening: Reopening;
  /** How many bits of {@link RESERVED} count bytes. */
  readonly #bytesBits: number;
  /** The bits of {@link RESERVED} that do. */
  readonly #bytesMask: number;
  /** The buffer that the lone reservation lies in. */
  #loneBuffer = NO_BUFFER;
  /** Which message of its segment it is. */
  #loneSlot = 0;

  /** The number of the segment that this thread reserves from. */
  #sequence = -1;
  /** Where the words of that segment begin. */
  #segment: number;
  /** What it said last to be reserved; negative if the segment is closed. */
  #reserved = CLOSED;
  /** Whether this thread is to open the next segment. */
  #isSwitching = false;

  /** Made by the queue, which has counted this thread. */
  constructor(end: QueueEnd, index: number, id: number) {
    super(end, index, id);
    this.#bytesBits = end.shape.bytesBits;
    this.#bytesMask = (1 << end.shape.bytesBits) - 1;
    this.#segment = this.base + SEGMENTS;
    this.#reopening = new Reopening(end.pool);
    this.#current = new SleepWord(end.memory, end.words, this.base + CURRENT);
  }

  override get handle(): WriterHandle {
    const queue = this.words[IDENTITY]!;
    return { kind: WRITER_KIND, version: WRITER_VERSION, queue, index: this.index, id: this.id };
  }

  override tryClaim(length: number): number {
    if (length >>> 0 === length && length - 1 < this.half && length !== 0) {
      const offset = this.#reserve(length);
      if (offset >= 0) return offset;
    }
    return this.#tryWithBuffer(length);
  }

  protected override endLone(length: number): void {
    const buffer = this.#loneBuffer;
    const offset = this.lone - buffer * this.stride;
    this.lone = -1;
    this.mark(buffer, this.#loneSlot, offset, length);
  }

  protected override abortLone(): void {
    this.endLone(ABORTED);
  }

  protected override keepLone(): void {
    this.open.add(this.lone, this.loneLength, this.#loneBuffer, this.#loneSlot, NO_BUFFER, 0);
    this.lone = -1;
  }

  protected override mark(buffer: number, slot: number, offset: number, length: number): void {
    const table = this.tables + buffer * this.tableWords;
    this.writeEntry(table, slot, offset, length);
    if (!this.isDirty) this.end.add(this);
    // Either the flusher's mark that others wait behind this message came before, and is found here,
    // or the flusher finds the message.
    if ((this.publishMark(table, slot) & STALL) !== 0) this.end.flush();
  }

  protected override leave(): void {
    this.#reserved = CLOSED;
    if (Atomics.sub(this.words, this.base + USE, 1) === SHARED + 1) this.#closeLast();
    else if (this.#isSwitching) this.#endSwitch(this.#sequence);
    // Lets those of this thread go that wait for another to switch.
    if (this.#current.isAwaited) this.#current.notify();
    this.end.flush();
  }

  /** Nothing to do: each message is marked when it ends. */
  override publish(): void {}

  protected override waitToReserve(length: number, timeoutMs: number): number {
    const deadline = deadlineAfter(timeoutMs);
    this.end.flush();
    let offset = FULL;
    const attempt = (): number | undefined => {
      if ((offset = this.#reserveAny(length)) >= 0) return undefined;
      return this.#isSwitching ? undefined : this.#takeSwitch();
    };
    if (!this.#current.sleepUntil(attempt, timeoutMs)) return -1;
    if (offset >= 0) return offset;
    return this.#switchWith(this.#acquireToSwitch(Math.max(0, remainingMs(deadline))), length);
  }

  protected override async waitToReserveAsync(
    length: number,
    options: WaitOptions,
  ): Promise<number> {
    const deadline = deadlineAfter(options.timeoutMs ?? Infinity);
    this.end.flush();
    for (;;) {
      let offset = FULL;
      const attempt = (): number | undefined =>
        (offset = this.#reserveAny(length)) >= 0 ? undefined : this.#takeSwitch();
      const left = { ...options, timeoutMs: Math.max(0, remainingMs(deadline)) };
      if (!await this.#current.sleepUntilAsync(attempt, left)) return -1;
      if (offset >= 0) return offset;
      this.#yieldBuffers();
      const sequence = this.#sequence;
      let buffer = -1;
      try {
        buffer = await this.#reopening.acquire(options, deadline);
      } catch (error) {
        if (this.#isSwitching) this.#endSwitch(this.#sequence);
        throw error;
      }
      // A blocking call of this thread, or its disposal, may have ended the switch meanwhile.
      if (this.#isSwitching && this.#sequence === sequence) {
        return this.#switchWith(buffer, length);
      }
      if (buffer >= 0) this.pool.release(buffer);
      else if (buffer === -1) return -1;
    }
  }

  /** Reserves in the present segment; {@link FULL} if there is no room. */
  #reserve(length: number): number {
    const { words } = this;
    const bits = this.#bytesBits;
    let reserved = this.#reserved;
    for (;;) {
      const used = reserved & this.#bytesMask;
      if (
        reserved < 0 || used + length > this.maxMessageBytes || reserved >>> bits >= this.slotLimit
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
        return this.#hold(words[this.#segment + BUFFER_WORD]!, used, length, reserved >>> bits);
      }
      reserved = seen;
    }
  }

  /** Notes a reservation as the lone one; returns where it begins. */
  #hold(buffer: number, offset: number, length: number, slot: number): number {
    if (this.lone >= 0) this.keepLone();
    this.loneLength = length;
    this.#loneBuffer = buffer;
    this.#loneSlot = slot;
    return this.lone = buffer * this.stride + offset;
  }

  /** Reserves in the latest segment, with a buffer of its own where the message is long. */
  #reserveAny(length: number): number {
    if (this.isDisposed) refuseDisposed("reserve");
    for (;;) {
      if (length <= this.half) {
        const offset = this.#reserve(length);
        if (offset >= 0) return offset;
      } else if (this.#reserved >= 0) {
        const buffer = this.pool.tryAcquire();
        if (buffer >= 0) {
          if (this.#reserveOwned(length, buffer)) return buffer * this.stride;
          this.pool.release(buffer);
        }
      }
      if (!this.#enterLatest()) return FULL;
    }
  }

  /** Reserves a message whose bytes lie in `buffer`, in its order in the present segment. */
  #reserveOwned(length: number, buffer: number): boolean {
    const words = this.words;
    const bits = this.#bytesBits;
    let reserved = this.#reserved;
    for (;;) {
      this.#reserved = reserved;
      if (reserved < 0 || reserved >>> bits >= this.slotLimit) return false;
      const next = reserved + (1 << bits);
      const seen = Atomics.compareExchange(words, this.#segment + RESERVED, reserved, next);
      if (seen === reserved) {
        this.#reserved = next;
        const segmentBuffer = words[this.#segment + BUFFER]!;
        const offset = buffer * this.stride;
        this.open.add(offset, length, segmentBuffer, reserved >>> bits, buffer, 0);
        return true;
      }
      reserved = seen;
    }
  }

  /** Goes on to the latest segment; says whether that is another one. */
  #enterLatest(): boolean {
    // Pairs with the switching thread's exchange: the segment is open.
    const current = Atomics.load(this.words, this.base + CURRENT);
    const sequence = current >>> CURRENT_SHIFT;
    if (sequence === this.#sequence) return false;
    this.#enter(sequence);
    return true;
  }

  #enter(sequence: number): void {
    this.#sequence = sequence;
    this.#segment = this.shape.segment(this.base, sequence);
    this.#reserved = Atomics.load(this.words, this.#segment + RESERVED);
  }

  /**
   * Becomes the thread that switches segments, if none is yet.
   *
   * @returns Nothing if so; otherwise at which value of {@link CURRENT} to sleep.
   */
  #takeSwitch(): number | undefined {
    const words = this.words;
    const index = this.base + CURRENT;
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
          this.pool.returnCached();
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
    this.#reopening.announce();
    // Publishes the segment; finds the mark of all that wait, and one that comes later finds this.
    const before = Atomics.exchange(
      this.words,
      this.base + CURRENT,
      sequence << CURRENT_SHIFT,
    );
    if ((before & WAITING) !== 0) this.#current.notify();
  }

  /** Reserves what does not fit, or needs a buffer, without waiting. */
  #tryWithBuffer(length: number): number {
    checkLength(length, this.maxMessageBytes);
    const offset = this.#reserveAny(length);
    if (offset >= 0 || this.#isSwitching || this.#takeSwitch() !== undefined) return offset;
    return this.#switchWith(this.#acquireToSwitch(0), length);
  }

  /**
   * Acquires a buffer for the switch that this thread began; -1 if there is none in time. Whatever
   * it throws, the switch has ended, and another thread can begin one.
   */
  #acquireToSwitch(timeoutMs: number): number {
    try {
      const buffer = this.pool.tryAcquire();
      if (buffer >= 0) return buffer;
      this.#yieldBuffers();
      return timeoutMs === 0 ? -1 : this.pool.acquire(timeoutMs);
    } catch (error) {
      this.#endSwitch(this.#sequence);
      throw error;
    }
  }

  /**
   * The pool is empty: lets the flusher give back whatever it can, be it the buffer of the present
   * segment, which otherwise nobody might ever close. Only the thread that switches may do this.
   */
  #yieldBuffers(): void {
    Atomics.or(this.words, this.#segment + RESERVED, CLOSED);
    this.#reserved = CLOSED;
    if (!this.isDirty) this.end.add(this);
    this.end.flush();
  }

  /** Opens the next segment in `buffer`, with a first message; gives the switch up without one. */
  #switchWith(buffer: number, length: number): number {
    if (buffer < 0) {
      this.#endSwitch(this.#sequence);
      return -1;
    }
    // Whoever has reserved in the segment before is counted, and nobody can afterwards.
    Atomics.or(this.words, this.#segment + RESERVED, CLOSED);
    const sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    const reserved = length + (1 << this.#bytesBits);
    this.#segment = this.prepareSegment(sequence, buffer, true, reserved);
    this.#sequence = sequence;
    this.#reserved = reserved;
    this.#endSwitch(sequence);
    // The flusher must learn of the segment before.
    if (!this.isDirty) this.end.add(this);
    // One that came by the place of the ring may have flushed before the segment was announced, when
    // the flusher could not find it. Pairs with the compareExchange of its reservation.
    if (Atomics.load(this.words, this.#segment + RESERVED) !== reserved) {
      this.end.announce(1 << this.index);
    }
    return this.#hold(buffer, 0, length, 0);
  }

  /** Closes the segment after the last thread has left; one that comes meanwhile opens another. */
  #closeLast(): void {
    while (this.#enterLatest());
    // Another that is about to open the next segment closes this one.
    if (!this.#isSwitching && this.#takeSwitch() !== undefined) return;
    const before = Atomics.or(this.words, this.#segment + RESERVED, CLOSED);
    this.#endSwitch(this.#sequence);
    if (before >= 0 && !this.isDirty) this.end.add(this);
  }
}
