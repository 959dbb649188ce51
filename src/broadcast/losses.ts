/**
 * What a reader lost to overruns.
 *
 * @module
 */

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
