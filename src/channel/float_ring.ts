/**
 * A ring of samples from one thread to another: whole blocks of floats, no wait, no allocation.
 *
 * Layout (32-bit words, each line of the drawing is one or more cache lines):
 *
 *     word  0 | magic | version | capacity |   written once, before another thread has it
 *     word 16 | pushed |                       how many samples were pushed: stored by the pusher
 *     word 32 | popped |                       how many were popped: stored by the popper
 *     word 48 | samples ...                    written by the pusher, read by the popper
 *
 * **Pushing.** If there is room, which the pusher tells from both counts, it writes the samples and
 * then stores its count. The popper loads that, and so finds the samples written; it reads them,
 * and then stores its own count, which the pusher loads before it writes there again. Each thread
 * reads its own count plainly, and loads the other's only if what it knows of that is not enough.
 *
 * **Counts** wrap at 2^32, and are compared by subtraction: they are never further apart than the
 * ring is long, which is at most 2^28.
 *
 * Proven by: tests/channel/float_ring_model_test.ts.
 *
 * @module
 */

import { checkOptions, checkPowerOfTwo, describe } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import {
  FIRST_WORD,
  type Label,
  type Layout,
  Region,
  type RegionHandle,
  type RegionKind,
} from "../memory/region.ts";

const CAPACITY = FIRST_WORD;
const PUSHED = 16;
const POPPED = 32;
const SAMPLES = 48;

const MIN_CAPACITY = CACHE_LINE_BYTES / 4;
const MAX_CAPACITY = 2 ** 28;

/** Up to how many samples are copied one by one. */
const FEW = 32;

/** Opens a {@link FloatRing} in another thread. */
export type FloatRingHandle = RegionHandle<"busbar.float_ring">;

/** Options of {@link FloatRing.create}. */
export interface FloatRingOptions {
  /** How many samples there may be, a power of two from 16 to 2^28. */
  readonly capacity: number;
  /** The memory to lay it out in; one of its own by default. */
  readonly memory?: Memory | undefined;
}

class FloatRingLayout implements Layout {
  readonly capacity: number;
  readonly byteLength: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.byteLength = (SAMPLES + capacity) * 4;
  }

  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY];
    yield ["pushed", PUSHED];
    yield ["popped", POPPED];
    yield ["samples", SAMPLES, this.capacity];
  }
}

const KIND: RegionKind<"busbar.float_ring", FloatRingLayout> = {
  kind: "busbar.float_ring",
  magic: 0x666c6f74, // "flot"
  minBytes: SAMPLES * 4,
  read(words) {
    const capacity = words[CAPACITY]!;
    checkPowerOfTwo("attach", "capacity", capacity, MIN_CAPACITY, MAX_CAPACITY);
    return new FloatRingLayout(capacity);
  },
};

/**
 * A ring of samples: an SPSC ring buffer of 32-bit floats, for audio. One thread pushes blocks, and
 * one other pops them, such as an `AudioWorkletProcessor`.
 *
 * - **Whole blocks.** A block is pushed, or popped, as a whole or not at all.
 * - **Wait-free.** No call waits, or sleeps, or wakes anybody.
 * - **No allocation**, once blocks of one size were popped.
 *
 * @example Usage
 * ```ts
 * import { FloatRing } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const ring = FloatRing.create({ capacity: 4096 });
 * // new AudioWorkletNode(context, "player", { processorOptions: ring.handle }), and there:
 * const there = FloatRing.attach(ring.handle);
 *
 * ring.push(new Float32Array(128).fill(0.5)); // false if there is no room for all of it
 * const block = new Float32Array(128);
 * assertEquals(there.pop(block), true); // false if there are not as many samples
 * assertEquals(block[127], 0.5);
 * ```
 */
export class FloatRing {
  /** How many samples there may be. */
  readonly capacity: number;
  readonly #region: Region<"busbar.float_ring", FloatRingLayout>;
  readonly #words: Int32Array;
  readonly #samples: Float32Array;
  readonly #mask: number;
  /** What this thread knows of the other's count. */
  #othersPopped: number;
  #othersPushed: number;
  /** Views of the blocks of the ring, for blocks of the length of the first one. */
  #blocks: Float32Array[] = [];

