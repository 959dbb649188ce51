/**
 * The platform's own objects, captured before the explorer replaces any of them.
 *
 * Everything in `model/` that must not be intercepted goes through these.
 *
 * @module
 */

/** Any typed array whose elements are integers, numbers or bigints. */
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

/** A constructor of one of those. */
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

/** The typed-array constructors, in the order in which they are swapped. */
export const typedArrays: readonly TypedArrayConstructor[] = names.map((name) =>
  (globalThis as unknown as Record<string, TypedArrayConstructor>)[name]!
);

/** `%TypedArray%.prototype`, where the methods of all typed arrays live. */
export const typedArrayPrototype: Record<PropertyKey, unknown> = Object.getPrototypeOf(
  Int8Array.prototype,
);

/** The real `Atomics`. */
export const nativeAtomics: typeof Atomics = Atomics;
/** The real `SharedArrayBuffer`; where there is none nothing is explored. */
export const NativeSharedArrayBuffer: SharedArrayBufferConstructor = globalThis.SharedArrayBuffer ??
  class NoSharedArrayBuffer {};
/** The real `DataView`. */
export const NativeDataView: DataViewConstructor = DataView;
/** The real `Uint8Array`. */
export const Bytes: Uint8ArrayConstructor = Uint8Array;
/** The real `performance.now`; a worklet has none. */
export const now: () => number = globalThis.performance?.now.bind(performance) ?? Date.now;
