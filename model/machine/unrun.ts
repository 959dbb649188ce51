/**
 * Values that show that code of the test has not run, so that a search would pass for nothing.
 *
 * @module
 */

import { isThenable } from "./thenable.ts";

/**
 * What a body or a check should not return, and why, as the end of a sentence; undefined for any
 * other value.
 */
export function unrunText(value: unknown): string | undefined {
  if (typeof value === "function") return "a function, which was not called: call it";
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    return value.some(isThenable)
      ? "promises that nothing awaits: await Promise.all of them in an async function"
      : undefined;
  }
  const tag = Object.prototype.toString.call(value);
  if (!tag.includes("Generator") && !tag.includes("Iterator")) return undefined;
  return "a generator or iterator, whose code has not run: use a plain or an async function, and " +
    "a loop in it";
}
