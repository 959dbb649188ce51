/**
 * A latch: threads wait until a number of things have been done, once.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | count |
 *
 *     count  how many are still to be done: reduced by compareExchange by threads that count down,
 *            never below zero; a latch at zero is open, for good
 *
 * **No lost wake-up.** A waiter sleeps while the count is exactly what it saw, above zero. The
 * thread that brings it to zero changes it first and notifies all afterwards. So either the waiter
 * sees zero, or it is asleep when the notification comes. Other counts wake no sleeper: it sleeps
 * on, at a value that is no longer there, until that notification.
 *
 * **Happens before.** Each count down is a read-modify-write of the count that the one before left.
 * So what any thread did before it counted down happens before what a waiter does afterwards.
 *
 * **Limits.** A thread that is ended between its last count and the notification leaves sleepers
 * asleep until `reclaimWakeups`.
 *
 * Proven by: tests/sync/latch_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { Door } from "../memory/door.ts";
import type { Memory } from "../memory/memory.ts";
import { cacheLineKind, FIRST_WORD, Region, type RegionHandle } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";

/** Opens a {@link Latch} in another thread. */
export type LatchHandle = RegionHandle<"busbar.latch">;

/** Options of {@link Latch.create}. */
export interface LatchOptions {
  /** How many times it is to be counted down, from 0 to 2^30. */
  count: number;
  /** The memory to lay the latch out in; one of its own by default. */
  memory?: Memory;
}

const COUNT = FIRST_WORD;
const KIND = cacheLineKind("busbar.latch", 0x6c617463, { count: COUNT }); // "latc"
const MAX_COUNT = 2 ** 30;

/**
 * A latch: threads wait until a number of things have been done, once. It tells that all workers
 * are ready, or that all have finished.
 *
 * - **Once.** A latch that has come to zero is open, and stays open. A {@link Barrier} is for more
 *   than one round.
 * - **Visibility.** All that threads did before they counted down is visible once a wait is over.
 * - **No lost wake-up.** Each waiter goes on once the count is zero.
 *
 * @example Until three workers are ready
 * ```ts
 * import { Latch } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const ready = Latch.create({ count: 3 });
 * // worker.postMessage(ready.handle), and there: Latch.attach(handle).countDown()
 * assertEquals(ready.tryWait(), false);
 * for (let worker = 0; worker < 3; worker++) ready.countDown();
 * assertEquals(await ready.waitAsync({ timeoutMs: 1000 }), true);
 * ```
 */
export class Latch {
  readonly #region: Region<"busbar.latch">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  readonly #door: Door;

  /** @ignore */
  private constructor(region: Region<"busbar.latch">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, COUNT);
    this.#door = new Door(this.#sleepers, () => ({
      // Pairs with the count that brings it to zero: we see what came before it.
      attempt: () => Atomics.load(this.#words, COUNT) || undefined,
    }));
  }

  /**
   * Lays out a new latch.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If `count` is not a whole number from 0 to 2^30, or the memory has not
   * enough free bytes.
   */
  static create(options: LatchOptions): Latch {
    checkOptions("create latch", options);
    checkInteger("create latch", "count", options.count, 0, MAX_COUNT);
    const region = Region.createLine(KIND, options.memory);
    region.words[COUNT] = options.count;
    return new Latch(region);
  }

  /**
   * Opens a latch that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a latch of this version.
   */
  static attach(handle: LatchHandle): Latch {
    return new Latch(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this latch in another thread. */
  get handle(): LatchHandle {
    return this.#region.handle;
  }

  /** How many were still to be counted down just now; 0 once the latch is open. */
  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /**
   * Counts down, and opens the latch if that brings it to zero.
   *
   * @param by How many are done; 1 by default.
   * @returns How many are left.
   * @throws {RangeError} If `by` is not a whole number from 1 to 2^30, or more than are left.
   */
  countDown(by?: number): number;
  countDown(by: number = 1): number {
    checkInteger("count down", "by", by, 1, MAX_COUNT);
    for (let seen = Atomics.load(this.#words, COUNT);;) {
      if (seen < by) {
        throw new RangeError(
          `Cannot count down by ${by} as only ${seen} of the latch ${seen === 1 ? "is" : "are"} ` +
            "left: more was counted down than it was created with",
        );
      }
      const found = Atomics.compareExchange(this.#words, COUNT, seen, seen - by);
      if (found === seen) {
        if (seen === by) this.#sleepers.notify();
        return seen - by;
      }
      seen = found;
    }
  }

  /**
   * Blocks until the latch is open.
   *
   * @returns Whether it is; false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  wait(options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    return this.tryWait() || this.#door.wait(options);
  }

  /** Whether the latch is open, without waiting. */
  tryWait(): boolean {
    return Atomics.load(this.#words, COUNT) === 0;
  }

  /**
   * Waits until the latch is open, without blocking. The process stays alive meanwhile.
   *
   * @returns Whether it is; false if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    return this.tryWait() || await this.#door.waitAsync(options);
  }

  /**
   * Makes all waiting threads look again. Call it once a worker is dead that may have counted down:
   * it may have died before it woke the others.
   */
  reclaimWakeups(): void {
    this.#sleepers.notify();
  }
}
