/**
 * Checks of arguments, which throw before anything has happened. Each error names what was expected
 * and what was received: `Cannot create semaphore as 'permits' must be ...: received -1`.
 *
 * @module
 */

import { isPowerOfTwo } from "./layout.ts";

/** Describes a received value in an error message. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const tag = Object.prototype.toString.call(value);
  const name = value.constructor?.name;
  // A class that does not tag itself is an Object to `toString`.
  return tag === "[object Object]" && name ? `[object ${name}]` : tag;
}

/**
 * Throws unless `value` is a whole number from `min` to `max`.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
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
 * Throws unless `options` is an object.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
 */
export function checkOptions(action: string, options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(
    `Cannot ${action} as 'options' must be an object: received ${describe(options)}`,
  );
}

/**
 * Throws if a callback returned a promise: it is asynchronous, and its caller does not await it.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
 * @param name The parameter that holds the callback.
 */
export function checkSynchronous(action: string, name: string, returned: unknown): void {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== "function") return;
  throw new TypeError(
    `Cannot ${action} as '${name}' must be synchronous: received a promise from it`,
  );
}

/**
 * Throws unless `value` is an array of bytes; a copy would silently convert any other array.
 *
 * It looks at the size of the elements, not at the class, which differs for views of other realms
 * and under a checker.
 *
 * @param action The action that fails, as in `Cannot ${action}`.
 * @param name The parameter that holds the value.
 */
export function checkBytes(action: string, name: string, value: Uint8Array): void {
  if (value?.BYTES_PER_ELEMENT === 1) return;
  throw new TypeError(
    `Cannot ${action} as '${name}' must be a Uint8Array: received ${describe(value)}`,
  );
}

/** Throws unless `value` is a power of two from `min` to `max`. */
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

/**
 * Throws unless a condition that the protocol guarantees holds. A failure is a fault of this
 * library, or shared memory that was overwritten from outside, and never the caller's mistake.
 */
export function assertState(condition: boolean, expectation: string): asserts condition {
  if (!condition) {
    throw new Error(`Shared memory is corrupt or the protocol is broken: expected ${expectation}`);
  }
}
