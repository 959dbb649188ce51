/**
 * A source of bytes that are in memory.
 *
 * @module
 */

import type { Source } from "../../../src/cli/demo/records.ts";

/** A source of these bytes, which are read at most `readBytes` at a time. */
export function memorySource(bytes: Uint8Array, readBytes: () => number = () => Infinity): Source {
  let position = 0;
  return {
    readSync(target) {
      const end = Math.min(position + Math.min(target.length, readBytes()), bytes.length);
      if (end === position) return null;
      target.set(bytes.subarray(position, end));
      const read = end - position;
      position = end;
      return read;
    },
    seekSync(offset) {
      position = Number(offset);
      return position;
    },
  };
}

/** Bytes that look random, and are the same each time. */
export function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}
