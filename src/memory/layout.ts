/**
 * What every shared layout is made with: alignment, powers of two, and the checks at the door.
 *
 * Each layout names its words in a descriptor of its own, and nobody else writes a bare number as
 * an offset. Words that different threads write stand on cache lines of their own.
 *
 * @module
 */

/** The size of a cache line: words that different threads write are this far apart. */
export const CACHE_LINE_BYTES = 64;

/** {@link CACHE_LINE_BYTES} in 32-bit words. */
export const CACHE_LINE_WORDS: number = CACHE_LINE_BYTES / Int32Array.BYTES_PER_ELEMENT;

/** The least multiple of `alignment`, a power of two, that is not below `value`. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Says whether `value` is a power of two from 1 to 2^31. */
export function isPowerOfTwo(value: number): boolean {
  return value >>> 0 === value && value !== 0 && (value & (value - 1)) === 0;
}

/** Describes a received value in an error message. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Object.prototype.toString.call(value);
}

/**
 * Refuses a `value` that is not a whole number from `min` to `max`.
 *
 * @param action What cannot be done otherwise, as in `Cannot ${action}`.
 * @param name The option or parameter that holds the value.
 */
export function checkInteger(
  action: string,
  name: string,
  value: number,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const expected = max === Number.MAX_SAFE_INTEGER
    ? `a whole number not below ${min}`
    : `a whole number from ${min} to ${max}`;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be ${expected}: received ${describe(value)}`,
  );
}

/**
 * Refuses `options` that are no object.
 *
 * @param action What cannot be done otherwise, as in `Cannot ${action}`.
 */
export function checkOptions(action: string, options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(
    `Cannot ${action} as 'options' must be an object: received ${describe(options)}`,
  );
}

/**
 * Refuses what is no array of bytes, which a copy would convert.
 *
 * By its elements, not its class: views of other realms, or under a checker, have other classes.
 *
 * @param action What cannot be done otherwise, as in `Cannot ${action}`.
 * @param name The parameter that holds the value.
 */
export function checkBytes(action: string, name: string, value: Uint8Array): void {
  if (value?.BYTES_PER_ELEMENT === 1) return;
  throw new TypeError(
    `Cannot ${action} as '${name}' must be a Uint8Array: received ${describe(value)}`,
  );
}

/** Refuses a `value` that is not a power of two from `min` to `max`. */
export function checkPowerOfTwo(
  action: string,
  name: string,
  value: number,
  min: number,
  max: number,
): void {
  if (isPowerOfTwo(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be a power of two from ${min} to ${max}: received ${
      describe(value)
    }`,
  );
}
