/**
 * A packet: a reference-counted message, or any other range of bytes, in a buffer of a pool.
 *
 * References within a thread are counted in private, see `thread_buffers.ts`; how they go from
 * thread to thread is described at the head of `buffer_pool.ts`.
 *
 * @module
 */

import { checkHandle, type Handle, LAYOUT_VERSION } from "../memory/handle.ts";
import { checkInteger, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { Leaks } from "./leaks.ts";
import { PACKET, type ThreadBuffers } from "./thread_buffers.ts";

const KIND = "busbar.packet";

/** How many 32-bit words {@link Packet.detachInto} writes. */
export const PACKET_WORDS = 4;

/**
 * A packet on its way to another thread: a plain object that survives structured clone. It must be
 * adopted exactly once, by a thread that is attached to the pool.
 */
export interface DetachedPacket extends Handle {
  /** The identity of the pool. */
  readonly pool: number;
  /** The number of the buffer. */
  readonly buffer: number;
  /** Where in the buffer the packet begins. */
  readonly offset: number;
  /** The bytes of the packet. */
  readonly length: number;
  /** The single-use ticket that adopts the packet. */
  readonly ticket: number;
}

/** What the packets of one thread share: their pool, as that thread sees it. */
export interface PacketSource {
  /** The buffers of the thread. */
  readonly buffers: ThreadBuffers;
  /** The bytes of all buffers. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** The bytes from one buffer to the next. */
  readonly stride: number;
  /** The identity of the pool. */
  readonly pool: number;
  /** Where packets were taken, in debug mode. */
  readonly leaks: Leaks | undefined;
}

/** Calls the private constructor of {@link Packet}. */
let make: typeof makePacket;

/** Makes a packet, which takes over one reference to the buffer. */
export function makePacket(
  source: PacketSource,
  buffer: number,
  offset: number,
  length: number,
): Packet {
  return make(source, buffer, offset, length);
}

/** In place of the length of a packet that was released, detached or split. */
const GONE = -1;

/**
 * A packet: a reference-counted message, or any other range of bytes, in a buffer of a
 * {@link BufferPool}. It shows the bytes without a copy. Release it after use, by `using` or by
 * {@link Packet.release}.
 *
 * - **One reference.** Each packet holds one reference to its buffer. When the last one is
 *   released, on any thread, the buffer returns to the pool.
 * - **Shared bytes.** Several packets can lie in one buffer, and overlap. Bytes that several
 *   packets show must only be read.
 * - **Released once.** A packet that was released, detached or split is *gone*: every use of it but
 *   `using` throws a {@link ClosedError}, regardless of which thread has the buffer by then.
 * - **Adopted once.** A detached packet can be adopted by one thread, once; a second attempt throws
 *   a {@link StaleTicketError}.
 * - **Visibility.** Everything done with the bytes before a packet was detached, plain writes too,
 *   is visible to the thread that adopts it.
 *
 * @example Usage
 * ```ts
 * import { BufferPool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 4 });
 * const buffer = pool.acquire();
 * pool.bytes.set(new TextEncoder().encode("GET /index.html"), pool.offsetOf(buffer));
 *
 * using packet = pool.packet(buffer, 0, 15);
 * packet.advance(4);
 * assertEquals(new TextDecoder().decode(packet.bytes.slice()), "/index.html");
 * ```
 *
 * @example To another thread
 * ```ts
 * import { BufferPool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 4 });
 * using there = BufferPool.attach(pool.handle); // in reality in another thread
 *
 * const packet = pool.packet(pool.acquire(), 0, 8);
 * packet.bytes.fill(1);
 * const detached = packet.detach(); // worker.postMessage(detached)
 *
 * using adopted = there.adopt(detached);
 * assertEquals(adopted.bytes[0], 1);
 * ```
 */
export class Packet implements Disposable {
  readonly #source: PacketSource;
  readonly #buffer: number;
  /** Where in the buffer the packet begins. */
  #offset: number;
  /** The bytes of the packet, or {@link GONE}. */
  #length: number;

  /**
   * Made by {@link BufferPool.packet}, {@link BufferPool.sharePacket} and {@link BufferPool.adopt}.
   *
   * @ignore
   */
  private constructor(source: PacketSource, buffer: number, offset: number, length: number) {
    this.#source = source;
    this.#buffer = buffer;
    this.#offset = offset;
    this.#length = length;
    if (source.leaks !== undefined) source.leaks.addPacket(this, buffer);
  }

  static {
    make = (source, buffer, offset, length) => new Packet(source, buffer, offset, length);
  }

  /** The number of the buffer. */
  get buffer(): number {
    return this.#buffer;
  }

  /**
   * Where in the buffer the packet begins.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  get offset(): number {
    this.#check("use");
    return this.#offset;
  }

  /**
   * The bytes of the packet.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  get length(): number {
    this.#check("use");
    return this.#length;
  }

  /**
   * Where the packet begins in {@link BufferPool.bytes}.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  get byteOffset(): number {
    this.#check("use");
    return this.#buffer * this.#source.stride + this.#offset;
  }

  /**
   * A view of the bytes of the packet, a new one at each call. It must not be used after the packet
   * is gone, or written to while there are other packets of the same bytes.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    const start = this.byteOffset;
    return this.#source.bytes.subarray(start, start + this.#length);
  }

  /** Whether the packet is gone: released, detached or split. */
  get isGone(): boolean {
    return this.#length === GONE || this.#source.buffers.isClosed;
  }

  /**
   * Makes another packet of the same bytes. Both must be released.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  clone(): Packet {
    this.#check("clone");
    this.#source.buffers.retain(this.#buffer, PACKET);
    return new Packet(this.#source, this.#buffer, this.#offset, this.#length);
  }

  /**
   * Removes the first bytes: the packet begins after them.
   *
   * @param count How many bytes, up to all.
   * @throws {RangeError} If `count` is not a whole number up to the length.
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  advance(count: number): void {
    this.#check("advance");
    checkInteger("advance packet", "count", count, 0, this.#length);
    this.#offset += count;
    this.#length -= count;
  }

  /**
   * Splits the packet into several adjacent ones. This one is gone then.
   *
   * @param offsets Where the second and all further packets begin, in ascending order, from the
   * start of this one.
   * @returns One packet more than there are offsets.
   * @throws {TypeError} If `offsets` is not an array.
   * @throws {RangeError} If an offset is not a whole number from the one before to the length.
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  split(offsets: readonly number[]): Packet[] {
    this.#check("split");
    if (!Array.isArray(offsets)) {
      throw new TypeError(
        `Cannot split packet as 'offsets' must be an array: received ${describe(offsets)}`,
      );
    }
    const length = this.#length;
    let min = 0;
    for (const [i, offset] of offsets.entries()) {
      checkInteger("split packet", `offsets[${i}]`, offset, min, length);
      min = offset;
    }
    this.#source.buffers.retain(this.#buffer, PACKET, offsets.length);
    this.#leave();
    const parts: Packet[] = [];
    for (let i = 0, start = 0; i <= offsets.length; i++) {
      const end = offsets[i] ?? length;
      parts.push(new Packet(this.#source, this.#buffer, this.#offset + start, end - start));
      start = end;
    }
    return parts;
  }

  /**
   * Gives the packet away, for another thread to adopt it. This one is gone then.
   *
   * @returns The detached packet, to be sent there, for example by `postMessage`, and passed to
   * {@link BufferPool.adopt}.
   * @throws {TicketsExhaustedError} If the buffer is shared, and all tickets of this thread are in
   * flight: see `tickets` of {@link BufferPool.create}.
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  detach(): DetachedPacket {
    this.#check("detach");
    const { pool, buffers } = this.#source;
    const [buffer, offset, length] = [this.#buffer, this.#offset, this.#length];
    const ticket = buffers.detach(buffer, PACKET);
    this.#leave();
    return { kind: KIND, version: LAYOUT_VERSION, pool, buffer, offset, length, ticket };
  }

  /**
   * As {@link Packet.detach}, but writes four words, which can travel through a ring.
   *
   * @param words The array to write them to, for {@link BufferPool.adoptFrom} there.
   * @param index The index of the first of them.
   * @throws {TypeError} If `words` is not an Int32Array.
   * @throws {RangeError} If four words do not fit at `index`.
   * @throws {TicketsExhaustedError} As {@link Packet.detach}.
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  detachInto(words: Int32Array, index: number): void {
    this.#check("detach");
    checkWords("detach", words, index);
    // Mixed with the identity of the pool, so that another pool rejects the words.
    words[index + 3] = this.#source.buffers.detach(this.#buffer, PACKET) ^ this.#source.pool;
    words[index] = this.#buffer;
    words[index + 1] = this.#offset;
    words[index + 2] = this.#length;
    this.#leave();
  }

  /**
   * Drops the reference to the buffer. With the last one, on any thread, the buffer returns to the
   * pool.
   *
   * @throws {ClosedError} If the packet is gone: released, detached or split.
   */
  release(): void {
    this.#check("release");
    this.#source.buffers.release(this.#buffer, PACKET);
    this.#leave();
  }

  /** As {@link Packet.release}; does nothing if the packet is gone. */
  [Symbol.dispose](): void {
    if (!this.isGone) this.release();
  }

  /** Records that the packet is gone. */
  #leave(): void {
    this.#length = GONE;
    this.#source.leaks?.removePacket(this);
  }

  /** Throws unless the packet can be used. */
  #check(action: string): void {
    if (this.isGone) throw this.#goneError(action);
  }

  #goneError(action: string): ClosedError {
    return new ClosedError(
      this.#length === GONE
        ? `Cannot ${action} this packet of buffer ${this.#buffer} as it was released, detached or split before`
        : `Cannot ${action} this packet of buffer ${this.#buffer} as its thread has left the pool`,
    );
  }
}

