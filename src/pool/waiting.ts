/**
 * How one thread waits for buffers: in the waiter queue of the pool. The values of the queue are
 * the numbers of buffers, and the store is the free buffers of the pool.
 *
 * A buffer on its way to a waiter is *offered*: its hold says so, and the thread that receives its
 * number accepts it by compareExchange. That fails only if the buffer was withdrawn meanwhile, when
 * a dead thread was reclaimed; then the waiter continues to wait, behind the others.
 *
 * **The store is weaker than the contract of `value_store.ts`.** A take may find nothing although
 * at each instant some buffer was free: threads begin their scans at different batches, take all of
 * a batch at once, and pass over a batch that has a taker. So the argument of `waiter_queue.ts`
 * that no thread sleeps beside a value does not hold here, and the pool does more than the queue
 * asks for: after a thread has given buffers back, or has stopped being a taker, it serves waiters
 * *in a loop*, until no thread waits or a scan with atomic loads finds nothing.
 *
 * Assume that a waiter sleeps beside a free buffer when all of these loops have ended. The waiter
 * registered before it looked at the batch of that buffer, so the buffer was given back, or left by
 * a taker, after that look. The thread that did so then looked for waiters, found one, and scanned
 * all batches. Of all threads for which this holds consider the one that gave back, or stopped
 * being a taker, last. Its loop ended with a scan that began after that, and during which no buffer
 * came in and no batch had a taker; so the scan found the buffer, and the loop did not end.
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import { type AsyncWaitOptions, Deadline, type WaitOptions } from "../memory/wait_options.ts";
import type { ThreadWaiters } from "../sync/thread_waiters.ts";
import type { ValueStore } from "../sync/value_store.ts";
import type { WaiterQueue } from "../sync/waiter_queue.ts";
import type { SharedState } from "./shared_state.ts";
import { closedError, type ThreadBuffers } from "./thread_buffers.ts";
import type { WaitingThreads } from "./threads.ts";

/** One thread's waits for buffers. */
export class PoolWaiting {
  readonly #thread: number;
  readonly #waiting: WaitingThreads;
  readonly #queue: WaiterQueue;
  readonly #buffers: ThreadBuffers;
  /** This thread's part in the waiter queue, once it has waited. */
  #waiters: ThreadWaiters | undefined;
  /** How many tasks of this thread wait. */
  #count = 0;
  #isClosed = false;

  /** Waits for buffers on behalf of the thread that `buffers` belongs to. */
  constructor({ thread, waiting, queue }: SharedState, buffers: ThreadBuffers) {
    this.#thread = thread;
    this.#waiting = waiting;
    this.#queue = queue;
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
    } catch (error) {
      const hasLeft = error instanceof ClosedError && error !== signal?.reason;
      // In words of the pool, instead of its waiter queue.
      throw hasLeft ? closedError("acquire a buffer") : error;
    } finally {
      this.#end();
    }
  }

  /** Ends all waits of this thread with a {@link ClosedError}. */
  close(): void {
    this.#isClosed = true;
    this.#waiters?.close();
    if (this.#count > 0) this.#waiting.leave();
  }

  /** Announces that this thread waits, so that others do not keep the buffers that they release. */
  #begin(): void {
    if (this.#count++ === 0) this.#waiting.join();
  }

  /** Withdraws that; once this is closed, the bit may belong to another thread. */
  #end(): void {
    if (--this.#count === 0 && !this.#isClosed) this.#waiting.leave();
  }

  #join(): ThreadWaiters {
    if (this.#waiters !== undefined) return this.#waiters;
    const store: ValueStore = {
      take: () => this.#buffers.takeOffered(),
      put: (buffer) => this.#buffers.putOffered(buffer),
    };
    // In the slot of this thread's number, so that a thread that reclaims it knows the slot.
    return this.#waiters = this.#queue.join(store, { slot: this.#thread });
  }
}
