/**
 * Flyweights: views of records that are moved from one to the next, so that none has to be made.
 *
 * Each record has a class of its own, whose accessors know their offsets. Their code is shared by
 * all records, and there is one for each type of field, so each access to a typed array in it sees
 * one class of them. No code is compiled from text, which pages may forbid.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { BytesView } from "./bytes_view.ts";
import { byteLengthOf } from "./layout.ts";
import { type Part, PLACE } from "./part.ts";
import {
  isBool,
  isF32,
  isF64,
  isI16,
  isI32,
  isI64,
  isI8,
  isU16,
  isU32,
  isU64,
  isU8,
} from "./ranges.ts";
import { RecordsView } from "./records_view.ts";
import { fieldError, isScalarType, scalarError } from "./scalars.ts";
import { ScalarsView } from "./scalars_view.ts";
import { type Elements, elementsOf, type Stretch } from "./target.ts";
import type { ArrayType, BytesType, FieldTypes, NestedType, ScalarType } from "./types.ts";
import { checkText, loadText, storeText } from "./utf8.ts";

/** A field whose view is a part of the record's. */
interface PartPlan {
  readonly name: string;
  readonly offset: number;
  readonly type: ArrayType | BytesType | NestedType;
}

/** What all views of one record share. */
export interface ViewPlan {
  /** The class of the views. */
  readonly View: new (path: string, elements: Elements, plan: ViewPlan) => Flyweight;
  readonly byteLength: number;
  readonly alignment: number;
  readonly parts: readonly PartPlan[];
}

type Accessor = Required<Pick<PropertyDescriptor, "get" | "set">>;
type MakeAccessor = (offset: number, name: string) => Accessor;

/** The plans of all records. */
const plans = new WeakMap<NestedType, ViewPlan>();

let scalarAccessors: Readonly<Record<ScalarType, MakeAccessor>>;
let textAccessor: (offset: number, name: string, byteLength: number) => Accessor;
let partAccessor: (index: number, name: string) => Accessor;
let spread: (view: Flyweight, stretch: Stretch) => void;

/**
 * A view of a record, which can be moved to another one in the same memory.
 *
 * The views of one record have its fields as properties; see {@link RecordType.view}.
 */
export abstract class Flyweight {
  readonly #path: string;
  readonly #plan: ViewPlan;
  readonly #elements: Elements;
  readonly #parts: readonly Part[];
  /** Where in the buffer the present record begins. */
  #at = 0;
  /** Where in the buffer the target begins. */
  #base = 0;
  /** The last offset in the target at which a record fits; negative if this is part of another. */
  #last = -1;
  /** The bits that are 0 in each multiple of the alignment. */
  readonly #mask: number;

  /** @ignore Made by {@link RecordType.view}. */
  constructor(path: string, elements: Elements, plan: ViewPlan) {
    this.#path = path;
    this.#plan = plan;
    this.#elements = elements;
    this.#mask = plan.alignment - 1;
    this.#parts = plan.parts.map(({ name, type }) => makePart(path + name, elements, type));
    // Then a misspelled field is an error, also in code that is not type-checked.
    Object.preventExtensions(this);
  }

  /** Where in the target the present record begins. */
  get byteOffset(): number {
    return this.#at - this.#base;
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
    const at = this.#base + byteOffset;
    if (
      byteOffset < 0 || byteOffset > this.#last || at >>> 0 !== at || (at & this.#mask) !== 0
    ) throw this.#offsetError(byteOffset);
    this[PLACE](at);
    return this;
  }

  /** @ignore */
  [PLACE](start: number): void {
    this.#at = start;
    const parts = this.#parts;
    if (parts.length === 0) return;
    const plans = this.#plan.parts;
    for (let i = 0; i < parts.length; i++) parts[i]![PLACE](start + plans[i]!.offset);
  }

