/**
 * Tracked views: proxies that code under test gets when it creates a typed array or a DataView on
 * model memory. Each access to an element is a call of {@linkcode Calls}; methods are those of the
 * replaced prototypes, which recognise the proxy.
 *
 * @module
 */

import type { ModelBuffer } from "../machine/memory.ts";
import { type AnyTypedArray, NativeDataView } from "../native.ts";
import type { Calls } from "./calls.ts";
import { toElementValue } from "./element_types.ts";
import { buffers, newView, type View, viewOf, views, visibleBuffer } from "./registry.ts";

/** The calls of the machine that is being explored; looked up at each use. */
export interface CurrentCalls {
  readonly calls: Calls;
  /** Whether the code of a simulated thread is running. */
  readonly isThreadRunning: boolean;
  /** Lets the getters of the platform's classes answer for views and buffers, too. */
  replaceGetters(): void;
}

/** Creates the tracked view of a real one. */
export function trackView<T extends AnyTypedArray | DataView>(
  current: CurrentCalls,
  real: T,
  buffer: ModelBuffer,
): T {
  const view = newView(real, buffer, !current.isThreadRunning);
  if (!view.isOrdinary) current.replaceGetters();
  const handler = view.type === undefined
    ? dataViewHandler(current, view)
    : typedArrayHandler(current, view);
  const proxy = new Proxy(real, handler as ProxyHandler<T>);
  views.set(proxy, view);
  return proxy;
}

/** A private copy of the elements of a tracked typed array; one plain read. */
export function snapshot(calls: Calls, view: View, start = 0, end = view.length): AnyTypedArray {
  const { buffer, offset, type } = view;
  const { size } = type!;
  const bytes = calls.read(buffer, offset + start * size, Math.max(0, end - start) * size);
  return new type!.constructor(bytes.buffer);
}

/** A private copy if the value is model memory, else the value itself. */
export function untracked(calls: Calls, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const view = views.get(value);
  if (view !== undefined) {
    if (view.type !== undefined) return snapshot(calls, view);
    return new NativeDataView(calls.read(view.buffer, view.offset, view.byteLength).buffer);
  }
  const buffer = buffers.get(value);
  return buffer === undefined ? value : calls.read(buffer, 0, buffer.bytes.length).buffer;
}

/** A plain read of an element; undefined beyond the end. */
export function readElement(calls: Calls, view: View, index: number): unknown {
  if (index >= view.length) return undefined;
  return calls.readElement(view.buffer, view.real as AnyTypedArray, index, view.offset);
}

/** A plain write of an element; a no-op beyond the end. */
function writeElement(calls: Calls, view: View, index: number, value: unknown): void {
  const converted = toElementValue(view.type!, value);
  if (index >= view.length) return;
  const { size } = view.type!;
  calls.write(view.buffer, view.offset + index * size, size, () => {
    (view.real as Int32Array)[index] = converted as number;
  });
}

/** The element index that a property key stands for, or -1. */
function elementIndex(key: string): number {
  const first = key.charCodeAt(0);
  // A letter: the common case of a name.
  if (!(first >= 48 && first <= 57)) return -1;
  if (key.length === 1) return first - 48;
  const index = Number(key);
  return Number.isInteger(index) && String(index) === key ? index : -1;
}

function typedArrayHandler(current: CurrentCalls, view: View): ProxyHandler<AnyTypedArray> {
  const { buffer, offset, length } = view;
  const real = view.real as AnyTypedArray;
  return {
    get(_target, key, receiver): unknown {
      if (typeof key === "string") {
        const index = elementIndex(key);
        if (index >= 0) {
          return index < length
            ? current.calls.readElement(buffer, real, index, offset)
            : undefined;
        }
        if (key === "length" && view.isOrdinary) return length;
      }
      if (view.isOrdinary && isGetter(key)) return builtIn(view, key);
      const value = Reflect.get(real, key, receiver);
      // A method of the real prototypes would not know this proxy.
      if (typeof value === "function") void current.calls;
      return value;
    },
    set(_target, key, value, receiver): boolean {
      const index = typeof key === "string" ? elementIndex(key) : -1;
      // An object that inherits from this one, or a property that is no element.
      if (index < 0 || viewOf(receiver) !== view) return Reflect.set(real, key, value, receiver);
      writeElement(current.calls, view, index, value);
      return true;
    },
    getOwnPropertyDescriptor(_target, key): PropertyDescriptor | undefined {
      const index = typeof key === "string" ? elementIndex(key) : -1;
      if (index < 0) return Reflect.getOwnPropertyDescriptor(real, key);
      if (index >= length) return undefined;
      const value = current.calls.readElement(buffer, real, index, offset);
      return { value, writable: true, enumerable: true, configurable: true };
    },
    defineProperty(_target, key, descriptor): boolean {
      const index = typeof key === "string" ? elementIndex(key) : -1;
      if (index < 0) {
        if (view.isSetup && current.isThreadRunning) {
          current.calls.refuseUse(
            `defines property ${String(key)} of a view that setup created: threads share memory, ` +
              "and no views",
          );
        }
        view.isOrdinary = false;
        current.replaceGetters();
        return Reflect.defineProperty(real, key, descriptor);
      }
      const isElement = index < length && descriptor.configurable !== false &&
        descriptor.enumerable !== false && descriptor.writable !== false &&
        descriptor.get === undefined && descriptor.set === undefined;
      if (isElement && "value" in descriptor) {
        writeElement(current.calls, view, index, descriptor.value);
      }
      return isElement;
    },
    setPrototypeOf(_target, prototype): boolean {
      view.isOrdinary = false;
      current.replaceGetters();
      return Reflect.setPrototypeOf(real, prototype);
    },
  };
}

/** Whether the platform's classes have a getter of that name. */
function isGetter(key: PropertyKey): boolean {
  return key === "buffer" || key === "byteLength" || key === "byteOffset" ||
    key === Symbol.toStringTag;
}

/** What that getter gives for a view. */
function builtIn(view: View, key: PropertyKey): unknown {
  if (key === "buffer") return visibleBuffer(view.buffer);
  if (key === "byteLength") return view.byteLength;
  if (key === "byteOffset") return view.offset;
  return view.type?.constructor.name ?? "DataView";
}

function dataViewHandler(current: CurrentCalls, view: View): ProxyHandler<DataView> {
  const makeSpecial = () => {
    view.isOrdinary = false;
    current.replaceGetters();
  };
  return {
    get(real, key, receiver): unknown {
      if (view.isOrdinary && isGetter(key)) return builtIn(view, key);
      const value = Reflect.get(real, key, receiver);
      if (typeof value === "function") void current.calls;
      return value;
    },
    defineProperty(real, key, descriptor): boolean {
      makeSpecial();
      return Reflect.defineProperty(real, key, descriptor);
    },
    setPrototypeOf(real, prototype): boolean {
      makeSpecial();
      return Reflect.setPrototypeOf(real, prototype);
    },
  };
}
