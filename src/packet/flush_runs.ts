/**
 * What the flusher does with the shared words: takes the list of writers, and goes through their
 * segments and messages, run by run.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { Buffers } from "./buffers.ts";
import type { FlushList } from "./flush_list.ts";
import {
  BUFFER,
  CLOSED,
  CONSUMED,
  CURRENT,
  CURRENT_SHIFT,
  EMPTY,
  FLUSHER,
  HEAD,
  ID,
  IS_SHARED,
  MARKS_MASK,
  MARKS_SHIFT,
  NEXT,
  QUEUED,
  RECEIVED,
  RESERVED,
  SEGMENT_WORDS,
  SEGMENTS,
  type Shape,
  SLEEPING,
  STALLED,
  TICKET,
} from "./flush_queue_layout.ts";
import { NO_BUFFER } from "./open_reservations.ts";

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

  readonly #flushList: FlushList;
  readonly #words: Int32Array;
  readonly #shape: Shape;
  readonly #pool: Buffers;
  /** By writer: the segment that is received next. */
  readonly #sequences: Int32Array;
  /** By writer: the message of it that is received next. */
  readonly #slots: Int32Array;
  /** By writer: the buffer of that segment, if it has become ours, or {@link NO_BUFFER}. */
  readonly #held: Int32Array;

  /** 1 + the next writer of the list that was taken, or {@link EMPTY}. */
  #list = EMPTY;
  /** The writer that is being gone through. */
  #writer = NO_WRITER;
  /** The latest segment of the writer. */
  #last = 0;
  /** The buffer of the present run, if that is all that it is for: to be given back. */
  #owned = NO_BUFFER;

  /**
   * Becomes the flusher of a queue.
   *
   * @throws {Error} If the queue has one.
   */
  constructor(list: FlushList) {
    const { words, shape, pool } = list;
    // Pairs with the store in dispose: we see all that the flusher before us did.
    if (Atomics.compareExchange(words, FLUSHER, 0, 1) !== 0) {
      throw new Error(
        "Cannot become the flusher of the queue as it has one: dispose of that one first",
      );
    }
    this.#flushList = list;
    this.#words = words;
    this.#shape = shape;
    this.#pool = pool;
    this.#sequences = new Int32Array(shape.writerCount);
    this.#slots = new Int32Array(shape.writerCount);
    this.#held = new Int32Array(shape.writerCount).fill(NO_BUFFER);
    for (let writer = 0; writer < shape.writerCount; writer++) {
      const base = shape.writer(writer);
      this.#sequences[writer] = Atomics.load(words, base + CONSUMED);
      this.#slots[writer] = Atomics.load(words, base + RECEIVED);
    }
  }

  /** Takes the list of writers that have flushed; says whether there is something to go through. */
  poll(): boolean {
    if (this.#writer !== NO_WRITER || this.#list !== EMPTY) return true;
    // Takes the whole list: pairs with the compareExchange of those that linked to it.
    const head = Atomics.exchange(this.#words, HEAD, EMPTY);
    this.#list = head > EMPTY ? head : EMPTY;
    if (this.#list !== EMPTY) return true;
    // Writers may wait for the buffers that this thread has given back, and keeps for itself.
    this.#pool.flush();
    return false;
  }

  /** As {@link FlushRuns.poll}; if there is nothing, says that the flusher may sleep. */
  pollOrMark(): boolean {
    if (this.poll()) return true;
    // Pairs with the compareExchange of who links: it finds our mark, or we find its list.
    return Atomics.compareExchange(this.#words, HEAD, EMPTY, SLEEPING) > EMPTY && this.poll();
  }

  /** Goes on to the next run of what was taken, and gives back what the present one held. */
  next(): boolean {
    if (this.#owned !== NO_BUFFER) this.#giveOwnedBack();
    for (;;) {
      if (this.#writer === NO_WRITER && !this.#visitNext()) {
        this.buffer = NO_BUFFER;
        return false;
      }
      if (this.#findRun()) return true;
      this.#writer = NO_WRITER;
    }
  }

  /** Lets another become the flusher, who goes on where this one is. */
  dispose(): void {
    if (this.#owned !== NO_BUFFER) this.#giveOwnedBack();
    this.buffer = NO_BUFFER;
    const { writerCount } = this.#shape;
    for (let writer = 0; writer < writerCount; writer++) {
      const buffer = this.#held[writer]!;
      // The next flusher takes it over.
      if (buffer !== NO_BUFFER) {
        this.#words[this.#segmentAt(writer) + TICKET] = this.#pool.sendBuffer(buffer);
      }
      Atomics.store(this.#words, this.#shape.writer(writer) + RECEIVED, this.#slots[writer]!);
    }
    this.#returnList();
    // Pairs with the compareExchange of the next flusher.
    Atomics.store(this.#words, FLUSHER, 0);
  }

  /** Begins with the next writer of the list. */
  #visitNext(): boolean {
    if (this.#list === EMPTY) return false;
    const words = this.#words;
    const writer = this.#list - 1;
    const base = this.#shape.writer(writer);
    this.#writer = writer;
    this.#list = words[base + NEXT]!;
    // Before we look at the marks. Whoever ends a message from here on, and flushes it, queues the
    // writer again; pairs with its exchange, after which it overwrites the link.
    Atomics.store(words, base + QUEUED, 0);
    // Pairs with the opening of the segments: their words are readable.
    this.#last = Atomics.load(words, base + CURRENT) >>> CURRENT_SHIFT;
    return true;
  }

  /** Finds the next run of the present writer. */
  #findRun(): boolean {
    const words = this.#words;
    const shape = this.#shape;
    const writer = this.#writer;
    for (;;) {
      const sequence = this.#sequences[writer]!;
      // Numbers of segments wrap.
      if ((this.#last - sequence) << CURRENT_SHIFT < 0) return false;
      const segment = this.#segmentAt(writer);
      const buffer = words[segment + BUFFER]!;
      if (this.#held[writer] === NO_BUFFER) this.#hold(writer, buffer, words[segment + TICKET]!);
      if (this.#gather(writer, buffer)) {
        this.writerId = words[segment + ID]!;
        return true;
      }
      const slot = this.#slots[writer]!;
      const reserved = Atomics.load(words, segment + RESERVED);
      const count = (reserved & ~CLOSED) >>> shape.bytesBits;
      if (reserved < 0 && slot === count) this.#consume(writer, sequence, buffer, count);
      else if (words[segment + IS_SHARED] === 0 || !this.#stall(buffer, slot, count, reserved)) {
        return false;
      }
    }
  }

  /** Makes a run of the messages that have ended and lie one after the other. */
  #gather(writer: number, buffer: number): boolean {
    const words = this.#words;
    const table = this.#shape.table(buffer);
    const slots = table + this.#shape.marksWords;
    const limit = this.#shape.messageCount;
    let slot = this.#slots[writer]!;
    let marks = 0;
    let isLoaded = false;
    let begin = 0;
    let end = 0;
    let messages = 0;
    for (; slot < limit; slot++) {
      if (!isLoaded || (slot & MASK) === 0) {
        // Pairs with who ended the messages that are marked.
        marks = Atomics.load(words, table + (slot >> SHIFT));
        isLoaded = true;
      }
      if ((marks & 1 << (slot & MASK)) === 0) break;
      const length = words[slots + 2 * slot + 1]!;
      if (length < 0) continue;
      const offset = words[slots + 2 * slot]!;
      if (messages === 0) {
        begin = end = offset;
      } else if (offset !== end) {
        break;
      }
      messages++;
      if (offset < 0) {
        this.#slots[writer] = slot + 1;
        this.#owned = -1 - offset;
        this.#pool.receiveBuffer(this.#owned, words[this.#shape.ownedTicket(this.#owned)]!);
        this.#show(this.#owned, 0, length, 1);
        return true;
      }
      end += length;
    }
    this.#slots[writer] = slot;
    if (messages === 0) return false;
    this.#show(buffer, begin, end - begin, messages);
    return true;
  }

  #show(buffer: number, offset: number, length: number, messages: number): void {
    this.buffer = buffer;
    this.offset = this.#pool.offsetOf(buffer) + offset;
    this.length = length;
    this.messageCount = messages;
  }

  /** All messages of a closed segment were received: gives its buffer back. */
  #consume(writer: number, sequence: number, buffer: number, count: number): void {
    const words = this.#words;
    const table = this.#shape.table(buffer);
    words.fill(0, table, table + ((count + MASK) >> SHIFT));
    const following = (sequence + 1) & (-1 >>> CURRENT_SHIFT);
    this.#sequences[writer] = following;
    this.#slots[writer] = 0;
    // After our last look at the segment; pairs with the load of who opens one in its place.
    Atomics.store(words, this.#shape.writer(writer) + CONSUMED, following);
    this.#held[writer] = NO_BUFFER;
    this.#pool.release(buffer);
  }

  /** The buffer of the writer's segment becomes ours. */
  #hold(writer: number, buffer: number, ticket: number): void {
    this.#pool.receiveBuffer(buffer, ticket);
    this.#held[writer] = buffer;
  }

  /**
   * The message at `slot` is open. If others behind it have ended, and may have been flushed, whoever
   * ends it is to flush it.
   *
   * @returns Whether it has ended meanwhile.
   */
  #stall(buffer: number, slot: number, count: number, reserved: number): boolean {
    const words = this.#words;
    const table = this.#shape.table(buffer);
    const word = table + (slot >> SHIFT);
    if (slot >= count || (reserved >= 0 && !this.#hasEndedBehind(table, slot, count))) return false;
    // Pairs with the `or` of who ends the message: either it finds this, or we find its mark.
    return (Atomics.or(words, word, STALLED) & 1 << (slot & MASK)) !== 0;
  }

  /** Whether any message after `slot` has ended. */
  #hasEndedBehind(table: number, slot: number, count: number): boolean {
    for (let first = slot & ~MASK; first < count; first += MASK + 1) {
      const marks = Atomics.load(this.#words, table + (first >> SHIFT)) & (STALLED - 1);
      const behind = first > slot ? marks : marks >> ((slot & MASK) + 1);
      if (behind !== 0) return true;
    }
    return false;
  }

  /** Where the words of the writer's segment are that is received next. */
  #segmentAt(writer: number): number {
    const place = this.#sequences[writer]! & (this.#shape.segmentCount - 1);
    return this.#shape.writer(writer) + SEGMENTS + place * SEGMENT_WORDS;
  }

  #giveOwnedBack(): void {
    this.#pool.release(this.#owned);
    this.#owned = NO_BUFFER;
  }

  /** Puts writers that were taken but not gone through back into the list. */
  #returnList(): void {
    if (this.#writer !== NO_WRITER) {
      const base = this.#shape.writer(this.#writer);
      // The link is ours unless the writer has been queued again.
      if (Atomics.exchange(this.#words, base + QUEUED, 1) === 0) this.#flushList.link(this.#writer);
    }
    while (this.#list !== EMPTY) {
      const writer = this.#list - 1;
      this.#list = this.#words[this.#shape.writer(writer) + NEXT]!;
      this.#flushList.link(writer);
    }
    this.#writer = NO_WRITER;
  }
}
