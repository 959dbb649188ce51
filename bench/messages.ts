/**
 * The contents of the messages of the benches: each carries its number, and receivers sum the
 * numbers up, so that a lost or damaged message is noticed.
 *
 * @module
 */

/** Writes the low 16 bits of a number to the first bytes of a message. */
export function putNumber(bytes: Uint8Array, offset: number, number: number): void {
  bytes[offset] = number;
  bytes[offset + 1] = number >> 8;
}

/** Adds the number of a message to a sum. */
export function addNumber(sum: number, bytes: Uint8Array, offset: number): number {
  return (sum + bytes[offset]! + (bytes[offset + 1]! << 8)) | 0;
}

/** The sum of the numbers from 0, of which each message carries the bits of a mask. */
export function expectedSum(messages: number, mask = 0xffff): number {
  let sum = 0;
  for (let i = 0; i < messages; i++) sum = (sum + (i & mask)) | 0;
  return sum;
}

/** Throws unless a sum is as expected. */
export function checkSum(name: string, expected: number, received: number): void {
  if (received === expected) return;
  throw new Error(`${name}: expected the sum ${expected}, received ${received}`);
}

/** The same bytes as words. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}
