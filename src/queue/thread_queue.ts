/**
 * One thread's view of a flush queue: the shared words, and the thread's writers that have
 * something to publish.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import type { BufferSource } from "../pool/buffer_source.ts";
import { FLUSHED, type FlushQueueLayout, SLEEPING } from "./layout.ts";

/** A writer of this thread, as the queue sees it. */
export interface DirtyWriter {
  /** The writer's number in the queue. */
  readonly index: number;
  /** Whether it has something to publish; maintained by {@link ThreadQueue}. */
  isDirty: boolean;
  /** Marks in shared memory all messages that have ended. */
  markEnded(): void;
}

/** One thread's view of a flush queue. */
export class ThreadQueue {
  /** The memory that the queue lies in. */
  readonly memory: Memory;
  /** The words of the queue. */
  readonly words: Int32Array;
  /** What is where in them. */
  readonly layout: FlushQueueLayout;
  /** This thread's part in the pool. */
  readonly pool: BufferSource;
  readonly #dirty: DirtyWriter[] = [];
  /** How many rows of the list are in use. */
  #dirtyCount = 0;

  /** Opens a queue for the thread that `pool` belongs to. */
  constructor(memory: Memory, words: Int32Array, layout: FlushQueueLayout, pool: BufferSource) {
    this.memory = memory;
    this.words = words;
    this.layout = layout;
    this.pool = pool;
  }

  /** Notes that a writer has something to publish. */
  markDirty(writer: DirtyWriter): void {
    writer.isDirty = true;
    this.#dirty[this.#dirtyCount++] = writer;
  }

  /** Publishes all messages that writers of this thread have ended. */
  publish(): void {
    const count = this.#dirtyCount;
    if (count === 0) return;
    let bits = 0;
    this.#dirtyCount = 0;
    for (let i = 0; i < count; i++) {
      const writer = this.#dirty[i]!;
      writer.isDirty = false;
      writer.markEnded();
      bits |= 1 << writer.index;
    }
    this.announce(bits);
  }

  /** Makes the flusher look at the writers that have a bit each in `bits`. */
  announce(bits: number): void {
    // After the marks. Pairs with the flusher's exchange: either that comes before, and the flusher
    // finds the bits the next time, or after, and it looks at the marks afterwards.
    const before = Atomics.or(this.words, FLUSHED, bits);
    // If other bits were set, the thread that set them first wakes the flusher.
    if (before === SLEEPING) this.memory.notify(this.words, FLUSHED);
  }

  /** As {@link ThreadQueue.announce}, and wakes the flusher in any case. */
  announceAndWake(bits: number): void {
    Atomics.or(this.words, FLUSHED, bits);
    // Also if other bits were set: the thread that set those may have died before it woke the
    // flusher.
    this.memory.notify(this.words, FLUSHED);
  }
}
