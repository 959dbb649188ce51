/**
 * Errors of a slice pool that a caller must be able to tell apart.
 *
 * @module
 */

/** A slice cannot be adopted: it was adopted before, reclaimed, or its slot was reused since. */
export class StaleSliceError extends Error {
  /** The name of this class. */
  override readonly name = "StaleSliceError";

  /**
   * Made by the pool.
   *
   * @ignore
   */
  constructor(slice: string) {
    super(
      `Cannot adopt ${slice} as it is not in flight: it was adopted or released before, reclaimed, or never detached; adopt each detached slice once`,
    );
  }
}
