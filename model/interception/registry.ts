/**
 * Which objects belong to a model: its buffers, and the views that the code under test holds.
 *
 * @module
 */

import type { ModelBuffer } from "../machine/memory.ts";
import { type AnyTypedArray, NativeSharedArrayBuffer } from "../native.ts";

/** A view on model memory. */
export interface View {
  /** The real array, whose accesses are not tracked. */
  readonly real: AnyTypedArray | DataView;
  readonly buffer: ModelBuffer;
  /** The view's byte offset in the buffer. */
  readonly offset: number;
}

/** Every tracked view, by the proxy that the code under test has. */
export const views: WeakMap<object, View> = new WeakMap();
/** Every buffer that is part of a model, by the real one. */
export const buffers: WeakMap<object, ModelBuffer> = new WeakMap();

/** The view on model memory that a value is, if it is one. */
export function resolve(view: unknown): View | undefined {
  if (typeof view !== "object" || view === null) return undefined;
  const found = views.get(view);
  if (found !== undefined) return found;
  if (!ArrayBuffer.isView(view)) return undefined;
  const buffer = buffers.get(view.buffer);
  if (buffer === undefined) return undefined;
  return { real: view as AnyTypedArray, buffer, offset: view.byteOffset };
}

/** Whether a value is a view on shared memory, of a model or not. */
export function isShared(view: unknown): boolean {
  return ArrayBuffer.isView(view) && view.buffer instanceof NativeSharedArrayBuffer;
}
