/**
 * Which objects belong to a model: its buffers, and the views that the code under test holds.
 *
 * @module
 */

import type { ModelBuffer } from "../machine/memory.ts";
import {
  type AnyTypedArray,
  NativeDataView,
  nativeIsView,
  NativeSharedArrayBuffer,
  typedArrayPrototype,
} from "../native.ts";
import { type ElementType, elementTypeOf } from "./element_types.ts";

/** A view on model memory. */
export interface View {
  /** The real array, whose accesses are not tracked. */
  readonly real: AnyTypedArray | DataView;
  /** The type of its elements; undefined for a data view. */
  readonly type: ElementType | undefined;
  readonly buffer: ModelBuffer;
  /** The view's byte offset in the buffer. */
  readonly offset: number;
  readonly byteLength: number;
  /** The number of elements; of a data view, of bytes. */
  readonly length: number;
  /** Whether setup created it, so that all threads have it. */
  readonly isSetup: boolean;
  /** Whether it has the class's own prototype, and no property but elements. */
  isOrdinary: boolean;
}

/** Every tracked view, by the proxy that the code under test has. */
export const views: WeakMap<object, View> = new WeakMap();
/** Every buffer that is part of a model, by the real one and by what the code under test has. */
export const buffers: WeakMap<object, ModelBuffer> = new WeakMap();
/** The buffer that the code under test has, of each one whose real one it must not have. */
export const visibleBuffers: WeakMap<ModelBuffer, SharedArrayBuffer> = new WeakMap();

/** The buffer that the code under test has. */
export function visibleBuffer(buffer: ModelBuffer): ArrayBufferLike {
  return visibleBuffers.get(buffer) ?? buffer.real;
}

/** Whether a value can have properties of its own. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" ? value !== null : typeof value === "function";
}

/** The tracked view that a value is, if it is one. */
export function viewOf(value: unknown): View | undefined {
  return isObject(value) ? views.get(value) : undefined;
}

/** The native getters of a class: code under test may define other ones. */
const gettersOf = (prototype: object) => {
  const get = (key: string) => Reflect.getOwnPropertyDescriptor(prototype, key)!.get!;
  return { byteOffset: get("byteOffset"), byteLength: get("byteLength") };
};
const typedArrayGetters = gettersOf(typedArrayPrototype);
const dataViewGetters = gettersOf(NativeDataView.prototype);

/** The data of a view on a model's buffer. */
export function newView(
  real: AnyTypedArray | DataView,
  buffer: ModelBuffer,
  isSetup: boolean,
): View {
  const type = elementTypeOf(real);
  const { byteOffset, byteLength } = type === undefined ? dataViewGetters : typedArrayGetters;
  const bytes = byteLength.call(real) as number;
  return {
    real,
    type,
    buffer,
    offset: byteOffset.call(real) as number,
    byteLength: bytes,
    length: bytes / (type?.size ?? 1),
    isSetup,
    isOrdinary: Reflect.getPrototypeOf(real) === (type?.prototype ?? NativeDataView.prototype),
  };
}

/** The view on model memory that a value is, if it is one, tracked or not. */
export function resolve(value: unknown): View | undefined {
  const found = viewOf(value);
  if (found !== undefined) return found;
  if (!nativeIsView(value)) return undefined;
  const buffer = buffers.get(value.buffer);
  return buffer === undefined ? undefined : newView(value as AnyTypedArray, buffer, true);
}

/** Whether a value is a view on shared memory, of a model or not. */
export function isShared(view: unknown): boolean {
  return nativeIsView(view) && view.buffer instanceof NativeSharedArrayBuffer;
}
