/**
 * Reads a source block by block.
 *
 * @module
 */

import type { OpenSource } from "./source.ts";

/** Reads a source block by block; what was not used of a block comes first in the next. */
export class BlockReader {
  readonly #input: OpenSource;
  readonly #block: Uint8Array<ArrayBuffer>;
  #end = 0;
  #total = 0;
  #isLast = false;

  /** Makes a reader of blocks of up to `blockBytes`. */
  constructor(input: OpenSource, blockBytes: number) {
    this.#input = input;
    this.#block = new Uint8Array(blockBytes);
  }

  /** The block: its first {@link BlockReader.end} bytes. */
  get block(): Uint8Array {
    return this.#block;
  }

  /** How many bytes the block has. */
  get end(): number {
    return this.#end;
  }

  /** Whether the source ends with this block. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** How many bytes were read in all. */
  get total(): number {
    return this.#total;
  }

  /**
   * Reads the next block.
   *
   * @param used How many bytes of this one are not needed any more; at least one if it is full.
   * @returns Whether there is one.
   */
  next(used: number): boolean {
    if (this.#isLast) return false;
    this.#block.copyWithin(0, used, this.#end);
    this.#end -= used;
    const read = this.#input.readSync(this.#block.subarray(this.#end)) ?? 0;
    this.#end += read;
    this.#total += read;
    this.#isLast = read === 0;
    return this.#end > 0;
  }
}
