/**
 * The element types of typed arrays.
 *
 * @module
 */

import {
  type AnyTypedArray,
  type TypedArrayConstructor,
  typedArrayPrototype,
  typedArrays,
} from "../native.ts";
import { toBigInt, toInteger, toNumber } from "./conversions.ts";

/** An element type. */
export interface ElementType {
  /** The real constructor. */
  readonly constructor: TypedArrayConstructor;
  readonly prototype: object;
  readonly size: number;
  readonly isBigInt: boolean;
  /** Whether the operations of `Atomics` accept it. */
  readonly isAtomic: boolean;
  /** Whether a thread can wait for an element of it. */
  readonly isWaitable: boolean;
  /** An array of one element, to convert operands. */
  readonly scratch: AnyTypedArray;
}

const types = new Map<string, ElementType>(typedArrays.map((constructor) => [constructor.name, {
  constructor,
  prototype: constructor.prototype,
  size: constructor.BYTES_PER_ELEMENT,
  isBigInt: constructor.name.startsWith("Big"),
  isAtomic: !/Float|Clamped/.test(constructor.name),
  isWaitable: /^(Big)?Int(32|64)Array$/.test(constructor.name),
  scratch: new constructor(1),
}]));

const tagOf = Reflect.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)!.get!;

/** The element type of a real typed array; undefined for anything else. */
export function elementTypeOf(value: unknown): ElementType | undefined {
  return types.get(tagOf.call(value) as string);
}

/** The value that a plain write of `value` has, before it is wrapped to the element's range. */
export function toElementValue(type: ElementType, value: unknown): number | bigint {
  return type.isBigInt ? toBigInt(value) : toNumber(value);
}

/** The element to which the functions of `Atomics` convert an operand. */
export function toElement({ isBigInt, scratch }: ElementType, value: unknown): number | bigint {
  if (isBigInt) {
    scratch[0] = toBigInt(value);
  } else {
    // Wrapped to the element type: infinities become zero.
    const number = toInteger(value);
    scratch[0] = Number.isFinite(number) ? number : 0;
  }
  return scratch[0]!;
}
