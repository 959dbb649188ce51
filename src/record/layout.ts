/**
 * Where the fields of a record lie, and how two definitions are told apart.
 *
 * Fields lie in the order in which they are declared, each at the next multiple of its alignment;
 * the record ends at the next multiple of the largest alignment. This is the layout of a C struct:
 *
 *     { id: "u32", price: "f64", side: "u8" }
 *
 *     0      4      8              16    17           24
 *     | id   |      | price        |side |            |
 *
 * A scalar is aligned to its size, an array or a record like what it holds; text and bytes have no
 * alignment. Numbers are little-endian, so typed arrays can show them on every common processor.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { alignUp } from "../memory/layout.ts";
import { MAX_RECORD_BYTES } from "./field_types.ts";
import { isScalarType, SCALAR_NAMES, scalarByteLength } from "./scalars.ts";
import type { ElementType, FieldType, FieldTypes } from "./types.ts";

/** One field, in a form that survives structured clone. */
export interface FieldLayout {
  /** Its name; those of nested ones follow a dot, and `[]` if they are in an array. */
  readonly name: string;
  /** Its type, such as `f64`, `utf8(8)`, `f64[5]` or `record`. */
  readonly type: string;
  /** Where in the record it begins; of nested ones, where in the innermost record. */
  readonly offset: number;
}

/** What is where in a record. */
export interface RecordLayout<Names extends PropertyKey = string> {
  /** The bytes of the record, a multiple of its alignment. */
  readonly byteLength: number;
  /** The largest alignment of a field. */
  readonly alignment: number;
  /** Where each field begins. */
  readonly offsets: Readonly<Record<Names, number>>;
}

/** The names that views of records use, beside those that every object has. */
const RESERVED: ReadonlySet<string> = new Set(["moveTo", "byteOffset"]);
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * Lays out a record.
 *
 * @throws {TypeError} If a name or a type is not one of a field.
 * @throws {RangeError} If the record is too large.
 */
export function layOut<Fields extends FieldTypes>(
  fields: Fields,
): RecordLayout<keyof Fields> {
  const offsets: Record<string, number> = {};
  let end = 0;
  let alignment = 1;
  for (const [name, type] of Object.entries(fields)) {
    checkName(name);
    checkType(name, type);
    const aligned = alignmentOf(type);
    offsets[name] = alignUp(end, aligned);
    end = offsets[name] + byteLengthOf(type);
    alignment = Math.max(alignment, aligned);
  }
  if (end === 0) throw new TypeError("Cannot define record as it must have a field: received none");
  const byteLength = alignUp(end, alignment);
  if (!(byteLength <= MAX_RECORD_BYTES)) {
    throw new RangeError(
      `Cannot define record as it must have at most ${MAX_RECORD_BYTES} bytes: received ${byteLength}`,
    );
  }
  return {
    byteLength,
    alignment,
    offsets: Object.freeze(offsets) as Readonly<Record<keyof Fields, number>>,
  };
}

/** The bytes of a field. */
export function byteLengthOf(type: FieldType): number {
  if (isScalarType(type)) return scalarByteLength(type);
  if (type.kind === "array") return type.length * byteLengthOf(type.element);
  return type.byteLength;
}

/** The alignment of a field. */
function alignmentOf(type: FieldType): number {
  if (isScalarType(type)) return scalarByteLength(type);
  if (type.kind === "array") return alignmentOf(type.element);
  return type.kind === "record" ? type.alignment : 1;
}

/** All fields, those of nested records after the field that holds them. */
export function* describeFields(
  fields: FieldTypes,
  prefix = "",
): Generator<FieldLayout> {
  const { offsets } = layOut(fields);
  for (const [name, type] of Object.entries(fields)) {
    yield { name: prefix + name, type: describeType(type), offset: offsets[name]! };
    const nested = nestedFields(type);
    const inArray = typeof type === "object" && type.kind === "array" ? "[]" : "";
    if (nested !== undefined) yield* describeFields(nested, `${prefix}${name}${inArray}.`);
  }
}

/** The fields of the record that a field is, or that its elements are. */
export function nestedFields(type: FieldType): FieldTypes | undefined {
  if (isScalarType(type)) return undefined;
  if (type.kind === "array") return nestedFields(type.element);
  return type.kind === "record" ? type.fields : undefined;
}

function describeType(type: FieldType | ElementType): string {
  if (isScalarType(type)) return type;
  if (type.kind === "array") return `${describeType(type.element)}[${type.length}]`;
  return type.kind === "record" ? "record" : `${type.kind}(${type.byteLength})`;
}

/** A hash of 64 bits, as 16 digits: FNV-1a over the text's code units. */
export function hash(text: string): string {
  let sum = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    sum = BigInt.asUintN(64, (sum ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return sum.toString(16).padStart(16, "0");
}

function checkName(name: string): void {
  if (!IDENTIFIER.test(name)) {
    throw new TypeError(
      `Cannot define record as the name of a field must be an identifier: received ${
        describe(name)
      }`,
    );
  }
  if (RESERVED.has(name) || name in Object.prototype) {
    throw new TypeError(
      `Cannot define record as a field must not have a name that views of records use: received ${
        describe(name)
      }`,
    );
  }
}

function checkType(name: string, type: unknown): void {
  if (isScalarType(type)) return;
  const kind = (type as { kind?: unknown } | null | undefined)?.kind;
  if (kind === "utf8" || kind === "bytes" || kind === "array" || kind === "record") return;
  throw new TypeError(
    `Cannot define record as field '${name}' must be one of ${SCALAR_NAMES}, or made by utf8(), ` +
      `bytes(), array() or defineRecord(): received ${describe(type)}`,
  );
}
