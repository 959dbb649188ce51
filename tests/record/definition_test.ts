/**
 * Definitions of records: what is refused, and how two of them are told apart.
 */

import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  array,
  bytes,
  defineRecord,
  type FieldTypes,
  type RecordHandle,
  utf8,
} from "@busbar/busbar/record";

const Level = defineRecord({ price: "f64", size: "u32" });

Deno.test("definition: a type that is none is named, with what was received", () => {
  for (
    const [type, received] of [
      ["u128", `"u128"`],
      ["toString", `"toString"`],
      [undefined, "undefined"],
      [null, "null"],
      [{ kind: "list" }, "[object Object]"],
      [utf8, "a function"],
    ] as const
  ) {
    assertThrows(
      () => defineRecord({ id: "u32", price: type as "f64" }),
      TypeError,
      `Cannot define record as field 'price' must be one of "i8", "u8", "i16", "u16", "i32", ` +
        `"u32", "f32", "f64", "i64", "u64", "bool", or made by utf8(), bytes(), array() or ` +
        `defineRecord(): received ${received}`,
    );
  }
});

Deno.test("definition: a name that is no identifier, or that views use, is refused", () => {
  for (const name of ["", "0", "a b", "#at", "a.b", "a-b"]) {
    assertThrows(
      () => defineRecord({ [name]: "u8" }),
      TypeError,
      `the name of a field must be an identifier: received "${name}"`,
    );
  }
  for (const name of ["moveTo", "byteOffset", "constructor", "toString"]) {
    assertThrows(
      () => defineRecord({ [name]: "u8" }),
      TypeError,
      `a field must not have a name that views of records use: received "${name}"`,
    );
  }
  assertEquals(defineRecord({ größe: "u8", $1: "u8", _: "u8" }).byteLength, 3);
});

Deno.test("definition: sizes are whole numbers, and a record fits 2^30 bytes", () => {
  for (const make of [utf8, bytes, (length: number) => array("u8", length)]) {
    for (const size of [0, -1, 0.5, NaN, 2 ** 30 + 1]) {
      assertThrows(() => make(size), RangeError, `must be a whole number from 1 to 1073741824`);
    }
  }
  assertThrows(
    () => defineRecord({ a: array("f64", 2 ** 27), b: "u8" }),
    RangeError,
    "Cannot define record as it must have at most 1073741824 bytes: received 1073741832",
  );
});

Deno.test("definition: what is no object, has no field, or no record of this library is refused", () => {
  assertThrows(() => defineRecord({}), TypeError, "it must have a field: received none");
  assertThrows(
    () => defineRecord("u8" as unknown as FieldTypes),
    TypeError,
    `'fields' must be an object: received "u8"`,
  );
  assertThrows(() => array("u7" as "u8", 3), TypeError, `or a record: received "u7"`);
  assertThrows(() => array(utf8(3) as never, 3), TypeError, "or a record: received [object");
  const foreign = { ...Level, fields: Level.fields };
  for (const nested of [foreign, array(foreign, 2)]) {
    assertThrows(
      () => defineRecord({ level: nested }),
      TypeError,
      "field 'level' must be a record of this library: received [object Object]",
    );
  }
});

Deno.test("definition: changing the object that defined a record changes nothing", () => {
  const fields: { id: "u32"; price?: "f64" } = { id: "u32" };
  const record = defineRecord(fields as { id: "u32" });
  fields.price = "f64";
  assertEquals(Object.keys(record.fields), ["id"]);
  assertThrows(() => (record.fields as { id: string }).id = "u8", TypeError);
});

/** Definitions that all differ. */
const DIFFERENT: readonly FieldTypes[] = [
  { id: "u32", price: "f64" },
  { id: "u32", price: "f32" },
  { price: "f64", id: "u32" },
  { id: "u32", prize: "f64" },
  { id: "u32", price: "f64", side: "u8" },
  { id: "u32" },
  { id: utf8(4) },
  { id: bytes(4) },
  { id: array("u8", 4) },
  { id: array("u8", 5) },
  { id: Level },
  { id: defineRecord({ price: "f64", size: "i32" }) },
  { id: array(Level, 1) },
  { id: array(defineRecord({ price: "f64", size: "i32" }), 1) },
];

Deno.test("definition: fingerprints are equal if and only if the fields are", () => {
  const prints = DIFFERENT.map((fields) => defineRecord(fields).fingerprint);
  assertEquals(new Set(prints).size, DIFFERENT.length);
  assertEquals(DIFFERENT.map((fields) => defineRecord(fields).fingerprint), prints);
  for (const print of prints) assertEquals(/^[0-9a-f]{16}$/.test(print), true);
});

// It goes over the wire, so it must never change between versions by accident.
Deno.test("definition: the fingerprint of a definition is always the same", () => {
  const { fingerprint } = defineRecord({ id: "u32", levels: array(Level, 2) });
  assertEquals(fingerprint, "5eb21b8fe7f69ffc");
});

Deno.test("definition: the handle of the same one is accepted, after a clone, too", () => {
  for (const fields of DIFFERENT) {
    const { handle } = defineRecord(fields);
    defineRecord(fields).assertSame(structuredClone(handle));
  }
});

Deno.test("definition: each other one is refused, by any of them", () => {
  for (const here of DIFFERENT) {
    for (const there of DIFFERENT) {
      if (here === there) continue;
      const { handle } = defineRecord(there);
      assertThrows(
        () => defineRecord(here).assertSame(structuredClone(handle)),
        TypeError,
        "Cannot attach as records differ: expected",
      );
    }
  }
});

Deno.test("definition: the first field that differs is named", () => {
  const refusal = (here: FieldTypes, there: FieldTypes) =>
    assertThrows(() => defineRecord(here).assertSame(defineRecord(there).handle), TypeError)
      .message.replace("Cannot attach as records differ: ", "");
  assertEquals(
    refusal({ id: "u32", price: "f64", side: "u8" }, { id: "u32", price: "f32", side: "i8" }),
    "expected field 'price' of f64 at offset 8: received field 'price' of f32 at offset 4",
  );
  assertEquals(
    refusal({ id: "u32" }, { id: "u32", text: utf8(3) }),
    "expected no further field: received field 'text' of utf8(3) at offset 4",
  );
  assertEquals(
    refusal({ id: "u32", all: array("i8", 3) }, { id: "u32" }),
    "expected field 'all' of i8[3] at offset 4: received no further field",
  );
  const other = defineRecord({ price: "f64", size: "i32" });
  assertEquals(
    refusal({ best: Level }, { best: other }),
    "expected field 'best.size' of u32 at offset 8: received field 'best.size' of i32 at offset 8",
  );
  assertEquals(
    refusal({ all: array(Level, 2) }, { all: array(other, 2) }),
    "expected field 'all[].size' of u32 at offset 8: received field 'all[].size' of i32 at offset 8",
  );
});

Deno.test("definition: what is no handle of a record is refused by its kind", () => {
  assertThrows(
    () => Level.assertSame(Level as unknown as RecordHandle),
    TypeError,
    "a handle of kind 'busbar.record' was expected: received",
  );
  assertThrows(
    () => Level.assertSame({ ...Level.handle, version: 1 }),
    TypeError,
    "of 'busbar.record' was expected: received version 1",
  );
  assertNotEquals(Level.handle.version, 1);
});
