/**
 * A semaphore: a number of permits, which threads take and give back, or hand out to others.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2         3         4
 *     | magic | version | permits | waiters | large waiters |
 *
 *     permits        how many are there to be taken: taken from by compareExchange, never below
 *                    zero; added to by who gives back
 *     waiters        how many wait or are about to; added to and subtracted from by each of them
 *     large waiters  how many of those want more than one permit; likewise
 *
 * **Acquiring.** If there are as many permits as wanted, a compareExchange takes them. Else the
 * waiter counts itself among the waiters, and *then* looks at the permits again. It sleeps while
 * they are exactly as many as it saw, which are too few.
 *
 * **Releasing.** The permits are added, and *then* the waiters are looked at. If there are any, as
 * many are woken as permits came back; or all, if somebody wants more than one.
 *
 * **Why no wake-up is lost.** Of counting and looking at permits on one side, adding and looking at
 * waiters on the other, one side sees the other: the waiter finds the permits, or is found. One that
 * waits for a single permit sleeps only while there is none, and each permit that comes back wakes
 * one sleeper: one that is woken and finds none was passed by another that took it, and will give
 * it back. One that waits for several may find too few of them, and sleep again, where another
 * would have been content; so all are woken while there is such a one. A single waiter that was
 * woken in its last moment takes the permit that it was woken for.
 *
 * **Happens before.** Every change of the permits is a read-modify-write, so what was done before a
 * release happens before what is done after an acquire that comes later.
 *
 * **Fairness.** Not first come, first served: who finds permits takes them, and does not ask who
 * waits, since running threads then never wait for a sleeping one to wake. Waiters are woken in the order in
 * which they fell asleep. One that wants many permits can be passed by others that want few for as
 * long as those keep coming; where that matters, let everybody acquire under a `Mutex`.
 *
 * **Limits.** A waiter that is ended asleep remains counted, which costs a needless notify for each
 * release, and may take a wake-up with it, until `wakeAll` makes the others look again. When a worker
 * that was terminated is dead differs by platform: see `src/when_a_worker_dies.md`.
 *
 * Proven by: tests/sync/semaphore_model_test.ts, which says what was explored.
 * Source: E. W. Dijkstra, "Cooperating Sequential Processes", EWD 123, 1965, section 4.
 *
 * @module
 */

import { checkInteger, checkOptions } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD, Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  checkTimeout,
  checkWaitOptions,
  untimed,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { Guard } from "./guard.ts";

/** Opens a {@link Semaphore} in another thread. */
export type SemaphoreHandle = RegionHandle<"busbar.semaphore">;

/** Options of {@link Semaphore.create}. */
export interface SemaphoreOptions {
  /** How many permits there are at first, from 0 to 2^30. */
  permits: number;
  /** The memory to lay the semaphore out in; one of its own by default. */
  memory?: Memory;
}

const KIND: RegionKind<"busbar.semaphore"> = {
  kind: "busbar.semaphore",
  version: 1,
  magic: 0x73656d61, // "sema"
};
const BYTES = CACHE_LINE_BYTES;

const PERMITS = FIRST_WORD;
const WAITERS = FIRST_WORD + 1;
const LARGE_WAITERS = FIRST_WORD + 2;

/** The most permits: twice as many fit the word still, so that too many are noticed. */
const MAX_PERMITS = 2 ** 30;

/**
 * A semaphore: a number of permits, which threads take and give back, or hand out to others.
 *
 * Not first come, first served: who finds permits takes them, whoever waits.
 *
 * @example At most four at a time
 * ```ts
 * import { Semaphore } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = Semaphore.create({ permits: 4 });
 * // worker.postMessage(semaphore.handle), and there: Semaphore.attach(handle)
 * {
 *   using _permit = await semaphore.acquireAsync();
 *   using _three = semaphore.acquire(3);
 *   assertEquals(semaphore.tryAcquire(), undefined);
 * }
 * assertEquals(semaphore.permits, 4);
 * ```
 *
 * @example Permits that another thread hands out
 * ```ts
 * import { Semaphore } from "@busbar/busbar";
 *
 * const itemsReady = Semaphore.create({ permits: 0 });
 * itemsReady.release(); // after an item was made, in one thread
 * itemsReady.acquire(); // before it is used, in another: this permit is not given back
 * ```
 */
export class Semaphore {
  readonly #region: Region<"busbar.semaphore">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  readonly #releaseOne = (): void => this.#giveBack(1);

