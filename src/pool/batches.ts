/**
 * Which buffers are taken: the batches of a pool, as one thread sees them. Each method is one step
 * of the protocol that is described at the head of `buffer_pool.ts`.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import { racyLoad } from "../memory/memory.ts";
import type { Holds } from "./holds.ts";
import {
  type BufferPoolLayout,
  DYING,
  STATE,
  STATE_MASK,
  TAKER_MASK,
  TAKER_SHIFT,
  threadLine,
} from "./layout.ts";

/** In place of a taker: none. */
const NO_TAKER = -1;
/** How often a reclaimer looks whether the taker of a batch is done; some 30 ms. */
const MAX_SPINS = 1_000_000;

/** The batches of a pool, as one thread sees them. */
export class Batches {
  /** How many there are. */
  readonly count: number;
  /** The buffers of each. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #holds: Holds;
  /** The word of batch 0. */
  readonly #start: number;
  /** The taken bits of a batch of which all buffers are taken. */
  readonly #all: number;
  /** This thread as taker. */
  readonly #taker: number;
  /** The batch at which the next search begins. */
  #next: number;

  /**
   * Opens the batches of a pool.
   *
   * @param words All words of the region.
   * @param holds The holds, as the same thread sees them.
   */
  constructor(words: Int32Array, layout: BufferPoolLayout, holds: Holds) {
    this.count = layout.batchCount;
    this.size = layout.buffersPerBatch;
    this.#words = words;
    this.#holds = holds;
    this.#start = layout.batchWords;
    this.#all = (1 << layout.buffersPerBatch) - 1;
    this.#taker = (holds.thread + 1) << TAKER_SHIFT;
    // Threads start at different batches to reduce contention.
    this.#next = Math.floor(layout.batchCount * holds.thread / layout.threads);
  }

  /** The batch of a buffer. */
  batchOf(buffer: number): number {
    return Math.floor(buffer / this.size);
  }

  /** The taken bit of a buffer in the word of its batch. */
  takenBit(buffer: number): number {
    return 1 << buffer % this.size;
  }

