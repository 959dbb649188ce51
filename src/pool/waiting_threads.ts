/**
 * Which threads wait for a buffer: a word with a bit for each, as one of them sees it.
 *
 * It is a hint beside the queue of waiters, for those that have buffers: a plain look at it is all
 * that a release costs while nobody waits. Who serves waiters asks the queue.
 *
 * @module
 */

import { racyLoad } from "../memory/memory.ts";
import { WAITING } from "./layout.ts";

/** Which threads of a pool wait. */
export class WaitingThreads {
  readonly #words: Int32Array;
  /** The bit of this thread. */
  readonly #bit: number;

  /**
   * Opens the word of a pool.
   *
   * @param words All words of the region.
   */
  constructor(words: Int32Array, thread: number) {
    this.#words = words;
    this.#bit = 1 << thread;
  }

  /** Whether a thread seems to wait; a plain look, which may come too early or too late. */
  get hasWaiterHint(): boolean {
    return racyLoad(this.#words, WAITING) !== 0;
  }

  /** Whether a thread other than this one waits, or is about to. */
  get hasOtherWaiter(): boolean {
    return (Atomics.load(this.#words, WAITING) & ~this.#bit) !== 0;
  }

  /** The bits of those that wait. */
  get bits(): number {
    return Atomics.load(this.#words, WAITING);
  }

  /** This thread is about to wait: others do not keep what they release from now on. */
  join(): void {
    Atomics.or(this.#words, WAITING, this.#bit);
  }

  /** This thread waits no longer. */
  leave(): void {
    Atomics.and(this.#words, WAITING, ~this.#bit);
  }

  /** A thread has died, and waits no longer. */
  remove(dead: number): void {
    Atomics.and(this.#words, WAITING, ~(1 << dead));
  }
}
