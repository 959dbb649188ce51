/**
 * The one writer of a broadcast ring: claims room, fills it, and publishes; it never waits.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { CopyIn } from "./copy_in.ts";
import { ReplacedError } from "./errors.ts";
import { appendFragments, type FragmentOptions } from "./fragments.ts";
import {
  FINAL,
  FINAL_SHIFT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  frameFlags,
  type FrameOptions,
  LENGTH_MASK,
  maxMessageBytes,
} from "./frame.ts";
import type { Ring } from "./ring.ts";
import { becomeWriter, resign, takeOver } from "./succession.ts";
import { WriteCursor } from "./write_cursor.ts";

/** Options of {@link Broadcast.writer}. */
export interface WriterOptions {
  /**
   * Whether to become the writer even though the ring has one, because the thread of that one has
   * ended without closing it, or is about to end; false by default.
   *
   * Messages that the old writer published stay, others are dropped, and up to half the ring is
   * left empty. A message in several frames that was under way has a hole then: a
   * {@link Reassembler} leaves it out, and counts it, should the new writer continue it.
   *
   * If the old writer still writes, as a worker that was terminated may, it does no harm until the
   * new writer has gone through half the ring, and throws a {@link ReplacedError} as soon as it
   * publishes or comes to the next segment. So no writer should hold a claim across an `await`.
   */
  takeOver?: boolean;
}

// Local copies for the hot path: an imported binding is loaded at each use.
const WHOLE_MESSAGE = FINAL;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const SHIFT_TO_FINAL = FINAL_SHIFT;
const frameBytes = frameByteLength;

const NO_PAYLOAD = new Uint8Array(0);
const HEARTBEAT_OPTIONS: FrameOptions = { heartbeat: true };

/** In {@link BroadcastWriter.#claimed}, beside the bytes, a multiple of 8: the frame is final. */
const ENDS_MESSAGE = 1;
/** {@link BroadcastWriter.#claimed} while nothing is claimed. */
const UNCLAIMED = 0;
/** {@link BroadcastWriter.#claimed} once the writer was closed. */
const CLOSED = -1;
/** {@link BroadcastWriter.#claimed} once the writer has learned that it was replaced. */
const REPLACED = -2;

/**
 * Writes messages into a {@link Broadcast}. It never waits for a reader.
 *
 * A message becomes visible to readers when it is *published*. Many can be appended and then be
 * published together, which is much cheaper than one at a time.
 *
 * - **Never waits.** A slow reader is overrun instead, and learns how much it lost.
 * - **Visibility.** Committed messages become visible by `publish`, all at once, in order. A
 *   batch of more than half the ring is published in parts.
 * - **One writer.** A ring has one writer at a time. Another one can begin when it is closed, or
 *   take over from it.
 * - **Takeover.** A writer that was replaced gets a {@link ReplacedError} when it publishes, or
 *   comes to another segment; nothing that it writes after the takeover is seen.
 * - **End of stream.** Closing publishes the committed messages, and tells readers that the stream
 *   has ended, also those that are asleep.
 *
 * @example Usage
 * ```ts
 * import { Broadcast } from "@busbar/busbar";
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 *
 * writer.send(new TextEncoder().encode("one message, visible at once"));
 *
 * for (let i = 0; i < 10; i++) writer.append(new Uint8Array([i]), { userValue: i });
 * writer.publish(); // ten messages become visible
 *
 * const offset = writer.claim(4); // in place, without a copy
 * writer.bytes.fill(7, offset, offset + 4);
 * writer.commit();
 * writer.publish();
 * ```
 */
export class BroadcastWriter implements Disposable {
  readonly #ring: Ring;
  /** The data of the ring, for frame headers. */
  readonly #frames: Int32Array;
  readonly #maxMessageBytes: number;
  /** The word by which this writer owns the ring. */
  readonly #writer: number;
  readonly #cursor: WriteCursor;
  readonly #copyIn: CopyIn;
  /** The bytes of the claimed frame, and {@link ENDS_MESSAGE}, or one of the constants above. */
  #claimed = UNCLAIMED;

  /** @ignore Use {@link Broadcast.writer}. */
  constructor(ring: Ring, options: WriterOptions = {}) {
    checkOptions("become the writer", options);
    const start = options.takeOver === true ? takeOver(ring) : becomeWriter(ring);
    this.#ring = ring;
    this.#frames = ring.frames;
    this.#maxMessageBytes = maxMessageBytes(ring.capacityBytes);
    this.#writer = start.writer;
    this.#cursor = new WriteCursor(ring, start);
    this.#copyIn = new CopyIn(ring);
    if (options.takeOver === true) this.#markStart();
  }

