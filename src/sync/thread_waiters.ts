/**
 * The waiters of one thread at a waiter queue: one shared registration, and a queue of their own
 * behind it.
 *
 * However many tasks of the thread wait, the thread is registered once. What it is given goes to its
 * first waiter; if others remain, the thread registers anew, behind the other threads. A blocking
 * waiter is served before tasks that await, since the thread cannot resume those meanwhile.
 *
 *     a value comes:  collect it, hand it to the first waiter, or release it if there is none
 *     waiters remain: register unless registered, mark, look into the store; sleep
 *     none remains:   cancel; if that fails a value has come; unmark
 *
 * These steps are repeated by {@link ThreadWaiters.#serve} until nothing of it is left to do. The
 * protocol between threads is described at the head of `waiter_queue.ts`.
 *
 * @module
 */

import { keepAlive } from "../memory/keep_alive.ts";
import { checkInteger, checkOptions } from "../memory/check.ts";
import { deferred, now } from "../memory/platform.ts";
import {
  checkTimeout,
  checkWaitOptions,
  deadlineAfter,
  remainingMs,
  untimed,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { EVICTED, MAX_VALUE, Registrations } from "./registrations.ts";
import { checkStore, releaseTo, type ValueStore } from "./value_store.ts";

export type { ValueStore } from "./value_store.ts";
import type { WaiterQueue } from "./waiter_queue.ts";

/** Options of {@link WaiterQueue.join}. */
export interface JoinOptions {
  /**
   * Which slot to take, from 0; any free one by default. If who starts the threads gives the slots
   * out, it knows which to evict should a thread die, at whatever instruction.
   */
  slot?: number;
}

/** Somebody who waits. */
interface Waiter {
  /** What it was given. */
  value: number | undefined;
  /** The time at which it gives up. */
  readonly deadline: number;
  /** Tells it that it is served, or has waited long enough. */
  readonly settle: () => void;
  /** Tells it that it cannot be served. */
  readonly fail: (error: unknown) => void;
}

/**
 * The waiters of one thread at a {@link WaiterQueue}.
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
 * assertEquals(await waiters.tryTakeAsync({ timeoutMs: 5 }), undefined);
 * ```
 */
export class ThreadWaiters implements Disposable {
  /** The number of this thread's slot, from 0: whoever ends this thread needs it to evict it. */
  readonly slot: number;
  readonly #registrations: Registrations;
  readonly #store: ValueStore;
  /** The mail of the present registration. */
  #mail: number | undefined;
  /** Whether the slot is marked. */
  #isMarked = false;
  /** The waiter that blocks this thread. */
  #blocked: Waiter | undefined;
  /** Waiters that await, first come first. */
  readonly #awaiting = new Set<Waiter>();
  /** When the first of those that await gives up. */
  #nextDeadline = Infinity;
  /** Whether {@link ThreadWaiters.#pump} runs. */
  #isPumping = false;
  /** Whether it is asleep, and must be woken if there is nothing more to wait for. */
  #isPumpAsleep = false;
  #isDisposed = false;

  /**
   * Joins `queue`; as {@link WaiterQueue.join}.
   *
   * @throws {TypeError} If `store` is none.
   * @throws {RangeError} If there is no such slot.
   * @throws {Error} If the slot is taken, or as many threads as can have joined.
   */
  constructor(queue: WaiterQueue, store: ValueStore, options: JoinOptions = {}) {
    checkOptions("join the waiter queue", options);
    const { slot } = options;
    const { memory, byteOffset, threads } = queue;
    checkStore("join the waiter queue", store);
    if (slot !== undefined) checkInteger("join the waiter queue", "slot", slot, 0, threads - 1);
    this.#registrations = new Registrations(memory, byteOffset, threads);
    this.#store = store;
    this.slot = this.#registrations.claimSlot(slot, slot);
    if (this.slot < 0) {
      throw new Error(
        slot === undefined
          ? `Cannot join the waiter queue as ${threads} threads have, and no more can`
          : `Cannot join the waiter queue as slot ${slot} is taken`,
      );
    }
  }

  /** How many tasks of this thread wait. */
  get waiting(): number {
    return this.#awaiting.size;
  }

  /**
   * Takes a value; blocks while there is none.
   *
   * Everything that was done before the value was released, plain writes too, is visible from here
   * on. This holds for each way to take.
   *
   * @throws {Error} If this was disposed of.
   */
  take(): number {
    return this.#takeNow() ?? this.#block(Infinity)!;
  }

  /**
   * Takes a value if there is one, or within a time.
   *
   * @param timeoutMs For how many milliseconds to block; 0 by default.
   * @returns The value, or undefined if there was none.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {Error} If this was disposed of.
   */
  tryTake(timeoutMs: number = 0): number | undefined {
    if (timeoutMs !== 0) checkTimeout(timeoutMs);
    return this.#takeNow() ?? (timeoutMs === 0 ? undefined : this.#block(timeoutMs));
  }

  /**
   * Takes a value; waits, without blocking, while there is none. The process stays alive meanwhile.
   *
   * @throws The signal's reason, if it is aborted; a value that has come by then goes to the next.
   * @throws {Error} If this was or is disposed of.
   */
  async takeAsync(options: Pick<WaitOptions, "signal"> = {}): Promise<number> {
    return (await this.tryTakeAsync(untimed(options)))!;
  }

  /**
   * As {@link ThreadWaiters.takeAsync}, within a time.
   *
   * @returns The value, or undefined if there was none.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted; a value that has come by then goes to the next.
   * @throws {Error} If this was or is disposed of.
   */
  async tryTakeAsync(options: WaitOptions): Promise<number | undefined> {
    checkWaitOptions(options);
    const { signal, timeoutMs = Infinity } = options;
    const deadline = deadlineAfter(timeoutMs);
    const value = this.#takeNow();
    if (value !== undefined || timeoutMs === 0) return value;

    const { promise, resolve: settle, reject: fail } = deferred();
    const waiter: Waiter = { value: undefined, deadline, settle, fail };
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
   * @throws {Error} If this was disposed of.
   */
  release(value: number): void {
    if (this.#isDisposed) this.#refuse("release");
    checkInteger("release", "value", value, 0, MAX_VALUE);
    releaseTo(this.#registrations, this.#store, value);
    if (this.#isMarked) this.#serve();
  }

  /**
   * Leaves the queue. Who still awaits here gets an error; a value that has come by now goes to the next.
   * Doing it again does nothing.
   */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#failAll(new Error("Cannot take a value as the thread has left the waiter queue"));
    this.#serve();
    this.#registrations.giveSlotBack(this.slot);
  }

  #takeNow(): number | undefined {
    if (this.#isDisposed) this.#refuse("take a value");
    return this.#store.take();
  }

  /** Waits for a value at the head of this thread's queue. */
  #block(timeoutMs: number): number | undefined {
    const deadline = deadlineAfter(timeoutMs);
    const ignore = () => {};
    const waiter: Waiter = { value: undefined, deadline, settle: ignore, fail: ignore };
    this.#blocked = waiter;
    try {
      for (;;) {
        this.#serve();
        if (waiter.value !== undefined) return waiter.value;
        const remaining = remainingMs(deadline);
        if (remaining <= 0) return undefined;
        this.#registrations.wait(this.slot, this.#mail!, remaining);
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

  /** A waiter was aborted: it leaves the queue, and what it was given goes to the next. */
  #abandon(waiter: Waiter): void {
    if (waiter.value !== undefined) releaseTo(this.#registrations, this.#store, waiter.value);
    else this.#awaiting.delete(waiter);
    this.#serve();
  }

  /** Serves who awaits, for as long as somebody does. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    const letGo = keepAlive();
    try {
      for (;;) {
        this.#serve();
        if (this.#nextDeadline !== Infinity) this.#expire();
        if (this.#awaiting.size === 0) break;
        const remaining = Math.max(remainingMs(this.#nextDeadline), 0);
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
      letGo();
    }
  }

  /** Lets go of waiters whose time is over. */
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
   * Does all that there is to do: then this thread is registered and there is no value for it, or it
   * is not registered and has no waiters.
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

  /** Takes what this thread was given, if it was. */
  #collect(): number | undefined {
    if (this.#mail === undefined) return undefined;
    const value = this.#registrations.collect(this.slot, this.#mail);
    if (value === undefined) return undefined;
    this.#mail = undefined;
    if (value !== EVICTED) return value;
    this.#isDisposed = true;
    this.#isMarked = false;
    throw new Error("Cannot take a value as this thread was evicted from the waiter queue");
  }

  #register(): void {
    this.#mail = this.#registrations.register(this.slot);
    if (this.#isMarked) return;
    this.#registrations.mark(this.slot);
    this.#isMarked = true;
  }

  /** Ends the registration, if there is one; says whether that is done: else a value has come. */
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

  /** Hands a value to the first waiter; without one it goes to another thread, or to the store. */
  #hand(value: number): void {
    const waiter = this.#blocked ?? this.#awaiting.values().next().value;
    if (waiter === undefined) return releaseTo(this.#registrations, this.#store, value);
    waiter.value = value;
    if (waiter === this.#blocked) this.#blocked = undefined;
    else this.#awaiting.delete(waiter);
    waiter.settle();
  }

  #refuse(action: string): never {
    throw new Error(`Cannot ${action} as the thread has left the waiter queue`);
  }
}
