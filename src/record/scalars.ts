/**
 * The scalar types: how large they are, and which values they take.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { ScalarType } from "./types.ts";

/** One scalar type. */
export interface Scalar {
  /** The bytes of a value, and its alignment. */
  readonly byteLength: number;
  /** What a value must be, in an error. */
  readonly expected: string;
  /** Whether the type takes this value. */
  takes(value: unknown): boolean;
  /** Reads the value that begins there. */
  load(bytes: DataView, at: number): number | bigint | boolean;
  /** Writes a value that the type takes. */
  store(bytes: DataView, at: number, value: never): void;
}

/** What sets the types of whole numbers apart. */
type Access = Pick<Scalar, "takes" | "load" | "store">;

function integer(bits: number, isSigned: boolean, access: Access): Scalar {
  const min = isSigned ? -(2 ** (bits - 1)) : 0;
  const max = 2 ** (isSigned ? bits - 1 : bits) - 1;
  return {
    byteLength: bits / 8,
    expected: `a whole number from ${min} to ${max}`,
    ...access,
  };
}

function bigInteger(isSigned: boolean, access: Access): Scalar {
  const min = isSigned ? -(2n ** 63n) : 0n;
  const max = 2n ** (isSigned ? 63n : 64n) - 1n;
  return {
    byteLength: 8,
    expected: `a bigint from ${min}n to ${max}n`,
    ...access,
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
  i8: integer(8, true, {
    takes: (value) => typeof value === "number" && (value << 24) >> 24 === value,
    load: (bytes, at) => bytes.getInt8(at),
    store: (bytes, at, value) => bytes.setInt8(at, value),
  }),
  u8: integer(8, false, {
    takes: (value) => typeof value === "number" && (value & 0xff) === value,
    load: (bytes, at) => bytes.getUint8(at),
    store: (bytes, at, value) => bytes.setUint8(at, value),
  }),
  i16: integer(16, true, {
    takes: (value) => typeof value === "number" && (value << 16) >> 16 === value,
    load: (bytes, at) => bytes.getInt16(at, true),
    store: (bytes, at, value) => bytes.setInt16(at, value, true),
  }),
  u16: integer(16, false, {
    takes: (value) => typeof value === "number" && (value & 0xffff) === value,
    load: (bytes, at) => bytes.getUint16(at, true),
    store: (bytes, at, value) => bytes.setUint16(at, value, true),
  }),
  i32: integer(32, true, {
    takes: (value) => typeof value === "number" && (value | 0) === value,
    load: (bytes, at) => bytes.getInt32(at, true),
    store: (bytes, at, value) => bytes.setInt32(at, value, true),
  }),
  u32: integer(32, false, {
    takes: (value) => typeof value === "number" && value >>> 0 === value,
    load: (bytes, at) => bytes.getUint32(at, true),
    store: (bytes, at, value) => bytes.setUint32(at, value, true),
  }),
  f32: {
    byteLength: 4,
    expected: "a number within the range of f32",
    takes: fitsF32,
    load: (bytes, at) => bytes.getFloat32(at, true),
    store: (bytes, at, value) => bytes.setFloat32(at, value, true),
  },
  f64: {
    byteLength: 8,
    expected: "a number",
    takes: (value) => typeof value === "number",
    load: (bytes, at) => bytes.getFloat64(at, true),
    store: (bytes, at, value) => bytes.setFloat64(at, value, true),
  },
  i64: bigInteger(true, {
    takes: (value) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
    load: (bytes, at) => bytes.getBigInt64(at, true),
    store: (bytes, at, value) => bytes.setBigInt64(at, value, true),
  }),
  u64: bigInteger(false, {
    takes: (value) => typeof value === "bigint" && BigInt.asUintN(64, value) === value,
    load: (bytes, at) => bytes.getBigUint64(at, true),
    store: (bytes, at, value) => bytes.setBigUint64(at, value, true),
  }),
  bool: {
    byteLength: 1,
    expected: "a boolean",
    takes: (value) => typeof value === "boolean",
    load: (bytes, at) => bytes.getUint8(at) !== 0,
    store: (bytes, at, value) => bytes.setUint8(at, value ? 1 : 0),
  },
};

/** Whether this is the name of a scalar type. */
export function isScalarType(type: unknown): type is ScalarType {
  return typeof type === "string" && Object.hasOwn(SCALARS, type);
}

/** The names of all scalar types, for an error. */
export const SCALAR_NAMES: string = Object.keys(SCALARS).map((name) => `"${name}"`).join(", ");

/** The scalar type of that name. */
export function scalarOf(type: ScalarType): Scalar {
  return SCALARS[type];
}

/** The bytes of a scalar, which is also its alignment. */
export function scalarByteLength(type: ScalarType): number {
  return SCALARS[type].byteLength;
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
