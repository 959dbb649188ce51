/**
 * How a reader says that a message does not fit where it should go.
 *
 * @module
 */

/** A message is longer than the room provided for it. */
export class InsufficientBufferSizeError extends RangeError {
  /** How many bytes there are. */
  readonly provided: number;
  /** How many bytes there must be. */
  readonly required: number;

  /**
   * Makes the error; both sizes are in bytes.
   *
   * @param action What cannot be done, as in `Cannot ${action}`.
   */
  constructor(action: string, provided: number, required: number) {
    super(`Cannot ${action} as that takes ${required} bytes: received room for ${provided}`);
    this.name = "InsufficientBufferSizeError";
    this.provided = provided;
    this.required = required;
  }
}
