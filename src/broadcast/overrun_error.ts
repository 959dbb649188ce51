/**
 * How a reader learns that the writer lapped it, and what it has lost.
 *
 * @module
 */

/**
 * The writer overwrote what the reader was about to read.
 *
 * The reader has found its place again at {@link OverrunError.resumedAt}, and taken a batch from
 * there: its next poll returns that.
 */
export class OverrunError extends Error {
  /** The position that the reader was at. */
  readonly position: number;
  /** The position that it goes on from. */
  readonly resumedAt: number;
  /** How many messages ended between. */
  readonly lostMessages: number;

  /** Makes the error; both positions are in bytes. */
  constructor(position: number, resumedAt: number, lostMessages: number) {
    super(
      `The reader was overrun at position ${position}: it lost ${lostMessages} messages in ${
        resumedAt - position
      } bytes and goes on at ${resumedAt}`,
    );
    this.name = "OverrunError";
    this.position = position;
    this.resumedAt = resumedAt;
    this.lostMessages = lostMessages;
  }

  /** The bytes between, headers included. */
  get lostBytes(): number {
    return this.resumedAt - this.position;
  }
}
