/**
 * Values that pass between setup, threads and checks are frozen: a change in one run would be seen
 * in another.
 *
 * @module
 */

import { getOwnPropertyDescriptor } from "../native.ts";

/** Freezes plain objects and arrays, deeply, so that code that changes them throws at once. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value;
  // Before what is inside, which may lead back here.
  Object.freeze(value);
  for (const key of Reflect.ownKeys(value)) {
    // A getter is code of the test, and is not called.
    freeze(getOwnPropertyDescriptor(value, key)!.value);
  }
  return value;
}

/** What engines say of a change of a frozen object. */
const CHANGE = /read-?\s?only|extensible|Cannot delete|Cannot redefine|non-configurable/i;
/** Where they name the property. */
const PROPERTY = /property:? '?"?([^'"\s,]+)|^TypeError: "([^"]+)" is read-only/;

/**
 * The property of a frozen object that a thread tried to change.
 *
 * @param text The error that the change threw, as text.
 * @param state What setup returned.
 * @returns Its path in the state, as far as the error tells; undefined if it is of another object.
 */
export function changedProperty(text: string, state: unknown): string | undefined {
  if (!text.startsWith("TypeError: ") || !CHANGE.test(text)) return undefined;
  const match = PROPERTY.exec(text);
  const name = match?.[1] ?? match?.[2];
  if (name === undefined) return undefined;
  const isNew = text.includes("extensible");
  return pathOf(name, isNew, state, "", new Set());
}

/** The first object in the state that has such a property, or to which it may have been added. */
function pathOf(
  name: string,
  isNew: boolean,
  value: unknown,
  path: string,
  seen: Set<object>,
): string | undefined {
  if (typeof value !== "object" || value === null || seen.has(value)) return undefined;
  seen.add(value);
  if (!Object.isFrozen(value)) return undefined;
  // An array to which an element is added, or another object without such a property.
  const fits = Array.isArray(value)
    ? isNew === (name === String(value.length)) && (isNew || Object.hasOwn(value, name))
    : isNew !== Object.hasOwn(value, name) && (!isNew || !/^\d+$/.test(name));
  if (fits) return join(path, name);
  for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (!("value" in property)) continue;
    const found = pathOf(name, isNew, property.value, join(path, key), seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

function join(path: string, key: string): string {
  if (/^\d+$/.test(key)) return `${path}[${key}]`;
  return path === "" ? key : `${path}.${key}`;
}
