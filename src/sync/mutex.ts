/**
 * A mutex: at most one thread, or one task of a thread, holds it at a time.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | state |
 *
 * The state, changed by the threads that lock and by the one that unlocks:
 *
 *     FREE       no thread holds the mutex
 *     HELD       a thread holds it, and none sleeps
 *     CONTENDED  a thread holds it, and others may sleep
 *
 *                 lock: compareExchange          contender: exchange
 *          FREE ------------------------> HELD --------------------> CONTENDED
 *           ^                              |                             |
 *           +----- unlock: exchange -------+---- unlock: exchange, notify one
 *
 * **Locking.** A compareExchange from FREE to HELD. A thread for which that fails exchanges the
 * state for CONTENDED: if it was FREE, the thread holds the mutex; otherwise it sleeps while the
 * state is CONTENDED, and exchanges again when it wakes. It cannot know whether others still sleep,
 * so a thread that has slept holds the mutex as CONTENDED.
 *
 * **Unlocking.** An exchange for FREE. If it finds CONTENDED, it wakes one sleeper. While there is
 * no contention nothing is notified.
 *
 * **Why no wake-up is lost.** A thread falls asleep only while the state is CONTENDED, so the next
 * unlock finds the mark and notifies. A woken thread either gets the mutex, as CONTENDED, or marks
 * it again: either way the next unlock notifies the next sleeper. A thread that gives up has marked
 * the state, too, which costs at most a needless notify.
 *
 * **Happens before.** Each change is a read-modify-write that reads the one before it, so
 * everything done under the mutex happens before the exchange that frees it, and that before the
 * operation that takes it next.
 *
 * **Fairness.** Sleepers are woken in the order in which they fell asleep, but a newcomer that
 * arrives between a wake-up and its effect gets in first: the mutex is not handed to a sleeping
 * thread while running threads could use it. Threads do not spin before they sleep; spinning was
 * measured and was not faster.
 *
 * **Limits.** A thread that is ended while it holds the mutex leaves it locked. One that is ended
 * while it sleeps may take a wake-up with it, until `reclaimWakeups` makes the others look again.
 * `src/when_a_worker_dies.md` says when a terminated worker is dead.
 *
 * Proven by: tests/sync/mutex_model_test.ts, which says what was explored.
 * Source: U. Drepper, "Futexes Are Tricky", 2011, section 5.
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
  type UntimedWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { Guard } from "./guard.ts";

/** Opens a {@link Mutex} in another thread. */
export type MutexHandle = RegionHandle<"busbar.mutex">;

/** Options of {@link Mutex.create}. */
export interface MutexOptions {
  /** The memory to lay the mutex out in; one of its own by default. */
  memory?: Memory;
}

const STATE = FIRST_WORD;

const KIND = cacheLineKind("busbar.mutex", 0x6d757478, { state: STATE }); // "mutx"

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/**
 * A mutex (mutual exclusion lock): at most one thread, or one task of a thread, holds it at a time.
 *
 * - **Mutual exclusion.** While a guard is held no other is handed out, to any thread or task.
 * - **Visibility.** Everything done under the mutex, plain writes too, is visible to the next
 *   holder.
 * - **No lost wake-up.** An unlock wakes a sleeper whenever there is one.
 * - **Giving up is free.** A wait that times out, is aborted or fails leaves the mutex as it was.
 * - **Not fair.** A running thread may overtake one that is being woken.
 * - **Not reentrant.** A thread that holds it and blocks for it again gets an error.
 *
 * A thread that dies while it holds the mutex leaves it locked: see `src/when_a_worker_dies.md`.
 *
 * @example Usage
 * ```ts
 * import { Mutex } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = Mutex.create();
 * const account = new Int32Array(new SharedArrayBuffer(8));
 * // worker.postMessage({ mutex: mutex.handle, account }), and there: Mutex.attach(handle)
 *
 * function transfer(mutex: Mutex, amount: number) {
 *   using _guard = mutex.lock();
 *   account[0]! -= amount; // plain accesses: only one thread is here
 *   account[1]! += amount;
 * }
 * transfer(Mutex.attach(mutex.handle), 10);
 * assertEquals([...account], [-10, 10]);
 * ```
 *
 * @example For a time, or without blocking the event loop
 * ```ts
 * import { Mutex } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = Mutex.create();
 * using guard = await mutex.lockAsync({ signal: AbortSignal.timeout(1000) });
 * assertEquals(mutex.tryLock(), undefined);
 * assertEquals(await mutex.lockAsync({ timeoutMs: 10 }), undefined);
 * ```
 */
