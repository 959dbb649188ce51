/**
 * The one writer of a broadcast ring: claims room, fills it, and publishes; it never waits.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { Broadcast } from "./broadcast.ts";
import { CopyIn } from "./copy_in.ts";
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
import { lastPosition } from "./layout.ts";
import { Publication } from "./publication.ts";
import { Ring } from "./ring.ts";
import { giveUp, replacedError, succeed, takeOver } from "./succession.ts";
import { Track } from "./track.ts";

export type { FragmentOptions, FrameOptions };

/** Options of {@link Broadcast.writer}. */
export interface WriterOptions {
  /**
   * Whether to become the writer even though the ring has one, because that one's thread has ended
   * without disposing of it, or is about to end; false by default.
   *
   * What the old writer published stays, what it did not publish is dropped, and up to half the ring
   * is left empty. So a message in several frames that was under way then has a hole: a
   * {@link Reassembler} leaves it out, and counts it, should the new writer go on with it.
   *
   * Should the old writer still write, as a worker that was terminated may, that harms nobody until
   * the new writer has gone through half the ring, and it throws as soon as it publishes or comes to
   * the next segment. So let no writer hold a claim across an `await`.
   */
  takeOver?: boolean;
}

// The hot path's own names, since an imported binding is loaded anew at each use.
const WHOLE_MESSAGE = FINAL;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const SHIFT_TO_FINAL = FINAL_SHIFT;
const frameBytes = frameByteLength;

const EMPTY = new Uint8Array(0);
const SIGN_OF_LIFE: FrameOptions = { heartbeat: true };

/** In {@link BroadcastWriter.#claimed}, beside bytes that are a multiple of 8: is it final. */
const ENDS_MESSAGE = 1;
/** {@link BroadcastWriter.#claimed} while nothing is claimed. */
const NOTHING = 0;
/** {@link BroadcastWriter.#claimed} once the writer was disposed of. */
const DISPOSED = -1;
/** {@link BroadcastWriter.#claimed} once the writer found that it was replaced. */
const REPLACED = -2;

