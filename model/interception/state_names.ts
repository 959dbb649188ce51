/**
 * Names for the words of a model, made from the properties of the state that `setup` returned.
 *
 * @module
 */

import { getOwnPropertyDescriptor, nativeIsView, NativeSharedArrayBuffer } from "../native.ts";
import { buffers, resolve, views } from "./registry.ts";

/** How deep the state is searched for typed arrays. */
const MAX_DEPTH = 4;
/** How many properties of one object are searched. */
const MAX_PROPERTIES = 64;

/**
 * Names the elements of every typed array in the state; a state that is one is named `state`.
 *
 * @throws {Error} If the state holds shared memory whose accesses could not be seen.
 */
export function nameState(state: unknown): void {
  visit(state, "", 0);
}

function visit(value: unknown, path: string, depth: number): void {
  if (isForeign(value)) {
    throw new Error(
      `Setup returns shared memory whose accesses could not be seen${
        path && ` (${path})`
      }: create ` +
        "the buffer in setup by the global SharedArrayBuffer, or pass it to shareBuffer, and its " +
        "views there and afterwards by the global constructors",
    );
  }
  const view = resolve(value);
  if (view !== undefined) {
    if (!(view.real instanceof DataView)) view.buffer.nameArray(view.real, path || "state");
    return;
  }
  if (depth === MAX_DEPTH || typeof value !== "object" || value === null) return;
  const keys = Object.keys(value).slice(0, MAX_PROPERTIES);
  for (const key of keys) {
    // Not a getter, which is code of the test.
    const property = getOwnPropertyDescriptor(value, key);
    if (property === undefined || !("value" in property)) continue;
    const isIndex = Array.isArray(value);
    const name = isIndex ? `${path || "state"}[${key}]` : path === "" ? key : `${path}.${key}`;
    visit(property.value, name, depth + 1);
  }
}

/** Whether a value is shared memory of another origin, or a real view of the model's. */
function isForeign(value: unknown): boolean {
  if (nativeIsView(value) && !views.has(value)) {
    return buffers.has(value.buffer) || value.buffer instanceof NativeSharedArrayBuffer;
  }
  return value instanceof NativeSharedArrayBuffer && !buffers.has(value);
}
