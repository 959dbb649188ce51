/**
 * The buffers of one thread: those that it uses, and free ones that it keeps cached.
 *
 * All of this is private to the thread. A buffer that it has used is kept for its next use, so most
 * acquisitions and releases touch no shared word, except for one plain load that tells whether a
 * thread waits. When nothing is kept, the thread takes all free buffers of some batch; when too
 * many are kept, it gives a part of them back, the buffers of a batch together.
 *
 * The references to a buffer are counted by kind, those of packets apart from those of numbers:
 *
 *      bit 30   29                            10 9                             0
 *     | shared | references of packets          | of numbers                    |
 *
 * @module
 */

import { ClosedError } from "../memory/errors.ts";
import type { WaiterQueue } from "../sync/waiter_queue.ts";
import type { Batches } from "./batches.ts";
import { StaleTicketError } from "./errors.ts";
import type { Holds } from "./holds.ts";
import type { SharedState } from "./shared_state.ts";
import { tellKept, type WaitingThreads } from "./threads.ts";
import type { Tickets } from "./tickets.ts";

/** One reference by number. */
export const NUMBER = 1;
/** One reference by a packet. */
export const PACKET: number = 1 << 10;
/** A kind of reference. */
export type Reference = typeof NUMBER | typeof PACKET;

/** The bits that count references by number. */
const NUMBERS: number = PACKET - 1;
/** Set if another thread may have the buffer, too. */
const SHARED = 1 << 30;
/** The bits that count references. */
const REFERENCES = SHARED - 1;
/** The bits that count references by packets. */
const PACKETS = REFERENCES - NUMBERS;

/** How many free buffers a thread keeps at most, in batches. */
const MAX_KEPT_BATCHES = 2;

/** The buffers of one thread. */
export class ThreadBuffers {
  readonly #thread: number;
  readonly #words: Int32Array;
  readonly #batches: Batches;
  readonly #holds: Holds;
  readonly #tickets: Tickets;
  readonly #waiting: WaitingThreads;
  readonly #queue: WaiterQueue;
  /** The references of this thread to each buffer; 0 if it is not in use here. */
  readonly #references: Int32Array;
  /** Free buffers that this thread keeps: a stack. */
  readonly #kept: Int32Array;
  #keptCount = 0;
  readonly #maxKept: number;
  /** How many buffers to give back at once when too many are kept. */
  readonly #portion: number;
  /** While giving back: the taken bits of the buffers of each batch. */
  readonly #givenBits: Int32Array;
  /** While giving back: the batches of those buffers. */
  readonly #givenBatches: Int32Array;
  #isClosed = false;

  /** Starts with no buffer. */
  constructor({ thread, words, batches, holds, tickets, waiting, queue }: SharedState) {
    const { count, size } = batches;
    this.#thread = thread;
    this.#words = words;
    this.#batches = batches;
    this.#holds = holds;
    this.#tickets = tickets;
    this.#waiting = waiting;
    this.#queue = queue;
    this.#references = new Int32Array(count * size);
    this.#maxKept = MAX_KEPT_BATCHES * size;
    this.#kept = new Int32Array(this.#maxKept);
    this.#portion = size;
    this.#givenBits = new Int32Array(count);
    this.#givenBatches = new Int32Array(MAX_KEPT_BATCHES * size);
  }

