/**
 * A packet: a message, or any stretch of bytes, in a buffer of a pool.
 *
 * Several packets can lie in one buffer, and overlap. Each holds a reference; with the last one, on
 * whichever thread, the buffer goes back to the pool. References within a thread are counted in
 * private; how they cross threads is described at the head of `buffer_pool.ts`.
 *
 * @module
 */

import { checkHandle, type Handle } from "../memory/handle.ts";
import { checkInteger, describe } from "../memory/check.ts";
import type { Leaks } from "./leaks.ts";
import { PACKET, type ThreadBuffers } from "./thread_buffers.ts";

const KIND = "busbar.packet";
const VERSION = 1;

/** How many 32-bit words {@link Packet.detachInto} writes. */
export const PACKET_WORDS = 4;

/**
 * A packet on its way to another thread: a plain object that survives structured clone. It must be
 * received exactly once, by a thread that is attached to the pool.
 */
export interface DetachedPacket extends Handle {
  /** What the pool is known by. */
  readonly pool: number;
  /** The number of the buffer. */
  readonly buffer: number;
  /** Where in the buffer the packet begins. */
  readonly offset: number;
  /** The bytes of the packet. */
  readonly length: number;
  /** What lets one receiver in. */
  readonly ticket: number;
}

/** What packets know of one thread's part in a pool. */
export interface PacketSource {
  /** The buffers of the thread. */
  readonly buffers: ThreadBuffers;
  /** The bytes of all buffers. */
  readonly bytes: Uint8Array;
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** From one buffer to the next, in bytes. */
  readonly stride: number;
  /** What the pool is known by. */
  readonly pool: number;
  /** Where packets were taken, in a debug mode. */
  readonly leaks: Leaks | undefined;
}

/** Makes a packet; only {@link Packet} itself can. */
let make: typeof makePacket;

/** Makes a packet, to which a reference of that kind belongs. */
export function makePacket(
  source: PacketSource,
  buffer: number,
  offset: number,
  length: number,
): Packet {
  return make(source, buffer, offset, length);
}

/** The length of a packet that was released, sent or split. */
const GONE = -1;

/**
 * A packet: a message, or any stretch of bytes, in a buffer of a {@link BufferPool}, of which it
 * shows the bytes without a copy. Release it when it is not used any more, by `using` or by
 * {@link Packet.release}.
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
 * const sent = packet.detach(); // worker.postMessage(sent)
 *
 * using received = there.adopt(sent);
 * assertEquals(received.bytes[0], 1);
 * ```
 */
export class Packet implements Disposable {
  readonly #source: PacketSource;
  readonly #buffer: number;
  /** Where in the buffer the packet begins. */
  #offset: number;
  /** The bytes of the packet, or {@link GONE}. */
  #length: number;

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
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  get offset(): number {
    this.#check("use");
    return this.#offset;
  }

  /**
   * The bytes of the packet.
   *
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  get length(): number {
    this.#check("use");
    return this.#length;
  }

  /**
   * Where the packet begins in {@link BufferPool.bytes}.
   *
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  get byteOffset(): number {
    this.#check("use");
    return this.#buffer * this.#source.stride + this.#offset;
  }

  /**
   * A view of the packet in the buffer, made anew each time. It must not be used after the packet
   * was released, or written to while others have a packet of the same bytes.
   *
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  get bytes(): Uint8Array {
    const start = this.byteOffset;
    return this.#source.bytes.subarray(start, start + this.#length);
  }

  /** Whether the packet is gone: released, sent or split. */
  get isGone(): boolean {
    return this.#length === GONE || this.#source.buffers.isDisposed;
  }

