/**
 * A reader of a broadcast ring: takes batches, validates them, and shows their messages.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { BatchCopy, BulkCopy, type CopyOut, FilteredCopy, type MessageFilter } from "./copy_out.ts";
import { InsufficientBufferSizeError, OverrunError } from "./errors.ts";
import {
  FINAL_SHIFT,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import { FrameBatch } from "./frame_batch.ts";
import { checkAlignment, type FrameCursorOptions } from "./frame_cursor.ts";
import { findBeginning, type ReaderBeginning } from "./marks.ts";
import { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
import type { Ring } from "./ring.ts";
import { EMPTY, LAPPED, WindowReader } from "./window_reader.ts";

/** Options of {@link Broadcast.reader}. */
export interface ReaderOptions extends FrameCursorOptions {
  /**
   * Where to begin: at the next message that is published (`latest`, by default), at the oldest
   * frame that can be found (`oldest`), or at a position at which a frame begins.
   */
  from?: ReaderBeginning;
  /** How many bytes to take out of the ring at once; 64 KiB by default, or the whole ring. */
  batchBytes?: number;
  /**
   * Decides by its user value whether a message is wanted; all are by default. The payloads of
   * others are not even copied. It may be called with values that were never sent, while the writer
   * overwrites them; so it must have no effect but its answer.
   */
  filter?: MessageFilter;
  /**
   * Whether the memory of {@link BroadcastReader.bytes} can be transferred to another thread; false
   * by default, as it then often lies where the ring is copied to several times faster.
   */
  transferable?: boolean;
  /**
   * How poll reacts to an overrun: it throws an {@link OverrunError} (`throw`, by default), or only
   * counts it (`continue`).
   */
  onOverrun?: "throw" | "continue";
}

/** The losses of a reader to overruns. */
export interface ReaderLosses {
  /** How often it was overrun. */
  readonly overruns: number;
  /** The messages whose end it lost. */
  readonly messages: number;
  /** The bytes that it lost, headers included. */
  readonly bytes: number;
}

/** A target of bulk reads. */
interface BulkTarget {
  readonly target: Uint8Array;
  /** The same bytes. */
  readonly words: Int32Array;
  /** Copies there. */
  readonly out: BulkCopy;
}

const DEFAULT_BATCH_BYTES = 64 * 1024;
const NO_LOSSES: ReaderLosses = { overruns: 0, messages: 0, bytes: 0 };

/**
 * How often a reader went elsewhere than to the next frame: after an overrun, because a writer was
 * replaced, or on request. Frames before and after do not belong together.
 */
export let jumpsOf: (reader: BroadcastReader) => number;

/**
 * Reads messages from a {@link Broadcast}, at its own pace, independently of other readers.
 *
 * A reader holds nothing in the ring, so it needs no closing.
 *
 * - **True messages.** A batch is copied out of the ring and validated before any of it is shown,
 *   so no message is torn, whatever the writer does meanwhile. Payloads are views of private
 *   memory.
 * - **Order.** Messages come in the order in which they were appended.
 * - **Exact losses.** A reader that was too slow is told how many messages it lost, and continues
 *   with something that is still retained.
 * - **No lost wake-up.** A reader that waits is woken by every publication, by a writer that
 *   closes, and by one that takes over.
 * - **End of stream.** Once everything is read, the last writer was closed, and no other has begun,
 *   `isEnded` is true, waits return false at once, and iterations end. A new writer revives the
 *   ring. A writer that died does not end the stream: use heartbeats, and wait with a timeout.
 *
 * @example Polling, without an allocation per message
 * ```ts
 * import { Broadcast } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader();
 *
 * for (let i = 0; i < 3; i++) writer.append(new Uint8Array([i, 2 * i]), { userValue: i });
 * writer.publish();
 *
 * let sum = 0;
 * while (reader.poll()) {
 *   while (reader.next()) sum += reader.bytes[reader.offset + 1]! + reader.userValue;
 * }
 * assertEquals(sum, 9);
 * ```
 *
 * @example Waiting for each message
 * ```ts
 * import { Broadcast } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader();
 * writer.send(new TextEncoder().encode("hello"));
 *
 * for await (const payload of reader) {
 *   assertEquals(new TextDecoder().decode(payload), "hello");
 *   break;
 * }
 * ```
 *
 * @example Continuing after an overrun
 * ```ts
 * import { Broadcast, OverrunError } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 256 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader();
 * for (let i = 0; i < 40; i++) writer.send(new Uint8Array([i])); // more than the ring retains
 *
 * let seen = 0;
 * while (seen + reader.lostMessages < 40) {
 *   try {
 *     for await (const payload of reader) {
 *       seen++;
 *       if (payload[0] === 39) break;
 *     }
 *   } catch (error) {
 *     if (!(error instanceof OverrunError)) throw error; // it reports the loss
 *   }
 * }
 *
 * // Or only count the losses:
 * const patient = broadcast.reader({ from: "oldest", onOverrun: "continue" });
 * for await (const payload of patient) if (payload[0] === 39) break;
 * assertEquals(patient.takeLosses().messages, 0);
 * ```
 */
