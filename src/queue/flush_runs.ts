/**
 * The runs of a flush queue, as the flusher goes through them: writers that have published, their
 * segments in order, and in each segment the messages that lie end to end.
 *
 * The flusher adopts a buffer only when the last run in it was received. Until then the segment
 * keeps the ticket, so that the buffer outlives a flusher that dies.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { type BufferSource, NO_BUFFER } from "../pool/buffer_source.ts";
import { FlusherSeat } from "./flusher_seat.ts";
import {
  ABANDONING,
  BUFFER,
  CLOSED,
  CONSUMED,
  CURRENT,
  CURRENT_SHIFT,
  FLUSHED,
  type FlushQueueLayout,
  ID,
  IS_SHARED,
  MARKS,
  MARKS_MASK,
  MARKS_SHIFT,
  RECEIVED,
  RESERVED,
  SEQUENCE_MASK,
  SLEEPING,
  STALLED,
  TICKET,
} from "./layout.ts";
import type { ThreadQueue } from "./thread_queue.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** {@link FlushRuns.#writer} between writers. */
const NO_WRITER = -1;

/** The runs that writers have published: messages of one writer that lie one after the other. */
export class FlushRuns {
  /** The buffer of the present run, or {@link NO_BUFFER}. */
  buffer = NO_BUFFER;
  /** The offset of the present run in the bytes of the pool. */
  offset = 0;
  /** The bytes of the present run. */
  length = 0;
  /** The messages of the present run. */
  messageCount = 0;
  /** The user's number of its writer. */
  writerId = 0;

  readonly #seat: FlusherSeat;
  readonly #words: Int32Array;
  readonly #layout: FlushQueueLayout;
  readonly #pool: BufferSource;
  readonly #countsOffset: number;
  /** By writer: the segment that is received next. */
  readonly #sequences: Int32Array;
  /** By writer: the latest segment that is known. */
  readonly #latest: Int32Array;
  /** How many closings were found of which everything was received. */
  #closings = 0;

  /** A bit for each writer that was taken and not visited yet, in this round. */
  #writers = 0;
  /** A bit for each writer that has had its turn in this round, and may have more. */
  #unfinished = 0;
  /** The present writer. */
  #writer = NO_WRITER;
  /** The first word of the segment of the present run. */
  #segment = 0;
  /** The word that holds how many messages of the segment were received. */
  #received = 0;
  /** How many are received once the present run is. */
  #slot = 0;
  /** What was reserved in the segment at the last look. */
  #reserved = 0;
  /** Whether the last look has reached a message that had not ended. */
  #isExhausted = false;
  /** Whether the present run has a buffer to itself. */
  #isOwned = false;
  #isClosed = false;

  /**
   * Becomes the flusher of a queue.
   *
   * @throws {Error} If the queue has one.
   */
  constructor(queue: ThreadQueue) {
    const { words, layout, pool } = queue;
    this.#seat = new FlusherSeat(queue);
    this.#words = words;
    this.#layout = layout;
    this.#pool = pool;
    this.#countsOffset = layout.countsOffset;
    this.#sequences = new Int32Array(layout.writerCount);
    this.#latest = new Int32Array(layout.writerCount);
    for (let writer = 0; writer < layout.writerCount; writer++) {
      const sequence = Atomics.load(words, layout.writer(writer) + CONSUMED);
      this.#sequences[writer] = sequence;
      this.#latest[writer] = (sequence - 1) & SEQUENCE_MASK;
    }
  }

  /** How many times a writer was closed of which everything was received. */
  get closings(): number {
    if (!this.#isClosed && this.#hasVisitedAll) {
      this.#closings = this.#seat.countClosings() ?? this.#closings;
    }
    return this.#closings;
  }

  /** Whether everything that was published was received, and no writer is open. */
  get isEnded(): boolean {
    return !this.#isClosed && this.#hasVisitedAll && this.#seat.isEnded();
  }

