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
import { nativeAtomics, NativeSharedArrayBuffer } from "../native.ts";
import { toInteger, toNumber } from "./conversions.ts";
import { type ElementType, toElementValue } from "./element_types.ts";
import type { View } from "./registry.ts";

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

/** The arguments of a function of `Atomics` after the view, converted, and in their order. */
export interface Arguments {
  readonly type: ElementType;
  readonly index: number;
  readonly a: unknown;
  readonly b: unknown;
}

/**
 * Converts the arguments as the native function does.
 *
 * Numbers, and BigInts for such elements, stay what they are, so that the call of a replay is
 * recognised by comparing them.
 *
 * @throws {unknown} The native error if the native function would throw.
 */
export function convertArguments(
  kind: AtomicsKind,
  view: View,
  index: unknown,
  a: unknown,
  b: unknown,
): Arguments {
  const { real, type } = view;
  const { sleeps } = KINDS[kind];
  const isAccepted = type !== undefined &&
    (sleeps || kind === NOTIFY ? type.isWaitable : type.isAtomic) &&
    (!sleeps || view.buffer.real instanceof NativeSharedArrayBuffer);
  if (!isAccepted) {
    callNative(kind, real, index, a, b);
    throw new TypeError(`Cannot ${KINDS[kind].name}: the view is of another type`);
  }
  const at = index === undefined ? 0 : toInteger(index);
  if (!(at >= 0 && at < view.length)) {
    callNative(kind, real, -1, 0, 0);
    throw new RangeError(`Cannot ${KINDS[kind].name}: no element has index ${at}`);
  }
  switch (kind) {
    case LOAD:
      return { type, index: at, a: undefined, b: undefined };
    case NOTIFY:
      return { type, index: at, a: a === undefined ? a : toNumber(a), b: undefined };
    case WAIT:
    case WAIT_ASYNC: {
      const expected = toElementValue(type, a);
      return { type, index: at, a: expected, b: b === undefined ? b : toNumber(b) };
    }
    case COMPARE_EXCHANGE: {
      const expected = toElementValue(type, a);
      return { type, index: at, a: expected, b: toElementValue(type, b) };
    }
    default:
      return { type, index: at, a: toElementValue(type, a), b: undefined };
  }
}
