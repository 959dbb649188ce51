/**
 * Iteration over messages as they come.
 *
 * Not a generator: its `return()` would wait behind a `next()` that waits for a message, perhaps
 * forever; and with two calls of `next()` pending it would take the second message before the
 * consumer has looked at the first.
 *
 *     next()            joins the calls that wait for an answer; each gets a message, in order
 *     return(), throw() end the iteration at once: pending calls are told that it is done, and no
 *                       message is lost, since none is taken before it is handed over
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { type Deferred, deferred } from "../memory/platform.ts";
import { TimeSlice } from "../memory/time_slice.ts";
import { type AsyncWaitOptions, checkAsyncWaitOptions } from "../memory/wait_options.ts";

/** A source of messages, one after the other. */
export interface MessageSource {
  /** Fetches messages unless some are left; returns whether there are any. */
  poll(): boolean;
  /** Goes to the next message that was fetched; returns whether there is one. */
  next(): boolean;
  /** The present message: a view. */
  message(): Uint8Array<ArrayBuffer>;
  /** Waits until a poll may find something; returns false if the stream has ended. */
  waitAsync(options: AsyncWaitOptions): Promise<boolean>;
}

/** Options of an iteration over messages. */
export interface MessagesOptions extends Pick<AsyncWaitOptions, "signal"> {
  /**
   * Whether to hand out views that are valid until the next message is asked for, instead of copies
   * that can be kept; false by default. A copy takes some 250 ns more.
   */
  borrow?: boolean;
}

/** The clock is read once in this many messages, less one. */
const CLOCK_MASK = 15;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Iterates over messages as they come.
 *
 * - **Waiting.** It waits for the next message if there is none, and ends with the stream.
 * - **Copies.** Each message is a copy that can be kept, unless `borrow` is set.
 * - **Ends at once.** `return()`, `throw()`, or an abort end it even while a `next()` is waiting,
 *   and no message is lost.
 * - **Fairness.** Other tasks of the thread get their turn, timers included, however many messages
 *   there are.
 */
export class MessageIterator
  implements AsyncGenerator<Uint8Array<ArrayBuffer>, undefined, undefined> {
  readonly #source: MessageSource;
  readonly #signal: AbortSignal | undefined;
  readonly #borrows: boolean;
  /** Calls of `next` that are pending. */
  readonly #asked: Deferred<IteratorResult<Uint8Array<ArrayBuffer>, undefined>>[] = [];
  /** Ends the wait that is under way, if any. */
  #waiting: AbortController | undefined;
  #isAnswering = false;
  /** Whether a message was handed over just now, and its consumer has not run. */
  #isFresh = false;
  readonly #age = (): void => {
    this.#isFresh = false;
  };
  #isDone = false;
  /** Until other tasks of the thread get a turn. */
  readonly #slice = new TimeSlice();
  /** How many messages were handed over. */
  #count = 0;

  /** @ignore Use {@link BroadcastReader.messages}. */
  constructor(source: MessageSource, options: MessagesOptions = {}) {
    checkOptions("iterate over messages", options);
    const { signal, borrow = false } = options;
    if ((options as AsyncWaitOptions).timeoutMs !== undefined) {
      throw new TypeError(
        "Cannot iterate over messages with a 'timeoutMs': use 'signal', such as AbortSignal.timeout(ms), or call waitAsync({ timeoutMs })",
      );
    }
    // An abort is reported to the first call of next.
    if (signal?.aborted !== true) checkAsyncWaitOptions(options);
    this.#source = source;
    this.#signal = signal;
    this.#borrows = borrow;
  }

  /** Asks for the next message; several calls can be pending at once. */
  next(): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    if (this.#isDone) return Promise.resolve(DONE);
    try {
      if (this.#canAnswerAtOnce() && this.#source.next()) return Promise.resolve(this.#handOver());
    } catch (error) {
      this.#finish();
      return Promise.reject(error);
    }
    const asked = deferred<IteratorResult<Uint8Array<ArrayBuffer>, undefined>>();
    this.#asked.push(asked);
    if (!this.#isAnswering) this.#answer();
    return asked.promise;
  }

  /** Ends the iteration at once; messages that were asked for and have not come stay unread. */
  async return(
    value?: PromiseLike<undefined> | undefined,
  ): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    this.#finish();
    return { done: true, value: await value };
  }

  /** As {@link MessageIterator.return}, and rejects with the error. */
  // deno-lint-ignore require-await -- Rejects, as a generator does.
  async throw(error: unknown): Promise<IteratorResult<Uint8Array<ArrayBuffer>, undefined>> {
    this.#finish();
    throw error;
  }

  /** This iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** As {@link MessageIterator.return}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Answers calls of `next` in their order, while there are any. */
  async #answer(): Promise<void> {
    this.#isAnswering = true;
    try {
      while (this.#asked.length > 0) {
        // The consumer of a message must see it, and the source, before that goes to the next one.
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

  /** The present message, as an answer. */
  #handOver(): IteratorResult<Uint8Array<ArrayBuffer>, undefined> {
    const message = this.#source.message();
    this.#isFresh = true;
    // Runs before the consumer does, which can then have the next message without a detour.
    queueMicrotask(this.#age);
    return { done: false, value: this.#borrows ? message : message.slice() };
  }

  /** Whether other tasks must have a turn, by a clock that is read now and then. */
  #isTimeOver(): boolean {
    return (++this.#count & CLOCK_MASK) === 0 && this.#slice.isOver;
  }

  /** Waits until there may be a message; returns false if there will be none. */
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
    this.#isDone = true;
    for (const asked of this.#asked.splice(0)) asked.resolve(DONE);
    this.#waiting?.abort();
  }
}
