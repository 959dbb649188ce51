/**
 * How a reader learns that the writer lapped it.
 *
 * @module
 */

/**
 * The writer overwrote what the reader was about to read.
 *
 * The reader has gone on to {@link OverrunError.resumedAt} already, so its next call continues from
 * there.
 */
export class OverrunError extends Error {
  /** The position that the reader was at. */
  readonly position: number;
  /** The position that it goes on from: what was published last when it noticed. */
  readonly resumedAt: number;

  /** Makes the error; both positions are in bytes. */
  constructor(position: number, resumedAt: number) {
    super(
      `The reader was overrun at position ${position}: it lost ${
        resumedAt - position
      } bytes and goes on at ${resumedAt}`,
    );
    this.name = "OverrunError";
    this.position = position;
    this.resumedAt = resumedAt;
  }

  /** The bytes between, headers included. */
  get lostBytes(): number {
    return this.resumedAt - this.position;
  }
}
