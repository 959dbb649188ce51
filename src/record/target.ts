/**
 * Where records are: the bytes that a caller hands in.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { RecordTarget } from "./types.ts";

/**
 * The bytes of a target.
 *
 * @throws {TypeError} If it is neither a memory, nor a buffer, nor a view of one.
 */
export function bytesOf(target: RecordTarget): DataView {
  if (isBuffer(target)) return new DataView(target);
  const { buffer, byteOffset = 0, byteLength } = target ?? {};
  if (isBuffer(buffer) && typeof byteLength === "number") {
    return new DataView(buffer, byteOffset, byteLength);
  }
  throw new TypeError(
    "Cannot view record as its target must be a Memory, a buffer, or a view of one such as a " +
      `Uint8Array: received ${describe(target)}`,
  );
}

/** By its name, since `instanceof` fails across realms and under a checker. */
function isBuffer(value: unknown): value is ArrayBufferLike {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object SharedArrayBuffer]" || tag === "[object ArrayBuffer]";
}
