/**
 * A reader of a broadcast ring: takes batches, validates them, and shows their messages.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import type { Broadcast } from "./broadcast.ts";
import { BatchCopy, BulkCopy, type CopyOut, FilteredCopy, type MessageFilter } from "./copy_out.ts";
import {
  FINAL_SHIFT,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import { checkAlignment, FrameCursor, type FrameCursorOptions } from "./frame_cursor.ts";
import { InsufficientBufferSizeError } from "./insufficient_buffer_size_error.ts";
import { LossCount, OverrunError, type ReaderLosses } from "./overrun.ts";
import { findBeginning, type ReaderBeginning } from "./place.ts";
import { Ring } from "./ring.ts";
import { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
import { LAPPED, NOTHING, Tap } from "./tap.ts";
import { Arrivals } from "./waiting.ts";

/** Options of {@link Broadcast.reader}. */
export interface ReaderOptions extends FrameCursorOptions {
  /**
   * Where to begin: at what is published next (`latest`, by default), at the oldest frame that can
   * be found (`oldest`), or at a position at which a frame begins.
   */
  from?: ReaderBeginning;
  /** How many bytes to take out of the ring at once; 64 KiB by default, or the whole ring. */
  batchBytes?: number;
  /**
   * Says by its user value whether a message is wanted; all are by default. The payloads of others
   * are not even copied. It may be asked of values that were never sent, while the writer overwrites
   * them; so it must do nothing but answer.
   */
  filter?: MessageFilter;
  /**
   * What poll does once the writer has overwritten what comes next: throw an {@link OverrunError}
   * (`throw`, by default), or only keep count of it (`continue`).
   */
  onOverrun?: "throw" | "continue";
}

const DEFAULT_BATCH_BYTES = 64 * 1024;

/**
 * How often a reader went to another place than that of the next frame: by an overrun, because a
 * writer was replaced, or because it was told to. Frames before and after do not belong together.
 */
export let jumpsOf: (reader: BroadcastReader) => number;

/**
 * Reads messages from a {@link Broadcast}, at its own pace. Readers know nothing of one another.
 *
 * A batch is copied out of the ring at once and validated before any of it is looked at. A reader
 * that was too slow is told what it lost, and goes on with something that is still retained.
 *
 * There is no end of stream: a reader waits on when the writer has gone, since another may follow.
 * Let the writer say in a last message that it is one, or send heartbeats, and wait with a timeout.
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
 * @example Going on after an overrun
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
 *     if (!(error instanceof OverrunError)) throw error; // it says what was lost
 *   }
 * }
 *
 * // Or only count the losses:
 * const patient = broadcast.reader({ from: "oldest", onOverrun: "continue" });
 * for await (const payload of patient) if (payload[0] === 39) break;
 * assertEquals(patient.takeLosses().messages, 0);
 * ```
 */
export class BroadcastReader extends FrameCursor implements AsyncIterable<Uint8Array> {
  readonly #ring: Ring;
  readonly #arrivals: Arrivals;
  readonly #filter: MessageFilter | undefined;
  readonly #throwsOverruns: boolean;
  /** Where the batch begins. */
  readonly #tap: Tap;
  /** Copies into the batch. */
  #out: CopyOut;
  readonly #losses = new LossCount();
  /** How often it went to another place than that of the next frame. */
  #jumps = 0;

  static {
    jumpsOf = (reader) => reader.#jumps + reader.#tap.gaps;
  }

  /**
   * Makes a reader of `broadcast`; as {@link Broadcast.reader}.
   *
   * @throws {TypeError} If `filter` is no function.
   * @throws {RangeError} If the position to begin at is not one of a frame that is retained, or
   * `batchBytes` is no whole number from 8 up to the capacity, or `onOverrun` is something else.
   */
  constructor(broadcast: Broadcast, options: ReaderOptions = {}) {
    checkOptions("create reader", options);
    const { capacityBytes } = broadcast;
    const { from = "latest", batchBytes = Math.min(DEFAULT_BATCH_BYTES, capacityBytes) } = options;
    checkInteger("create reader", "batchBytes", batchBytes, FRAME_ALIGNMENT, capacityBytes);
    checkChoices(options);
    super(new Uint8Array(batchBytes & -FRAME_ALIGNMENT), options);
    this.#ring = new Ring(broadcast);
    this.#arrivals = new Arrivals(this.#ring);
    this.#filter = options.filter;
    this.#throwsOverruns = options.onOverrun !== "continue";
    this.#tap = new Tap(this.#ring, findBeginning(this.#ring, from));
    this.#out = this.#copyOut();
    this.begin(0);
  }

  /** The position of the next frame. */
  get position(): number {
    return this.#tap.position + this.passedBytes;
  }

  /** How many messages ended before {@link BroadcastReader.position}, since the ring began. */
  get sequence(): number {
    return this.#tap.sequence + this.passedMessages;
  }

