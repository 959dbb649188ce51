/**
 * Values of the code under test as keys, which are equal for equal values only, and as text.
 *
 * @module
 */

import {
  type AnyTypedArray,
  Bytes,
  nativeIsView,
  NativeSharedArrayBuffer,
  typedArrays,
} from "./native.ts";

/** Thrown for a value of which no key can be made; its message names the value. */
export class NoKeyError extends Error {}

/**
 * Makes keys of primitives, arrays, plain objects, maps, sets, dates, regular expressions, errors
 * and memory that is not shared, however they are nested. Numbers are equal as by `Object.is`.
 */
export class Keys {
  readonly #isOrdered: boolean;
  #symbols: Map<symbol, number> | undefined = undefined;
  /** The objects around the present value. */
  readonly #around: object[] = [];

  /** @param isOrdered Whether the order of properties, and of members of a map or set, counts. */
  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered;
  }

  /**
   * The key of a value.
   *
   * @throws {NoKeyError} If it contains a value that is none of those above.
   */
  of(value: unknown): string {
    this.#around.length = 0;
    return this.#of(value);
  }

  #of(value: unknown): string {
    switch (typeof value) {
      case "string":
        return JSON.stringify(value);
      case "number":
        return Object.is(value, -0) ? "-0" : `${value}`;
      case "bigint":
        return `${value}n`;
      case "symbol": {
        const symbols = this.#symbols ??= new Map();
        if (!symbols.has(value)) symbols.set(value, symbols.size);
        return `@${symbols.get(value)}`;
      }
      case "function":
        throw new NoKeyError(`a function${value.name === "" ? "" : ` (${value.name})`}`);
      case "object":
        return value === null ? "null" : this.#ofObject(value);
      default:
        return `${value}`;
    }
  }

  #ofObject(value: object): string {
    const around = this.#around;
    const depth = around.indexOf(value);
    // A cycle: the key says how far out it leads.
    if (depth >= 0) return `^${around.length - depth}`;
    around.push(value);
    const key = this.#ofContent(value);
    around.pop();
    return key;
  }

  #ofContent(value: object): string {
    if (nativeIsView(value) || value instanceof ArrayBuffer) return memoryKey(value);
    const prototype = Object.getPrototypeOf(value);
    switch (prototype) {
      case Array.prototype: {
        const array = value as unknown[];
        const elements = Array.from(array, (element, i) => i in array ? this.#of(element) : "");
        return `[${array.length}:${elements.join()}]`;
      }
      case Map.prototype: {
        const members = [...value as Map<unknown, unknown>];
        return this.#members("Map", members.map(([k, v]) => `${this.#of(k)}:${this.#of(v)}`));
      }
      case Set.prototype:
        return this.#members("Set", [...value as Set<unknown>].map((member) => this.#of(member)));
      case Date.prototype:
        return `Date(${(value as Date).getTime()})`;
      case RegExp.prototype:
        return `RegExp(${value})`;
      case Object.prototype:
      case null:
        return this.#properties("", value);
    }
    if (!(value instanceof Error)) throw new NoKeyError(instanceText(value));
    const { name, message } = value;
    return this.#properties(`Error(${this.#of(name)},${this.#of(message)})`, value);
  }

  #properties(name: string, value: object): string {
    const properties = Reflect.ownKeys(value)
      .filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))
      .map((key) => `${this.#of(key)}:${this.#of((value as Record<PropertyKey, unknown>)[key])}`);
    return this.#members(name, properties);
  }

  #members(name: string, members: string[]): string {
    return `${name}{${(this.#isOrdered ? members : members.sort()).join()}}`;
  }
}

/** The key of memory that is not shared: shared memory does not keep its content. */
function memoryKey(value: ArrayBufferView | ArrayBuffer): string {
  const buffer = value instanceof ArrayBuffer ? value : value.buffer;
  if (buffer instanceof NativeSharedArrayBuffer) throw new NoKeyError("shared memory");
  const offset = value === buffer ? 0 : (value as ArrayBufferView).byteOffset;
  const bytes = new Bytes(buffer).subarray(offset, offset + value.byteLength);
  return `${Object.prototype.toString.call(value)}(${bytes.join()})`;
}

/** An object whose class is not known, in words. */
function instanceText(value: object): string {
  const name = className(value);
  if (isTypedArray(value)) return `a view of shared memory (${name})`;
  return name === undefined ? "an object of an unnamed class" : `an instance of ${name}`;
}

/** The name of an object's class; undefined if it has none, or is a plain object. */
function className(value: object): string | undefined {
  const prototype = Object.getPrototypeOf(value);
  const name = prototype?.constructor?.name;
  return prototype === Object.prototype || typeof name !== "string" || name === ""
    ? undefined
    : name;
}

/** Whether a value is a typed array, or a tracked view that the code under test has. */
function isTypedArray(value: object): value is AnyTypedArray {
  const prototype = Object.getPrototypeOf(value);
  return typedArrays.some((array) => array.prototype === prototype);
}

/** The longest text of a value. */
const MAX_TEXT = 200;
/** How many members of a value are written out. */
const MAX_MEMBERS = 20;
/** How deep nested values are written out. */
const MAX_DEPTH = 4;

/** A value in a few words; never throws, whatever its getters and methods do. */
export function valueText(value: unknown): string {
  try {
    const text = textOf(value, 0);
    return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
  } catch {
    return "(a value that cannot be written out)";
  }
}

function textOf(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name === "" ? "function" : `function ${value.name}`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return errorText(value);
  if (depth === MAX_DEPTH) return "…";
  const inner = (item: unknown) => textOf(item, depth + 1);
  if (Array.isArray(value)) return `[${listText(value, inner)}]`;
  if (value instanceof Set) return `Set {${listText(value, inner)}}`;
  if (value instanceof Map) {
    return `Map {${listText(value, ([k, v]) => `${inner(k)} → ${inner(v)}`)}}`;
  }
  if (value instanceof Date || value instanceof RegExp) return String(value);
  const name = className(value);
  if (isTypedArray(value)) return `${name} [${listText(value, inner)}]`;
  const properties = listText(Object.keys(value), (key) => {
    // Not a getter, which is code of the test.
    const property = Object.getOwnPropertyDescriptor(value, key);
    return `${key}: ${property && "value" in property ? inner(property.value) : "…"}`;
  });
  return `${name === undefined ? "" : `${name} `}{${properties}}`;
}

/** The first members of a list, in words. */
function listText<T>(items: Iterable<T>, textOf: (item: T) => string): string {
  const texts: string[] = [];
  for (const item of items) {
    if (texts.length === MAX_MEMBERS) {
      texts.push("…");
      break;
    }
    texts.push(textOf(item));
  }
  return texts.join(", ");
}

/**
 * What an error says, and its name; or a value that was thrown. Never throws, whatever its getters
 * and methods do.
 */
export function errorText(error: unknown): string {
  try {
    if (!(error instanceof Error)) return messageOf(error);
    const { name, message } = error;
    return message === "" ? `${name}` : `${name}: ${message}`;
  } catch {
    return UNREADABLE;
  }
}

/** The message of an error, or a value that was thrown; as {@linkcode errorText}. */
export function messageOf(error: unknown): string {
  try {
    if (error instanceof Error) return `${error.message}`;
    return typeof error === "string" ? error : valueText(error);
  } catch {
    return UNREADABLE;
  }
}

const UNREADABLE = "(an error whose text cannot be read: its getters throw)";
