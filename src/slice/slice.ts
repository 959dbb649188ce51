/**
 * A slice: bytes that were taken out of a buffer, and belong to one thread at a time.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { checkHandle, type Handle, LAYOUT_VERSION } from "../memory/handle.ts";
import { StaleSliceError } from "./errors.ts";
import { adoptSlice, detachSlice, MAX_TICKET, OWNER } from "./handovers.ts";
import type { LivingSlots } from "./living_slots.ts";
import type { ReleasePlaces } from "./release_places.ts";

const KIND = "busbar.slice";

/** How many 32-bit words {@link Slice.detachInto} writes. */
export const SLICE_WORDS = 4;

/** In place of a slot: the slice is empty, or lies in heap memory. */
export const UNTRACKED = -1;
/** In place of the length of a slice that was released or detached. */
const GONE = -1;

/**
 * A slice on its way to another thread: a plain object that survives structured clone. It must be
 * adopted exactly once.
 */
export interface DetachedSlice extends Handle {
  /** The identity of the pool; 0 for a slice of heap memory. */
  readonly pool: number;
  /** The slot, or -1 if the slice is empty or lies in heap memory. */
  readonly slot: number;
  /** Where in the block the slice begins. */
  readonly offset: number;
  /** The bytes of the slice. */
  readonly length: number;
  /** The single-use ticket that adopts the slice. */
  readonly ticket: number;
  /** The bytes themselves, if they lie in heap memory. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/** What the slices of one thread share: their pool, as that thread sees it. */
export interface SliceSource {
  /** The words of the pool. */
  readonly words: Int32Array;
  /** Which slots have a living slice. */
  readonly living: LivingSlots;
  /** The block. */
  readonly block: Uint8Array<SharedArrayBuffer>;
  /** How many slots the block has. */
  readonly slots: number;
  /** The identity of the pool. */
  readonly pool: number;
  /** The number of this thread. */
  readonly thread: number;
  /** For each slot 1 if its slice was sent since the owner took it last; kept by the owner. */
  readonly wasSent: Uint8Array;
  /** Where slices were released, in debug mode. */
  readonly places: ReleasePlaces | undefined;
  /** How many slices in the block this thread has. */
  held: number;
}

/** Calls the private constructor of {@link Slice}. */
let make: typeof makeSlice;

/** Makes a slice, which the caller has to itself. */
export function makeSlice(
  source: SliceSource | undefined,
  slot: number,
  array: Uint8Array,
  byteOffset: number,
  length: number,
): Slice {
  return make(source, slot, array, byteOffset, length);
}

/**
 * A slice: bytes that were taken out of a {@link SlicePool} or a {@link HeapBuffer}, without a copy
 * where they lie in the block of a pool. Release it after use, by `using` or by
 * {@link Slice.release}: its part of the block is used again then.
 *
 * - **Unique.** No two living slices overlap, and one thread has a slice at a time: it may change
 *   the bytes.
 * - **Stable.** The bytes change for no other reason before the slice is released.
 * - **Released once.** A slice that was released or detached is *gone*: every use of it but `using`
 *   throws a {@link ClosedError}, whatever lies in its slot by then.
 * - **Adopted once.** A detached slice can be adopted by one thread, once; a second attempt throws
 *   a {@link StaleSliceError}.
 * - **Any thread.** A slice can be released by another thread than the one that took it, and that
 *   thread need not wait for anything.
 * - **Visibility.** Everything done with the bytes before a slice was detached, plain writes too,
 *   is visible to the thread that adopts it.
 *
 * @example Usage
 * ```ts
 * import { SlicePool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 1024 });
 * pool.append(new Uint8Array([1, 2, 3]));
 * using slice = pool.take();
 * assertEquals([...slice.bytes], [1, 2, 3]);
 * ```
 *
 * @example To another thread
 * ```ts
 * import { SlicePool, SliceReceiver } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 1024 });
 * using there = SliceReceiver.attach(pool.handle); // in reality in another thread
 *
 * pool.append(new Uint8Array([1, 2, 3]));
 * const transfer: ArrayBuffer[] = []; // what the slice has in heap memory, if the pool was full
 * const detached = pool.take().detach(transfer); // worker.postMessage(detached, transfer)
 *
 * using slice = there.adopt(detached);
 * assertEquals([...slice.bytes], [1, 2, 3]);
 * ```
 */
export class Slice implements Disposable {
  readonly #source: SliceSource | undefined;
  readonly #slot: number;
  readonly #array: Uint8Array;
  readonly #byteOffset: number;
  /** The bytes of the slice, or {@link GONE}. */
  #length: number;

