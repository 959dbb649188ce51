/**
 * How threads and tasks wait for room in one writer, blocking or not.
 *
 * Several tasks of a thread may wait: each waits for a buffer, but stops waiting when another has
 * opened a buffer that has room for all of them.
 *
 * @module
 */

import { type AsyncWaitOptions, Deadline, type WaitOptions } from "../memory/wait_options.ts";
import type { BufferSource } from "../pool/buffer_source.ts";

/** Returned by {@link RoomWaiters.acquireAsync}: there may be room without a new buffer. */
const REOPENED = -2;

/** How a writer makes room. */
export interface RoomMaker {
  /** Whether there is room without a new buffer, or the writer was closed. */
  hasRoom(length: number): boolean;
  /** Claims room in a new buffer. */
  claimIn(buffer: number, length: number): number;
  /** Claims room if that needs no waiting. */
  tryClaim(length: number): number;
}

/** The tasks of a thread that wait for room in one writer. */
export class RoomWaiters {
  readonly #pool: BufferSource;
  #opened: AbortController | undefined;

  /** Begins without waiters. */
  constructor(pool: BufferSource) {
    this.#pool = pool;
  }

  /** Makes all waiting tasks look again: a buffer was opened, or the writer was closed. */
  wakeAll(): void {
    this.#opened?.abort();
    this.#opened = undefined;
  }

  /**
   * Waits for a buffer, without blocking.
   *
   * @returns Its number; -1 if the time is over; or {@link REOPENED}.
   * @throws The signal's reason, if it is aborted.
   */
  async acquireAsync(signal: AbortSignal | undefined, deadline: Deadline): Promise<number> {
    const opened = (this.#opened ??= new AbortController()).signal;
    const either = signal === undefined ? opened : AbortSignal.any([signal, opened]);
    try {
      return await this.#pool.acquireAsync({ signal: either, timeoutMs: deadline.remainingMs });
    } catch (error) {
      // Not by the error: both signals may be aborted.
      if (signal?.aborted) throw signal.reason;
      if (opened.aborted) return REOPENED;
      throw error;
    }
  }

  /** Claims room, blocking until there is a buffer; -1 if the time is over. */
  claim(room: RoomMaker, length: number, options: WaitOptions | undefined): number {
    const buffer = this.#pool.acquire(options);
    return buffer < 0 ? -1 : room.claimIn(buffer, length);
  }

  /**
   * Claims room, waiting without blocking until there is some.
   *
   * @returns The offset of the room; -1 if the time is over.
   * @throws The signal's reason, if it is aborted.
   */
  async claimAsync(
    room: RoomMaker,
    length: number,
    options: AsyncWaitOptions | undefined,
  ): Promise<number> {
    const deadline = new Deadline(options);
    for (;;) {
      const buffer = await this.acquireAsync(options?.signal, deadline);
      if (buffer === -1) return -1;
      // Other tasks may have continued meanwhile, or have closed the writer.
      if (buffer >= 0 && !room.hasRoom(length)) return room.claimIn(buffer, length);
      if (buffer >= 0) this.#pool.release(buffer);
      const offset = room.tryClaim(length);
      if (offset >= 0) return offset;
    }
  }
}
