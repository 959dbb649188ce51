/**
 * One thread's end of the list by which writers tell the flusher that they have flushed.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import type { Buffers } from "./buffers.ts";
import { EMPTY, HEAD, NEXT, QUEUED, type Shape, SLEEPING } from "./flush_queue_layout.ts";

/** A writer of this thread, as the list sees it. */
export interface Flushable {
  /** Which writer of the queue it is. */
  readonly index: number;
  /** Whether it is in the thread's list of writers to flush; kept by the list. */
  isDirty: boolean;
  /** Marks in shared memory all messages that have ended. */
  publish(): void;
}

/** The shared words of a queue, and this thread's list of writers that it has yet to flush. */
export class FlushList {
  readonly #dirty: Flushable[] = [];
  /** How many of the rows of the list are in use. */
  #dirtyCount = 0;

  /** Opens a queue whose words are `words`, of this shape, for the thread that `pool` is of. */
  constructor(
    readonly memory: Memory,
    readonly words: Int32Array,
    readonly shape: Shape,
    readonly pool: Buffers,
  ) {}

  /** Adds a writer to the thread's list. */
  add(writer: Flushable): void {
    writer.isDirty = true;
    this.#dirty[this.#dirtyCount++] = writer;
  }

  /** Hands all writers of the thread's list to the flusher. */
  flush(): void {
    const count = this.#dirtyCount;
    if (count === 0) return;
    const { words, shape } = this;
    let last = -1;
    let head = EMPTY;
    this.#dirtyCount = 0;
    for (let i = 0; i < count; i++) {
      const writer = this.#dirty[i]!;
      writer.isDirty = false;
      writer.publish();
      const base = shape.writer(writer.index);
      // After the marks: if it finds the writer queued still, the flusher has yet to clear that,
      // and will look at the marks afterwards. Else pairs with that clearing: the link is ours.
      if (Atomics.exchange(words, base + QUEUED, 1) !== 0) continue;
      words[base + NEXT] = head;
      head = writer.index + 1;
      if (last < 0) last = base + NEXT;
    }
    if (last >= 0) this.#link(head, last);
  }

  /** Puts back a writer that the flusher has taken from the shared list. */
  link(writer: number): void {
    this.#link(writer + 1, this.shape.writer(writer) + NEXT);
  }

  /** Links a chain of writers to the shared list, in one step. */
  #link(head: number, last: number): void {
    const { words } = this;
    let found = EMPTY;
    for (;;) {
      words[last] = found > EMPTY ? found : EMPTY;
      // Publishes the links; pairs with the flusher's exchange, which takes the whole list, so a
      // head that has not changed is the same list.
      const seen = Atomics.compareExchange(words, HEAD, found, head);
      if (seen === found) break;
      found = seen;
    }
    if (found === SLEEPING) this.memory.notify(words, HEAD);
  }
}
