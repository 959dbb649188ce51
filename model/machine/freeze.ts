/**
 * What passes between setup, threads and checks must not be changed by one run and seen by another.
 *
 * @module
 */

/** Freezes plain objects and arrays, so that whoever changes them is told at once. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
