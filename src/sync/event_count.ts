/**
 * An event count: sleep until a condition holds, whatever words the condition reads.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | count |
 *
 * The count is odd if a thread waits, or may be about to. It goes up by one when a waiter prepares,
 * and by one when a notifier wakes all that have prepared.
 *
 *          even ---- prepare: or 1 ----> odd ---- notify: compareExchange, notify all ----> even
 *
 * **Waiting.** A waiter prepares, which gives it a key: the odd count. Then it looks at its
 * condition. If that does not hold, it sleeps while the count is its key.
 *
 * **Notifying.** A notifier makes the condition true, and then looks at the count. If it is even,
 * no thread waits, and one load was all. If it is odd, the notifier adds one, unless the count has
 * changed meanwhile, and wakes all sleepers.
 *
 * **Why no wake-up is lost.** The waiter prepares and then looks at the condition; the notifier
 * makes it true and then looks at the count. So at least one of them sees the other: the waiter
 * finds that the condition holds, or the notifier finds the count odd. In the latter case the count
 * is made even, by this notifier or by another that was quicker, after the condition was made true:
 * a thread that sleeps, or is about to, with the old key is woken and finds the condition true, and
 * a thread that prepares afterwards finds it true.
 *
 * This needs a condition that reads words which are written and read by atomic operations.
 *
 * **Giving up** needs nothing: a key that is not waited for leaves the count odd, which costs at
 * most one needless notify. A thread that dies while it sleeps leaves no more than that.
 *
 * **Limit.** A waiter that pauses between preparing and falling asleep for exactly 2^31
 * notifications, or a multiple, does not notice them.
 *
 * Proven by: tests/sync/event_count_model_test.ts, which says what was explored.
 * Source: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 22(2),
 * 1979.
 *
 * @module
 */

