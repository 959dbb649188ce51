/**
 * What the flusher does with the shared words: takes the writers that have flushed, and goes through
 * their segments and messages, run by run.
 *
 * It has a buffer for itself only from the end of its segment on. Until then the segment keeps the
 * ticket, so that the buffer outlives a flusher that dies.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { BufferPool } from "../pool/buffer_pool.ts";
import {
  ABANDONED,
  ABANDONING,
  BUFFER,
  CLOSED,
  CONSUMED,
  CURRENT,
  CURRENT_SHIFT,
  DIED,
  FLUSHED,
  FLUSHER,
  FREE,
  ID,
  IS_SHARED,
  MARKS,
  MARKS_MASK,
  MARKS_SHIFT,
  NOBODY,
  RECEIVED,
  RESERVED,
  SEQUENCE_MASK,
  type Shape,
  SLEEPING,
  STALLED,
  TICKET,
  USE,
} from "./layout.ts";
import { NO_BUFFER } from "./open_reservations.ts";
import type { QueueEnd } from "./thread_queue.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** {@link FlushRuns.#writer} between writers. */
const NO_WRITER = -1;

/** The runs that writers have flushed: messages that lie one after the other, of one writer. */
export class FlushRuns {
  /** The buffer of the present run, or {@link NO_BUFFER}. */
  buffer = NO_BUFFER;
  /** Where in the pool's bytes the present run begins. */
  offset = 0;
  /** How many bytes it has. */
  length = 0;
  /** How many messages it has. */
  messageCount = 0;
  /** The user's number of its writer. */
  writerId = 0;

  readonly #end: QueueEnd;
  readonly #words: Int32Array;
  readonly #shape: Shape;
  readonly #pool: BufferPool;
  readonly #countsOffset: number;
  /** By writer: the segment that is received next. */
  readonly #sequences: Int32Array;
  /** By writer: the latest segment that is known of. */
  readonly #latest: Int32Array;
  /** Whether the flusher before has died: it may have taken what comes next. */
  readonly #followsDead: boolean;
  /** A bit for each writer whose thread has died. */
  #abandoned = 0;

  /** A bit for each writer that is yet to be gone through. */
  #writers = 0;
  /** The writer that is being gone through. */
  #writer = NO_WRITER;
  /** Where the words of the segment begin that the present run is of. */
  #segment = 0;
  /** Where it stands how many messages of it were received. */
  #received = 0;
  /** How many were, once the present run is. */
  #slot = 0;
  /** What was reserved in it at the last look. */
  #reserved = 0;
  /** Whether the last look has found the end of what had ended. */
  #isExhausted = false;
  /** Whether the present run has a buffer for its own. */
  #isOwned = false;
  /** Buffers that this thread has, as they could not be sent on, and where their tickets go. */
  readonly #kept = new Map<number, number>();
  #isDisposed = false;

  /**
   * Becomes the flusher of a queue.
   *
   * @throws {Error} If the queue has one.
   */
  constructor(end: QueueEnd) {
    const { words, shape, pool } = end;
    this.#followsDead = becomeFlusher(words, pool.thread);
    this.#end = end;
    this.#words = words;
    this.#shape = shape;
    this.#pool = pool;
    this.#countsOffset = shape.countsOffset;
    this.#sequences = new Int32Array(shape.writerCount);
    this.#latest = new Int32Array(shape.writerCount);
    for (let writer = 0; writer < shape.writerCount; writer++) {
      const sequence = Atomics.load(words, shape.writer(writer) + CONSUMED);
      this.#sequences[writer] = sequence;
      this.#latest[writer] = (sequence - 1) & SEQUENCE_MASK;
    }
  }

