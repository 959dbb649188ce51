/**
 * Text in a fixed number of bytes, in UTF-8, followed by zeros.
 *
 * The encoders of the platform do not take shared memory, and an AudioWorklet has none.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { fieldError } from "./scalars.ts";

const REPLACEMENT = 0xfffd;

/**
 * The bytes of a text in UTF-8.
 *
 * @throws {TypeError} If it is no text, or has U+0000 or half of a surrogate pair in it.
 * @throws {RangeError} If it is too long.
 */
export function checkText(path: string, value: unknown, byteLength: number): void {
  if (typeof value !== "string") {
    throw fieldError(TypeError, path, "a string", describe(value));
  }
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const code = value.codePointAt(i)!;
    if (code === 0 || isSurrogate(code)) {
      throw fieldError(
        TypeError,
        path,
        "well-formed text without U+0000",
        `${describe(value)}, with U+${hex(code)} at ${i}`,
      );
    }
    if (code > 0xffff) i++;
    length += encodedLength(code);
  }
  if (length > byteLength) {
    throw fieldError(
      RangeError,
      path,
      `text of at most ${byteLength} bytes in UTF-8`,
      `${length} bytes, ${describe(value)}`,
    );
  }
}

/** Writes checked text, and zeros after it. */
export function storeText(
  bytes: DataView,
  start: number,
  byteLength: number,
  text: string,
): void {
  const end = start + byteLength;
  let at = start;
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i)!;
    if (code < 0x80) {
      bytes.setUint8(at++, code);
      continue;
    }
    const length = encodedLength(code);
    bytes.setUint8(at++, LEADING_BITS[length]! | (code >> (6 * (length - 1))));
    for (let rest = length - 2; rest >= 0; rest--) {
      bytes.setUint8(at++, 0x80 | ((code >> (6 * rest)) & 63));
    }
    if (code > 0xffff) i++;
  }
  while (at < end) bytes.setUint8(at++, 0);
}

/** Reads text up to the first zero; U+FFFD stands for what is not UTF-8. */
export function loadText(bytes: DataView, start: number, byteLength: number): string {
  const end = start + byteLength;
  let text = "";
  for (let at = start; at < end;) {
    const byte = bytes.getUint8(at);
    if (byte === 0) break;
    if (byte < 0x80) {
      text += String.fromCharCode(byte);
      at++;
      continue;
    }
    const length = byte < 0xc0 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 0;
    const code = at + length > end ? -1 : decode(bytes, at, length);
    const isWhole = code >= 0 && !isSurrogate(code) && code <= 0x10ffff &&
      encodedLength(code) === length;
    text += String.fromCodePoint(isWhole ? code : REPLACEMENT);
    at += isWhole ? length : 1;
  }
  return text;
}

/** The code point that takes `length` bytes from `at` on, or -1. */
function decode(bytes: DataView, at: number, length: number): number {
  if (length === 0) return -1;
  let code = bytes.getUint8(at) & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const byte = bytes.getUint8(at + i);
    if ((byte & 0xc0) !== 0x80) return -1;
    code = (code << 6) | (byte & 63);
  }
  return code;
}

/** The high bits of the first byte, by how many bytes there are. */
const LEADING_BITS = [0, 0, 0xc0, 0xe0, 0xf0];

function encodedLength(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, "0");
}
