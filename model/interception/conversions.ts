/**
 * The conversions of ECMAScript that `Atomics`, typed arrays and data views apply to arguments.
 *
 * They run code of the thread (`valueOf`), so a call converts its arguments before it looks at the
 * log: on each replay they happen again, and what throws has no effect.
 *
 * @module
 */

const { asIntN } = BigInt;

/** ToNumber. */
export function toNumber(value: unknown): number {
  // Unlike `Number(value)`, the operator refuses a BigInt.
  return typeof value === "number" ? value : +(value as number);
}

/** ToBigInt: unlike `BigInt(value)`, it refuses a number. */
export function toBigInt(value: unknown): bigint {
  return typeof value === "bigint" ? value : asIntN(Number.MAX_SAFE_INTEGER, value as bigint);
}

/** ToIntegerOrInfinity. */
export function toInteger(value: unknown): number {
  return Math.trunc(toNumber(value)) || 0;
}

/**
 * ToIndex.
 *
 * @throws {RangeError} If the value is no index.
 */
export function toIndex(value: unknown): number {
  const index = value === undefined ? 0 : toInteger(value);
  if (index >= 0 && index <= Number.MAX_SAFE_INTEGER) return index;
  throw new RangeError(`Invalid index: expected 0 to 2 ** 53 - 1, received ${index}`);
}

/** A position relative to the start, or if negative to the end, within a length. */
export function toPosition(value: unknown, length: number): number {
  const integer = toInteger(value);
  return integer < 0 ? Math.max(0, length + integer) : Math.min(integer, length);
}

/** As {@linkcode toPosition}; if undefined, the length. */
export function toEnd(value: unknown, length: number): number {
  return value === undefined ? length : toPosition(value, length);
}

/** The count of a notify. */
export function toCount(value: unknown): number {
  return value === undefined ? Infinity : Math.max(0, toInteger(value));
}

/** The timeout of a wait in milliseconds. */
export function toTimeoutMs(value: unknown): number {
  const timeoutMs = value === undefined ? Infinity : toNumber(value);
  return Number.isNaN(timeoutMs) ? Infinity : Math.max(0, timeoutMs);
}
