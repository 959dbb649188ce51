/**
 * The writer that several threads share: each claims and ends a message by one read-modify-write.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { ReclaimedError } from "../memory/errors.ts";
import { LAYOUT_VERSION } from "../memory/handle.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { type BufferSource, NO_BUFFER } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import {
  ABANDONED,
  ABORTED,
  BUFFER,
  CLOSED,
  CLOSING,
  type FlushQueueLayout,
  HOLDER_MASK,
  IDENTITY,
  RESERVED,
  SEGMENTS,
  SEQUENCE_MASK,
  SHARED,
  STALLED,
  SWITCHING,
  USE,
  WRITER_KIND,
} from "./layout.ts";
import { OpenReservations } from "./open_reservations.ts";
import { PacketCopies } from "./packet_copies.ts";
import { RoomWaiters } from "./room_waiters.ts";
import { SegmentSwitch } from "./segment_switch.ts";
import { SegmentTable } from "./segment_table.ts";
import type { DirtyWriter, ThreadQueue } from "./thread_queue.ts";
import { checkLength, closedError, committedLength, Writer, type WriterHandle } from "./writer.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const STALLED_BIT = STALLED;
const RESERVED_WORD = RESERVED;
const BUFFER_WORD = BUFFER;

/** There is no room in the present segment. */
const FULL = -1;

/** One thread's part in a writer that several threads share. */
export class SharedWriter extends Writer implements DirtyWriter {
  /** The writer's number in the queue. */
  readonly index: number;
  /** Whether it has something to publish; maintained by the queue. */
  isDirty = false;
  readonly #queue: ThreadQueue;
  readonly #pool: BufferSource;
  readonly #layout: FlushQueueLayout;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #id: number;
  readonly #segments: SegmentTable;
  readonly #open = new OpenReservations();
  readonly #switch: SegmentSwitch;
  readonly #waiters: RoomWaiters;
  readonly #packets: PacketCopies;
  /** Messages longer than this get a buffer of their own. */
  readonly #half: number;
  readonly #stride: number;
  readonly #slotLimit: number;
  /** How many bits of {@link RESERVED} count bytes. */
  readonly #bytesBits: number;
  /** The bits of {@link RESERVED} that count bytes. */
  readonly #bytesMask: number;

  /** The offset of the latest reservation, if it is open; -1 otherwise. */
  #latest = -1;
  /** The bytes of the latest reservation. */
  #latestLength = 0;
  /** The buffer of the latest reservation. */
  #latestBuffer = NO_BUFFER;
  /** The slot of the latest reservation. */
  #latestSlot = 0;
  /** The number of the segment that this thread claims from. */
  #sequence = -1;
  /** The first word of that segment. */
  #segment: number;
  /** Its {@link RESERVED} at the last look; negative if the segment is closed. */
  #reserved = CLOSED;
  #isClosed = false;

  /** Made by the queue, which has counted this thread. */
  constructor(queue: ThreadQueue, index: number, id: number) {
    super(queue.pool);
    const { layout, pool, words } = queue;
    this.index = index;
    this.#queue = queue;
    this.#pool = pool;
    this.#layout = layout;
    this.#words = words;
    this.#id = id;
    this.#segments = new SegmentTable(queue, index, id);
    this.#base = this.#segments.base;
    this.#half = this.#segments.half;
    this.#stride = this.#segments.stride;
    this.#slotLimit = this.#segments.slotLimit;
    this.#bytesBits = layout.bytesBits;
    this.#bytesMask = (1 << layout.bytesBits) - 1;
    this.#segment = this.#base + SEGMENTS;
    this.#waiters = new RoomWaiters(pool);
    this.#packets = new PacketCopies(pool);
    this.#switch = new SegmentSwitch(queue, this.#base);
  }

  override get handle(): WriterHandle {
    const queue = this.#words[IDENTITY]!;
    return {
      kind: WRITER_KIND,
      version: LAYOUT_VERSION,
      queue,
      index: this.index,
      id: this.#id,
    };
  }

