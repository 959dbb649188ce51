/**
 * A field that is an array of scalars, in place.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { indexError } from "./bytes_view.ts";
import { PLACE } from "./part.ts";
import {
  isBool,
  isF32,
  isF64,
  isI16,
  isI32,
  isI64,
  isI8,
  isU16,
  isU32,
  isU64,
  isU8,
} from "./ranges.ts";
import { fieldError, scalarByteLength, scalarError } from "./scalars.ts";
import type { Elements } from "./target.ts";
import type { ScalarType, ScalarValue } from "./types.ts";

/**
 * A field that is an {@link array} of scalars, in place: it moves along with the record that it is
 * part of. Only {@link ScalarsView.toArray} and an iteration allocate.
 */
export class ScalarsView<Type extends ScalarType = ScalarType> {
  /** How many elements. */
  readonly length: number;
  readonly #path: string;
  readonly #type: ScalarType;
  readonly #byteLength: number;
  readonly #elements: Elements;
  /** Where it begins, counted in elements. */
  #start = 0;

  /** @ignore Made by a view of the record. */
  constructor(path: string, elements: Elements, type: Type, length: number) {
    this.#path = path;
    this.#type = type;
    this.#byteLength = scalarByteLength(type);
    this.#elements = elements;
    this.length = length;
  }

  /** @ignore */
  [PLACE](start: number): void {
    this.#start = start / this.#byteLength;
  }

  /**
   * The element at an index.
   *
   * @throws {RangeError} If it is not an index from 0 to `length - 1`.
   */
  get(index: number): ScalarValue<Type> {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("read", this.#path, index, this.length);
    }
    return this.#load(this.#start + index) as ScalarValue<Type>;
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
      throw indexError("write", this.#path, index, this.length);
    }
    if (!this.#store(this.#start + index, value)) {
      throw scalarError(`${this.#path}[${index}]`, this.#type, value);
    }
  }

  /**
   * Sets all elements.
   *
   * @throws {TypeError} If `source` is no array of values of the type.
   * @throws {RangeError} If it has not exactly as many, or one is out of the range of the type.
   */
  copyFrom(source: ArrayLike<ScalarValue<Type>>): void {
    checkExactLength(this.#path, source, this.length);
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

  // A case for each type, so that each access to a typed array sees one class of them.

  #load(at: number): number | bigint | boolean {
    const elements = this.#elements;
    switch (this.#type) {
      case "i8":
        return elements.i8![at]!;
      case "u8":
        return elements.u8![at]!;
      case "i16":
        return elements.i16![at]!;
      case "u16":
        return elements.u16![at]!;
      case "i32":
        return elements.i32![at]!;
      case "u32":
        return elements.u32![at]!;
      case "f32":
        return elements.f32![at]!;
      case "f64":
        return elements.f64![at]!;
      case "i64":
        return elements.i64![at]!;
      case "u64":
        return elements.u64![at]!;
      case "bool":
        return elements.u8![at] !== 0;
    }
  }

  /** Stores a value, unless the type does not take it; returns whether it does. */
  #store(at: number, value: number | bigint | boolean): boolean {
    const elements = this.#elements;
    switch (this.#type) {
      case "i8":
        if (!isI8(value as number)) return false;
        elements.i8![at] = value as number;
        return true;
      case "u8":
        if (!isU8(value as number)) return false;
        elements.u8![at] = value as number;
        return true;
      case "i16":
        if (!isI16(value as number)) return false;
        elements.i16![at] = value as number;
        return true;
      case "u16":
        if (!isU16(value as number)) return false;
        elements.u16![at] = value as number;
        return true;
      case "i32":
        if (!isI32(value as number)) return false;
        elements.i32![at] = value as number;
        return true;
      case "u32":
        if (!isU32(value as number)) return false;
        elements.u32![at] = value as number;
        return true;
      case "f32":
        if (!isF32(value as number)) return false;
        elements.f32![at] = value as number;
        return true;
      case "f64":
        if (!isF64(value as number)) return false;
        elements.f64![at] = value as number;
        return true;
      case "i64":
        if (!isI64(value as bigint)) return false;
        elements.i64![at] = value as bigint;
        return true;
      case "u64":
        if (!isU64(value as bigint)) return false;
        elements.u64![at] = value as bigint;
        return true;
      case "bool":
        if (!isBool(value as boolean)) return false;
        elements.u8![at] = value ? 1 : 0;
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
