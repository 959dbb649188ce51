/**
 * States of their own for threads that are checked: their objects of classes are others than those
 * that all threads had, as they are in workers.
 *
 * Private fields of objects are not seen. If one thread has left something there, a thread that is
 * run again with objects that no other thread has had does something else.
 *
 * @module
 */

import type { Execution } from "../machine/execution.ts";
import { handOver, isCopied, isOfModel, isPlain } from "./hand_over.ts";
import { isObject, viewOf } from "./registry.ts";

/** The objects that setup makes now differ in more than their private fields. */
class Different extends Error {}

/**
 * Lets setup run again for such a state, on the memory that it has created. Nothing is checked
 * where that is not possible: where it makes other objects now, or shares memory of others.
 */
export function giveOwnStates(execution: Execution, setup: () => unknown): void {
  const { state } = execution;
  const buffers = [...execution.buffers];
  if (buffers.some((buffer) => buffer.isExposed)) return;
  execution.ownState = () => {
    execution.reusedBuffers = buffers.values();
    try {
      const fresh = execution.runUntracked(setup);
      handOver(fresh);
      return { state: handOver(withInstances(state, fresh, new Map())).forThread() };
    } catch {
      return undefined;
    } finally {
      execution.reusedBuffers = undefined;
    }
  };
}

/** The state with objects of classes from another one. */
function withInstances(state: unknown, fresh: unknown, done: Map<object, unknown>): unknown {
  if (!isObject(state) || isOfModel(state) || isCopied(state)) return state;
  const known = done.get(state);
  if (known !== undefined) return known;
  if (!isObject(fresh)) throw new Different();
  if (!isPlain(state)) {
    compare(state, fresh, new Set());
    done.set(state, fresh);
    return fresh;
  }
  const result: object = Array.isArray(state)
    ? []
    : Object.create(Reflect.getPrototypeOf(state)) as object;
  done.set(state, result);
  for (const key of Reflect.ownKeys(state)) {
    const property = Reflect.getOwnPropertyDescriptor(state, key)!;
    if ("value" in property) {
      const { value } = Reflect.getOwnPropertyDescriptor(fresh, key) ?? {};
      property.value = withInstances(property.value, value, done);
    }
    Reflect.defineProperty(result, key, property);
  }
  return result;
}

/** @throws {Different} If two objects have different properties, a number that was drawn, say. */
function compare(first: unknown, second: unknown, seen: Set<object>): void {
  if (!isObject(first) || !isObject(second)) {
    if (!Object.is(first, second)) throw new Different();
    return;
  }
  if (seen.has(first)) return;
  seen.add(first);
  const view = viewOf(first);
  const other = viewOf(second);
  if (
    view?.buffer !== other?.buffer || view?.offset !== other?.offset ||
    view?.length !== other?.length
  ) throw new Different();
  if (isOfModel(first)) return;
  for (const key of new Set([...Reflect.ownKeys(first), ...Reflect.ownKeys(second)])) {
    const property = Reflect.getOwnPropertyDescriptor(first, key);
    compare(property?.value, Reflect.getOwnPropertyDescriptor(second, key)?.value, seen);
  }
}
