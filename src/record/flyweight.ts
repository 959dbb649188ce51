/**
 * Flyweights: views of records that are moved from one to the next, so that none has to be made.
 *
 * Each record has a class of its own, whose accessors know their offsets; their code is shared by
 * all records. No code is compiled from text, which pages may forbid. Checks stand in the accessors
 * themselves, and make their errors elsewhere, so that V8 inlines both into the caller.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { BytesView } from "./bytes_view.ts";
import { nestedFields } from "./layout.ts";
import { Place } from "./place.ts";
import { RecordsView } from "./records_view.ts";
import { fitsF32, isScalarType, scalarError } from "./scalars.ts";
import { ScalarsView } from "./scalars_view.ts";
import type { ArrayType, BytesType, NestedType, ScalarType } from "./types.ts";
import { type Codec, recordCodec } from "./values.ts";
import { checkText, loadText, storeText } from "./utf8.ts";

/** A field that has a view of its own. */
interface PartPlan {
  readonly name: string;
  readonly offset: number;
  readonly type: ArrayType | BytesType | NestedType;
}

/** What all views of one record share. */
export interface ViewPlan {
  /** The class of the views. */
  readonly View: new (bytes: DataView, plan: ViewPlan, parent?: Place) => Flyweight;
  readonly byteLength: number;
  readonly alignment: number;
  readonly parts: readonly PartPlan[];
  /** Copies records as a whole. */
  readonly codec: Codec;
}

/** A view of a nested record, and where in the outer record that begins. */
interface Nested {
  readonly view: Flyweight;
  offset: number;
}

type Accessor = Required<Pick<PropertyDescriptor, "get" | "set">>;

/**
 * Has an element 0 and no other: `CHECKED[wrong] === undefined` says whether something is wrong. As
 * long as nothing was, V8 compiles this to the check of an index, and not to a branch that leaves
 * the function. V8 moves the loads of a view out of a loop only if no function that is inlined
 * there has such a branch, and this about halves the cost of an access. What is wrong is computed
 * without branches, too, since V8 forgets the class of the view where they meet.
 */
const CHECKED: readonly number[] = [0];

// A local copy for the hot path: an imported binding is loaded at each use.
const fits = fitsF32;

/** The plans of all records. */
const plans = new WeakMap<NestedType, ViewPlan>();

/**
 * A view of a record, which can be moved to another one in the same target.
 *
 * The views of one record have its fields as properties; see {@link RecordType.view}.
 */
export abstract class Flyweight {
  /** @ignore */
  declare readonly "#bytes": DataView;
  /** @ignore What stands before the names of fields in errors. */
  declare readonly "#prefix": string;
  /** @ignore */
  declare readonly "#plan": ViewPlan;
  /** @ignore The last offset at which a record fits; negative if this is part of another. */
  declare readonly "#last": number;
  /** @ignore The bits that are 0 in each multiple of the alignment. */
  declare readonly "#mask": number;
  /** @ignore The views that move along. */
  declare readonly "#nested": readonly Nested[];
  /** @ignore */
  declare "#at": number;

  /** @ignore Made by {@link RecordType.view}. */
  constructor(bytes: DataView, plan: ViewPlan, parent?: Place) {
    this["#bytes"] = bytes;
    this["#prefix"] = parent === undefined ? "" : `${parent.path}.`;
    this["#plan"] = plan;
    this["#last"] = parent === undefined ? lastOffset(bytes, plan) : -1;
    this["#mask"] = plan.alignment - 1;
    this["#at"] = 0;
    const nested: Nested[] = [];
    for (const { name, offset, type } of plan.parts) {
      const place = new Place(this, offset, this["#prefix"] + name);
      const value = makePart(place, type, nested);
      Object.defineProperty(this, name, { value, enumerable: true });
    }
    this["#nested"] = nested;
    // Then a misspelled field is an error, also in code that is not type-checked.
    Object.preventExtensions(this);
  }

  /** Where in the target the present record begins. */
  get byteOffset(): number {
    return this["#at"];
  }

  /**
   * Moves to another record in the same target.
   *
   * @param byteOffset Where in the target it begins.
   * @returns This view.
   * @throws {RangeError} If no record can begin there: the offset is not aligned, or out of bounds.
   * @throws {TypeError} If this is the view of a field, which moves along with its record.
   */
  moveTo(byteOffset: number): this {
    const wrong = +(byteOffset >>> 0 !== byteOffset) | +(byteOffset > this["#last"]) |
      (byteOffset & this["#mask"]);
    if (CHECKED[wrong] === undefined) throw moveError(this, byteOffset);
    this["#at"] = byteOffset;
    return this;
  }
}

