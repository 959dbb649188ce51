/**
 * Sleeping on a word until an attempt succeeds: blocking or not, for ever, for a time, or until
 * aborted.
 *
 * Whoever waits *attempts*: it looks at shared words, and either has what it wants, or leaves a
 * mark there that it may sleep, and says at which value of the word that is right. Whoever makes
 * the attempt worth repeating changes the word first and notifies then. So the change comes before
 * the sleeper looks, and it does not fall asleep, or the notification comes after, and wakes it.
 *
 *     waiter                           waker
 *     attempt: look, mark, look
 *     wait while word = value    <-->  change word, see the mark, notify
 *     attempt: look
 *
 * Sleepers of a word wake in the order in which they fell asleep. What wakes a sleeper is no
 * promise: it attempts again, and may find that another was quicker.
 *
 * **Giving up.** One whose time is over attempts a last time, so that a wake-up which came at that
 * moment is not lost on it. An asynchronous wait cannot be taken back one by one; one that is
 * aborted wakes *all* sleepers of the word, itself among them, and they look again: a wake-up that
 * it had got already, or gets until then, is passed on by that.
 *
 * **Both at once.** A thread that blocks cannot resume what it awaits. So it wakes all sleepers of
 * the word first, its own asynchronous waits among them: a wake-up that one of those had got
 * already is passed on, and none goes to them while the thread is blocked.
 *
 * A wake-up for a thread that awaits, but is busy with something else, takes effect when the thread
 * gets to it. A worker that is ended while it sleeps remains among the sleepers: it may take a
 * wake-up with it, and where only some are woken at a time, whoever ends it wakes all the others.
 *
 * @module
 */

import { keepAlive } from "./keep_alive.ts";
import { describe } from "./layout.ts";
import type { Memory } from "./memory.ts";

/** For how long to wait. */
export interface WaitOptions {
  /** Gives up when aborted: the wait rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Gives up after this many milliseconds; never by default. */
  timeoutMs?: number;
}

/**
 * Tries to get what is waited for.
 *
 * @returns Nothing if it has it; otherwise the value of the word at which to sleep.
 */
export type Attempt = () => number | undefined;

/** A word that the waits of one thread sleep on. */
export class SleepWord {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #index: number;
  /** Asynchronous waits of this object that may be asleep. */
  #awaiting = 0;

  /** Sleeps on `words[index]`. */
  constructor(memory: Memory, words: Int32Array, index: number) {
    this.#memory = memory;
    this.#words = words;
    this.#index = index;
  }

  /** Whether this object's asynchronous waits have some that has not come to its end. */
  get isAwaited(): boolean {
    return this.#awaiting > 0;
  }

  /**
   * Wakes who sleeps on the word.
   *
   * @param count How many at most; all by default.
   * @returns How many were woken.
   */
  notify(count: number = Infinity): number {
    return this.#memory.notify(this.#words, this.#index, count);
  }

  /**
   * Blocks until an attempt succeeds, or the time is over.
   *
   * @returns Whether one succeeded.
   * @throws {RangeError} If `timeoutMs` is negative.
   */
  sleepUntil(attempt: Attempt, timeoutMs: number): boolean {
    const deadline = deadlineAfter(timeoutMs);
    if (this.isAwaited) this.notify();
    for (;;) {
      const value = attempt();
      if (value === undefined) return true;
      const remaining = remainingMs(deadline);
      if (remaining <= 0) return false;
      this.#memory.wait(this.#words, this.#index, value, remaining);
    }
  }

  /**
   * As {@link SleepWord.sleepUntil}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async sleepUntilAsync(attempt: Attempt, options: WaitOptions): Promise<boolean> {
    checkWaitOptions(options);
    const { signal, timeoutMs = Infinity } = options;
    const deadline = deadlineAfter(timeoutMs);
    let value = attempt();
    if (value === undefined) return true;
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal?.addEventListener("abort", onAbort);
    const letGo = keepAlive();
    this.#awaiting++;
    try {
      for (;;) {
        const remaining = remainingMs(deadline);
        if (remaining <= 0) return false;
        const sleep = this.#memory.waitAsync(this.#words, this.#index, value, remaining);
        await (signal === undefined ? sleep : Promise.race([sleep, aborted.promise]));
        if (signal?.aborted) {
          this.notify();
          throw signal.reason;
        }
        value = attempt();
        if (value === undefined) return true;
      }
    } finally {
      this.#awaiting--;
      letGo();
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** The same, but never giving up for the time it takes, whatever else `options` has. */
export function untimed(options: Pick<WaitOptions, "signal">): WaitOptions {
  checkWaitOptions(options);
  const { signal } = options;
  return signal === undefined ? {} : { signal };
}

/**
 * Refuses what is not a time to wait.
 *
 * @throws {RangeError} If `timeoutMs` is negative, or no number.
 */
export function checkTimeout(timeoutMs: number): void {
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return;
  throw new RangeError(
    `Cannot wait as 'timeoutMs' must not be negative: received ${describe(timeoutMs)}`,
  );
}

/**
 * Refuses what says not for how long to wait. To be called before anything is done.
 *
 * @throws {TypeError} If that is no object, or its `signal` no AbortSignal.
 * @throws {RangeError} If its `timeoutMs` is negative.
 * @throws The signal's reason, if it is aborted.
 */
export function checkWaitOptions(options: WaitOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot wait as 'options' must be an object: received ${describe(options)}`,
    );
  }
  const { signal, timeoutMs } = options;
  if (timeoutMs !== undefined) checkTimeout(timeoutMs);
  if (signal === undefined) return;
  if (typeof signal?.throwIfAborted !== "function") {
    throw new TypeError(
      `Cannot wait as 'signal' must be an AbortSignal: received ${describe(signal)}`,
    );
  }
  signal.throwIfAborted();
}

/**
 * The time at which a wait of `timeoutMs` ends.
 *
 * @throws {RangeError} If `timeoutMs` is negative.
 */
export function deadlineAfter(timeoutMs: number): number {
  checkTimeout(timeoutMs);
  return timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
}

/** How many milliseconds it is until `deadline`. */
export function remainingMs(deadline: number): number {
  return deadline === Infinity ? Infinity : deadline - performance.now();
}
