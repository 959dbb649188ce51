/**
 * A mutex: at most one thread, or one task of a thread, is inside at a time.
 *
 * Layout (32-bit words, one cache line):
 *
 *     0       1         2
 *     | magic | version | state |
 *
 * The state, changed by whoever locks and by who holds it:
 *
 *     FREE       nobody is inside
 *     HELD       somebody is, and nobody sleeps
 *     CONTENDED  somebody is, and somebody may sleep
 *
 *                 lock: compareExchange          contender: exchange
 *          FREE ------------------------> HELD --------------------> CONTENDED
 *           ^                              |                             |
 *           +----- unlock: exchange -------+---- unlock: exchange, notify one
 *
 * **Locking.** A compareExchange from FREE to HELD. Whoever fails exchanges the state for CONTENDED:
 * if it was FREE, the mutex is its own; else it sleeps while the state is CONTENDED, and exchanges
 * again when it wakes. It cannot know whether others sleep still, so who has slept holds the mutex
 * as CONTENDED.
 *
 * **Unlocking.** An exchange for FREE. If it finds CONTENDED, one sleeper is woken. While nobody
 * contends nobody is notified.
 *
 * **Why no wake-up is lost.** One falls asleep only while the state is CONTENDED, so the unlock that
 * comes next finds the mark and notifies. Whoever is woken either gets the mutex, as CONTENDED, or
 * marks it again: either way the next unlock notifies the next sleeper. One that gives up has
 * marked it, too, which costs at most a needless notify.
 *
 * **Happens before.** Each change is a read-modify-write that reads the one before it, so all that
 * was done under the mutex happens before the exchange that frees it, and that before the one that
 * takes it next.
 *
 * **Fairness.** Sleepers are woken in the order in which they fell asleep, but a newcomer that comes
 * between a wake-up and its effect gets in first: nobody is handed a mutex while running threads
 * could use it. They do not spin before they sleep, since that was not found to be faster.
 *
 * **Limits.** A thread that is ended inside leaves the mutex locked. One that is ended asleep may take
 * a wake-up with it, until `wakeAll` makes the others look again. When a worker that was terminated
 * is dead differs by platform: see `src/when_a_worker_dies.md`.
 *
 * Proven by: tests/sync/mutex_model_test.ts, which says what was explored.
 * Source: U. Drepper, "Futexes Are Tricky", 2011, section 5.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import { FIRST_WORD, Region, type RegionHandle, type RegionKind } from "../memory/region.ts";
import { SleepWord } from "../memory/sleep.ts";
import {
  checkTimeout,
  checkWaitOptions,
  untimed,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { checkOptions } from "../memory/check.ts";
import { CACHE_LINE_BYTES } from "../memory/layout.ts";
import { Guard } from "./guard.ts";

/** Opens a {@link Mutex} in another thread. */
export type MutexHandle = RegionHandle<"busbar.mutex">;

/** Options of {@link Mutex.create}. */
export interface MutexOptions {
  /** The memory to lay the mutex out in; one of its own by default. */
  memory?: Memory;
}

const KIND: RegionKind<"busbar.mutex"> = {
  kind: "busbar.mutex",
  version: 1,
  magic: 0x6d757478, // "mutx"
};
const BYTES = CACHE_LINE_BYTES;

const STATE = FIRST_WORD;

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/**
 * A mutex: at most one thread, or one task of a thread, is inside at a time.
 *
 * It is not reentrant. A thread that is ended while it holds the mutex leaves it locked: see
 * `src/when_a_worker_dies.md`.
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
 * @example Without blocking the event loop
 * ```ts
 * import { Mutex } from "@busbar/busbar";
 *
 * const mutex = Mutex.create();
 * using guard = await mutex.lockAsync({ signal: AbortSignal.timeout(1000) });
 * ```
 */
