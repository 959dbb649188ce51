/**
 * The waiters of one thread at a waiter queue: one shared registration, and behind it a private
 * queue of the thread's own waiters.
 *
 * However many tasks of the thread wait, the thread is registered once. A value that it receives
 * goes to its first waiter; if others remain, the thread registers again, behind the other threads.
 * A blocking waiter is served before tasks that await, since the thread cannot resume those
 * meanwhile.
 *
 *     a value arrives: collect it, hand it to the first waiter, or release it if there is none
 *     waiters remain:  register unless registered, mark, look into the store; sleep
 *     none remains:    cancel; if that fails a value has arrived; unmark
 *
 * {@link ThreadWaiters.#serve} repeats these steps until none is left to do. The protocol between
 * threads is described at the head of `waiter_queue.ts`.
 *
 * @module
 */

import { keepAlive } from "../memory/keep_alive.ts";
import { checkInteger, checkOptions } from "../memory/check.ts";
import { deferred, now } from "../memory/platform.ts";
import { ClosedError, ReclaimedError } from "../memory/errors.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type UntimedWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { MAX_VALUE, RECLAIMED, type Registrations } from "./registrations.ts";
import { checkStore, releaseTo, type ValueStore } from "./value_store.ts";

/** Options of {@link WaiterQueue.join}. */
export interface JoinOptions {
  /**
   * Which slot to take, from 0; any free one by default. A thread that assigns the slots to the
   * threads that it starts knows which slot to reclaim should one of them die at any instruction.
   */
  slot?: number;
}

/** One wait of this thread. */
interface Waiter {
  /** The value that it received. */
  value: number | undefined;
  /** The time at which it gives up. */
  readonly deadline: number;
  /** Ends the wait: it was served, or its time is over. */
  readonly settle: () => void;
  /** Ends the wait: it cannot be served. */
  readonly fail: (error: unknown) => void;
}

/**
 * The part of one thread in a {@link WaiterQueue}: it takes values, waiting if there is none, and
 * releases them.
 *
 * - **FIFO order.** The thread that has waited longest gets the next value; within a thread, a
 *   blocking wait first, then its tasks in order.
 * - **No lost wake-up.** A value never lies in the store beside a waiter.
 * - **Visibility.** Everything done before a value was released is visible after it was taken.
 * - **Giving up is free.** A value that arrives for a waiter that gave up goes to the next.
 *
 * @example Usage
 * ```ts
 * import { WaiterQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const free: number[] = []; // of one thread only; see WaiterQueue for a shared one
 * const store = { take: () => free.pop(), put: (value: number) => void free.push(value) };
 * using waiters = WaiterQueue.create().join(store);
 *
 * const first = waiters.takeAsync();
 * const second = waiters.takeAsync();
 * waiters.release(1);
 * waiters.release(2);
 * assertEquals(await Promise.all([first, second]), [1, 2]);
 *
 * assertEquals(waiters.tryTake(), undefined);
 * assertEquals(await waiters.takeAsync({ timeoutMs: 5 }), undefined);
 * ```
 */
export class ThreadWaiters implements Disposable {
  /**
   * The number of this thread's slot, from 0. It is needed to reclaim the slot if the thread dies.
   */
  readonly slot: number;
  readonly #registrations: Registrations;
  readonly #store: ValueStore;
  /** The mail of the present registration. */
  #mail: number | undefined;
  /** Whether the slot is marked. */
  #isMarked = false;
  /** The waiter that blocks this thread. */
  #blocked: Waiter | undefined;
  /** Waiters that do not block, in the order of their arrival. */
  readonly #awaiting = new Set<Waiter>();
  /** When the first of those gives up. */
  #nextDeadline = Infinity;
  /** Whether {@link ThreadWaiters.#pump} is running. */
  #isPumping = false;
  /** Whether it is asleep, and must be woken once no waiter remains. */
  #isPumpAsleep = false;
  #isClosed = false;

  /**
   * Made by {@link WaiterQueue.join}, with registrations of so many threads.
   *
   * @ignore
   */
  constructor(
    registrations: Registrations,
    threads: number,
    store: ValueStore,
    options?: JoinOptions,
  ) {
    if (options !== undefined) checkOptions("join the waiter queue", options);
    const slot = options?.slot;
    checkStore("join the waiter queue", store);
    if (slot !== undefined) checkInteger("join the waiter queue", "slot", slot, 0, threads - 1);
    this.#registrations = registrations;
    this.#store = store;
    this.slot = this.#registrations.claimSlot(slot, slot);
    if (this.slot < 0) {
      throw new Error(
        slot === undefined
          ? `Cannot join the waiter queue as all ${threads} thread slots are in use`
          : `Cannot join the waiter queue as slot ${slot} is taken`,
      );
    }
  }

