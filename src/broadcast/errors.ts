/**
 * The errors of a broadcast ring that a caller must be able to tell apart.
 *
 * @module
 */

/**
 * The writer has overwritten the messages that the reader was about to read.
 *
 * The reader has already moved on to {@link OverrunError.resumedAt} and taken a batch there, which
 * its next poll returns. That position is at most half a ring behind the published position, so the
 * reader is not overrun again at once. Messages that it skips for this reason count as lost, even
 * those that were still retained.
 */
export class OverrunError extends Error {
  /** The name of this class. */
  override readonly name = "OverrunError";
  /** The position that the reader was at. */
  readonly position: number;
  /**
   * The position that it continues at, at most half a ring behind the published position. To
   * continue at the oldest retained message instead, call `reset("oldest")`: the messages between
   * are then both counted as lost and seen.
   */
  readonly resumedAt: number;
  /** How many messages ended between the two positions. */
  readonly lostMessages: number;

  /** Makes the error; both positions are in bytes. */
  constructor(position: number, resumedAt: number, lostMessages: number) {
    super(
      `The reader was overrun at position ${position}: it lost ${lostMessages} messages in ${
        resumedAt - position
      } bytes and continues at ${resumedAt}`,
    );
    this.position = position;
    this.resumedAt = resumedAt;
    this.lostMessages = lostMessages;
  }

  /** The bytes between the two positions, headers included. */
  get lostBytes(): number {
    return this.resumedAt - this.position;
  }
}

/** A message is longer than the space provided for it. */
export class InsufficientBufferSizeError extends RangeError {
  /** The name of this class. */
  override readonly name = "InsufficientBufferSizeError";
  /** How many bytes were provided. */
  readonly provided: number;
  /** How many bytes are required. */
  readonly required: number;

  /**
   * Makes the error; both sizes are in bytes.
   *
   * @param action The action that failed, as in `Cannot ${action}`.
   */
  constructor(action: string, provided: number, required: number) {
    super(`Cannot ${action} as that takes ${required} bytes: received room for ${provided}`);
    this.provided = provided;
    this.required = required;
  }
}

/** This writer was replaced: another one has taken the ring over from it. */
export class ReplacedError extends Error {
  /** The name of this class. */
  override readonly name = "ReplacedError";

  /**
   * Makes the error.
   *
   * @param action The action that failed, as in `Cannot ${action}`.
   */
  constructor(action: string) {
    super(`Cannot ${action} as another writer has taken over`);
  }
}
