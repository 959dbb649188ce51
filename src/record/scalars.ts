/**
 * The scalar types: how large they are, and which values they take.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { ScalarType } from "./types.ts";

/** One scalar type. */
interface Scalar {
  /** The bytes of a value, and its alignment. */
  readonly byteLength: number;
  /** What a value must be, in an error. */
  readonly expected: string;
  /** Whether the type takes this value. */
  takes(value: unknown): boolean;
}

function integer(bits: number, isSigned: boolean): Scalar {
  const min = isSigned ? -(2 ** (bits - 1)) : 0;
  const max = 2 ** (isSigned ? bits - 1 : bits) - 1;
  return {
    byteLength: bits / 8,
    expected: `a whole number from ${min} to ${max}`,
    takes: (value) => Number.isInteger(value) && value as number >= min && value as number <= max,
  };
}

function bigInteger(isSigned: boolean): Scalar {
  const min = isSigned ? -(2n ** 63n) : 0n;
  const max = 2n ** (isSigned ? 63n : 64n) - 1n;
  return {
    byteLength: 8,
    expected: `a bigint from ${min}n to ${max}n`,
    takes: (value) => typeof value === "bigint" && value >= min && value <= max,
  };
}

const { fround } = Math;

/**
 * Whether this is a number that 32 bits hold, rounded: Infinity and NaN are, what only becomes
 * infinite is not.
 */
export function fitsF32(value: unknown): value is number {
  if (typeof value !== "number") return false;
  const rounded = fround(value);
  return rounded - rounded === 0 || value - value !== 0;
}

/** All scalar types. */
const SCALARS: Readonly<Record<ScalarType, Scalar>> = {
  i8: integer(8, true),
  u8: integer(8, false),
  i16: integer(16, true),
  u16: integer(16, false),
  i32: integer(32, true),
  u32: integer(32, false),
  f32: {
    byteLength: 4,
    expected: "a number within the range of f32",
    takes: fitsF32,
  },
  f64: {
    byteLength: 8,
    expected: "a number",
    takes: (value) => typeof value === "number",
  },
  i64: bigInteger(true),
  u64: bigInteger(false),
  bool: {
    byteLength: 1,
    expected: "a boolean",
    takes: (value) => typeof value === "boolean",
  },
};

/** Whether this is the name of a scalar type. */
export function isScalarType(type: unknown): type is ScalarType {
  return typeof type === "string" && Object.hasOwn(SCALARS, type);
}

/** The names of all scalar types, for an error. */
export const SCALAR_NAMES: string = Object.keys(SCALARS).map((name) => `"${name}"`).join(", ");

/** The bytes of a scalar, which is also its alignment. */
export function scalarByteLength(type: ScalarType): number {
  return SCALARS[type].byteLength;
}

/** Throws unless a scalar type takes the value. */
export function checkScalar(path: string, type: ScalarType, value: unknown): void {
  if (!SCALARS[type].takes(value)) throw scalarError(path, type, value);
}

/** The error of a value that a scalar type does not take. */
export function scalarError(path: string, type: ScalarType, value: unknown): Error {
  const expected = SCALARS[type].expected;
  const typeOfValue: string = typeof value;
  const isOfType = typeOfValue === scalarTypeof(type);
  return fieldError(isOfType ? RangeError : TypeError, path, expected, describeScalar(value));
}

/** The error of a field whose value is not what it must be. */
export function fieldError(
  Class: typeof RangeError | typeof TypeError,
  path: string,
  expected: string,
  received: string,
): Error {
  return new Class(
    `Cannot write record as field '${path}' must be ${expected}: received ${received}`,
  );
}

/** Describes a received value; a bigint as it is written. */
function describeScalar(value: unknown): string {
  return typeof value === "bigint" ? `${value}n` : describe(value);
}

/** What `typeof` says of the values of a type. */
function scalarTypeof(type: ScalarType): string {
  if (type === "bool") return "boolean";
  return type === "i64" || type === "u64" ? "bigint" : "number";
}
