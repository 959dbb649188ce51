/**
 * The side of a slice pool in a thread that slices are sent to.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { Region } from "../memory/region.ts";
import { attachReceiver, detachThread } from "./attachments.ts";
import { KIND } from "./layout.ts";
import {
  adoptDetached,
  adoptWords,
  type DetachedSlice,
  type Slice,
  type SliceSource,
} from "./slice.ts";
import type { SliceDebugOptions, SlicePoolHandle } from "./slice_pool.ts";
import { sourceOf } from "./slice_source.ts";

/** Options of {@link SliceReceiver.attach}. */
export interface SliceReceiverOptions extends SliceDebugOptions {
  /**
   * The number of the thread, from 1 to 30; any free number by default. Assign numbers to threads
   * that may have to be reclaimed.
   */
  thread?: number;
}

/**
 * Receives slices of a {@link SlicePool} in another thread: adopts them, and releases them or sends
 * them on. Up to 30 threads can receive slices of a pool.
 *
 * - **No waiting.** The owner of the pool and its receivers never wait for each other.
 * - **Reclaim.** What a thread had that died can be reclaimed by its number, with
 *   {@link SlicePool.reclaim}.
 *
 * @example Usage
 * ```ts
 * import { SlicePool, SliceReceiver } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = SlicePool.create({ capacityBytes: 1024 });
 * pool.append(new Uint8Array([1, 2, 3]));
 * const detached = pool.take().detach(); // worker.postMessage([pool.handle, detached])
 *
 * using receiver = SliceReceiver.attach(pool.handle); // in reality in another thread
 * {
 *   using slice = receiver.adopt(detached);
 *   assertEquals([...slice.bytes], [1, 2, 3]);
 * }
 * assertEquals(pool.isDroppable, true);
 * ```
 */
export class SliceReceiver implements Disposable {
  readonly #source: SliceSource;
  #isClosed = false;

  /**
   * Made by {@link SliceReceiver.attach}.
   *
   * @ignore
   */
  private constructor(source: SliceSource) {
    this.#source = source;
  }

  /**
   * Attaches this thread to a pool that another thread owns.
   *
   * @param handle What `SlicePool.handle` is there.
   * @throws {TypeError} If it is not a handle of a slice pool, or `options` not an object.
   * @throws {RangeError} If there is no receiver of that number.
   * @throws {Error} If another thread is attached under the number, or all are in use.
   */
  static attach(handle: SlicePoolHandle, options: SliceReceiverOptions = {}): SliceReceiver {
    checkOptions("attach to the slice pool", options);
    const region = Region.attach(KIND, handle);
    const thread = attachReceiver(region.words, options.thread);
    return new SliceReceiver(sourceOf(region, thread, options.debug === true));
  }

  /** The number of this thread, for {@link SlicePool.reclaim}. */
  get thread(): number {
    return this.#source.thread;
  }

  /** How many slices in the block this thread has. */
  get held(): number {
    return this.#source.held;
  }

  /**
   * Adopts a slice that was detached in another thread.
   *
   * @throws {TypeError} If it is not a detached slice of this pool.
   * @throws {StaleSliceError} If it was adopted before, or reclaimed.
   * @throws {ClosedError} If the receiver was closed.
   */
  adopt(detached: DetachedSlice): Slice {
    this.#checkOpen("adopt");
    return adoptDetached(this.#source, detached);
  }

  /**
   * Adopts a slice by words that {@link Slice.detachInto} wrote.
   *
   * @param index The index of the first of them.
   * @throws {TypeError} If they are not those of a slice of this pool.
   * @throws {RangeError} If four words do not fit at `index`.
   * @throws {StaleSliceError} If it was adopted before, or reclaimed.
   * @throws {ClosedError} If the receiver was closed.
   */
  adoptFrom(words: Int32Array, index: number): Slice {
    this.#checkOpen("adopt");
    return adoptWords(this.#source, words, index);
  }

  /**
   * Leaves the pool: the number is free for another thread. Closing again does nothing.
   *
   * @throws {Error} If this thread has slices, since they could not be reclaimed any more.
   */
  close(): void {
    if (this.#isClosed) return;
    const { held, words, thread } = this.#source;
    if (held > 0) {
      throw new Error(
        `Cannot close as thread ${thread} has ${held} slices of the pool: release or detach them first`,
      );
    }
    this.#isClosed = true;
    detachThread(words, thread);
  }

  /** As {@link SliceReceiver.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(action: string): void {
    if (this.#isClosed) throw new ClosedError(`Cannot ${action} as the slice receiver was closed`);
  }
}
