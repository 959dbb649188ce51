/**
 * Parts of a view of a record: they move along with it.
 *
 * @module
 */

/** The name of {@link Part}'s method, which no field can have. */
export const PLACE: unique symbol = Symbol("place");

/** A view of a field that is more than a scalar. */
export interface Part {
  /** Moves it to where in the buffer the field begins. */
  [PLACE](start: number): void;
}
