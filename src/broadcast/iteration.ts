/**
 * Asynchronous iteration over messages.
 *
 * @module
 */

import { untimed, type WaitOptions } from "../memory/sleep.ts";

/** Where messages come from, one after the other. */
export interface MessageSource {
  /** Whether there is another message, be it that some must be fetched for it. */
  poll(): boolean;
  /** Goes on to the next message that was fetched; says whether there is one. */
  next(): boolean;
  /** The present message. */
  message(): Uint8Array;
  /** Waits until a poll may find something. */
  waitAsync(options: WaitOptions): Promise<boolean>;
}

/** Iterates over messages as they come, until the signal is aborted. */
export async function* iterate(
  source: MessageSource,
  options: Pick<WaitOptions, "signal">,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    while (source.next()) {
      yield source.message();
      options.signal?.throwIfAborted();
    }
    if (!source.poll()) await source.waitAsync(untimed(options));
  }
}
