/**
 * Records of named fields in a fixed layout, in any bytes that threads share.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { checkHandle, type Handle, LAYOUT_VERSION } from "../memory/handle.ts";
import {
  checkPlace,
  Flyweight,
  isRecord,
  makeView,
  planViews,
  type ViewPlan,
} from "./flyweight.ts";
import { describeFields, type FieldLayout, hash, layOut } from "./layout.ts";
import { bytesOf } from "./target.ts";
import type { FieldInputs, FieldTypes, FieldValues, NestedType, RecordTarget } from "./types.ts";
import type { FlyweightOf } from "./views.ts";

const KIND = "busbar.record";

/** Describes a record to another thread, which compares it with its own definition. */
export interface RecordHandle extends Handle {
  /** The kind of handle. */
  readonly kind: "busbar.record";
  /** Equal if and only if the definitions are: 64 bits as 16 hexadecimal digits. */
  readonly fingerprint: string;
  /** The bytes of the record. */
  readonly byteLength: number;
  /** All fields, in order. */
  readonly fields: readonly FieldLayout[];
}

/** The view of a record: `RecordView<typeof Trade>`. */
export type RecordView<Type extends NestedType> = FlyweightOf<Type["fields"]>;
/** What `read` returns: `RecordValue<typeof Trade>`. */
export type RecordValue<Type extends NestedType> = FieldValues<Type["fields"]>;
/** What `write` accepts: `RecordInput<typeof Trade>`. */
export type RecordInput<Type extends NestedType> = FieldInputs<Type["fields"]>;

/** Calls the private constructor of {@link RecordType}. */
let make: <Fields extends FieldTypes>(fields: Fields) => RecordType<Fields>;

/**
 * A record of named fields in a fixed layout, made by {@link defineRecord}.
 *
 * A record says what bytes mean, not who may touch them: reads and writes are plain, so threads
 * exchange records through something that orders them, such as a ring, a queue or a lock.
 *
 * @typeParam Fields The fields and their types.
 */
export class RecordType<Fields extends FieldTypes = FieldTypes> implements NestedType<Fields> {
  /** Tells it from other types of fields. */
  readonly kind = "record";
  /** The fields and their types, in the order in which they lie. */
  readonly fields: Fields;
  /** The bytes of the record, a multiple of its alignment: records can lie end to end. */
  readonly byteLength: number;
  /** Where in a buffer it may begin: at multiples of this, the size of its largest scalar. */
  readonly alignment: number;
  /** Where in the record each field begins, in bytes. */
  readonly offsets: Readonly<Record<keyof Fields, number>>;
  /** Describes the record to another thread: a plain object that survives structured clone. */
  readonly handle: RecordHandle;
  readonly #views: ViewPlan;

  /** @ignore Use {@link defineRecord}. */
  private constructor(fields: Fields) {
    this.fields = Object.freeze({ ...fields });
    const { byteLength, alignment, offsets } = layOut(this.fields);
    this.byteLength = byteLength;
    this.alignment = alignment;
    this.offsets = offsets;
    this.handle = makeHandle(this.fields, byteLength);
    this.#views = planViews(this, offsets);
    Object.freeze(this);
  }

  static {
    make = (fields) => new RecordType(fields);
  }

  /**
   * Equal for two records if and only if their fields are, with names, types and order: 64 bits as
   * 16 hexadecimal digits.
   */
  get fingerprint(): string {
    return this.handle.fingerprint;
  }