/** A view of a record that has others in it, whose views move along. */
abstract class Nesting extends Flyweight {
  override moveTo(byteOffset: number): this {
    super.moveTo(byteOffset);
    placeAll(this["#nested"], byteOffset);
    return this;
  }
}

/** Moves the views of nested records to a record that begins there. */
function placeAll(nested: readonly Nested[], start: number): void {
  for (let i = 0; i < nested.length; i++) {
    const { view, offset } = nested[i]!;
    place(view, start + offset);
  }
}

/** Moves a view to anywhere in the target. */
function place(view: Flyweight, start: number): void {
  view["#at"] = start;
  placeAll(view["#nested"], start);
}

/** The last offset that {@link Flyweight.moveTo} takes; negative if there is none. */
function lastOffset(bytes: DataView, { byteLength }: ViewPlan): number {
  return Math.min(bytes.byteLength - byteLength, 2 ** 32 - 1);
}

function moveError(view: Flyweight, byteOffset: number): Error {
  if (view["#last"] >= 0) return offsetError(view["#plan"], view["#last"], byteOffset);
  return new TypeError(
    `Cannot move record as it is field '${view["#prefix"].slice(0, -1)}' of another: move that one`,
  );
}

function offsetError(plan: ViewPlan, last: number, byteOffset: number): RangeError {
  return new RangeError(
    `Cannot move record of ${plan.byteLength} bytes as 'byteOffset' must be a multiple of ${plan.alignment} from 0 to ${last}: received ${
      describe(byteOffset)
    }`,
  );
}

/**
 * Throws unless a record can begin there.
 *
 * @throws {RangeError} If the target is too short or begins at an address that is not aligned, or
 * the offset in it is not aligned or out of bounds.
 */
export function checkPlace(plan: ViewPlan, bytes: DataView, byteOffset: number): void {
  const { alignment, byteLength } = plan;
  if (bytes.byteLength < byteLength) {
    throw new RangeError(
      `Cannot view record as its target must have at least ${byteLength} bytes: received ${bytes.byteLength}`,
    );
  }
  if (bytes.byteOffset % alignment !== 0) {
    throw new RangeError(
      `Cannot view record as its target must begin at a multiple of ${alignment} in its buffer: received one that begins at ${bytes.byteOffset}`,
    );
  }
  const last = lastOffset(bytes, plan);
  const isPlace = byteOffset >= 0 && byteOffset <= last && byteOffset % alignment === 0;
  if (typeof byteOffset !== "number" || !isPlace) throw offsetError(plan, last, byteOffset);
}

function refused(view: Flyweight, name: string, type: ScalarType, value: unknown): Error {
  return scalarError(view["#prefix"] + name, type, value);
}

/** Makes the accessor of a scalar with a name and an offset. */
const scalarAccessors: Readonly<
  Record<ScalarType, (offset: number, name: string) => Accessor>
> = {
  i8: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getInt8(this["#at"] + offset);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "i8", value);
      if (CHECKED[+((value << 24) >> 24 !== value)] === undefined) {
        throw refused(this, name, "i8", value);
      }
      this["#bytes"].setInt8(this["#at"] + offset, value);
    },
  }),
  u8: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getUint8(this["#at"] + offset);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "u8", value);
      if (CHECKED[+((value & 0xff) !== value)] === undefined) {
        throw refused(this, name, "u8", value);
      }
      this["#bytes"].setUint8(this["#at"] + offset, value);
    },
  }),
  i16: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getInt16(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "i16", value);
      if (CHECKED[+((value << 16) >> 16 !== value)] === undefined) {
        throw refused(this, name, "i16", value);
      }
      this["#bytes"].setInt16(this["#at"] + offset, value, true);
    },
  }),
  u16: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getUint16(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "u16", value);
      if (CHECKED[+((value & 0xffff) !== value)] === undefined) {
        throw refused(this, name, "u16", value);
      }
      this["#bytes"].setUint16(this["#at"] + offset, value, true);
    },
  }),
  i32: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getInt32(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "i32", value);
      if (CHECKED[+((value | 0) !== value)] === undefined) throw refused(this, name, "i32", value);
      this["#bytes"].setInt32(this["#at"] + offset, value, true);
    },
  }),
  u32: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getUint32(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "u32", value);
      if (CHECKED[+(value >>> 0 !== value)] === undefined) throw refused(this, name, "u32", value);
      this["#bytes"].setUint32(this["#at"] + offset, value, true);
    },
  }),
  f32: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getFloat32(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (!fits(value)) throw refused(this, name, "f32", value);
      this["#bytes"].setFloat32(this["#at"] + offset, value, true);
    },
  }),
  f64: (offset, name) => ({
    get(this: Flyweight): number {
      return this["#bytes"].getFloat64(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: number) {
      if (typeof value !== "number") throw refused(this, name, "f64", value);
      this["#bytes"].setFloat64(this["#at"] + offset, value, true);
    },
  }),
  i64: (offset, name) => ({
    get(this: Flyweight): bigint {
      return this["#bytes"].getBigInt64(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: bigint) {
      if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
        throw refused(this, name, "i64", value);
      }
      this["#bytes"].setBigInt64(this["#at"] + offset, value, true);
    },
  }),
  u64: (offset, name) => ({
    get(this: Flyweight): bigint {
      return this["#bytes"].getBigUint64(this["#at"] + offset, true);
    },
    set(this: Flyweight, value: bigint) {
      if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) {
        throw refused(this, name, "u64", value);
      }
      this["#bytes"].setBigUint64(this["#at"] + offset, value, true);
    },
  }),
  bool: (offset, name) => ({
    get(this: Flyweight): boolean {
      return this["#bytes"].getUint8(this["#at"] + offset) !== 0;
    },
    set(this: Flyweight, value: boolean) {
      if (typeof value !== "boolean") throw refused(this, name, "bool", value);
      this["#bytes"].setUint8(this["#at"] + offset, value ? 1 : 0);
    },
  }),
};

