/**
 * Messages that show whether they arrived whole.
 *
 * @module
 */

import type { BroadcastReader } from "@busbar/busbar/broadcast";

/** A message of `length` bytes, each of which depends on `number`. */
export function numbered(number: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => number * 31 + i * 7);
}

/** Everything that is published, as copies. */
export function take(reader: BroadcastReader): Uint8Array[] {
  const messages: Uint8Array[] = [];
  while (reader.poll()) {
    while (reader.next()) messages.push(reader.message().slice());
  }
  return messages;
}

/** The minimum size of a message of {@link fillChecked}. */
export const CHECKED_MIN_BYTES = 8;

/**
 * Fills `bytes` from `offset` to `end` with a message that names its number and carries a checksum.
 * The bytes depend on the number, so that a mixture of two messages is detected.
 */
export function fillChecked(
  bytes: Uint8Array,
  offset: number,
  end: number,
  number: number,
): void {
  for (let i = 0; i < 4; i++) bytes[offset + i] = number >>> (8 * i);
  let state = Math.imul(number, 0x9e3779b1) | 1;
  for (let i = offset + CHECKED_MIN_BYTES; i < end; i++) {
    state = Math.imul(state, 0x01000193) ^ i - offset;
    bytes[i] = state >>> 13;
  }
  const sum = checksum(bytes, offset, end);
  for (let i = 0; i < 4; i++) bytes[offset + 4 + i] = sum >>> (8 * i);
}

/** The number of a message of {@link fillChecked}, or -1 if it is not whole. */
export function readChecked(bytes: Uint8Array, offset: number, end: number): number {
  if (end - offset < CHECKED_MIN_BYTES) return -1;
  const word = (at: number) =>
    (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
  return checksum(bytes, offset, end) === word(offset + 4) ? word(offset) : -1;
}

/** FNV-1a over a message of {@link fillChecked}, without the sum itself, and its length. */
function checksum(bytes: Uint8Array, offset: number, end: number): number {
  let sum = 0x811c9dc5 ^ (end - offset);
  for (let i = offset; i < offset + 4; i++) sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
  for (let i = offset + CHECKED_MIN_BYTES; i < end; i++) {
    sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
  }
  return sum >>> 0;
}
