/**
 * How messages in several frames are put together again.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import { InsufficientBufferSizeError } from "./errors.ts";
import { checkTarget } from "./frame_batch.ts";
import type { ReaderBeginning } from "./marks.ts";
import { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
import { type BroadcastReader, jumpsOf } from "./reader.ts";

/** {@link Reassembler.#length} between messages. */
const NO_MESSAGE = -1;

/** Options of {@link Reassembler}. */
export interface ReassemblerOptions {
  /** The maximum bytes of a message in several frames; unlimited by default. */
  maxMessageBytes?: number;
}

/**
 * Reads whole messages from a {@link BroadcastReader}: puts those in several frames together, and
 * shows the others where they are.
 *
 * - **Whole messages.** A message of which a frame was lost is left out, and counted in
 *   `lostMessages`.
 * - **Order.** Messages come in the order in which they end.
 * - **Bounded memory.** A message of more than `maxMessageBytes` is reported and left out.
 * - **End of stream.** As the reader's; a message that is unfinished then is left out.
 *
 * @example Usage
 * ```ts
 * import { Broadcast, Reassembler } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const messages = Reassembler.create(broadcast.reader());
 *
 * writer.appendFragments(new Uint8Array(30_000).fill(7)); // takes two frames
 * writer.publish();
 *
 * while (messages.poll()) {
 *   while (messages.next()) assertEquals(messages.message().length, 30_000);
 * }
 * ```
 */
export class Reassembler implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #reader: BroadcastReader;
  readonly #maxMessageBytes: number;
  /** The frames of an unfinished message, end to end; grows as needed. */
  #parts: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** How many bytes of them there are; {@link NO_MESSAGE} between messages. */
  #length = NO_MESSAGE;
  /** How often the reader had jumped when the message began. */
  #jumps = 0;
  /** Whether the present message is in {@link Reassembler.#parts}. */
  #isAssembled = false;
  #lostMessages = 0;

  /** @ignore */
  private constructor(reader: BroadcastReader, maxMessageBytes: number) {
    this.#reader = reader;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /**
   * Makes a reassembler of the messages of a reader. Do not call `next` of the reader itself, which
   * would take parts of messages. If the reader is reset, skips, or reads in bulk, an unfinished
   * message is left out.
   *
   * @throws {TypeError} If `reader` is not a reader, or `options` not an object.
   * @throws {RangeError} If `maxMessageBytes` is not a whole number of at least 1.
   */
  static create(reader: BroadcastReader, options?: ReassemblerOptions): Reassembler {
    const action = "create reassembler";
    if (typeof reader?.readBulk !== "function") {
      throw new TypeError(
        `Cannot ${action} as 'reader' must be a BroadcastReader: received ${describe(reader)}`,
      );
    }
    if (options !== undefined) checkOptions(action, options);
    const { maxMessageBytes = Infinity } = options ?? {};
    if (maxMessageBytes !== Infinity) checkInteger(action, "maxMessageBytes", maxMessageBytes, 1);
    return new Reassembler(reader, maxMessageBytes);
  }

  /** The user value of the present message, which is that of its last frame. */
  get userValue(): number {
    return this.#reader.userValue;
  }

  /** The bytes of the present message. */
  get length(): number {
    return this.#isAssembled ? this.#length : this.#reader.length;
  }

  /**
   * How many messages the reader lost, plus those of which it saw the end but not the whole. A
   * message that had begun before the reader did is one of them.
   */
  get lostMessages(): number {
    return this.#reader.lostMessages + this.#lostMessages;
  }

  /** As {@link BroadcastReader.isEnded}. */
  get isEnded(): boolean {
    return this.#reader.isEnded;
  }

  /**
   * Takes the next batch of frames, unless some of the present one are left.
   *
   * @returns Whether there are frames.
   * @throws As {@link BroadcastReader.poll}.
   */
  poll(): boolean {
    return this.#reader.poll();
  }

  /**
   * Goes to the next message of which all frames have come.
   *
   * @returns Whether there is one. If not, the frames so far are kept until more have come.
   * @throws {InsufficientBufferSizeError} If a message is longer than `maxMessageBytes`; the next
   * call continues with the one after it.
   */
  next(): boolean {
    const reader = this.#reader;
    if (this.#isAssembled) this.#length = NO_MESSAGE;
    this.#isAssembled = false;
    while (reader.next()) {
      if (reader.isHeartbeat) continue;
      if (!reader.isContinuation) {
        this.#length = NO_MESSAGE;
        if (reader.isFinal) return true;
        // The caller may have transferred the message before.
        if (this.#parts.length === 0) this.#parts = new Uint8Array(0);
        this.#length = 0;
        this.#jumps = jumpsOf(reader);
        this.#add();
      } else if (this.#isUnbroken()) {
        this.#add();
        if (reader.isFinal) return this.#isAssembled = true;
      } else if (reader.isFinal) {
        this.#lostMessages++;
      }
    }
    return false;
  }

  /**
   * The present message: a view of private memory, valid until the next one is asked for. The
   * memory may be transferred if that of the reader may: {@link ReaderOptions.transferable}.
   */
  message(): Uint8Array<ArrayBuffer> {
    return this.#isAssembled ? this.#parts.subarray(0, this.#length) : this.#reader.message();
  }

  /**
   * Copies the present message to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {InsufficientBufferSizeError} If `target` is shorter than that.
   */
  receive(target: Uint8Array): number {
    checkTarget(target, this.length);
    target.set(this.message());
    return this.length;
  }

  /**
   * As {@link BroadcastReader.reset}. A message that is unfinished at the old position or at the
   * new one is left out; the latter counts as lost.
   *
   * @throws As {@link BroadcastReader.reset}.
   */
  reset(from?: ReaderBeginning): void {
    this.#reader.reset(from);
    this.#length = NO_MESSAGE;
    this.#isAssembled = false;
  }

  /** As {@link BroadcastReader.wait}. */
  wait(options?: WaitOptions): boolean {
    return this.#reader.wait(options);
  }

  /** As {@link BroadcastReader.waitAsync}. */
  waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    return this.#reader.waitAsync(options);
  }

  /** Iterates over messages as they come; as {@link BroadcastReader.messages}. */
  messages(options?: MessagesOptions): MessageIterator {
    return new MessageIterator(this, options);
  }

  /** As {@link Reassembler.messages}, until the stream ends. */
  [Symbol.asyncIterator](): MessageIterator {
    return this.messages();
  }

  /**
   * Whether a message was begun, the reader has gone frame by frame since, and the frames so far
   * are still there.
   */
  #isUnbroken(): boolean {
    if (this.#length === NO_MESSAGE) return false;
    const hasJumped = this.#jumps !== jumpsOf(this.#reader);
    const isTransferred = this.#length > 0 && this.#parts.length === 0;
    if (hasJumped || isTransferred) this.#length = NO_MESSAGE;
    return this.#length !== NO_MESSAGE;
  }

  /** Adds the present frame to the message. */
  #add(): void {
    const { bytes, offset, length } = this.#reader;
    const from = this.#length;
    const end = from + length;
    if (end > this.#maxMessageBytes) {
      this.#length = NO_MESSAGE;
      if (this.#reader.isFinal) this.#lostMessages++;
      throw new InsufficientBufferSizeError("put a message together", this.#maxMessageBytes, end);
    }
    if (end > this.#parts.length) {
      const parts = new Uint8Array(Math.max(end, 2 * this.#parts.length));
      parts.set(this.#parts.subarray(0, from));
      this.#parts = parts;
    }
    this.#parts.set(bytes.subarray(offset, offset + length), from);
    this.#length = end;
  }
}
