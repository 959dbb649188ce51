/**
 * The writer that one thread has to itself. It joins messages that lie end to end into *runs*, and
 * marks whole runs when it publishes; so a message costs no atomic operation, and no slot in the
 * table.
 *
 * The present segment:
 *
 *     | ended, in the table ... | run: ended, not yet in the table | latest | free ...
 *                               runStart                                    next       limit
 *
 * *Latest* is the reservation that was claimed last, if it is open and lies at the end. A run goes
 * to the table when it is published, and when something else needs the room behind it: a second
 * open reservation, or a message with a buffer of its own.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { ReclaimedError } from "../memory/errors.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { type BufferSource, NO_BUFFER } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import {
  ABORTED,
  CLOSED,
  CLOSING,
  CURRENT,
  CURRENT_SHIFT,
  type FlushQueueLayout,
  FREE,
  HOLDER_MASK,
  MARKS_MASK,
  MARKS_SHIFT,
  RESERVED,
  SEQUENCE_MASK,
  USE,
} from "./layout.ts";
import { OpenReservations } from "./open_reservations.ts";
import { PacketCopies } from "./packet_copies.ts";
import { type RoomMaker, RoomWaiters } from "./room_waiters.ts";
import { SegmentTable } from "./segment_table.ts";
import type { DirtyWriter, ThreadQueue } from "./thread_queue.ts";
import {
  checkLength,
  closedError,
  committedLength,
  notSharedError,
  Writer,
  type WriterHandle,
} from "./writer.ts";

/**
 * The most slots that one claim may need: its own, that of the latest reservation, and of the run.
 */
const MAX_SLOTS_PER_CLAIM = 3;

/** The writer that one thread has to itself. */
export class LocalWriter extends Writer implements DirtyWriter, RoomMaker {
  /** The writer's number in the queue. */
  readonly index: number;
  /** Whether it has something to publish; maintained by the queue. */
  isDirty = false;
  readonly #queue: ThreadQueue;
  readonly #pool: BufferSource;
  readonly #layout: FlushQueueLayout;
  readonly #words: Int32Array;
  readonly #segments: SegmentTable;
  readonly #open = new OpenReservations();
  readonly #waiters: RoomWaiters;
  readonly #packets: PacketCopies;
  /** Messages longer than this get a buffer of their own. */
  readonly #half: number;
  /** While at most so many slots are taken, the next claim certainly has slots. */
  readonly #safeSlotLimit: number;
  /** How many slots were taken, in all segments. */
  #slotsTaken = 0;

  /** The offset of the latest reservation; -1 if there is none. */
  #latest = -1;
  /** The bytes of the latest reservation. */
  #latestLength = 0;
  /** The number of the present segment. */
  #sequence: number;
  /** The buffer of the present segment; NO_BUFFER before the first and at the end. */
  #buffer = NO_BUFFER;
  /** The table of that buffer. */
  #table = 0;
  /** The offset of the next message in the bytes of the pool. */
  #next = 0;
  /** The end of the buffer in the bytes of the pool; less than `#next` if there is none. */
  #limit = -1;
  /** How many slots of the table are taken. */
  #slot = 0;
  /** The offset of the run in the bytes of the pool. */
  #runStart = 0;
  /** How many messages the run has. */
  #runCount = 0;
  /** The marks of the segment; those in shared memory may lack some. */
  readonly #marks: Int32Array;
  /** The first word of marks that shared memory lacks. */
  #publishFrom = 0;
  /** Whether a message was published while one before it was open. */
  #isStalled = false;
  #isClosed = false;

  /** Made by the queue, which has taken the place `index` for it. */
  constructor(queue: ThreadQueue, index: number, id: number) {
    super(queue.pool);
    const { layout, pool, words } = queue;
    this.index = index;
    this.#queue = queue;
    this.#pool = pool;
    this.#layout = layout;
    this.#words = words;
    this.#segments = new SegmentTable(queue, index, id);
    this.#waiters = new RoomWaiters(pool);
    this.#packets = new PacketCopies(pool);
    this.#half = this.#segments.half;
    this.#safeSlotLimit = layout.messageCount - MAX_SLOTS_PER_CLAIM;
    this.#marks = new Int32Array(layout.marksWords);
    this.#sequence = Atomics.load(words, this.#segments.base + CURRENT) >>> CURRENT_SHIFT;
  }

  override get handle(): WriterHandle {
    throw notSharedError();
  }

  override get openCount(): number {
    return this.#open.count + (this.#latest < 0 ? 0 : 1);
  }

  override claim(length: number, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : this.#waiters.claim(this, length, options);
  }