export class BroadcastReader implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #ring: Ring;
  readonly #filter: MessageFilter | undefined;
  readonly #throwsOverruns: boolean;
  /** Where the batch begins. */
  readonly #window: WindowReader;
  /** The frames that were taken out of the ring. */
  readonly #batch: FrameBatch<ArrayBuffer>;
  readonly #batchBytes: number;
  readonly #transferable: boolean;
  /** Copies into the batch. */
  #out: CopyOut;
  /** The target of the last bulk read, and what copies there. */
  #bulk: BulkTarget | undefined;
  /** All losses. */
  #losses = NO_LOSSES;
  /** The losses that {@link BroadcastReader.takeLosses} has returned. */
  #takenLosses = NO_LOSSES;
  /** How often the reader went elsewhere than to the next frame, apart from replaced writers. */
  #jumps = 0;

  static {
    jumpsOf = (reader) => reader.#jumps + reader.#window.gaps;
  }

  /** @ignore Use {@link Broadcast.reader}. */
  constructor(ring: Ring, options: ReaderOptions = {}) {
    checkOptions("create reader", options);
    const { capacityBytes } = ring;
    const { from = "latest", batchBytes = Math.min(DEFAULT_BATCH_BYTES, capacityBytes) } = options;
    checkInteger("create reader", "batchBytes", batchBytes, FRAME_ALIGNMENT, capacityBytes);
    checkChoices(options);
    this.#ring = ring;
    this.#filter = options.filter;
    this.#throwsOverruns = options.onOverrun !== "continue";
    this.#batchBytes = batchBytes & -FRAME_ALIGNMENT;
    this.#transferable = options.transferable === true;
    const bytes = this.#createBytes(this.#batchBytes);
    this.#batch = new FrameBatch(bytes, 0, options.heartbeats === true);
    this.#window = new WindowReader(ring, findBeginning(ring, from));
    this.#out = this.#copyOut();
  }

  /**
   * The frames of the batch, in private memory. The present payload is `length` bytes from `offset`
   * on. They are valid until the next poll, which may also replace the array.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#batch.bytes;
  }

  /** Where in {@link BroadcastReader.bytes} the present payload begins; a multiple of 8. */
  get offset(): number {
    return this.#batch.offset;
  }

  /** The bytes of the present payload. */
  get length(): number {
    return this.#batch.length;
  }

  /** The user value of the present frame. */
  get userValue(): number {
    return this.#batch.userValue;
  }

  /** Whether the present frame ends its message. */
  get isFinal(): boolean {
    return this.#batch.isFinal;
  }

  /** Whether the present frame continues the message of the one before. */
  get isContinuation(): boolean {
    return this.#batch.isContinuation;
  }

  /** Whether the present frame is a heartbeat; never, unless heartbeats were asked for. */
  get isHeartbeat(): boolean {
    return this.#batch.isHeartbeat;
  }

  /** The position of the next frame. */
  get position(): number {
    return this.#window.position + this.#batch.passedBytes;
  }

  /** How many messages ended before {@link BroadcastReader.position}, since the ring began. */
  get sequence(): number {
    return this.#window.sequence + this.#batch.passedMessages;
  }

  /** How many bytes this reader is behind the published position. */
  get lagBytes(): number {
    return this.#ring.published.load() - this.position;
  }

  /**
   * Whether more seems to be there than what was read: a hint for a thread that spins, at a
   * fraction of the cost of a poll that finds nothing. It orders nothing, and may be out of date
   * for as long as the thread does nothing else: so poll every now and then all the same.
   */
  get hasMoreHint(): boolean {
    return this.#window.seemsPast(this.#batch.passedBytes);
  }

  /**
   * Whether everything published was read, the last writer was closed, and no other has begun.
   * False if there never was a writer, and if the last one died.
   */
  get isEnded(): boolean {
    return this.#ring.published.isEnd(this.position);
  }

  /** How often this reader was overrun. */
  get overruns(): number {
    return this.#losses.overruns;
  }

  /** How many messages this reader lost to overruns, counted by their ends. */
  get lostMessages(): number {
    return this.#losses.messages;
  }

  /** How many bytes, headers included, this reader lost to overruns. */
  get lostBytes(): number {
    return this.#losses.bytes;
  }

  /** Returns the losses to overruns since the last call. */
  takeLosses(): ReaderLosses {
    const losses = this.#losses;
    const taken = this.#takenLosses;
    this.#takenLosses = losses;
    return {
      overruns: losses.overruns - taken.overruns,
      messages: losses.messages - taken.messages,
      bytes: losses.bytes - taken.bytes,
    };
  }

  /**
   * Takes the next batch out of the ring, unless some of the present one is left;
   * {@link BroadcastReader.next} then goes through it.
   *
   * Each poll takes a cache line from the writer. So a reader that need not have each message at
   * once, and found only few, should let more of them accumulate for a microsecond.
   *
   * @returns Whether there is a message.
   * @throws {OverrunError} If the writer has overwritten the next message. The reader has moved on
   * to messages that are retained, and the next poll returns those.
   */
  poll(): boolean {
    const batch = this.#batch;
    while (!batch.hasNext()) {
      if (batch.isTransferred) this.#renewBatch();
      if (batch.isCutShort) {
        this.#loadFrame();
        continue;
      }
      this.#skipBatch();
      const taken = this.#window.take(batch.bytes.length, this.#out);
      if (taken === EMPTY) return false;
      if (taken === LAPPED) this.#recover();
      else batch.begin(taken);
    }
    return true;
  }

  /**
   * Goes to the next frame of the batch.
   *
   * @returns Whether there is one.
   */
  next(): boolean {
    return this.#batch.next();
  }

  /**
   * The present payload: a view of private memory, valid until the next poll. With the option
   * `transferable` the memory may be transferred: then the rest of the batch is taken out of the
   * ring again, into new memory.
   */
  message(): Uint8Array<ArrayBuffer> {
    return this.#batch.message();
  }

  /**
   * Copies the present payload to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {InsufficientBufferSizeError} If `target` is shorter than that.
   */
  receive(target: Uint8Array): number {
    return this.#batch.receive(target);
  }

  /**
   * Passes over frames as {@link BroadcastReader.next} shows them: messages, or parts of a message
   * in several frames.
   *
   * @param count The maximum number of frames, or `Infinity` for all that are published.
   * @returns How many there were.
   * @throws {RangeError} If `count` is neither a whole number nor `Infinity`.
   * @throws As {@link BroadcastReader.poll}; `sequence` then tells how far the reader has come.
   */
  skip(count: number): number {
    if (count !== Infinity) checkInteger("skip", "count", count, 0);
    let skipped = 0;
    while (skipped < count && (this.next() || (this.poll() && this.next()))) {
      if (skipped++ === 0) this.#jumps++;
    }
    return skipped;
  }

  /**
   * Goes elsewhere, by default to the next message that is published. Messages that are left out
   * count as skipped, not as lost. Messages that were lost before stay counted as lost, even if the
   * reader goes back to retained ones among them, which it then sees as well.
   *
   * @param from As {@link ReaderOptions.from}.
   * @throws {RangeError} If no retained frame begins there.
   */
  reset(from?: ReaderBeginning): void {
    this.#window.goTo(findBeginning(this.#ring, from ?? "latest"));
    this.#batch.begin(0);
    this.#jumps++;
  }

  /**
   * Makes bytes to which bulk reads copy natively where that is possible. They are an ordinary
   * array; but their buffer may be longer, and cannot be transferred.
   *
   * @throws {RangeError} If `byteLength` is not a whole number of bytes, or more than is available.
   */
  privateBytes(byteLength: number): Uint8Array<ArrayBuffer> {
    return this.#ring.memory.privateBytes(byteLength);
  }

  /**
   * Copies the next frames to `target` as they are, to be gone through with a {@link FrameCursor},
   * on this thread or another. They include heartbeats, messages that a filter would leave out, and
   * padding.
   *
   * @param target Has room for the maximum of bytes to copy. Several segments at once are the
   * fastest, and bytes of {@link BroadcastReader.privateBytes}.
   * @returns How many bytes the frames take, all of which are whole; 0 if nothing is published.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {RangeError} If `target` does not begin at a multiple of 8 in its buffer.
   * @throws {InsufficientBufferSizeError} If the next frame alone takes more than that.
   * @throws {OverrunError} As {@link BroadcastReader.poll}.
   */
  readBulk(target: Uint8Array): number {
    checkBytes("read in bulk", "target", target);
    checkAlignment("read in bulk", target);
    if (target.length < FRAME_HEADER_BYTES) throw bulkSizeError(target, FRAME_HEADER_BYTES);
    const { out, words } = this.#bulkTo(target);
    const window = this.#window;
    for (;;) {
      this.#skipBatch();
      const taken = window.take(target.length & -FRAME_ALIGNMENT, out);
      if (taken === EMPTY) return 0;
      if (taken === LAPPED) {
        this.#recover();
        continue;
      }
      let { bytes, messages } = wholeFrames(words, taken, out, window.sequence);
      if (bytes === 0) {
        const header = words[0]!;
        bytes = frameByteLength(header & LENGTH_MASK);
        messages = header >>> FINAL_SHIFT;
        if ((header & PADDING) !== 0) {
          window.skipFrame(bytes, messages);
          continue;
        }
        if (bytes > target.length) throw bulkSizeError(target, bytes);
        if (!window.takeFrame(bytes, out)) continue;
      }
      window.advance(bytes, messages);
      this.#jumps++;
      return bytes;
    }
  }

  /**
   * Blocks until something is published after {@link BroadcastReader.position}, or the stream ends.
   *
   * @returns Whether something is: a message, a heartbeat, or frames by which the reader was
   * overrun. False if the stream has ended, or the time is over.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(options?: WaitOptions): boolean {
    return this.#ring.published.wait(this.position, options);
  }

  /**
   * As {@link BroadcastReader.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    return this.#ring.published.waitAsync(this.position, options);
  }

  /**
   * Iterates over messages as they come, until the stream ends. Each is a copy, unless views are
   * asked for; user value and flags are those of the reader until the next message is asked for.
   * Several iterations over one reader share its messages: each message goes to one of them.
   *
   * An {@link OverrunError} ends the iteration; another one continues from where the reader then
   * is. Otherwise it ends with the stream, by `return()`, which a `break` calls, or by the signal.
   *
   * @param options Ends the iteration with the signal's reason once it is aborted.
   * @throws {TypeError} If `signal` is not an AbortSignal.
   */
  messages(options?: MessagesOptions): MessageIterator {
    return new MessageIterator(this, options);
  }

  /** As {@link BroadcastReader.messages}, until the stream ends. */
  [Symbol.asyncIterator](): MessageIterator {
    return this.messages();
  }

  /** What copies to a target of bulk reads; that of the last one is kept. */
  #bulkTo(target: Uint8Array): BulkTarget {
    const bulk = this.#bulk;
    if (bulk?.target === target && bulk.words.length === target.length >> 2) return bulk;
    const words = new Int32Array(target.buffer, target.byteOffset, target.length >> 2);
    return this.#bulk = { target, words, out: new BulkCopy(this.#ring, target) };
  }

  /** Makes room for frames. */
  #createBytes(size: number): Uint8Array<ArrayBuffer> {
    return this.#transferable ? new Uint8Array(size) : this.#ring.memory.privateBytes(size);
  }

  /** Moves the window past the passed frames of the batch, and drops the others. */
  #skipBatch(): void {
    this.#window.advance(this.#batch.passedBytes, this.#batch.passedMessages);
    this.#batch.begin(0);
  }

  /** Goes on in new memory, with the frames that were not read. */
  #renewBatch(): void {
    this.#skipBatch();
    this.#replaceBatch(this.#batchBytes);
  }

  /** Loads all of the next frame, of which only the beginning was taken, unless it is padding. */
  #loadFrame(): void {
    const header = this.#batch.firstHeader;
    const size = frameByteLength(header & LENGTH_MASK);
    this.#batch.begin(0);
    if ((header & PADDING) !== 0) {
      this.#window.skipFrame(size, header >>> FINAL_SHIFT);
    } else {
      if (size > this.#batch.bytes.length) this.#grow(size);
      if (this.#window.takeFrame(size, this.#out)) this.#batch.begin(size);
    }
  }

  /** Makes room for a frame of `size` bytes, which is bounded by the longest message. */
  #grow(size: number): void {
    this.#replaceBatch(2 ** (32 - Math.clz32(size - 1)));
  }

  #replaceBatch(size: number): void {
    this.#batch.replaceBytes(this.#createBytes(size));
    this.#out = this.#copyOut();
  }

  #copyOut(): CopyOut {
    const { bytes } = this.#batch;
    return this.#filter === undefined
      ? new BatchCopy(this.#ring, bytes)
      : new FilteredCopy(this.#ring, bytes, this.#filter);
  }

  /** Finds a position to continue at, takes a batch there, and reports or counts the loss. */
  #recover(): void {
    const { position, sequence } = this.#window;
    const { mark, taken } = this.#window.recover(this.#batch.bytes.length, this.#out);
    const messages = mark.sequence - sequence;
    this.#jumps++;
    this.#losses = {
      overruns: this.#losses.overruns + 1,
      messages: this.#losses.messages + messages,
      bytes: this.#losses.bytes + mark.position - position,
    };
    this.#batch.begin(taken);
    // At once, as the writer might overwrite the rest of that frame before the next poll.
    const size = frameByteLength(this.#batch.firstHeader & LENGTH_MASK);
    if (taken !== EMPTY && size > taken) this.#loadFrame();
    if (this.#throwsOverruns) throw new OverrunError(position, mark.position, messages);
  }
}

