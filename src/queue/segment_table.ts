/**
 * What a writer of a flush queue writes for the flusher: the words of its segments, and the entries
 * and marks of its messages.
 *
 * The words are drawn in `layout.ts`; the protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { type BufferSource, NO_BUFFER } from "../pool/buffer_source.ts";
import {
  ABORTED,
  BUFFER,
  CONSUMED,
  type FlushQueueLayout,
  ID,
  IS_SHARED,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  TICKET,
} from "./layout.ts";
import type { OpenReservations } from "./open_reservations.ts";
import type { ThreadQueue } from "./thread_queue.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** The segments of one writer, and the tables of their buffers. */
export class SegmentTable {
  /** The words of the queue. */
  readonly words: Int32Array;
  /** The first word of the writer. */
  readonly base: number;
  /** How many messages the table of a buffer has slots for. */
  readonly slotLimit: number;
  /** The bytes from one buffer to the next. */
  readonly stride: number;
  /** Messages longer than this get a buffer of their own. */
  readonly half: number;
  readonly #pool: BufferSource;
  readonly #layout: FlushQueueLayout;
  /** The table of buffer 0. */
  readonly #tables: number;
  readonly #tableWords: number;
  readonly #marksWords: number;
  /** The user's number of the writer. */
  readonly #id: number;

  /** Opens the segments of the writer at `index`. */
  constructor({ words, layout, pool }: ThreadQueue, index: number, id: number) {
    this.words = words;
    this.base = layout.writer(index);
    this.slotLimit = layout.messageCount;
    this.stride = pool.offsetOf(1);
    this.half = layout.bufferBytes >> 1;
    this.#pool = pool;
    this.#layout = layout;
    this.#tables = layout.table(0);
    this.#tableWords = layout.tableWords;
    this.#marksWords = layout.marksWords;
    this.#id = id;
  }

  /** The first word of the table of a buffer. */
  tableOf(buffer: number): number {
    return this.#tables + buffer * this.#tableWords;
  }

  /** Writes where a message lies; not to be changed once the message is marked. */
  writeEntry(table: number, slot: number, offset: number, length: number): void {
    const entry = table + this.#marksWords + 2 * slot;
    this.words[entry] = offset;
    this.words[entry + 1] = length;
  }

  /** Marks a message in shared memory; returns the word before. */
  publishMark(table: number, slot: number): number {
    // Publishes the message; pairs with the flusher's load of the marks.
    return Atomics.or(this.words, table + (slot >> SHIFT), 1 << (slot & MASK));
  }

  /**
   * The offset that the entry of an open reservation states: in the segment's buffer, or -1 - n for
   * buffer number n that the message has to itself, and that is handed to the flusher by this.
   */
  entryOffset(open: OpenReservations, row: number, length: number): number {
    const owned = open.owned[row]!;
    if (owned === NO_BUFFER) return open.offsets[row]! - open.buffers[row]! * this.stride;
    if (length !== ABORTED) {
      this.words[this.#layout.ownedTicket(owned)] = this.#pool.detachBuffer(owned);
    }
    return -1 - owned;
  }

  /**
   * Writes the words of the segment `sequence` in `buffer`, and stores what is reserved in it. The
   * buffer becomes the flusher's, which does not know of it yet.
   *
   * The buffer is detached before it is filled, so that it outlives this thread should it die.
   *
   * @returns The first word of the segment.
   */
  openSegment(sequence: number, buffer: number, isShared: boolean, reserved: number): number {
    const { words } = this;
    const segment = this.#layout.segment(this.base, sequence);
    const table = this.tableOf(buffer);
    // Pairs with the flusher's store after its last look at this place of the ring. There are at
    // least as many places as buffers, and each segment that is not consumed has one: it is free.
    Atomics.load(words, this.base + CONSUMED);
    words.fill(0, table, table + this.#marksWords);
    words[segment + BUFFER] = buffer;
    words[segment + ID] = this.#id;
    words[segment + IS_SHARED] = isShared ? 1 : 0;
    words[segment + TICKET] = this.#pool.detachBuffer(buffer);
    // Publishes the segment to a thread that finds it through its place in the ring alone.
    Atomics.store(words, segment + RESERVED, reserved);
    return segment;
  }
}
