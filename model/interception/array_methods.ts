/**
 * The methods of `%TypedArray%.prototype` on tracked views.
 *
 * As in the standard, a method that calls back or stops early reads element by element; one that
 * reads a range at once is one plain read. Arguments are converted in the standard's order, before
 * anything is read or written.
 *
 * @module
 */

import { typedArrayPrototype } from "../native.ts";
import type { Calls } from "./calls.ts";
import { toEnd, toInteger, toPosition } from "./conversions.ts";
import { type ElementType, elementTypeOf, toElementValue } from "./element_types.ts";
import { isObject, type View, viewOf, visibleBuffer } from "./registry.ts";
import { readElement, snapshot, untracked } from "./views.ts";

/** A typed array of the code under test, tracked or real. */
type Elements = Record<number, unknown> & { readonly length: number };

/** A method's receiver. */
interface Receiver {
  readonly calls: Calls;
  readonly view: View;
  /** The proxy. */
  readonly self: object;
  /** The constructor that the code under test finds under the array's name. */
  readonly constructor: unknown;
}

type Callback = (this: unknown, ...args: unknown[]) => unknown;
type Method = (on: Receiver, args: readonly unknown[]) => unknown;

const nativeSet = typedArrayPrototype.set as (this: unknown, source: unknown, at?: number) => void;
const nativeLength = Reflect.getOwnPropertyDescriptor(typedArrayPrototype, "length")!.get!;

function toCallback(value: unknown): Callback {
  if (typeof value === "function") return value as Callback;
  throw new TypeError(`${String(value)} is not a function`);
}

/** Calls back for each element, from the first or from the last, until `visit` returns true. */
function iterate(
  { calls, view, self }: Receiver,
  args: readonly unknown[],
  isReverse: boolean,
  visit: (result: unknown, value: unknown, index: number) => boolean | void,
): void {
  const call = toCallback(args[0]);
  const thisArg = args[1];
  const { length } = view;
  for (let i = 0; i < length; i++) {
    const index = isReverse ? length - 1 - i : i;
    const value = readElement(calls, view, index);
    if (visit(call.call(thisArg, value, index, self), value, index)) return;
  }
}

/** A method that finds an element by a callback. */
function finder(isReverse: boolean, givesIndex: boolean): Method {
  return (on, args) => {
    let found: unknown = givesIndex ? -1 : undefined;
    iterate(on, args, isReverse, (result, value, index) => {
      if (result) found = givesIndex ? index : value;
      return !!result;
    });
    return found;
  };
}

function reducer(isReverse: boolean): Method {
  return ({ calls, view, self }, args) => {
    const call = toCallback(args[0]);
    const { length } = view;
    const at = (i: number) => isReverse ? length - 1 - i : i;
    let i = 0;
    let result = args[1];
    if (args.length < 2) {
      if (length === 0) throw new TypeError("Reduce of empty array with no initial value");
      result = readElement(calls, view, at(i++));
    }
    for (; i < length; i++) {
      result = call.call(undefined, result, readElement(calls, view, at(i)), at(i), self);
    }
    return result;
  };
}

/** The type of the elements of any typed array; undefined for anything else. */
function typeOf(value: unknown): ElementType | undefined {
  return viewOf(value)?.type ?? elementTypeOf(value);
}

/** A new typed array of the class of the receiver, as `Symbol.species` says. */
function speciesCreate(on: Receiver, args: readonly unknown[]): Elements {
  const { self, view } = on;
  const { constructor } = self;
  let species: unknown = on.constructor;
  if (constructor !== undefined) {
    if (!isObject(constructor)) throw new TypeError("object.constructor is not an object");
    species = (constructor as { [Symbol.species]?: unknown })[Symbol.species] ?? species;
  }
  const result = Reflect.construct(species as new () => Elements, args);
  const type = typeOf(result);
  if (type === undefined) throw new TypeError("the species is not of typed arrays");
  const length = viewOf(result)?.length ?? nativeLength.call(result) as number;
  if (args.length === 1 && length < (args[0] as number)) {
    throw new TypeError("the array that the species created is too short");
  }
  if (type.isBigInt !== view.type!.isBigInt) {
    throw new TypeError("the array that the species created has another content type");
  }
  return result;
}

