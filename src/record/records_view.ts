/**
 * A field that is an array of records, in place.
 *
 * @module
 */

import { indexError } from "./bytes_view.ts";

/** The one view of an element, as the view of the array moves it. */
export interface ElementView<View> {
  readonly view: View;
  /** Moves it to the element that begins this many bytes after the first one. */
  moveTo(byteOffset: number): void;
}

/**
 * A field that is an {@link array} of records, in place: it moves along with the record that it is
 * part of. It has one view of an element, which it moves.
 */
export class RecordsView<View = unknown> {
  /** How many elements. */
  readonly length: number;
  readonly #path: string;
  readonly #element: ElementView<View>;
  readonly #stride: number;

  /** @ignore Made by a view of the record. */
  constructor(path: string, element: ElementView<View>, stride: number, length: number) {
    this.#path = path;
    this.#element = element;
    this.#stride = stride;
    this.length = length;
  }

  /**
   * Moves the one view of an element to an index. It moves along with the record, too, and stays at
   * that index.
   *
   * @returns The view: the same one each time.
   * @throws {RangeError} If it is not an index from 0 to `length - 1`.
   */
  get(index: number): View {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("view", this.#path, index, this.length);
    }
    this.#element.moveTo(index * this.#stride);
    return this.#element.view;
  }

  /** The one view of an element, moved to each in turn. */
  *[Symbol.iterator](): Iterator<View> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
}
