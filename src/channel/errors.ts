/**
 * Errors that a caller must be able to tell apart.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";

/** The channel was closed: it takes no more messages. */
export class ChannelClosedError extends ClosedError {
  /** @ignore */
  constructor() {
    super("Cannot send as the channel was closed: it takes no more messages");
  }
}

/** The channel is full, and was created with `full: "fail"`. */
export class ChannelFullError extends Error {
  /** The name of this class. */
  override readonly name = "ChannelFullError";

  /** @ignore */
  constructor(capacity: number) {
    super(
      `Cannot send as all ${capacity} cells of the channel are in use: receive first, or create it with full: "wait" or "drop"`,
    );
  }
}
