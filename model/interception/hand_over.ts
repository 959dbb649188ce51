/**
 * How the threads of a model get what `setup` returned: as workers would, or not at all.
 *
 * `postMessage` gives every worker a copy, whose memory alone is shared. So whatever threads could
 * change and see of each other is copied for each run of a body, frozen, or refused:
 *
 * - Shared buffers, and views on them, are the same for all: they are the model.
 * - Plain objects, arrays and objects of classes are frozen: what their properties say cannot
 *   change, so that nothing tells them from copies. (`postMessage` would take the class away; a
 *   worker makes such an object itself, from the same memory.)
 * - Maps, sets, dates, regular expressions, and memory that is not shared are copied.
 * - Functions, which may hold variables, and what cannot be copied are refused by name.
 *
 * @module
 */

import { unrunText } from "../machine/unrun.ts";
import { isThenable } from "../machine/thenable.ts";
import { getOwnPropertyDescriptor, NativeDataView, nativeIsView } from "../native.ts";
import { elementTypeOf } from "./element_types.ts";
import { buffers, isObject, views } from "./registry.ts";

/** A state that can be handed over. */
export interface HandedOver {
  /** Gives the argument for a run of a body. */
  readonly forThread: () => unknown;
  /** Whether it has objects of classes, whose private fields are not seen. */
  readonly hasInstances: boolean;
}

/**
 * Freezes the state, and refuses what threads cannot have.
 *
 * @throws {TypeError} If the state holds something that cannot be handed over.
 */
export function handOver(state: unknown): HandedOver {
  const visitor = new Visitor();
  visitor.visit(state, "");
  for (const object of visitor.frozen) Object.freeze(object);
  const { hasCopies, hasInstances } = visitor;
  return { forThread: hasCopies ? () => copyOf(state, new Map()) : () => state, hasInstances };
}

class Visitor {
  /** Whether anything must be copied for each run. */
  hasCopies = false;
  hasInstances = false;
  readonly frozen = new Set<object>();
  readonly #seen = new Set<object>();
  /** The object of a class inside which the search is. */
  #instance: string | undefined = undefined;

  visit(value: unknown, path: string): void {
    if (!isObject(value) || isOfModel(value) || this.#seen.has(value)) return;
    this.#seen.add(value);
    const reason = whyRefused(value);
    if (reason !== undefined) refuse(reason, path);
    if (isCopied(value)) {
      if (this.#instance !== undefined) {
        refuse(`${articleOf(value)} in an object of class ${this.#instance}`, path);
      }
      this.hasCopies = true;
      for (const [key, inner] of entriesOf(value)) this.visit(inner, `${path}.get(${key})`);
      return;
    }
    this.frozen.add(value);
    const outer = this.#instance;
    if (!isPlain(value)) {
      this.#instance ??= classOf(value);
      this.hasInstances = true;
    }
    for (const key of Reflect.ownKeys(value)) {
      const property = getOwnPropertyDescriptor(value, key)!;
      // A getter is code of the test, and is not called.
      if ("value" in property) this.visit(property.value, join(path, value, key));
    }
    this.#instance = outer;
  }
}

function join(path: string, object: object, key: PropertyKey): string {
  if (Array.isArray(object)) return `${path}[${String(key)}]`;
  return path === "" ? String(key) : `${path}.${String(key)}`;
}

function refuse(what: string, path: string): never {
  throw new TypeError(
    `Setup returns ${what}${path === "" ? "" : ` (${path})`}, which threads cannot share: create ` +
      "it in the body, from the shared memory that setup returns",
  );
}

/** Whether a value is a buffer or a view of the model. */
export function isOfModel(value: object): boolean {
  return views.has(value) || buffers.has(value) ||
    (nativeIsView(value) && buffers.has(value.buffer));
}

/** What a value is, if it cannot be handed over. */
function whyRefused(value: object): string | undefined {
  if (typeof value === "function") return "a function";
  if (isThenable(value)) return "a promise";
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) {
    return articleOf(value);
  }
  if (unrunText(value) !== undefined && !Array.isArray(value)) return "a generator or iterator";
  for (const copied of [Map, Set, Date, RegExp, ArrayBuffer]) {
    if (value instanceof copied && Reflect.getPrototypeOf(value) !== copied.prototype) {
      return `an object of class ${classOf(value)}, which extends ${copied.name}`;
    }
  }
  return undefined;
}

/** Whether each run of a body gets a copy of its own. */
export function isCopied(value: object): boolean {
  return value instanceof Map || value instanceof Set || value instanceof Date ||
    value instanceof RegExp || value instanceof ArrayBuffer || nativeIsView(value);
}

export function isPlain(value: object): boolean {
  const prototype = Reflect.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Array.isArray(value);
}

function classOf(value: object): string {
  return (value.constructor as { name?: string } | undefined)?.name || "an unnamed class";
}

function articleOf(value: object): string {
  const name = classOf(value);
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** The keys and values of a map, or the elements of a set. */
function entriesOf(value: object): [key: string, inner: unknown][] {
  if (value instanceof Map) {
    return [...value].flatMap(([key, inner]) => [[String(key), key], [String(key), inner]]);
  }
  return value instanceof Set ? [...value].map((inner) => ["…", inner]) : [];
}

/** A copy for one run, in which only the memory of the model is the same. */
function copyOf(value: unknown, copies: Map<object, unknown>): unknown {
  if (!isObject(value) || isOfModel(value)) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const keep = <T extends object>(copy: T): T => {
    copies.set(value, copy);
    return copy;
  };
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, inner] of value) copy.set(copyOf(key, copies), copyOf(inner, copies));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const inner of value) copy.add(copyOf(inner, copies));
    return copy;
  }
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (nativeIsView(value)) {
    const type = elementTypeOf(value);
    const buffer = copyOf(value.buffer, copies) as ArrayBuffer;
    const { byteOffset, byteLength } = value;
    return keep(
      type === undefined
        ? new NativeDataView(buffer, byteOffset, byteLength)
        : new type.constructor(buffer, byteOffset, byteLength / type.size),
    );
  }
  if (!isPlain(value)) return value;
  const copy = keep(Array.isArray(value) ? [] : Object.create(Reflect.getPrototypeOf(value)));
  for (const key of Reflect.ownKeys(value)) {
    const property = getOwnPropertyDescriptor(value, key)!;
    if ("value" in property) property.value = copyOf(property.value, copies);
    Reflect.defineProperty(copy, key, property);
  }
  return Object.freeze(copy);
}
