/**
 * The interface of a buffer pool that queues and framers use, so that they work over any pool.
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
 * One thread's part in a pool of shared buffers of one size, known by their numbers.
 * {@link BufferPool} implements it, and documents each member in full.
 *
 * - **Exclusive.** A buffer that was acquired is free again only after every reference to it was
 *   released.
 * - **No lost wake-up.** A thread that waits gets a buffer once another thread releases one and
 *   calls {@link BufferSource.returnCached}.
 * - **Visibility.** Everything done with a buffer before it was released or detached, plain writes
 *   too, is visible to the thread that acquires or adopts it.
 * - **Adopted once.** Of all threads that adopt a buffer with the same ticket, one succeeds.
 */
export interface BufferSource {
  /** The bytes of a buffer. */
  readonly bufferBytes: number;
  /** How many buffers there are. */
  readonly bufferCount: number;
  /** How many threads can be attached at a time. */
  readonly threads: number;
  /** The number of this thread among those attached, from 0. */
  readonly thread: number;
  /** A random number that tells this pool from others. */
  readonly identity: number;
  /** The bytes of all buffers. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Whether this thread has left the pool. */
  readonly hasLeft: boolean;
  /** Where a buffer begins in {@link BufferSource.bytes}; a multiple of 8. */
  offsetOf(buffer: number): number;
  /** Copies within {@link BufferSource.bytes}, whose bounds the caller keeps to. */
  copyWithin(target: number, source: number, byteLength: number): void;
  /** Takes a free buffer, blocking while there is none; -1 if the time is over. */
  acquire(options?: WaitOptions): number;
  /** Takes a free buffer, without waiting; -1 if there is none. */
  tryAcquire(): number;
  /** Takes a free buffer, waiting without blocking while there is none; -1 if the time is over. */
  acquireAsync(options?: AsyncWaitOptions): Promise<number>;
  /** Adds a reference to a buffer. */
  retain(buffer: number): void;
  /** Drops a reference to a buffer. */
  release(buffer: number): void;
  /** Whether this thread has the only reference to a buffer. */
  isUnique(buffer: number): boolean;
  /** Gives a reference away, for another thread to adopt it; returns the ticket. */
  detachBuffer(buffer: number): number;
  /** Adopts a reference that another thread has detached. */
  adoptBuffer(buffer: number, ticket: number): void;
  /** Adopts a reference that another thread has detached; false if the ticket is not in flight. */
  tryAdoptBuffer(buffer: number, ticket: number): boolean;
  /** Makes a packet, which takes over one reference by number. */
  packet(buffer: number, offset?: number, length?: number): Packet;
  /** Makes a packet with a reference of its own. */
  sharePacket(buffer: number, offset: number, length: number): Packet;
  /** Returns the free buffers that this thread keeps cached. */
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
