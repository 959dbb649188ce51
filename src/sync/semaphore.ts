/**
 * A counting semaphore: a number of permits that threads acquire and release, or hand to others.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2         3         4
 *     | magic | version | permits | waiters | large waiters |
 *
 *     permits        how many are available: reduced by compareExchange by a thread that acquires,
 *                    never below zero; increased by a thread that releases
 *     waiters        how many threads wait or are about to: each adds and later subtracts itself
 *     large waiters  how many of those want more than one permit; likewise
 *
 * **Acquiring.** If enough permits are available, a compareExchange takes them. Otherwise the
 * waiter counts itself among the waiters, and *then* looks at the permits again. It sleeps while
 * they are exactly as many as it saw, which are too few.
 *
 * **Releasing.** The thread adds the permits, and *then* looks at the number of waiters. If there
 * are any, it wakes as many as permits came back; or all, if any of them wants more than one.
 *
 * **Why no wake-up is lost.** The waiter counts itself and then looks at the permits; the releaser
 * adds permits and then looks at the count. So at least one of them sees the other: the waiter
 * finds the permits, or is found. A thread that waits for a single permit sleeps only while there
 * is none, and each permit that comes back wakes one sleeper: a woken thread that finds none was
 * overtaken by another, which will release it. A thread that waits for several may find too few,
 * and sleep again, where another would have had enough; so all are woken while there is such a
 * thread. A waiter for one permit that is woken at its last moment takes the permit that it was
 * woken for.
 *
 * **Happens before.** Every change of the permits is a read-modify-write, so what was done before a
 * release happens before what is done after a later acquire.
 *
 * **Fairness.** Not first come, first served: a thread that finds permits takes them, even if
 * others wait, so that running threads never wait for a sleeping one to wake. Waiters are woken in
 * the order in which they fell asleep. One that wants many permits can be overtaken by others that
 * want few for as long as those keep coming; where that matters, acquire under a `Mutex`.
 *
 * **Limits.** A waiter that is ended while it sleeps remains counted, which costs a needless notify
 * at each release, and may take a wake-up with it, until `reclaimWakeups` makes the others look
 * again. `src/when_a_worker_dies.md` says when a terminated worker is dead.
 *
 * Proven by: tests/sync/semaphore_model_test.ts, which says what was explored.
 * Source: E. W. Dijkstra, "Cooperating Sequential Processes", EWD 123, 1965, section 4.
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
  type UntimedWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { Guard } from "./guard.ts";

/** Opens a {@link Semaphore} in another thread. */
export type SemaphoreHandle = RegionHandle<"busbar.semaphore">;

/** Options of {@link Semaphore.create}. */
export interface SemaphoreOptions {
  /** How many permits are available at first, from 0 to 2^30. */
  permits: number;
  /** The memory to lay the semaphore out in; one of its own by default. */
  memory?: Memory;
}

const PERMITS = FIRST_WORD;
const WAITERS = FIRST_WORD + 1;
const LARGE_WAITERS = FIRST_WORD + 2;

const KIND = cacheLineKind("busbar.semaphore", 0x73656d61, { // "sema"
  permits: PERMITS,
  waiters: WAITERS,
  largeWaiters: LARGE_WAITERS,
});

/** The most permits. Twice as many still fit the word, so that an excess is noticed. */
const MAX_PERMITS = 2 ** 30;

/**
 * A counting semaphore: a number of permits that threads acquire and release, or hand to others.
 *
 * - **Never too many.** No more permits are out than were created and released.
 * - **Visibility.** Everything done before a release is visible after a later acquire.
 * - **No lost wake-up.** Permits never lie idle beside a waiter that they would be enough for.
 * - **Giving up is free.** A wait that times out, is aborted or fails takes no permit.
 * - **Not fair.** A thread that finds permits takes them, even if others wait.
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
 *   assertEquals(semaphore.acquire(1, { timeoutMs: 5 }), undefined);
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
 * itemsReady.acquire(); // before it is used, in another: this permit is not released
 * ```
 */
export class Semaphore {
  readonly #region: Region<"busbar.semaphore">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  readonly #releaseOne = (): void => this.#release(1);