  override get openCount(): number {
    return this.#open.count + (this.#latest < 0 ? 0 : 1);
  }

  override claim(length: number, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : this.#waitToClaim(length, options);
  }

  override tryClaim(length: number): number {
    if (length >>> 0 === length && length - 1 < this.#half && length !== 0) {
      const offset = this.#claimHere(length);
      if (offset >= 0) return offset;
    }
    return this.#tryClaimSlowly(length);
  }

  override async claimAsync(length: number, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    const offset = this.tryClaim(length);
    return offset >= 0 ? offset : await this.#waitToClaimAsync(length, options);
  }

  override commit(offset: number, length?: number): void {
    if (offset === this.#latest && offset >= 0) {
      const claimed = this.#latestLength;
      this.#endLatest(length === undefined ? claimed : committedLength(length, claimed));
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
    if (offset === this.#latest && offset >= 0) return this.#endLatest(ABORTED);
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
    if (this.#latest >= 0) this.#endLatest(ABORTED);
    while (this.#open.count > 0) this.abort(this.#open.offsets[this.#open.count - 1]!);
    this.#isClosed = true;
    this.#packets.close();
    this.#reserved = CLOSED;
    const holder = Atomics.load(this.#words, this.#base + USE) & HOLDER_MASK;
    if (holder <= SHARED || holder === ABANDONED) {
      throw new ReclaimedError(
        `Cannot close shared writer ${this.index} as another thread has reclaimed it`,
      );
    }
    const use = Atomics.sub(this.#words, this.#base + USE, 1);
    const isLast = (use & HOLDER_MASK) === SHARED + 1;
    if (isLast) this.#closeLast();
    else if (this.#switch.isOurs) this.#endSwitch(this.#sequence);
    this.#switch.wakeOwnTasks();
    this.#queue.publish();
    if (isLast) this.#countClosing(use - 1);
  }

  /** Nothing to do: each message is marked when it ends. */
  markEnded(): void {}

  /** Claims room in the present segment; {@link FULL} if there is none. */
  #claimHere(length: number): number {
    const words = this.#words;
    const bits = this.#bytesBits;
    let reserved = this.#reserved;
    for (;;) {
      const used = reserved & this.#bytesMask;
      if (
        reserved < 0 || used + length > this.maxMessageBytes || reserved >>> bits >= this.#slotLimit
      ) {
        this.#reserved = reserved;
        return FULL;
      }
      const next = reserved + length + (1 << bits);
      // Pairs with the opening of the segment. If the place in the ring was opened again meanwhile,
      // and has the same count, then this claims from the new segment.
      const seen = Atomics.compareExchange(words, this.#segment + RESERVED_WORD, reserved, next);
      if (seen === reserved) {
        this.#reserved = next;
        const buffer = words[this.#segment + BUFFER_WORD]!;
        return this.#noteLatest(buffer, used, length, reserved >>> bits);
      }
      reserved = seen;
    }
  }

  /** Notes a reservation as the latest; returns its offset. */
  #noteLatest(buffer: number, offset: number, length: number, slot: number): number {
    if (this.#latest >= 0) this.#spillLatest();
    this.#latestLength = length;
    this.#latestBuffer = buffer;
    this.#latestSlot = slot;
    return this.#latest = buffer * this.#stride + offset;
  }

  /** Moves the latest reservation, which there is, to the other open ones. */
  #spillLatest(): void {
    const [buffer, slot] = [this.#latestBuffer, this.#latestSlot];
    this.#open.add(this.#latest, this.#latestLength, buffer, slot, NO_BUFFER, 0);
    this.#latest = -1;
  }

  /** Ends the latest reservation with so many bytes, or {@link ABORTED}. */
  #endLatest(length: number): void {
    const buffer = this.#latestBuffer;
    const offset = this.#latest - buffer * this.#stride;
    this.#latest = -1;
    this.#mark(buffer, this.#latestSlot, offset, length);
  }

  /** Ends an open reservation with so many bytes, or {@link ABORTED}. */
  #end(row: number, length: number): void {
    const open = this.#open;
    const buffer = open.buffers[row]!;
    const slot = open.slots[row]!;
    // Before the reservation has ended: if this throws, it is still open, and can be aborted.
    const offset = this.#segments.entryOffset(open, row, length);
    open.remove(row);
    this.#mark(buffer, slot, offset, length);
  }

  /** Marks a message that has ended, in the segment in `buffer`. */
  #mark(buffer: number, slot: number, offset: number, length: number): void {
    const table = this.#segments.tableOf(buffer);
    this.#segments.writeEntry(table, slot, offset, length);
    if (!this.isDirty) this.#queue.markDirty(this);
    // Either the flusher has marked before that others wait behind this message, which is found
    // here, or the flusher finds the message.
    if ((this.#segments.publishMark(table, slot) & STALLED_BIT) !== 0) this.#queue.publish();
  }

  /** Claims from the latest segment, with a buffer of its own for a long message. */
  #claimAnywhere(length: number): number {
    if (this.#isClosed) throw closedError("claim");
    for (;;) {
      if (length <= this.#half) {
        const offset = this.#claimHere(length);
        if (offset >= 0) return offset;
      } else if (this.#reserved >= 0) {
        const buffer = this.#pool.tryAcquire();
        if (buffer >= 0) {
          if (this.#claimSlot(length, buffer)) return buffer * this.#stride;
          this.#pool.release(buffer);
        }
      }
      if (!this.#enterLatest()) return FULL;
    }
  }

  /** Claims a slot of the present segment for a message whose bytes lie in `buffer`. */
  #claimSlot(length: number, buffer: number): boolean {
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
        const offset = buffer * this.#stride;
        this.#open.add(offset, length, segmentBuffer, reserved >>> bits, buffer, 0);
        return true;
      }
      reserved = seen;
    }
  }

  /** Goes on to the latest segment; false if this thread is there already. */
  #enterLatest(): boolean {
    const sequence = this.#switch.latest;
    if (sequence === this.#sequence) return false;
    this.#sequence = sequence;
    this.#segment = this.#layout.segment(this.#base, sequence);
    this.#reserved = Atomics.load(this.#words, this.#segment + RESERVED);
    return true;
  }

  /** Begins to switch to the next segment; as {@link SegmentSwitch.begin}. */
  #beginSwitch(): number | undefined {
    const value = this.#switch.begin(this.#sequence);
    // The thread that switches may be waiting for the buffers that this one keeps.
    if (value !== undefined && (value & SWITCHING) !== 0) this.#pool.returnCached();
    return value;
  }

  /** Ends the switch that this thread began, with `sequence` as the latest segment. */
  #endSwitch(sequence: number): void {
    this.#waiters.wakeAll();
    this.#switch.end(sequence);
  }

  /** Claims a message that does not fit, or needs a buffer, without waiting. */
  #tryClaimSlowly(length: number): number {
    checkLength(length, this.maxMessageBytes);
    const offset = this.#claimAnywhere(length);
    if (offset >= 0 || this.#switch.isOurs || this.#beginSwitch() !== undefined) return offset;
    return this.#switchTo(this.#acquireToSwitch({ timeoutMs: 0 }), length);
  }

  /** Claims a message, blocking until there is room; -1 if the time is over. */
  #waitToClaim(length: number, options: WaitOptions | undefined): number {
    const deadline = new Deadline(options);
    this.#queue.publish();
    let offset = FULL;
    const attempt = (): number | undefined => {
      if ((offset = this.#claimAnywhere(length)) >= 0) return undefined;
      return this.#switch.isOurs ? undefined : this.#beginSwitch();
    };
    if (!this.#switch.sleepUntil(attempt, options)) return -1;
    if (offset >= 0) return offset;
    return this.#switchTo(this.#acquireToSwitch({ timeoutMs: deadline.remainingMs }), length);
  }

  /** As {@link SharedWriter.#waitToClaim}, without blocking. */
  async #waitToClaimAsync(length: number, options: AsyncWaitOptions | undefined): Promise<number> {
    const deadline = new Deadline(options);
    const signal = options?.signal;
    this.#queue.publish();
    for (;;) {
      let offset = FULL;
      const attempt = (): number | undefined =>
        (offset = this.#claimAnywhere(length)) >= 0 ? undefined : this.#beginSwitch();
      const rest = { signal, timeoutMs: deadline.remainingMs };
      if (!await this.#switch.sleepUntilAsync(attempt, rest)) return -1;
      if (offset >= 0) return offset;
      this.#closeForBuffers();
      const sequence = this.#sequence;
      let buffer = NO_BUFFER;
      try {
        buffer = await this.#waiters.acquireAsync(signal, deadline);
      } catch (error) {
        if (this.#switch.isOurs) this.#endSwitch(this.#sequence);
        throw error;
      }
      // A blocking call of this thread, or its closing, may have ended the switch meanwhile.
      if (this.#switch.isFrom(sequence)) return this.#switchTo(buffer, length);
      if (buffer >= 0) this.#pool.release(buffer);
      else if (buffer === NO_BUFFER) return -1;
    }
  }

  /**
   * Acquires a buffer for the switch that this thread began; -1 if the time is over. Whatever it
   * throws, the switch has ended, and another thread can begin one.
   */
  #acquireToSwitch(options: WaitOptions): number {
    try {
      const buffer = this.#pool.tryAcquire();
      if (buffer >= 0) return buffer;
      this.#closeForBuffers();
      return options.timeoutMs === 0 ? -1 : this.#pool.acquire(options);
    } catch (error) {
      this.#endSwitch(this.#sequence);
      throw error;
    }
  }

  /**
   * The pool is empty: lets the flusher return every buffer that it can, even that of the present
   * segment, which might otherwise never be closed. Only the thread that switches may do this.
   */
  #closeForBuffers(): void {
    Atomics.or(this.#words, this.#segment + RESERVED, CLOSED);
    this.#reserved = CLOSED;
    if (!this.isDirty) this.#queue.markDirty(this);
    this.#queue.publish();
  }

  /**
   * Opens the next segment in `buffer`, with a first message; without a buffer, ends the switch.
   */
  #switchTo(buffer: number, length: number): number {
    if (buffer < 0) {
      this.#endSwitch(this.#sequence);
      return -1;
    }
    // Every claim from the segment before is counted in this word, and none can follow.
    Atomics.or(this.#words, this.#segment + RESERVED, CLOSED);
    const sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    const reserved = length + (1 << this.#bytesBits);
    this.#segment = this.#segments.openSegment(sequence, buffer, true, reserved);
    this.#sequence = sequence;
    this.#reserved = reserved;
    this.#endSwitch(sequence);
    // The flusher must learn that the segment before was closed.
    if (!this.isDirty) this.#queue.markDirty(this);
    // A thread that found the segment through its place in the ring may have published before the
    // exchange, when the flusher could not find it. Pairs with the compareExchange of its claim.
    if (Atomics.load(this.#words, this.#segment + RESERVED) !== reserved) {
      this.#queue.announce(1 << this.index);
    }
    return this.#noteLatest(buffer, 0, length, 0);
  }

  /**
   * Closes the segment after the last thread has left; one that attaches meanwhile opens another.
   */
  #closeLast(): void {
    while (this.#enterLatest());
    // A thread that is about to open the next segment closes this one.
    if (!this.#switch.isOurs && this.#beginSwitch() !== undefined) return;
    const before = Atomics.or(this.#words, this.#segment + RESERVED, CLOSED);
    this.#endSwitch(this.#sequence);
    if (before >= 0 && !this.isDirty) this.#queue.markDirty(this);
  }

  /**
   * Counts that the writer was closed by its last thread, unless another has attached meanwhile.
   */
  #countClosing(use: number): void {
    // Everything is published. Pairs with the flusher's look at the closings.
    Atomics.compareExchange(this.#words, this.#base + USE, use, use + CLOSING);
    // After the closing: the flusher may have looked before, and sleep.
    this.#queue.announceAndWake(1 << this.index);
  }
}
