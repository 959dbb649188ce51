/**
 * Copies of records: plain objects that are read from memory and written to it.
 *
 * Each type of field has a codec, which is made once, with the record.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { checkExactBytes } from "./bytes_view.ts";
import { byteLengthOf } from "./layout.ts";
import { isScalarType, type Scalar, scalarError, scalarOf } from "./scalars.ts";
import { checkExactLength } from "./scalars_view.ts";
import type { FieldType, FieldTypes, NestedType, ScalarType } from "./types.ts";
import { checkText, loadText, storeText } from "./utf8.ts";

/** Copies values of one type. */
export interface Codec {
  /**
   * Throws unless it is a value of the type.
   *
   * @param path The name of the field, for errors; empty for a record that is no field.
   */
  check(path: string, value: unknown): void;
  /** Reads the value that begins there. */
  load(bytes: DataView, at: number): unknown;
  /** Writes a value that was checked. */
  store(bytes: DataView, at: number, value: unknown): void;
}

/** An object with fields. */
type Properties = Record<string, unknown>;

/**
 * Makes the codec of a record, whose values are plain objects: each with all of the fields, and no
 * others.
 *
 * @param codecOf Finds the codecs of records that are fields.
 */
export function recordCodec(
  fields: FieldTypes,
  offsets: Readonly<Record<string, number>>,
  codecOf: (record: NestedType) => Codec,
): Codec {
  const members = Object.entries(fields).map(([name, type]) => {
    return { name, offset: offsets[name]!, codec: fieldCodec(type, codecOf) };
  });
  return {
    check(path, value) {
      checkNames(fields, path, value);
      const prefix = path === "" ? "" : `${path}.`;
      for (const { name, codec } of members) {
        codec.check(prefix + name, (value as Properties)[name]);
      }
    },
    load(bytes, at) {
      const value: Properties = {};
      for (const { name, offset, codec } of members) value[name] = codec.load(bytes, at + offset);
      return value;
    },
    store(bytes, at, value) {
      for (const { name, offset, codec } of members) {
        codec.store(bytes, at + offset, (value as Properties)[name]);
      }
    },
  };
}

function fieldCodec(type: FieldType, codecOf: (record: NestedType) => Codec): Codec {
  if (isScalarType(type)) return scalarCodec(type);
  if (type.kind === "utf8") return textCodec(type.byteLength);
  if (type.kind === "bytes") return bytesCodec(type.byteLength);
  if (type.kind === "record") return codecOf(type);
  return arrayCodec(fieldCodec(type.element, codecOf), byteLengthOf(type.element), type.length);
}

function scalarCodec(type: ScalarType): Codec {
  const { takes, load, store }: Scalar = scalarOf(type);
  return {
    check(path, value) {
      if (!takes(value)) throw scalarError(path, type, value);
    },
    load,
    store: store as Codec["store"],
  };
}

function textCodec(byteLength: number): Codec {
  return {
    check: (path, value) => checkText(path, value, byteLength),
    load: (bytes, at) => loadText(bytes, at, byteLength),
    store: (bytes, at, value) => storeText(bytes, at, byteLength, value as string),
  };
}

function bytesCodec(byteLength: number): Codec {
  const part = ({ buffer, byteOffset }: DataView, at: number) =>
    new Uint8Array(buffer, byteOffset + at, byteLength);
  return {
    check: (path, value) => checkExactBytes(path, value, byteLength),
    load(bytes, at) {
      const copy = new Uint8Array(byteLength);
      copy.set(part(bytes, at));
      return copy;
    },
    store: (bytes, at, value) => part(bytes, at).set(value as Uint8Array),
  };
}

function arrayCodec(element: Codec, stride: number, length: number): Codec {
  return {
    check(path, value) {
      checkExactLength(path, value, length);
      for (let i = 0; i < length; i++) {
        element.check(`${path}[${i}]`, (value as ArrayLike<unknown>)[i]);
      }
    },
    load(bytes, at) {
      const values: unknown[] = [];
      for (let i = 0; i < length; i++) values.push(element.load(bytes, at + i * stride));
      return values;
    },
    store(bytes, at, value) {
      for (let i = 0; i < length; i++) {
        element.store(bytes, at + i * stride, (value as ArrayLike<unknown>)[i]);
      }
    },
  };
}

/** Throws unless `value` is an object that has each of the fields, and no others. */
function checkNames(fields: FieldTypes, path: string, value: unknown): void {
  const what = path === "" ? "the value" : `field '${path}'`;
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `Cannot write record as ${what} must be an object with its fields: received ${
        describe(value)
      }`,
    );
  }
  for (const name in fields) {
    if (name in value) continue;
    const missing = path === "" ? name : `${path}.${name}`;
    throw new TypeError(
      `Cannot write record as field '${missing}' is missing: received ${names(value)}`,
    );
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(fields, name)) continue;
    throw new TypeError(
      `Cannot write record as ${what} must have no fields but ${names(fields)}: received '${name}'`,
    );
  }
}

/** The names of the properties of an object, for an error. */
function names(value: object): string {
  return Object.keys(value).map((name) => `'${name}'`).join(", ") || "no fields";
}