  /** How many bytes this reader is behind what is published. */
  get lagBytes(): number {
    return this.#arrivals.distance(this.position);
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

  /** What this reader lost to overruns since this was last called. */
  takeLosses(): ReaderLosses {
    return this.#losses.take();
  }

  /**
   * Takes the next batch out of the ring, unless there is more of the present one;
   * {@link BroadcastReader.next} then goes through it.
   *
   * Each look takes a cache line from the writer. So a reader that need not have each message at
   * once, and found only few, does well to let more of them gather for a microsecond.
   *
   * @returns Whether there is a message.
   * @throws {OverrunError} If the writer overwrote what comes next. The reader has gone on to
   * something that is retained, and the next poll returns that.
   */
  poll(): boolean {
    if (this.hasNext()) return true;
    for (;;) {
      this.#settle();
      const taken = this.#tap.take(this.bytes.length, this.#out);
      if (taken === NOTHING) return false;
      if (taken === LAPPED) this.#recover();
      else this.#show(taken);
      if (this.hasNext()) return true;
    }
  }

  /**
   * Passes over frames as {@link BroadcastReader.next} shows them: messages, or parts of one that
   * goes in several.
   *
   * @param count How many at most, or `Infinity` for all that are published.
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
   * Goes to another place, by default to what is published next. What is left out counts as skipped,
   * not as lost. What was lost before stays counted as lost, also if the reader goes back to messages
   * among it that are retained: those are then seen as well.
   *
   * @throws {RangeError} If that is not where a frame begins that is retained.
   */
  reset(from: ReaderBeginning = "latest"): void {
    this.#tap.goTo(findBeginning(this.#ring, from));
    this.begin(0);
    this.#jumps++;
  }

  /**
   * Copies the next frames to `target`, as they are: to be looked at with a {@link FrameCursor}, here
   * or elsewhere. Heartbeats and what a filter would leave out are among them, and so may be padding.
   *
   * @param target As many bytes as are wanted at most. Several segments at once are the fastest.
   * @returns How many bytes the frames take, which are whole; 0 if nothing is published.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {RangeError} If `target` does not begin at a multiple of 8 in its buffer.
   * @throws {InsufficientBufferSizeError} If the next frame alone takes more than that.
   * @throws {OverrunError} As {@link BroadcastReader.poll}.
   */
  readBulk(target: Uint8Array): number {
    checkBytes("read in bulk", "target", target);
    checkAlignment("read in bulk", target);
    if (target.length < FRAME_HEADER_BYTES) refuseBulk(target, FRAME_HEADER_BYTES);
    const out = new BulkCopy(this.#ring, target);
    const words = new Int32Array(target.buffer, target.byteOffset, target.length >> 2);
    for (;;) {
      this.#settle();
      const taken = this.#tap.take(target.length & -FRAME_ALIGNMENT, out);
      if (taken === NOTHING) return 0;
      if (taken === LAPPED) {
        this.#recover();
        continue;
      }
      let { bytes, messages } = wholeFrames(words, taken, out, this.#tap.sequence);
      if (bytes === 0) {
        const header = words[0]!;
        bytes = frameByteLength(header & LENGTH_MASK);
        messages = header >>> FINAL_SHIFT;
        if ((header & PADDING) !== 0) {
          this.#tap.advance(bytes, messages);
          continue;
        }
        if (bytes > target.length) refuseBulk(target, bytes);
        if (!this.#tap.takeFrame(bytes, out)) continue;
      }
      this.#tap.advance(bytes, messages);
      this.#jumps++;
      return bytes;
    }
  }

  /**
   * Blocks until something is published after {@link BroadcastReader.position}.
   *
   * @returns Whether something is: a message, a heartbeat, or what the reader was overrun by.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(options?: WaitOptions): boolean {
    return this.#arrivals.wait(this.position, options);
  }

  /**
   * As {@link BroadcastReader.wait}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    return this.#arrivals.waitAsync(this.position, options);
  }

  /**
   * Iterates over messages as they come. Each is a copy, unless views are asked for; user value and
   * flags are those of the reader until the next message is asked for. Several iterations over one
   * reader share its messages: each gets others.
   *
   * An {@link OverrunError} ends the iteration; another one goes on from where the reader then is.
   * Beside them the iteration ends only by `return()`, as a `break` calls it, or by the signal.
   *
   * @param options Ends the iteration with the signal's reason once it is aborted.
   * @throws {TypeError} If `signal` is no AbortSignal.
   */
  messages(options: MessagesOptions = {}): MessageIterator {
    return new MessageIterator(this, options);
  }

  /** As {@link BroadcastReader.messages}, for ever. */
  [Symbol.asyncIterator](): MessageIterator {
    return this.messages();
  }

  /** Goes past what was gone through of the batch, and drops the rest. */
  #settle(): void {
    this.#tap.advance(this.passedBytes, this.passedMessages);
    this.begin(0);
  }

  /** Shows what was taken. If the first frame goes beyond it, takes all of that instead. */
  #show(taken: number): void {
    const header = this.frameWords[0]!;
    const size = frameByteLength(header & LENGTH_MASK);
    if (size <= taken) {
      this.begin(taken);
    } else if ((header & PADDING) !== 0) {
      this.#tap.advance(size, header >>> FINAL_SHIFT);
    } else {
      if (size > this.bytes.length) this.#grow(size);
      if (this.#tap.takeFrame(size, this.#out)) this.begin(size);
    }
  }

  /** Makes room for a frame of `size` bytes, which is bounded by the largest message. */
  #grow(size: number): void {
    this.replaceBytes(new Uint8Array(2 ** (32 - Math.clz32(size - 1))));
    this.#out = this.#copyOut();
  }

  #copyOut(): CopyOut {
    return this.#filter === undefined
      ? new BatchCopy(this.#ring, this.bytes)
      : new FilteredCopy(this.#ring, this.bytes, this.#filter);
  }

  /** Finds a place to go on from, takes a batch there, and says or notes what was lost. */
  #recover(): void {
    const { position, sequence } = this.#tap;
    const { place, taken } = this.#tap.recover(this.bytes.length, this.#out);
    const messages = place.sequence - sequence;
    this.#jumps++;
    this.#losses.add(messages, place.position - position);
    if (taken !== NOTHING) this.#show(taken);
    if (this.#throwsOverruns) throw new OverrunError(position, place.position, messages);
  }
}

/** Refuses options that are none of the choices. */
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

function refuseBulk(target: Uint8Array, required: number): never {
  throw new InsufficientBufferSizeError("read in bulk", target.length, required);
}
