/**
 * Producing events: claim, fill, publish. How that is done with the ring is in `single_seat.ts` for
 * a single producer, and in `shared_seat.ts` for one of several.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import { checkMayBlock } from "./handling.ts";
import { CLOSED, NO_ROOM, UNIT_SHIFT } from "./layout.ts";
import type { Ring } from "./ring.ts";
import type { Room, Seat } from "./seat.ts";

/** An array of values to send. */
export interface Values<Value> {
  /** How many there are. */
  readonly length: number;
  /** Each of them. */
  readonly [index: number]: Value;
}

/** What is used of the array of slots. */
interface Slots<Value> {
  [index: number]: Value;
  set(values: Values<Value>, offset: number): void;
}

/** What is used of a typed array of values. */
interface Subarray<Value> {
  subarray(begin: number, end: number): Values<Value>;
}

// A local copy for the hot path.
const SHIFT = UNIT_SHIFT;
/** Up to how many values are copied one by one. */
const FEW = 48;
/** Up to how many are copied so across the end of the ring, as views of both parts are objects. */
const MANY = 4096;

/**
 * A producer of a disruptor's events.
 *
 * Either claim slots, fill them in place, and publish; or send values, which are copied.
 *
 * @example Filling in place
 * ```ts
 * import { Disruptor } from "@busbar/busbar";
 *
 * const disruptor = Disruptor.create({
 *   capacity: 1024,
 *   elements: "f64",
 *   consumers: { audit: {} },
 * });
 * using producer = disruptor.producer();
 * const first = producer.claim(3);
 * for (let i = 0; i < 3; i++) producer.events[producer.slot(first + i)] = i / 2;
 * producer.publish();
 * ```
 */
export class Producer<Events = unknown, Value = unknown> {
  /** The slots of the ring. Only claimed ones may be written. */
  readonly events: Events;
  readonly #ring: Ring;
  readonly #seat: Seat;
  readonly #room: Room;
  readonly #slots: Slots<Value>;
  readonly #mask: number;
  /** Up to how many values are published together, and copied one by one. */
  readonly #few: number;
  readonly #slotBytes: number;
  readonly #drops: boolean;
  #dropped = 0;
  #isClosed = false;

  /** @ignore */
  constructor(ring: Ring, seat: Seat, room: Room, drops: boolean) {
    this.#ring = ring;
    this.#seat = seat;
    this.#room = room;
    this.#drops = drops;
    this.events = ring.events as Events;
    this.#slots = ring.events as Slots<Value>;
    this.#mask = ring.capacity - 1;
    this.#few = Math.min(FEW, (ring.capacity + 1) >> 1);
    this.#slotBytes = ring.region.layout.size.slotBytes;
  }

  /** The place among several producers, for a thread that reclaims it; -1 for a single one. */
  get place(): number {
    return this.#seat.place;
  }

  /** Whether something is claimed and neither published nor aborted. */
  get isOpen(): boolean {
    return this.#seat.open !== 0;
  }

  /** How many slots were missing when the last claim, or call that sends, found too little room. */
  get missing(): number {
    return this.#room.missing >> SHIFT;
  }

  /** How many values, or slots, were dropped as there was no room: see `overflow`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The slot of the event with this number. */
  slot(sequence: number): number {
    return sequence & this.#mask;
  }

