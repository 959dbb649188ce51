/**
 * A value set: whole numbers below a capacity, each in the set at most once, which any number of
 * threads put in and take out. It is a free list for the ids of buffers, slots or connections, and
 * the store of a waiter queue.
 *
 * Layout (32-bit words; each line of the drawing begins a cache line):
 *
 *     word  0 | magic | version | capacity |
 *     word 16 | values 0 to 31 | values 32 to 63 | ...
 *
 *     capacity  written once, before the set is handed to another thread
 *     values    a bitmap, value 0 in the lowest bit of its word: a bit is set by the thread that
 *               puts its value, with `or`, and cleared by the thread that takes it, with `and`.
 *               The bits behind the last value stay 0
 *
 * **Putting** is one `or`. If it finds the bit set, the value was put twice; then nothing changes.
 *
 * **Taking** goes through the words, from the first to the last, and through the set bits of each.
 * It clears a bit by `and`. If the bit was set until then, its value is ours: of several threads
 * that clear the same bit, one finds it set. If not, the result of the `and` shows which bits are
 * left.
 *
 * **Lock-free.** A put is one operation. A take looks once at each word, and again only if another
 * thread took the very bit that it was about to take. So a thread that is delayed, or dies, does
 * not stop any other.
 *
 * **Why `undefined` means that the set was empty**, at some instant of the call, and not merely
 * each word at an instant of its own. The danger is that a value comes in behind a scan while
 * another leaves ahead of it. All scans take the same way through the words, which prevents it. To
 * see why, say that a value *is in the set* from the return of its put until the begin of the take
 * that gets it, and assume that our take found every word empty although at each instant of it some
 * value was in the set. When it began, that was a value A. It found A gone, so another take got A
 * before. When that take began, some value B was in the set:
 *
 * - If B's word comes before A's, the take of A passed it, and found B gone.
 * - If not, our take came to B's word after A was taken, and found B gone.
 *
 * So B was taken, too, by a take that began after the take of A did, and before ours ended. When it
 * began, some value C was in the set. If C's word comes before B's, the take of B passed it. If
 * not, the take that found B gone came to C's word later, or, from A's word on, ours did. Either
 * way C was gone, by a take that began later still; and so on without end. But only so many takes
 * begin while ours runs, so at some instant no value was in the set.
 *
 * Scans that begin at different words, to reduce contention, would break this: the tests show how
 * such a set leaves a waiter asleep beside a value.
 *
 * **Happens before.** The bitmap is only read-modify-written, so everything that a thread did
 * before it put a value happens before everything that a thread does after it took that value.
 *
 * **Limits.** A take looks at one word for each 32 values, until it finds one: the set is made for
 * up to some thousand values. Low values are taken first, so threads meet in the first words. A
 * thread that dies keeps the values that it took; nothing in the set tells which those are.
 *
 * Proven by: tests/sync/value_set_model_test.ts, which says what was explored.
 * Source: the argument for `undefined` follows T. A. Henzinger, A. Sezgin, V. Vafeiadis,
 * "Aspect-Oriented Linearizability Proofs", CONCUR 2013.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import {
  FIRST_WORD,
  type Label,
  type Layout,
  Region,
  type RegionHandle,
  type RegionKind,
} from "../memory/region.ts";
import type { ValueStore } from "./value_store.ts";

/** Opens a {@link ValueSet} in another thread. */
export type ValueSetHandle = RegionHandle<"busbar.value_set">;

/** Options of {@link ValueSet.create}. */
export interface ValueSetOptions {
  /** How many values there are, from 1 to 65,536: the set can hold 0 to `capacity - 1`. */
  capacity: number;
  /** Whether all of the values are in the set at first; false by default. */
  full?: boolean;
  /** The memory to lay the set out in; one of its own by default. */
  memory?: Memory;
}

const CAPACITY = FIRST_WORD;
const VALUES: number = CACHE_LINE_WORDS;

/** How many values a word holds. */
const BITS = 32;
/** The most values: a take from an empty set then looks at 2,048 words, in some 10 µs. */
const MAX_CAPACITY = 2 ** 16;

/** Where the words of a value set lie. */
class ValueSetLayout implements Layout {
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The word behind the bitmap. */
  get end(): number {
    return wordOf(this.capacity - 1) + 1;
  }

  get byteLength(): number {
    const words = alignUp(Math.ceil(this.capacity / BITS), CACHE_LINE_WORDS);
    return CACHE_LINE_BYTES + words * Int32Array.BYTES_PER_ELEMENT;
  }

  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY];
    for (let word = VALUES; word < this.end; word++) yield [`values[${word - VALUES}]`, word];
  }
}

const KIND: RegionKind<"busbar.value_set", ValueSetLayout> = {
  kind: "busbar.value_set",
  magic: 0x76736574, // "vset"
  minBytes: new ValueSetLayout(1).byteLength,
  read(words) {
    const capacity = words[CAPACITY]!;
    if (capacity >= 1 && capacity <= MAX_CAPACITY) return new ValueSetLayout(capacity);
    throw new TypeError(
      `Cannot attach as the header of the value set is damaged: expected a capacity of 1 to ${MAX_CAPACITY}, found ${capacity}`,
    );
  },
};

