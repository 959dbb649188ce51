/**
 * How one thread waits for buffers: in the waiter queue of the pool, whose values are the numbers of
 * buffers, and whose store are the free ones.
 *
 * A buffer on its way to a waiter is *offered*: its hold says so, and who gets its number accepts it
 * by compareExchange. That fails only if the buffer was taken back meanwhile, while a thread that had died
 * was reclaimed; then the waiter waits on, behind the others.
 *
 * @module
 */

import { deadlineAfter, remainingMs, type WaitOptions } from "../memory/wait_options.ts";
import type { ThreadWaiters } from "../sync/thread_waiters.ts";
import type { ValueStore } from "../sync/value_store.ts";
import type { SharedState } from "./shared_state.ts";
import type { ThreadBuffers } from "./thread_buffers.ts";

/** One thread's waits for buffers. */
export class PoolWaiting implements Disposable {
  readonly #shared: SharedState;
  readonly #buffers: ThreadBuffers;
  /** This thread's place in the queue, once it has waited. */
  #waiters: ThreadWaiters | undefined;
  /** How many tasks of this thread wait. */
  #count = 0;
  #isDisposed = false;

  /** Waits for buffers that this thread then has. */
  constructor(shared: SharedState, buffers: ThreadBuffers) {
    this.#shared = shared;
    this.#buffers = buffers;
  }

  /** How many tasks of this thread wait. */
  get count(): number {
    return this.#count;
  }

  /** Blocks until there is a buffer; returns -1 if the time is over. */
  acquire(timeoutMs: number): number {
    const deadline = deadlineAfter(timeoutMs);
    this.#begin();
    try {
      for (;;) {
        const buffer = this.#join().tryTake(Math.max(0, remainingMs(deadline)));
        if (buffer === undefined) return -1;
        if (this.#buffers.accept(buffer)) return buffer;
      }
    } finally {
      this.#end();
    }
  }

  /** As {@link PoolWaiting.acquire}, without blocking. */
  async acquireAsync({ signal, timeoutMs = Infinity }: WaitOptions): Promise<number> {
    const deadline = deadlineAfter(timeoutMs);
    this.#begin();
    try {
      for (;;) {
        const options = { timeoutMs: Math.max(0, remainingMs(deadline)) };
        const buffer = await this.#join().tryTakeAsync(
          signal === undefined ? options : { ...options, signal },
        );
        if (buffer === undefined) return -1;
        if (this.#buffers.accept(buffer)) return buffer;
      }
    } finally {
      this.#end();
    }
  }

  /** Stops waiting: who still awaits a buffer gets an error. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#waiters?.[Symbol.dispose]();
    if (this.#count > 0) this.#shared.waiting.leave();
  }

  /** Makes it known that this thread waits, so that others do not keep what they release. */
  #begin(): void {
    if (this.#count++ === 0) this.#shared.waiting.join();
  }

  /** Once this was disposed of, another thread may have our number, and its bit is none of ours. */
  #end(): void {
    if (--this.#count === 0 && !this.#isDisposed) this.#shared.waiting.leave();
  }

  #join(): ThreadWaiters {
    if (this.#waiters !== undefined) return this.#waiters;
    const store: ValueStore = {
      take: () => this.#buffers.takeOffered(),
      put: (buffer) => this.#buffers.putOffered(buffer),
    };
    // In the slot of this thread's number, so that who reclaims it knows which to evict.
    return this.#waiters = this.#shared.queue.join(store, { slot: this.#shared.thread });
  }
}
