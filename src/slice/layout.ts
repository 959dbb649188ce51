/**
 * The layout of a slice pool in memory: its words, and its block.
 *
 * Region (32-bit words; each line of the drawing is one cache line, except the block):
 *
 *     word  0 | magic | version | capacity, low, high | slots | identity |
 *             |  written once, before the pool is handed to another thread
 *     word 16 | living |      a bit for each slot: its slice was taken, and not released
 *     word 32 | attached |    a bit for each thread, of which thread 0 is the owner
 *     word 48 | handover |    of slot 0: which thread has its slice
 *     word 64 | handover |    of slot 1
 *       ...
 *             | block: `capacity` bytes ...
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";

/** The bytes of the block, low and high 32 bits. */
const CAPACITY: number = FIRST_WORD;
/** How many slots the block has. */
const SLOTS: number = FIRST_WORD + 2;
/** A number that tells this pool from others. */
export const IDENTITY: number = FIRST_WORD + 3;
/**
 * Which slots have a living slice, a bit for each. The owner sets a bit by `or` when it takes the
 * slice; the thread that has the slice clears it by `and` after its last access to the bytes.
 */
export const LIVING = 16;
/**
 * Which threads are attached, a bit for each: bit 0 is the owner. A thread sets its bit by `or`,
 * and clears it by `and`, which the owner does for a thread that has died.
 */
export const ATTACHED = 32;
/** The handover word of slot 0; see {@link handoverOf}. */
const HANDOVERS = 48;

/** The maximum number of slots: there is one word for all of them. */
export const MAX_SLOTS = 32;
/** The number of slots by default. */
export const DEFAULT_SLOTS = 8;
/** The maximum capacity. */
export const MAX_CAPACITY_BYTES: number = 2 ** 32;

/**
 * How many bits of a handover word name the thread that has the slice; the others are its ticket.
 *
 *      bit 31    5  4      0
 *     |  ticket   | thread  |
 */
export const THREAD_BITS = 5;
/** In place of a thread: the slice was detached, and no thread has adopted it yet. */
export const IN_FLIGHT = 31;
/** How many threads can be attached, with the owner. */
export const MAX_THREADS: number = IN_FLIGHT;

/**
 * The handover word of a slot. Changed by the thread that has the slice, which stores a new ticket
 * there when it detaches it; and by compareExchange by the thread that adopts it. It means nothing
 * while the slice was never detached.
 */
export function handoverOf(slot: number): number {
  return HANDOVERS + slot * CACHE_LINE_WORDS;
}

/** The layout of one pool. */
export class SliceLayout implements Layout {
  /** The bytes of the block. */
  readonly capacityBytes: number;
  /** How many slots it has. */
  readonly slots: number;
  /** Where the block begins, in bytes from the start of the region. */
  readonly blockByteOffset: number;
  /** The size of the region in bytes. */
  readonly byteLength: number;

  private constructor(capacityBytes: number, slots: number) {
    this.capacityBytes = capacityBytes;
    this.slots = slots;
    this.blockByteOffset = handoverOf(slots) * Int32Array.BYTES_PER_ELEMENT;
    this.byteLength = this.blockByteOffset + alignUp(capacityBytes, CACHE_LINE_BYTES);
  }

  /**
   * The layout of a new pool.
   *
   * @throws {RangeError} If no pool has this size.
   */
  static of(capacityBytes: number, slots: number): SliceLayout {
    const action = "create slice pool";
    checkInteger(action, "capacityBytes", capacityBytes, 0, MAX_CAPACITY_BYTES);
    checkInteger(action, "slots", slots, 1, MAX_SLOTS);
    return new SliceLayout(capacityBytes, slots);
  }

  /**
   * The layout that the header of a pool states.
   *
   * @throws {TypeError} If no pool has such a layout.
   */
  static read(words: Int32Array): SliceLayout {
    const capacityBytes = (words[CAPACITY + 1]! >>> 0) * 2 ** 32 + (words[CAPACITY]! >>> 0);
    const slots = words[SLOTS]!;
    if (capacityBytes > MAX_CAPACITY_BYTES || slots < 1 || slots > MAX_SLOTS) {
      throw new TypeError(
        `Cannot attach as no slice pool has ${capacityBytes} bytes in ${slots} slots`,
      );
    }
    return new SliceLayout(capacityBytes, slots);
  }

  /** Writes the header of a new pool, before the region is handed to another thread. */
  initialize(words: Int32Array, identity: number): void {
    words[CAPACITY] = this.capacityBytes;
    words[CAPACITY + 1] = this.capacityBytes / 2 ** 32;
    words[SLOTS] = this.slots;
    words[IDENTITY] = identity;
  }

  /** Names the words. */
  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY, 2];
    yield ["slots", SLOTS];
    yield ["identity", IDENTITY];
    yield ["living", LIVING];
    yield ["attached", ATTACHED];
    for (let slot = 0; slot < this.slots; slot++) yield [`handover[${slot}]`, handoverOf(slot)];
    const blockWords = (this.byteLength - this.blockByteOffset) / Int32Array.BYTES_PER_ELEMENT;
    if (blockWords > 0) yield ["block", handoverOf(this.slots), blockWords];
  }
}

/** The kind of a slice pool; the magic word is "slic". */
export const KIND: RegionKind<"busbar.slice_pool", SliceLayout> = {
  kind: "busbar.slice_pool",
  magic: 0x736c6963,
  minBytes: handoverOf(1) * Int32Array.BYTES_PER_ELEMENT,
  read: SliceLayout.read,
};
