/**
 * The native functions of `Atomics`, and how they treat their arguments.
 *
 * @module
 */

import {
  ADD,
  AND,
  type AtomicsKind,
  COMPARE_EXCHANGE,
  EXCHANGE,
  KINDS,
  LOAD,
  NOTIFY,
  OR,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  XOR,
} from "../machine/kinds.ts";
import {
  type AnyTypedArray,
  nativeAtomics,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
} from "../native.ts";

const natives: { readonly [K in AtomicsKind]: (...args: never[]) => unknown } = {
  [LOAD]: nativeAtomics.load,
  [STORE]: nativeAtomics.store,
  [ADD]: nativeAtomics.add,
  [SUB]: nativeAtomics.sub,
  [AND]: nativeAtomics.and,
  [OR]: nativeAtomics.or,
  [XOR]: nativeAtomics.xor,
  [EXCHANGE]: nativeAtomics.exchange,
  [COMPARE_EXCHANGE]: nativeAtomics.compareExchange,
  [WAIT]: nativeAtomics.wait,
  [WAIT_ASYNC]: nativeAtomics.waitAsync,
  [NOTIFY]: nativeAtomics.notify,
};

/** Calls the native function, which also throws its own errors for bad arguments. */
export function callNative(kind: AtomicsKind, ...args: unknown[]): unknown {
  return (natives[kind] as (...args: unknown[]) => unknown)(...args);
}

/** Whether the native function would accept the view and the index. */
export function isAccepted(
  kind: AtomicsKind,
  real: AnyTypedArray | DataView,
  index: number,
): boolean {
  const { sleeps } = KINDS[kind];
  if (sleeps && !(real.buffer instanceof NativeSharedArrayBuffer)) return false;
  if (!(real instanceof Int32Array || real instanceof BigInt64Array)) {
    if (sleeps || kind === NOTIFY) return false;
    if (
      real instanceof DataView || real instanceof Float32Array || real instanceof Float64Array ||
      real instanceof Uint8ClampedArray
    ) return false;
  }
  return Number.isInteger(index) && index >= 0 && index < (real as Int32Array).length;
}

/** The element of the array to which the native functions convert an operand. */
export function toElement(real: AnyTypedArray, value: unknown): number | bigint {
  if (real instanceof Int32Array && typeof value === "number") return value | 0;
  const scratch = new (real.constructor as TypedArrayConstructor)(1);
  if (typeof scratch[0] === "bigint") {
    scratch[0] = BigInt(value as bigint);
  } else {
    // ToIntegerOrInfinity, then wrapped to the element type: infinities become zero.
    const number = Math.trunc(Number(value));
    scratch[0] = Number.isFinite(number) ? number : 0;
  }
  return scratch[0]!;
}

/** The count of a notify. */
export function toCount(value: unknown): number {
  return value === undefined ? Infinity : Math.max(0, Math.trunc(Number(value)) || 0);
}

/** The timeout of a wait in milliseconds. */
export function toTimeoutMs(value: unknown): number {
  const timeoutMs = value === undefined ? Infinity : Number(value);
  return Number.isNaN(timeoutMs) ? Infinity : Math.max(0, timeoutMs);
}