  get #hasVisitedAll(): boolean {
    return this.#writer === NO_WRITER && (this.#writers | this.#unfinished) === 0;
  }

  /**
   * Takes the writers that have published; false if there are none.
   *
   * @throws {ClosedError} If it was closed.
   */
  poll(): boolean {
    if (this.#writer !== NO_WRITER || this.#writers !== 0) return true;
    if (this.#isClosed) throw new ClosedError("Cannot receive as the flusher is closed");
    // Takes all: pairs with the `or` of threads that publish.
    const flushed = Atomics.exchange(this.#words, FLUSHED, 0) & ~SLEEPING | this.#unfinished;
    this.#unfinished = 0;
    if (flushed !== 0) {
      if ((flushed & ABANDONING) !== 0) this.#seat.findAbandoned();
      this.#writers = flushed & ~ABANDONING;
      return this.#writers !== 0;
    }
    // Writers may wait for buffers that this thread has released, and keeps cached.
    this.#pool.returnCached();
    return false;
  }

  /** As {@link FlushRuns.poll}; if there is nothing, marks that the flusher may sleep. */
  pollOrMark(): boolean {
    if (this.poll()) return true;
    // Pairs with the `or` of a thread that publishes: it finds our mark, or we find its bits.
    return Atomics.compareExchange(this.#words, FLUSHED, 0, SLEEPING) > 0 && this.poll();
  }

  /**
   * Goes on to the next run, and releases the buffer of the present one. In each round a writer has
   * one segment, so that none waits for another that never pauses.
   */
  next(): boolean {
    if (this.buffer !== NO_BUFFER) this.#finishRun();
    for (;;) {
      if (this.#writer === NO_WRITER) {
        const writers = this.#writers;
        if (writers === 0) {
          // The next round, with writers that have published meanwhile.
          if (this.#unfinished === 0 || !this.poll()) return false;
          continue;
        }
        this.#writer = 31 - Math.clz32(writers & -writers);
        this.#writers = writers & (writers - 1);
        this.#isExhausted = false;
      }
      if (this.#findInWriter()) return true;
      this.#writer = NO_WRITER;
    }
  }

  /** Takes a reference to the buffer of the present run, which this thread is to release. */
  retain(): void {
    if (this.buffer === NO_BUFFER) {
      throw new Error("Cannot make a packet as there is no present run");
    }
    const { buffer } = this;
    const ticket = this.#isOwned ? this.#layout.ownedTicket(buffer) : this.#segment + TICKET;
    this.#seat.retain(buffer, ticket);
  }

  /**
   * Lets another thread become the flusher, which continues where this one is.
   *
   * @param isPending Whether the present run was not received, so that the next flusher is to find
   * it.
   */
  close(isPending: boolean): void {
    if (this.#isClosed) return;
    // A thread that has left the pool cannot adopt a buffer: the next flusher gets that run.
    const isStuck = this.#isOwned && this.#pool.hasLeft;
    if (this.buffer !== NO_BUFFER && !isPending && !isStuck) this.#finishRun();
    if (!this.#pool.hasLeft) this.#seat.detachKept();
    this.#isClosed = true;
    this.buffer = NO_BUFFER;
    this.length = this.messageCount = 0;
    const present = this.#writer === NO_WRITER ? 0 : 1 << this.#writer;
    this.#seat.leave(this.#writers | this.#unfinished | present);
    this.#writer = NO_WRITER;
    this.#writers = this.#unfinished = 0;
  }

  /** Notes that the present run was received. */
  #finishRun(): void {
    const { buffer } = this;
    this.buffer = NO_BUFFER;
    this.length = this.messageCount = 0;
    if (!this.#isOwned) {
      this.#words[this.#received] = this.#slot;
      return;
    }
    const isOurs = this.#seat.adopt(buffer, this.#words[this.#layout.ownedTicket(buffer)]!);
    this.#words[this.#received] = this.#slot;
    if (isOurs) this.#pool.release(buffer);
  }

  /** Finds the next run of the present writer, in its present segment. */
  #findInWriter(): boolean {
    const words = this.#words;
    const layout = this.#layout;
    const writer = this.#writer;
    const base = layout.writer(writer);
    for (;;) {
      const sequence = this.#sequences[writer]!;
      if (!this.#isOpened(writer, base, sequence)) {
        if (this.#seat.isAbandoned(writer)) {
          this.#seat.free(writer, this.#latest[writer]!, sequence);
        }
        return false;
      }
      const segment = layout.segment(base, sequence);
      const buffer = words[segment + BUFFER]!;
      this.#received = base + RECEIVED + (sequence & 1);
      this.#segment = segment;
      if (!this.#isExhausted) {
        // Pairs with the operation that has closed the segment.
        this.#reserved = Atomics.load(words, segment + RESERVED);
        if (this.#gather(writer, buffer, this.#countOf(segment))) {
          this.writerId = words[segment + ID]!;
          return true;
        }
      }
      this.#isExhausted = false;
      const isLast = this.#reserved >= 0 && !this.#seat.isAbandoned(writer);
      const slot = words[this.#received]!;
      const count = this.#countOf(segment);
      if (!isLast && slot === count) {
        this.#consume(writer, base, sequence, buffer);
        this.#unfinished |= 1 << writer;
        return false;
      }
      if (words[segment + IS_SHARED] === 0 || !this.#stall(buffer, slot, count)) return false;
    }
  }

  /** Whether the segment `sequence` of a writer was opened. */
  #isOpened(writer: number, base: number, sequence: number): boolean {
    // Numbers of segments wrap.
    if ((this.#latest[writer]! - sequence) << CURRENT_SHIFT >= 0) return true;
    // Pairs with the opening of the segments: their words are readable.
    const latest = Atomics.load(this.#words, base + CURRENT) >>> CURRENT_SHIFT;
    this.#latest[writer] = latest;
    return (latest - sequence) << CURRENT_SHIFT >= 0;
  }

  /** How many messages the segment has, or may have. */
  #countOf(segment: number): number {
    const reserved = this.#reserved;
    const isShared = this.#words[segment + IS_SHARED] !== 0;
    // Only a local writer itself knows what is reserved in its open segment.
    return reserved < 0 || isShared
      ? (reserved & ~CLOSED) >>> this.#layout.bytesBits
      : this.#layout.messageCount;
  }

  /** Makes a run of the messages that have ended and lie end to end, among the first `count`. */
  #gather(writer: number, buffer: number, count: number): boolean {
    const words = this.#words;
    const table = this.#layout.table(buffer);
    const entries = table + this.#layout.marksWords;
    const counts = words[this.#segment + IS_SHARED] === 0 ? table + this.#countsOffset : 0;
    const skipsOpen = this.#seat.isAbandoned(writer);
    const first = words[this.#received]!;
    let slot = first;
    let marks = 0;
    let begin = -1;
    let end = -1;
    let messages = 0;
    this.#isOwned = false;
    this.#isExhausted = true;
    for (; slot < count; slot++) {
      // Pairs with the operations that marked the messages.
      if (slot === first || (slot & MASK) === 0) {
        marks = Atomics.load(words, table + (slot >> SHIFT));
      }
      if ((marks & 1 << (slot & MASK)) === 0) {
        if (skipsOpen) continue;
        break;
      }
      const length = words[entries + 2 * slot + 1]!;
      if (length < 0) continue;
      const offset = words[entries + 2 * slot]!;
      if (messages === 0) begin = end = offset;
      else if (offset !== end) {
        this.#isExhausted = false;
        break;
      }
      end += length;
      messages += counts === 0 ? 1 : words[counts + slot]!;
      if (offset < 0) {
        this.#isExhausted = false;
        this.#isOwned = true;
        slot++;
        break;
      }
    }
    if (messages === 0) {
      words[this.#received] = slot;
      return false;
    }
    this.#slot = slot;
    this.messageCount = messages;
    this.length = end - begin;
    this.buffer = this.#isOwned ? -1 - begin : buffer;
    this.offset = this.#pool.offsetOf(this.buffer) + (this.#isOwned ? 0 : begin);
    return true;
  }

  /** Releases the buffer of a closed segment, all of whose messages were received. */
  #consume(writer: number, base: number, sequence: number, buffer: number): void {
    const words = this.#words;
    assertState(words[this.#segment + BUFFER] === buffer, "the buffer of a segment not to change");
    const following = (sequence + 1) & SEQUENCE_MASK;
    const isOurs = this.#seat.adopt(buffer, words[this.#segment + TICKET]!);
    if (this.#seat.isAbandoned(writer)) {
      // The next writer in this place must find it closed.
      Atomics.store(words, this.#segment + RESERVED, CLOSED);
    }
    words[base + RECEIVED + (following & 1)] = 0;
    this.#sequences[writer] = following;
    // After our last look at the segment; pairs with the load of a thread that opens one in its
    // place.
    Atomics.store(words, base + CONSUMED, following);
    if (isOurs) this.#pool.release(buffer);
  }

  /**
   * The message at `slot` is open. If others behind it have ended, and may have been published, the
   * thread that ends it must publish it.
   *
   * @returns Whether it has ended meanwhile.
   */
  #stall(buffer: number, slot: number, count: number): boolean {
    const words = this.#words;
    const table = this.#layout.table(buffer);
    if (slot >= count) return false;
    if (this.#reserved >= 0 && !this.#hasEndedBehind(table, slot, count)) return false;
    // Pairs with the `or` that ends the message: either it finds this, or we find its mark.
    const marks = Atomics.or(words, table + (slot >> SHIFT), STALLED);
    return (marks & 1 << (slot & MASK)) !== 0;
  }

  /** Whether any message after `slot` has ended. */
  #hasEndedBehind(table: number, slot: number, count: number): boolean {
    for (let first = slot & ~MASK; first < count; first += MASK + 1) {
      const marks = Atomics.load(this.#words, table + (first >> SHIFT)) & MARKS;
      const behind = first > slot ? marks : marks >> ((slot & MASK) + 1);
      if (behind !== 0) return true;
    }
    return false;
  }
}
