/**
 * The types of views of records.
 *
 * @module
 */

import type { BytesView } from "./bytes_view.ts";
import type { Flyweight } from "./flyweight.ts";
import type { RecordsView } from "./records_view.ts";
import type { ScalarsView } from "./scalars_view.ts";
import type {
  ArrayType,
  BytesType,
  FieldType,
  FieldTypes,
  NestedType,
  ScalarType,
  ScalarValue,
  TextType,
} from "./types.ts";

/** What a view has for a field. */
export type FieldView<Type extends FieldType> = Type extends ScalarType ? ScalarValue<Type>
  : Type extends TextType ? string
  : Type extends BytesType ? BytesView
  : Type extends ArrayType<infer Element> ? ElementsView<Element>
  : Type extends NestedType<infer Fields> ? NestedView<Fields>
  : never;

/** What a view has for a field that is an array. */
export type ElementsView<Element> = Element extends ScalarType ? ScalarsView<Element>
  : Element extends NestedType<infer Fields> ? RecordsView<NestedView<Fields>>
  : never;

/** The fields of a record as a view has them: in place, and moving along with it. */
export type NestedView<Fields extends FieldTypes> =
  & {
    -readonly [
      Name in keyof Fields as Fields[Name] extends ScalarType | TextType ? Name : never
    ]: FieldView<Fields[Name]>;
  }
  & {
    readonly [
      Name in keyof Fields as Fields[Name] extends ScalarType | TextType ? never : Name
    ]: FieldView<Fields[Name]>;
  };

/** A view of a record that can be moved: its fields in place, and {@link Flyweight.moveTo}. */
export type FlyweightOf<Fields extends FieldTypes> = Flyweight & NestedView<Fields>;