  /** Whether this thread has left the pool. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether this thread has a reference by number to a buffer. */
  hasNumber(buffer: number): boolean {
    return (this.#references[buffer]! & NUMBERS) !== 0;
  }

  /** Whether the only reference to a buffer, of all threads, is one by number from here. */
  isUnique(buffer: number): boolean {
    const references = this.#references[buffer]!;
    if ((references & REFERENCES) !== NUMBER) return false;
    // Pairs with dropHold of others: we see what they did with the buffer.
    return (references & SHARED) === 0 || this.#holds.isAlone(buffer);
  }

  /** How many free buffers are kept. */
  get keptCount(): number {
    return this.#keptCount;
  }

  /** Takes a free buffer into use, with a reference by number; -1 if there is none. */
  tryAcquire(): number {
    if (this.#keptCount === 0 || this.#waiting.hasWaiterHint) return this.#acquireSlowly();
    const buffer = this.#kept[--this.#keptCount]!;
    this.#references[buffer] = NUMBER;
    return buffer;
  }

  /** Drops a reference. A buffer without references is free. */
  release(buffer: number, kind: Reference): void {
    if (
      this.#references[buffer] !== kind || this.#keptCount === this.#maxKept ||
      this.#waiting.hasWaiterHint
    ) return this.#releaseSlowly(buffer, kind);
    this.#references[buffer] = 0;
    this.#kept[this.#keptCount++] = buffer;
  }

  /** Adds references of a kind of which this thread has one already. */
  retain(buffer: number, kind: Reference, count: number = 1): void {
    const references = this.#referencesTo("retain", buffer, kind);
    this.#references[buffer] = plus(references, buffer, kind, count);
  }

  /** Turns a reference by number into one of a packet. */
  wrap(buffer: number): void {
    if (this.#references[buffer] === NUMBER) {
      this.#references[buffer] = PACKET;
      return;
    }
    const references = this.#referencesTo("make a packet of", buffer, NUMBER);
    this.#references[buffer] = plus(references, buffer, PACKET, 1) - NUMBER;
  }

  /** Adds a reference of a packet, if there is one by number. */
  addPacket(buffer: number): void {
    const references = this.#referencesTo("make a packet of", buffer, NUMBER);
    this.#references[buffer] = plus(references, buffer, PACKET, 1);
  }

  /** Gives one of the references away; returns the ticket that adopts it. */
  detach(buffer: number, kind: Reference): number {
    const references = this.#referencesTo("detach", buffer, kind);
    const keeps = (references & REFERENCES) !== kind;
    const isAlone = !keeps && ((references & SHARED) === 0 || this.#holds.isAlone(buffer));
    const ticket = isAlone ? this.#holds.seal(buffer) : this.#tickets.detach(buffer, keeps);
    this.#references[buffer] = keeps ? (references - kind) | SHARED : 0;
    return ticket;
  }

  /** Adopts a reference by its ticket. */
  adopt(buffer: number, ticket: number, kind: Reference): void {
    if (!this.tryAdopt(buffer, ticket, kind)) throw new StaleTicketError(buffer);
  }

  /** Adopts a reference by its ticket; false if that is not in flight. */
  tryAdopt(buffer: number, ticket: number, kind: Reference): boolean {
    if (this.#isClosed) throw closedError("adopt a buffer");
    const references = this.#references[buffer];
    if (references === undefined) return false;
    const after = plus(references, buffer, kind, 1);
    if (ticket < 0) {
      if (!this.#holds.unseal(buffer, ticket)) return false;
      this.#references[buffer] = after;
    } else {
      if (!this.#tickets.adopt(buffer, ticket, references !== 0)) return false;
      this.#references[buffer] = after | SHARED;
    }
    return true;
  }

  /**
   * Takes a free buffer for a waiter, and offers it. It looks with atomic loads.
   *
   * @returns Its number; undefined if no buffer is found.
   */
  takeOffered(): number | undefined {
    if (this.#keptCount === 0 && !this.#refillAtomically()) return undefined;
    const buffer = this.#kept[--this.#keptCount]!;
    this.#holds.offer(buffer);
    // Other waiters may have passed over the batch while we were its taker.
    if (this.#waiting.hasOtherWaiter) this.#serve();
    // A thread that has left makes no further call that would return them.
    if (this.#isClosed) this.returnCached();
    return buffer;
  }

  /** Puts an offered buffer back into the pool, as no thread waits for it. */
  putOffered(buffer: number): void {
    if (this.#holds.accept(buffer)) this.#batches.giveBackOne(buffer);
  }

  /** Takes an offered buffer into use; false if it was withdrawn. */
  accept(buffer: number): boolean {
    if (!this.#holds.accept(buffer)) return false;
    if (this.#isClosed) {
      this.#keep(buffer);
      this.returnCached();
      throw closedError("acquire a buffer");
    }
    this.#references[buffer] = NUMBER;
    return true;
  }

  /** Returns all kept buffers to the pool; waiting threads are served first. */
  returnCached(): void {
    do {
      this.#giveBack(this.#keptCount);
      // After giving back: pairs with the waiter's look after it has registered.
      this.#serve();
    } while (this.#keptCount > 0);
  }

  /** Forgets all buffers: another thread has reclaimed them. */
  abandon(): void {
    this.#isClosed = true;
    this.#references.fill(0);
    this.#keptCount = 0;
  }

  /** Returns all buffers, also those in use; waiting threads are served first. */
  close(): void {
    this.#isClosed = true;
    for (let buffer = 0; buffer < this.#references.length; buffer++) {
      const references = this.#references[buffer]!;
      if (references === 0) continue;
      this.#references[buffer] = 0;
      if ((references & SHARED) === 0 || this.#holds.dropHold(buffer)) this.#keep(buffer);
    }
    this.returnCached();
  }

  /**
   * Takes back what a dead thread had, serves waiting threads, and gives all kept buffers back.
   *
   * @returns How many buffers became free.
   */
  reclaim(dead: number, reclaimsDetached: boolean): number {
    const batches = this.#batches;
    let count = 0;
    const isHolder = (buffer: number) => this.#references[buffer] !== 0;
    this.#tickets.reclaim(dead, reclaimsDetached, isHolder, (buffer) => {
      if (isHolder(buffer) || !this.#holds.dropHold(buffer)) return;
      batches.giveBackOne(buffer);
      count++;
    });
    for (let batch = 0; batch < batches.count; batch++) {
      count += batches.reclaim(batch, dead, reclaimsDetached);
    }
    this.returnCached();
    return count;
  }

  #acquireSlowly(): number {
    if (this.#isClosed) throw closedError("acquire a buffer");
    for (;;) {
      if (this.#keptCount === 0 && !this.#refill()) return -1;
      // Waiting threads come first. Some may have passed over a batch while we were its taker.
      this.#serve();
      if (this.#keptCount === 0) continue;
      const buffer = this.#kept[--this.#keptCount]!;
      this.#references[buffer] = NUMBER;
      return buffer;
    }
  }

  #releaseSlowly(buffer: number, kind: Reference): void {
    const references = this.#referencesTo("release", buffer, kind);
    if ((references & REFERENCES) !== kind) {
      this.#references[buffer] = references - kind;
      return;
    }
    this.#references[buffer] = 0;
    if ((references & SHARED) === 0 || this.#holds.dropHold(buffer)) this.#keep(buffer);
  }

  /** Keeps a buffer that became free, unless a thread waits for it. */
  #keep(buffer: number): void {
    const isFull = this.#keptCount === this.#maxKept;
    if (isFull) this.#giveBack(this.#portion);
    this.#kept[this.#keptCount++] = buffer;
    // After giving back: pairs with the waiter's look after it has registered.
    if (isFull || this.#waiting.hasWaiterHint) this.#serve();
  }

  /**
   * Hands buffers to waiting threads, first kept ones, then free ones of the pool, until no thread
   * waits or there is no buffer. `waiting.ts` says why this is a loop.
   */
  #serve(): void {
    while (this.#queue.isAnyWaiting) {
      if (this.#keptCount === 0 && !this.#refillAtomically()) return;
      const buffer = this.#kept[--this.#keptCount]!;
      this.#holds.offer(buffer);
      if (this.#queue.offer(buffer) || !this.#holds.accept(buffer)) continue;
      this.#kept[this.#keptCount++] = buffer;
    }
  }

  /**
   * Takes what is free of some batch, as {@link Batches.take} finds it; false if it finds nothing.
   */
  #refill(): boolean {
    return this.#keepTaken(this.#batches.take(this.#kept, this.#keptCount));
  }

  /** As {@link ThreadBuffers.#refill}, by {@link Batches.takeAtomically}. */
  #refillAtomically(): boolean {
    return this.#keepTaken(this.#batches.takeAtomically(this.#kept, this.#keptCount));
  }

  /** Counts buffers that were taken; false if there are none. */
  #keepTaken(count: number): boolean {
    if (count === 0) return false;
    this.#keptCount += count;
    this.#tellKept();
    return true;
  }

  /** Gives some of the kept buffers back, those of one batch in one operation. */
  #giveBack(count: number): void {
    if (count === 0) return;
    let batches = 0;
    for (let i = 0; i < count; i++) {
      const buffer = this.#kept[--this.#keptCount]!;
      const batch = this.#batches.batchOf(buffer);
      if (this.#givenBits[batch] === 0) this.#givenBatches[batches++] = batch;
      this.#givenBits[batch]! |= this.#batches.takenBit(buffer);
    }
    for (let i = 0; i < batches; i++) {
      const batch = this.#givenBatches[i]!;
      this.#batches.giveBack(batch, this.#givenBits[batch]!);
      this.#givenBits[batch] = 0;
    }
    this.#tellKept();
  }

  /** Tells others how many buffers are kept. */
  #tellKept(): void {
    tellKept(this.#words, this.#thread, this.#keptCount);
  }

  /**
   * The references to a buffer.
   *
   * @throws {ClosedError} If this thread has left the pool.
   * @throws {Error} If it has no reference of this kind.
   */
  #referencesTo(action: string, buffer: number, kind: Reference): number {
    const references = this.#references[buffer]!;
    if ((references & bitsOf(kind)) !== 0) return references;
    if (this.#isClosed) throw closedError(`${action} a buffer`);
    throw new Error(
      `Cannot ${action} buffer ${buffer} as this thread ${
        references > 0 ? "has it only as packets" : "does not have it in use"
      }`,
    );
  }
}

/** The error of a call, or a wait, of a thread that has left the pool. */
export function closedError(action: string): ClosedError {
  return new ClosedError(`Cannot ${action} as this thread has left the pool`);
}

/** The bits that count references of a kind. */
function bitsOf(kind: Reference): number {
  return kind === NUMBER ? NUMBERS : PACKETS;
}

/** Adds references of a kind. */
function plus(references: number, buffer: number, kind: Reference, count: number): number {
  const bits = bitsOf(kind);
  // The common case of one more takes no division.
  if (count === 1 && (references & bits) !== bits) return references + kind;
  const max = bits / kind;
  const before = (references & bits) / kind;
  if (count <= max - before) return references + count * kind;
  throw new RangeError(
    `Cannot add a reference to buffer ${buffer} as this thread has ${before} of at most ${max}`,
  );
}