export class Mutex {
  readonly #region: Region<"busbar.mutex">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  readonly #door: Door;
  /** Whether this object has locked the mutex. */
  #isHeld = false;
  readonly #unlock = (): void => {
    this.#isHeld = false;
    // Publishes what was done inside to the next holder; finds the mark of all that may sleep.
    if (Atomics.exchange(this.#words, STATE, FREE) === CONTENDED) this.#sleepers.notify(1);
  };

  /** @ignore */
  private constructor(region: Region<"busbar.mutex">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, STATE);
    const wait: Wait = { attempt: this.#contend };
    this.#door = new Door(this.#sleepers, (isBlocking) => {
      if (isBlocking) this.#checkNotHeld();
      return wait;
    });
  }

  /**
   * Lays out a new mutex, which no thread holds.
   *
   * @throws {TypeError} If `options` or its `memory` is of another type.
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options?: MutexOptions): Mutex {
    if (options !== undefined) checkOptions("create mutex", options);
    return new Mutex(Region.createLine(KIND, options?.memory));
  }

  /**
   * Opens a mutex that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a mutex of this version.
   */
  static attach(handle: MutexHandle): Mutex {
    return new Mutex(Region.attach(KIND, handle));
  }

  /** A plain object that survives structured clone and opens this mutex in another thread. */
  get handle(): MutexHandle {
    return this.#region.handle;
  }

  /** Whether a thread held the mutex just now. */
  get isLocked(): boolean {
    return Atomics.load(this.#words, STATE) !== FREE;
  }

  /**
   * Locks the mutex, blocking while another holds it.
   *
   * @returns The guard that unlocks it; undefined if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread holds the mutex: it would wait for itself.
   */
  lock(): Guard;
  /** As above; with `timeoutMs` it may give up. */
  lock(options?: WaitOptions): Guard | undefined;
  lock(options?: WaitOptions): Guard | undefined {
    if (options !== undefined) checkWaitOptions(options);
    const isHeld = this.#tryLock() || this.#door.wait(options);
    return isHeld ? new Guard(this.#unlock) : undefined;
  }

  /**
   * Locks the mutex if no other holds it, without waiting.
   *
   * @returns The guard that unlocks it; undefined if it is locked.
   */
  tryLock(): Guard | undefined {
    return this.#tryLock() ? new Guard(this.#unlock) : undefined;
  }

  /**
   * Locks the mutex, waiting without blocking while another holds it. The process stays alive
   * meanwhile.
   *
   * @returns The guard that unlocks it; undefined if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  lockAsync(options?: UntimedWaitOptions): Promise<Guard>;
  /** As above; with `timeoutMs` it may give up. */
  lockAsync(options?: AsyncWaitOptions): Promise<Guard | undefined>;
  async lockAsync(options?: AsyncWaitOptions): Promise<Guard | undefined> {
    checkAsyncWaitOptions(options);
    const isHeld = this.#tryLock() || await this.#door.waitAsync(options);
    return isHeld ? new Guard(this.#unlock) : undefined;
  }

  /**
   * Makes all waiting threads look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it. If the dead worker held the mutex, it stays locked.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it takes the mutex when it is
   * woken, and runs on. `src/when_a_worker_dies.md` says when a worker is dead, and what else to
   * do.
   */
  reclaimWakeups(): void {
    this.#sleepers.notify();
  }

  #tryLock(): boolean {
    // Pairs with the exchange of unlock: we see what was done inside before.
    if (Atomics.compareExchange(this.#words, STATE, FREE, HELD) !== FREE) return false;
    this.#isHeld = true;
    return true;
  }

  /** Locks the mutex for a waiter that has slept, or is about to. */
  readonly #contend = (): number | undefined => {
    // Always CONTENDED: others may still be asleep, and the next unlock must notify.
    if (Atomics.exchange(this.#words, STATE, CONTENDED) !== FREE) return CONTENDED;
    this.#isHeld = true;
    return undefined;
  };

  #checkNotHeld(): void {
    if (!this.#isHeld) return;
    throw new Error("Cannot lock the mutex as this thread holds it: it would wait for itself");
  }
}
