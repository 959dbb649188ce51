/**
 * Errors that a caller must be able to tell apart.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";

/** The channel was closed: it takes no more messages. */
export class ChannelClosedError extends ClosedError {
  /** How many values of the same call were sent before; 0 but for `sendAll` and its other forms. */
  readonly sent: number;

  /** @ignore */
  constructor(sent = 0) {
    super("Cannot send as the channel was closed: it takes no more messages");
    this.sent = sent;
  }
}

/** The channel is full, and was created with `full: "fail"`. */
export class ChannelFullError extends Error {
  /** The name of this class. */
  override readonly name = "ChannelFullError";
  /** How many values of the same call were sent before; 0 but for `sendAll` and its other forms. */
  readonly sent: number;

  /** @ignore */
  constructor(capacity: number, sent = 0) {
    super(
      `Cannot send as all ${capacity} cells of the channel are in use: receive first, or create it with full: "wait" or "drop"`,
    );
    this.sent = sent;
  }
}