function textAccessor(offset: number, name: string, byteLength: number): Accessor {
  return {
    get(this: Flyweight): string {
      return loadText(this["#bytes"], this["#at"] + offset, byteLength);
    },
    set(this: Flyweight, value: string) {
      checkText(this["#prefix"] + name, value, byteLength);
      storeText(this["#bytes"], this["#at"] + offset, byteLength, value);
    },
  };
}

/** Makes the class of the views of a record. */
export function planViews(
  record: NestedType,
  offsets: Readonly<Record<string, number>>,
): ViewPlan {
  const { fields, byteLength, alignment } = record;
  const isNesting = Object.values(fields).some((type) => nestedFields(type) !== undefined);
  class View extends (isNesting ? Nesting : Flyweight) {}
  const parts: PartPlan[] = [];
  for (const [name, type] of Object.entries(fields)) {
    const offset = offsets[name]!;
    const accessor = isScalarType(type)
      ? scalarAccessors[type](offset, name)
      : type.kind === "utf8"
      ? textAccessor(offset, name, type.byteLength)
      : undefined;
    if (accessor !== undefined) Object.defineProperty(View.prototype, name, accessor);
    else parts.push({ name, offset, type: type as PartPlan["type"] });
  }
  const codec = recordCodec(fields, offsets, (nested) => plans.get(nested)!.codec);
  const plan: ViewPlan = { View, byteLength, alignment, parts, codec };
  plans.set(record, plan);
  return plan;
}

/** Makes a view of a record. */
export function makeView(plan: ViewPlan, bytes: DataView, byteOffset: number): Flyweight {
  checkPlace(plan, bytes, byteOffset);
  return new plan.View(bytes, plan).moveTo(byteOffset);
}

/** Whether a record was made by this library, and so can be part of another. */
export function isRecord(type: unknown): type is NestedType {
  return plans.has(type as NestedType);
}

/** Makes the view of a field; views of nested records are added to those that move along. */
function makePart(place: Place, type: PartPlan["type"], nested: Nested[]): unknown {
  if (type.kind === "bytes") return new BytesView(place, type.byteLength);
  if (type.kind === "record") return makeNested(place, type, nested).view;
  const { element, length } = type;
  if (isScalarType(element)) return new ScalarsView(place, element, length);
  const first = new Place(place.record, place.offset, `${place.path}[]`);
  const one = makeNested(first, element, nested);
  const moveTo = (byteOffset: number) => moveElement(one, place, byteOffset);
  return new RecordsView(place.path, { view: one.view, moveTo }, element.byteLength, length);
}

function makeNested(field: Place, record: NestedType, nested: Nested[]): Nested {
  const plan = plans.get(record)!;
  const one = { view: new plan.View(field.bytes, plan, field), offset: field.offset };
  place(one.view, field.start);
  nested.push(one);
  return one;
}

/** Moves the view of an element to the one that begins so many bytes after the first. */
function moveElement(one: Nested, array: Place, byteOffset: number): void {
  one.offset = array.offset + byteOffset;
  place(one.view, array.start + byteOffset);
}
