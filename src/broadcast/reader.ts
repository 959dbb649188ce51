/**
 * A reader of a broadcast ring: takes batches, validates them, and shows their messages.
 *
 * The protocol is described at the head of `broadcast.ts`.
 *
 * @module
 */

import { checkInteger } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import type { Broadcast } from "./broadcast.ts";
import {
  CONTINUATION,
  FINAL,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  frameByteLength,
  LENGTH_MASK,
  PADDING,
} from "./frame.ts";
import { dataByteOffset, epochIndex, POSITION, SLEEPING } from "./layout.ts";
import { OverrunError } from "./overrun_error.ts";
import { loadPosition } from "./position.ts";
import { type WaitOptions, waitWhileAt, waitWhileAtAsync } from "./waiting.ts";

/** Options of {@link Broadcast.reader}. */
export interface ReaderOptions {
  /**
   * Where to begin: at what is published next (`latest`, by default), at the beginning of the lap
   * that the writer is in (`oldest`), or at a position at which a message begins.
   */
  from?: "latest" | "oldest" | number;
  /** How many bytes to take out of the ring at once; 64 KiB by default, or the whole ring. */
  batchBytes?: number;
}

// The hot path's own names, since an imported binding is loaded anew at each use.
const LENGTH = LENGTH_MASK;
const PAD = PADDING;
const HEADER_BYTES = FRAME_HEADER_BYTES;
const frameBytes = frameByteLength;

const DEFAULT_BATCH_BYTES = 64 * 1024;

/** Up to this many bytes, words in a loop are faster than making a view and copying by it. */
const WORD_COPY_BYTES = 128;

/**
 * Reads messages from a {@link Broadcast}, at its own pace. Readers know nothing of one another.
 *
 * A batch is copied out of the ring at once and validated before any of it is looked at. A reader
 * that was too slow gets an {@link OverrunError}, which says what it lost, and goes on with what is
 * published next.
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
 */
export class BroadcastReader implements AsyncIterable<Uint8Array> {
  readonly #memory: Memory;
  /** The header of the ring. */
  readonly #words: Int32Array;
  /** The data of the ring. */
  readonly #data: Uint8Array;
  /** The data again, as words. */
  readonly #dataWords: Int32Array;
  readonly #capacityBytes: number;
  readonly #segmentBytes: number;

  /** How much to take at once; grows if a message is longer. */
  #batchBytes: number;
  /** Private memory: the batch that was copied out of the ring. */
  #bytes: Uint8Array;
  /** The batch again, as words. */
  #frames: Int32Array;
  /** The position at which the batch begins. */
  #start: number;
  /** Where in the batch the next frame begins. */
  #cursor = 0;
  /** Where the batch ends. */
  #end = 0;
  /** Where in the batch the present message begins. */
  #offset = FRAME_HEADER_BYTES;
  /** The bytes of the present message. */
  #length = 0;

  /** Whether a wait found that the reader was overrun, which poll has yet to say. */
  #isLapped = false;
  #overruns = 0;
  #lostBytes = 0;

