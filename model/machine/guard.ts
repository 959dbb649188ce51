/**
 * What the bytes of a buffer should be: beside it, for comparing.
 *
 * @module
 */

import { Bytes, Words } from "../native.ts";

/** What the bytes of a buffer should be, as far as writes are reported. */
export class Guard {
  readonly #bytes: Uint8Array;
  readonly #expected: Uint8Array;
  /** Both in words, which are fewer; up to three bytes at the end are in none. */
  readonly #words: Int32Array;
  readonly #expectedWords: Int32Array;

  /** @param bytes The whole buffer. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#expected = new Bytes(bytes);
    this.#words = wordsOf(bytes);
    this.#expectedWords = wordsOf(this.#expected);
  }

  /** A range was written, or its writing was undone. */
  update(start: number, size: number): void {
    this.#expected.set(this.#bytes.subarray(start, start + size), start);
  }

  /** Undoes what was not reported. */
  restore(): void {
    this.#bytes.set(this.#expected);
  }

  /** The first byte that is not what it should be, or -1. */
  firstDifference(): number {
    const words = this.#words;
    const expected = this.#expectedWords;
    const { length } = expected;
    let word = 0;
    while (word < length && words[word] === expected[word]) word++;
    for (let i = word * 4; i < this.#bytes.length; i++) {
      if (this.#bytes[i] !== this.#expected[i]) return i;
    }
    return -1;
  }
}

function wordsOf({ buffer, length }: Uint8Array): Int32Array {
  return new (Words as unknown as Int32ArrayConstructor)(buffer, 0, length >> 2);
}