  private constructor(region: Region<"busbar.semaphore">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, PERMITS);
    region.label("permits", PERMITS);
    region.label("waiters", WAITERS);
    region.label("largeWaiters", LARGE_WAITERS);
  }

  /**
   * Lays a new semaphore out.
   *
   * @throws {RangeError} If `permits` is not a whole number from 0 to 2^30, or the memory has not
   * enough free bytes.
   */
  static create(options: SemaphoreOptions): Semaphore {
    checkOptions("create semaphore", options);
    checkInteger("create semaphore", "permits", options.permits, 0, MAX_PERMITS);
    const region = Region.create(KIND, BYTES, options.memory);
    region.words[PERMITS] = options.permits;
    return new Semaphore(region);
  }

  /**
   * Opens a semaphore that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a semaphore of this version.
   */
  static attach(handle: SemaphoreHandle): Semaphore {
    return new Semaphore(Region.attach(KIND, handle, BYTES));
  }

  /** A plain object that survives structured clone and opens this semaphore in another thread. */
  get handle(): SemaphoreHandle {
    return this.#region.handle;
  }

  /** How many permits were there to be taken just now. */
  get permits(): number {
    return Atomics.load(this.#words, PERMITS);
  }

  /** How many waited for permits just now. */
  get waiters(): number {
    return Atomics.load(this.#words, WAITERS);
  }

  /**
   * Takes permits; blocks while there are too few.
   *
   * @param count How many, all at once; 1 by default.
   * @returns What gives them back; nobody has to.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30.
   */
  acquire(count: number = 1): Guard {
    checkCount("acquire", count);
    if (!this.#take(count)) this.#block(count, Infinity);
    return this.#guard(count);
  }

  /**
   * Takes permits if there are enough, or within a time.
   *
   * @param count How many, all at once; 1 by default.
   * @param timeoutMs For how many milliseconds to block; 0 by default.
   * @returns What gives them back, or undefined if there were too few.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or `timeoutMs` is negative.
   */
  tryAcquire(count: number = 1, timeoutMs: number = 0): Guard | undefined {
    checkCount("acquire", count);
    if (timeoutMs !== 0) checkTimeout(timeoutMs);
    const isTaken = this.#take(count) || (timeoutMs !== 0 && this.#block(count, timeoutMs));
    return isTaken ? this.#guard(count) : undefined;
  }

  /**
   * Takes permits; waits, without blocking, while there are too few.
   *
   * @param count How many, all at once; 1 by default.
   * @returns What gives them back; nobody has to.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30.
   * @throws The signal's reason, if it is aborted.
   */
  async acquireAsync(
    count: number = 1,
    options: Pick<WaitOptions, "signal"> = {},
  ): Promise<Guard> {
    await this.#await(count, untimed(options));
    return this.#guard(count);
  }

  /**
   * As {@link Semaphore.acquireAsync}, within a time.
   *
   * @returns What gives them back, or undefined if there were too few.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async tryAcquireAsync(count: number, options: WaitOptions): Promise<Guard | undefined> {
    return await this.#await(count, options) ? this.#guard(count) : undefined;
  }

  /**
   * Adds permits, and wakes who waits for them. They need not be ones that were acquired.
   *
   * @param count How many; 1 by default.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or there would be more than
   * 2^30 permits.
   */
  release(count: number = 1): void {
    checkCount("release", count);
    this.#giveBack(count);
  }

  /**
   * Makes all threads that wait look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it takes its permits when it is woken, and runs on.
   * `src/when_a_worker_dies.md` says when which worker is dead, and what else to do.
   */
  wakeAll(): void {
    this.#sleepers.notify();
  }

  #guard(count: number): Guard {
    return new Guard(count === 1 ? this.#releaseOne : () => this.#giveBack(count));
  }

  #take(count: number): boolean {
    for (let seen = Atomics.load(this.#words, PERMITS); seen >= count;) {
      // Pairs with that of a release: we see what was done before it.
      const found = Atomics.compareExchange(this.#words, PERMITS, seen, seen - count);
      if (found === seen) return true;
      seen = found;
    }
    return false;
  }

  #giveBack(count: number): void {
    this.#add(count);
    if (Atomics.load(this.#words, WAITERS) === 0) return;
    // One that finds too few keeps a wake-up from one that would find enough.
    const isAnyLarge = Atomics.load(this.#words, LARGE_WAITERS) !== 0;
    this.#sleepers.notify(isAnyLarge ? Infinity : count);
  }

  #block(count: number, timeoutMs: number): boolean {
    this.#count(count, 1);
    try {
      return this.#sleepers.sleepUntil(() => this.#attempt(count), timeoutMs);
    } finally {
      this.#count(count, -1);
    }
  }

  async #await(count: number, options: WaitOptions): Promise<boolean> {
    checkCount("acquire", count);
    checkWaitOptions(options);
    if (this.#take(count)) return true;
    this.#count(count, 1);
    try {
      return await this.#sleepers.sleepUntilAsync(() => this.#attempt(count), options);
    } finally {
      this.#count(count, -1);
    }
  }

  /** Takes permits, for one that is counted as a waiter. */
  #attempt(count: number): number | undefined {
    for (let seen = Atomics.load(this.#words, PERMITS);;) {
      if (seen < count) return seen;
      const found = Atomics.compareExchange(this.#words, PERMITS, seen, seen - count);
      if (found === seen) return undefined;
      seen = found;
    }
  }

  /** Counts a waiter for `count` permits in, before it looks for them, or out. */
  #count(count: number, change: 1 | -1): void {
    if (count > 1) Atomics.add(this.#words, LARGE_WAITERS, change);
    Atomics.add(this.#words, WAITERS, change);
  }

  /**
   * Adds permits, unless they would be too many. Not by `add`, which two threads at once could wrap.
   *
   * @throws {RangeError} If they would be.
   */
  #add(count: number): void {
    for (let seen = Atomics.load(this.#words, PERMITS);;) {
      if (seen > MAX_PERMITS - count) {
        throw new RangeError(
          `Cannot release ${count} permits as there may be ${MAX_PERMITS}: found ${seen}`,
        );
      }
      // Before we look for waiters: pairs with the look of one that is counted already.
      const found = Atomics.compareExchange(this.#words, PERMITS, seen, seen + count);
      if (found === seen) return;
      seen = found;
    }
  }
}

function checkCount(action: string, count: number): void {
  if (count !== 1) checkInteger(action, "count", count, 1, MAX_PERMITS);
}
