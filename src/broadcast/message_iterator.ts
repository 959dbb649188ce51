/**
 * How one iterates over messages as they come.
 *
 * Not a generator: that would make `return()` wait behind a `next()` which waits for a message, for
 * ever if none comes, and would take the second message before the first one was looked at if two
 * are asked for at once.
 *
 *     next()            joins the calls that wait for an answer; each gets a message, in order
 *     return(), throw() end the iteration at once: calls that wait are told so, and no message is
 *                       lost, since none is taken before it is handed over
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { isObserved } from "../memory/observer.ts";
import { type Deferred, deferred, nextTask, now } from "../memory/platform.ts";
import { type AsyncWaitOptions, checkAsyncWaitOptions } from "../memory/wait_options.ts";

/** Where messages come from, one after the other. */
export interface MessageSource {
  /** Whether there is another message, also if some must be fetched for it. */
  poll(): boolean;
  /** Goes on to the next message that was fetched; says whether there is one. */
  next(): boolean;
  /** The present message: a view. */
  message(): Uint8Array;
  /** Waits until a poll may find something. */
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

/** How long messages are handed out without a look at what else the thread has to do. */
const SLICE_MS = 4;
/** The clock is looked at once in so many messages, less one. */
const LOOK_MASK = 15;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Iterates over messages as they come: waits for the next one where there is none, and ends with the
 * signal's reason once that is aborted. Other tasks of the thread run meanwhile, timers included,
 * however many messages there are.
 */
export class MessageIterator implements AsyncGenerator<Uint8Array, undefined, undefined> {
  readonly #source: MessageSource;
  readonly #signal: AbortSignal | undefined;
  readonly #borrows: boolean;
  /** Calls of `next` that have no answer yet. */
  readonly #asked: Deferred<IteratorResult<Uint8Array, undefined>>[] = [];
  /** Ends a wait. */
  #waiting: AbortController | undefined;
  #isAnswering = false;
  /** Whether a message was handed over just now, and its consumer has not run. */
  #isFresh = false;
  readonly #age = (): void => {
    this.#isFresh = false;
  };
  #isDone = false;
  /** When other tasks last had their turn. */
  #sliceBegin = 0;
  /** How many messages were handed over. */
  #count = 0;

  /**
   * Begins an iteration.
   *
   * @throws {TypeError} If `options` is no object, or its `signal` no AbortSignal.
   */
  constructor(source: MessageSource, options: MessagesOptions) {
    checkOptions("iterate over messages", options);
    const { signal, borrow = false } = options;
    // That it is aborted is told by the first message that is asked for.
    if (signal?.aborted !== true) checkAsyncWaitOptions({ signal });
    this.#source = source;
    this.#signal = signal;
    this.#borrows = borrow;
  }

  /** Asks for the next message; several can be asked for at once. */
  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isDone) return Promise.resolve(DONE);
    try {
      if (this.#canAnswerAtOnce() && this.#source.next()) return Promise.resolve(this.#handOver());
    } catch (error) {
      this.#finish();
      return Promise.reject(error);
    }
    const asked = deferred<IteratorResult<Uint8Array, undefined>>();
    this.#asked.push(asked);
    if (!this.#isAnswering) this.#answer();
    return asked.promise;
  }

  /** Ends the iteration at once; a message that was asked for and has not come stays with the source. */
  async return(
    value?: PromiseLike<undefined> | undefined,
  ): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#finish();
    return { done: true, value: await value };
  }

  /** As {@link MessageIterator.return}, and rejects with the error. */
  // deno-lint-ignore require-await -- Rejects, as a generator does.
  async throw(error: unknown): Promise<IteratorResult<Uint8Array, undefined>> {
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
        // The consumer of a message looks at it, and at the source, before that goes on to the next.
        if (this.#isFresh) await undefined;
        if (this.#isTimeOver()) await this.#giveWay();
        this.#signal?.throwIfAborted();
        // What was asked for before this thread gave way may have ended meanwhile.
        if (this.#asked.length === 0) break;
        if (this.#source.next()) this.#asked.shift()!.resolve(this.#handOver());
        else if (!this.#source.poll()) await this.#wait();
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
  #handOver(): IteratorResult<Uint8Array, undefined> {
    const message = this.#source.message();
    this.#isFresh = true;
    // Runs before the consumer does, which may then have the next one without a detour.
    queueMicrotask(this.#age);
    return { done: false, value: this.#borrows ? message : message.slice() };
  }

  /** Whether other tasks are to have their turn, by a clock that is looked at now and then. */
  #isTimeOver(): boolean {
    // Under a checker there are no other tasks.
    return (++this.#count & LOOK_MASK) === 0 && !isObserved() &&
      now() - this.#sliceBegin >= SLICE_MS;
  }

  async #giveWay(): Promise<void> {
    await nextTask();
    this.#sliceBegin = now();
  }

  /** Waits until there may be a message, or the iteration ends. */
  async #wait(): Promise<void> {
    const signal = this.#signal;
    const waiting = this.#waiting = new AbortController();
    const onAbort = () => waiting.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    try {
      await this.#source.waitAsync(waiting);
      this.#sliceBegin = now();
    } catch (error) {
      // By `return` or `throw`: nobody asks any more.
      if (!this.#isDone) throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#waiting = undefined;
    }
  }

  /** Answers all that wait for a message that there is none. */
  #finish(): void {
    this.#isDone = true;
    for (const asked of this.#asked.splice(0)) asked.resolve(DONE);
    this.#waiting?.abort();
  }
}