  /** @ignore */
  private constructor(region: Region<"busbar.float_ring", FloatRingLayout>) {
    const { memory, words, layout, byteOffset } = region;
    this.#region = region;
    this.capacity = layout.capacity;
    this.#words = words;
    this.#samples = new Float32Array(memory.buffer, byteOffset + SAMPLES * 4, layout.capacity);
    this.#mask = layout.capacity - 1;
    this.#othersPopped = Atomics.load(words, POPPED);
    this.#othersPushed = Atomics.load(words, PUSHED);
  }

  /**
   * Lays out a new ring.
   *
   * @throws {RangeError} If the capacity is not such a number, or the memory has not enough free
   * bytes.
   */
  static create(options: FloatRingOptions): FloatRing {
    checkOptions("create float ring", options);
    const { capacity, memory } = options;
    checkPowerOfTwo("create float ring", "capacity", capacity, MIN_CAPACITY, MAX_CAPACITY);
    const region = Region.create(KIND, new FloatRingLayout(capacity), memory);
    region.words[CAPACITY] = capacity;
    return new FloatRing(region);
  }

  /**
   * Opens a ring that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a ring of this version.
   */
  static attach(handle: FloatRingHandle): FloatRing {
    return new FloatRing(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this ring in another thread. */
  get handle(): FloatRingHandle {
    return this.#region.handle;
  }

  /** How many samples can be popped. */
  get available(): number {
    return Atomics.load(this.#words, PUSHED) - Atomics.load(this.#words, POPPED) >>> 0;
  }

  /** How many samples there is room for. */
  get room(): number {
    return this.capacity - this.available;
  }

  /**
   * Pushes a block, if there is room for all of it. Only one thread may push.
   *
   * @returns Whether it was pushed.
   * @throws {TypeError} If it is not a Float32Array.
   */
  push(block: Float32Array): boolean {
    if (block?.BYTES_PER_ELEMENT !== 4) refuse(block);
    const { length } = block;
    const pushed = this.#words[PUSHED]!;
    if (pushed - this.#othersPopped + length >>> 0 > this.capacity) {
      // Pairs with the store of pop: what was read there happens before.
      this.#othersPopped = Atomics.load(this.#words, POPPED);
      if (pushed - this.#othersPopped + length >>> 0 > this.capacity) return false;
    }
    const at = pushed & this.#mask;
    const samples = this.#samples;
    if (length > FEW && at + length <= this.capacity) {
      samples.set(block, at);
    } else {
      const mask = this.#mask;
      for (let i = 0; i < length; i++) samples[(at + i) & mask] = block[i]!;
    }
    // Everything that was written happens before: pairs with the load of pop.
    Atomics.store(this.#words, PUSHED, pushed + length | 0);
    return true;
  }

  /**
   * Pops a block, if there are enough samples to fill it. Only one thread may pop.
   *
   * @param block Where to copy the samples; they fill all of it, or it is left as it is.
   * @returns Whether it was filled.
   * @throws {TypeError} If it is not a Float32Array.
   */
  pop(block: Float32Array): boolean {
    if (block?.BYTES_PER_ELEMENT !== 4) refuse(block);
    const { length } = block;
    const popped = this.#words[POPPED]!;
    const known = this.#othersPushed - popped >>> 0;
    if (known < length || known > this.capacity) {
      // Pairs with the store of push.
      this.#othersPushed = Atomics.load(this.#words, PUSHED);
      if (this.#othersPushed - popped >>> 0 < length) return false;
    }
    const at = popped & this.#mask;
    const samples = this.#samples;
    if (length > FEW && at % length === 0 && at + length <= this.capacity) {
      block.set(this.#blockAt(at, length));
    } else {
      const mask = this.#mask;
      for (let i = 0; i < length; i++) block[i] = samples[(at + i) & mask]!;
    }
    // Everything that was read happens before: pairs with the load of push.
    Atomics.store(this.#words, POPPED, popped + length | 0);
    return true;
  }

  /** The view of a block, which is made once. */
  #blockAt(at: number, length: number): Float32Array {
    if (this.#blocks[0]?.length !== length) {
      const count = Math.floor(this.capacity / length);
      this.#blocks = Array.from(
        { length: count },
        (_, i) => this.#samples.subarray(i * length, (i + 1) * length),
      );
    }
    return this.#blocks[at / length]!;
  }
}

function refuse(block: unknown): never {
  throw new TypeError(
    `Cannot use 'block' as it must be a Float32Array: received ${describe(block)}`,
  );
}
