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
 * **Giving up.** A waiter whose time is over attempts a last time, so that a wake-up which came at
 * that moment is not lost on it. An asynchronous wait cannot be taken back one by one; one that is
 * aborted wakes *all* sleepers of the word, itself among them, and they look again: a wake-up that
 * it had got already, or gets until then, is passed on by that.
 *
 * A wait that ends without success leaves things as they were: it calls `giveUp`, which takes back
 * the marks of its attempts, once, whatever ended it. That may be the time, an abort, an attempt
 * that throws, or a platform that forbids this thread to wait. So no primitive needs a `finally` of
 * its own for what an attempt left behind.
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
import { checkOptions, describe } from "./layout.ts";
import type { Memory } from "./memory.ts";
import { deferred, now } from "./platform.ts";

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
   * @param giveUp Takes back what the attempts left, if the wait ends without success.
   * @returns Whether one succeeded.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {TypeError} If the platform forbids this thread to block.
   */
  sleepUntil(attempt: Attempt, timeoutMs: number, giveUp?: () => void): boolean {
    const deadline = deadlineAfter(timeoutMs);
    if (this.isAwaited) this.notify();
    let hasSucceeded = false;
    try {
      for (;;) {
        const value = attempt();
        if (value === undefined) return hasSucceeded = true;
        const remaining = remainingMs(deadline);
        if (remaining <= 0) return false;
        this.#memory.wait(this.#words, this.#index, value, remaining);
      }
    } finally {
      if (!hasSucceeded) giveUp?.();
    }
  }

  /**
   * As {@link SleepWord.sleepUntil}, without blocking. The process stays alive meanwhile.
   *
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws The signal's reason, if it is aborted.
   */
  async sleepUntilAsync(
    attempt: Attempt,
    options: WaitOptions,
    giveUp?: () => void,
  ): Promise<boolean> {
    checkWaitOptions(options);
    const { signal, timeoutMs = Infinity } = options;
    const deadline = deadlineAfter(timeoutMs);
    const aborted = deferred();
    const onAbort = () => aborted.resolve();
    let hasSucceeded = false;
    let release: (() => void) | undefined;
    try {
      for (;;) {
        const value = attempt();
        if (value === undefined) return hasSucceeded = true;
        if (release === undefined) {
          signal?.addEventListener("abort", onAbort);
          release = keepAlive();
          this.#awaiting++;
        }
        const remaining = remainingMs(deadline);
        if (remaining <= 0) return false;
        const sleep = this.#memory.waitAsync(this.#words, this.#index, value, remaining);
        await (signal === undefined ? sleep : Promise.race([sleep, aborted.promise]));
        if (signal?.aborted) {
          this.notify();
          throw signal.reason;
        }
      }
    } finally {
      if (release !== undefined) {
        this.#awaiting--;
        release();
        signal?.removeEventListener("abort", onAbort);
      }
      if (!hasSucceeded) giveUp?.();
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
  checkOptions("wait", options);
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
  return timeoutMs === Infinity ? Infinity : now() + timeoutMs;
}

/** How many milliseconds it is until `deadline`. */
export function remainingMs(deadline: number): number {
  return deadline === Infinity ? Infinity : deadline - now();
}
