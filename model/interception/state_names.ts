/**
 * Names for the words of a model, made from the properties of the state that `setup` returned.
 *
 * @module
 */

import { resolve } from "./registry.ts";

/** How deep the state is searched for typed arrays. */
const MAX_DEPTH = 4;
/** How many properties of one object are searched. */
const MAX_PROPERTIES = 64;

/** Names the elements of every typed array in the state; a state that is one is named `state`. */
export function nameState(state: unknown): void {
  visit(state, "", 0);
}

function visit(value: unknown, path: string, depth: number): void {
  const view = resolve(value);
  if (view !== undefined) {
    if (!(view.real instanceof DataView)) view.buffer.nameArray(view.real, path || "state");
    return;
  }
  if (depth === MAX_DEPTH || typeof value !== "object" || value === null) return;
  const keys = Object.keys(value).slice(0, MAX_PROPERTIES);
  for (const key of keys) {
    // Not a getter, which is code of the test.
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (property === undefined || !("value" in property)) continue;
    const isIndex = Array.isArray(value);
    const name = isIndex ? `${path || "state"}[${key}]` : path === "" ? key : `${path}.${key}`;
    visit(property.value, name, depth + 1);
  }
}
