/**
 * Iteration over values as they come.
 *
 * Not a generator: its `return()` would wait behind a `next()` that waits for a value, perhaps
 * forever; and with two calls of `next()` pending it would take the second value before the
 * consumer has looked at the first.
 *
 *     next()            joins the calls that wait for an answer; each gets a value, in order
 *     return(), throw() end the iteration at once: pending calls are told that it is done, and no
 *                       value is lost, since none is taken before it is handed over
 *
 * @module
 */

import { checkOptions } from "./check.ts";
import { type Deferred, deferred } from "./platform.ts";
import { TimeSlice } from "./time_slice.ts";
import { type AsyncWaitOptions, checkAsyncWaitOptions } from "./wait_options.ts";

/** A source of values, one after the other. */
export interface PullSource<Value> {
  /** Fetches values unless some are left; returns whether there are any. */
  poll(): boolean;
  /** Goes to the next value that was fetched; returns whether there is one. */
  next(): boolean;
  /** The present value. */
  value(): Value;
  /** Waits until a poll may find something; returns false if the stream has ended. */
  waitAsync(options: AsyncWaitOptions): Promise<boolean>;
  /** The iteration has ended, however that came. */
  end?(): void;
}

/** Options of an iteration. */
export type PullOptions = Pick<AsyncWaitOptions, "signal">;

/** The clock is read once in this many values, less one. */
const CLOCK_MASK = 15;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Iterates over values as they come.
 *
 * - **Waiting.** It waits for the next value if there is none, and ends with the stream.
 * - **Ends at once.** `return()`, `throw()`, or an abort end it even while a `next()` is waiting,
 *   and no value is lost.
 * - **Fairness.** Other tasks of the thread get their turn, timers included, however many values
 *   there are.
 */
export class PullIterator<Value> implements AsyncGenerator<Value, undefined, undefined> {
  readonly #source: PullSource<Value>;
  readonly #signal: AbortSignal | undefined;
  /** Calls of `next` that are pending. */
  readonly #asked: Deferred<IteratorResult<Value, undefined>>[] = [];
  /** Ends the wait that is under way, if any. */
  #waiting: AbortController | undefined;
  #isAnswering = false;
  /** Whether a value was handed over just now, and its consumer has not run. */
  #isFresh = false;
  readonly #age = (): void => {
    this.#isFresh = false;
  };
  #isDone = false;
  /** Until other tasks of the thread get a turn. */
  readonly #slice = new TimeSlice();
  /** How many values were handed over. */
  #count = 0;

  /**
   * @ignore
   * @param values What the values are, for errors.
   */
  constructor(source: PullSource<Value>, options: PullOptions, values: string) {
    checkOptions(`iterate over ${values}`, options);
    const { signal } = options;
    if ((options as AsyncWaitOptions).timeoutMs !== undefined) {
      throw new TypeError(
        `Cannot iterate over ${values} with a 'timeoutMs': use 'signal', such as AbortSignal.timeout(ms), or call waitAsync({ timeoutMs })`,
      );
    }
    // An abort is reported to the first call of next.
    if (signal?.aborted !== true) checkAsyncWaitOptions(options);
    this.#source = source;
    this.#signal = signal;
  }

  /** Asks for the next value; several calls can be pending at once. */
  next(): Promise<IteratorResult<Value, undefined>> {
    if (this.#isDone) return Promise.resolve(DONE);
    try {
      if (this.#canAnswerAtOnce() && this.#source.next()) return Promise.resolve(this.#handOver());
    } catch (error) {
      this.#finish();
      return Promise.reject(error);
    }
    const asked = deferred<IteratorResult<Value, undefined>>();
    this.#asked.push(asked);
    if (!this.#isAnswering) this.#answer();
    return asked.promise;
  }

  /**
   * Ends the iteration at once; values that were asked for and have not come stay where they are.
   */
  async return(
    value?: PromiseLike<undefined> | undefined,
  ): Promise<IteratorResult<Value, undefined>> {
    this.#finish();
    return { done: true, value: await value };
  }

  /** As {@link PullIterator.return}, and rejects with the error. */
  // deno-lint-ignore require-await -- Rejects, as a generator does.
  async throw(error: unknown): Promise<IteratorResult<Value, undefined>> {
    this.#finish();
    throw error;
  }

  /** This iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** As {@link PullIterator.return}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Answers calls of `next` in their order, while there are any. */
  async #answer(): Promise<void> {
    this.#isAnswering = true;
    try {
      while (this.#asked.length > 0) {
        // The consumer of a value must see it, and the source, before that goes to the next one.
        if (this.#isFresh) await undefined;
        if (this.#isTimeOver()) await this.#slice.yield();
        this.#signal?.throwIfAborted();
        // The iteration may have ended while other tasks had their turn.
        if (this.#asked.length === 0) break;
        if (this.#source.next()) this.#asked.shift()!.resolve(this.#handOver());
        else if (!this.#source.poll() && !await this.#wait()) this.#finish();
      }
    } catch (error) {
      this.#asked.shift()?.reject(error);
      this.#finish();
    } finally {
      this.#isAnswering = false;
    }
  }

  #canAnswerAtOnce(): boolean {
    return !this.#isAnswering && !this.#isFresh && this.#signal?.aborted !== true &&
      !this.#isTimeOver();
  }

  /** The present value, as an answer. */
  #handOver(): IteratorResult<Value, undefined> {
    const value = this.#source.value();
    this.#isFresh = true;
    // Runs before the consumer does, which can then have the next value without a detour.
    queueMicrotask(this.#age);
    return { done: false, value };
  }

  /** Whether other tasks must have a turn, by a clock that is read now and then. */
  #isTimeOver(): boolean {
    return (++this.#count & CLOCK_MASK) === 0 && this.#slice.isOver;
  }

  /** Waits until there may be a value; returns false if there will be none. */
  async #wait(): Promise<boolean> {
    const signal = this.#signal;
    const waiting = this.#waiting = new AbortController();
    const onAbort = () => waiting.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    try {
      return await this.#source.waitAsync(waiting);
    } catch (error) {
      // Ended by `return` or `throw`: no call is pending any more.
      if (!this.#isDone) throw error;
      return false;
    } finally {
      this.#slice.restart();
      signal?.removeEventListener("abort", onAbort);
      this.#waiting = undefined;
    }
  }

  /** Ends the iteration: answers all pending calls that it is done. */
  #finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    for (const asked of this.#asked.splice(0)) asked.resolve(DONE);
    this.#waiting?.abort();
    this.#source.end?.();
  }
}
