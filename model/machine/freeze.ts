/**
 * Values that pass between setup, threads and checks are frozen: a change in one run would be seen
 * in another.
 *
 * @module
 */

/** Freezes plain objects and arrays, deeply, so that code that changes them throws at once. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value;
  // Before what is inside, which may lead back here.
  Object.freeze(value);
  for (const property of Object.values(Object.getOwnPropertyDescriptors(value))) {
    // A getter is code of the test, and is not called.
    if ("value" in property) freeze(property.value);
  }
  return value;
}
