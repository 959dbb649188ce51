/**
 * A slice pool: messages are written into one preallocated block, and taken out of it without a
 * copy, until there is no room; then heap memory is used.
 *
 * The thread that creates the pool, or attaches to it, is its owner: it alone writes messages and
 * takes slices. Any thread can have the slices, and release them.
 *
 * Proven by: tests/slice/slice_pool_model_test.ts (two threads that release slices, a third that
 * dies; every schedule), slice_modes_test.ts (the transitions), slice_pool_property_test.ts (any
 * lengths and orders of release), slice_pool_worker_test.ts. The argument is in `README.md`.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { Memory } from "../memory/memory.ts";
import { randomIdentity } from "../memory/platform.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import { attachOwner, detachThread, isAttached } from "./attachments.ts";
import { Block, type ModeChanges, type SliceMode } from "./block.ts";
import { keepSlice, OWNER, takeBack } from "./handovers.ts";
import { HeapMemory } from "./heap_memory.ts";
import { DEFAULT_SLOTS, IN_FLIGHT, KIND, MAX_THREADS, SliceLayout } from "./layout.ts";
import { countBits } from "./living_slots.ts";
import { checkSource, OpenMessage } from "./open_message.ts";
import {
  adoptDetached,
  adoptWords,
  type DetachedSlice,
  makeSlice,
  type Slice,
  type SliceSource,
  UNTRACKED,
} from "./slice.ts";
import type { SliceBuffer } from "./slice_buffer.ts";
import { type SliceRegion, sourceOf } from "./slice_source.ts";

/** Opens a {@link SlicePool} in another thread. */
export type SlicePoolHandle = RegionHandle<"busbar.slice_pool">;

/** Options of {@link SlicePool.attach}. */
export interface SliceDebugOptions {
  /**
   * Whether an error of a slice that is gone says where it was released or detached; false by
   * default, as each release is slow then.
   */
  debug?: boolean;
}

/** Options of {@link SlicePool.create}. */
export interface SlicePoolOptions extends SliceDebugOptions {
  /** The bytes of the block, from 0 to 2^32, as far as the platform provides them. */
  capacityBytes: number;
  /** How many slices can lie in the block at a time, from 1 to 32; 8 by default. */
  slots?: number;
  /** The memory to lay the pool out in; one of its own by default. */
  memory?: Memory;
}

/** How a {@link SlicePool} is used. */
export interface SlicePoolUsage {
  /** Where messages go at present. */
  readonly mode: SliceMode;
  /** How many slices in the block live, in any thread. */
  readonly living: number;
  /** How many bytes of the block lie in them. */
  readonly livingBytes: number;
  /**
   * How many bytes cannot be used before some of them are released: those from the beginning of the
   * first to the end of the last one.
   */
  readonly pinnedBytes: number;
  /** How many messages were taken out of the block. */
  readonly hits: number;
  /** How many messages were taken out of heap memory. */
  readonly misses: number;
  /** How often the mode became each of the three, and how often the block was empty again. */
  readonly changes: Readonly<ModeChanges>;
}

const NO_BYTES = new Uint8Array(0);

