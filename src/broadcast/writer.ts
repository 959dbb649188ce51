/**
 * The one writer of a broadcast ring: claims room, fills it, and publishes; it never waits.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import type { Broadcast } from "./broadcast.ts";
import {
  CONTINUATION,
  FINAL,
  FRAME_HEADER_BYTES,
  frameByteLength,
  largestMessage,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import {
  dataByteOffset,
  epochIndex,
  POSITION,
  POSITION_HIGH,
  POSITION_HIGH_UNIT,
  SLEEPING,
  WRITER,
} from "./layout.ts";
import { loadPosition } from "./position.ts";

/** What goes with a message. */
export interface FrameOptions {
  /** A number of the user's, from 0 to 2^32 - 1; 0 by default. */
  userValue?: number;
  /** Whether this frame ends its message; true by default. */
  final?: boolean;
  /** Whether this frame continues the one before; false by default. */
  continuation?: boolean;
}

// The hot path's own names, since an imported binding is loaded anew at each use.
const WHOLE_MESSAGE = FINAL;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const frameBytes = frameByteLength;

/** {@link BroadcastWriter.#claimed} while nothing is claimed. */
const NOTHING = 0;
/** {@link BroadcastWriter.#claimed} once the writer was disposed of. */
const DISPOSED = -1;

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
  readonly #memory: Memory;
  /** The header of the ring. */
  readonly #words: Int32Array;
  /** The data of the ring. */
  readonly #bytes: Uint8Array;
  /** The data again, for frame headers. */
  readonly #frames: Int32Array;
  readonly #capacityBytes: number;
  readonly #segmentBytes: number;
  /** The longest payload. */
  readonly #largest: number;

  /** The position at which the present lap begins. */
  #lapStart: number;
  /** Where in the lap the next frame begins; `capacity` once the lap is full. */
  #offset: number;
  /** Up to where in the lap segments are entered, so that frames may be written. */
  #limit: number;
  /** Up to which position segments are entered. */
  #frontier: number;
  /** The published position. */
  #published: number;
  /** The position from which on {@link POSITION_HIGH} must change. */
  #highEnd: number;
  /** The bytes of the claimed frame, or {@link NOTHING}, or {@link DISPOSED}. */
  #claimed: number;

  /**
   * Becomes the writer of `broadcast`; as {@link Broadcast.writer}.
   *
   * @throws {Error} If the ring has a writer.
   */
  constructor(broadcast: Broadcast) {
    const { memory, byteOffset, capacityBytes, segments } = broadcast;
    const dataOffset = byteOffset + dataByteOffset(segments);
    const words = new Int32Array(memory.buffer, byteOffset, epochIndex(segments));
    // Pairs with the store in dispose: we see all that the writer before us did.
    if (Atomics.compareExchange(words, WRITER, 0, 1) !== 0) {
      throw new Error(
        "Cannot become the writer of the broadcast as it has one: dispose of that one first",
      );
    }
    this.#memory = memory;
    this.#words = words;
    this.#bytes = new Uint8Array(memory.buffer, dataOffset, capacityBytes);
    this.#frames = new Int32Array(memory.buffer, dataOffset, capacityBytes / 4);
    this.#capacityBytes = capacityBytes;
    this.#segmentBytes = capacityBytes / segments;
    this.#largest = largestMessage(capacityBytes);

    const position = loadPosition(words);
    this.#published = position;
    this.#highEnd = (Math.floor(position / POSITION_HIGH_UNIT) + 1) * POSITION_HIGH_UNIT;
    this.#offset = position % capacityBytes;
    this.#lapStart = position - this.#offset;
    this.#frontier = this.#findFrontier(position);
    this.#limit = Math.min(this.#frontier - this.#lapStart, capacityBytes);
    this.#claimed = NOTHING;
  }

  /** The data of the ring; payloads are written here at the offsets that claim returns. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The bytes of the longest message. */
  get largestMessage(): number {
    return this.#largest;
  }

  /** The position after the last committed message. */
  get position(): number {
    return this.#lapStart + this.#offset;
  }

  /**
   * Takes room for a message of up to `length` bytes, to be filled in place.
   *
   * @returns Where in {@link BroadcastWriter.bytes} the payload goes; a multiple of 8.
   * @throws {RangeError} If `length` is not a whole number up to
   * {@link BroadcastWriter.largestMessage}, or a user value does not fit 32 bits.
   * @throws {Error} If a message is claimed already, or the writer was disposed of.
   */
  claim(length: number, options?: FrameOptions): number {
    if (this.#claimed !== NOTHING) this.#refuse("claim");
    const payload = this.#begin(length, options);
    this.#claimed = frameBytes(length);
    return payload;
  }

  /**
   * Ends the claimed message. It is visible once published.
   *
   * @param length How many of the claimed bytes are the message; all by default.
   * @throws {RangeError} If `length` is not a whole number up to what was claimed.
   * @throws {Error} If nothing is claimed, or the writer was disposed of.
   */
  commit(length?: number): void {
    if (this.#claimed <= NOTHING) this.#refuse("commit");
    if (length !== undefined) this.#shorten(length);
    this.#offset += this.#claimed;
    this.#claimed = NOTHING;
  }

  /**
   * Gives the claimed message up; readers never see it.
   *
   * @throws {Error} If nothing is claimed, or the writer was disposed of.
   */
  abort(): void {
    if (this.#claimed <= NOTHING) this.#refuse("abort");
    this.#claimed = NOTHING;
  }

  /**
   * Copies a message into the ring: claim, copy and commit. It is visible once published.
   *
   * @throws As {@link BroadcastWriter.claim}.
   */
  append(payload: Uint8Array, options?: FrameOptions): void {
    if (this.#claimed !== NOTHING) this.#refuse("append");
    const length = payload.length;
    const offset = this.#begin(length, options);
    this.#bytes.set(payload, offset);
    this.#offset += frameBytes(length);
  }

  /**
   * Makes all committed messages visible to readers, and wakes those that sleep.
   *
   * A batch of more than half the ring is published in parts as it is appended, since no reader
   * could keep up with it as a whole.
   *
   * @throws {Error} If a message is claimed, or the writer was disposed of.
   */
  publish(): void {
    if (this.#claimed !== NOTHING) this.#refuse("publish");
    const position = this.#lapStart + this.#offset;
    if (position === this.#published) return;
    if (position >= this.#highEnd) this.#raiseHigh();
    this.#published = position;
    // Publishes all frames before it: pairs with the reader's load of the position. Finds the mark
    // of any reader that set it before; one that comes later finds the new position.
    const before = Atomics.exchange(this.#words, POSITION, position | 0);
    if ((before & SLEEPING) !== 0) this.#memory.notify(this.#words, POSITION);
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
   * Publishes what is committed, gives an open claim up, and lets another become the writer.
   * Doing it again does nothing.
   */
  [Symbol.dispose](): void {
    if (this.#claimed === DISPOSED) return;
    this.#claimed = NOTHING;
    this.publish();
    this.#claimed = DISPOSED;
    // Pairs with the compareExchange of the next writer.
    Atomics.store(this.#words, WRITER, 0);
  }

  /** Finds room for a frame and writes its header; returns the offset of the payload. */
  #begin(length: number, options: FrameOptions | undefined): number {
    if (length >>> 0 !== length || length > this.#largest) this.#refuseLength(length);
    const header = options === undefined ? WHOLE_MESSAGE : frameFlags(options);
    const size = frameBytes(length);
    if (this.#offset + size > this.#limit) this.#makeRoom(size);
    const word = this.#offset >> 2;
    this.#frames[word] = header | length;
    this.#frames[word + 1] = options?.userValue ?? 0;
    return this.#offset + HEADER_BYTES;
  }

  /** Goes on to the next lap if the frame does not fit this one, and enters its segments. */
  #makeRoom(size: number): void {
    if (this.position - this.#published > this.#capacityBytes / 2) this.publish();
    if (this.position + this.#capacityBytes > Number.MAX_SAFE_INTEGER) {
      throw new RangeError("Cannot claim as the ring has carried 2^53 bytes: create another");
    }
    const rest = this.#capacityBytes - this.#offset;
    const lapEnd = this.position + rest;
    const wraps = size > rest;
    this.#enter((wraps ? lapEnd : this.position) + size);
    if (wraps) {
      if (rest > 0) this.#frames[this.#offset >> 2] = PADDING | (rest - FRAME_HEADER_BYTES);
      this.#lapStart = lapEnd;
      this.#offset = 0;
    }
    this.#limit = Math.min(this.#frontier - this.#lapStart, this.#capacityBytes);
  }

  /** Enters every segment that begins before `end`, in order. */
  #enter(end: number): void {
    while (this.#frontier < end) {
      // Before the first byte is overwritten; pairs with the reader's validation: either that came
      // first, and its copy happens before all we write here, or it sees this and discards.
      Atomics.add(this.#words, this.#epochAt(this.#frontier), 1);
      this.#frontier += this.#segmentBytes;
    }
  }

  /** Finds up to where the writer before us entered segments, which may be past `position`. */
  #findFrontier(position: number): number {
    let frontier = position - position % this.#segmentBytes;
    for (;;) {
      const entered = (Math.floor(frontier / this.#capacityBytes) + 1) | 0;
      if (Atomics.load(this.#words, this.#epochAt(frontier)) !== entered) return frontier;
      frontier += this.#segmentBytes;
    }
  }

  /** The word of the epoch of the segment at `position`. */
  #epochAt(position: number): number {
    return epochIndex((position % this.#capacityBytes) / this.#segmentBytes);
  }

  /** The position is about to pass a multiple of the unit of its high word. */
  #raiseHigh(): void {
    const high = this.#highEnd / POSITION_HIGH_UNIT;
    // Before the position, so that it is never behind: see position.ts.
    Atomics.store(this.#words, POSITION_HIGH, high);
    this.#highEnd += POSITION_HIGH_UNIT;
  }

  /** Makes the claimed frame one of `length` bytes. */
  #shorten(length: number): void {
    const word = this.#offset >> 2;
    const claimed = this.#frames[word]! & LENGTH_MASK;
    checkInteger("commit", "length", length, 0, claimed);
    this.#frames[word] = (this.#frames[word]! & ~LENGTH_MASK) | length;
    this.#claimed = frameByteLength(length);
  }

  #refuse(action: string): never {
    if (this.#claimed === DISPOSED) {
      throw new Error(`Cannot ${action} as the writer was disposed of`);
    }
    if (this.#claimed === NOTHING) {
      throw new Error(`Cannot ${action} as nothing is claimed`);
    }
    throw new Error(`Cannot ${action} while a message is claimed: commit or abort it first`);
  }

  #refuseLength(length: number): never {
    throw new RangeError(
      `Cannot write a message as its length must be a whole number from 0 to ${this.#largest}: received ${
        describe(length)
      }`,
    );
  }
}

/** The first word of a frame with these options, but for its length. */
function frameFlags(options: FrameOptions): number {
  const { userValue = 0, final = true, continuation = false } = options;
  if (userValue >>> 0 !== userValue) {
    throw new RangeError(
      `Cannot write a message as 'userValue' must be a whole number from 0 to 4294967295: received ${
        describe(userValue)
      }`,
    );
  }
  return (final ? FINAL : 0) | (continuation ? CONTINUATION : 0);
}