  /**
   * Made by {@link SliceBuffer.take}, {@link SlicePool.adopt} and {@link SliceReceiver.adopt}.
   *
   * @ignore
   */
  private constructor(
    source: SliceSource | undefined,
    slot: number,
    array: Uint8Array,
    byteOffset: number,
    length: number,
  ) {
    this.#source = source;
    this.#slot = slot;
    this.#array = array;
    this.#byteOffset = byteOffset;
    this.#length = length;
    if (slot !== UNTRACKED) source!.held++;
  }

  static {
    make = (source, slot, array, byteOffset, length) =>
      new Slice(source, slot, array, byteOffset, length);
  }

  /** The slot of the block, or -1 if the slice is empty or lies in heap memory. */
  get slot(): number {
    return this.#slot;
  }

  /** Whether the slice is gone: released or detached. */
  get isGone(): boolean {
    return this.#length === GONE;
  }

  /**
   * The bytes of the slice.
   *
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  get length(): number {
    this.#check("use");
    return this.#length;
  }

  /**
   * The array that the slice lies in: the block of the pool, or one in heap memory. It is always
   * the same for the slices in a block, so that reading needs no view of each.
   *
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  get array(): Uint8Array {
    this.#check("use");
    return this.#array;
  }

  /**
   * Where the slice begins in {@link Slice.array}.
   *
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  get byteOffset(): number {
    this.#check("use");
    return this.#byteOffset;
  }

  /**
   * A view of the bytes of the slice, a new one at each call. It must not be used after the slice
   * is gone.
   *
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  get bytes(): Uint8Array {
    this.#check("use");
    return this.#array.subarray(this.#byteOffset, this.#byteOffset + this.#length);
  }

  /**
   * Releases the slice: its part of the block can be used again.
   *
   * @throws {ClosedError} If the slice is gone: released or detached. In debug mode it says where.
   */
  release(): void {
    this.#check("release");
    this.#leave();
    // The last access: another message may lie there from here on.
    if (this.#slot !== UNTRACKED) this.#source!.living.remove(this.#slot);
  }

  /** As {@link Slice.release}; does nothing if the slice is gone. */
  [Symbol.dispose](): void {
    if (!this.isGone) this.release();
  }

  /**
   * Gives the slice away, for another thread to adopt it. This one is gone then.
   *
   * @param transfer Receives the buffer of a slice that lies in heap memory. Pass it to
   * `postMessage`, which otherwise copies those bytes.
   * @returns The detached slice, to be sent there, for example by `postMessage`, and passed to
   * {@link SliceReceiver.adopt}.
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  detach(transfer?: ArrayBuffer[]): DetachedSlice {
    this.#check("detach");
    const [slot, offset, length] = [this.#slot, this.#byteOffset, this.#length];
    const head = { kind: KIND, version: LAYOUT_VERSION, slot, length };
    if (slot !== UNTRACKED) {
      return { ...head, pool: this.#source!.pool, offset, ticket: this.#giveAway() };
    }
    this.#leave();
    const bytes = this.#array.subarray(0, length) as Uint8Array<ArrayBuffer>;
    if (length > 0) transfer?.push(bytes.buffer);
    return { ...head, pool: 0, offset: 0, ticket: 0, bytes };
  }

  /**
   * As {@link Slice.detach}, but writes four words, which can travel through a ring.
   *
   * @param words The array to write them to, for {@link SliceReceiver.adoptFrom} there.
   * @param index The index of the first of them.
   * @throws {TypeError} If `words` is not an Int32Array.
   * @throws {RangeError} If four words do not fit at `index`.
   * @throws {Error} If the slice lies in heap memory, as {@link Slice.slot} tells.
   * @throws {ClosedError} If the slice is gone: released or detached.
   */
  detachInto(words: Int32Array, index: number): void {
    this.#check("detach");
    checkWords("detach", words, index);
    if (this.#slot === UNTRACKED) {
      throw new Error(
        "Cannot detach this slice into words as it lies in heap memory: use detach(), or copy it",
      );
    }
    words[index] = this.#slot;
    words[index + 1] = this.#byteOffset;
    words[index + 2] = this.#length;
    // Mixed with the identity of the pool, so that another pool rejects the words.
    words[index + 3] = this.#source!.pool ^ this.#giveAway();
  }

  /** Gives a slice in the block away; returns the ticket that adopts it. */
  #giveAway(): number {
    const { words, thread, wasSent } = this.#source!;
    const slot = this.#slot;
    if (thread === OWNER) wasSent[slot] = 1;
    this.#leave();
    return detachSlice(words, slot);
  }

