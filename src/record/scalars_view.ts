/**
 * A field that is an array of scalars, in place.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { indexError } from "./bytes_view.ts";
import type { Place } from "./place.ts";
import { fieldError, fitsF32, scalarByteLength, scalarError } from "./scalars.ts";
import type { ScalarType, ScalarValue } from "./types.ts";

// A local copy for the hot path: an imported binding is loaded at each use.
const fits = fitsF32;

/**
 * A field that is an {@link array} of scalars, in place: it moves along with the record that it is
 * part of. Only {@link ScalarsView.toArray} and an iteration allocate.
 */
export class ScalarsView<Type extends ScalarType = ScalarType> {
  /** How many elements. */
  readonly length: number;
  readonly #place: Place;
  readonly #type: ScalarType;
  readonly #byteLength: number;

  /** @ignore Made by a view of the record. */
  constructor(place: Place, type: Type, length: number) {
    this.#place = place;
    this.#type = type;
    this.#byteLength = scalarByteLength(type);
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
    return this.#load(this.#place.start + index * this.#byteLength) as ScalarValue<Type>;
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
    if (!this.#store(this.#place.start + index * this.#byteLength, value)) {
      throw scalarError(`${this.#place.path}[${index}]`, this.#type, value);
    }
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

  #load(at: number): number | bigint | boolean {
    const { bytes } = this.#place;
    switch (this.#type) {
      case "i8":
        return bytes.getInt8(at);
      case "u8":
        return bytes.getUint8(at);
      case "i16":
        return bytes.getInt16(at, true);
      case "u16":
        return bytes.getUint16(at, true);
      case "i32":
        return bytes.getInt32(at, true);
      case "u32":
        return bytes.getUint32(at, true);
      case "f32":
        return bytes.getFloat32(at, true);
      case "f64":
        return bytes.getFloat64(at, true);
      case "i64":
        return bytes.getBigInt64(at, true);
      case "u64":
        return bytes.getBigUint64(at, true);
      case "bool":
        return bytes.getUint8(at) !== 0;
    }
  }

  /** Stores a value, unless the type does not take it; returns whether it does. */
  #store(at: number, value: unknown): boolean {
    const { bytes } = this.#place;
    switch (this.#type) {
      case "i8":
        if (typeof value !== "number" || (value << 24) >> 24 !== value) return false;
        bytes.setInt8(at, value);
        return true;
      case "u8":
        if (typeof value !== "number" || (value & 0xff) !== value) return false;
        bytes.setUint8(at, value);
        return true;
      case "i16":
        if (typeof value !== "number" || (value << 16) >> 16 !== value) return false;
        bytes.setInt16(at, value, true);
        return true;
      case "u16":
        if (typeof value !== "number" || (value & 0xffff) !== value) return false;
        bytes.setUint16(at, value, true);
        return true;
      case "i32":
        if (typeof value !== "number" || (value | 0) !== value) return false;
        bytes.setInt32(at, value, true);
        return true;
      case "u32":
        if (typeof value !== "number" || value >>> 0 !== value) return false;
        bytes.setUint32(at, value, true);
        return true;
      case "f32":
        if (!fits(value)) return false;
        bytes.setFloat32(at, value, true);
        return true;
      case "f64":
        if (typeof value !== "number") return false;
        bytes.setFloat64(at, value, true);
        return true;
      case "i64":
        if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) return false;
        bytes.setBigInt64(at, value, true);
        return true;
      case "u64":
        if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) return false;
        bytes.setBigUint64(at, value, true);
        return true;
      case "bool":
        if (typeof value !== "boolean") return false;
        bytes.setUint8(at, value ? 1 : 0);
        return true;
    }
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