  /**
   * Takes the writers that have flushed; says whether there are any to go through.
   *
   * @throws {Error} If it was disposed of.
   */
  poll(): boolean {
    if (this.#writer !== NO_WRITER || this.#writers !== 0) return true;
    if (this.#isDisposed) throw new Error("Cannot receive as the flusher was disposed of");
    // Takes all: pairs with the `or` of those that have flushed.
    const flushed = Atomics.exchange(this.#words, FLUSHED, 0) & ~SLEEPING;
    if (flushed !== 0) {
      if ((flushed & ABANDONING) !== 0) this.#findAbandoned();
      this.#writers = flushed & ~ABANDONING;
      return this.#writers !== 0;
    }
    // Writers may wait for the buffers that this thread has given back, and keeps for itself.
    this.#pool.returnCached();
    return false;
  }

  /** As {@link FlushRuns.poll}; if there is nothing, says that the flusher may sleep. */
  pollOrMark(): boolean {
    if (this.poll()) return true;
    // Pairs with the `or` of who flushes: it finds our mark, or we find its bits.
    return Atomics.compareExchange(this.#words, FLUSHED, 0, SLEEPING) > 0 && this.poll();
  }

  /** Goes on to the next run of what was taken, and gives back what the present one held. */
  next(): boolean {
    if (this.buffer !== NO_BUFFER) this.#settle();
    for (;;) {
      if (this.#writer === NO_WRITER) {
        const writers = this.#writers;
        if (writers === 0) return false;
        this.#writer = 31 - Math.clz32(writers & -writers);
        this.#writers = writers & (writers - 1);
        this.#isExhausted = false;
      }
      if (this.#findRun()) return true;
      this.#writer = NO_WRITER;
    }
  }

  /** Takes a reference to the present run's buffer, which this thread is to release. */
  retain(): void {
    if (this.buffer === NO_BUFFER) {
      throw new Error("Cannot make a packet as there is no present run");
    }
    const { buffer } = this;
    const ticket = this.#isOwned ? this.#shape.ownedTicket(buffer) : this.#segment + TICKET;
    if (!this.#kept.delete(buffer)) this.#pool.adoptBuffer(buffer, this.#words[ticket]!);
    let isRetained = false;
    try {
      this.#pool.retain(buffer);
      isRetained = true;
      this.#words[ticket] = this.#pool.detachBuffer(buffer);
    } catch (error) {
      if (isRetained) this.#pool.release(buffer);
      this.#kept.set(buffer, ticket);
      throw error;
    }
  }

  /** Puts back the tickets of buffers that this thread has. */
  #sendKept(): void {
    for (const [buffer, ticket] of this.#kept) {
      this.#words[ticket] = this.#pool.detachBuffer(buffer);
      this.#kept.delete(buffer);
    }
  }

  /**
   * Lets another become the flusher, who goes on where this one is.
   *
   * @param isPending Whether the present run was not received, so that the other is to find it.
   */
  dispose(isPending: boolean): void {
    if (this.#isDisposed) return;
    // A thread that has left the pool cannot take a buffer over: the next flusher gets that run.
    const isStuck = this.#isOwned && this.#pool.hasLeft;
    if (this.buffer !== NO_BUFFER && !isPending && !isStuck) this.#settle();
    if (!this.#pool.hasLeft) this.#sendKept();
    this.#isDisposed = true;
    this.buffer = NO_BUFFER;
    this.length = this.messageCount = 0;
    const present = this.#writer === NO_WRITER ? 0 : 1 << this.#writer;
    const rest = this.#writers | present | (this.#abandoned === 0 ? 0 : ABANDONING);
    if (rest !== 0) Atomics.or(this.#words, FLUSHED, rest);
    this.#writer = NO_WRITER;
    this.#writers = 0;
    // Pairs with the compareExchange of the next flusher.
    Atomics.store(this.#words, FLUSHER, this.#followsDead ? DIED : NOBODY);
  }

  /** Notes which writers were abandoned. */
  #findAbandoned(): void {
    for (let writer = 0; writer < this.#shape.writerCount; writer++) {
      // Pairs with the compareExchange of who has abandoned it.
      const use = Atomics.load(this.#words, this.#shape.writer(writer) + USE);
      if (use === ABANDONED) this.#abandoned |= 1 << writer;
    }
  }

  /** The present run was received. */
  #settle(): void {
    const { buffer } = this;
    this.buffer = NO_BUFFER;
    this.length = this.messageCount = 0;
    if (!this.#isOwned) {
      this.#words[this.#received] = this.#slot;
      return;
    }
    const isOurs = this.#receive(buffer, this.#words[this.#shape.ownedTicket(buffer)]!);
    this.#words[this.#received] = this.#slot;
    if (isOurs) this.#pool.release(buffer);
  }

  /** Takes a buffer over; says whether it was there to be taken. */
  #receive(buffer: number, ticket: number): boolean {
    if (this.#kept.delete(buffer)) return true;
    // A flusher that died may have taken it, and it is taken back from that one.
    if (this.#followsDead) return this.#pool.tryAdoptBuffer(buffer, ticket);
    this.#pool.adoptBuffer(buffer, ticket);
    return true;
  }

  /** Finds the next run of the present writer. */
  #findRun(): boolean {
    const words = this.#words;
    const shape = this.#shape;
    const writer = this.#writer;
    const base = shape.writer(writer);
    for (;;) {
      const sequence = this.#sequences[writer]!;
      if (!this.#isOpened(writer, base, sequence)) {
        if ((this.#abandoned & 1 << writer) !== 0) this.#free(writer, base, sequence);
        return false;
      }
      const segment = shape.segment(base, sequence);
      const buffer = words[segment + BUFFER]!;
      this.#received = base + RECEIVED + (sequence & 1);
      this.#segment = segment;
      if (!this.#isExhausted) {
        // Pairs with who has closed the segment.
        this.#reserved = Atomics.load(words, segment + RESERVED);
        if (this.#gather(writer, buffer, this.#countOf(segment))) {
          this.writerId = words[segment + ID]!;
          return true;
        }
      }
      this.#isExhausted = false;
      const isLast = this.#reserved >= 0 && (this.#abandoned & 1 << writer) === 0;
      const slot = words[this.#received]!;
      const count = this.#countOf(segment);
      if (!isLast && slot === count) this.#consume(writer, base, sequence, buffer);
      else if (words[segment + IS_SHARED] === 0 || !this.#stall(buffer, slot, count)) return false;
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
    // What a local writer has reserved in an open segment it alone knows.
    return reserved < 0 || isShared
      ? (reserved & ~CLOSED) >>> this.#shape.bytesBits
      : this.#shape.messageCount;
  }

  /** Makes a run of the messages that have ended and lie end to end, among the first `count`. */
  #gather(writer: number, buffer: number, count: number): boolean {
    const words = this.#words;
    const table = this.#shape.table(buffer);
    const entries = table + this.#shape.marksWords;
    const counts = words[this.#segment + IS_SHARED] === 0 ? table + this.#countsOffset : 0;
    const skipsOpen = (this.#abandoned & 1 << writer) !== 0;
    const first = words[this.#received]!;
    let slot = first;
    let marks = 0;
    let begin = -1;
    let end = -1;
    let messages = 0;
    this.#isOwned = false;
    this.#isExhausted = true;
    for (; slot < count; slot++) {
      // Pairs with who ended the messages that are marked.
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

  /** All messages of a closed segment were received: gives its buffer back. */
  #consume(writer: number, base: number, sequence: number, buffer: number): void {
    const words = this.#words;
    const following = (sequence + 1) & SEQUENCE_MASK;
    const isOurs = this.#receive(buffer, words[this.#segment + TICKET]!);
    if ((this.#abandoned & 1 << writer) !== 0) {
      // Whoever has the place next finds it so.
      Atomics.store(words, this.#segment + RESERVED, CLOSED);
    }
    words[base + RECEIVED + (following & 1)] = 0;
    this.#sequences[writer] = following;
    // After our last look at the segment; pairs with the load of who opens one in its place.
    Atomics.store(words, base + CONSUMED, following);
    if (isOurs) this.#pool.release(buffer);
  }

  /** All that an abandoned writer has left was received: makes its place free. */
  #free(writer: number, base: number, following: number): void {
    const words = this.#words;
    const segment = this.#shape.segment(base, following);
    const buffer = words[segment + BUFFER]!;
    // It may have died with a segment almost opened. If not, these are of a segment before.
    if (this.#pool.tryAdoptBuffer(buffer, words[segment + TICKET]!)) this.#pool.release(buffer);
    Atomics.store(words, segment + RESERVED, CLOSED);
    Atomics.store(words, base + CURRENT, this.#latest[writer]! << CURRENT_SHIFT);
    this.#abandoned &= ~(1 << writer);
    // Pairs with the compareExchange of who takes the place next.
    Atomics.store(words, base + USE, FREE);
  }

  /**
   * The message at `slot` is open. If others behind it have ended, and may have been flushed, whoever
   * ends it is to flush it.
   *
   * @returns Whether it has ended meanwhile.
   */
  #stall(buffer: number, slot: number, count: number): boolean {
    const words = this.#words;
    const table = this.#shape.table(buffer);
    if (slot >= count) return false;
    if (this.#reserved >= 0 && !this.#hasEndedBehind(table, slot, count)) return false;
    // Pairs with the `or` of who ends the message: either it finds this, or we find its mark.
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

/** Becomes the flusher; says whether the one before has died. */
function becomeFlusher(words: Int32Array, thread: number): boolean {
  // Pairs with the store of the one before: we see all that it did.
  const before = Atomics.compareExchange(words, FLUSHER, NOBODY, 1 + thread);
  if (before === NOBODY) return false;
  if (before === DIED && Atomics.compareExchange(words, FLUSHER, DIED, 1 + thread) === DIED) {
    return true;
  }
  throw new Error(
    "Cannot become the flusher of the queue as it has one: dispose of that one first",
  );
}