  /** Records that the slice is gone. */
  #leave(): void {
    this.#length = GONE;
    const source = this.#source;
    if (source === undefined) return;
    if (this.#slot !== UNTRACKED) source.held--;
    source.places?.add(this);
  }

  /** Throws unless the slice can be used. */
  #check(action: string): void {
    if (this.#length === GONE) throw this.#goneError(action);
  }

  #goneError(action: string): ClosedError {
    const places = this.#source?.places;
    const where = places === undefined
      ? ": use it before, or create the pool in debug mode to learn where that was"
      : ` ${places.of(this)}`;
    return new ClosedError(
      `Cannot ${action} this slice as it was released or detached before${where}`,
    );
  }
}

/** The detached slices of heap memory that were adopted in this thread. */
const adopted = new WeakSet<object>();

/**
 * Adopts a slice that was detached.
 *
 * @throws {TypeError} If it is not a detached slice of this pool.
 * @throws {StaleSliceError} If its ticket is not in flight.
 */
export function adoptDetached(source: SliceSource, detached: DetachedSlice): Slice {
  if (typeof (detached as Partial<Slice> | undefined)?.detach === "function") {
    throw new TypeError(
      "Cannot adopt as a detached slice was expected: received the slice itself, so pass what its detach() returns",
    );
  }
  checkHandle(detached, KIND);
  const { pool, slot, offset, length, ticket, bytes } = detached;
  if (slot === UNTRACKED) {
    if (bytes?.BYTES_PER_ELEMENT !== 1 || bytes.length !== length) {
      throw new TypeError(
        `Cannot adopt slice as 'bytes' must be a Uint8Array of ${
          describe(length)
        } bytes: received ${
          bytes?.BYTES_PER_ELEMENT === 1 ? `${bytes.length} bytes` : describe(bytes)
        }`,
      );
    }
    if (adopted.has(detached)) throw new StaleSliceError("a slice of heap memory");
    adopted.add(detached);
    return makeSlice(source, UNTRACKED, bytes, 0, length);
  }
  if (pool !== source.pool) {
    throw new TypeError(
      `Cannot adopt slice as it is of another pool: expected pool ${source.pool}, received pool ${
        describe(pool)
      }`,
    );
  }
  return adoptParts(source, slot, offset, length, ticket);
}

/**
 * Adopts a slice by words that {@link Slice.detachInto} wrote.
 *
 * @throws {TypeError} If they are not those of a slice of this pool.
 * @throws {RangeError} If four words do not fit at `index`.
 * @throws {StaleSliceError} If its ticket is not in flight.
 */
export function adoptWords(source: SliceSource, words: Int32Array, index: number): Slice {
  checkWords("adopt", words, index);
  const ticket = words[index + 3]! ^ source.pool;
  return adoptParts(
    source,
    words[index]!,
    words[index + 1]! >>> 0,
    words[index + 2]! >>> 0,
    ticket,
  );
}

function adoptParts(
  source: SliceSource,
  slot: number,
  offset: number,
  length: number,
  ticket: number,
): Slice {
  const isSlot = Number.isInteger(slot) && slot >= 0 && slot < source.slots;
  const isRange = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 &&
    length > 0 && offset + length <= source.block.length;
  if (!isSlot || !isRange || ticket >>> 0 !== ticket || ticket > MAX_TICKET) {
    throw new TypeError(
      `Cannot adopt slice as 'slot', 'offset', 'length' and 'ticket' are not those of a slice of this pool: received ${
        [slot, offset, length, ticket].map(describe).join(", ")
      }`,
    );
  }
  if (!adoptSlice(source.words, slot, ticket, source.thread)) {
    throw new StaleSliceError(`the slice of slot ${slot}`);
  }
  return makeSlice(source, slot, source.block, offset, length);
}

/** Throws unless the words of a slice fit into the array, from an index on. */
function checkWords(action: string, words: Int32Array, index: number): void {
  // By its name, since an array of another realm, or under a checker, has another class.
  if (words?.[Symbol.toStringTag] !== "Int32Array") {
    throw new TypeError(
      `Cannot ${action} slice as 'words' must be an Int32Array: received ${describe(words)}`,
    );
  }
  const last = words.length - SLICE_WORDS;
  if (Number.isSafeInteger(index) && index >= 0 && index <= last) return;
  throw new RangeError(
    `Cannot ${action} slice as ${SLICE_WORDS} words do not fit at 'index': received ${
      describe(index)
    } for ${words.length} words`,
  );
}
