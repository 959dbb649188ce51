/**
 * Tracked views: proxies that simulated threads get when they create a typed array or a DataView on
 * model memory. Each element access and each method call is a call of {@linkcode Calls}.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { ModelBuffer } from "../machine/memory.ts";
import { type AnyTypedArray, typedArrayPrototype } from "../native.ts";
import { type View, views } from "./registry.ts";

/** The calls of the machine that is being explored; looked up at each use. */
export interface CurrentCalls {
  readonly calls: Calls;
}

type Method = (...args: never[]) => unknown;

/** Methods of typed arrays that write; all others only read a copy. */
const writers = new Set(["set", "fill", "copyWithin", "sort", "reverse"]);

/** Creates the tracked view of a real one. */
export function trackView<T extends AnyTypedArray | DataView>(
  current: CurrentCalls,
  real: T,
  buffer: ModelBuffer,
): T {
  const view: View = { real, buffer, offset: real.byteOffset };
  const handler = real instanceof DataView
    ? dataViewHandler(current, view)
    : typedArrayHandler(current, view);
  const proxy = new Proxy(real, handler as ProxyHandler<T>);
  views.set(proxy, view);
  return proxy;
}

/** A private copy of the elements of a tracked view; one plain read. */
function snapshot(calls: Calls, view: View): AnyTypedArray {
  const real = view.real as AnyTypedArray;
  const bytes = calls.read(view.buffer, view.offset, real.byteLength);
  return new (real.constructor as new (buffer: ArrayBufferLike) => AnyTypedArray)(bytes.buffer);
}

/** A private copy if the value is a tracked view, else the value itself. */
export function untracked(calls: Calls, value: unknown): unknown {
  const view = typeof value === "object" && value !== null ? views.get(value) : undefined;
  if (view === undefined) return value;
  if (view.real instanceof DataView) {
    const bytes = calls.read(view.buffer, view.offset, view.real.byteLength);
    return new DataView(bytes.buffer);
  }
  return snapshot(calls, view);
}

function typedArrayHandler(current: CurrentCalls, view: View): ProxyHandler<AnyTypedArray> {
  const real = view.real as AnyTypedArray;
  const { buffer, offset } = view;
  const size = real.BYTES_PER_ELEMENT;
  const methods = new Map<PropertyKey, Method>();
  return {
    get(_target, key): unknown {
      if (typeof key === "string") {
        const index = elementIndex(key);
        if (index >= 0) {
          if (index >= real.length) return undefined;
          return current.calls.readElement(buffer, real, index, offset);
        }
      }
      const value = Reflect.get(real, key, real);
      if (typeof value !== "function" || key === "constructor") return value;
      let method = methods.get(key);
      if (method === undefined) methods.set(key, method = typedArrayMethod(current, view, key));
      return method;
    },
    set(_target, key, value): boolean {
      const index = typeof key === "string" ? elementIndex(key) : -1;
      if (index < 0) return Reflect.set(real, key, value, real);
      if (index < real.length) {
        current.calls.write(buffer, offset + index * size, size, () => {
          real[index] = value;
        });
      }
      return true;
    },
  };
}

/** The element index that a property key stands for, or -1. */
function elementIndex(key: string): number {
  const first = key.charCodeAt(0);
  if (first < 48 || first > 57) return -1;
  const index = Number(key);
  return Number.isInteger(index) ? index : -1;
}

function typedArrayMethod(current: CurrentCalls, view: View, key: PropertyKey): Method {
  const real = view.real as AnyTypedArray;
  const { buffer, offset } = view;
  const size = real.BYTES_PER_ELEMENT;
  const native = typedArrayPrototype[key] as (this: unknown, ...args: unknown[]) => unknown;
  switch (key) {
    case "set":
      return (source: ArrayLike<unknown>, at = 0) => {
        const values = untracked(current.calls, source) as ArrayLike<number>;
        const { length } = values;
        if (!(at >= 0 && at + length <= real.length)) return native.call(real, values, at);
        current.calls.write(buffer, offset + at * size, length * size, () => {
          native.call(real, values, at);
        });
      };
    case "fill":
      return function (this: unknown, value: number, from?: number, to?: number) {
        const [start, end] = range(real.length, from, to);
        current.calls.write(buffer, offset + start * size, (end - start) * size, () => {
          native.call(real, value, start, end);
        });
        return this;
      };
    case "copyWithin":
      return function (this: unknown, target: number, from: number, to?: number) {
        const [start, end] = range(real.length, from, to);
        const [into] = range(real.length, target);
        const count = Math.max(0, Math.min(end - start, real.length - into));
        const bytes = current.calls.read(buffer, offset + start * size, count * size);
        current.calls.write(buffer, offset + into * size, count * size, () => {
          buffer.bytes.set(bytes, offset + into * size);
        });
        return this;
      };
    case "subarray":
      return (from?: number, to?: number) =>
        current.calls.view(real.constructor, buffer, from, to, () => {
          const part = native.call(real, from, to) as AnyTypedArray;
          return trackView(current, part, buffer);
        });
    case "slice":
      return (from?: number, to?: number) => {
        const [start, end] = range(real.length, from, to);
        const length = Math.max(0, end - start);
        const bytes = current.calls.read(buffer, offset + start * size, length * size);
        return new (real.constructor as new (b: ArrayBufferLike) => AnyTypedArray)(bytes.buffer);
      };
  }
  if (!writers.has(key as string)) {
    return (...args: unknown[]) => {
      const copy = snapshot(current.calls, view);
      return (Reflect.get(copy, key) as Method).apply(copy, args as never[]);
    };
  }
  return function (this: unknown, ...args: unknown[]) {
    const copy = snapshot(current.calls, view);
    native.call(copy, ...args);
    current.calls.write(buffer, offset, real.byteLength, () => {
      (real as Uint8Array).set(copy as Uint8Array);
    });
    return this;
  };
}

/** Start and end as the methods of typed arrays interpret them. */
function range(length: number, from = 0, to = length): [number, number] {
  const clamp = (i: number) => i < 0 ? Math.max(0, length + i) : Math.min(i, length);
  const start = clamp(Math.trunc(from) || 0);
  return [start, Math.max(start, clamp(Math.trunc(to) || 0))];
}

function dataViewHandler(current: CurrentCalls, view: View): ProxyHandler<DataView> {
  const real = view.real as DataView;
  const { buffer, offset } = view;
  return {
    get(_target, key): unknown {
      const value = Reflect.get(real, key, real);
      const found = typeof key === "string"
        ? /^(get|set)(?:Big)?(?:Int|Uint|Float)(8|16|32|64)$/.exec(key)
        : null;
      if (found === null || typeof value !== "function") return value;
      const size = Number(found[2]) / 8;
      const native = value as (this: unknown, ...args: unknown[]) => unknown;
      return (at: number, ...rest: unknown[]) => {
        const inside = Number.isInteger(at) && at >= 0 && at + size <= real.byteLength;
        if (!inside) return native.call(real, at, ...rest);
        if (found[1] === "set") {
          current.calls.write(buffer, offset + at, size, () => native.call(real, at, ...rest));
          return undefined;
        }
        const bytes = current.calls.read(buffer, offset + at, size);
        return native.call(new DataView(bytes.buffer), 0, ...rest);
      };
    },
  };
}
