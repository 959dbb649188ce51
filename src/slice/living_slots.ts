/**
 * The one word that says which slots of a block have a living slice: a bit for each.
 *
 * Its changes are read-modify-writes alone, so each happens before the next, and before every look
 * that finds it or a later one. That makes a slot safe to reuse: the thread that had the slice
 * accessed it before it cleared the bit, and the owner looks before it writes there.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import { LIVING } from "./layout.ts";

// A local copy for the hot path: an imported binding is loaded at each use.
const INDEX = LIVING;

/** The slots of one block that have a living slice. */
export class LivingSlots {
  readonly #words: Int32Array;

  /** Opens the word of a pool. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** A bit for each slot that has a living slice. */
  load(): number {
    // Pairs with `remove`: finds the bit of a slot clear only after the last access to its slice.
    return Atomics.load(this.#words, INDEX);
  }

  /** As {@link LivingSlots.load}, but perhaps an old value: to see whether a look is worthwhile. */
  get hint(): number {
    return racyLoad(this.#words, INDEX);
  }

  /** Notes that the slice of a slot was taken. */
  add(slot: number): void {
    // A read-modify-write, so that it neither loses a release nor breaks the chain of them.
    Atomics.or(this.#words, INDEX, 1 << slot);
  }

  /** Notes that the slice of a slot was released: the last thing that its thread does with it. */
  remove(slot: number): void {
    // Pairs with the owner's `load`: our accesses to the bytes come before it reuses them.
    Atomics.and(this.#words, INDEX, ~(1 << slot));
  }
}

/** How many bits of a word are set. */
export function countBits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