/**
 * A slice pool: a buffer that messages are written into piece by piece, and taken out of as
 * {@link Slice}s, without a copy, which any thread can release. It falls back on heap memory while
 * its block is full, so it never waits.
 *
 * - **No allocation.** While there is room in the block, nothing but the `Slice` object is
 *   allocated for a message, and {@link SlicePool.claim} makes no view.
 * - **Three modes.** Messages go to the *back* of the block; when that is full, to its *front*, if
 *   slices were released there; and if there is no room in either, they are *allocated* in heap
 *   memory, one by one, until there is. What is written of a message is carried over.
 * - **Safe reuse.** Bytes are used again after the thread that had the slice released it, and all
 *   of its accesses come before. This holds on weakly ordered processors, too.
 * - **One writer.** The thread that has this object is the owner of the pool; other threads have a
 *   {@link SliceReceiver}.
 * - **Pinning.** The block is used again from the released slices at its beginning and at its end,
 *   so one small slice that lives for long keeps a part of it: see `pinnedBytes` of
 *   {@link SlicePool.usage}.
 *
 * It is called `BufferPool` in the Rust crate buffer_sv2; {@link SliceBuffer} lists its methods
 * beside those here.
 *
 * @example Usage
 * ```ts
 * import { SlicePool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 32 });
 *
 * const message = new TextEncoder().encode("Ciao, mundo!");
 * pool.claim(message.length); // room for 12 bytes, in the first of 8 slots
 * pool.room().set(message);
 * pool.commit();
 * assertEquals(pool.length, 12);
 *
 * assertEquals(pool.peek(12).length, 12); // a look at them
 * assertEquals(pool.length, 12);
 *
 * using slice = pool.take(); // they are ours now
 * assertEquals(pool.length, 0);
 * assertEquals(new TextDecoder().decode(slice.bytes.slice()), "Ciao, mundo!");
 * ```
 *
 * @example Exhaustion
 * ```ts
 * import { type Slice, SlicePool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 8 });
 * const slices: Slice[] = [];
 * const write = (letter: string, times: number) => {
 *   for (let i = 0; i < times; i++) {
 *     pool.append(new TextEncoder().encode(letter));
 *     slices.push(pool.take());
 *   }
 *   return pool.mode;
 * };
 *
 * assertEquals(write("a", 4), "back");
 * slices.shift()!.release(); // the first byte is free
 * assertEquals(write("b", 1), "back"); // but there still is room behind the last one
 * assertEquals(write("c", 4), "front"); // the fourth found the back full, and the front free
 * assertEquals(write("d", 1), "alloc"); // all 8 bytes are in use
 * assertEquals(pool.usage().misses, 1);
 * ```
 *
 * @example Variable sizes
 * ```ts
 * import { type Slice, SlicePool } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 32 });
 * const slices: Slice[] = [];
 * const write = (message: string) => {
 *   pool.append(new TextEncoder().encode(message));
 *   slices.push(pool.take());
 *   assertEquals(new TextDecoder().decode(slices.at(-1)!.bytes.slice()), message);
 *   return pool.mode;
 * };
 *
 * assertEquals(write("Hello"), "back");
 * assertEquals(write("Rust programming"), "back");
 * assertEquals(write("This is larger than what remains of the block."), "alloc");
 * for (const slice of slices) slice.release();
 * assertEquals(write("Hi"), "back");
 * ```
 */
export class SlicePool implements SliceBuffer, Disposable {
  readonly #region: SliceRegion;
  readonly #source: SliceSource;
  readonly #block: Block;
  readonly #heap = new HeapMemory();
  readonly #open: OpenMessage;
  #hits = 0;
  #misses = 0;
  #isClosed = false;

  /**
   * Made by {@link SlicePool.create} and {@link SlicePool.attach}.
   *
   * @ignore
   */
  private constructor(region: SliceRegion, options: SliceDebugOptions) {
    const { capacityBytes, slots } = region.layout;
    this.#region = region;
    this.#source = sourceOf(region, OWNER, options.debug === true);
    this.#block = new Block(capacityBytes, slots);
    this.#open = new OpenMessage(this.#source.block);
  }

  /**
   * Creates a pool, of which this thread is the owner.
   *
   * @throws {TypeError} If `options` is not an object, or `memory` not a Memory.
   * @throws {RangeError} If an option is out of range, or there is not so much memory.
   */
  static create(options: SlicePoolOptions): SlicePool {
    checkOptions("create slice pool", options);
    const { capacityBytes, slots = DEFAULT_SLOTS, memory } = options;
    const region = Region.create(KIND, SliceLayout.of(capacityBytes, slots), memory);
    region.layout.initialize(region.words, randomIdentity());
    attachOwner(region.words);
    return new SlicePool(region, options);
  }