  /**
   * Makes another packet of the same bytes. Both must be released.
   *
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  clone(): Packet {
    this.#check("clone");
    this.#source.buffers.retain(this.#buffer, PACKET);
    return new Packet(this.#source, this.#buffer, this.#offset, this.#length);
  }

  /**
   * Leaves out the first bytes: the packet begins after them.
   *
   * @param count How many bytes, up to all.
   * @throws {RangeError} If `count` is not a whole number up to the length.
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  advance(count: number): void {
    this.#check("advance");
    checkInteger("advance packet", "count", count, 0, this.#length);
    this.#offset += count;
    this.#length -= count;
  }

  /**
   * Splits the packet into several, end to end. This one is gone then.
   *
   * @param offsets Where the second and all further packets begin, in ascending order, from the
   * start of this one.
   * @returns One packet more than there are offsets.
   * @throws {RangeError} If an offset is not a whole number from the one before to the length.
   * @throws {Error} If the packet is gone: released, sent or split.
   */
  split(offsets: readonly number[]): Packet[] {
    this.#check("split");
    const length = this.#length;
    let least = 0;
    for (const [i, offset] of offsets.entries()) {
      checkInteger("split packet", `offsets[${i}]`, offset, least, length);
      least = offset;
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
   * Sends the packet to another thread, which must receive it. This one is gone then.
   *
   * @returns What to send, by `postMessage` say, and to hand to {@link BufferPool.receive} there.
   * @throws {Error} If the packet is gone: released, sent or split. Or if too many packets of
   * buffers that others have, too, are in flight: see `tickets` of {@link BufferPool.create}.
   */
  send(): DetachedPacket {
    this.#check("send");
    const { pool, buffers } = this.#source;
    const [buffer, offset, length] = [this.#buffer, this.#offset, this.#length];
    const ticket = buffers.send(buffer, PACKET);
    this.#leave();
    return { kind: KIND, version: VERSION, pool, buffer, offset, length, ticket };
  }

  /**
   * As {@link Packet.send}, as four words that can travel through a ring.
   *
   * @param words Where to write them, for {@link BufferPool.adoptFrom} there.
   * @param index Where in it to begin.
   * @throws {TypeError} If `words` is no Int32Array.
   * @throws {RangeError} If they do not fit.
   * @throws {Error} As {@link Packet.send}.
   */
  detachInto(words: Int32Array, index: number): void {
    this.#check("send");
    checkWords("send", words, index);
    // Mixed with the pool's identity, so that no other pool takes the words for its own.
    words[index + 3] = this.#source.buffers.send(this.#buffer, PACKET) ^ this.#source.pool;
    words[index] = this.#buffer;
    words[index + 1] = this.#offset;
    words[index + 2] = this.#length;
    this.#leave();
  }

  /**
   * Lets go of the bytes. With the last reference, on any thread, the buffer goes back to the pool.
   *
   * @throws {Error} If the packet is gone: released, sent or split.
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

  #leave(): void {
    this.#length = GONE;
    this.#source.leaks?.removePacket(this);
  }

  #check(action: string): void {
    if (this.isGone) this.#refuse(action);
  }

  #refuse(action: string): never {
    throw new Error(
      this.#length === GONE
        ? `Cannot ${action} this packet of buffer ${this.#buffer} as it was released, sent or split before`
        : `Cannot ${action} this packet of buffer ${this.#buffer} as its thread has left the pool`,
    );
  }
}

/**
 * Receives a packet that was sent.
 *
 * @throws {TypeError} If it is not one of this pool.
 * @throws {Error} If its ticket is not in flight.
 */
export function receivePacket(source: PacketSource, sent: DetachedPacket): Packet {
  checkHandle(sent, KIND, VERSION);
  if (sent.pool !== source.pool) {
    throw new TypeError(
      `Cannot receive packet as it is of another pool: expected pool ${source.pool}, received one of ${
        describe(sent.pool)
      }`,
    );
  }
  return receiveParts(source, sent.buffer, sent.offset, sent.length, sent.ticket);
}

/** Refuses words that the parts of a packet do not fit into, at an index. */
export function checkWords(action: string, words: Int32Array, index: number): void {
  // By its name, since under a checker, or of another realm, it is not of our class.
  if (words?.[Symbol.toStringTag] !== "Int32Array") {
    throw new TypeError(
      `Cannot ${action} packet as 'words' must be an Int32Array: received ${describe(words)}`,
    );
  }
  const last = words.length - PACKET_WORDS;
  if (last < 0) {
    throw new RangeError(
      `Cannot ${action} packet as 'words' must have ${PACKET_WORDS} at least: received ${words.length}`,
    );
  }
  checkInteger(`${action} packet`, "index", index, 0, last);
}

/**
 * Receives a packet by its parts.
 *
 * @throws {TypeError} If they are not those of a packet.
 * @throws {Error} If its ticket is not in flight.
 */
export function receiveParts(
  source: PacketSource,
  buffer: number,
  offset: number,
  length: number,
  ticket: number,
): Packet {
  const end = offset + length;
  const isStretch = offset >>> 0 === offset && length >>> 0 === length && end <= source.bufferBytes;
  if (!isStretch || (buffer | 0) !== buffer || (ticket | 0) !== ticket) {
    throw new TypeError(
      `Cannot receive packet as 'buffer', 'offset', 'length' and 'ticket' are not those of one: received ${
        [buffer, offset, length, ticket].map(describe).join(", ")
      }`,
    );
  }
  source.buffers.receive(buffer, ticket, PACKET);
  return makePacket(source, buffer, offset, length);
}