  /** How many tasks of this thread wait. */
  get waiting(): number {
    return this.#awaiting.size;
  }

  /**
   * Takes a value, blocking while there is none.
   *
   * Everything that was done before the value was released, plain writes too, is visible from here
   * on. This holds for each way to take a value.
   *
   * @returns The value; undefined if the time is over.
   * @throws {TypeError} If the platform forbids this thread to block, or `options` is not an
   * object.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this was closed.
   * @throws {ReclaimedError} If another thread has reclaimed this one.
   */
  take(): number;
  /** As above; with `timeoutMs` it may give up. */
  take(options?: WaitOptions): number | undefined;
  take(options?: WaitOptions): number | undefined {
    checkWaitOptions(options);
    return this.tryTake() ?? this.#block(options);
  }

  /**
   * Takes a value if there is one, without waiting.
   *
   * @returns The value; undefined if there was none.
   * @throws {ClosedError} If this was closed.
   */
  tryTake(): number | undefined {
    if (this.#isClosed) throw closedError("take a value");
    return this.#store.take();
  }

  /**
   * Takes a value, waiting without blocking while there is none. The process stays alive meanwhile.
   *
   * @returns The value; undefined if the time is over.
   * @throws {TypeError} If `options` is not an object, or its `signal` not an AbortSignal.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted; a value that has arrived by then goes to the
   * next.
   * @throws {ClosedError} If this is closed, before or meanwhile.
   * @throws {ReclaimedError} If another thread has reclaimed this one.
   */
  takeAsync(options?: UntimedWaitOptions): Promise<number>;
  /** As above; with `timeoutMs` it may give up. */
  takeAsync(options?: AsyncWaitOptions): Promise<number | undefined>;
  async takeAsync(options?: AsyncWaitOptions): Promise<number | undefined> {
    checkAsyncWaitOptions(options);
    const signal = options?.signal;
    const value = this.tryTake();
    if (value !== undefined || options?.timeoutMs === 0) return value;
    // The store is the caller's, and may abort.
    signal?.throwIfAborted();

    const { promise, resolve: settle, reject: fail } = deferred();
    const waiter: Waiter = {
      value: undefined,
      deadline: new Deadline(options).time,
      settle,
      fail,
    };
    const onAbort = () => settle();
    signal?.addEventListener("abort", onAbort);
    this.#enqueue(waiter);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    if (signal?.aborted) {
      this.#abandon(waiter);
      throw signal.reason;
    }
    return waiter.value;
  }

