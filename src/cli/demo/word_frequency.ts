/**
 * Finds the most frequent words, in memory that is bounded.
 *
 * A word is a run of ASCII letters and digits and of all bytes beyond ASCII, so of the letters of
 * other scripts, too. Capitals count as small letters. Of a longer word the first 64 bytes count.
 * Words are told apart as bytes, since making a string of each would take most of the time.
 *
 * @module
 */

import { mostFrequent } from "./most_frequent.ts";
import type { FrequencyResult, Task } from "./task.ts";

/** How many bytes of a word tell it from others. */
const WORD_BYTES = 64;
/** How many different words are told apart; those found later are counted as one. */
const MAX_WORDS: number = 2 ** 20;

/** For each byte: what it counts as in a word, or 0 if it is in none. */
const FOLDED: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return byte >= 0x80 || /[0-9a-z]/.test(character)
    ? byte
    : /[A-Z]/.test(character)
    ? byte | 0x20
    : 0;
});

// FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
const HASH_START = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/** Counts words. */
export class WordFrequency implements Task {
  readonly #words = new WordTable();
  /** The present word, which may go on in the next message. */
  readonly #word = new Uint8Array(WORD_BYTES);
  #length = 0;
  #hash = HASH_START;

  take(bytes: Uint8Array, offset: number, end: number): void {
    const folded = FOLDED;
    const word = this.#word;
    let length = this.#length;
    let hash = this.#hash;
    for (let i = offset; i < end; i++) {
      const byte = folded[bytes[i]!]!;
      if (byte !== 0) {
        if (length === WORD_BYTES) continue;
        word[length++] = byte;
        hash = Math.imul(hash ^ byte, HASH_PRIME);
      } else if (length !== 0) {
        this.#words.count(word, length, hash);
        length = 0;
        hash = HASH_START;
      }
    }
    this.#length = length;
    this.#hash = hash;
  }

  skip(): void {
    this.#length = 0;
    this.#hash = HASH_START;
  }

  result(): FrequencyResult {
    if (this.#length !== 0) this.#words.count(this.#word, this.#length, this.#hash);
    this.skip();
    return this.#words.result();
  }
}

/**
 * Counts of words, found by hash: open addressing with linear probing, at most half full.
 *
 * Words stand one behind the other in one array, and their counts in another.
 */
class WordTable {
  /** For each slot: the number of its word plus one, or 0. */
  #slots = new Int32Array(2 ** 12);
  /** For each word: its hash. */
  #hashes = new Int32Array(2 ** 11);
  /** For each word: where it begins; one more tells where the last ends. */
  #starts = new Int32Array(2 ** 11 + 1);
  /** For each word: how often it was found. */
  #counts = new Float64Array(2 ** 11);
  #bytes = new Uint8Array(2 ** 15);
  #size = 0;
  /** How many words were found after {@link MAX_WORDS} different ones. */
  #others = 0;

  /** Counts the word in the first `length` bytes of `word`. */
  count(word: Uint8Array, length: number, hash: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = firstSlot(hash, slots.length);
    for (let found = slots[slot]!; found !== 0; found = slots[slot]!) {
      if (this.#hashes[found - 1] === hash && this.#equals(found - 1, word, length)) {
        this.#counts[found - 1]!++;
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#add(slot, word, length, hash);
  }

  result(): FrequencyResult {
    const decoder = new TextDecoder();
    const nameOf = (index: number) =>
      decoder.decode(this.#bytes.subarray(this.#starts[index], this.#starts[index + 1]));
    const counted = mostFrequent(this.#counts.subarray(0, this.#size), nameOf);
    return { kind: "words", ...counted, total: counted.total + this.#others };
  }

  #equals(index: number, word: Uint8Array, length: number): boolean {
    const start = this.#starts[index]!;
    if (this.#starts[index + 1]! - start !== length) return false;
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) {
      if (bytes[start + i] !== word[i]) return false;
    }
    return true;
  }

  #add(slot: number, word: Uint8Array, length: number, hash: number): void {
    if (this.#size === MAX_WORDS) {
      this.#others++;
      return;
    }
    const index = this.#size++;
    const start = this.#starts[index]!;
    if (start + WORD_BYTES > this.#bytes.length) {
      this.#bytes = new Uint8Array(doubled(this.#bytes));
    }
    for (let i = 0; i < length; i++) this.#bytes[start + i] = word[i]!;
    this.#starts[index + 1] = start + length;
    this.#hashes[index] = hash;
    this.#counts[index] = 1;
    this.#slots[slot] = index + 1;
    if (this.#size === this.#counts.length) this.#grow();
  }

  /** Makes room for twice as many words. */
  #grow(): void {
    this.#hashes = new Int32Array(doubled(this.#hashes));
    this.#starts = new Int32Array(doubled(this.#starts));
    this.#counts = new Float64Array(doubled(this.#counts));
    const slots = new Int32Array(2 * this.#slots.length);
    for (let index = 0; index < this.#size; index++) {
      let slot = firstSlot(this.#hashes[index]!, slots.length);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = index + 1;
    }
    this.#slots = slots;
  }
}

/** The slot at which the search for a word begins, of a power of two of slots. */
function firstSlot(hash: number, slots: number): number {
  // The low bits of the hash of a short word differ little.
  return (hash ^ (hash >>> 15)) & (slots - 1);
}

/** The memory of `array`, twice as long. */
function doubled(array: ArrayBufferView<ArrayBuffer>): ArrayBuffer {
  return array.buffer.transfer(2 * array.byteLength);
}
