/**
 * Values that can be awaited.
 *
 * @module
 */

/** Whether awaiting a value would wait. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as PromiseLike<unknown>).then === "function";
}
