/**
 * What the slots of a disruptor hold: a number of one type, or some bytes.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import { checkHandle } from "../memory/handle.ts";
import type { RecordHandle } from "../record/mod.ts";

/** The arrays whose elements events can be, by the name of their type. */
export interface SlotArrays {
  /** Whole numbers of 8 bits. */
  i8: Int8Array<SharedArrayBuffer>;
  /** Whole numbers of 8 bits, not below 0. */
  u8: Uint8Array<SharedArrayBuffer>;
  /** Whole numbers of 16 bits. */
  i16: Int16Array<SharedArrayBuffer>;
  /** Whole numbers of 16 bits, not below 0. */
  u16: Uint16Array<SharedArrayBuffer>;
  /** Whole numbers of 32 bits. */
  i32: Int32Array<SharedArrayBuffer>;
  /** Whole numbers of 32 bits, not below 0. */
  u32: Uint32Array<SharedArrayBuffer>;
  /** Numbers of 32 bits. */
  f32: Float32Array<SharedArrayBuffer>;
  /** Numbers. */
  f64: Float64Array<SharedArrayBuffer>;
  /** Whole numbers of 64 bits. */
  i64: BigInt64Array<SharedArrayBuffer>;
  /** Whole numbers of 64 bits, not below 0. */
  u64: BigUint64Array<SharedArrayBuffer>;
}

/** The name of a type of numbers. */
export type SlotType = keyof SlotArrays;

/** A number of one of the types. */
export type SlotValue<Type extends SlotType> = SlotArrays[Type][number];

/** What is used of the class of an array. */
interface ArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: SharedArrayBuffer, byteOffset: number, length: number): unknown;
}

/** Looked up as it is called, since a checker replaces the classes. */
function arrayClass(type: SlotType): ArrayClass {
  switch (type) {
    case "i8":
      return Int8Array;
    case "u8":
      return Uint8Array;
    case "i16":
      return Int16Array;
    case "u16":
      return Uint16Array;
    case "i32":
      return Int32Array;
    case "u32":
      return Uint32Array;
    case "f32":
      return Float32Array;
    case "f64":
      return Float64Array;
    case "i64":
      return BigInt64Array;
    case "u64":
      return BigUint64Array;
  }
}

/** The types in the order of their numbers in memory, which begin at 1; 0 stands for bytes. */
const TYPES: readonly SlotType[] = [
  "i8",
  "u8",
  "i16",
  "u16",
  "i32",
  "u32",
  "f32",
  "f64",
  "i64",
  "u64",
];

/** What a slot holds: a number of a type, some bytes, or a record. */
export type Elements = SlotType | { readonly bytes: number } | { readonly record: RecordHandle };

/** The largest slot. */
const MAX_SLOT_BYTES = 2 ** 20;

/** The number of a type in memory, and the bytes of a slot. */
export interface SlotFormat {
  /** The number of the type. */
  readonly elements: number;
  /** The bytes of a slot. */
  readonly slotBytes: number;
}

/**
 * The format of such slots.
 *
 * @throws {TypeError} If there is no such type, or it is not the handle of a record.
 */
export function slotFormat(elements: Elements): SlotFormat {
  if (typeof elements === "object" && elements !== null) {
    if ("record" in elements) checkHandle(elements.record, "busbar.record");
    const slotBytes = "record" in elements ? elements.record.byteLength : elements.bytes;
    checkInteger("create disruptor", "elements.bytes", slotBytes, 1, MAX_SLOT_BYTES);
    return { elements: 0, slotBytes };
  }
  const index = TYPES.indexOf(elements);
  if (index === -1) {
    throw new TypeError(
      `Cannot create disruptor as 'elements' must be one of ${
        TYPES.join(", ")
      }, { bytes } or { record }: received ${describe(elements)}`,
    );
  }
  return { elements: index + 1, slotBytes: arrayClass(elements).BYTES_PER_ELEMENT };
}

/** The slots of a disruptor as an array: one element a slot, or all bytes. */
export function slotArray(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  capacity: number,
  { elements, slotBytes }: SlotFormat,
): unknown {
  if (elements === 0) return new Uint8Array(buffer, byteOffset, capacity * slotBytes);
  return new (arrayClass(TYPES[elements - 1]!))(buffer, byteOffset, capacity);
}
