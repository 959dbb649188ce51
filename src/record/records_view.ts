/**
 * A field that is an array of records, in place.
 *
 * @module
 */

import { indexError } from "./bytes_view.ts";
import { type Part, PLACE } from "./part.ts";

/**
 * A field that is an {@link array} of records, in place: it moves along with the record that it is
 * part of. It has one view of an element, which it moves.
 */
export class RecordsView<View = unknown> {
  /** How many elements. */
  readonly length: number;
  readonly #path: string;
  readonly #view: Part;
  readonly #stride: number;
  #start = 0;
  /** Which element the view is at. */
  #index = 0;

  /** @ignore Made by a view of the record. */
  constructor(path: string, view: Part, stride: number, length: number) {
    this.#path = path;
    this.#view = view;
    this.#stride = stride;
    this.length = length;
  }

  /** @ignore */
  [PLACE](start: number): void {
    this.#start = start;
    this.#view[PLACE](start + this.#index * this.#stride);
  }

  /**
   * Moves the one view of an element to an index.
   *
   * @returns The view: the same one each time.
   * @throws {RangeError} If it is not an index from 0 to `length - 1`.
   */
  get(index: number): View {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("view", this.#path, index, this.length);
    }
    this.#index = index;
    this.#view[PLACE](this.#start + index * this.#stride);
    return this.#view as View;
  }

  /** The one view of an element, moved to each in turn. */
  *[Symbol.iterator](): Iterator<View> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
}
