/**
 * The interface of writers: room for messages is claimed, filled in place, and committed or
 * aborted, in any order.
 *
 * There are three kinds:
 *
 *     made by                               used by           its messages go
 *     queue.writer()                        one thread        to the flusher of the queue
 *     queue.writer({ shared: true })        several threads   to the flusher of the queue
 *     PacketWriter.create(pool)             one thread        only into packets
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { checkBytes, checkInteger, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import type { Handle } from "../memory/handle.ts";
import type { AsyncWaitOptions, UntimedWaitOptions, WaitOptions } from "../memory/wait_options.ts";
import type { BufferSource } from "../pool/buffer_source.ts";
import type { Packet } from "../pool/packet.ts";
import { Reservation } from "./reservation.ts";

/** Opens a shared {@link Writer} in another thread, beside the handle of its queue. */
export interface WriterHandle extends Handle {
  /** The identity of the queue. */
  readonly queue: number;
  /** The writer's number in the queue. */
  readonly index: number;
  /** The user's number of the writer. */
  readonly id: number;
}

/** Room, or the empty value: the wait for it was given up, or would have been needed. */
type MaybeOffset = number;

/**
 * Writes messages one after the other into buffers of a pool.
 *
 * - **Never partly visible.** A message is visible to no other thread before it is committed, and
 *   to the flusher only after {@link Writer.publish}, which publishes all messages that were
 *   committed until then at once.
 * - **FIFO order.** The flusher gets the messages of a writer in the order in which they were
 *   claimed, each as soon as all reservations before it have ended, in whichever order that
 *   happens. Messages of different writers have no order.
 * - **Backpressure.** Without a free buffer, `claim`, `append` and `send` block until the flusher
 *   has returned one; `tryClaim`, `tryAppend` and `trySend` fail.
 * - **Alignment.** Messages lie end to end, and buffers begin at multiples of 8. So if the lengths
 *   of all messages are multiples of 4, so are the offsets, and an `Int32Array` can write them.
 *
 * @example Usage
 * ```ts
 * import { BufferPool, FlushQueue } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 4 });
 * const queue = FlushQueue.create({ pool });
 * using writer = queue.writer();
 *
 * const first = writer.claim(7); // in place, without an object
 * const second = writer.claim(5);
 * writer.bytes.set(new TextEncoder().encode("world"), second);
 * writer.commit(second);
 * writer.bytes.set(new TextEncoder().encode("hello, "), first);
 * writer.commit(first);
 *
 * writer.append(new TextEncoder().encode("!")); // copied
 * writer.publish();
 *
 * using flusher = queue.flusher();
 * flusher.drain((run) => assertEquals(new TextDecoder().decode(run.view()), "hello, world!"));
 * ```
 */
export abstract class Writer implements Disposable {
  /**
   * The bytes of the pool; messages are written here at the offsets that {@link Writer.claim}
   * returns.
   */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The bytes of the longest message: a whole buffer. */
  readonly maxMessageBytes: number;

  /**
   * Made by {@link FlushQueue.writer}, {@link FlushQueue.attachWriter} or {@link
   * PacketWriter.create}.
   *
   * @ignore
   */
  constructor(pool: BufferSource) {
    this.bytes = pool.bytes;
    this.maxMessageBytes = pool.bufferBytes;
  }

  /**
   * A plain object that survives structured clone and opens a shared writer in another thread.
   *
   * @throws {Error} If the writer is not shared.
   */
  abstract get handle(): WriterHandle;

  /** How many reservations of this thread are open. */
  abstract get openCount(): number;

  /**
   * Claims room for a message, blocking until there is a buffer for it; publishes first.
   *
   * The flusher cannot pass an open reservation. So a thread that blocks while it has others open
   * waits forever if all buffers lie behind those: use {@link Writer.tryClaim}, and end a
   * reservation first if there is no room.
   *
   * @param length The bytes of the message.
   * @returns The offset of the room in {@link Writer.bytes}; -1 if the time is over.
   * @throws {RangeError} If `length` is not a whole number from 1 to {@link
   * Writer.maxMessageBytes}, or `timeoutMs` is negative.
   * @throws {TypeError} If `options` is not an object, or it must block and the platform forbids
   * that.
   * @throws {ClosedError} If the writer is closed, or its thread has left the pool.
   */
  abstract claim(length: number, options?: WaitOptions): number;

