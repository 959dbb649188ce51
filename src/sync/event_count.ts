/**
 * An event count: sleep until any condition holds, whatever words it is made of.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | count |
 *
 * The count is odd if somebody waits, or may be about to; it goes up by one when a waiter prepares,
 * and by one when a notifier wakes all that have prepared.
 *
 *          even ---- prepare: or 1 ----> odd ---- notify: compareExchange, notify all ----> even
 *
 * **Waiting.** A waiter prepares, which gives it a key: the odd count. Then it looks at its
 * condition. If that does not hold, it sleeps while the count is its key.
 *
 * **Notifying.** A notifier makes the condition true, and then looks at the count. If it is even
 * nobody waits, and that is all: one load. If odd, it adds one, only if the count is still the same, and wakes all.
 *
 * **Why no wake-up is lost.** Of preparing and looking at the condition on one side, making it true and
 * looking at the count on the other, one side sees the other: the waiter finds that the condition
 * holds, or its count is found to be odd. In the latter case it is made even, by this notifier or
 * by another that was quicker, after the condition was made true: so whoever sleeps or is about to with
 * the old key is woken and finds it true, and whoever prepares afterwards finds it true.
 *
 * For this the condition must be made of words that are written and read by atomic operations.
 *
 * **Giving up** needs nothing: a key that is not waited for leaves the count odd, which costs at
 * most one needless notify. Also a thread that dies asleep leaves no more than that.
 *
 * **Limit.** A waiter that stops between preparing and falling asleep for exactly 2^31
 * notifications, or a multiple, does not notice them.
 *
 * Proven by: tests/sync/event_count_model_test.ts, which says what was explored.
 * Source: D. P. Reed, R. K. Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 22(2),
 * 1979.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD, Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import { type Attempt, SleepWord } from "../memory/sleep.ts";
import { checkTimeout, type WaitOptions } from "../memory/wait_options.ts";

/** Opens an {@link EventCount} in another thread. */
export type EventCountHandle = RegionHandle<"busbar.event_count">;

/** Options of {@link EventCount.create}. */
export interface EventCountOptions {
  /** The memory to lay the event count out in; one of its own by default. */
  memory?: Memory;
}

const KIND: RegionKind<"busbar.event_count"> = {
  kind: "busbar.event_count",
  version: 1,
  magic: 0x65766e74, // "evnt"
};
const BYTES = CACHE_LINE_BYTES;

const COUNT = FIRST_WORD;

/** The bit of the count which says that somebody may wait. */
const WAITED_FOR = 1;

/**
 * An event count: sleep until any condition holds, whatever words it is made of.
 *
 * The condition must be made of words that are written and read by atomic operations; whoever may
 * have made it true calls {@link EventCount.notify} afterwards, which costs a load while nobody
 * waits.
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

  private constructor(region: Region<"busbar.event_count">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, COUNT);
    region.label("count", COUNT);
  }

  /**
   * Lays a new event count out.
   *
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options: EventCountOptions = {}): EventCount {
    checkOptions("create event count", options);
    return new EventCount(Region.create(KIND, BYTES, options.memory));
  }

  /**
   * Opens an event count that another thread created.
   *
   * @throws {TypeError} If it is not a handle of an event count of this version.
   */
  static attach(handle: EventCountHandle): EventCount {
    return new EventCount(Region.attach(KIND, handle, BYTES));
  }

  /** A plain object that survives structured clone and opens this event count in another thread. */
  get handle(): EventCountHandle {
    return this.#region.handle;
  }

  /**
   * Prepares to wait: notifications from now on are not missed. To be called before the last look at
   * the condition. If that holds, the key can be forgotten.
   *
   * @returns The key to wait with.
   */
  prepare(): number {
    // Before the look at the condition: pairs with the notifier's look at the count.
    return Atomics.or(this.#words, COUNT, WAITED_FOR) | WAITED_FOR;
  }

  /**
   * Blocks until notified since `key` was given out.
   *
   * @param key What {@link EventCount.prepare} returned.
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether it was notified.
   * @throws {RangeError} If `key` is none, or `timeoutMs` is negative.
   */
  wait(key: number, timeoutMs: number = Infinity): boolean {
    checkKey(key);
    return this.#sleepers.sleepUntil(this.#untilAfter(key), timeoutMs);
  }

  /**
   * Waits, without blocking, until notified since `key` was given out. The process stays alive
   * meanwhile.
   *
   * @param key What {@link EventCount.prepare} returned.
   * @returns Whether it was notified.
   * @throws {RangeError} If `key` is none, or `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async waitAsync(key: number, options: WaitOptions = {}): Promise<boolean> {
    checkKey(key);
    return await this.#sleepers.sleepUntilAsync(this.#untilAfter(key), options);
  }

  /**
   * Blocks until a condition holds. It is looked at whenever somebody notifies.
   *
   * @param condition Looks at shared words, by atomic operations.
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether it holds.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  until(condition: () => boolean, timeoutMs: number = Infinity): boolean {
    checkCondition(condition);
    if (timeoutMs !== Infinity) checkTimeout(timeoutMs);
    return condition() || this.#sleepers.sleepUntil(this.#untilHolds(condition), timeoutMs);
  }

  /**
   * Waits, without blocking, until a condition holds. The process stays alive meanwhile.
   *
   * @param condition Looks at shared words, by atomic operations.
   * @returns Whether it holds.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async untilAsync(condition: () => boolean, options: WaitOptions = {}): Promise<boolean> {
    checkCondition(condition);
    return await this.#sleepers.sleepUntilAsync(this.#untilHolds(condition), options);
  }

  /**
   * Wakes all that wait, after what they wait for may have come true. While nobody waits it only
   * looks.
   */
  notify(): void {
    // After the condition was made true: pairs with the waiter's prepare.
    const count = Atomics.load(this.#words, COUNT);
    if ((count & WAITED_FOR) === 0) return;
    // If another has changed it since, that one wakes all that prepared before.
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
      return condition() ? undefined : key;
    };
  }
}

/** Refuses what cannot be asked whether it holds. */
function checkCondition(condition: unknown): void {
  if (typeof condition === "function") return;
  throw new TypeError(
    `Cannot wait as 'condition' must be a function: received ${describe(condition)}`,
  );
}

/** Refuses what `prepare` cannot have returned. */
function checkKey(key: number): void {
  checkInteger("wait", "key", key, -(2 ** 31), 2 ** 31 - 1);
}
