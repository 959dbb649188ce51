/**
 * Receiving: a value at a time, several at once, or by reading cells in place.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import { TimeSlice } from "../memory/time_slice.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  type UntimedWaitOptions,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { BufferPool, Packet } from "../pool/mod.ts";
import { Borrowed } from "./borrowed.ts";
import { type Cells, ENDED } from "./cells.ts";
import { IN_POOL, MAX_CAPACITY, REDELIVER, REDELIVERED } from "./layout.ts";
import { Decoder, type Format } from "./message.ts";
import type { ChannelState, Membership } from "./state.ts";
import { readableOf } from "./streams.ts";
import { type WaitingLine, WaitingPlace } from "./waiting_line.ts";

/**
 * A receiver of a channel: one of those that may receive at the same time.
 *
 * Each message goes to one receiver. If the channel was created with `redeliver`, a message stays
 * with its receiver until that asks for the next one, and is delivered to another if it dies
 * before; otherwise it is gone as soon as it is received.
 *
 * @typeParam Value What is received.
 *
 * @example Usage
 * ```ts
 * import { Channel, textCodec } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const channel = Channel.create({ capacity: 16, codec: textCodec });
 * channel.sender().sendAll(["a", "b", "c", "d"]);
 * channel.close(); // what was sent is received first
 *
 * const receiver = channel.receiver();
 * assertEquals(receiver.receive(), "a"); // blocks while the channel is empty
 * assertEquals(receiver.receiveSome(2), ["b", "c"]);
 * for await (const text of receiver) assertEquals(text, "d");
 * assertEquals(receiver.tryReceive(), undefined);
 * assertEquals(receiver.hasEnded, true);
 * ```
 *
 * @example In place
 * ```ts
 * import { Channel, defineRecord, recordCodec } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const Trade = defineRecord({ id: "u32", price: "f64" });
 * const channel = Channel.create({ capacity: 1024, codec: recordCodec(Trade) });
 * channel.sender().sendAll([{ id: 1, price: 99 }, { id: 2, price: 98 }]);
 * channel.close();
 *
 * const receiver = channel.receiver();
 * const trade = Trade.view(receiver.bytes);
 * let sum = 0;
 * for (let count = receiver.take(); count > 0; count = receiver.take()) {
 *   for (let i = 0; i < count; i++) sum += trade.moveTo(receiver.offset(i)).price;
 * }
 * assertEquals(sum, 197);
 * ```
 */
export class Receiver<Value = unknown> implements Disposable {
  /** The place of this receiver, for a thread that reclaims it. */
  readonly place: number;
  /** The bytes of all cells. Only those of messages that were taken may be read. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly #state: ChannelState;
  readonly #membership: Membership;
  readonly #messages: number;
  readonly #pool: BufferPool | undefined;
  readonly #cells: Cells;
  readonly #senders: WaitingLine;
  readonly #decoder: Decoder<Value>;
  readonly #waiting: WaitingPlace;
  readonly #keeps: boolean;
  /** How many messages this receiver has, and the position of the first. */
  #count = 0;
  #position = 0;
  #hasEnded = false;
  #isClosed = false;

  /** @ignore */
  constructor(
    state: ChannelState,
    membership: Membership,
    format: Format<Value, never>,
    spins: boolean,
  ) {
    const { region, words, senders, receivers } = state;
    const { messages, byteLength } = region.layout;
    this.#state = state;
    this.#messages = messages;
    this.#pool = format.pool;
    this.#membership = membership;
    this.place = membership.place;
    this.#cells = state.openCells();
    this.#senders = senders;
    this.#decoder = new Decoder(state, format);
    this.#keeps = state.has(REDELIVER);
    this.bytes = new Uint8Array(words.buffer).subarray(
      words.byteOffset + 4 * messages,
      words.byteOffset + byteLength,
    );
    const hasMessage = () => this.#cells.hasMessage();
    this.#waiting = new WaitingPlace(region, receivers, membership, hasMessage, spins);
  }

  /** Whether the channel was closed, and the last call has found that there is no message left. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** How many messages there may be at once. */
  get capacity(): number {
    return this.#cells.capacity;
  }