/**
 * A lock-free set of small whole numbers in shared memory: a bitmap that many threads put values
 * into and take values out of (MPMC), such as the ids of free buffers. Each value is in it at most
 * once, and is taken by one thread.
 *
 * - **Never waits.** Neither call blocks, whatever other threads do. To wait for a value, use the
 *   set as the store of a {@link WaiterQueue}.
 * - **Linearizable.** Each call seems to happen at one instant; undefined means that the set was
 *   empty.
 * - **Exactly once.** A value that was put is taken by one thread.
 * - **Visibility.** Everything done before a value was put is visible to the thread that takes it.
 *
 * @example Slots that threads take and put back
 * ```ts
 * import { ValueSet } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const free = ValueSet.create({ capacity: 100, full: true });
 * // worker.postMessage(free.handle), and there: ValueSet.attach(handle)
 *
 * const slot = free.take();
 * if (slot === undefined) throw new Error("all slots are in use");
 * assertEquals(free.size, 99);
 * free.put(slot);
 * assertEquals(free.size, 100);
 * ```
 */
export class ValueSet implements ValueStore {
  /** How many values there are: the set can hold 0 to `capacity - 1`. */
  readonly capacity: number;
  readonly #region: Region<"busbar.value_set", ValueSetLayout>;
  readonly #words: Int32Array;
  /** The word behind the bitmap. */
  readonly #end: number;

  /** @ignore */
  private constructor(region: Region<"busbar.value_set", ValueSetLayout>) {
    this.#region = region;
    this.#words = region.words;
    this.capacity = region.layout.capacity;
    this.#end = region.layout.end;
  }

  /**
   * How many bytes of memory a set takes.
   *
   * @param capacity How many values there are.
   * @throws {RangeError} If that is not a whole number from 1 to 65,536.
   */
  static byteLength(capacity: number): number {
    checkInteger("create value set", "capacity", capacity, 1, MAX_CAPACITY);
    return new ValueSetLayout(capacity).byteLength;
  }

  /**
   * Lays out a new set, empty or full.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If `capacity` is not a whole number from 1 to 65,536, or the memory has
   * not enough free bytes.
   */
  static create(options: ValueSetOptions): ValueSet {
    checkOptions("create value set", options);
    const { capacity, full = false, memory } = options;
    checkInteger("create value set", "capacity", capacity, 1, MAX_CAPACITY);
    const region = Region.create(KIND, new ValueSetLayout(capacity), memory);
    region.words[CAPACITY] = capacity;
    if (full) fill(region.words, capacity);
    return new ValueSet(region);
  }

  /**
   * Opens a set that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a set of this version.
   */
  static attach(handle: ValueSetHandle): ValueSet {
    return new ValueSet(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this set in another thread. */
  get handle(): ValueSetHandle {
    return this.#region.handle;
  }

  /**
   * How many values are in the set. The words are counted one after the other, so while other
   * threads put and take, this is an estimate.
   */
  get size(): number {
    let size = 0;
    for (let word = VALUES; word < this.#end; word++) {
      for (let rest = Atomics.load(this.#words, word); rest !== 0; rest &= rest - 1) size++;
    }
    return size;
  }

  /**
   * Puts a value into the set.
   *
   * @param value A whole number from 0 to `capacity - 1`.
   * @throws {RangeError} If it is not such a number.
   * @throws {Error} If the value is in the set already; the set stays as it is.
   */
  put(value: number): void {
    checkInteger("put into the value set", "value", value, 0, this.capacity - 1);
    const bit = bitOf(value);
    // Publishes everything that we did before to the thread that takes the value.
    const found = Atomics.or(this.#words, wordOf(value), bit);
    if ((found & bit) !== 0) {
      throw new Error(
        `Cannot put value ${value} into the value set as it is in it already: it was put or released twice`,
      );
    }
  }

  /**
   * Takes a value out of the set. Which one, if there are several, is not promised.
   *
   * @returns The value; or undefined, if the set was empty at some instant of the call.
   */
  take(): number | undefined {
    // From the first word to the last, as every thread: the head of this file says why.
    for (let word = VALUES; word < this.#end; word++) {
      for (let seen = Atomics.load(this.#words, word); seen !== 0;) {
        const bit = seen & -seen;
        // Pairs with the put: if the value is ours, all that was done before it was put is visible.
        const found = Atomics.and(this.#words, word, ~bit);
        if ((found & bit) !== 0) return (word - VALUES) * BITS + 31 - Math.clz32(bit);
        seen = found;
      }
    }
    return undefined;
  }
}

/** The word that a value's bit is in. */
function wordOf(value: number): number {
  return VALUES + (value >>> 5);
}

/** The bit of a value, in its word. */
function bitOf(value: number): number {
  return 1 << (value & 31);
}

/** Sets the bits of all values; no other thread has the memory yet. */
function fill(words: Int32Array, capacity: number): void {
  for (let value = 0; value < capacity; value++) words[wordOf(value)]! |= bitOf(value);
}