  /**
   * Becomes the owner of a pool whose owner has closed it, in this thread or another, and of which
   * no slice lives. A thread that only receives slices has a {@link SliceReceiver}.
   *
   * @throws {TypeError} If it is not a handle of a slice pool, or `options` not an object.
   * @throws {Error} If the pool has an owner, or slices of it live.
   */
  static attach(handle: SlicePoolHandle, options: SliceDebugOptions = {}): SlicePool {
    checkOptions("attach to the slice pool", options);
    const region = Region.attach(KIND, handle);
    if (!attachOwner(region.words)) {
      throw new Error(
        "Cannot attach as the slice pool has an owner: close it there, or attach a SliceReceiver to receive slices",
      );
    }
    const pool = new SlicePool(region, options);
    const living = countBits(pool.#source.living.load());
    if (living === 0) {
      // The owner before may have sent the slices of any slot.
      pool.#source.wasSent.fill(1);
      return pool;
    }
    pool.close();
    throw new Error(
      `Cannot attach as ${living} slices of the slice pool live: release them first`,
    );
  }

  /** A plain object that survives structured clone and opens this pool in another thread. */
  get handle(): SlicePoolHandle {
    return this.#region.handle;
  }

  /** The bytes of the block. */
  get capacityBytes(): number {
    return this.#region.layout.capacityBytes;
  }

  /** How many slices can lie in the block at a time. */
  get slots(): number {
    return this.#source.slots;
  }

  /** Where messages go at present. */
  get mode(): SliceMode {
    return this.#block.mode;
  }

  /** See {@link SliceBuffer.bytes}: the block, or an array in heap memory. */
  get bytes(): Uint8Array {
    return this.#open.bytes;
  }

  /** See {@link SliceBuffer.offset}. */
  get offset(): number {
    return this.#open.end;
  }

  /** See {@link SliceBuffer.length}. */
  get length(): number {
    return this.#open.length;
  }

  /** Whether no slice in the block lives, in any thread. */
  get isDroppable(): boolean {
    return this.#source.living.load() === 0;
  }

  /** See {@link SliceBuffer.claim}. */
  claim(length: number): void {
    if (!this.#open.tryClaim(length)) this.#claim("claim", length);
  }

  /** See {@link SliceBuffer.room}. */
  room(): Uint8Array {
    return this.#open.room();
  }

  /** See {@link SliceBuffer.commit}. */
  commit(length?: number): void {
    this.#open.commit(length);
  }

  /** See {@link SliceBuffer.abort}. */
  abort(): void {
    this.#open.abort();
  }

  /** See {@link SliceBuffer.append}. */
  append(source: Uint8Array): void {
    checkSource(source);
    const open = this.#open;
    if (!open.tryClaim(source.length)) this.#claim("append", source.length);
    open.fill(source);
  }

  /** See {@link SliceBuffer.take}. */
  take(): Slice {
    const open = this.#open;
    this.#checkOpen("take");
    open.checkUnclaimed("take");
    const slice = open.end === open.start
      ? makeSlice(this.#source, UNTRACKED, NO_BYTES, 0, 0)
      : this.#block.mode === "alloc"
      ? this.#takeFromHeap()
      : this.#takeFromBlock();
    open.begin();
    return slice;
  }

  /** See {@link SliceBuffer.peek}. */
  peek(length: number): Uint8Array {
    return this.#open.peek(length);
  }

  /** See {@link SliceBuffer.view}. */
  view(): Uint8Array {
    return this.#open.view();
  }

  /** See {@link SliceBuffer.setStart}. */
  setStart(index: number): void {
    this.#open.setStart(index);
  }

  /** See {@link SliceBuffer.truncate}. */
  truncate(length: number): void {
    this.#open.truncate(length);
  }

  /**
   * Adopts a slice that was detached, here or in another thread.
   *
   * @throws As {@link SliceReceiver.adopt}.
   */
  adopt(detached: DetachedSlice): Slice {
    this.#checkOpen("adopt");
    return adoptDetached(this.#source, detached);
  }

  /**
   * Adopts a slice by words that {@link Slice.detachInto} wrote.
   *
   * @throws As {@link SliceReceiver.adoptFrom}.
   */
  adoptFrom(words: Int32Array, index: number): Slice {
    this.#checkOpen("adopt");
    return adoptWords(this.#source, words, index);
  }

  /** How the pool is used. */
  usage(): SlicePoolUsage {
    const living = this.#source.living.load();
    const block = this.#block;
    return {
      mode: block.mode,
      living: countBits(living),
      livingBytes: block.livingBytes(living),
      pinnedBytes: block.pinnedBytes(living),
      hits: this.#hits,
      misses: this.#misses,
      changes: { ...block.changes },
    };
  }

  /**
   * Whether a receiver is attached under a number, or was when it died.
   *
   * @throws {RangeError} If there is no receiver of that number.
   */
  isAttached(thread: number): boolean {
    checkInteger("look", "thread", thread, OWNER + 1, MAX_THREADS - 1);
    return isAttached(this.#source.words, thread);
  }

  /**
   * Releases all slices of a thread that has died. Never call this for a thread that is alive: the
   * bytes that it reads would change.
   *
   * @param thread Its number: {@link SliceReceiver.thread}.
   * @returns How many slices were released.
   * @throws {RangeError} If there is no receiver of that number.
   * @throws {Error} If no thread is attached under it.
   * @throws {ClosedError} If the pool was closed.
   */
  reclaim(thread: number): number {
    this.#checkOpen("reclaim");
    checkInteger("reclaim", "thread", thread, OWNER + 1, MAX_THREADS - 1);
    const { words } = this.#source;
    if (!isAttached(words, thread)) {
      throw new Error(`Cannot reclaim thread ${thread} as it is not attached`);
    }
    const count = this.#takeBackAll(thread);
    detachThread(words, thread);
    return count;
  }

  /**
   * Releases all slices that were detached and that no thread has adopted: those that were sent to
   * a thread that died, or by it, but also those on their way to others. A thread that adopts one
   * of them later gets a {@link StaleSliceError}.
   *
   * @returns How many slices were released.
   * @throws {ClosedError} If the pool was closed.
   */
  reclaimDetached(): number {
    this.#checkOpen("reclaim");
    return this.#takeBackAll(IN_FLIGHT);
  }

  /**
   * Gives the pool up, and drops the present message. Slices remain valid. Closing again does
   * nothing.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#open.begin();
    detachThread(this.#source.words, OWNER);
  }

  /** As {@link SlicePool.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Claims bytes that may not fit where the message is. */
  #claim(action: string, length: number): void {
    const open = this.#open;
    this.#checkOpen(action);
    open.checkClaim(action, length);
    if (length > 0) this.#makeRoom(length);
    open.claim(length);
  }

  /** Moves the message to where `length` more bytes fit. */
  #makeRoom(length: number): void {
    const open = this.#open;
    const block = this.#block;
    const { length: written, bytes } = open;
    const { living } = this.#source;
    // A message that has begun in heap memory leaves it once no slice lives.
    const staysInHeap = written > 0 && block.mode === "alloc" && living.hint !== 0;
    if (staysInHeap || !block.find(living.load(), written, written + length)) {
      this.#heap.makeRoom(open, length); // may throw: then all is as it was
      open.limit = 0; // so that each request comes here
      block.leave();
    } else if (bytes === this.#source.block) {
      open.moveTo(block.start, block.limit);
    } else {
      open.moveInto(this.#source.block, block.start, block.limit);
    }
  }

  #takeFromHeap(): Slice {
    this.#misses++;
    const { length } = this.#open;
    return makeSlice(this.#source, UNTRACKED, this.#heap.take(this.#open), 0, length);
  }

  #takeFromBlock(): Slice {
    this.#hits++;
    const source = this.#source;
    const { start, end } = this.#open;
    const slot = this.#block.take(start, end);
    if (source.wasSent[slot] === 1) {
      source.wasSent[slot] = 0;
      keepSlice(source.words, slot);
    }
    source.living.add(slot);
    return makeSlice(source, slot, source.block, start, end - start);
  }

  /** Releases the living slices that a dead thread has, or those in flight. */
  #takeBackAll(thread: number): number {
    const { words, living, slots } = this.#source;
    let count = 0;
    for (let slot = 0; slot < slots; slot++) {
      if ((living.load() >>> slot & 1) === 0 || !takeBack(words, slot, thread)) continue;
      living.remove(slot);
      count++;
    }
    return count;
  }

  #checkOpen(action: string): void {
    if (this.#isClosed) throw new ClosedError(`Cannot ${action} as the slice pool was closed`);
  }
}
