/**
 * What a worker does with the messages that it reads, and what comes out of it.
 *
 * @module
 */

/** Something done with a stream of messages, which may have gaps. */
export interface Task {
  /**
   * Takes the next message: the bytes of `bytes` from `offset` to before `end`.
   *
   * @param isFinal Whether it ends its record.
   */
  take(bytes: Uint8Array, offset: number, end: number, isFinal: boolean): void;
  /** Is told that messages were lost here. */
  skip(): void;
  /** What came out, once there are no more messages. */
  result(): TaskResult;
}

/** What comes out of a task. */
export type TaskResult = RecordCountResult | HashResult | FrequencyResult;

/** How many records there were. */
export interface RecordCountResult {
  /** Tells this result from others. */
  readonly kind: "records";
  /** How many records ended. */
  readonly records: number;
  /** The bytes of the longest. */
  readonly longestBytes: number;
}

/** The hash of all that was received. */
export interface HashResult {
  /** Tells this result from others. */
  readonly kind: "sha256";
  /** In hexadecimal. */
  readonly hash: string;
}

/** What was found most often. */
export interface FrequencyResult {
  /** What was counted. */
  readonly kind: "words" | "bytes";
  /** The most frequent, most frequent first. */
  readonly top: readonly { readonly value: string; readonly count: number }[];
  /** How many were counted in all. */
  readonly total: number;
  /** How many different ones were told apart. */
  readonly different: number;
}