/**
 * Writes messages into a {@link Broadcast}. It never waits for a reader.
 *
 * A message becomes visible to readers when it is *published*; many can be appended and then be
 * published at once, which is much cheaper than one at a time.
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
  /** The longest payload. */
  readonly #largest: number;
  /** Who we are, by which we give the ring up. */
  readonly #writer: number;
  readonly #track: Track;
  readonly #payloads: CopyIn;
  readonly #publication: Publication;
  /** The bytes of the claimed frame, and {@link ENDS_MESSAGE}, or one of the constants above. */
  #claimed = NOTHING;

  /**
   * Becomes the writer of `broadcast`; as {@link Broadcast.writer}.
   *
   * @throws {Error} If the ring has a writer, and this is not to take over.
   * @throws {RangeError} If it is to take over a ring that has carried 2^53 bytes.
   */
  constructor(broadcast: Broadcast, options: WriterOptions = {}) {
    checkOptions("become the writer", options);
    const ring = new Ring(broadcast);
    const seat = options.takeOver === true ? takeOver(ring) : succeed(ring);
    this.#ring = ring;
    this.#frames = ring.frames;
    this.#largest = maxMessageBytes(ring.capacityBytes);
    this.#writer = seat.writer;
    this.#track = new Track(ring, seat);
    this.#payloads = new CopyIn(ring);
    this.#publication = new Publication(ring, this.#track, seat.tag);
    if (options.takeOver === true) this.#markPlace();
  }

  /**
   * The data of the ring; payloads are written here, or through other views of the same memory, at
   * the offsets that claim returns.
   */
  get bytes(): Uint8Array {
    return this.#ring.bytes;
  }

  /** The bytes of the longest message that goes in one frame. */
  get maxMessageBytes(): number {
    return this.#largest;
  }

  /** The position after the last committed frame. */
  get position(): number {
    return this.#track.position;
  }

  /**
   * Takes room for a message of up to `length` bytes, to be filled in place.
   *
   * @returns Where in {@link BroadcastWriter.bytes} the payload goes; a multiple of 8.
   * @throws {RangeError} If `length` is not a whole number up to
   * {@link BroadcastWriter.maxMessageBytes}, or a user value does not fit 32 bits.
   * @throws {Error} If a message is claimed already, the writer was disposed of, or another has
   * taken over.
   */
  claim(length: number, options?: FrameOptions): number {
    if (this.#claimed !== NOTHING) this.#refuse("claim");
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const payload = this.#begin(length, flags, options);
    this.#claimed = frameBytes(length) | (flags >>> SHIFT_TO_FINAL);
    return payload;
  }

  /**
   * Ends the claimed message. It is visible once published.
   *
   * @param length How many of the claimed bytes are the message; all by default.
   * @throws {RangeError} If `length` is not a whole number up to what was claimed.
   * @throws {Error} If nothing is claimed.
   */
  commit(length?: number): void {
    if (this.#claimed <= NOTHING) this.#refuse("commit");
    if (length !== undefined) this.#shorten(length);
    const claimed = this.#claimed;
    this.#claimed = NOTHING;
    this.#end(claimed & ~ENDS_MESSAGE, claimed & ENDS_MESSAGE);
  }

  /**
   * Gives the claimed message up; readers never see it.
   *
   * @throws {Error} If nothing is claimed.
   */
  abort(): void {
    if (this.#claimed <= NOTHING) this.#refuse("abort");
    this.#claimed = NOTHING;
  }

  /**
   * Copies a message into the ring: claim, copy and commit. It is visible once published.
   *
   * @throws {TypeError} If `payload` is not made of bytes.
   * @throws As {@link BroadcastWriter.claim}.
   */
  append(payload: Uint8Array, options?: FrameOptions): void {
    const length = payload.length;
    const track = this.#track;
    const offset = track.offset;
    const end = offset + frameBytes(length);
    // What fits a segment is not too long.
    if (options !== undefined || end > track.limit || this.#claimed !== NOTHING) {
      this.#append(payload, length, options);
      return;
    }
    this.#frames[offset >> 2] = WHOLE_MESSAGE | length;
    this.#frames[(offset >> 2) + 1] = 0;
    this.#payloads.copy(payload, length, offset + HEADER_BYTES);
    track.ended = (track.ended + 1) | 0;
    track.offset = end;
  }

  /**
   * Copies messages of equal length, which stand one after the other in `payloads`. For small ones
   * this is the fastest way that copies.
   *
   * @param messageBytes The length of each.
   * @throws {TypeError} If `payloads` is not made of bytes.
   * @throws {RangeError} If `payloads` is not a whole number of messages.
   * @throws As {@link BroadcastWriter.claim}.
   */
  appendEqual(payloads: Uint8Array, messageBytes: number, options?: FrameOptions): void {
    if (this.#claimed !== NOTHING) this.#refuse("append");
    checkBytes("append", "payloads", payloads);
    checkInteger("append", "messageBytes", messageBytes, 1, this.#largest);
    if (payloads.length % messageBytes !== 0) {
      throw new RangeError(
        `Cannot append messages of ${messageBytes} bytes as 'payloads.length' must be a multiple of that: received ${payloads.length}`,
      );
    }
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const size = frameBytes(messageBytes);
    const track = this.#track;
    for (let from = 0; from < payloads.length;) {
      // The first one enters a segment if need be; the others follow while it lasts.
      this.#begin(messageBytes, flags, options);
      const fitting = Math.floor((track.limit - track.offset) / size);
      const count = Math.max(1, Math.min(fitting, (payloads.length - from) / messageBytes));
      this.#payloads.copyEqual(payloads, from, messageBytes, track.offset, count);
      from += count * messageBytes;
      this.#end(count * size, count * (flags >>> SHIFT_TO_FINAL));
    }
  }

  /**
   * Copies a message of any length, in several frames if it is long or `fragmentBytes` says so. A
   * {@link Reassembler} makes one of them again. It is visible once published; one of more than half
   * the ring becomes so in parts.
   *
   * @throws {RangeError} If `fragmentBytes` is not a whole number from 1 to
   * {@link BroadcastWriter.maxMessageBytes}.
   * @throws As {@link BroadcastWriter.claim}.
   */
  appendFragments(message: Uint8Array, options: FragmentOptions = {}): void {
    appendFragments(this, message, options);
  }

  /**
   * Makes all committed frames visible to readers, and wakes those that sleep.
   *
   * A batch of more than half the ring is published in parts as it is appended, since no reader
   * could keep up with it as a whole.
   *
   * @throws {Error} If a message is claimed, the writer was disposed of, or another has taken over.
   */
  publish(): void {
    if (this.#claimed !== NOTHING) this.#refuse("publish");
    try {
      this.#publication.advance();
    } catch (error) {
      this.#claimed = REPLACED;
      throw error;
    }
  }

  /**
   * Copies a message into the ring and publishes it, with all committed before it.
   *
   * @throws As {@link BroadcastWriter.claim}.
   */
  send(payload: Uint8Array, options?: FrameOptions): void {
    this.append(payload, options);
    this.publish();
  }

  /**
   * Publishes a heartbeat without a payload: it wakes readers that wait, and is no message. For one
   * with a payload, append it with the option `heartbeat`.
   *
   * @throws As {@link BroadcastWriter.claim}.
   */
  heartbeat(): void {
    this.send(EMPTY, SIGN_OF_LIFE);
  }

  /**
   * Publishes what is committed, gives an open claim up, and lets another become the writer.
   * Doing it again does nothing.
   *
   * @throws {Error} If something is committed that cannot be published as another has taken over.
   */
  [Symbol.dispose](): void {
    if (this.#claimed === DISPOSED) return;
    try {
      if (this.#claimed !== REPLACED) {
        this.#claimed = NOTHING;
        this.publish();
      }
    } finally {
      this.#claimed = DISPOSED;
      giveUp(this.#ring.words, this.#writer);
    }
  }

  /** After taking over: makes a mark in its own segment by which others find their place. */
  #markPlace(): void {
    try {
      this.heartbeat();
    } catch (error) {
      // Nobody has this writer, who could dispose of it.
      giveUp(this.#ring.words, this.#writer);
      throw error;
    }
  }

  /** Appends where something is special: options, a new segment, or a call out of order. */
  #append(payload: Uint8Array, length: number, options: FrameOptions | undefined): void {
    if (this.#claimed !== NOTHING) this.#refuse("append");
    const flags = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const offset = this.#begin(length, flags, options);
    this.#payloads.copy(payload, length, offset);
    this.#end(frameBytes(length), flags >>> SHIFT_TO_FINAL);
  }

  /** Finds room for a frame and writes its header; returns the offset of the payload. */
  #begin(length: number, flags: number, options: FrameOptions | undefined): number {
    if (length >>> 0 !== length || length > this.#largest) this.#refuseLength(length);
    const size = frameBytes(length);
    const track = this.#track;
    if (track.offset + size > track.limit) this.#makeRoom(size);
    const offset = track.offset;
    this.#frames[offset >> 2] = flags | length;
    this.#frames[(offset >> 2) + 1] = options?.userValue ?? 0;
    return offset + HEADER_BYTES;
  }

  /** Ends frames of `size` bytes together, with which so many messages end. */
  #end(size: number, messages: number): void {
    const track = this.#track;
    track.ended = (track.ended + messages) | 0;
    track.offset += size;
    if (track.offset > track.limit) track.cross();
  }

  /** Goes on to the next segment, or lap, if a frame goes beyond this one. */
  #makeRoom(size: number): void {
    const track = this.#track;
    const { capacityBytes } = this.#ring;
    if (track.position > lastPosition(capacityBytes)) {
      throw new RangeError("Cannot claim as the ring has carried 2^53 bytes: create another");
    }
    // Entering no more than half the ring past what is published leaves marks that readers can use.
    const taken = this.#publication.pendingBytes + track.sizeWithPadding(size);
    if (taken > capacityBytes / 2) this.publish();
    try {
      track.makeRoom(size);
    } catch (error) {
      this.#claimed = REPLACED;
      throw error;
    }
  }

  /** Makes the claimed frame one of `length` bytes. */
  #shorten(length: number): void {
    const word = this.#track.offset >> 2;
    const header = this.#frames[word]!;
    checkInteger("commit", "length", length, 0, header & LENGTH_MASK);
    this.#frames[word] = (header & ~LENGTH_MASK) | length;
    this.#claimed = frameByteLength(length) | (this.#claimed & ENDS_MESSAGE);
  }

  #refuse(action: string): never {
    switch (this.#claimed) {
      case DISPOSED:
        throw new Error(`Cannot ${action} as the writer was disposed of`);
      case REPLACED:
        throw replacedError(action);
      case NOTHING:
        throw new Error(`Cannot ${action} as nothing is claimed`);
      default:
        throw new Error(`Cannot ${action} while a message is claimed: commit or abort it first`);
    }
  }

  #refuseLength(length: number): never {
    throw new RangeError(
      `Cannot write a message as its length must be a whole number from 0 to ${this.#largest}: received ${
        describe(length)
      }`,
    );
  }
}
