/**
 * Iteration over messages as they come.
 *
 * @module
 */

import { checkOptions } from "../memory/check.ts";
import { PullIterator } from "../memory/pull_iterator.ts";
import type { AsyncWaitOptions } from "../memory/wait_options.ts";

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
export class MessageIterator extends PullIterator<Uint8Array<ArrayBuffer>> {
  /** @ignore Use {@link BroadcastReader.messages}. */
  constructor(source: MessageSource, options: MessagesOptions = {}) {
    checkOptions("iterate over messages", options);
    const borrows = options.borrow ?? false;
    const values = {
      poll: () => source.poll(),
      next: () => source.next(),
      value: () => borrows ? source.message() : source.message().slice(),
      waitAsync: (waiting: AsyncWaitOptions) => source.waitAsync(waiting),
    };
    super(values, options, "messages");
  }
}
