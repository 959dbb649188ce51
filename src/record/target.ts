/**
 * Where records are: the bytes that a caller hands in, and typed arrays over them.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { RecordTarget, ScalarType } from "./types.ts";

/** Typed arrays over a whole buffer; those that no field needs are undefined. */
export interface Elements {
  readonly i8: Int8Array | undefined;
  readonly u8: Uint8Array | undefined;
  readonly i16: Int16Array | undefined;
  readonly u16: Uint16Array | undefined;
  readonly i32: Int32Array | undefined;
  readonly u32: Uint32Array | undefined;
  readonly f32: Float32Array | undefined;
  readonly f64: Float64Array | undefined;
  readonly i64: BigInt64Array | undefined;
  readonly u64: BigUint64Array | undefined;
}

/** A stretch of a buffer. */
export interface Stretch {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** The largest offset in a buffer that views of records reach. */
const MAX_BYTE_OFFSET = 2 ** 32;

/**
 * The bytes of a target.
 *
 * @throws {TypeError} If it is neither a memory, nor a buffer, nor a view of one.
 * @throws {RangeError} If it ends beyond the first 4 GiB of a buffer.
 */
export function stretchOf(target: RecordTarget): Stretch {
  const stretch = isBuffer(target) ? { buffer: target, byteLength: target.byteLength } : target;
  const { buffer, byteOffset = 0, byteLength } = stretch ?? {};
  if (!isBuffer(buffer) || typeof byteLength !== "number") {
    throw new TypeError(
      "Cannot view record as its target must be a Memory, a buffer, or a view of one such as a " +
        `Uint8Array: received ${describe(target)}`,
    );
  }
  if (byteOffset + byteLength > MAX_BYTE_OFFSET) {
    throw new RangeError(
      `Cannot view record as its target must end within ${MAX_BYTE_OFFSET} bytes of its buffer: received one that ends at ${
        byteOffset + byteLength
      }`,
    );
  }
  return { buffer, byteOffset, byteLength };
}

/** By its name, since `instanceof` fails across realms and under a checker. */
function isBuffer(value: unknown): value is ArrayBufferLike {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object SharedArrayBuffer]" || tag === "[object ArrayBuffer]";
}

/** Typed arrays over a whole buffer, for these types. */
export function elementsOf(buffer: ArrayBufferLike, types: ReadonlySet<ScalarType>): Elements {
  // Each class is looked up when it is needed: a checker replaces them while it observes.
  const needs = (type: ScalarType) => types.has(type);
  const count = (bytes: number) => Math.floor(buffer.byteLength / bytes);
  return {
    i8: needs("i8") ? new Int8Array(buffer) : undefined,
    u8: needs("u8") ? new Uint8Array(buffer) : undefined,
    i16: needs("i16") ? new Int16Array(buffer, 0, count(2)) : undefined,
    u16: needs("u16") ? new Uint16Array(buffer, 0, count(2)) : undefined,
    i32: needs("i32") ? new Int32Array(buffer, 0, count(4)) : undefined,
    u32: needs("u32") ? new Uint32Array(buffer, 0, count(4)) : undefined,
    f32: needs("f32") ? new Float32Array(buffer, 0, count(4)) : undefined,
    f64: needs("f64") ? new Float64Array(buffer, 0, count(8)) : undefined,
    i64: needs("i64") ? new BigInt64Array(buffer, 0, count(8)) : undefined,
    u64: needs("u64") ? new BigUint64Array(buffer, 0, count(8)) : undefined,
  };
}