  /**
   * Claims room for a message, without waiting. If there is no free buffer it publishes, so that
   * buffers may come back.
   *
   * @param length The bytes of the message.
   * @returns The offset of the room in {@link Writer.bytes}; -1 if there is no buffer for it now.
   * @throws {RangeError} If `length` is not a whole number from 1 to {@link
   * Writer.maxMessageBytes}.
   * @throws {ClosedError} If the writer is closed.
   */
  abstract tryClaim(length: number): number;

  /**
   * As {@link Writer.claim}, without blocking. The process stays alive meanwhile.
   *
   * @throws As {@link Writer.claim}; and the signal's reason, if it is aborted.
   */
  abstract claimAsync(length: number, options?: AsyncWaitOptions): Promise<number>;

  /**
   * Ends a reservation: its bytes are a message.
   *
   * @param offset The offset that was claimed.
   * @param length How many of its bytes are the message; all by default.
   * @throws {RangeError} If `length` is not a whole number up to the length that was claimed.
   * @throws {Error} If no reservation of this thread is open there.
   */
  abstract commit(offset: number, length?: number): void;

  /**
   * As {@link Writer.commit}, and returns the message as a packet, too.
   *
   * @throws As {@link Writer.commit}.
   */
  abstract commitPacket(offset: number, length?: number): Packet;

  /**
   * Ends a reservation without a message.
   *
   * @param offset The offset that was claimed.
   * @throws {Error} If no reservation of this thread is open there.
   */
  abstract abort(offset: number): void;

  /**
   * Makes all messages visible that this thread has committed, and wakes the flusher.
   *
   * It serves all writers of the queue on this thread, at the cost of one. A writer without a queue
   * has nothing to publish.
   */
  abstract publish(): void;

  /**
   * Aborts open reservations, publishes, and frees the place of the writer. Closing again does
   * nothing.
   *
   * @throws {ReclaimedError} If another thread has reclaimed this one, which is alive.
   */
  abstract close(): void;

  /** As {@link Writer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Copies a message into the queue: claims, copies and commits. It is visible to the flusher after
   * the next {@link Writer.publish}.
   *
   * @param payload The message, of at least one byte.
   * @returns Whether it was written: false if the time is over.
   * @throws {TypeError} If `payload` is not a Uint8Array.
   * @throws As {@link Writer.claim}.
   */
  append(payload: Uint8Array, options?: WaitOptions): boolean {
    if (payload?.BYTES_PER_ELEMENT !== 1) checkBytes("append", "payload", payload);
    const { length } = payload;
    return this.#copy(payload, length, this.claim(length, options));
  }

  /**
   * As {@link Writer.append}, without waiting.
   *
   * @returns Whether it was written: false if there is no buffer for it now.
   * @throws As {@link Writer.append}.
   */
  tryAppend(payload: Uint8Array): boolean {
    checkBytes("append", "payload", payload);
    const { length } = payload;
    return this.#copy(payload, length, this.tryClaim(length));
  }

  /**
   * As {@link Writer.append}, without blocking. The message is copied once there is room, so it
   * must not change before this resolves.
   *
   * @throws {RangeError} If its length has changed, as by a transfer of its memory.
   * @throws As {@link Writer.append}; and the signal's reason, if it is aborted.
   */
  async appendAsync(payload: Uint8Array, options?: AsyncWaitOptions): Promise<boolean> {
    checkBytes("append", "payload", payload);
    const { length } = payload;
    return this.#copy(payload, length, await this.claimAsync(length, options));
  }

