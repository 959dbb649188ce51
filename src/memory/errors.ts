/**
 * Errors that a caller must be able to tell apart, beside the `TypeError` and `RangeError` of wrong
 * arguments.
 *
 * @module
 */

/** A method was called, or was waiting, after its object was closed, in this thread. */
export class ClosedError extends Error {
  /** The name of this class. */
  override readonly name = "ClosedError";
}

/**
 * The part that this thread had was reclaimed by another thread, which took this one for dead.
 * Nothing that it had may be used any more.
 */
export class ReclaimedError extends Error {
  /** The name of this class. */
  override readonly name = "ReclaimedError";
}