/** A plain write of so many elements from `at` on. */
function writeAll(calls: Calls, view: View, at: number, values: unknown, count: number): void {
  const { size } = view.type!;
  if (count === 0) return;
  calls.write(view.buffer, view.offset + at * size, count * size, () => {
    nativeSet.call(view.real, values, at);
  });
}

function set({ calls, view, self }: Receiver, args: readonly unknown[]): void {
  const source = args[0];
  const at = toInteger(args[1]);
  if (at < 0) throw new RangeError("offset is out of bounds");
  const sourceType = typeOf(source);
  if (sourceType !== undefined) {
    const length = viewOf(source)?.length ?? nativeLength.call(source) as number;
    if (sourceType.isBigInt !== view.type!.isBigInt) {
      throw new TypeError("Cannot mix BigInt and other types, use explicit conversions");
    }
    if (at + length > view.length) throw new RangeError("offset is out of bounds");
    writeAll(calls, view, at, untracked(calls, source), length);
    return;
  }
  if (source === undefined || source === null) {
    throw new TypeError("Cannot convert undefined or null to object");
  }
  const values = Object(source) as ArrayLike<unknown>;
  const length = Math.max(0, Math.min(toInteger(values.length), Number.MAX_SAFE_INTEGER));
  if (at + length > view.length) throw new RangeError("offset is out of bounds");
  const primitive = view.type!.isBigInt ? "bigint" : "number";
  if (Array.isArray(values) && values.every((value) => typeof value === primitive)) {
    return writeAll(calls, view, at, values, length);
  }
  // Each value is got and converted after the one before it was written.
  for (let i = 0; i < length; i++) (self as Elements)[at + i] = values[i];
}

function fill({ calls, view, self }: Receiver, args: readonly unknown[]): unknown {
  const value = toElementValue(view.type!, args[0]);
  const start = toPosition(args[1], view.length);
  const end = toEnd(args[2], view.length);
  if (start < end) {
    const { size } = view.type!;
    calls.write(view.buffer, view.offset + start * size, (end - start) * size, () => {
      (view.real as Int32Array).fill(value as number, start, end);
    });
  }
  return self;
}

function copyWithin({ calls, view, self }: Receiver, args: readonly unknown[]): unknown {
  const { buffer, offset, length } = view;
  const { size } = view.type!;
  const into = toPosition(args[0], length);
  const start = toPosition(args[1], length);
  const count = Math.min(toEnd(args[2], length) - start, length - into);
  if (count > 0) {
    const bytes = calls.read(buffer, offset + start * size, count * size);
    const to = offset + into * size;
    calls.write(buffer, to, count * size, () => buffer.bytes.set(bytes, to));
  }
  return self;
}

function slice(on: Receiver, args: readonly unknown[]): unknown {
  const { calls, view } = on;
  const start = toPosition(args[0], view.length);
  const end = toEnd(args[1], view.length);
  const count = Math.max(0, end - start);
  const result = speciesCreate(on, [count]);
  if (count === 0) return result;
  const target = viewOf(result);
  if (typeOf(result) === view.type) {
    const values = snapshot(calls, view, start, end);
    if (target === undefined) nativeSet.call(result, values);
    else writeAll(calls, target, 0, values, count);
  } else {
    for (let i = 0; i < count; i++) result[i] = readElement(calls, view, start + i);
  }
  return result;
}

function subarray(on: Receiver, args: readonly unknown[]): unknown {
  const { view } = on;
  const start = toPosition(args[0], view.length);
  const end = toEnd(args[1], view.length);
  const offset = view.offset + start * view.type!.size;
  return speciesCreate(on, [visibleBuffer(view.buffer), offset, Math.max(0, end - start)]);
}

function map(on: Receiver, args: readonly unknown[]): unknown {
  toCallback(args[0]);
  const result = speciesCreate(on, [on.view.length]);
  iterate(on, args, false, (value, _, index) => {
    result[index] = value;
  });
  return result;
}

function filter(on: Receiver, args: readonly unknown[]): unknown {
  const kept: unknown[] = [];
  iterate(on, args, false, (isKept, value) => {
    if (isKept) kept.push(value);
  });
  const result = speciesCreate(on, [kept.length]);
  kept.forEach((value, i) => result[i] = value);
  return result;
}

