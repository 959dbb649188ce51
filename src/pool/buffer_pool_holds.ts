/**
 * Which buffers of a pool are taken and who has them: the shared words, as one thread sees them.
 *
 * A buffer is *free*, or it is *taken* and its hold says by whom. The taken bit decides: the hold of
 * a free buffer means nothing.
 *
 *     word      its value, and who changes it
 *     batch     bits 0 to 23: which of its buffers are taken. Bits 24 to 28, the taker: who is
 *               about to take, and alone may; 0 if nobody. Read-modify-written only
 *     hold      a bit for each thread that has the buffer. Written by the taker while the buffer
 *               is free, then by who has it
 *
 * **Taking** is by the batch: a thread sets itself as taker by compareExchange, writes its bit into
 * the hold of each free buffer, and with one exclusive-or sets their taken bits and takes itself
 * away. A batch that has a taker is passed over by other takers.
 *
 * **Giving back** is one `and` that clears the taken bits of any buffers of a batch, whoever takes.
 *
 * **Happens before.** All changes of a batch's word are read-modify-writes, so what was done with a
 * buffer before it was given back happens before what is done with it after it was taken.
 *
 * **A thread that dies** at any instruction: until its exclusive-or it has taken nothing, and what
 * remains of the attempt is that it is the taker; from then on its bit stands in the holds of all
 * it has, until the very operation that gives them back.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import { beginSpeculation, endSpeculation } from "../memory/observer.ts";
import { placesOf, type Shape, TAKER_SHIFT, threadLine, WAITING } from "./buffer_pool_layout.ts";

/** The shared words of a pool, as one thread sees them. */
export class Holds {
  /** All words of the region. */
  readonly words: Int32Array;
  /** The first word of this thread's line. */
  readonly line: number;
  /** This thread's bit in holds. */
  readonly bit: number;
  /** The word of batch 0. */
  readonly #batches: number;
  /** The hold of buffer 0. */
  readonly #holds: number;
  readonly #batchCount: number;
  readonly #batchSize: number;
  /** The taken bits of a batch of which all buffers are. */
  readonly #all: number;
  /** This thread as taker. */
  readonly #taker: number;
  /** The batch at which the next search begins. */
  #next: number;

  /** Opens the words of the pool that begins at `byteOffset`. */
  constructor(memory: Memory, byteOffset: number, shape: Shape, thread: number) {
    const { batches, holds, data } = placesOf(shape);
    this.words = new Int32Array(memory.buffer, byteOffset, data);
    this.line = threadLine(thread);
    this.bit = 1 << thread;
    this.#batches = batches;
    this.#holds = holds;
    this.#batchCount = shape.batchCount;
    this.#batchSize = shape.batchSize;
    this.#all = (1 << shape.batchSize) - 1;
    this.#taker = (thread + 1) << TAKER_SHIFT;
    // Threads begin apart, so as to meet seldom.
    this.#next = Math.floor(shape.batchCount * thread / shape.threads);
  }

  /** The batch of a buffer. */
  batchOf(buffer: number): number {
    return Math.floor(buffer / this.#batchSize);
  }

  /** The taken bit of a buffer in the word of its batch. */
  takenBit(buffer: number): number {
    return 1 << buffer % this.#batchSize;
  }

  /**
   * Takes all buffers that are free in some batch.
   *
   * @param into Where to write their numbers, from its start.
   * @param isLookSure Whether nothing that was given back before may be overlooked, even if no
   * other event tells that it was.
   * @returns How many there are; 0 if no batch has any.
   */
  takeBatch(into: Int32Array, isLookSure: boolean): number {
    for (let i = 0; i < this.#batchCount; i++) {
      const batch = this.#next;
      this.#next = batch + 1 === this.#batchCount ? 0 : batch + 1;
      const word = isLookSure
        ? Atomics.load(this.words, this.#batches + batch)
        : this.#glanceAt(this.#batches + batch);
      const count = this.#take(batch, word, into);
      if (count > 0) return count;
    }
    return 0;
  }

  /** Makes buffers of a batch free, all of which only this thread has. */
  giveBack(batch: number, takenBits: number): void {
    // Publishes what we did with them to who takes them next.
    Atomics.and(this.words, this.#batches + batch, ~takenBits);
  }

  /** How many buffers are free. */
  countFree(): number {
    let count = 0;
    for (let batch = 0; batch < this.#batchCount; batch++) {
      const taken = Atomics.load(this.words, this.#batches + batch) & this.#all;
      count += this.#batchSize - countBits(taken);
    }
    return count;
  }

  /** The threads that wait, a bit each. */
  waiting(): number {
    return Atomics.load(this.words, WAITING);
  }

  /** Whether a thread seems to wait; a plain look, which may come too early or too late. */
  mayBeAwaited(): boolean {
    return this.#glanceAt(WAITING) !== 0;
  }

  /** Takes what is free of one batch, whose word was seen to be `word`. */
  #take(batch: number, word: number, into: Int32Array): number {
    const index = this.#batches + batch;
    const all = this.#all;
    for (;;) {
      if (word >>> TAKER_SHIFT !== 0 || (word & all) === all) return 0;
      // From here on nobody else takes. Pairs with whoever gave back: what they did is done.
      const found = Atomics.compareExchange(this.words, index, word, word | this.#taker);
      if (found === word) break;
      word = found;
    }
    const free = ~word & all;
    const first = batch * this.#batchSize;
    let count = 0;
    for (let bits = free; bits !== 0; bits &= bits - 1) {
      const buffer = first + 31 - Math.clz32(bits & -bits);
      // Plain: the buffer is free, so nobody but the taker looks at its hold.
      this.words[this.#holds + buffer] = this.bit;
      into[count++] = buffer;
    }
    // Publishes the holds, with the taken bits. Those were 0, and the taker was us.
    Atomics.xor(this.words, index, free | this.#taker);
    return count;
  }

  /** Reads a word plainly; what it says must be confirmed. */
  #glanceAt(index: number): number {
    beginSpeculation();
    const word = this.words[index]!;
    endSpeculation(false);
    return word;
  }
}

/** How many bits are set. */
function countBits(bits: number): number {
  let count = 0;
  for (; bits !== 0; bits &= bits - 1) count++;
  return count;
}
