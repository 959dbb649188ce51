/**
 * The flusher of a queue: takes what writers have flushed, run by run.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { SleepWord, type WaitOptions } from "../memory/sleep.ts";
import type { Packet } from "../pool/packet.ts";
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
import { type ByteSink, Drain, type Runs } from "./write_drain.ts";

// The hot path's own names, since an imported binding is loaded anew at each use.
const SHIFT = MARKS_SHIFT;
const MASK = MARKS_MASK;

/** {@link WriteFlusher.#writer} between writers. */
const NO_WRITER = -1;

/**
 * Takes the messages that the writers of a {@link FlushQueue} have flushed.
 *
 * It takes all writers that have flushed at once, and goes through their *runs*: messages of one
 * writer that lie one after the other in one buffer, together as long as they can be. A buffer goes
 * back to the pool when the flusher goes on from its last run.
 *
 * @example Run by run, without an allocation
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferSize: 4096, batchCount: 4, batchSize: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer({ id: 7 });
 * using flusher = queue.flusher();
 * for (let i = 0; i < 3; i++) writer.send(new Uint8Array([i]));
 * writer.flush();
 *
 * let sum = 0;
 * while (flusher.poll()) {
 *   while (flusher.next()) {
 *     assertEquals([flusher.writerId, flusher.messageCount], [7, 3]);
 *     const end = flusher.offset + flusher.length;
 *     for (let i = flusher.offset; i < end; i++) sum += flusher.bytes[i]!;
 *   }
 * }
 * assertEquals(sum, 3);
 * ```
 *
 * @example To a socket, or any stream
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferSize: 4096, batchCount: 4, batchSize: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer();
 * using flusher = queue.flusher();
 * for (const word of ["many ", "messages, ", "one write"]) {
 *   writer.send(new TextEncoder().encode(word));
 * }
 * writer.flush();
 *
 * const written: string[] = [];
 * const sink = new WritableStream<Uint8Array>({
 *   write: (chunk) => void written.push(new TextDecoder().decode(chunk)),
 * });
 * assertEquals(await flusher.drainTo(sink), 24);
 * assertEquals(written, ["many messages, one write"]);
 * ```
 */