  override tryClaim(length: number): number {
    const offset = this.#next;
    if (
      length >>> 0 === length && length - 1 < this.#half && length !== 0 &&
      offset + length <= this.#limit && this.#slot <= this.#safeSlotLimit
    ) return this.#claimNext(length);
    return this.#tryClaimSlowly(length);
  }

  override async claimAsync(length: number, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : await this.#waiters.claimAsync(this, length, options);
  }

  override commit(offset: number, length?: number): void {
    if (offset === this.#latest && offset >= 0) {
      const claimed = this.#latestLength;
      const size = length === undefined ? claimed : committedLength(length, claimed);
      if (this.#runCount++ === 0) this.#runStart = offset;
      this.#latest = -1;
      this.#next = offset + size;
      if (!this.isDirty) this.#queue.markDirty(this);
      if (this.#isStalled) this.#queue.publish();
      return;
    }
    const row = this.#open.find("commit", offset);
    this.#end(row, committedLength(length, this.#open.lengths[row]!));
  }

  override commitPacket(offset: number, length?: number): Packet {
    const claimed = offset === this.#latest && offset >= 0
      ? this.#latestLength
      : this.#open.lengths[this.#open.find("commit", offset)]!;
    const size = committedLength(length, claimed);
    const packet = this.#packets.copy(offset, size);
    this.commit(offset, size);
    return packet;
  }

  override abort(offset: number): void {
    if (offset === this.#latest && offset >= 0) {
      this.#next = offset;
      this.#latest = -1;
      return;
    }
    const row = this.#open.find("abort", offset);
    const owned = this.#open.owned[row]!;
    // The buffers of a thread that has left the pool were all released.
    if (owned !== NO_BUFFER && !this.#pool.hasLeft) this.#pool.release(owned);
    this.#end(row, ABORTED);
  }

  override publish(): void {
    this.#queue.publish();
  }

  override close(): void {
    if (this.#isClosed) return;
    if (this.#latest >= 0) this.abort(this.#latest);
    while (this.#open.count > 0) this.abort(this.#open.offsets[this.#open.count - 1]!);
    this.#isClosed = true;
    this.#packets.close();
    this.#closeSegment();
    this.#waiters.wakeAll();
    this.#queue.publish();
    // Everything is published. Pairs with the flusher's look at the closings, and with the
    // compareExchange of the next writer in this place.
    const at = this.#segments.base + USE;
    const use = Atomics.load(this.#words, at);
    if ((use & HOLDER_MASK) !== 1 + this.#pool.thread) {
      throw new ReclaimedError(
        `Cannot close writer ${this.index} of this thread as another thread has reclaimed it`,
      );
    }
    Atomics.store(this.#words, at, (use & ~HOLDER_MASK) + CLOSING | FREE);
    // After the closing: the flusher may have looked before, and sleep.
    this.#queue.announceAndWake(1 << this.index);
  }

  /** Whether a message needs no buffer, or the writer is closed. */
  hasRoom(length: number): boolean {
    return this.#isClosed || this.#fits(length);
  }

  /** Claims room in a new buffer, which a long message has to itself. */
  claimIn(buffer: number, length: number): number {
    const offset = buffer * this.#segments.stride;
    if (length > this.#half && this.#hasSlots()) {
      if (this.#latest >= 0) this.#spillLatest();
      this.#sealRun();
      const ordinal = this.#slotsTaken;
      this.#open.add(offset, length, this.#buffer, this.#takeSlot(), buffer, ordinal);
      return offset;
    }
    this.#openSegment(buffer);
    this.#next = offset + length;
    this.#latestLength = length;
    return this.#latest = offset;
  }

  /** Marks in shared memory all messages of the present segment that have ended. */
  markEnded(): void {
    this.#sealRun();
    const words = this.#words;
    const marks = this.#marks;
    const table = this.#table;
    const end = (this.#slot + MARKS_MASK) >> MARKS_SHIFT;
    for (let i = this.#publishFrom; i < end; i++) {
      // Publishes the messages; pairs with the flusher's load of the marks.
      Atomics.store(words, table + i, marks[i]!);
    }
    this.#publishFrom = this.#slot >> MARKS_SHIFT;
    this.#isStalled = this.#open.count > 0 && this.#open.hasEndedBehind(this.#slotsTaken);
  }

  /** Claims the next bytes of the present segment, which has room. */
  #claimNext(length: number): number {
    if (this.#latest >= 0) this.#spillLatest();
    const offset = this.#next;
    this.#next = offset + length;
    this.#latestLength = length;
    return this.#latest = offset;
  }

  /** Claims room that may need a buffer, without waiting. */
  #tryClaimSlowly(length: number): number {
    if (this.#isClosed) throw closedError("claim");
    checkLength(length, this.maxMessageBytes);
    if (this.#fits(length)) return this.#claimNext(length);
    const buffer = this.#pool.tryAcquire();
    if (buffer >= 0) return this.claimIn(buffer, length);
    // Lets the flusher return every buffer that it can, even that of the present segment, which
    // might otherwise never be closed.
    this.#closeSegment();
    this.#queue.publish();
    return -1;
  }

  /** Whether a message needs no buffer. */
  #fits(length: number): boolean {
    return length <= this.#half && this.#next + length <= this.#limit && this.#hasSlots();
  }

  /** Whether the present segment has slots for everything that may need one, and one more. */
  #hasSlots(): boolean {
    const needed = (this.#runCount > 0 ? 1 : 0) + (this.#latest < 0 ? 0 : 1) + 1;
    return this.#buffer !== NO_BUFFER && this.#slot + needed <= this.#segments.slotLimit;
  }

  #takeSlot(): number {
    this.#slotsTaken++;
    return this.#slot++;
  }

  /** Moves the latest reservation, which there is, to the other open ones. */
  #spillLatest(): void {
    this.#sealRun();
    const ordinal = this.#slotsTaken;
    const slot = this.#takeSlot();
    this.#open.add(this.#latest, this.#latestLength, this.#buffer, slot, NO_BUFFER, ordinal);
    this.#latest = -1;
  }

  /** Ends a reservation with so many bytes, or {@link ABORTED}. */
  #end(row: number, length: number): void {
    const open = this.#open;
    const slot = open.slots[row]!;
    const buffer = open.buffers[row]!;
    // Before the reservation has ended: if this throws, it is still open, and can be aborted.
    const offset = this.#segments.entryOffset(open, row, length);
    open.remove(row);
    const table = this.#segments.tableOf(buffer);
    this.#segments.writeEntry(table, slot, offset, length);
    this.#words[table + this.#layout.countsOffset + slot] = 1;
    if (buffer === this.#buffer) this.#markHere(slot);
    else this.#segments.publishMark(table, slot);
    if (!this.isDirty) this.#queue.markDirty(this);
    if (this.#isStalled) this.#queue.publish();
  }

  /** Writes the run, if there is one, into the table. */
  #sealRun(): void {
    const count = this.#runCount;
    if (count === 0) return;
    const slot = this.#takeSlot();
    const table = this.#table;
    const start = this.#runStart;
    const end = this.#latest < 0 ? this.#next : this.#latest;
    const offset = start - this.#buffer * this.#segments.stride;
    this.#segments.writeEntry(table, slot, offset, end - start);
    this.#words[table + this.#layout.countsOffset + slot] = count;
    this.#markHere(slot);
    this.#runCount = 0;
  }

  /** Marks a message of the present segment, in private. */
  #markHere(slot: number): void {
    const word = slot >> MARKS_SHIFT;
    this.#marks[word]! |= 1 << (slot & MARKS_MASK);
    if (word < this.#publishFrom) this.#publishFrom = word;
  }

  /** Closes the present segment and opens the next. */
  #openSegment(buffer: number): void {
    this.#closeSegment();
    const sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    this.#segments.openSegment(sequence, buffer, false, 0);
    // Publishes the segment; pairs with the flusher's load.
    Atomics.store(this.#words, this.#segments.base + CURRENT, sequence << CURRENT_SHIFT);
    this.#sequence = sequence;
    this.#buffer = buffer;
    this.#table = this.#segments.tableOf(buffer);
    this.#limit = buffer * this.#segments.stride + this.maxMessageBytes;
    this.#waiters.wakeAll();
  }

  /** Marks all messages of the present segment that have ended, and closes it. */
  #closeSegment(): void {
    if (this.#buffer === NO_BUFFER) return;
    if (this.#latest >= 0) this.#spillLatest();
    this.markEnded();
    this.#marks.fill(0, 0, (this.#slot + MARKS_MASK) >> MARKS_SHIFT);
    const segment = this.#layout.segment(this.#segments.base, this.#sequence);
    const reserved = CLOSED | this.#slot << this.#layout.bytesBits;
    // Pairs with the flusher's load: no message comes after these.
    Atomics.store(this.#words, segment + RESERVED, reserved);
    this.#buffer = NO_BUFFER;
    this.#limit = -1;
    this.#publishFrom = this.#slot = 0;
    // The flusher must learn that the segment was closed.
    if (!this.isDirty) this.#queue.markDirty(this);
  }
}