/** Throws unless options are among their choices. */
function checkChoices({ filter, onOverrun }: ReaderOptions): void {
  if (filter !== undefined && typeof filter !== "function") {
    throw new TypeError(
      `Cannot create reader as 'filter' must be a function: received ${describe(filter)}`,
    );
  }
  if (onOverrun === undefined || onOverrun === "throw" || onOverrun === "continue") return;
  throw new RangeError(
    `Cannot create reader as 'onOverrun' must be "throw" or "continue": received ${
      describe(onOverrun)
    }`,
  );
}

/**
 * The frames that are whole in the first `size` bytes: how many bytes, how many messages. Those
 * before a mark need not be gone through.
 *
 * @param sequence How many messages ended before the first of them.
 */
function wholeFrames(
  words: Int32Array,
  size: number,
  { markedBytes, markedSequence }: BulkCopy,
  sequence: number,
): { bytes: number; messages: number } {
  let bytes = markedBytes;
  let messages = bytes > 0 ? markedSequence - sequence : 0;
  while (bytes < size) {
    const header = words[bytes >> 2]!;
    const end = bytes + frameByteLength(header & LENGTH_MASK);
    if (end > size) break;
    bytes = end;
    messages += header >>> FINAL_SHIFT;
  }
  return { bytes, messages };
}

function bulkSizeError(target: Uint8Array, required: number): InsufficientBufferSizeError {
  return new InsufficientBufferSizeError("read in bulk", target.length, required);
}
