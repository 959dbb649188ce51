/**
 * A parker: a thread sleeps on it until another thread unparks it. An unpark that comes first is
 * kept as one permit.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | permit |
 *
 * The permit, changed by read-modify-write only:
 *
 *     EMPTY   there is no permit, and no thread sleeps
 *     PERMIT  the next thread that parks continues at once
 *     PARKED  there is no permit, and a thread may sleep
 *
 *                     unpark: exchange
 *          EMPTY ------------------------> PERMIT
 *            |  <-- park: compareExchange --  ^
 *            | park: compareExchange          | unpark: exchange, notify all
 *            +-------------> PARKED ----------+
 *
 * **Parking.** Takes the permit if there is one. Otherwise it changes EMPTY to PARKED, and sleeps
 * while the word is PARKED. Giving up leaves PARKED behind: that costs at most a needless notify.
 *
 * **Unparking.** An exchange for PERMIT; if it finds PARKED, it wakes all sleepers. One of them
 * takes the permit, the others mark the word again. So a parker that a dead thread left PARKED can
 * be used by its successor. While no thread has parked nothing is notified.
 *
 * **Why no wake-up is lost.** A thread falls asleep only while the word is PARKED, so an unpark
 * that comes before is found as PERMIT, and one that comes after finds PARKED.
 *
 * **Happens before.** What was done before an unpark happens before what is done after the park
 * that takes its permit, also if several unparks left one permit: each exchange reads the one
 * before it.
 *
 * Proven by: tests/sync/parker_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { Door, type Wait } from "../memory/door.ts";
import type { Memory } from "../memory/memory.ts";
import { cacheLineKind, FIRST_WORD, Region, type RegionHandle } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";

/** Opens a {@link Parker} in another thread. */
export type ParkerHandle = RegionHandle<"busbar.parker">;

/** Options of {@link Parker.create}. */
export interface ParkerOptions {
  /** The memory to lay the parker out in; one of its own by default. */
  memory?: Memory;
}

const WORD = FIRST_WORD;

const KIND = cacheLineKind("busbar.parker", 0x7061726b, { permit: WORD }); // "park"

const EMPTY = 0;
const PERMIT = 1;
const PARKED = 2;

/**
 * A parker: a thread parks, which blocks it until another thread unparks it. An unpark that comes
 * first is kept as one permit.
 *
 * - **No lost wake-up.** An unpark before or after the park ends it.
 * - **At most one permit.** Unparking twice before a thread parks leaves one permit.
 * - **Visibility.** Everything done before the unpark is visible after the park that it ended.
 * - **Giving up is free.** A park that times out or is aborted takes no permit.
 *
 * Usually each thread has a parker of its own, on which no other thread parks. A parker that a dead
 * thread parked on needs no repair.
 *
 * @example Usage
 * ```ts
 * import { Parker } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const parker = Parker.create();
 * // worker.postMessage(parker.handle), and there: Parker.attach(handle).unpark()
 * parker.unpark();
 * parker.park(); // continues at once
 * assertEquals(parker.tryPark(), false);
 * assertEquals(parker.park({ timeoutMs: 10 }), false); // no unpark within 10 ms
 *
 * setTimeout(() => parker.unpark(), 1);
 * assertEquals(await parker.parkAsync(), true);
 * ```
 */
export class Parker {
  readonly #region: Region<"busbar.parker">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  readonly #door: Door;

  /** @ignore */
  private constructor(region: Region<"busbar.parker">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, WORD);
    const wait: Wait = { attempt: this.#attempt };
    this.#door = new Door(this.#sleepers, () => wait);
  }

  /**
   * Lays out a new parker, without a permit.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options?: ParkerOptions): Parker {
    if (options !== undefined) checkOptions("create parker", options);
    return new Parker(Region.createLine(KIND, options?.memory));
  }

  /**
   * Opens a parker that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a parker of this version.
   */
  static attach(handle: ParkerHandle): Parker {
    return new Parker(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this parker in another thread. */
  get handle(): ParkerHandle {
    return this.#region.handle;
  }

  /**
   * Blocks until there is a permit, and takes it.
   *
   * @returns Whether it took a permit: false if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  park(options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    return this.tryPark() || this.#door.wait(options);
  }

  /** Takes the permit if there is one, without waiting; says whether it did. */
  tryPark(): boolean {
    // Pairs with the exchange of unpark.
    return Atomics.compareExchange(this.#words, WORD, PERMIT, EMPTY) === PERMIT;
  }

  /**
   * Waits, without blocking, until there is a permit, and takes it. The process stays alive
   * meanwhile.
   *
   * @returns Whether it took a permit: false if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted; a permit that comes later stays.
   */
  async parkAsync(options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    return this.tryPark() || await this.#door.waitAsync(options);
  }

  /** Leaves a permit, if there is none, and wakes the thread that has parked. */
  unpark(): void {
    // Publishes what we did before to the thread that takes the permit; finds the mark of sleepers.
    if (Atomics.exchange(this.#words, WORD, PERMIT) === PARKED) this.#sleepers.notify();
  }

  readonly #attempt = (): number | undefined => {
    for (;;) {
      // Pairs with the exchange of unpark.
      const seen = Atomics.compareExchange(this.#words, WORD, PERMIT, EMPTY);
      if (seen === PERMIT) return undefined;
      if (seen === PARKED) return PARKED;
      if (Atomics.compareExchange(this.#words, WORD, EMPTY, PARKED) === EMPTY) return PARKED;
    }
  };
}