  /**
   * Receives a message, blocking until there is one.
   *
   * @returns The value; undefined if the time is over, or the channel was closed and all messages
   * are received: {@link Receiver.hasEnded} tells.
   * @throws {RangeError} If `timeoutMs` is negative.
   * @throws {ClosedError} If this receiver is closed.
   * @throws The codec's error. The message is gone then.
   */
  receive(options?: WaitOptions): Value | undefined {
    if (options !== undefined) checkWaitOptions(options);
    this.#begin(1);
    if (!this.#attempt(1) && !this.#waiting.wait(options, () => this.#attempt(1))) return undefined;
    return this.#count === 0 ? undefined : this.#value();
  }

  /** As {@link Receiver.receive}, without waiting. */
  tryReceive(): Value | undefined {
    this.#begin(1);
    return this.#attempt(1) && this.#count > 0 ? this.#value() : undefined;
  }

  /** As {@link Receiver.receive}, without blocking. */
  async receiveAsync(options?: AsyncWaitOptions): Promise<Value | undefined> {
    checkAsyncWaitOptions(options);
    this.#begin(1);
    if (this.#attempt(1)) return this.#count === 0 ? undefined : this.#value();
    let value: Value | undefined;
    await this.#waiting.waitAsync(options, () => {
      if (!this.#attempt(1)) return false;
      // At once, as another task of this thread may receive before this one goes on.
      if (this.#count > 0) value = this.#value();
      return true;
    });
    return value;
  }

  /**
   * Receives messages, as many as there are, blocking until there is at least one.
   *
   * @param max How many at most.
   * @returns The values; none if the time is over, or there will be no more.
   * @throws As {@link Receiver.receive}.
   */
  receiveSome(max: number, options?: WaitOptions): Value[] {
    if (options !== undefined) checkWaitOptions(options);
    this.#begin(max);
    if (!this.#attempt(max) && !this.#waiting.wait(options, () => this.#attempt(max))) return [];
    return this.#values();
  }

  /** As {@link Receiver.receiveSome}, without waiting. */
  tryReceiveSome(max: number): Value[] {
    this.#begin(max);
    return this.#attempt(max) ? this.#values() : [];
  }

  /** As {@link Receiver.receiveSome}, without blocking. */
  async receiveSomeAsync(max: number, options?: AsyncWaitOptions): Promise<Value[]> {
    checkAsyncWaitOptions(options);
    this.#begin(max);
    if (this.#attempt(max)) return this.#values();
    let values: Value[] = [];
    await this.#waiting.waitAsync(options, () => {
      if (!this.#attempt(max)) return false;
      values = this.#values();
      return true;
    });
    return values;
  }

  /**
   * Borrows the bytes of a message without a copy, blocking until there is one. They stay as they
   * are until they are released.
   *
   * @returns The message; undefined as {@link Receiver.receive}.
   */
  borrow(options?: WaitOptions): Borrowed | undefined {
    if (options !== undefined) checkWaitOptions(options);
    this.#begin(1);
    if (!this.#attempt(1) && !this.#waiting.wait(options, () => this.#attempt(1))) return undefined;
    return this.#borrowed();
  }

  /** As {@link Receiver.borrow}, without waiting. */
  tryBorrow(): Borrowed | undefined {
    this.#begin(1);
    return this.#attempt(1) ? this.#borrowed() : undefined;
  }

  /** As {@link Receiver.borrow}, without blocking. */
  async borrowAsync(options?: AsyncWaitOptions): Promise<Borrowed | undefined> {
    checkAsyncWaitOptions(options);
    this.#begin(1);
    if (this.#attempt(1)) return this.#borrowed();
    let borrowed: Borrowed | undefined;
    await this.#waiting.waitAsync(options, () => {
      if (!this.#attempt(1)) return false;
      borrowed = this.#borrowed();
      return true;
    });
    return borrowed;
  }

  /**
   * Iterates over messages until there will be no more, without blocking. An aborted iteration
   * throws the signal's reason.
   */
  async *messages(options?: UntimedWaitOptions): AsyncGenerator<Value, void> {
    const slice = new TimeSlice();
    for (;;) {
      const value = await this.receiveAsync(options);
      if (value === undefined && this.#hasEnded) return;
      yield value!;
      // Messages that are always there must not keep the event loop from other tasks.
      if (slice.isOver) await slice.yield();
    }
  }

  /** As {@link Receiver.messages}. */
  [Symbol.asyncIterator](): AsyncGenerator<Value, void> {
    return this.messages();
  }

  /** The messages as a stream; see {@link Receiver.messages}. Cancelling it ends its wait. */
  readable(): ReadableStream<Value> {
    return readableOf(this);
  }

  /**
   * Takes messages to read in place, as many as there are, blocking until there is at least one.
   * They stay as they are until the next call, or {@link Receiver.release}.
   *
   * @param max How many at most; as many as there are by default.
   * @returns How many, for {@link Receiver.offset}; 0 if the time is over, or no more will come.
   * @throws As {@link Receiver.receive}.
   */
  take(max: number = MAX_CAPACITY, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    this.#begin(max);
    if (!this.#attempt(max)) this.#waiting.wait(options, () => this.#attempt(max));
    return this.#held();
  }

  /** As {@link Receiver.take}, without waiting. */
  tryTake(max: number = MAX_CAPACITY): number {
    this.#begin(max);
    this.#attempt(max);
    return this.#held();
  }

  /** As {@link Receiver.take}, without blocking. Only one task may use a receiver in this way. */
  async takeAsync(max: number = MAX_CAPACITY, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    this.#begin(max);
    if (!this.#attempt(max)) await this.#waiting.waitAsync(options, () => this.#attempt(max));
    return this.#held();
  }

  /** How many messages were taken, which stay in the hands of the caller. */
  #held(): number {
    if (this.#count > 0) this.#cells.hold();
    return this.#count;
  }

  /** Where a message that was taken begins in `bytes`. */
  offset(index: number): number {
    return 4 * (this.#cells.messageOf(this.#position + index | 0) - this.#messages);
  }

  /** The bytes of a message that was taken; -1 if it lies in the pool, where `view` finds it. */
  length(index: number): number {
    return this.#state.words[this.#cells.lengthOf(this.#position + index | 0)]!;
  }

  /** A view of a message that was taken, wherever it lies; a new one at each call. */
  view(index: number): Uint8Array<SharedArrayBuffer> {
    checkInteger("view", "index", index, 0, this.#count - 1);
    return this.#viewOf(this.#position + index | 0);
  }

  /**
   * Has done with the messages that were received or taken: senders have their room again. The next
   * call that receives does the same.
   *
   * @throws {ReclaimedError} If this receiver was reclaimed.
   */
  release(): void {
    const count = this.#count;
    if (count === 0) return;
    const position = this.#position;
    this.#count = 0;
    this.#finish(position, count);
    this.#tellFreed();
  }

  /**
   * Has the messages that were received or taken, and not released, received by another; or by this
   * one again.
   */
  giveBack(): void {
    const count = this.#count;
    const position = this.#position;
    this.#count = 0;
    if (count === 0) return;
    this.#cells.giveBack(position, count, this.place);
    Atomics.add(this.#state.words, REDELIVERED, count);
    this.#state.receivers.wakeFirst();
  }

  /**
   * Leaves. A message that it has is given back if the channel was created with `redeliver`, and
   * gone otherwise. Borrowed messages stay until they are released. Twice is fine.
   */
  close(): void {
    if (this.#isClosed) return;
    if (this.#keeps) this.giveBack();
    else this.release();
    this.#isClosed = true;
    this.#waiting.leave();
    this.#membership.leave();
  }

  /** As {@link Receiver.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Before anything is received: what was received before is done with. */
  #begin(max: number): void {
    if (max !== 1) checkInteger("receive", "max", max, 1);
    this.#checkOpen();
    if (this.#count > 0) this.release();
  }

  /** Takes messages; returns whether that has an end, with some or with the end of all. */
  #attempt(max: number): boolean {
    this.#checkOpen();
    if (this.#count > 0) {
      throw new Error(
        "Cannot receive as another task of this receiver has messages: use a receiver for each",
      );
    }
    const cells = this.#cells;
    const count = cells.take(this.place, max);
    if (cells.hasPassed) {
      cells.hasPassed = false;
      this.#senders.wakeFirst();
    }
    if (count === 0) return false;
    this.#hasEnded = count === ENDED;
    this.#count = Math.max(0, count);
    this.#position = cells.position;
    // What is not done with before the caller gets it must be known.
    if (this.#keeps && count > 0) cells.hold();
    return true;
  }

  /** The value of the only message that was taken. */
  #value(): Value {
    const length = this.#decoder.load(this.#position);
    if (!this.#keeps) this.release();
    return this.#decoder.decode(length);
  }

  /** The values of those that were taken. */
  #values(): Value[] {
    const values: Value[] = [];
    try {
      for (let i = 0; i < this.#count; i++) {
        const length = this.#decoder.load(this.#position + i | 0);
        values.push(this.#decoder.decode(length));
      }
    } finally {
      if (!this.#keeps) this.release();
    }
    return values;
  }

  #viewOf(position: number): Uint8Array<SharedArrayBuffer> {
    const length = this.#state.words[this.#cells.lengthOf(position)]!;
    if (length === IN_POOL) return this.#decoder.pooledBytes(position);
    const start = 4 * (this.#cells.messageOf(position) - this.#messages);
    return this.bytes.subarray(start, start + length);
  }

  #borrowed(): Borrowed | undefined {
    if (this.#count === 0) return undefined;
    const position = this.#position;
    this.#count = 0;
    this.#cells.hold();
    return new Borrowed(this.#viewOf(position), () => {
      this.#finish(position, 1);
      this.#tellFreed();
    });
  }

  /** Frees cells, and the buffers of their messages. */
  #finish(position: number, count: number): void {
    // Before the cells are free: a thread that reclaims this one finds by the tickets what is done.
    const packets = this.#pool === undefined ? undefined : this.#adopt(this.#pool, position, count);
    try {
      this.#cells.free(position, count, this.place);
    } finally {
      if (packets !== undefined) { for (const packet of packets) packet.release(); }
    }
  }

  /** Wakes a sender; or a receiver, as the end may be in a cell that was freed. */
  #tellFreed(): void {
    if (this.#senders.wakeFirst()) this.#state.receivers.wakeFirst();
  }

  #adopt(pool: BufferPool, position: number, count: number): Packet[] {
    const { words } = this.#state;
    const packets: Packet[] = [];
    for (let i = 0; i < count; i++) {
      if (words[this.#cells.lengthOf(position + i | 0)] !== IN_POOL) continue;
      packets.push(pool.adoptFrom(words, this.#cells.messageOf(position + i | 0)));
    }
    return packets;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError("Cannot receive as the receiver is closed");
  }
}
