/**
 * The types of fields that are not scalars: fixed text, fixed bytes, and arrays.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import { isScalarType, SCALAR_NAMES } from "./scalars.ts";
import type { ArrayType, BytesType, ElementType, TextType } from "./types.ts";

/** The most bytes of a record. */
export const MAX_RECORD_BYTES: number = 2 ** 30;

/**
 * A field of text that takes up to `byteLength` bytes in UTF-8. Shorter text is followed by zeros,
 * so text cannot hold the character U+0000.
 *
 * @example Usage
 * ```ts
 * import { defineRecord, utf8 } from "@busbar/busbar";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const Tick = defineRecord({ symbol: utf8(8) });
 * const tick = Tick.view(new Uint8Array(Tick.byteLength));
 * tick.symbol = "BTC/€";
 * assertEquals(tick.symbol, "BTC/€");
 * assertThrows(() => tick.symbol = "BTC/€€", RangeError, "at most 8 bytes in UTF-8: received 10");
 * ```
 *
 * @throws {RangeError} If `byteLength` is not a whole number from 1 to 2^30.
 */
export function utf8(byteLength: number): TextType {
  checkInteger("define utf8", "byteLength", byteLength, 1, MAX_RECORD_BYTES);
  return Object.freeze({ kind: "utf8", byteLength });
}

/**
 * A field of exactly `byteLength` bytes.
 *
 * @example Usage
 * ```ts
 * import { bytes, defineRecord } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const Block = defineRecord({ digest: bytes(4) });
 * const block = Block.view(new Uint8Array(Block.byteLength));
 * block.digest.copyFrom(new Uint8Array([1, 2, 3, 4]));
 * assertEquals(block.digest.get(3), 4);
 * ```
 *
 * @throws {RangeError} If `byteLength` is not a whole number from 1 to 2^30.
 */
export function bytes(byteLength: number): BytesType {
  checkInteger("define bytes", "byteLength", byteLength, 1, MAX_RECORD_BYTES);
  return Object.freeze({ kind: "bytes", byteLength });
}

/**
 * A field of exactly `length` elements, which are scalars or records.
 *
 * @example Usage
 * ```ts
 * import { array, defineRecord } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const Level = defineRecord({ price: "f64", size: "u32" });
 * const Book = defineRecord({ totals: array("f64", 2), levels: array(Level, 5) });
 *
 * const book = Book.view(new Uint8Array(Book.byteLength));
 * book.totals.set(1, 0.5);
 * book.levels.get(4).price = 99.5;
 * assertEquals(Book.read(book).levels[4], { price: 99.5, size: 0 });
 * ```
 *
 * @throws {TypeError} If `element` is neither a scalar type nor a record.
 * @throws {RangeError} If `length` is not a whole number from 1 to 2^30.
 */
export function array<const Element extends ElementType>(
  element: Element,
  length: number,
): ArrayType<Element> {
  if (!isScalarType(element) && (element as { kind?: unknown } | null)?.kind !== "record") {
    throw new TypeError(
      `Cannot define array as 'element' must be one of ${SCALAR_NAMES}, or a record: received ${
        describe(element)
      }`,
    );
  }
  checkInteger("define array", "length", length, 1, MAX_RECORD_BYTES);
  return Object.freeze({ kind: "array", element, length });
}
