/**
 * A parker: a thread sleeps on it until another lets it go on, be it beforehand.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | permit |
 *
 * The permit, changed by read-modify-write only:
 *
 *     EMPTY   there is no permit, and nobody sleeps
 *     PERMIT  whoever parks next goes on at once
 *     PARKED  there is no permit, and somebody may sleep
 *
 *                     unpark: exchange
 *          EMPTY ------------------------> PERMIT
 *            |  <-- park: compareExchange --  ^
 *            | park: compareExchange          | unpark: exchange, notify all
 *            +-------------> PARKED ----------+
 *
 * **Parking.** Takes the permit if there is one. Else it makes EMPTY PARKED, and sleeps while it is
 * that. Giving up leaves PARKED behind: that costs at most a needless notify.
 *
 * **Unparking.** An exchange for PERMIT; if it finds PARKED, all sleepers are woken. One of them
 * takes the permit, others mark anew: so a parker may be left PARKED by a thread that died, and be
 * used by its successor. While nobody has parked nobody is notified.
 *
 * **Why no wake-up is lost.** One falls asleep only while the word is PARKED, so an unpark that comes
 * before is found as PERMIT, and one that comes after finds PARKED.
 *
 * **Happens before.** What was done before an unpark happens before what is done after the park that
 * takes its permit, also if several unparks left one permit: each exchange reads the one before it.
 *
 * Proven by: tests/sync/park_model_test.ts, which says what was explored.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD, Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import { type WaitOptions } from "../memory/wait_options.ts";

/** Opens a {@link Parker} in another thread. */
export type ParkerHandle = RegionHandle<"busbar.parker">;

/** Options of {@link Parker.create}. */
export interface ParkerOptions {
  /** The memory to lay the parker out in; one of its own by default. */
  memory?: Memory;
}

const KIND: RegionKind<"busbar.parker"> = {
  kind: "busbar.parker",
  version: 1,
  magic: 0x7061726b, // "park"
};
const BYTES = CACHE_LINE_BYTES;

const WORD = FIRST_WORD;

const EMPTY = 0;
const PERMIT = 1;
const PARKED = 2;

/**
 * A parker: a thread sleeps on it until another lets it go on, be it beforehand.
 *
 * There is at most one permit: unparking twice before anybody parks is as good as once. Usually
 * each thread has a parker of its own, on which nobody else parks.
 *
 * @example Usage
 * ```ts
 * import { Parker } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const parker = Parker.create();
 * // worker.postMessage(parker.handle), and there: Parker.attach(handle).unpark()
 * parker.unpark();
 * parker.park(); // goes on at once
 * assertEquals(parker.park(10), false); // nobody unparked it within 10 ms
 *
 * setTimeout(() => parker.unpark(), 1);
 * assertEquals(await parker.parkAsync(), true);
 * ```
 */
export class Parker {
  readonly #region: Region<"busbar.parker">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;

  private constructor(region: Region<"busbar.parker">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, WORD);
    region.label("permit", WORD);
  }

  /**
   * Lays a new parker out, without a permit.
   *
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options: ParkerOptions = {}): Parker {
    checkOptions("create parker", options);
    return new Parker(Region.create(KIND, BYTES, options.memory));
  }

  /**
   * Opens a parker that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a parker of this version.
   */
  static attach(handle: ParkerHandle): Parker {
    return new Parker(Region.attach(KIND, handle, BYTES));
  }

  /** A plain object that survives structured clone and opens this parker in another thread. */
  get handle(): ParkerHandle {
    return this.#region.handle;
  }

  /**
   * Blocks until there is a permit, and takes it.
   *
   * @param timeoutMs Gives up after this many milliseconds; never by default.
   * @returns Whether it took a permit.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  park(timeoutMs: number = Infinity): boolean {
    return this.#sleepers.sleepUntil(this.#take, timeoutMs);
  }

  /**
   * Waits, without blocking, until there is a permit, and takes it. The process stays alive
   * meanwhile.
   *
   * @returns Whether it took a permit.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted; the permit, if one comes, stays.
   */
  parkAsync(options: WaitOptions = {}): Promise<boolean> {
    return this.#sleepers.sleepUntilAsync(this.#take, options);
  }

  /** Leaves a permit, if there is none, and wakes who has parked. */
  unpark(): void {
    // Publishes what we did before to who takes the permit; finds the mark of all that may sleep.
    if (Atomics.exchange(this.#words, WORD, PERMIT) === PARKED) this.#sleepers.notify();
  }

  readonly #take = (): number | undefined => {
    for (;;) {
      // Pairs with the exchange of unpark.
      const seen = Atomics.compareExchange(this.#words, WORD, PERMIT, EMPTY);
      if (seen === PERMIT) return undefined;
      if (seen === PARKED) return PARKED;
      if (Atomics.compareExchange(this.#words, WORD, EMPTY, PARKED) === EMPTY) return PARKED;
    }
  };
}