/**
 * Adopts a packet that was detached.
 *
 * @throws {TypeError} If it is not a detached packet of this pool.
 * @throws {StaleTicketError} If its ticket is not in flight.
 * @throws {ClosedError} If this thread has left the pool.
 */
export function adoptPacket(source: PacketSource, detached: DetachedPacket): Packet {
  if (typeof (detached as Partial<Packet> | undefined)?.detach === "function") {
    throw new TypeError(
      "Cannot adopt as a detached packet was expected: received the packet itself, so pass what its detach() returns",
    );
  }
  checkHandle(detached, KIND);
  if (detached.pool !== source.pool) {
    throw new TypeError(
      `Cannot adopt packet as it is of another pool: expected pool ${source.pool}, received pool ${
        describe(detached.pool)
      }`,
    );
  }
  const { buffer, offset, length, ticket } = detached;
  return adoptParts(source, buffer, offset, length, ticket);
}

/** Throws unless the words of a packet fit into the array, from an index on. */
export function checkWords(action: string, words: Int32Array, index: number): void {
  // By its name, since an array of another realm, or under a checker, has another class.
  if (words?.[Symbol.toStringTag] !== "Int32Array") {
    throw new TypeError(
      `Cannot ${action} packet as 'words' must be an Int32Array: received ${describe(words)}`,
    );
  }
  const last = words.length - PACKET_WORDS;
  if (last < 0) {
    throw new RangeError(
      `Cannot ${action} packet as 'words' must have at least ${PACKET_WORDS} words: received ${words.length}`,
    );
  }
  checkInteger(`${action} packet`, "index", index, 0, last);
}

/**
 * Adopts a packet by its parts.
 *
 * @throws {TypeError} If they are not those of a packet.
 * @throws {StaleTicketError} If its ticket is not in flight.
 * @throws {ClosedError} If this thread has left the pool.
 */
export function adoptParts(
  source: PacketSource,
  buffer: number,
  offset: number,
  length: number,
  ticket: number,
): Packet {
  const end = offset + length;
  const isRange = offset >>> 0 === offset && length >>> 0 === length && end <= source.bufferBytes;
  if (!isRange || (buffer | 0) !== buffer || (ticket | 0) !== ticket) {
    throw new TypeError(
      `Cannot adopt packet as 'buffer', 'offset', 'length' and 'ticket' are not those of a packet: received ${
        [buffer, offset, length, ticket].map(describe).join(", ")
      }`,
    );
  }
  source.buffers.adopt(buffer, ticket, PACKET);
  return makePacket(source, buffer, offset, length);
}
