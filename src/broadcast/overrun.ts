/**
 * How a reader learns that the writer lapped it, and how it keeps count of what it lost.
 *
 * @module
 */

/**
 * The writer overwrote what the reader was about to read.
 *
 * The reader has found its place again at {@link OverrunError.resumedAt}, and taken a batch from
 * there: its next poll returns that. The place is half a ring behind what is published or less, so
 * that the reader is not overrun again at once; what it leaves out although that was still retained
 * counts as lost, too.
 */
export class OverrunError extends Error {
  /** The position that the reader was at. */
  readonly position: number;
  /**
   * The position that it goes on from, half a ring behind what is published or less. To go on from
   * the oldest message that is retained, `reset("oldest")`: those are then both lost and seen.
   */
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

/** What a reader lost to overruns. */
export interface ReaderLosses {
  /** How often it was overrun. */
  readonly overruns: number;
  /** The messages whose end it lost. */
  readonly messages: number;
  /** The bytes, headers included. */
  readonly bytes: number;
}

/** Keeps count of losses. */
export class LossCount implements ReaderLosses {
  /** See {@link ReaderLosses}; in all. */
  overruns = 0;
  /** See {@link ReaderLosses}; in all. */
  messages = 0;
  /** See {@link ReaderLosses}; in all. */
  bytes = 0;
  /** What was there when it was last asked for. */
  #told: ReaderLosses = { overruns: 0, messages: 0, bytes: 0 };

  /** Counts an overrun. */
  add(messages: number, bytes: number): void {
    this.overruns++;
    this.messages += messages;
    this.bytes += bytes;
  }

  /** What was added since this was last asked. */
  take(): ReaderLosses {
    const { overruns, messages, bytes } = this;
    const told = this.#told;
    this.#told = { overruns, messages, bytes };
    return {
      overruns: overruns - told.overruns,
      messages: messages - told.messages,
      bytes: bytes - told.bytes,
    };
  }
}