  /**
   * Appends a message and publishes everything that this thread has committed.
   *
   * @param payload The message, of at least one byte.
   * @returns Whether it was sent: false if the time is over.
   * @throws As {@link Writer.append}.
   */
  send(payload: Uint8Array, options?: WaitOptions): boolean {
    return this.#publishIf(this.append(payload, options));
  }

  /**
   * As {@link Writer.send}, without waiting.
   *
   * @returns Whether it was sent: false if there is no buffer for it now.
   * @throws As {@link Writer.append}.
   */
  trySend(payload: Uint8Array): boolean {
    return this.#publishIf(this.tryAppend(payload));
  }

  /**
   * As {@link Writer.send}, without blocking.
   *
   * @throws As {@link Writer.appendAsync}.
   */
  async sendAsync(payload: Uint8Array, options?: AsyncWaitOptions): Promise<boolean> {
    return this.#publishIf(await this.appendAsync(payload, options));
  }

  /**
   * Claims room as an object, which ends by its methods or, aborted, by `using`. Blocks as
   * {@link Writer.claim}.
   *
   * @returns The reservation; undefined if the time is over.
   * @throws As {@link Writer.claim}.
   */
  claimMessage(length: number): Reservation;
  /** As above; with `timeoutMs` it may give up. */
  claimMessage(length: number, options?: WaitOptions): Reservation | undefined;
  claimMessage(length: number, options?: WaitOptions): Reservation | undefined {
    return this.#reserve(this.claim(length, options), length);
  }

  /**
   * As {@link Writer.claimMessage}, without waiting.
   *
   * @returns The reservation; undefined if there is no buffer for it now.
   * @throws As {@link Writer.tryClaim}.
   */
  tryClaimMessage(length: number): Reservation | undefined {
    return this.#reserve(this.tryClaim(length), length);
  }

  /**
   * As {@link Writer.claimMessage}, without blocking.
   *
   * @returns The reservation; undefined if the time is over.
   * @throws As {@link Writer.claimAsync}.
   */
  claimMessageAsync(length: number, options?: UntimedWaitOptions): Promise<Reservation>;
  /** As above; with `timeoutMs` it may give up. */
  claimMessageAsync(length: number, options?: AsyncWaitOptions): Promise<Reservation | undefined>;
  async claimMessageAsync(
    length: number,
    options?: AsyncWaitOptions,
  ): Promise<Reservation | undefined> {
    return this.#reserve(await this.claimAsync(length, options), length);
  }

  /** Makes a message of the payload, in room for `length` bytes. */
  #copy(payload: Uint8Array, length: number, offset: MaybeOffset): boolean {
    if (offset < 0) return false;
    if (payload.length !== length) {
      this.abort(offset);
      throw new RangeError(
        `Cannot append as 'payload' must not change its length during the wait: claimed ${length} bytes, found ${payload.length}`,
      );
    }
    this.bytes.set(payload, offset);
    this.commit(offset);
    return true;
  }

  #publishIf(isAppended: boolean): boolean {
    if (isAppended) this.publish();
    return isAppended;
  }

  #reserve(offset: MaybeOffset, length: number): Reservation | undefined {
    return offset < 0 ? undefined : new Reservation(this, offset, length);
  }
}

/** Throws unless this is the length of a message. */
export function checkLength(length: number, max: number): void {
  if (length >>> 0 === length && length > 0 && length <= max) return;
  throw new RangeError(
    `Cannot claim as 'length' must be a whole number from 1 to ${max}: received ${
      describe(length)
    }`,
  );
}

/** The length to commit: `claimed` by default. Throws if it is out of range. */
export function committedLength(length: number | undefined, claimed: number): number {
  if (length === undefined) return claimed;
  checkInteger("commit", "length", length, 0, claimed);
  return length;
}

/** The error of a writer that is used after it was closed. */
export function closedError(action: string): ClosedError {
  return new ClosedError(`Cannot ${action} as the writer is closed`);
}

/** The error of a writer that has no handle. */
export function notSharedError(): Error {
  return new Error("Cannot make a handle as the writer is not shared: create it as 'shared'");
}
