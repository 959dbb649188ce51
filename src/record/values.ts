/**
 * Copies of records: plain objects that are read from views and written to them.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { type BytesView, checkExactBytes } from "./bytes_view.ts";
import type { Flyweight } from "./flyweight.ts";
import type { RecordsView } from "./records_view.ts";
import { checkScalar, isScalarType } from "./scalars.ts";
import { checkExactLength, type ScalarsView } from "./scalars_view.ts";
import type { FieldType, FieldTypes } from "./types.ts";
import { checkText } from "./utf8.ts";

/** The fields of a view, or of a plain object. */
type Properties = Record<string, unknown>;

/** Copies a record into a plain object. */
export function readFields(fields: FieldTypes, view: Flyweight): Properties {
  const value: Properties = {};
  for (const [name, type] of Object.entries(fields)) {
    value[name] = readField(type, (view as unknown as Properties)[name]);
  }
  return value;
}

function readField(type: FieldType, found: unknown): unknown {
  if (isScalarType(type) || type.kind === "utf8") return found;
  if (type.kind === "record") return readFields(type.fields, found as Flyweight);
  if (type.kind === "bytes") return (found as BytesView).toArray();
  const { element } = type;
  if (isScalarType(element)) return (found as ScalarsView).toArray();
  const records = found as RecordsView<Flyweight>;
  return Array.from(
    { length: type.length },
    (_, i) => readFields(element.fields, records.get(i)),
  );
}

/** Copies a plain object, which was checked, into a record. */
export function writeFields(fields: FieldTypes, view: Flyweight, value: Properties): void {
  const properties = view as unknown as Properties;
  for (const [name, type] of Object.entries(fields)) {
    const given = value[name];
    if (isScalarType(type) || type.kind === "utf8") properties[name] = given;
    else if (type.kind === "record") {
      writeFields(type.fields, properties[name] as Flyweight, given as Properties);
    } else if (type.kind === "bytes") {
      (properties[name] as BytesView).copyFrom(given as Uint8Array);
    } else if (isScalarType(type.element)) {
      (properties[name] as ScalarsView).copyFrom(given as ArrayLike<never>);
    } else {
      const records = properties[name] as RecordsView<Flyweight>;
      for (let i = 0; i < type.length; i++) {
        writeFields(type.element.fields, records.get(i), (given as ArrayLike<Properties>)[i]!);
      }
    }
  }
}

/**
 * Throws unless `value` has each of the fields, with a value of its type, and no others.
 *
 * @param prefix What stands before the names of fields in errors.
 */
export function checkFields(fields: FieldTypes, value: unknown, prefix = ""): void {
  const what = prefix === "" ? "the value" : `field '${prefix.slice(0, -1)}'`;
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `Cannot write record as ${what} must be an object with its fields: received ${
        describe(value)
      }`,
    );
  }
  for (const [name, type] of Object.entries(fields)) {
    if (!(name in value)) {
      throw new TypeError(
        `Cannot write record as field '${prefix}${name}' is missing: received ${names(value)}`,
      );
    }
    checkField(type, (value as Properties)[name], prefix + name);
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(fields, name)) continue;
    throw new TypeError(
      `Cannot write record as ${what} must have no fields but ${names(fields)}: received '${name}'`,
    );
  }
}

function checkField(type: FieldType, value: unknown, path: string): void {
  if (isScalarType(type)) checkScalar(path, type, value);
  else if (type.kind === "utf8") checkText(path, value, type.byteLength);
  else if (type.kind === "bytes") checkExactBytes(path, value, type.byteLength);
  else if (type.kind === "record") checkFields(type.fields, value, `${path}.`);
  else {
    checkExactLength(path, value, type.length);
    for (let i = 0; i < type.length; i++) {
      const element = (value as ArrayLike<unknown>)[i];
      if (isScalarType(type.element)) checkScalar(`${path}[${i}]`, type.element, element);
      else checkFields(type.element.fields, element, `${path}[${i}].`);
    }
  }
}

/** The names of the properties of an object, for an error. */
function names(value: object): string {
  return Object.keys(value).map((name) => `'${name}'`).join(", ") || "no fields";
}
