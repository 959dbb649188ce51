/**
 * Any record of any fields: what `write` and views leave in memory are the bytes that an oracle
 * puts there with a DataView, by a layout of its own; and what was written is read.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  array,
  bytes,
  defineRecord,
  type FieldType,
  type FieldTypes,
  type RecordType,
  type ScalarType,
  utf8,
} from "@busbar/busbar/record";

type Values = Record<string, unknown>;

/** A field as the oracle knows it: its type, its layout, its values, and how to store one. */
interface Field {
  readonly type: FieldType;
  readonly byteLength: number;
  readonly alignment: number;
  readonly values: fc.Arbitrary<unknown>;
  store(view: DataView, at: number, value: never): void;
}

const integer = (bits: number, isSigned: boolean) =>
  fc.integer({
    min: isSigned ? -(2 ** (bits - 1)) : 0,
    max: 2 ** (isSigned ? bits - 1 : bits) - 1,
  });

function scalar(
  type: ScalarType,
  byteLength: number,
  values: fc.Arbitrary<unknown>,
  store: Field["store"],
): Field {
  return { type, byteLength, alignment: byteLength, values, store };
}

const SCALARS: readonly Field[] = [
  scalar("i8", 1, integer(8, true), (view, at, value) => view.setInt8(at, value)),
  scalar("u8", 1, integer(8, false), (view, at, value) => view.setUint8(at, value)),
  scalar("i16", 2, integer(16, true), (view, at, value) => view.setInt16(at, value, true)),
  scalar("u16", 2, integer(16, false), (view, at, value) => view.setUint16(at, value, true)),
  scalar("i32", 4, integer(32, true), (view, at, value) => view.setInt32(at, value, true)),
  scalar("u32", 4, integer(32, false), (view, at, value) => view.setUint32(at, value, true)),
  scalar("f32", 4, fc.float(), (view, at, value) => view.setFloat32(at, value, true)),
  scalar("f64", 8, fc.double(), (view, at, value) => view.setFloat64(at, value, true)),
  scalar(
    "i64",
    8,
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    (view, at, value) => view.setBigInt64(at, value, true),
  ),
  scalar(
    "u64",
    8,
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    (view, at, value) => view.setBigUint64(at, value, true),
  ),
  scalar("bool", 1, fc.boolean(), (view, at, value) => view.setInt8(at, Number(value))),
];

function storeBytes(view: DataView, at: number, value: Uint8Array): void {
  for (const [i, byte] of value.entries()) view.setUint8(at + i, byte);
}

function text(byteLength: number): Field {
  const encode = (value: string) => new TextEncoder().encode(value);
  const fits = (value: string) => !value.includes("\0") && encode(value).length <= byteLength;
  return {
    type: utf8(byteLength),
    byteLength,
    alignment: 1,
    values: fc.string({ unit: "binary", maxLength: byteLength }).filter(fits),
    store: (view, at, value) => storeBytes(view, at, encode(value)),
  };
}

function someBytes(byteLength: number): Field {
  return {
    type: bytes(byteLength),
    byteLength,
    alignment: 1,
    values: fc.uint8Array({ minLength: byteLength, maxLength: byteLength })
      .map((value) => new Uint8Array(value)),
    store: storeBytes,
  };
}

function elements(element: Field, length: number): Field {
  return {
    type: array(element.type as ScalarType, length),
    byteLength: element.byteLength * length,
    alignment: element.alignment,
    values: fc.array(element.values, { minLength: length, maxLength: length }),
    store(view, at, value) {
      for (let i = 0; i < length; i++) element.store(view, at + i * element.byteLength, value[i]!);
    },
  };
}

const roundUp = (value: number, alignment: number) => value + (-value & (alignment - 1));

/** A record is a field, too. */
function record(fields: readonly Field[]): Field & { type: RecordType } {
  let end = 0;
  const types: Record<string, FieldType> = {};
  const values: Record<string, fc.Arbitrary<unknown>> = {};
  const offsets = fields.map((field, i) => {
    types[`field${i}`] = field.type;
    values[`field${i}`] = field.values;
    const offset = roundUp(end, field.alignment);
    end = offset + field.byteLength;
    return offset;
  });
  const alignment = Math.max(...fields.map((field) => field.alignment));
  return {
    type: defineRecord(types as FieldTypes),
    byteLength: roundUp(end, alignment),
    alignment,
    values: fc.record(values, { noNullPrototype: true }),
    store(view, at, value) {
      fields.forEach((field, i) => field.store(view, at + offsets[i]!, value[`field${i}`]));
    },
  };
}