  /** @ignore */
  private constructor(region: Region<"busbar.semaphore">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, PERMITS);
  }

  /**
   * Lays out a new semaphore.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If `permits` is not a whole number from 0 to 2^30, or the memory has not
   * enough free bytes.
   */
  static create(options: SemaphoreOptions): Semaphore {
    checkOptions("create semaphore", options);
    checkInteger("create semaphore", "permits", options.permits, 0, MAX_PERMITS);
    const region = Region.createLine(KIND, options.memory);
    region.words[PERMITS] = options.permits;
    return new Semaphore(region);
  }

  /**
   * Opens a semaphore that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a semaphore of this version.
   */
  static attach(handle: SemaphoreHandle): Semaphore {
    return new Semaphore(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this semaphore in another thread. */
  get handle(): SemaphoreHandle {
    return this.#region.handle;
  }

  /** How many permits were available just now. */
  get permits(): number {
    return Atomics.load(this.#words, PERMITS);
  }

  /** How many threads and tasks waited for permits just now. */
  get waiters(): number {
    return Atomics.load(this.#words, WAITERS);
  }

  /**
   * Acquires permits, blocking while there are too few.
   *
   * @param count How many, all at once; 1 by default.
   * @returns The guard that releases them, if that is wanted; undefined if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or `timeoutMs` is
   * negative.
   */
  acquire(count?: number): Guard;
  /** As above; with `timeoutMs` it may give up. */
  acquire(count?: number, options?: WaitOptions): Guard | undefined;
  acquire(count: number = 1, options?: WaitOptions): Guard | undefined {
    checkCount("acquire", count);
    if (options !== undefined) checkWaitOptions(options);
    const isTaken = this.#take(count) || this.#doorFor(count).wait(options);
    return isTaken ? this.#guard(count) : undefined;
  }

  /**
   * Acquires permits if there are enough, without waiting.
   *
   * @param count How many, all at once; 1 by default.
   * @returns The guard that releases them; undefined if there were too few.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30.
   */
  tryAcquire(count?: number): Guard | undefined;
  tryAcquire(count: number = 1): Guard | undefined {
    checkCount("acquire", count);
    return this.#take(count) ? this.#guard(count) : undefined;
  }

  /**
   * Acquires permits, waiting without blocking while there are too few. The process stays alive
   * meanwhile.
   *
   * @param count How many, all at once; 1 by default.
   * @returns The guard that releases them, if that is wanted; undefined if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or `timeoutMs` is
   * negative.
   * @throws The signal's reason, if it is aborted.
   */
  acquireAsync(count?: number, options?: UntimedWaitOptions): Promise<Guard>;
  /** As above; with `timeoutMs` it may give up. */
  acquireAsync(count?: number, options?: AsyncWaitOptions): Promise<Guard | undefined>;
  async acquireAsync(count: number = 1, options?: AsyncWaitOptions): Promise<Guard | undefined> {
    checkCount("acquire", count);
    checkAsyncWaitOptions(options);
    const isTaken = this.#take(count) || await this.#doorFor(count).waitAsync(options);
    return isTaken ? this.#guard(count) : undefined;
  }

  /**
   * Adds permits, and wakes threads that wait for them. They need not be permits that were
   * acquired.
   *
   * @param count How many; 1 by default.
   * @throws {RangeError} If `count` is not a whole number from 1 to 2^30, or there would be more
   * than 2^30 permits.
   */
  release(count?: number): void;
  release(count: number = 1): void {
    checkCount("release", count);
    this.#release(count);
  }

  /**
   * Makes all waiting threads look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it. Permits that the dead worker had acquired must be released
   * in its place.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it takes its permits when it is
   * woken, and runs on. `src/when_a_worker_dies.md` says when a worker is dead, and what else to
   * do.
   */
  reclaimWakeups(): void {
    this.#sleepers.notify();
  }

  #guard(count: number): Guard {
    return new Guard(count === 1 ? this.#releaseOne : () => this.#release(count));
  }

  #doorFor(count: number): Door {
    return new Door(this.#sleepers, () => {
      this.#count(count, 1);
      const attempt = () => {
        const tooFew = this.#attempt(count);
        if (tooFew === undefined) this.#count(count, -1);
        return tooFew;
      };
      return { attempt, giveUp: () => this.#count(count, -1) };
    });
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

  /** Takes permits; if there are too few, returns how many there are. */
  #attempt(count: number): number | undefined {
    for (let seen = Atomics.load(this.#words, PERMITS);;) {
      if (seen < count) return seen;
      const found = Atomics.compareExchange(this.#words, PERMITS, seen, seen - count);
      if (found === seen) return undefined;
      seen = found;
    }
  }

  #release(count: number): void {
    this.#add(count);
    if (Atomics.load(this.#words, WAITERS) === 0) return;
    // A waiter that finds too few would keep the wake-up from one that would have enough.
    const hasLarge = Atomics.load(this.#words, LARGE_WAITERS) !== 0;
    this.#sleepers.notify(hasLarge ? Infinity : count);
  }

  /** Counts a waiter for `count` permits in, before it looks for them, or out. */
  #count(count: number, change: 1 | -1): void {
    if (count > 1) Atomics.add(this.#words, LARGE_WAITERS, change);
    Atomics.add(this.#words, WAITERS, change);
  }

  /**
   * Adds permits. Not by `add`, with which two threads at once could exceed the word.
   *
   * @throws {RangeError} If there would be too many.
   */
  #add(count: number): void {
    for (let seen = Atomics.load(this.#words, PERMITS);;) {
      if (seen > MAX_PERMITS - count) {
        throw new RangeError(
          `Cannot release ${count} permits as there may be at most ${MAX_PERMITS}: found ${seen}`,
        );
      }
      // Before we look for waiters: pairs with the look of a waiter that is already counted.
      const found = Atomics.compareExchange(this.#words, PERMITS, seen, seen + count);
      if (found === seen) return;
      seen = found;
    }
  }
}

function checkCount(action: string, count: number): void {
  if (count !== 1) checkInteger(action, "count", count, 1, MAX_PERMITS);
}