function reverse({ calls, view, self }: Receiver): unknown {
  const half = view.length >> 1;
  // The element in the middle is not touched.
  const last = view.length - half;
  if (half > 0) {
    const before = snapshot(calls, view, 0, half);
    const after = snapshot(calls, view, last);
    writeAll(calls, view, 0, after.reverse(), half);
    writeAll(calls, view, last, before.reverse(), half);
  }
  return self;
}

function checkComparator(value: unknown): void {
  if (value !== undefined) toCallback(value);
}

function sort({ calls, view, self }: Receiver, args: readonly unknown[]): unknown {
  checkComparator(args[0]);
  const sorted = snapshot(calls, view).sort(args[0] as () => number);
  writeAll(calls, view, 0, sorted, view.length);
  return self;
}

function replaced({ calls, view }: Receiver, args: readonly unknown[]): unknown {
  const index = toInteger(args[0]);
  const value = toElementValue(view.type!, args[1]);
  return (snapshot(calls, view) as Int32Array).with(index, value as number);
}

/** A method that searches an element, from an index on. */
function searcher(
  key: "indexOf" | "lastIndexOf" | "includes",
  isEqual: (a: unknown, b: unknown) => boolean,
): Method {
  const isReverse = key === "lastIndexOf";
  const result = (index: number) => key === "includes" ? index >= 0 : index;
  return ({ calls, view }, args) => {
    const { length } = view;
    if (length === 0) return result(-1);
    let index = isReverse
      ? args.length < 2 ? length - 1 : lastPosition(args[1], length)
      : toPosition(args[1], length);
    for (; index >= 0 && index < length; index += isReverse ? -1 : 1) {
      if (isEqual(readElement(calls, view, index), args[0])) return result(index);
    }
    return result(-1);
  };
}

/** The position at which lastIndexOf begins; negative if there is none. */
function lastPosition(value: unknown, length: number): number {
  const integer = toInteger(value);
  return integer < 0 ? length + integer : Math.min(integer, length - 1);
}

const arrayPrototype = Array.prototype;
/** A method that gives an iterator, which reads an element at each step. */
function iterating(key: "entries" | "keys" | "values"): Method {
  const native = arrayPrototype[key] as () => unknown;
  return ({ self }) => native.call(self);
}

/** The methods, by name. */
export const arrayMethods: Readonly<Record<string, Method>> = {
  at({ calls, view }, args) {
    const integer = toInteger(args[0]);
    const at = integer < 0 ? view.length + integer : integer;
    return at < 0 ? undefined : readElement(calls, view, at);
  },
  copyWithin,
  entries: iterating("entries"),
  every(on, args) {
    let isEvery = true;
    iterate(on, args, false, (result) => !(isEvery = !!result));
    return isEvery;
  },
  fill,
  filter,
  find: finder(false, false),
  findIndex: finder(false, true),
  findLast: finder(true, false),
  findLastIndex: finder(true, true),
  forEach: (on, args) => iterate(on, args, false, () => {}),
  includes: searcher("includes", (a, b) => a === b || (a !== a && b !== b)),
  indexOf: searcher("indexOf", (a, b) => a === b),
  join({ calls, view }, args) {
    const between = args[0] === undefined ? "," : `${args[0]}`;
    return snapshot(calls, view).join(between);
  },
  keys: iterating("keys"),
  lastIndexOf: searcher("lastIndexOf", (a, b) => a === b),
  map,
  reduce: reducer(false),
  reduceRight: reducer(true),
  reverse,
  set,
  slice,
  some(on, args) {
    let isSome = false;
    iterate(on, args, false, (result) => isSome = !!result);
    return isSome;
  },
  sort,
  subarray,
  toLocaleString({ calls, view }: Receiver, args: readonly unknown[]) {
    const copy = snapshot(calls, view);
    return Reflect.apply(copy.toLocaleString, copy, args);
  },
  toReversed: ({ calls, view }) => snapshot(calls, view).reverse(),
  toSorted({ calls, view }, args) {
    checkComparator(args[0]);
    return snapshot(calls, view).sort(args[0] as () => number);
  },
  values: iterating("values"),
  with: replaced,
};