  /**
   * Gives a value to the thread that has waited longest, or puts it into the store.
   *
   * Everything that this thread did before, plain writes too, happens before everything that
   * another does after it took the value.
   *
   * @param value A whole number from 0 to 2^31 - 1.
   * @throws {RangeError} If it is not such a number.
   * @throws {ClosedError} If this was closed.
   */
  release(value: number): void {
    if (this.#isClosed) throw closedError("release");
    checkInteger("release", "value", value, 0, MAX_VALUE);
    releaseTo(this.#registrations, this.#store, value);
    if (this.#isMarked) this.#serve();
  }

  /**
   * Leaves the queue. Tasks that still wait here get a {@link ClosedError}; a value that has
   * arrived goes to the next thread. Closing again does nothing.
   *
   * @throws {ReclaimedError} If another thread has reclaimed this one, which is alive.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#failAll(closedError("take a value"));
    if (!this.#registrations.isOurs(this.slot)) throw reclaimedError(this.slot);
    this.#serve();
    this.#registrations.releaseSlot(this.slot);
  }

  /** As {@link ThreadWaiters.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Waits for a value at the head of this thread's queue. */
  #block(options: WaitOptions | undefined): number | undefined {
    const deadline = new Deadline(options);
    const ignore = () => {};
    const waiter: Waiter = { value: undefined, deadline: Infinity, settle: ignore, fail: ignore };
    this.#blocked = waiter;
    try {
      for (;;) {
        this.#serve();
        if (waiter.value !== undefined) return waiter.value;
        const { remainingMs } = deadline;
        if (remainingMs === 0) return undefined;
        this.#registrations.wait(this.slot, this.#mail!, remainingMs);
      }
    } finally {
      if (waiter.value === undefined) {
        this.#blocked = undefined;
        this.#serve();
      }
    }
  }

  #enqueue(waiter: Waiter): void {
    this.#awaiting.add(waiter);
    const isSooner = waiter.deadline < this.#nextDeadline;
    if (isSooner) this.#nextDeadline = waiter.deadline;
    if (!this.#isPumping) this.#pump();
    else if (isSooner && this.#isPumpAsleep) this.#registrations.wake(this.slot);
  }

  /** Removes a waiter that was aborted; a value that it received goes to the next. */
  #abandon(waiter: Waiter): void {
    if (waiter.value !== undefined) releaseTo(this.#registrations, this.#store, waiter.value);
    else this.#awaiting.delete(waiter);
    this.#serve();
  }

  /** Serves tasks that await, for as long as there are any. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    const allowExit = keepAlive();
    try {
      for (;;) {
        this.#serve();
        if (this.#nextDeadline !== Infinity) this.#expire();
        if (this.#awaiting.size === 0) break;
        const remaining = Math.max(this.#nextDeadline - now(), 0);
        this.#isPumpAsleep = true;
        await this.#registrations.waitAsync(this.slot, this.#mail!, remaining);
        this.#isPumpAsleep = false;
      }
      this.#serve();
    } catch (error) {
      this.#failAll(error);
      this.#serve();
    } finally {
      this.#isPumping = false;
      allowExit();
    }
  }

  /** Ends the waits whose time is over. */
  #expire(): void {
    const time = now();
    if (time < this.#nextDeadline) return;
    this.#nextDeadline = Infinity;
    for (const waiter of this.#awaiting) {
      if (waiter.deadline <= time) {
        this.#awaiting.delete(waiter);
        waiter.settle();
      } else if (waiter.deadline < this.#nextDeadline) {
        this.#nextDeadline = waiter.deadline;
      }
    }
  }

  #failAll(error: unknown): void {
    for (const waiter of this.#awaiting) waiter.fail(error);
    this.#awaiting.clear();
    this.#nextDeadline = Infinity;
  }

  /**
   * Runs the protocol until this thread is registered and there is no value for it, or it is not
   * registered and has no waiters.
   */
  #serve(): void {
    for (;;) {
      const value = this.#collect();
      if (value !== undefined) {
        this.#hand(value);
      } else if (this.#blocked === undefined && this.#awaiting.size === 0) {
        if (this.#withdraw()) return;
      } else {
        if (this.#mail === undefined) this.#register();
        // After registering: pairs with the look of a release after it has put a value in.
        const stored = this.#store.take();
        if (stored === undefined) return;
        this.#hand(stored);
      }
    }
  }

  /** Takes the value that this thread received, if there is one. */
  #collect(): number | undefined {
    if (this.#mail === undefined) return undefined;
    const value = this.#registrations.collect(this.slot, this.#mail);
    if (value === undefined) return undefined;
    this.#mail = undefined;
    if (value !== RECLAIMED) return value;
    this.#isClosed = true;
    this.#isMarked = false;
    throw reclaimedError(this.slot);
  }

  #register(): void {
    this.#mail = this.#registrations.register(this.slot);
    if (this.#isMarked) return;
    this.#registrations.mark(this.slot);
    this.#isMarked = true;
  }

  /** Ends the registration, if there is one; false if a value has arrived instead. */
  #withdraw(): boolean {
    if (this.#mail !== undefined) {
      if (!this.#registrations.cancel(this.slot, this.#mail)) return false;
      this.#mail = undefined;
    }
    if (this.#isMarked) {
      this.#registrations.unmark(this.slot);
      this.#isMarked = false;
      if (this.#isPumpAsleep) this.#registrations.wake(this.slot);
    }
    return true;
  }

  /** Hands a value to the first waiter, or without one to another thread or the store. */
  #hand(value: number): void {
    const waiter = this.#blocked ?? this.#awaiting.values().next().value;
    if (waiter === undefined) return releaseTo(this.#registrations, this.#store, value);
    waiter.value = value;
    if (waiter === this.#blocked) this.#blocked = undefined;
    else this.#awaiting.delete(waiter);
    waiter.settle();
  }
}

function closedError(action: string): ClosedError {
  return new ClosedError(`Cannot ${action} as the thread has left the waiter queue`);
}

function reclaimedError(slot: number): ReclaimedError {
  return new ReclaimedError(
    `Cannot use slot ${slot} of this thread in the waiter queue as it was reclaimed`,
  );
}