export class Mutex {
  readonly #region: Region<"busbar.mutex">;
  readonly #words: Int32Array;
  readonly #sleepers: SleepWord;
  /** Whether this object has locked the mutex. */
  #isHeld = false;
  readonly #unlock = (): void => {
    this.#isHeld = false;
    // Publishes what was done inside to who takes it next; finds the mark of all that may sleep.
    if (Atomics.exchange(this.#words, STATE, FREE) === CONTENDED) this.#sleepers.notify(1);
  };

  private constructor(region: Region<"busbar.mutex">) {
    this.#region = region;
    this.#words = region.words;
    this.#sleepers = new SleepWord(region.memory, region.words, STATE);
    region.label("state", STATE);
  }

  /**
   * Lays a new mutex out, which nobody holds.
   *
   * @throws {RangeError} If the memory has not enough free bytes.
   */
  static create(options: MutexOptions = {}): Mutex {
    checkOptions("create mutex", options);
    return new Mutex(Region.create(KIND, BYTES, options.memory));
  }

  /**
   * Opens a mutex that another thread created. Do so once in a thread.
   *
   * @throws {TypeError} If it is not a handle of a mutex of this version.
   */
  static attach(handle: MutexHandle): Mutex {
    return new Mutex(Region.attach(KIND, handle, BYTES));
  }

  /** A plain object that survives structured clone and opens this mutex in another thread. */
  get handle(): MutexHandle {
    return this.#region.handle;
  }

  /** Whether somebody held the mutex just now. */
  get isLocked(): boolean {
    return Atomics.load(this.#words, STATE) !== FREE;
  }

  /**
   * Locks the mutex; blocks while another holds it.
   *
   * @returns What unlocks it.
   * @throws {Error} If this thread holds the mutex: it would wait for itself.
   */
  lock(): Guard {
    if (!this.#take()) this.#block(Infinity);
    return new Guard(this.#unlock);
  }

  /**
   * Locks the mutex if nobody holds it, or within a time.
   *
   * @param timeoutMs For how many milliseconds to block; 0 by default.
   * @returns What unlocks it, or undefined if it stayed locked.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this thread holds the mutex and would wait for itself.
   */
  tryLock(timeoutMs: number = 0): Guard | undefined {
    if (timeoutMs !== 0) checkTimeout(timeoutMs);
    const isHeld = this.#take() || (timeoutMs !== 0 && this.#block(timeoutMs));
    return isHeld ? new Guard(this.#unlock) : undefined;
  }

  /**
   * Locks the mutex; waits, without blocking, while another holds it.
   *
   * @returns What unlocks it.
   * @throws The signal's reason, if it is aborted.
   */
  async lockAsync(options: Pick<WaitOptions, "signal"> = {}): Promise<Guard> {
    await this.#await(untimed(options));
    return new Guard(this.#unlock);
  }

  /**
   * As {@link Mutex.lockAsync}, within a time.
   *
   * @returns What unlocks it, or undefined if it stayed locked.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async tryLockAsync(options: WaitOptions): Promise<Guard | undefined> {
    return await this.#await(options) ? new Guard(this.#unlock) : undefined;
  }

  /**
   * Makes all threads that wait look again. Call it once a worker is dead that may have been waiting:
   * it may have taken a wake-up with it.
   *
   * In Deno a worker that blocks is not dead after `terminate`: it takes the lock when it is woken, and runs on.
   * `src/when_a_worker_dies.md` says when which worker is dead, and what else to do.
   */
  wakeAll(): void {
    this.#sleepers.notify();
  }

  #take(): boolean {
    // Pairs with the exchange of unlock: we see what was done inside before.
    if (Atomics.compareExchange(this.#words, STATE, FREE, HELD) !== FREE) return false;
    this.#isHeld = true;
    return true;
  }

  #block(timeoutMs: number): boolean {
    if (this.#isHeld) {
      throw new Error("Cannot lock the mutex as this thread holds it: it would wait for itself");
    }
    return this.#sleepers.sleepUntil(this.#contend, timeoutMs);
  }

  async #await(options: WaitOptions): Promise<boolean> {
    checkWaitOptions(options);
    return this.#take() || await this.#sleepers.sleepUntilAsync(this.#contend, options);
  }

  /** Locks the mutex for one that has slept, or is about to. */
  readonly #contend = (): number | undefined => {
    // As contended, although nobody else may sleep: whoever unlocks it looks after who does.
    if (Atomics.exchange(this.#words, STATE, CONTENDED) !== FREE) return CONTENDED;
    this.#isHeld = true;
    return undefined;
  };
}