export class WriteFlusher implements Disposable {
  readonly #words: Int32Array;
  readonly #shape: Shape;
  readonly #pool: Buffers;
  readonly #bytes: Uint8Array;
  readonly #head: SleepWord;
  readonly #drain = new Drain();
  /** The runs, as a drain takes them. */
  readonly #runs: Runs = {
    next: () => this.#isPending || (this.poll() && this.next()),
    length: () => this.#length,
    take: () => {
      this.#isPending = false;
      return this.take();
    },
  };
  readonly #flushList: FlushList;
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
  /** Whether the present run was neither visited nor drained yet. */
  #isPending = false;
  #isDisposed = false;

  #buffer = NO_BUFFER;
  #offset = 0;
  #length = 0;
  #messageCount = 0;
  #writerId = 0;

  /**
   * Becomes the flusher of a queue; as {@link FlushQueue.flusher}.
   *
   * @throws {Error} If the queue has one.
   */
  constructor(list: FlushList) {
    const { memory, words, shape, pool } = list;
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
    this.#bytes = pool.bytes;
    this.#head = new SleepWord(memory, words, HEAD);
    this.#sequences = new Int32Array(shape.writerCount);
    this.#slots = new Int32Array(shape.writerCount);
    this.#held = new Int32Array(shape.writerCount).fill(NO_BUFFER);
    for (let writer = 0; writer < shape.writerCount; writer++) {
      const base = shape.writer(writer);
      this.#sequences[writer] = Atomics.load(words, base + CONSUMED);
      this.#slots[writer] = Atomics.load(words, base + RECEIVED);
    }
  }

  /** The bytes of the pool. The present run is `length` bytes from `offset` on. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link WriteFlusher.bytes} the present run begins. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes of the present run. */
  get length(): number {
    return this.#length;
  }

  /** How many messages the present run has. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** The user's number of the writer of the present run. */
  get writerId(): number {
    return this.#writerId;
  }

  /** What {@link WriteFlusher.drainTo} has taken but could not write: a view, until the next drain. */
  get unwritten(): Uint8Array {
    return this.#drain.unwritten;
  }

  /**
   * Takes all that writers have flushed; {@link WriteFlusher.next} then goes through it.
   *
   * @returns Whether there is something to go through.
   */
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

  /**
   * Goes on to the next run of what was taken. The bytes of the present one may be overwritten then.
   *
   * @returns Whether there is one.
   */
  next(): boolean {
    this.#isPending = false;
    if (this.#owned !== NO_BUFFER) this.#giveOwnedBack();
    for (;;) {
      if (this.#writer === NO_WRITER && !this.#visitNext()) return false;
      if (this.#findRun()) return this.#isPending = true;
      this.#writer = NO_WRITER;
    }
  }

  /** The present run: a view that is valid until the next one. */
  take(): Uint8Array {
    return this.#bytes.subarray(this.#offset, this.#offset + this.#length);
  }

  /** The present run as a packet, which keeps its buffer from being reused. */
  takePacket(): Packet {
    this.#pool.retain(this.#buffer);
    const offset = this.#offset - this.#pool.offsetOf(this.#buffer);
    return this.#pool.packet(this.#buffer, offset, this.#length);
  }

  /**
   * Blocks until writers have flushed.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether there is something to poll.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(timeoutMs: number = Infinity): boolean {
    return this.#head.sleepUntil(this.#attempt, timeoutMs);
  }

  /**
   * As {@link WriteFlusher.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  waitAsync(options: WaitOptions = {}): Promise<boolean> {
    return this.#head.sleepUntilAsync(this.#attempt, options);
  }

  /**
   * Blocks until writers have flushed, and visits each run. A run whose visit throws is visited again
   * by the next flush.
   *
   * @param visit Is given this flusher, at the run.
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns How many bytes were visited.
   */
  flush(visit: (run: this) => void, timeoutMs?: number): number {
    return this.wait(timeoutMs) ? this.#visitAll(visit) : 0;
  }

  /**
   * As {@link WriteFlusher.flush}, without blocking.
   *
   * @throws As {@link WriteFlusher.waitAsync}.
   */
  async flushAsync(visit: (run: this) => void, options?: WaitOptions): Promise<number> {
    return await this.waitAsync(options) ? this.#visitAll(visit) : 0;
  }

  /**
   * Writes all that writers have flushed to a stream or a socket, with few writes: what lies in
   * several runs is put together. It waits for the sink before each write, and for its end.
   *
   * @param sink Where to: a `WritableStream`, or what has a `write` method, such as a `Deno.Conn`.
   * @returns How many bytes were written; 0 if nothing was flushed.
   * @throws {DrainError} If the sink fails. What it has not written is kept, as
   * {@link WriteFlusher.unwritten}, and comes first in the next drain.
   */
  async drainTo(sink: ByteSink): Promise<number> {
    return await this.#drain.all(sink, this.#runs);
  }

  /** Gives back what it holds, and lets another become the flusher. Doing it again does nothing. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.#owned !== NO_BUFFER) this.#giveOwnedBack();
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

  /** Whether there is something to poll; if not, at which value of {@link HEAD} to sleep. */
  readonly #attempt = (): number | undefined => {
    if (this.#isPending || this.poll()) return undefined;
    // Pairs with the compareExchange of who links: it finds our mark, or we find its list.
    const found = Atomics.compareExchange(this.#words, HEAD, EMPTY, SLEEPING);
    return found > EMPTY ? (this.poll(), undefined) : SLEEPING;
  };

  #visitAll(visit: (run: this) => void): number {
    let bytes = 0;
    while (this.#isPending || (this.poll() && this.next())) {
      visit(this);
      this.#isPending = false;
      bytes += this.#length;
    }
    return bytes;
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
        this.#writerId = words[segment + ID]!;
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
    this.#buffer = buffer;
    this.#offset = this.#pool.offsetOf(buffer) + offset;
    this.#length = length;
    this.#messageCount = messages;
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
