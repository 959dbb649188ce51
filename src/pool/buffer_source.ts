/**
 * The part of a buffer pool that writers, flushers and framers use, so that they work over any
 * pool.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { AsyncWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import type { Packet } from "./packet.ts";

/** In place of the number of a buffer: none. */
export const NO_BUFFER: number = -1;

/**
 * One thread's part in a pool of equal buffers, each with a number. A {@link BufferPool} is one;
 * its documentation says what each member does.
 */
export interface BufferSource {
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** How many buffers there are. */
  readonly bufferCount: number;
  /** How many threads can take part at a time. */
  readonly threads: number;
  /** The number of this thread. */
  readonly thread: number;
  /** A random number that tells this pool from others. */
  readonly identity: number;
  /** The bytes of all buffers. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Whether this thread has left the pool. */
  readonly hasLeft: boolean;
  /** The offset of a buffer in the bytes; a multiple of 8. */
  offsetOf(buffer: number): number;
  /** Takes a free buffer, blocking while there is none; -1 if the time is over. */
  acquire(options?: WaitOptions): number;
  /** Takes a free buffer, without waiting; -1 if there is none. */
  tryAcquire(): number;
  /** Takes a free buffer, waiting without blocking; -1 if the time is over. */
  acquireAsync(options?: AsyncWaitOptions): Promise<number>;
  /** Adds a reference to a buffer. */
  retain(buffer: number): void;
  /** Drops a reference to a buffer. */
  release(buffer: number): void;
  /** Whether this thread has the only reference to a buffer. */
  isUnique(buffer: number): boolean;
  /** Gives a reference away; returns the ticket that adopts it. */
  detachBuffer(buffer: number): number;
  /** Takes over a reference that was detached. */
  adoptBuffer(buffer: number, ticket: number): void;
  /** Takes over a reference that was detached; false if another has. */
  tryAdoptBuffer(buffer: number, ticket: number): boolean;
  /** Makes a packet, which takes over one reference. */
  packet(buffer: number, offset?: number, length?: number): Packet;
  /** Makes a packet with a reference of its own. */
  sharePacket(buffer: number, offset: number, length: number): Packet;
  /** Returns cached free buffers to the pool. */
  returnCached(): void;
}

/**
 * Throws unless this thread takes part in a pool.
 *
 * @throws {TypeError} If it is not a pool.
 * @throws {ClosedError} If this thread has left it.
 */
export function checkPool(action: string, pool: BufferSource): void {
  if (typeof pool?.tryAcquire !== "function") {
    throw new TypeError(
      `Cannot ${action} as 'pool' must be a BufferPool: received ${describe(pool)}`,
    );
  }
  if (pool.hasLeft) throw new ClosedError(`Cannot ${action} as this thread has left the pool`);
}
