/**
 * What every shared layout is made with: cache lines and alignment.
 *
 * Each layout names its words in a descriptor of its own, and no other file writes a bare number as
 * an offset. Words that different threads write lie on different cache lines.
 *
 * @module
 */

/** The size of a cache line: words that different threads write are this far apart. */
export const CACHE_LINE_BYTES = 64;

/** {@link CACHE_LINE_BYTES} in 32-bit words. */
export const CACHE_LINE_WORDS: number = CACHE_LINE_BYTES / Int32Array.BYTES_PER_ELEMENT;

/** Rounds `value` up to a multiple of `alignment`, which must be a power of two. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Says whether `value` is a power of two from 1 to 2^31. */
export function isPowerOfTwo(value: number): boolean {
  return value >>> 0 === value && value !== 0 && (value & (value - 1)) === 0;
}