const scalars = fc.constantFrom(...SCALARS);
const fields: fc.Arbitrary<Field> = fc.oneof(
  scalars,
  fc.integer({ min: 1, max: 20 }).map(text),
  fc.integer({ min: 1, max: 20 }).map(someBytes),
  fc.tuple(scalars, fc.integer({ min: 1, max: 4 })).map(([one, length]) => elements(one, length)),
);
const flatRecords = fc.array(fields, { minLength: 1, maxLength: 5 }).map(record);
const nestedFields: fc.Arbitrary<Field> = fc.oneof(
  fields,
  flatRecords,
  fc.tuple(flatRecords, fc.integer({ min: 1, max: 3 })).map(([one, length]) =>
    elements(one, length)
  ),
);
const records = fc.array(nestedFields, { minLength: 1, maxLength: 8 }).map(record);

/** A record, two of its values, and where they go. */
const cases = records.chain((one) =>
  fc.record({
    one: fc.constant(one),
    first: one.values as fc.Arbitrary<Values>,
    second: one.values as fc.Arbitrary<Values>,
    slot: fc.integer({ min: 0, max: 2 }),
    shared: fc.boolean(),
  })
);

Deno.test("record: any record is laid out as the oracle says, and any value comes back", () => {
  fc.assert(
    fc.property(cases, ({ one, first, second, slot, shared }) => {
      const { type, byteLength, alignment } = one;
      assertEquals([type.byteLength, type.alignment], [byteLength, alignment]);
      const size = 3 * byteLength;
      const target = new Uint8Array(shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size));
      const expected = new Uint8Array(size);
      const at = slot * byteLength;

      type.write(target, at, first as never);
      one.store(new DataView(expected.buffer), at, first as never);
      assertEquals(target.slice(), expected);
      assertEquals(type.read(target, at) as Values, first);

      // Written again by a view that was elsewhere before.
      const view = type.view(target, ((slot + 1) % 3) * byteLength);
      type.write(view, at, second as never);
      expected.fill(0);
      one.store(new DataView(expected.buffer), at, second as never);
      assertEquals(target.slice(), expected);
      assertEquals(type.read(view) as Values, second);
    }),
    { numRuns: 300 },
  );
});

/** Anything that code without types may assign. */
const anything = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.string(),
  fc.constantFrom(null, undefined, -0, 255, 256, -129, 65536, 2 ** 31, 2 ** 32, 1e39, NaN),
  fc.constantFrom(2n ** 63n, -(2n ** 63n), 2n ** 64n, -1n),
);

Deno.test("record: a view takes a value exactly if it can be read back, and else changes nothing", () => {
  fc.assert(
    fc.property(scalars, anything, anything, ({ type }, before, value) => {
      const one = defineRecord({ field: type as ScalarType, all: array(type as ScalarType, 2) });
      const target = new Uint8Array(one.byteLength);
      const view = one.view(target);
      for (const given of [before, value]) {
        const copy = target.slice();
        const attempts = [
          () => view.field = given as never,
          () => view.all.set(1, given as never),
        ].map((set) => {
          try {
            set();
            return true;
          } catch (error) {
            assertEquals((error as Error).message.startsWith("Cannot write record as"), true);
            return false;
          }
        });
        assertEquals(attempts[0], attempts[1]);
        if (!attempts[0]) assertEquals(target, copy);
        else {
          const expected = type === "f32" ? Math.fround(given as number) : given;
          // A whole number has no -0.
          const plain = (it: unknown) =>
            Object.is(it, -0) && type !== "f64" && type !== "f32" ? 0 : it;
          assertEquals<unknown>([view.field, view.all.get(1)], [plain(expected), plain(expected)]);
        }
        let isWritten = true;
        try {
          one.write(
            new Uint8Array(one.byteLength),
            0,
            { field: given, all: [given, given] } as never,
          );
        } catch {
          isWritten = false;
        }
        assertEquals(isWritten, attempts[0]);
      }
    }),
    { numRuns: 1000 },
  );
});