  /**
   * Takes all free buffers of some batch: this thread is their holder. It looks for one with plain
   * loads, so it may overlook buffers that another thread has just given back.
   *
   * @param into Where to write the numbers of the buffers.
   * @param at Where in it to begin.
   * @returns How many there are; 0 if no batch seems to have any.
   */
  take(into: Int32Array, at: number): number {
    for (let i = 0; i < this.count; i++) {
      const batch = this.#advance();
      const word = racyLoad(this.#words, this.#start + batch);
      const count = this.#takeFrom(batch, word, into, at);
      if (count > 0) return count;
    }
    return 0;
  }

  /**
   * As {@link Batches.take}, but looks with atomic loads: it overlooks no buffer that was given
   * back before the call, unless the batch has a taker just now.
   */
  takeAtomically(into: Int32Array, at: number): number {
    for (let i = 0; i < this.count; i++) {
      const batch = this.#advance();
      const word = Atomics.load(this.#words, this.#start + batch);
      const count = this.#takeFrom(batch, word, into, at);
      if (count > 0) return count;
    }
    return 0;
  }

  /** Makes buffers of a batch free, all of which only this thread has. */
  giveBack(batch: number, takenBits: number): void {
    // Publishes what we did with them to the thread that takes them next.
    Atomics.and(this.#words, this.#start + batch, ~takenBits);
  }

  /** Makes a buffer free that only this thread has. */
  giveBackOne(buffer: number): void {
    this.giveBack(this.batchOf(buffer), this.takenBit(buffer));
  }

  /** How many buffers are free; an estimate, as the batches are read one after the other. */
  countFree(): number {
    let free = this.count * this.size;
    for (let batch = 0; batch < this.count; batch++) {
      free -= countBits(Atomics.load(this.#words, this.#start + batch) & this.#all);
    }
    return free;
  }

  /**
   * Takes back what a dead thread has of a batch, and what is offered in it.
   *
   * @param reclaimsDetached Whether to take back also the buffers that the dead thread has sealed
   * and no thread has adopted.
   * @returns How many buffers became free.
   * @throws {Error} If another thread remains the taker of the batch.
   */
  reclaim(batch: number, dead: number, reclaimsDetached: boolean): number {
    let freed = 0;
    const index = this.#start + batch;
    const first = batch * this.size;
    for (let bits = this.#becomeTaker(batch, dead); bits !== 0; bits &= bits - 1) {
      const bit = bits & -bits;
      const buffer = first + 31 - Math.clz32(bit);
      if (this.#holds.reclaim(buffer, dead, reclaimsDetached)) freed |= bit;
    }
    // Publishes what we know of these buffers to the thread that takes them next; and we are no
    // longer the taker.
    const before = Atomics.and(this.#words, index, ~(freed | TAKER_MASK));
    assertState((before & freed) === freed, `the reclaimed buffers of batch ${batch} to be taken`);
    return countBits(freed);
  }

  /**
   * Becomes the taker of a batch, so that its free buffers remain free, and no other thread writes
   * their holds.
   *
   * @returns Which of its buffers are taken.
   */
  #becomeTaker(batch: number, dead: number): number {
    const index = this.#start + batch;
    for (let spins = 0; spins < MAX_SPINS; spins++) {
      const word = Atomics.load(this.#words, index);
      const taker = takerOf(word);
      if (taker !== NO_TAKER && taker !== this.#holds.thread && !this.#isDying(taker)) {
        Atomics.pause?.();
        continue;
      }
      const barred = (word & ~TAKER_MASK) | this.#taker;
      // Replaces a dead taker: it has not set the taken bits, so it has taken nothing.
      if (Atomics.compareExchange(this.#words, index, word, barred) === word) {
        return word & this.#all;
      }
    }
    const taker = takerOf(Atomics.load(this.#words, index));
    throw new Error(
      `Cannot reclaim thread ${dead} as thread ${taker} still holds a batch: if it is dead too, reclaim it first`,
    );
  }

  #isDying(thread: number): boolean {
    return (Atomics.load(this.#words, threadLine(thread) + STATE) & STATE_MASK) === DYING;
  }

  /** The batch at which to look; the next look is at the one after it. */
  #advance(): number {
    const batch = this.#next;
    this.#next = batch + 1 === this.count ? 0 : batch + 1;
    return batch;
  }

  /** Takes what is free of one batch, whose word was seen to be `word`. */
  #takeFrom(batch: number, word: number, into: Int32Array, at: number): number {
    const index = this.#start + batch;
    const all = this.#all;
    for (;;) {
      if ((word & TAKER_MASK) !== 0 || (word & all) === all) return 0;
      // From here on no other thread takes. Pairs with giveBack: we see what was done with the
      // buffers before.
      const found = Atomics.compareExchange(this.#words, index, word, word | this.#taker);
      if (found === word) break;
      word = found;
    }
    const free = ~word & all;
    const first = batch * this.size;
    let end = at;
    for (let bits = free; bits !== 0; bits &= bits - 1) {
      const buffer = first + 31 - Math.clz32(bits & -bits);
      this.#holds.own(buffer);
      into[end++] = buffer;
    }
    // Publishes the holds together with the taken bits, which were 0, and clears the taker, which
    // we were.
    const before = Atomics.xor(this.#words, index, free | this.#taker);
    assertState((before & (TAKER_MASK | free)) === this.#taker, "one taker of a batch at a time");
    return end - at;
  }
}

/** The taker of a batch with this word, or {@link NO_TAKER}. */
function takerOf(word: number): number {
  return ((word & TAKER_MASK) >>> TAKER_SHIFT) - 1;
}

/** How many bits are set. */
function countBits(bits: number): number {
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count++;
  return count;
}
