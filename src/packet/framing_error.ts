/**
 * How one learns that a stream cannot be cut into frames.
 *
 * @module
 */

/** The bytes of a stream are not frames of the expected kind. */
export class FramingError extends Error {
  /** How many bytes of the stream come before the frame that is wrong. */
  readonly streamOffset: number;

  /**
   * Makes the error.
   *
   * @param streamOffset Where in the stream the frame begins, in bytes.
   * @param reason What is wrong with it, as the rest of a sentence.
   */
  constructor(streamOffset: number, reason: string) {
    super(`Cannot frame the stream at byte ${streamOffset} as ${reason}`);
    this.name = "FramingError";
    this.streamOffset = streamOffset;
  }
}
