/**
 * How several tasks of a thread wait for room in one writer: each waits for a buffer, but gives that
 * up when another has opened one that has room for all of them.
 *
 * @module
 */

import { deadlineAfter, remainingMs, type WaitOptions } from "../memory/wait_options.ts";
import type { BufferPool } from "../pool/buffer_pool.ts";

/** There may be room without a buffer. */
const REOPENED = -2;

/** The tasks of a thread that wait for room in one writer. */
export class Reopening {
  readonly #pool: BufferPool;
  #opened: AbortController | undefined;

  /** Nobody waits. */
  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Lets all that wait look again: a buffer was opened, or the writer disposed of. */
  announce(): void {
    this.#opened?.abort();
    this.#opened = undefined;
  }

  /**
   * Waits for a buffer.
   *
   * @param deadline When to give up, as from `deadlineAfter`.
   * @returns Its number; -1 if the time is over; or {@link REOPENED}.
   * @throws The signal's reason, if it is aborted.
   */
  async acquire({ signal }: WaitOptions, deadline: number): Promise<number> {
    const opened = (this.#opened ??= new AbortController()).signal;
    const either = signal === undefined ? opened : AbortSignal.any([signal, opened]);
    const timeoutMs = Math.max(0, remainingMs(deadline));
    try {
      return await this.#pool.acquireAsync({ signal: either, timeoutMs });
    } catch (error) {
      // Not the error, which may be of the other one: both can come at once.
      if (signal?.aborted) throw signal.reason;
      if (opened.aborted) return REOPENED;
      throw error;
    }
  }

  /**
   * Waits until there is room.
   *
   * @param fits Whether there is room without a buffer.
   * @param place Reserves room in a new buffer.
   * @param retry Reserves room if that needs no waiting.
   * @returns Where it is, as from reserve.
   * @throws As {@link Reopening.acquire}.
   */
  async reserve(
    options: WaitOptions,
    fits: () => boolean,
    place: (buffer: number) => number,
    retry: () => number,
  ): Promise<number> {
    const deadline = deadlineAfter(options.timeoutMs ?? Infinity);
    for (;;) {
      const buffer = await this.acquire(options, deadline);
      if (buffer === -1) return -1;
      // Other tasks may have gone on, or have disposed of the writer.
      if (buffer >= 0 && !fits()) return place(buffer);
      if (buffer >= 0) this.#pool.release(buffer);
      const offset = retry();
      if (offset >= 0) return offset;
    }
  }
}