  /**
   * Makes a reader of `broadcast`; as {@link Broadcast.reader}.
   *
   * @throws {RangeError} If the position to begin at is not one of a frame between the start of the
   * ring and what is published, or `batchBytes` is no whole number from 8 up.
   */
  constructor(broadcast: Broadcast, options: ReaderOptions = {}) {
    const { memory, byteOffset, capacityBytes, segments, startPosition } = broadcast;
    const { from = "latest", batchBytes = Math.min(DEFAULT_BATCH_BYTES, capacityBytes) } = options;
    checkInteger("create reader", "batchBytes", batchBytes, FRAME_ALIGNMENT, capacityBytes);
    const dataOffset = byteOffset + dataByteOffset(segments);
    this.#memory = memory;
    this.#words = new Int32Array(memory.buffer, byteOffset, epochIndex(segments));
    this.#data = new Uint8Array(memory.buffer, dataOffset, capacityBytes);
    this.#dataWords = new Int32Array(memory.buffer, dataOffset, capacityBytes / 4);
    this.#capacityBytes = capacityBytes;
    this.#segmentBytes = capacityBytes / segments;

    this.#batchBytes = batchBytes & -FRAME_ALIGNMENT;
    this.#bytes = new Uint8Array(this.#batchBytes);
    this.#frames = new Int32Array(this.#bytes.buffer);

    const published = loadPosition(this.#words);
    if (from === "latest") {
      this.#start = published;
    } else if (from === "oldest") {
      // Frames never wrap, so one begins where a lap does.
      const intoLap = published % capacityBytes || capacityBytes;
      this.#start = Math.max(startPosition, published - intoLap);
    } else {
      checkInteger("create reader", "from", from, startPosition, published);
      if (from % FRAME_ALIGNMENT !== 0) {
        throw new RangeError(
          `Cannot create reader as 'from' must be a multiple of ${FRAME_ALIGNMENT}: received ${from}`,
        );
      }
      this.#start = from;
    }
  }

  /**
   * The batch. The present message is `length` bytes from `offset` on. Valid until the next poll,
   * which may also replace the array.
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where in {@link BroadcastReader.bytes} the present message begins; a multiple of 8. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes of the present message. */
  get length(): number {
    return this.#length;
  }

  /** The user value of the present message. */
  get userValue(): number {
    return this.#frames[(this.#offset - 4) >> 2]! >>> 0;
  }

  /** Whether the present frame ends its message. */
  get isFinal(): boolean {
    return (this.#frames[(this.#offset - FRAME_HEADER_BYTES) >> 2]! & FINAL) !== 0;
  }

  /** Whether the present frame continues the one before. */
  get isContinuation(): boolean {
    return (this.#frames[(this.#offset - FRAME_HEADER_BYTES) >> 2]! & CONTINUATION) !== 0;
  }

  /** The position of the next message. */
  get position(): number {
    return this.#start + this.#cursor;
  }

  /** How many bytes this reader is behind what is published. */
  get lagBytes(): number {
    return loadPosition(this.#words) - this.position;
  }

  /** How often this reader was overrun. */
  get overruns(): number {
    return this.#overruns;
  }

  /** How many bytes, headers included, this reader lost to overruns. */
  get lostBytes(): number {
    return this.#lostBytes;
  }

  /**
   * Takes the next batch out of the ring; {@link BroadcastReader.next} then goes through it.
   * What was left of the batch before is taken again, so nothing is skipped.
   *
   * @returns Whether there is a message.
   * @throws {OverrunError} If the writer overwrote what comes next.
   * @throws {RangeError} If no frame begins at the position that this reader was started from.
   */
  poll(): boolean {
    for (;;) {
      const position = this.#start + this.#cursor;
      // Pairs with the writer's exchange: frames before the position are whole.
      const published = Atomics.load(this.#words, POSITION) & ~SLEEPING;
      const available = (published - position) | 0;
      this.#start = position;
      this.#cursor = 0;
      this.#end = 0;
      if (available === 0) {
        // A multiple of 2^32 bytes behind looks like none, but a wait has noticed.
        if (this.#isLapped) this.#overrun();
        return false;
      }
      // Negative is more than 2^31 behind.
      if (available >>> 0 > this.#capacityBytes) this.#overrun();

      const from = position & (this.#capacityBytes - 1);
      const size = Math.min(available, this.#batchBytes, this.#capacityBytes - from);
      beginSpeculation();
      this.#copy(from, size);
      const kept = this.#validate(position);
      endSpeculation(kept);
      if (!kept) this.#overrun();

      const header = this.#frames[0]!;
      const first = frameByteLength(header & LENGTH_MASK);
      if (first > available) this.#refuseFrame(first);
      if ((header & PADDING) !== 0) {
        this.#start += first;
      } else if (first > size) {
        this.#grow(first);
      } else {
        this.#end = size;
        return true;
      }
    }
  }

  /**
   * Goes on to the next message of the batch.
   *
   * @returns Whether there is one.
   */
  next(): boolean {
    const cursor = this.#cursor;
    if (cursor >= this.#end) return false;
    const header = this.#frames[cursor >> 2]!;
    const length = header & LENGTH;
    const end = cursor + frameBytes(length);
    if (end > this.#end || (header & PAD) !== 0) {
      // The rest is padding, or the beginning of a message that the next poll takes whole.
      this.#end = cursor;
      return false;
    }
    this.#offset = cursor + HEADER_BYTES;
    this.#length = length;
    this.#cursor = end;
    return true;
  }

  /** The present message: a view that is valid until the next poll. */
  message(): Uint8Array {
    return this.#bytes.subarray(this.#offset, this.#offset + this.#length);
  }

  /**
   * Copies the present message to the beginning of `target`.
   *
   * @returns How many bytes it has.
   * @throws {RangeError} If `target` is too short.
   */
  receive(target: Uint8Array): number {
    if (target.length < this.#length) {
      throw new RangeError(
        `Cannot receive a message of ${this.#length} bytes: received a target of ${target.length}`,
      );
    }
    target.set(this.message());
    return this.#length;
  }

  /**
   * Blocks until something is published after {@link BroadcastReader.position}.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether there is something to poll, be it that the reader was overrun.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(timeoutMs: number = Infinity): boolean {
    return this.#isBehind(waitWhileAt(this.#memory, this.#words, this.position, timeoutMs));
  }

  /**
   * Waits, without blocking, until something is published after
   * {@link BroadcastReader.position}. The process stays alive meanwhile.
   *
   * @returns Whether there is something to poll, be it that the reader was overrun.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async waitAsync(options: WaitOptions = {}): Promise<boolean> {
    return this.#isBehind(
      await waitWhileAtAsync(this.#memory, this.#words, this.position, options),
    );
  }

  /**
   * Iterates over messages as they come. Each is a view that is valid until the next is asked for;
   * user value and flags are read from the reader meanwhile.
   *
   * An {@link OverrunError} ends the iteration; another one goes on from where the reader then is.
   *
   * @param options Ends the iteration with the signal's reason once it is aborted.
   */
  async *messages(options: Pick<WaitOptions, "signal"> = {}): AsyncGenerator<Uint8Array> {
    const { signal } = options;
    for (;;) {
      while (this.next()) {
        yield this.message();
        signal?.throwIfAborted();
      }
      if (!this.poll()) await this.waitAsync(options);
    }
  }

  /** As {@link BroadcastReader.messages}, for ever. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.messages();
  }

  /** Copies `size` bytes of the ring; the writer may be overwriting them. */
  #copy(from: number, size: number): void {
    if (size > WORD_COPY_BYTES) {
      this.#bytes.set(this.#data.subarray(from, from + size));
      return;
    }
    const source = this.#dataWords;
    const target = this.#frames;
    const first = from >> 2;
    const count = size >> 2;
    for (let i = 0; i < count; i++) target[i] = source[first + i]!;
  }

  /** Says whether what was copied from `position` on was not overwritten meanwhile. */
  #validate(position: number): boolean {
    const segment = ((position & (this.#capacityBytes - 1)) / this.#segmentBytes) | 0;
    const lap = Math.floor(position / this.#capacityBytes);
    // Pairs with the writer's add on entering the segment. A load would not do: only a
    // read-modify-write is either read by the writer's, and so before it, or sees it.
    return Atomics.add(this.#words, epochIndex(segment), 0) === ((lap + 1) | 0);
  }

  /** Says whether a wait found that we are behind, and remembers if we were overrun. */
  #isBehind(bytes: number): boolean {
    this.#isLapped = bytes > this.#capacityBytes;
    return bytes > 0;
  }

  /** Makes room for a first frame of `size` bytes, which is bounded by the largest message. */
  #grow(size: number): void {
    this.#batchBytes = 2 ** (32 - Math.clz32(size - 1));
    this.#bytes = new Uint8Array(this.#batchBytes);
    this.#frames = new Int32Array(this.#bytes.buffer);
  }

  /** Goes on at the present, and says so. */
  #overrun(): never {
    const position = this.position;
    const resumedAt = loadPosition(this.#words);
    this.#start = resumedAt;
    this.#cursor = 0;
    this.#end = 0;
    this.#isLapped = false;
    this.#overruns++;
    this.#lostBytes += resumedAt - position;
    throw new OverrunError(position, resumedAt);
  }

  #refuseFrame(size: number): never {
    throw new RangeError(
      `Cannot read at position ${this.position} as no frame begins there: found one of ${size} bytes`,
    );
  }
}
