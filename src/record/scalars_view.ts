/**
 * A field that is an array of scalars, in place.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { indexError } from "./bytes_view.ts";
import type { Place } from "./place.ts";
import { fieldError, type Scalar, scalarError, scalarOf } from "./scalars.ts";
import type { ScalarType, ScalarValue } from "./types.ts";

/**
 * A field that is an {@link array} of scalars, in place: it moves along with the record that it is
 * part of. Only {@link ScalarsView.toArray} and an iteration allocate.
 */
export class ScalarsView<Type extends ScalarType = ScalarType> {
  /** How many elements. */
  readonly length: number;
  readonly #place: Place;
  readonly #type: Type;
  readonly #scalar: Scalar;

  /** @ignore Made by a view of the record. */
  constructor(place: Place, type: Type, length: number) {
    this.#place = place;
    this.#type = type;
    this.#scalar = scalarOf(type);
    this.length = length;
  }

  /**
   * The element at an index.
   *
   * @throws {RangeError} If it is not an index from 0 to `length - 1`.
   */
  get(index: number): ScalarValue<Type> {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("read", this.#place.path, index, this.length);
    }
    const { load, byteLength } = this.#scalar;
    const { bytes, start } = this.#place;
    return load(bytes, start + index * byteLength) as ScalarValue<Type>;
  }

  /**
   * Sets the element at an index.
   *
   * @throws {RangeError} If it is not an index from 0 to `length - 1`, or the value is out of the
   * range of the type.
   * @throws {TypeError} If the value is not one of the type.
   */
  set(index: number, value: ScalarValue<Type>): void {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("write", this.#place.path, index, this.length);
    }
    const { takes, store, byteLength } = this.#scalar;
    if (!takes(value)) throw scalarError(`${this.#place.path}[${index}]`, this.#type, value);
    const { bytes, start } = this.#place;
    store(bytes, start + index * byteLength, value as never);
  }

  /**
   * Sets all elements.
   *
   * @throws {TypeError} If `source` is no array of values of the type.
   * @throws {RangeError} If it has not exactly as many, or one is out of the range of the type.
   */
  copyFrom(source: ArrayLike<ScalarValue<Type>>): void {
    checkExactLength(this.#place.path, source, this.length);
    for (let i = 0; i < this.length; i++) this.set(i, source[i]!);
  }

  /** A copy of the elements. */
  toArray(): ScalarValue<Type>[] {
    return Array.from({ length: this.length }, (_, i) => this.get(i));
  }

  /** The elements. */
  *[Symbol.iterator](): Iterator<ScalarValue<Type>> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
}

/** Throws unless this is an array, of any class, with so many elements. */
export function checkExactLength(path: string, value: unknown, length: number): void {
  if (typeof value !== "object" || value === null || !("length" in value)) {
    throw fieldError(TypeError, path, `an array of ${length} elements`, describe(value));
  }
  if (value.length === length) return;
  throw fieldError(
    RangeError,
    path,
    `an array of ${length} elements`,
    `one of ${describe(value.length)}`,
  );
}
