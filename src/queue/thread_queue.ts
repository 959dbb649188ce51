/**
 * One thread's end of a flush queue: the shared words, and which writers it has yet to flush.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";
import { FLUSHED, type Shape, SLEEPING } from "./layout.ts";

/** A writer of this thread, as the end of the queue sees it. */
export interface Flushable {
  /** Which writer of the queue it is. */
  readonly index: number;
  /** Whether it is to be flushed; kept by the end of the queue. */
  isDirty: boolean;
  /** Marks in shared memory all messages that have ended. */
  publish(): void;
}

/** The shared words of a queue, and the writers of this thread that are to be flushed. */
export class QueueEnd {
  /** The memory that the queue lies in. */
  readonly memory: Memory;
  /** The words of the queue. */
  readonly words: Int32Array;
  /** What the queue is like. */
  readonly shape: Shape;
  /** This thread's end of the pool. */
  readonly pool: BufferPool;
  readonly #dirty: Flushable[] = [];
  /** How many of the rows are in use. */
  #dirtyCount = 0;

  /** Opens a queue whose words are `words`, of this shape, for the thread that `pool` is of. */
  constructor(memory: Memory, words: Int32Array, shape: Shape, pool: BufferPool) {
    this.memory = memory;
    this.words = words;
    this.shape = shape;
    this.pool = pool;
  }

  /** Notes that a writer is to be flushed. */
  add(writer: Flushable): void {
    writer.isDirty = true;
    this.#dirty[this.#dirtyCount++] = writer;
  }

  /** Hands all that writers of this thread have ended to the flusher. */
  flush(): void {
    const count = this.#dirtyCount;
    if (count === 0) return;
    let bits = 0;
    this.#dirtyCount = 0;
    for (let i = 0; i < count; i++) {
      const writer = this.#dirty[i]!;
      writer.isDirty = false;
      writer.publish();
      bits |= 1 << writer.index;
    }
    this.announce(bits);
  }

  /** Has the flusher look at writers that have a bit each here, once it gets to it. */
  announce(bits: number): void {
    // After the marks. Pairs with the flusher's exchange: that comes before, and the flusher will
    // find the bits the next time, or after, and it looks at the marks afterwards.
    const before = Atomics.or(this.words, FLUSHED, bits);
    // If there are bits beside, then who set them first wakes the flusher.
    if (before === SLEEPING) this.memory.notify(this.words, FLUSHED);
  }

  /** As {@link QueueEnd.announce}, and wakes the flusher in any case. */
  revisit(bits: number): void {
    Atomics.or(this.words, FLUSHED, bits);
    // Also if there are other bits: who set those may have died before it woke the flusher.
    this.memory.notify(this.words, FLUSHED);
  }
}
