/**
 * The platform's own objects, captured before the explorer replaces any of them.
 *
 * Code of the explorer that must not be intercepted uses these.
 *
 * @module
 */

/** Any typed array. */
export type AnyTypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** The constructor of a typed array. */
export interface TypedArrayConstructor {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  readonly prototype: AnyTypedArray;
  // deno-lint-ignore no-explicit-any
  new (...args: any[]): AnyTypedArray;
}

const names = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  ...("Float16Array" in globalThis ? ["Float16Array"] : []),
] as const;

/** The typed-array constructors that the platform has. */
export const typedArrays: readonly TypedArrayConstructor[] = names.map((name) =>
  (globalThis as unknown as Record<string, TypedArrayConstructor>)[name]!
);

/** `%TypedArray%.prototype`, which has the methods of all typed arrays. */
export const typedArrayPrototype: Record<PropertyKey, unknown> = Object.getPrototypeOf(
  Int8Array.prototype,
);

const tagOf = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)!.get!;

/** The constructor of the type of an array, whatever its property `constructor` is. */
export function constructorOf(array: AnyTypedArray): TypedArrayConstructor {
  // Code under test may have changed the constructors, too.
  return typedArrays[(names as readonly unknown[]).indexOf(tagOf.call(array))]!;
}

/** The real `Atomics`. */
export const nativeAtomics: typeof Atomics = Atomics;
/** The real `SharedArrayBuffer`; without one, nothing can be explored. */
export const NativeSharedArrayBuffer: SharedArrayBufferConstructor = globalThis.SharedArrayBuffer ??
  class NoSharedArrayBuffer {};
/** The real `DataView`. */
export const NativeDataView: DataViewConstructor = DataView;
/** The real `ArrayBuffer.isView`. */
export const nativeIsView: (value: unknown) => value is ArrayBufferView = ArrayBuffer.isView;
/** The real `Reflect.getOwnPropertyDescriptor`. */
export const { getOwnPropertyDescriptor } = Reflect;
/** The real `performance.now`, or `Date.now` in a worklet, which has no `performance`. */
export const now: () => number = globalThis.performance?.now.bind(performance) ?? Date.now;

/** The constructor of one of the typed arrays, with the element type that indexing gives. */
type Constructor<T> = new (source: number | ArrayBufferLike | ArrayLike<number>) => T;

/** A subclass that has the native methods as its own: replacing those of all arrays spares it. */
function independent<T>(Native: Constructor<T>): Constructor<T> {
  // deno-lint-ignore no-explicit-any
  const Independent = class extends (Native as any) {} as unknown as Constructor<T>;
  Object.defineProperties(Independent.prototype, {
    ...Object.getOwnPropertyDescriptors(typedArrayPrototype),
    // Its slices are native arrays, whatever their constructor's species is.
    constructor: { value: undefined },
  });
  return Independent;
}

/** A `Uint8Array` of the explorer's own. */
export const Bytes: Constructor<Uint8Array> = independent(Uint8Array);
/** An `Int32Array` of the explorer's own. */
export const Words: Constructor<Int32Array> = independent(Int32Array);
