/**
 * Messages in several frames: how they are cut into fragments, and put together again.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions } from "../memory/check.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import type { FrameOptions } from "./frame.ts";
import { InsufficientBufferSizeError } from "./insufficient_buffer_size_error.ts";
import { MessageIterator, type MessagesOptions } from "./message_iterator.ts";
import type { ReaderBeginning } from "./place.ts";
import { type BroadcastReader, jumpsOf } from "./reader.ts";

/** Options of {@link BroadcastWriter.appendFragments}. */
export interface FragmentOptions {
  /** A number of the user's, from 0 to 2^32 - 1, which each frame gets; 0 by default. */
  userValue?: number;
  /** The most bytes of a frame; {@link BroadcastWriter.maxMessageBytes} by default. */
  fragmentBytes?: number;
}

/** What takes frames. */
interface FrameWriter {
  readonly maxMessageBytes: number;
  append(payload: Uint8Array, options: FrameOptions): void;
}

/** Appends the frames of a message, of which there is at least one. */
export function appendFragments(
  writer: FrameWriter,
  message: Uint8Array,
  options: FragmentOptions,
): void {
  checkBytes("append", "message", message);
  checkOptions("append", options);
  const { maxMessageBytes } = writer;
  const { userValue = 0, fragmentBytes = maxMessageBytes } = options;
  checkInteger("append", "fragmentBytes", fragmentBytes, 1, maxMessageBytes);
  let from = 0;
  do {
    const end = Math.min(from + fragmentBytes, message.length);
    const frame = { userValue, final: end === message.length, continuation: from > 0 };
    writer.append(message.subarray(from, end), frame);
    from = end;
  } while (from < message.length);
}

/** Between messages. */
const NO_MESSAGE = -1;

/** Options of {@link Reassembler}. */
export interface ReassemblerOptions {
  /** The most bytes of a message in several frames; as many as memory has by default. */
  maxMessageBytes?: number;
}

/**
 * Reads whole messages from a {@link BroadcastReader}: those in several frames are put together, the
 * others shown where they are. A message of which a frame was lost is left out.
 *
 * @example Usage
 * ```ts
 * import { Broadcast, Reassembler } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const messages = new Reassembler(broadcast.reader());
 *
 * writer.appendFragments(new Uint8Array(30_000).fill(7)); // goes in two frames
 * writer.publish();
 *
 * while (messages.poll()) {
 *   while (messages.next()) assertEquals(messages.message().length, 30_000);
 * }
 * ```
 */
export class Reassembler implements AsyncIterable<Uint8Array> {
  readonly #reader: BroadcastReader;
  readonly #maxMessageBytes: number;
  /** The frames of an unfinished message, end to end; grows as needed. */
  #parts: Uint8Array = new Uint8Array(0);
  /** How many bytes of them there are; {@link NO_MESSAGE} between messages. */
  #length = NO_MESSAGE;
  /** How often the reader had jumped when the message began. */
  #jumps = 0;
  /** Whether the present message is in {@link Reassembler.#parts}. */
  #isAssembled = false;
  #lostMessages = 0;

  /**
   * Reads from `reader`, on which `next` must not be called otherwise: another would get parts of
   * messages. If the reader is reset, skips, or reads in bulk, an unfinished message is left out.
   *
   * @throws {RangeError} If `maxMessageBytes` is not a whole number from 1 on.
   */
  constructor(reader: BroadcastReader, options: ReassemblerOptions = {}) {
    checkOptions("create reassembler", options);
    const { maxMessageBytes = Infinity } = options;
    if (maxMessageBytes !== Infinity) {
      checkInteger("create reassembler", "maxMessageBytes", maxMessageBytes, 1);
    }
    this.#reader = reader;
    this.#maxMessageBytes = maxMessageBytes;
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
   * How many messages the reader lost, and how many of which it saw the end and not the whole. One
   * that had begun before the reader did is among them.
   */
  get lostMessages(): number {
    return this.#reader.lostMessages + this.#lostMessages;
  }

  /**
   * Says whether there are more frames.
   *
   * @throws As {@link BroadcastReader.poll}.
   */
  poll(): boolean {
    return this.#reader.poll();
  }

  /**
   * Goes on to the next message of which all frames have come.
   *
   * @returns Whether there is one. If not, the frames so far are kept until more have come.
   * @throws {InsufficientBufferSizeError} If a message is longer than `maxMessageBytes`; the next
   * call goes on with the one after it.
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

  /** The present message: a view that is valid until the next one is asked for. */
  message(): Uint8Array {
    return this.#isAssembled ? this.#parts.subarray(0, this.#length) : this.#reader.message();
  }

  /**
   * Copies the present message to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {InsufficientBufferSizeError} If `target` is shorter than that.
   */
  receive(target: Uint8Array): number {
    checkBytes("receive the message", "target", target);
    if (!this.#isAssembled) return this.#reader.receive(target);
    if (target.length < this.#length) {
      throw new InsufficientBufferSizeError("receive the message", target.length, this.#length);
    }
    target.set(this.message());
    return this.#length;
  }

  /**
   * As {@link BroadcastReader.reset}. A message that is unfinished there, or at the new place, is
   * left out; the latter counts as lost.
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
  messages(options: MessagesOptions = {}): MessageIterator {
    return new MessageIterator(this, options);
  }

  /** As {@link Reassembler.messages}, for ever. */
  [Symbol.asyncIterator](): MessageIterator {
    return this.messages();
  }

  /** Whether a message was begun, and the reader has gone on frame by frame since. */
  #isUnbroken(): boolean {
    if (this.#length !== NO_MESSAGE && this.#jumps !== jumpsOf(this.#reader)) {
      this.#length = NO_MESSAGE;
    }
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
