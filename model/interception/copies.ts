/**
 * Functions of the platform that copy objects, or read their bytes, outside of JavaScript.
 *
 * They do not know tracked views, and would take them for other objects without a word.
 *
 * @module
 */

import { buffers, isObject, views, visibleBuffer } from "./registry.ts";
import type { CurrentCalls } from "./views.ts";

/** Whether a value is memory of the model, or a collection that holds some. */
function holdsModel(value: unknown, seen: Set<object> = new Set()): boolean {
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  if (views.has(value) || buffers.has(value)) return true;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return false;
  const isCollection = value instanceof Map || value instanceof Set;
  const inner = isCollection ? [...value as Iterable<unknown>].flat() : Object.values(value);
  return inner.some((each) => holdsModel(each, seen));
}

/** `structuredClone`: a clone of a view or shared buffer is on the same memory. */
export function cloning(
  current: CurrentCalls,
  native: (value: unknown, options?: unknown) => unknown,
): (value: unknown, options?: unknown) => unknown {
  return function structuredClone(value, ...options) {
    if (isObject(value)) {
      const buffer = buffers.get(value);
      if (buffer !== undefined) return visibleBuffer(buffer);
      const view = views.get(value);
      if (view !== undefined) {
        const prototype = view.type?.prototype ?? DataView.prototype;
        const { constructor } = prototype as { constructor: Int32ArrayConstructor };
        return new constructor(visibleBuffer(view.buffer), view.offset, view.length);
      }
      if (holdsModel(value)) {
        current.calls.refuseUse(
          "clones an object that holds shared memory, which the explorer cannot follow: clone its " +
            "views and buffers one by one",
        );
      }
    }
    return native(value, ...options);
  };
}

/** A class of bytes, such as `Blob`: it refuses shared memory, but would take a tracked view. */
export function refusingShared<T extends abstract new (...args: never[]) => object>(native: T): T {
  const own: T = new Proxy(native, {
    construct(target, args, newTarget) {
      const first: unknown = args[0];
      const parts = Array.isArray(first) ? first : [first];
      if (parts.some((part) => isObject(part) && (views.has(part) || buffers.has(part)))) {
        throw new TypeError(`Cannot make a ${native.name} of shared memory: copy the bytes first`);
      }
      return Reflect.construct(target, args, newTarget === own ? target : newTarget);
    },
  });
  return own;
}
