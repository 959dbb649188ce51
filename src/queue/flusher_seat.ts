/**
 * The flusher's seat: which thread receives the messages of a queue, how it passes from one to the
 * next, and what the next one must repair if the last one has died.
 *
 * The protocol is described at the head of `flush_queue.ts`.
 *
 * @module
 */

import { assertState } from "../memory/check.ts";
import type { BufferSource } from "../pool/buffer_source.ts";
import {
  ABANDONED,
  ABANDONING,
  BUFFER,
  CLOSED,
  CLOSING,
  CURRENT,
  CURRENT_SHIFT,
  DIED,
  FLUSHED,
  FLUSHER,
  type FlushQueueLayout,
  FREE,
  HOLDER_MASK,
  RESERVED,
  SHARED,
  SLEEPING,
  TICKET,
  UNOWNED,
  USE,
} from "./layout.ts";
import type { ThreadQueue } from "./thread_queue.ts";

/** One thread's time as the flusher. */
export class FlusherSeat {
  readonly #words: Int32Array;
  readonly #layout: FlushQueueLayout;
  readonly #pool: BufferSource;
  /** Whether the flusher before has died: it may have adopted the buffer that comes next. */
  readonly #followsDead: boolean;
  /** A bit for each writer whose thread has died. */
  #abandoned = 0;
  /** Buffers that this thread has adopted and could not detach again, with their tickets' words. */
  readonly #kept = new Map<number, number>();

  /**
   * Becomes the flusher of a queue.
   *
   * @throws {Error} If the queue has one.
   */
  constructor({ words, layout, pool }: ThreadQueue) {
    this.#followsDead = becomeFlusher(words, pool.thread);
    this.#words = words;
    this.#layout = layout;
    this.#pool = pool;
  }

  /** Whether a writer was abandoned: its thread has died, and its open reservations never end. */
  isAbandoned(writer: number): boolean {
    return (this.#abandoned & 1 << writer) !== 0;
  }

  /** Notes which writers were abandoned. */
  findAbandoned(): void {
    for (let writer = 0; writer < this.#layout.writerCount; writer++) {
      // Pairs with the compareExchange of the thread that has reclaimed it.
      if ((this.#useOf(writer) & HOLDER_MASK) === ABANDONED) this.#abandoned |= 1 << writer;
    }
  }

  /**
   * Frees the place of an abandoned writer, all of whose messages were received.
   *
   * @param latest The number of its latest segment.
   * @param following The number of the segment that it may have died while opening.
   */
  free(writer: number, latest: number, following: number): void {
    const words = this.#words;
    const base = this.#layout.writer(writer);
    const segment = this.#layout.segment(base, following);
    const buffer = words[segment + BUFFER]!;
    // If it has not, this is the ticket of an earlier segment, and no longer valid.
    if (this.#pool.tryAdoptBuffer(buffer, words[segment + TICKET]!)) this.#pool.release(buffer);
    Atomics.store(words, segment + RESERVED, CLOSED);
    Atomics.store(words, base + CURRENT, latest << CURRENT_SHIFT);
    this.#abandoned &= ~(1 << writer);
    const use = Atomics.load(words, base + USE);
    assertState((use & HOLDER_MASK) === ABANDONED, `writer ${writer} to be abandoned`);
    // Pairs with the compareExchange of the next writer in this place.
    Atomics.store(words, base + USE, (use & ~HOLDER_MASK) + CLOSING | FREE);
  }

  /**
   * Adopts a buffer whose last run was received.
   *
   * @returns Whether this thread has it now. If not, a flusher that died has, and the pool reclaims
   * it.
   */
  adopt(buffer: number, ticket: number): boolean {
    if (this.#kept.delete(buffer)) return true;
    if (this.#followsDead) return this.#pool.tryAdoptBuffer(buffer, ticket);
    this.#pool.adoptBuffer(buffer, ticket);
    return true;
  }

  /**
   * Takes a reference to a buffer that stays with the flusher, and which this thread is to release.
   *
   * @param ticket The word that the ticket of the buffer lies in.
   * @throws If all tickets of this thread are in flight.
   */
  retain(buffer: number, ticket: number): void {
    if (!this.#kept.delete(buffer)) this.#pool.adoptBuffer(buffer, this.#words[ticket]!);
    let isRetained = false;
    try {
      this.#pool.retain(buffer);
      isRetained = true;
      this.#words[ticket] = this.#pool.detachBuffer(buffer);
    } catch (error) {
      if (isRetained) this.#pool.release(buffer);
      this.#kept.set(buffer, ticket);
      throw error;
    }
  }

  /** Detaches the buffers again that this thread has adopted. */
  detachKept(): void {
    for (const [buffer, ticket] of this.#kept) {
      this.#words[ticket] = this.#pool.detachBuffer(buffer);
      this.#kept.delete(buffer);
    }
  }

  /**
   * How many times a writer was closed, or freed after its thread had died; undefined if some of
   * their messages may not have been taken.
   */
  countClosings(): number | undefined {
    let count = 0;
    for (let writer = 0; writer < this.#layout.writerCount; writer++) {
      count += this.#useOf(writer) >>> 8;
    }
    return this.#isAllTaken() ? count : undefined;
  }

  /** Whether no writer is open, and everything that was published was taken. */
  isEnded(): boolean {
    for (let writer = 0; writer < this.#layout.writerCount; writer++) {
      const holder = this.#useOf(writer) & HOLDER_MASK;
      if (holder !== FREE && holder !== SHARED) return false;
    }
    return this.#isAllTaken();
  }

  /** The holder of a writer, and how often it was closed. */
  #useOf(writer: number): number {
    return Atomics.load(this.#words, this.#layout.writer(writer) + USE);
  }

  /**
   * Whether no writer has published since the flusher took them. To be called after a look at
   * their uses: a writer publishes everything before its closing, so if that was seen, its bit is
   * set here, or was taken before.
   */
  #isAllTaken(): boolean {
    return (Atomics.load(this.#words, FLUSHED) & ~SLEEPING) === 0;
  }

  /**
   * Lets another thread become the flusher.
   *
   * @param writers A bit for each writer that was taken, and may have messages that were not
   * received.
   */
  leave(writers: number): void {
    const rest = writers | (this.#abandoned === 0 ? 0 : ABANDONING);
    if (rest !== 0) Atomics.or(this.#words, FLUSHED, rest);
    // Pairs with the compareExchange of the next flusher.
    Atomics.store(this.#words, FLUSHER, this.#followsDead ? DIED : UNOWNED);
  }
}

/** Becomes the flusher; returns whether the one before has died. */
function becomeFlusher(words: Int32Array, thread: number): boolean {
  // Pairs with the store of the one before: we see everything that it did.
  const before = Atomics.compareExchange(words, FLUSHER, UNOWNED, 1 + thread);
  if (before === UNOWNED) return false;
  if (before === DIED && Atomics.compareExchange(words, FLUSHER, DIED, 1 + thread) === DIED) {
    return true;
  }
  throw new Error(
    `Cannot become the flusher of the queue as thread ${before - 1} is: close that one first`,
  );
}
