/**
 * Records of named, typed fields in a fixed layout, in any bytes that threads share.
 *
 * @module
 */

export type { BytesView } from "./bytes_view.ts";
export { array, bytes, utf8 } from "./field_types.ts";
export type { Flyweight } from "./flyweight.ts";
export type { FieldLayout } from "./layout.ts";
export {
  defineRecord,
  type RecordHandle,
  type RecordInput,
  RecordType,
  type RecordValue,
  type RecordView,
} from "./record_type.ts";
export type { RecordsView } from "./records_view.ts";
export type { ScalarsView } from "./scalars_view.ts";
export type {
  ArrayType,
  BigIntType,
  BytesType,
  ElementType,
  FieldInput,
  FieldInputs,
  FieldType,
  FieldTypes,
  FieldValue,
  FieldValues,
  NestedType,
  NumberType,
  RecordTarget,
  ScalarType,
  ScalarValue,
  TextType,
} from "./types.ts";
export type { ElementsView, FieldView, FlyweightOf, NestedView } from "./views.ts";
