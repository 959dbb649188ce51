/**
 * How one thread waits for buffers: in the waiter queue of the pool, whose values are the numbers
 * of buffers, and whose store holds the free ones.
 *
 * A buffer on its way to a waiter is *offered*: its hold says so, and the thread that receives its
 * number accepts it by compareExchange. That fails only if the buffer was reclaimed meanwhile, with
 * a dead thread; then the waiter continues to wait, behind the others.
 *
 * The store is weaker than the contract of stores in `value_store.ts`: threads begin their scans of
 * the batches at different places, so a take may overlook a buffer. The pool makes up for that, as
 * a thread that has a buffer serves waiters *in a loop*, until there is neither a waiter nor a free
 * buffer.
 *
 * @module
 */

import { type AsyncWaitOptions, Deadline, type WaitOptions } from "../memory/wait_options.ts";
import type { ThreadWaiters } from "../sync/thread_waiters.ts";
import type { ValueStore } from "../sync/value_store.ts";
import type { SharedState } from "./shared_state.ts";
import type { ThreadBuffers } from "./thread_buffers.ts";

/** One thread's waits for buffers. */
export class PoolWaiting {
  readonly #shared: SharedState;
  readonly #buffers: ThreadBuffers;
  /** This thread's part in the waiter queue, once it has waited. */
  #waiters: ThreadWaiters | undefined;
  /** How many tasks of this thread wait. */
  #count = 0;
  #isClosed = false;

  /** Waits for buffers on behalf of the thread that `buffers` belongs to. */
  constructor(shared: SharedState, buffers: ThreadBuffers) {
    this.#shared = shared;
    this.#buffers = buffers;
  }

  /** How many tasks of this thread wait. */
  get count(): number {
    return this.#count;
  }

  /** Blocks until there is a buffer; returns -1 if the time is over. */
  acquire(options: WaitOptions | undefined): number {
    const deadline = new Deadline(options);
    this.#begin();
    try {
      for (;;) {
        const buffer = this.#join().take({ timeoutMs: deadline.remainingMs });
        if (buffer === undefined) return -1;
        if (this.#buffers.accept(buffer)) return buffer;
      }
    } finally {
      this.#end();
    }
  }

  /** As {@link PoolWaiting.acquire}, without blocking. */
  async acquireAsync(options: AsyncWaitOptions | undefined): Promise<number> {
    const deadline = new Deadline(options);
    const signal = options?.signal;
    this.#begin();
    try {
      for (;;) {
        const rest = { signal, timeoutMs: deadline.remainingMs };
        const buffer = await this.#join().takeAsync(rest);
        if (buffer === undefined) return -1;
        if (this.#buffers.accept(buffer)) return buffer;
      }
    } finally {
      this.#end();
    }
  }

  /** Ends all waits of this thread with an error. */
  close(): void {
    this.#isClosed = true;
    this.#waiters?.close();
    if (this.#count > 0) this.#shared.waiting.leave();
  }

  /** Announces that this thread waits, so that others do not keep the buffers that they release. */
  #begin(): void {
    if (this.#count++ === 0) this.#shared.waiting.join();
  }

  /** Withdraws that; once this was closed, the bit may belong to another thread. */
  #end(): void {
    if (--this.#count === 0 && !this.#isClosed) this.#shared.waiting.leave();
  }

  #join(): ThreadWaiters {
    if (this.#waiters !== undefined) return this.#waiters;
    const store: ValueStore = {
      take: () => this.#buffers.takeOffered(),
      put: (buffer) => this.#buffers.putOffered(buffer),
    };
    // In the slot of this thread's number, so that a thread that reclaims it knows the slot.
    return this.#waiters = this.#shared.queue.join(store, { slot: this.#shared.thread });
  }
}