  #offsetError(byteOffset: number): Error {
    if (this.#last < 0) {
      return new TypeError(
        `Cannot move record as it is field '${this.#path.slice(0, -1)}' of another: move that one`,
      );
    }
    const { alignment, byteLength } = this.#plan;
    const base = this.#base % alignment === 0
      ? ""
      : ` in the buffer, where its target begins at ${this.#base},`;
    return new RangeError(
      `Cannot move record as 'byteOffset' must be a multiple of ${alignment}${base} from 0 to ${this.#last}, since a record has ${byteLength} bytes: received ${
        describe(byteOffset)
      }`,
    );
  }

  #scalarError(name: string, type: ScalarType, value: unknown): Error {
    return scalarError(this.#path + name, type, value);
  }

  static {
    spread = (view, { byteOffset, byteLength }) => {
      view.#base = byteOffset;
      view.#last = byteLength - view.#plan.byteLength;
    };

    scalarAccessors = {
      i8: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.i8![this.#at + offset]!;
        },
        set(this: Flyweight, value: number) {
          if (!isI8(value)) throw this.#scalarError(name, "i8", value);
          this.#elements.i8![this.#at + offset] = value;
        },
      }),
      u8: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.u8![this.#at + offset]!;
        },
        set(this: Flyweight, value: number) {
          if (!isU8(value)) throw this.#scalarError(name, "u8", value);
          this.#elements.u8![this.#at + offset] = value;
        },
      }),
      i16: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.i16![(this.#at + offset) >>> 1]!;
        },
        set(this: Flyweight, value: number) {
          if (!isI16(value)) throw this.#scalarError(name, "i16", value);
          this.#elements.i16![(this.#at + offset) >>> 1] = value;
        },
      }),
      u16: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.u16![(this.#at + offset) >>> 1]!;
        },
        set(this: Flyweight, value: number) {
          if (!isU16(value)) throw this.#scalarError(name, "u16", value);
          this.#elements.u16![(this.#at + offset) >>> 1] = value;
        },
      }),
      i32: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.i32![(this.#at + offset) >>> 2]!;
        },
        set(this: Flyweight, value: number) {
          if (!isI32(value)) throw this.#scalarError(name, "i32", value);
          this.#elements.i32![(this.#at + offset) >>> 2] = value;
        },
      }),
      u32: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.u32![(this.#at + offset) >>> 2]!;
        },
        set(this: Flyweight, value: number) {
          if (!isU32(value)) throw this.#scalarError(name, "u32", value);
          this.#elements.u32![(this.#at + offset) >>> 2] = value;
        },
      }),
      f32: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.f32![(this.#at + offset) >>> 2]!;
        },
        set(this: Flyweight, value: number) {
          if (!isF32(value)) throw this.#scalarError(name, "f32", value);
          this.#elements.f32![(this.#at + offset) >>> 2] = value;
        },
      }),
      f64: (offset, name) => ({
        get(this: Flyweight): number {
          return this.#elements.f64![(this.#at + offset) >>> 3]!;
        },
        set(this: Flyweight, value: number) {
          if (!isF64(value)) throw this.#scalarError(name, "f64", value);
          this.#elements.f64![(this.#at + offset) >>> 3] = value;
        },
      }),
      i64: (offset, name) => ({
        get(this: Flyweight): bigint {
          return this.#elements.i64![(this.#at + offset) >>> 3]!;
        },
        set(this: Flyweight, value: bigint) {
          if (!isI64(value)) throw this.#scalarError(name, "i64", value);
          this.#elements.i64![(this.#at + offset) >>> 3] = value;
        },
      }),
      u64: (offset, name) => ({
        get(this: Flyweight): bigint {
          return this.#elements.u64![(this.#at + offset) >>> 3]!;
        },
        set(this: Flyweight, value: bigint) {
          if (!isU64(value)) throw this.#scalarError(name, "u64", value);
          this.#elements.u64![(this.#at + offset) >>> 3] = value;
        },
      }),
      bool: (offset, name) => ({
        get(this: Flyweight): boolean {
          return this.#elements.u8![this.#at + offset] !== 0;
        },
        set(this: Flyweight, value: boolean) {
          if (!isBool(value)) throw this.#scalarError(name, "bool", value);
          this.#elements.u8![this.#at + offset] = value ? 1 : 0;
        },
      }),
    };

    textAccessor = (offset, name, byteLength) => ({
      get(this: Flyweight): string {
        return loadText(this.#elements.u8!, this.#at + offset, byteLength);
      },
      set(this: Flyweight, value: string) {
        checkText(this.#path + name, value, byteLength);
        storeText(this.#elements.u8!, this.#at + offset, byteLength, value);
      },
    });

    partAccessor = (index, name) => ({
      get(this: Flyweight): Part {
        return this.#parts[index]!;
      },
      set(this: Flyweight, value: unknown) {
        throw fieldError(
          TypeError,
          this.#path + name,
          "set by its own methods or fields, or by write()",
          describe(value),
        );
      },
    });
  }
}

/** Makes the class of the views of a record. */
export function planViews(
  record: NestedType,
  offsets: Readonly<Record<string, number>>,
): ViewPlan {
  const { fields, byteLength, alignment } = record;
  class View extends Flyweight {}
  const parts: PartPlan[] = [];
  for (const [name, type] of Object.entries(fields)) {
    const offset = offsets[name]!;
    Object.defineProperty(View.prototype, name, {
      enumerable: true,
      ...(isScalarType(type)
        ? scalarAccessors[type](offset, name)
        : type.kind === "utf8"
        ? textAccessor(offset, name, type.byteLength)
        : partAccessor(parts.push({ name, offset, type }) - 1, name)),
    });
  }
  const plan: ViewPlan = { View, byteLength, alignment, parts };
  plans.set(record, plan);
  return plan;
}

/** Makes a view of a record. */
export function makeView(
  plan: ViewPlan,
  stretch: Stretch,
  types: ReadonlySet<ScalarType>,
  byteOffset: number,
): Flyweight {
  if (stretch.byteLength < plan.byteLength) {
    throw new RangeError(
      `Cannot view record as its target must have at least ${plan.byteLength} bytes: received ${stretch.byteLength}`,
    );
  }
  const view = new plan.View("", elementsOf(stretch.buffer, types), plan);
  spread(view, stretch);
  return view.moveTo(byteOffset);
}

/** Whether a record was made by this library, and so can be part of another. */
export function isRecord(type: unknown): type is NestedType {
  return plans.has(type as NestedType);
}

/** Makes the view of a field. */
function makePart(path: string, elements: Elements, type: PartPlan["type"]): Part {
  if (type.kind === "bytes") return new BytesView(path, elements.u8!, type.byteLength);
  if (type.kind === "record") return makeNested(path, elements, type);
  const { element, length } = type;
  if (isScalarType(element)) return new ScalarsView(path, elements, element, length);
  const view = makeNested(`${path}[]`, elements, element);
  return new RecordsView(path, view, byteLengthOf(element), length);
}

function makeNested(path: string, elements: Elements, record: NestedType): Flyweight {
  const plan = plans.get(record)!;
  return new plan.View(`${path}.`, elements, plan);
}

/** The types of typed arrays that a record needs. */
export function elementTypes(
  fields: FieldTypes,
  types: Set<ScalarType> = new Set(),
): Set<ScalarType> {
  for (let type of Object.values(fields)) {
    if (typeof type === "object" && type.kind === "array") type = type.element;
    if (typeof type === "object" && type.kind === "record") elementTypes(type.fields, types);
    else types.add(isScalarType(type) && type !== "bool" ? type : "u8");
  }
  return types;
}