  /**
   * Makes a view of a record, which can be moved to others in the same target. It allocates; moving
   * it does not, nor does any access to a scalar.
   *
   * Assigning a value that the field does not take throws, and changes nothing: a `TypeError` if it
   * is not of the type, a `RangeError` if it is out of range.
   *
   * @example Usage
   * ```ts
   * import { defineRecord } from "@busbar/busbar";
   * import { assertEquals } from "@std/assert";
   *
   * const Point = defineRecord({ x: "f64", y: "f64" });
   * const point = Point.view(new Uint8Array(100 * Point.byteLength));
   *
   * for (let i = 0; i < 100; i++) point.moveTo(i * Point.byteLength).x = i;
   * let sum = 0;
   * for (let i = 0; i < 100; i++) sum += point.moveTo(i * Point.byteLength).x;
   * assertEquals(sum, 4950);
   * ```
   *
   * @param target A memory, a buffer, or a view of a part of one, such as a ring's `bytes`.
   * @param byteOffset Where in the target the record begins; 0 by default.
   * @throws {TypeError} If it is no such target.
   * @throws {RangeError} If no record can begin there: the offset is not aligned, or out of bounds.
   */
  view(target: RecordTarget, byteOffset: number = 0): FlyweightOf<Fields> {
    return makeView(this.#views, bytesOf(target), byteOffset) as FlyweightOf<Fields>;
  }

  /**
   * Copies a record into a plain object.
   *
   * @example Usage
   * ```ts
   * import { defineRecord, utf8 } from "@busbar/busbar";
   * import { assertEquals } from "@std/assert";
   *
   * const Trade = defineRecord({ id: "u32", price: "f64", symbol: utf8(8) });
   * const bytes = new Uint8Array(2 * Trade.byteLength);
   * Trade.write(bytes, 24, { id: 1, price: 99.5, symbol: "BUS" });
   * assertEquals(Trade.read(bytes, 24), { id: 1, price: 99.5, symbol: "BUS" });
   * ```
   *
   * @param source A view of this record; or a target, see {@link RecordType.view}.
   * @param byteOffset Where in the target the record begins, or where to move the view first; 0, or
   * the present record of the view, by default.
   * @throws As {@link RecordType.view}.
   */
  read(source: FlyweightOf<Fields> | RecordTarget, byteOffset?: number): FieldValues<Fields> {
    const [bytes, at] = this.#locate(source, byteOffset);
    return this.#views.codec.load(bytes, at) as FieldValues<Fields>;
  }

  /**
   * Copies a plain object into a record. It must have each of the fields, and no others. If this
   * throws, the record is as it was.
   *
   * @param target A view of this record; or a target, see {@link RecordType.view}.
   * @param byteOffset Where in the target the record begins.
   * @throws {TypeError} If a field is missing, unknown, or not of its type.
   * @throws {RangeError} If a value is out of the range of its type, or has the wrong length.
   * @throws As {@link RecordType.view}.
   */
  write(
    target: FlyweightOf<Fields> | RecordTarget,
    byteOffset: number,
    value: FieldInputs<Fields>,
  ): void {
    this.#views.codec.check("", value);
    const [bytes, at] = this.#locate(target, byteOffset);
    this.#views.codec.store(bytes, at, value);
  }

  /**
   * Throws unless another thread's definition of the record is the same, naming the first field
   * that differs.
   *
   * @example Usage
   * ```ts
   * import { defineRecord } from "@busbar/busbar";
   * import { assertThrows } from "@std/assert";
   *
   * const here = defineRecord({ id: "u32", price: "f64" });
   * const there = defineRecord({ id: "u32", price: "f32" });
   * here.assertSame(here.handle); // in reality one that another thread has sent
   * assertThrows(
   *   () => here.assertSame(there.handle),
   *   TypeError,
   *   "expected field 'price' of f64 at offset 8: received field 'price' of f32 at offset 4",
   * );
   * ```
   *
   * @param handle The `handle` of the other definition.
   * @throws {TypeError} If it is not the handle of a record, or that of another one.
   */
  assertSame(handle: RecordHandle): void {
    checkHandle(handle, KIND);
    if (handle.fingerprint === this.handle.fingerprint) return;
    const expected = this.handle.fields.map(describeField);
    const received = (handle.fields ?? []).map(describeField);
    const at = expected.findIndex((field, i) => field !== received[i]);
    const index = at < 0 ? expected.length : at;
    throw new TypeError(
      `Cannot attach as records differ: expected ${expected[index] ?? NO_FIELD}: received ${
        received[index] ?? NO_FIELD
      }`,
    );
  }

  /** The bytes of a target, or of a view that is moved, and where in them the record begins. */
  #locate(
    target: FlyweightOf<Fields> | RecordTarget,
    byteOffset: number | undefined,
  ): [bytes: DataView, at: number] {
    if (!(target instanceof Flyweight)) {
      const bytes = bytesOf(target);
      checkPlace(this.#views, bytes, byteOffset ?? 0);
      return [bytes, byteOffset ?? 0];
    }
    if (!(target instanceof this.#views.View)) {
      throw new TypeError(
        "Cannot view record as a view of this record was expected: received one of another",
      );
    }
    if (byteOffset !== undefined) target.moveTo(byteOffset);
    return [target["#bytes"], target["#at"]];
  }
}

/**
 * Defines a record: named fields in a fixed layout.
 *
 * The types are `i8`, `u8`, `i16`, `u16`, `i32`, `u32`, `f32` and `f64` for numbers, `i64` and
 * `u64` for bigints, `bool`, {@link utf8}, {@link bytes}, {@link array}, and other records. Fields
 * lie in the order of declaration, each aligned to its size, like those of a C struct.
 *
 * @example Records over a ring
 * ```ts
 * import { array, Broadcast, defineRecord, utf8 } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const Trade = defineRecord({
 *   id: "u32",
 *   price: "f64",
 *   symbol: utf8(8),
 *   levels: array("f64", 5),
 * });
 *
 * const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
 * using writer = broadcast.writer();
 * const reader = broadcast.reader(); // in reality in another thread
 *
 * const sent = Trade.view(writer.bytes);
 * for (let id = 1; id <= 3; id++) {
 *   sent.moveTo(writer.claim(Trade.byteLength));
 *   sent.id = id;
 *   sent.price = 99.5;
 *   sent.symbol = "BUS";
 *   for (let i = 0; i < 5; i++) sent.levels.set(i, 99 + i);
 *   writer.commit();
 * }
 * writer.publish();
 *
 * const received = Trade.view(reader.bytes);
 * let sum = 0;
 * while (reader.poll()) {
 *   while (reader.next()) sum += received.moveTo(reader.offset).id;
 * }
 * assertEquals(sum, 6);
 * assertEquals(received.symbol, "BUS");
 * ```
 *
 * @throws {TypeError} If there is no field, or one has a name that is no identifier or that views
 * use themselves, or no type.
 * @throws {RangeError} If the record has more than 2^30 bytes.
 */
export function defineRecord<const Fields extends FieldTypes>(fields: Fields): RecordType<Fields> {
  if (typeof fields !== "object" || fields === null) {
    throw new TypeError(
      `Cannot define record as 'fields' must be an object: received ${describe(fields)}`,
    );
  }
  for (const [name, type] of Object.entries(fields)) {
    const record = typeof type === "object" && type?.kind === "array" ? type.element : type;
    if (typeof record !== "object" || record?.kind !== "record" || isRecord(record)) continue;
    throw new TypeError(
      `Cannot define record as field '${name}' must be a record of this library: received ${
        describe(record)
      }`,
    );
  }
  return make(fields);
}

const NO_FIELD = "no further field";

function describeField({ name, type, offset }: FieldLayout): string {
  return `field '${name}' of ${type} at offset ${offset}`;
}

function makeHandle(fields: FieldTypes, byteLength: number): RecordHandle {
  const described = [...describeFields(fields)].map((field) => Object.freeze(field));
  return Object.freeze({
    kind: KIND,
    version: LAYOUT_VERSION,
    fingerprint: hash(described.map(describeField).join()),
    byteLength,
    fields: Object.freeze(described),
  });
}
