/**
 * Names of slots: which are allowed, and how they lie in a table entry.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { MAX_NAME_BYTES } from "./layout.ts";

/** Whitespace, control characters, the slash, and halves of surrogate pairs. */
const FORBIDDEN = /[\s/\p{Cc}\p{Cs}]/u;

/**
 * The bytes of a name in UTF-8.
 *
 * @throws {TypeError} If it is no string, or has a character that no name has.
 * @throws {RangeError} If it is empty or too long.
 */
export function checkName(action: string, name: string): number {
  if (typeof name !== "string") {
    throw new TypeError(`Cannot ${action} as 'name' must be a string: received ${describe(name)}`);
  }
  if (FORBIDDEN.test(name)) {
    throw new TypeError(
      `Cannot ${action} as 'name' must have no whitespace, control character or slash: received ${
        describe(name)
      }`,
    );
  }
  const byteLength = utf8Length(name);
  if (byteLength >= 1 && byteLength <= MAX_NAME_BYTES) return byteLength;
  throw new RangeError(
    `Cannot ${action} as 'name' must have 1 to ${MAX_NAME_BYTES} bytes in UTF-8: received ${byteLength}, ${
      describe(name)
    }`,
  );
}

function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}