  /**
   * The data of the ring, in shared memory. Payloads are written here, or through other views of
   * the same memory, at the offsets that claim returns.
   */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#ring.bytes;
  }

  /** The bytes of the longest message that fits one frame. */
  get maxMessageBytes(): number {
    return this.#maxMessageBytes;
  }

  /** The position after the last committed frame. */
  get position(): number {
    return this.#cursor.position;
  }

  /**
   * Claims room for a message of up to `length` bytes, to be filled in place.
   *
   * @param length The maximum number of bytes.
   * @returns Where in {@link BroadcastWriter.bytes} the payload goes; a multiple of 8.
   * @throws {RangeError} If `length` is not a whole number up to
   * {@link BroadcastWriter.maxMessageBytes}, or a user value does not fit 32 bits.
   * @throws {ReplacedError} If another writer has taken over.
   * @throws {ClosedError} If the writer was closed.
   * @throws {Error} If a message is claimed already.
   */
  claim(length: number, options?: FrameOptions): number {
    if (this.#claimed !== UNCLAIMED) throw this.#stateError("claim");
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const payload = this.#begin(length, flags, options);
    this.#claimed = frameBytes(length) | (flags >>> SHIFT_TO_FINAL);
    return payload;
  }

  /**
   * Ends the claimed message. It becomes visible when published.
   *
   * @param length How many of the claimed bytes are the message; all by default.
   * @throws {RangeError} If `length` is not a whole number up to the claimed length.
   * @throws {Error} If nothing is claimed.
   */
  commit(length?: number): void {
    if (this.#claimed <= UNCLAIMED) throw this.#stateError("commit");
    if (length !== undefined) this.#shorten(length);
    const claimed = this.#claimed;
    this.#claimed = UNCLAIMED;
    this.#cursor.advance(claimed & ~ENDS_MESSAGE, claimed & ENDS_MESSAGE);
  }

  /**
   * Drops the claimed message; readers never see it.
   *
   * @throws {Error} If nothing is claimed.
   */
  abort(): void {
    if (this.#claimed <= UNCLAIMED) throw this.#stateError("abort");
    this.#claimed = UNCLAIMED;
  }

  /**
   * Copies a message into the ring: claims, copies and commits. It becomes visible when published.
   *
   * @throws {TypeError} If `payload` is not made of bytes.
   * @throws As {@link BroadcastWriter.claim}.
   */
  append(payload: Uint8Array, options?: FrameOptions): void {
    const length = payload.length;
    const cursor = this.#cursor;
    const offset = cursor.offset;
    const end = offset + frameBytes(length);
    // A message that fits a segment is not too long.
    if (options !== undefined || end > cursor.limit || this.#claimed !== UNCLAIMED) {
      this.#append(payload, length, options);
      return;
    }
    this.#frames[offset >> 2] = WHOLE_MESSAGE | length;
    this.#frames[(offset >> 2) + 1] = 0;
    this.#copyIn.copy(payload, length, offset + HEADER_BYTES);
    cursor.advanceTo(end);
  }

  /**
   * Copies messages of equal length, which lie end to end in `payloads`. For small ones this is the
   * fastest way that copies.
   *
   * @param messageBytes The length of each.
   * @throws {TypeError} If `payloads` is not made of bytes.
   * @throws {RangeError} If `payloads` is not a whole number of messages.
   * @throws As {@link BroadcastWriter.claim}.
   */
  appendEqual(payloads: Uint8Array, messageBytes: number, options?: FrameOptions): void {
    if (this.#claimed !== UNCLAIMED) throw this.#stateError("append");
    checkBytes("append", "payloads", payloads);
    checkInteger("append", "messageBytes", messageBytes, 1, this.#maxMessageBytes);
    if (payloads.length % messageBytes !== 0) {
      throw new RangeError(
        `Cannot append messages of ${messageBytes} bytes as 'payloads.length' must be a multiple of that: received ${payloads.length}`,
      );
    }
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const size = frameBytes(messageBytes);
    const cursor = this.#cursor;
    for (let from = 0; from < payloads.length;) {
      // The first frame enters a segment if need be; the others follow as long as there is room.
      this.#begin(messageBytes, flags, options);
      const fitting = Math.floor((cursor.limit - cursor.offset) / size);
      const count = Math.max(1, Math.min(fitting, (payloads.length - from) / messageBytes));
      this.#copyIn.copyEqual(payloads, from, messageBytes, cursor.offset, count);
      from += count * messageBytes;
      cursor.advance(count * size, count * (flags >>> SHIFT_TO_FINAL));
    }
  }

  /**
   * Copies a message of any length, in several frames if it is long or `fragmentBytes` says so. A
   * {@link Reassembler} puts them together again. It becomes visible when published; a message of
   * more than half the ring becomes so in parts.
   *
   * @throws {RangeError} If `fragmentBytes` is not a whole number from 1 to
   * {@link BroadcastWriter.maxMessageBytes}.
   * @throws As {@link BroadcastWriter.claim}.
   */
  appendFragments(message: Uint8Array, options?: FragmentOptions): void {
    appendFragments(this, message, options);
  }

  /**
   * Makes all committed frames visible to readers, and wakes those that sleep.
   *
   * A batch of more than half the ring is published in parts while it is appended, since no reader
   * could keep up with it as a whole.
   *
   * @throws {ReplacedError} If another writer has taken over.
   * @throws {ClosedError} If the writer was closed.
   * @throws {Error} If a message is claimed.
   */
  publish(): void {
    if (this.#claimed !== UNCLAIMED) throw this.#stateError("publish");
    try {
      this.#cursor.publish();
    } catch (error) {
      this.#claimed = REPLACED;
      throw error;
    }
  }

  /**
   * Copies a message into the ring and publishes it, with all committed before it.
   *
   * @throws As {@link BroadcastWriter.append} and {@link BroadcastWriter.publish}.
   */
  send(payload: Uint8Array, options?: FrameOptions): void {
    this.append(payload, options);
    this.publish();
  }

  /**
   * Publishes a heartbeat without a payload: it wakes readers that wait, and is no message. To give
   * it a payload, append that with the option `heartbeat`.
   *
   * @throws As {@link BroadcastWriter.send}.
   */
  heartbeat(): void {
    this.send(NO_PAYLOAD, HEARTBEAT_OPTIONS);
  }

  /**
   * Publishes the committed messages, drops an open claim, and ends the stream for readers until
   * another writer begins. Closing again does nothing.
   *
   * @throws {ReplacedError} If something is committed that cannot be published as another writer
   * has taken over. The writer is closed all the same.
   */
  close(): void {
    if (this.#claimed === CLOSED) return;
    try {
      if (this.#claimed !== REPLACED) {
        this.#claimed = UNCLAIMED;
        this.publish();
      }
    } finally {
      this.#claimed = CLOSED;
      resign(this.#ring, this.#writer);
    }
  }

  /** As {@link BroadcastWriter.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** After a takeover: publishes a heartbeat, whose segment gets a mark that readers can go by. */
  #markStart(): void {
    try {
      this.heartbeat();
    } catch (error) {
      // The caller does not get this writer, and so cannot close it.
      resign(this.#ring, this.#writer);
      throw error;
    }
  }

  /** Appends in special cases: with options, in a new segment, or with a call out of order. */
  #append(payload: Uint8Array, length: number, options: FrameOptions | undefined): void {
    if (this.#claimed !== UNCLAIMED) throw this.#stateError("append");
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const offset = this.#begin(length, flags, options);
    this.#copyIn.copy(payload, length, offset);
    this.#cursor.advance(frameBytes(length), flags >>> SHIFT_TO_FINAL);
  }

  /** Finds room for a frame and writes its header; returns the offset of the payload. */
  #begin(length: number, flags: number, options: FrameOptions | undefined): number {
    if (length >>> 0 !== length || length > this.#maxMessageBytes) throw this.#lengthError(length);
    const size = frameBytes(length);
    const cursor = this.#cursor;
    if (cursor.offset + size > cursor.limit) this.#makeRoom(size);
    const offset = cursor.offset;
    this.#frames[offset >> 2] = flags | length;
    this.#frames[(offset >> 2) + 1] = options?.userValue ?? 0;
    return offset + HEADER_BYTES;
  }

  /** Makes room for a frame that ends beyond the present segment. */
  #makeRoom(size: number): void {
    try {
      this.#cursor.makeRoom(size);
    } catch (error) {
      if (error instanceof ReplacedError) this.#claimed = REPLACED;
      throw error;
    }
  }

  /** Shortens the claimed frame to one of `length` bytes. */
  #shorten(length: number): void {
    const word = this.#cursor.offset >> 2;
    const header = this.#frames[word]!;
    checkInteger("commit", "length", length, 0, header & LENGTH_MASK);
    this.#frames[word] = (header & ~LENGTH_MASK) | length;
    this.#claimed = frameByteLength(length) | (this.#claimed & ENDS_MESSAGE);
  }

  /** The error of a call that is out of order. */
  #stateError(action: string): Error {
    switch (this.#claimed) {
      case CLOSED:
        return new ClosedError(`Cannot ${action} as the writer is closed`);
      case REPLACED:
        return new ReplacedError(action);
      case UNCLAIMED:
        return new Error(`Cannot ${action} as nothing is claimed`);
      default:
        return new Error(`Cannot ${action} while a message is claimed: commit or abort it first`);
    }
  }

  #lengthError(length: number): RangeError {
    return new RangeError(
      `Cannot write a message as its length must be a whole number from 0 to ${this.#maxMessageBytes}: received ${
        describe(length)
      }`,
    );
  }
}