import { checkInteger, checkOptions, checkSynchronous, describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { cacheLineKind, FIRST_WORD, Region, type RegionHandle } from "../memory/region.ts";
import { type Attempt, SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";

/** Opens an {@link EventCount} in another thread. */
export type EventCountHandle = RegionHandle<"busbar.event_count">;

/** Options of {@link EventCount.create}. */
export interface EventCountOptions {
  /** The memory to lay the event count out in; one of its own by default. */
  memory?: Memory;
}

const COUNT = FIRST_WORD;

const KIND = cacheLineKind("busbar.event_count", 0x65766e74, { count: COUNT }); // "evnt"

/** The bit of the count which says that a thread may wait. */
const WAITED_FOR = 1;

/**
 * An event count: sleep until a condition holds, whatever words the condition reads. A condition
 * variable without a mutex.
 *
 * The condition must read words that are written and read by atomic operations. A thread that may
 * have made it true calls {@link EventCount.notify} afterwards.
 *
 * - **No lost wake-up.** A waiter never sleeps beside a condition that held when notify was called.
 * - **Cheap notify.** While no thread waits it is one load.
 * - **Wakes all.** Every waiter looks at its condition again at each notification.
 * - **Death and giving up are free.** A waiter that dies or gives up needs no repair.
 *
 * @example Usage
 * ```ts
 * import { EventCount } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const progress = EventCount.create();
 * const done = new Int32Array(new SharedArrayBuffer(4));
 * // worker.postMessage({ progress: progress.handle, done }), and there:
 * function finish(progress: EventCount) {
 *   Atomics.add(done, 0, 1);
 *   progress.notify();
 * }
 *
 * setTimeout(() => finish(EventCount.attach(progress.handle)), 1);
 * assertEquals(await progress.untilAsync(() => Atomics.load(done, 0) === 1), true);
 * ```
 *
 * @example Step by step
 * ```ts
 * import { EventCount } from "@busbar/busbar";
 *
 * const progress = EventCount.create();
 * const done = new Int32Array(new SharedArrayBuffer(4));
 * Atomics.store(done, 0, 1);
 *
 * while (Atomics.load(done, 0) === 0) {
 *   const key = progress.prepare();
 *   if (Atomics.load(done, 0) === 0) progress.wait(key);
 * }
 * ```
 */
export class EventCount {
  readonly #region: Region<"busbar.event_count">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;

  /** @ignore */
  private constructor(region: Region<"busbar.event_count">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, COUNT);
  }

  /**
   * Lays out a new event count.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options?: EventCountOptions): EventCount {
    if (options !== undefined) checkOptions("create event count", options);
    return new EventCount(Region.createLine(KIND, options?.memory));
  }

  /**
   * Opens an event count that another thread created.
   *
   * @throws {TypeError} If it is not a handle of an event count of this version.
   */
  static attach(handle: EventCountHandle): EventCount {
    return new EventCount(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this event count in another thread. */
  get handle(): EventCountHandle {
    return this.#region.handle;
  }

  /**
   * Prepares to wait: no notification from now on is missed. Call it before the last look at the
   * condition. If that holds, the key can be forgotten.
   *
   * @returns The key to wait with.
   */
  prepare(): number {
    // Before the look at the condition: pairs with the notifier's look at the count.
    return Atomics.or(this.#words, COUNT, WAITED_FOR) | WAITED_FOR;
  }

  /**
   * Blocks until a notification that came after `key` was handed out.
   *
   * @param key What {@link EventCount.prepare} returned.
   * @returns Whether there was one: false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `key` is not a key, or `timeoutMs` is negative.
   */
  wait(key: number, options?: WaitOptions): boolean {
    checkKey(key);
    return this.#sleepers.sleepUntil(this.#untilAfter(key), options);
  }

  /**
   * Waits, without blocking, until a notification that came after `key` was handed out. The process
   * stays alive meanwhile.
   *
   * @param key What {@link EventCount.prepare} returned.
   * @returns Whether there was one: false if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `key` is not a key, or `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async waitAsync(key: number, options?: AsyncWaitOptions): Promise<boolean> {
    checkKey(key);
    return await this.#sleepers.sleepUntilAsync(this.#untilAfter(key), options);
  }

  /**
   * Blocks until a condition holds. It is evaluated at each notification.
   *
   * @param condition Reads shared words, by atomic operations.
   * @returns Whether it holds: false if the time is over.
   * @throws {TypeError} If `condition` is not a function, `options` not an object, or the platform
   * forbids this thread to block.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  until(condition: () => boolean, options?: WaitOptions): boolean {
    checkCondition(condition);
    if (options !== undefined) checkWaitOptions(options);
    return holds(condition) || this.#sleepers.sleepUntil(this.#untilHolds(condition), options);
  }

  /**
   * Waits, without blocking, until a condition holds. The process stays alive meanwhile.
   *
   * @param condition Reads shared words, by atomic operations.
   * @returns Whether it holds: false if the time is over.
   * @throws {TypeError} If `condition` is not a function, `options` not an object, or its `signal`
   * not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async untilAsync(condition: () => boolean, options?: AsyncWaitOptions): Promise<boolean> {
    checkCondition(condition);
    return await this.#sleepers.sleepUntilAsync(this.#untilHolds(condition), options);
  }

  /**
   * Wakes all waiters. Call it after making a condition true that they may wait for. While no
   * thread waits it costs one load.
   */
  notify(): void {
    // After the condition was made true: pairs with the waiter's prepare.
    const count = Atomics.load(this.#words, COUNT);
    if ((count & WAITED_FOR) === 0) return;
    // If another notifier has changed it since, that one wakes all that prepared before.
    if (Atomics.compareExchange(this.#words, COUNT, count, (count + 1) | 0) === count) {
      this.#sleepers.notify();
    }
  }

  #untilAfter(key: number): Attempt {
    return () => Atomics.load(this.#words, COUNT) === key ? key : undefined;
  }

  #untilHolds(condition: () => boolean): Attempt {
    return () => {
      const key = this.prepare();
      return holds(condition) ? undefined : key;
    };
  }
}

/** Throws unless `condition` is a function. */
function checkCondition(condition: unknown): void {
  if (typeof condition === "function") return;
  throw new TypeError(
    `Cannot wait as 'condition' must be a function: received ${describe(condition)}`,
  );
}

/** Evaluates a condition. An asynchronous one would always seem to hold: a promise is truthy. */
function holds(condition: () => boolean): boolean {
  const result = condition();
  if (result !== true && result !== false) checkSynchronous("wait", "condition", result);
  return result;
}

/** Throws unless {@link EventCount.prepare} can have returned this. */
function checkKey(key: number): void {
  checkInteger("wait", "key", key, -(2 ** 31), 2 ** 31 - 1);
}