  /** Where the event with this number lies in `events`, in bytes: for slots of records or bytes. */
  offset(sequence: number): number {
    return (sequence & this.#mask) * this.#slotBytes;
  }

  /** How many slots the ring has. */
  get capacity(): number {
    return this.#ring.capacity;
  }

  /** How many more events there is room for, at least; an estimate as soon as it is returned. */
  get remainingCapacity(): number {
    const ahead = this.#room.barrier.look(this.#seat.claimed - this.#room.lap | 0);
    return Math.max(0, Math.min(this.capacity, ahead >> SHIFT));
  }

  /**
   * Claims the next slots to fill, blocking until there is room.
   *
   * @param count How many; 1 by default.
   * @returns The number of the first event, for {@link Producer.slot}; -1 if the time is over.
   * @throws {RangeError} If there are not as many slots, or `timeoutMs` is negative.
   * @throws {ClosedError} If no more events are taken, or this producer is closed.
   * @throws {Error} If a handler of this disruptor calls it, and would wait for itself.
   */
  claim(count = 1, options?: WaitOptions): number {
    this.#check(count);
    const length = count << SHIFT;
    if (!this.#seat.take(length) && !this.#waitToTake(length, options)) return -1;
    return this.#seat.taken >>> SHIFT;
  }

  /** As {@link Producer.claim}, without waiting. Returns -1 if there is no room. */
  tryClaim(count = 1): number {
    this.#check(count);
    return this.#seat.take(count << SHIFT) ? this.#seat.taken >>> SHIFT : -1;
  }

  /** As {@link Producer.claim}, without blocking. */
  async claimAsync(count = 1, options?: AsyncWaitOptions): Promise<number> {
    this.#check(count);
    checkAsyncWaitOptions(options);
    const length = count << SHIFT;
    if (!this.#seat.take(length) && !await this.#awaitToTake(length, options)) return -1;
    return this.#seat.taken >>> SHIFT;
  }

  /**
   * Copies a value into the next slot and publishes it, blocking until there is room.
   *
   * @returns Whether it was sent: false if the time is over.
   * @throws As {@link Producer.claim}, or if something is claimed and not published.
   */
  send(value: Value, options?: WaitOptions): boolean {
    this.#checkSend();
    if (!this.#seat.take(1 << SHIFT) && !this.#waitToTake(1 << SHIFT, options)) {
      return false;
    }
    this.#slots[(this.#seat.taken >>> SHIFT) & this.#mask] = value;
    this.#seat.publish();
    return true;
  }

  /** As {@link Producer.send}, without waiting. Returns false if there is no room. */
  trySend(value: Value): boolean {
    this.#checkSend();
    if (!this.#seat.take(1 << SHIFT)) return false;
    this.#slots[(this.#seat.taken >>> SHIFT) & this.#mask] = value;
    this.#seat.publish();
    return true;
  }

  /** As {@link Producer.send}, without blocking. */
  async sendAsync(value: Value, options?: AsyncWaitOptions): Promise<boolean> {
    this.#checkSend();
    checkAsyncWaitOptions(options);
    if (!this.#seat.take(1 << SHIFT) && !await this.#awaitToTake(1 << SHIFT, options)) {
      return false;
    }
    this.#slots[(this.#seat.taken >>> SHIFT) & this.#mask] = value;
    this.#seat.publish();
    return true;
  }

  /**
   * Copies values into the next slots and publishes them, blocking until there is room. Values that
   * fit half the ring are published together, others in pieces.
   *
   * @returns How many were sent: fewer than all if the time is over.
   * @throws As {@link Producer.send}.
   */
  sendAll(values: Values<Value>, options?: WaitOptions): number {
    this.#checkSend();
    const { length } = values;
    if (length !== 0 && length <= this.#few && this.#seat.take(length << SHIFT)) {
      this.#fillEach(values, 0, length, (this.#seat.taken >>> SHIFT) & this.#mask);
      this.#seat.publish();
      return length;
    }
    return this.#sendPieces(values, length, options);
  }

  #sendPieces(values: Values<Value>, length: number, options: WaitOptions | undefined): number {
    if (this.#drops) return this.#sendSome(values);
    const deadline = options === undefined ? undefined : new Deadline(options);
    for (let sent = 0; sent < length;) {
      const count = this.#pieceOf(length - sent);
      if (!this.#seat.take(count << SHIFT)) {
        const left = deadline === undefined ? options : { timeoutMs: deadline.remainingMs };
        if (options !== undefined) checkWaitOptions(options);
        if (!this.#waitToTake(count << SHIFT, left)) return sent;
      }
      this.#fill(values, sent, count);
      this.#seat.publish();
      sent += count;
    }
    return length;
  }

  /** As {@link Producer.sendAll}, without waiting. Returns how many were sent. */
  trySendAll(values: Values<Value>): number {
    this.#checkSend();
    let sent = 0;
    while (sent < values.length) {
      const room = Math.max(1, this.remainingCapacity);
      const count = Math.min(this.#pieceOf(values.length - sent), room);
      if (!this.#seat.take(count << SHIFT)) break;
      this.#fill(values, sent, count);
      this.#seat.publish();
      sent += count;
    }
    return sent;
  }

  /** As {@link Producer.sendAll}, without blocking. */
  async sendAllAsync(values: Values<Value>, options?: AsyncWaitOptions): Promise<number> {
    this.#checkSend();
    checkAsyncWaitOptions(options);
    if (this.#drops) return this.#sendSome(values);
    const deadline = new Deadline(options);
    for (let sent = 0; sent < values.length;) {
      const count = this.#pieceOf(values.length - sent);
      const left = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (
        !this.#seat.take(count << SHIFT) && !await this.#awaitToTake(count << SHIFT, left)
      ) {
        return sent;
      }
      this.#fill(values, sent, count);
      this.#seat.publish();
      sent += count;
    }
    return values.length;
  }

  /**
   * Publishes what this producer has claimed, or a first part of it: consumers get it.
   *
   * @param count How many events; all that are claimed by default.
   * @throws {RangeError} If not as many are claimed.
   * @throws {ClosedError} If the disruptor was drained or halted.
   */
  publish(count?: number): void {
    if (count === undefined) return this.#seat.publish();
    const open = this.#seat.open >> SHIFT;
    checkInteger("publish", "count", count, 0, open);
    if (count === open) this.#seat.publish();
    else if (count > 0) this.#seat.publishPart(count << SHIFT);
  }

  /**
   * Claims slots, has a function fill them, and publishes them; gives them up if it throws.
   *
   * @param fill Called with the number of the first event, as {@link Producer.claim} returns it.
   * @returns Whether they were published: false if the time is over.
   * @throws As {@link Producer.send}, and what `fill` throws.
   */
  fill(count: number, fill: (sequence: number) => void, options?: WaitOptions): boolean {
    this.#checkSend();
    const sequence = this.claim(count, options);
    if (sequence === -1) return false;
    try {
      fill(sequence);
    } catch (error) {
      this.#seat.abort();
      throw error;
    }
    this.#seat.publish();
    return true;
  }

  /** Gives up what is claimed and not published, if anything is. */
  abort(): void {
    this.#seat.abort();
  }

  /** Gives up what is claimed, and leaves; another may produce then. Twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.#seat.abort();
    this.#isClosed = true;
    this.#seat.leave();
  }

  /** As {@link Producer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** How many of the values that are left to publish together. */
  #pieceOf(left: number): number {
    return Math.min(left, (this.capacity + 1) >> 1);
  }

  /** Copies values into the slots that were taken. */
  #fill(values: Values<Value>, from: number, count: number): void {
    const first = (this.#seat.taken >>> SHIFT) & this.#mask;
    const slots = this.#slots;
    if (count <= FEW) return this.#fillEach(values, from, count, first);
    const untilEnd = this.capacity - first;
    if (count <= untilEnd) {
      slots.set(part(values, from, from + count), first);
    } else if (count <= MANY) {
      this.#fillEach(values, from, count, first);
    } else {
      slots.set(part(values, from, from + untilEnd), first);
      slots.set(part(values, from + untilEnd, from + count), 0);
    }
  }

  #fillEach(values: Values<Value>, from: number, count: number, first: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    if (first + count <= mask + 1) {
      for (let i = 0; i < count; i++) slots[first + i] = values[from + i]!;
    } else {
      for (let i = 0; i < count; i++) slots[(first + i) & mask] = values[from + i]!;
    }
  }

  #waitToTake(length: number, options: WaitOptions | undefined): boolean {
    checkWaitOptions(options);
    if (this.#drop(length)) return false;
    checkMayBlock(this.#ring);
    const deadline = options && new Deadline(options);
    do {
      const target = this.#seat.claimed + length - this.#room.lap | 0;
      const left = deadline && { timeoutMs: deadline.remainingMs };
      if (!this.#room.barrier.wait(target, CLOSED | NO_ROOM, left)) return false;
    } while (!this.#seat.take(length));
    return true;
  }

  async #awaitToTake(length: number, options: AsyncWaitOptions | undefined): Promise<boolean> {
    if (this.#drop(length)) return false;
    const deadline = new Deadline(options);
    do {
      const target = this.#seat.claimed + length - this.#room.lap | 0;
      const left = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (!await this.#room.barrier.waitAsync(target, CLOSED | NO_ROOM, left)) return false;
      this.#checkOpen("claim");
    } while (!this.#seat.take(length));
    return true;
  }

  /** Drops what there is no room for, if that is what this producer does. */
  #drop(length: number): boolean {
    if (this.#drops) this.#dropped += length >> SHIFT;
    return this.#drops;
  }

  /** Sends what there is room for, and drops the rest. */
  #sendSome(values: Values<Value>): number {
    const sent = this.trySendAll(values);
    this.#dropped += values.length - sent;
    return sent;
  }

  #check(count: number): void {
    this.#checkOpen("claim");
    if (count !== 1) checkInteger("claim", "count", count, 1, this.capacity);
  }

  #checkSend(): void {
    this.#checkOpen("send");
    if (this.#seat.open !== 0) {
      throw new Error("Cannot send as slots are claimed: publish or abort them first");
    }
  }

  #checkOpen(action: string): void {
    if (this.#isClosed) throw new ClosedError(`Cannot ${action} as the producer is closed`);
  }
}

/** Some of the values: a view if possible. */
function part<Value>(values: Values<Value>, begin: number, end: number): Values<Value> {
  if (begin === 0 && end === values.length) return values;
  const { subarray } = values as Partial<Subarray<Value>>;
  if (subarray !== undefined) return subarray.call(values, begin, end);
  if (Array.isArray(values)) return values.slice(begin, end);
  throw new TypeError(
    `Cannot send as 'values' must be an array or a typed array: received ${describe(values)}`,
  );
}
