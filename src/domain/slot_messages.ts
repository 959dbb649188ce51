/**
 * Iteration over the messages of one slot.
 *
 * @module
 */

import { PullIterator, type PullOptions, type PullSource } from "../memory/pull_iterator.ts";

/** How many messages came, and how many did not. */
export interface MessageCounts {
  /** How many were received. */
  readonly received: number;
  /** How many were overwritten before they were asked for. */
  readonly missed: number;
}

/**
 * Iterates over the messages of a slot as they come.
 *
 * - **Ends.** It ends after the last message once the slot was closed; at once by `return()`,
 *   `throw()`, or an abort. Then nothing of it is left in shared memory.
 * - **Exact losses.** `received + missed` is the number of messages that have passed.
 */
export class SlotMessages extends PullIterator<Uint8Array<ArrayBuffer>> implements MessageCounts {
  readonly #counts: MessageCounts;

  /** @ignore Use {@link Slot.messages}. */
  constructor(
    source: PullSource<Uint8Array<ArrayBuffer>>,
    options: PullOptions,
    counts: MessageCounts,
  ) {
    super(source, options, "messages");
    this.#counts = counts;
  }

  /** How many messages were received. */
  get received(): number {
    return this.#counts.received;
  }

  /** How many messages were overwritten before they were asked for. */
  get missed(): number {
    return this.#counts.missed;
  }
}
