/**
 * Whether a value is one of a scalar type, for hot paths: each function is small enough to be
 * inlined, and takes anything.
 *
 * @module
 */

const { fround } = Math;

/** Whether it is a whole number of 8 bits with a sign. */
export function isI8(value: number): boolean {
  return (value << 24) >> 24 === value;
}

/** Whether it is a whole number of 8 bits. */
export function isU8(value: number): boolean {
  return (value & 0xff) === value;
}

/** Whether it is a whole number of 16 bits with a sign. */
export function isI16(value: number): boolean {
  return (value << 16) >> 16 === value;
}

/** Whether it is a whole number of 16 bits. */
export function isU16(value: number): boolean {
  return (value & 0xffff) === value;
}

/** Whether it is a whole number of 32 bits with a sign. */
export function isI32(value: number): boolean {
  return (value | 0) === value;
}

/** Whether it is a whole number of 32 bits. */
export function isU32(value: number): boolean {
  return value >>> 0 === value;
}

/** Whether it is a number that does not become infinite in 32 bits. */
export function isF32(value: number): boolean {
  if (typeof value !== "number") return false;
  const rounded = fround(value);
  // The difference of a finite number and itself is 0, others have NaN.
  return rounded - rounded === 0 || value - value !== 0;
}

/** Whether it is a number. */
export function isF64(value: number): boolean {
  return typeof value === "number";
}

/** Whether it is a bigint of 64 bits with a sign. */
export function isI64(value: bigint): boolean {
  return typeof value === "bigint" && BigInt.asIntN(64, value) === value;
}

/** Whether it is a bigint of 64 bits. */
export function isU64(value: bigint): boolean {
  return typeof value === "bigint" && BigInt.asUintN(64, value) === value;
}

/** Whether it is a boolean. */
export function isBool(value: boolean): boolean {
  return typeof value === "boolean";
}
