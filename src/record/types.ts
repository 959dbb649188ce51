/**
 * The types of fields, and the types of the values that they hold.
 *
 * @module
 */

/** The scalar types whose values are numbers. */
export type NumberType = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "f32" | "f64";
/** The scalar types whose values are bigints. */
export type BigIntType = "i64" | "u64";
/** The types of single values of a fixed size; `bool` takes a byte. */
export type ScalarType = NumberType | BigIntType | "bool";

/** Text of a fixed room in bytes, made by {@link utf8}. */
export interface TextType {
  /** Tells it from other types. */
  readonly kind: "utf8";
  /** How many bytes the text may have, in UTF-8. */
  readonly byteLength: number;
}

/** A fixed number of bytes, made by {@link bytes}. */
export interface BytesType {
  /** Tells it from other types. */
  readonly kind: "bytes";
  /** How many bytes. */
  readonly byteLength: number;
}

/** A fixed number of equal elements, made by {@link array}. */
export interface ArrayType<Element extends ElementType = ElementType> {
  /** Tells it from other types. */
  readonly kind: "array";
  /** What each element is. */
  readonly element: Element;
  /** How many elements. */
  readonly length: number;
}

/** A record as the type of a field, or of the elements of an array. */
export interface NestedType<Fields extends FieldTypes = FieldTypes> {
  /** Tells it from other types. */
  readonly kind: "record";
  /** The fields and their types, in the order in which they lie. */
  readonly fields: Fields;
  /** The bytes of the record, a multiple of its alignment. */
  readonly byteLength: number;
  /** Where in memory it may lie: at multiples of this. */
  readonly alignment: number;
}

/** What the elements of an array may be. */
export type ElementType = ScalarType | NestedType;
/** What a field may be. */
export type FieldType = ScalarType | TextType | BytesType | ArrayType | NestedType;
/** The types of fields by their names, in the order in which they lie. */
export interface FieldTypes {
  /** The type of one field. */
  readonly [name: string]: FieldType;
}

/** What `read` returns for a scalar type. */
export type ScalarValue<Type extends ScalarType> = Type extends NumberType ? number
  : Type extends BigIntType ? bigint
  : boolean;

/** What `read` returns for a field. */
export type FieldValue<Type extends FieldType> = Type extends ScalarType ? ScalarValue<Type>
  : Type extends TextType ? string
  : Type extends BytesType ? Uint8Array<ArrayBuffer>
  : Type extends ArrayType<infer Element> ? FieldValue<Element>[]
  : Type extends NestedType<infer Fields> ? FieldValues<Fields>
  : never;

/** What `read` returns: a plain object. */
export type FieldValues<Fields extends FieldTypes> = {
  -readonly [Name in keyof Fields]: FieldValue<Fields[Name]>;
};

/** What `write` accepts for a field: what `read` returns, or the like. */
export type FieldInput<Type extends FieldType> = Type extends ScalarType ? ScalarValue<Type>
  : Type extends TextType ? string
  : Type extends BytesType ? Uint8Array
  : Type extends ArrayType<infer Element> ? ArrayLike<FieldInput<Element>>
  : Type extends NestedType<infer Fields> ? FieldInputs<Fields>
  : never;

/** What `write` accepts: an object with each of the fields, and no others. */
export type FieldInputs<Fields extends FieldTypes> = {
  readonly [Name in keyof Fields]: FieldInput<Fields[Name]>;
};

/**
 * What a record is read from or written to: a memory, a buffer, or a view of a part of one.
 * Offsets count from where it begins.
 */
export type RecordTarget = ArrayBufferLike | {
  /** The memory. */
  readonly buffer: ArrayBufferLike;
  /** Where in the buffer it begins; 0 by default. */
  readonly byteOffset?: number;
  /** Its bytes. */
  readonly byteLength: number;
};
