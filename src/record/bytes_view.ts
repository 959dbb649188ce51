/**
 * A field of bytes, in place.
 *
 * @module
 */

import { checkBytes, checkInteger, describe } from "../memory/check.ts";
import type { Place } from "./place.ts";
import { fieldError, scalarError } from "./scalars.ts";

/**
 * A field of {@link bytes}, in place: it moves along with the record that it is part of.
 * {@link BytesView.toArray} and {@link BytesView.subarray} allocate, the other methods do not.
 */
export class BytesView {
  /** How many bytes. */
  readonly length: number;
  readonly #place: Place;
  readonly #bytes: Uint8Array;

  /** @ignore Made by a view of the record. */
  constructor(place: Place, length: number) {
    const { buffer, byteOffset, byteLength } = place.bytes;
    this.#place = place;
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.length = length;
  }

  /**
   * The byte at an index.
   *
   * @throws {RangeError} If it is not an index from 0 to `length - 1`.
   */
  get(index: number): number {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("read", this.#place.path, index, this.length);
    }
    return this.#bytes[this.#place.start + index]!;
  }

  /**
   * Sets the byte at an index.
   *
   * @throws {RangeError} If it is not an index from 0 to `length - 1`, or `value` is no byte.
   * @throws {TypeError} If `value` is not a number.
   */
  set(index: number, value: number): void {
    if (index >>> 0 !== index || index >= this.length) {
      throw indexError("write", this.#place.path, index, this.length);
    }
    if (typeof value !== "number" || (value & 0xff) !== value) {
      throw scalarError(`${this.#place.path}[${index}]`, "u8", value);
    }
    this.#bytes[this.#place.start + index] = value;
  }

  /**
   * Copies all bytes into `target`, from an index on.
   *
   * @param index Where in `target` they go; 0 by default.
   * @throws {TypeError} If `target` is not made of bytes.
   * @throws {RangeError} If they do not fit.
   */
  copyTo(target: Uint8Array, index: number = 0): void {
    checkBytes("read record", "target", target);
    if (target.length < this.length) {
      throw new RangeError(
        `Cannot read record as 'target' must have at least ${this.length} bytes for field '${this.#place.path}': received ${target.length}`,
      );
    }
    checkInteger("read record", "index", index, 0, target.length - this.length);
    const { start } = this.#place;
    for (let i = 0; i < this.length; i++) target[index + i] = this.#bytes[start + i]!;
  }

  /**
   * Sets all bytes.
   *
   * @throws {TypeError} If `source` is not made of bytes.
   * @throws {RangeError} If it has not exactly as many.
   */
  copyFrom(source: Uint8Array): void {
    checkExactBytes(this.#place.path, source, this.length);
    this.#bytes.set(source, this.#place.start);
  }

  /** A copy of the bytes. */
  toArray(): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.length);
    copy.set(this.subarray());
    return copy;
  }

  /** The bytes as a view of their own, which stays where it is when the record moves on. */
  subarray(): Uint8Array {
    const { start } = this.#place;
    return this.#bytes.subarray(start, start + this.length);
  }
}

/** Throws unless this is exactly so many bytes. */
export function checkExactBytes(path: string, value: unknown, length: number): void {
  const { BYTES_PER_ELEMENT: size, length: received } = (value ?? {}) as Partial<Uint8Array>;
  if (size !== 1) throw fieldError(TypeError, path, "a Uint8Array", describe(value));
  if (received !== length) {
    throw fieldError(RangeError, path, `exactly ${length} bytes`, `${received} bytes`);
  }
}

/** The error of an index that a field has not. */
export function indexError(
  action: string,
  path: string,
  index: number,
  length: number,
): RangeError {
  return new RangeError(
    `Cannot ${action} record as an index of field '${path}' must be a whole number from 0 to ${
      length - 1
    }: received ${describe(index)}`,
  );
}
