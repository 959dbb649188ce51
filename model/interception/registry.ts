/**
 * Which objects belong to a model: its buffers, and the views that the code under test holds.
 *
 * @module
 */

import type { ModelBuffer } from "../machine/memory.ts";
import { type AnyTypedArray, NativeSharedArrayBuffer } from "../native.ts";

/** A view that threads use, and the real array behind it. */
export interface View {
  readonly real: AnyTypedArray | DataView;
  readonly buffer: ModelBuffer;
  /** Byte offset of the view in its buffer. */
  readonly offset: number;
}

/** Every view that was handed out, by what the code under test holds. */
export const views: WeakMap<object, View> = new WeakMap();
/** Every buffer that belongs to a model. */
export const buffers: WeakMap<object, ModelBuffer> = new WeakMap();

/** What a view stands for, if it shows memory of a model. */
export function resolve(view: unknown): View | undefined {
  if (typeof view !== "object" || view === null) return undefined;
  const found = views.get(view);
  if (found !== undefined) return found;
  if (!ArrayBuffer.isView(view)) return undefined;
  const buffer = buffers.get(view.buffer);
  if (buffer === undefined) return undefined;
  return { real: view as AnyTypedArray, buffer, offset: view.byteOffset };
}

/** Whether a view shows shared memory, of a model or not. */
export function isShared(view: unknown): boolean {
  return ArrayBuffer.isView(view) && view.buffer instanceof NativeSharedArrayBuffer;
}
