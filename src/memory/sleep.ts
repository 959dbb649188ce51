/**
 * Sleeping on a word until an attempt succeeds: blocking or not, forever, for a time, or until
 * aborted.
 *
 * A waiter *attempts*: it looks at shared words, and either gets what it wants, or leaves a mark
 * there that it may sleep, and returns the value of the word at which sleeping is right. A thread
 * that makes a further attempt worthwhile changes the word first and notifies afterwards. So either
 * the change comes before the waiter looks, and it does not fall asleep, or the notification comes
 * after it fell asleep, and wakes it.
 *
 *     waiter                           waker
 *     attempt: look, mark, look
 *     wait while word = value    <-->  change word, see the mark, notify
 *     attempt: look
 *
 * Sleepers of a word wake in the order in which they fell asleep. A wake-up promises nothing: the
 * sleeper attempts again, and may find that another thread was quicker.
 *
 * **Giving up.** A waiter whose time is over attempts a last time, so that a wake-up which came at
 * that moment is not lost. A pending asynchronous wait cannot be withdrawn from the platform's list
 * of sleepers; one that is aborted therefore wakes *all* sleepers of the word, itself among them,
 * and they look again. A wake-up that the aborted wait received, or receives until then, is passed
 * on by that.
 *
 * A wait that ends without success leaves things as they were: it calls `giveUp`, which removes the
 * marks of its attempts, exactly once, whatever ended the wait: the time, an abort, an attempt that
 * throws, or a platform that forbids this thread to wait. So no primitive needs a `finally` of its
 * own for the marks of an attempt.
 *
 * **Blocking while tasks await.** A blocked thread cannot resume its own asynchronous waits. So
 * before it blocks it wakes all sleepers of the word, those waits among them: a wake-up that one of
 * them had received is passed on, and no further wake-up goes to them while the thread is blocked.
 *
 * A wake-up for a task of a busy thread takes effect when the thread returns to its event loop. A
 * worker that is ended while it sleeps remains among the sleepers and may take a wake-up with it;
 * where only some sleepers are woken at a time, the thread that ends it must wake all the others.
 *
 * Proven by: tests/memory/sleep_test.ts, and the models of every primitive that sleeps.
 *
 * @module
 */

import { keepAlive } from "./keep_alive.ts";
import type { Memory } from "./memory.ts";
import { deferred } from "./platform.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "./wait_options.ts";

/**
 * Tries to get what is waited for.
 *
 * @returns Undefined on success; otherwise the value of the word at which to sleep.
 */
export type Attempt = () => number | undefined;

/** A word that the waits of one thread sleep on. */
export class SleepWord {
  readonly #memory: Memory;
  readonly #words: Int32Array;
  readonly #index: number;
  /** How many asynchronous waits of this object may be asleep. */
  #awaiting = 0;

  /** Sleeps on `words[index]`. */
  constructor(memory: Memory, words: Int32Array, index: number) {
    this.#memory = memory;
    this.#words = words;
    this.#index = index;
  }

  /** Whether an asynchronous wait of this object has not ended. */
  get isAwaited(): boolean {
    return this.#awaiting > 0;
  }

  /**
   * Wakes sleepers of the word.
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
   * @param giveUp Removes the marks of the attempts, if the wait ends without success.
   * @returns Whether an attempt succeeded.
   * @throws As {@link checkWaitOptions}.
   * @throws {TypeError} If the platform forbids this thread to block.
   */
  sleepUntil(attempt: Attempt, options: WaitOptions | undefined, giveUp?: () => void): boolean {
    let hasSucceeded = false;
    try {
      checkWaitOptions(options);
      const deadline = Deadline.of(options);
      if (this.isAwaited) this.notify();
      for (;;) {
        const value = attempt();
        if (value === undefined) return hasSucceeded = true;
        const { remainingMs } = deadline;
        if (remainingMs === 0) return false;
        this.#memory.wait(this.#words, this.#index, value, remainingMs);
      }
    } finally {
      if (!hasSucceeded) giveUp?.();
    }
  }

  /**
   * As {@link SleepWord.sleepUntil}, without blocking. The process stays alive meanwhile.
   *
   * @throws As {@link checkAsyncWaitOptions}.
   * @throws The signal's reason, if it is aborted.
   */
  async sleepUntilAsync(
    attempt: Attempt,
    options: AsyncWaitOptions | undefined,
    giveUp?: () => void,
  ): Promise<boolean> {
    const aborted = deferred();
    const onAbort = () => aborted.resolve();
    const signal = options?.signal;
    let hasSucceeded = false;
    let allowExit: (() => void) | undefined;
    try {
      checkAsyncWaitOptions(options);
      const deadline = new Deadline(options);
      for (;;) {
        const value = attempt();
        if (value === undefined) return hasSucceeded = true;
        if (allowExit === undefined) {
          // The attempt may run code of the caller, which may abort.
          signal?.throwIfAborted();
          signal?.addEventListener("abort", onAbort);
          allowExit = keepAlive();
          this.#awaiting++;
        }
        const { remainingMs } = deadline;
        if (remainingMs === 0) return false;
        const sleep = this.#memory.waitAsync(this.#words, this.#index, value, remainingMs);
        await (signal === undefined ? sleep : Promise.race([sleep, aborted.promise]));
        if (signal?.aborted) {
          this.notify();
          throw signal.reason;
        }
      }
    } finally {
      if (allowExit !== undefined) {
        this.#awaiting--;
        allowExit();
        signal?.removeEventListener("abort", onAbort);
      }
      if (!hasSucceeded) giveUp?.();
    }
  }
}
