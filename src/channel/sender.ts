/**
 * Sending: a value at a time, many at once, or by filling cells in place.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { Packet } from "../pool/mod.ts";
import type { Cells } from "./cells.ts";
import { ChannelClosedError, ChannelFullError } from "./errors.ts";
import { Encoder, type Format } from "./message.ts";
import { Outlet } from "./outlet.ts";
import { PacketSending } from "./packets.ts";
import type { ChannelState, Membership } from "./state.ts";
import { writableOf } from "./streams.ts";
import type { WaitingPlace } from "./waiting_line.ts";

/** From one encoded message to the next. */
function after(at: number, length: number): number {
  return at + length + 7 & ~7;
}

/**
 * A sender of a channel: one of those that may send at the same time.
 *
 * A message that is sent goes to exactly one receiver. Messages of one sender are received in the
 * order in which they were sent, asynchronous ones included.
 *
 * @typeParam Input What can be sent.
 *
 * @example Usage
 * ```ts
 * import { Channel, jsonCodec } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const channel = Channel.create({ capacity: 16, codec: jsonCodec<{ id: number }>() });
 * using sender = channel.sender();
 * sender.send({ id: 1 }); // blocks while the channel is full
 * await sender.sendAsync({ id: 2 });
 * assertEquals(sender.trySend({ id: 3 }), true);
 * ```
 *
 * @example In place
 * ```ts
 * import { Channel, defineRecord, recordCodec } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * const Trade = defineRecord({ id: "u32", price: "f64" });
 * const channel = Channel.create({ capacity: 1024, codec: recordCodec(Trade) });
 * using sender = channel.sender();
 * const trade = Trade.view(sender.bytes);
 * const count = sender.claim(100);
 * for (let i = 0; i < count; i++) trade.moveTo(sender.offset(i)).id = i;
 * sender.publish();
 * assertEquals(channel.receiver().receive(), { id: 0, price: 0 });
 * ```
 */
export class Sender<Input = unknown> implements Disposable {
  /** The place of this sender, for a thread that reclaims it. */
  readonly place: number;
  /** The bytes of all cells. Only those of claimed cells may be written. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly #outlet: Outlet;
  readonly #packets: PacketSending;
  readonly #encoder: Encoder<Input>;
  readonly #words: Int32Array;
  readonly #cells: Cells;
  readonly #waiting: WaitingPlace;
  /** The first word of the first message. */
  readonly #messages: number;
  readonly #inlineBytes: number;

  /** @ignore */
  constructor(
    state: ChannelState,
    membership: Membership,
    format: Format<unknown, Input>,
    spins: boolean,
  ) {
    const { size, messages, byteLength } = state.region.layout;
    this.place = membership.place;
    this.#outlet = new Outlet(state, membership, spins);
    this.#packets = new PacketSending(this.#outlet, format.pool);
    this.#encoder = new Encoder(state, format);
    this.#words = state.words;
    this.#cells = this.#outlet.cells;
    this.#waiting = this.#outlet.waiting;
    this.#messages = messages;
    this.#inlineBytes = size.inlineBytes;
    const { buffer, byteOffset } = state.words;
    this.bytes = new Uint8Array(buffer).subarray(
      byteOffset + 4 * messages,
      byteOffset + byteLength,
    );
  }

  /** How many messages there may be at once. */
  get capacity(): number {
    return this.#cells.capacity;
  }

  /**
   * Sends a value, blocking while the channel is full; if it was created with `full: "wait"`.
   *
   * @returns Whether it was sent: false if the time is over, or it was dropped as the channel is
   * full and drops the newest.
   * @throws {ChannelClosedError} If the channel was closed.
   * @throws {ChannelFullError} If it is full and was created with `full: "fail"`.
   * @throws {RangeError} If the message is too long, or `timeoutMs` is negative.
   * @throws {Error} If {@link Sender.sendAsync} has not ended, or cells are claimed.
   * @throws The codec's error. Nothing was sent then.
   */
  send(value: Input, options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    this.#outlet.checkTurn("send");
    const length = this.#encode(value);
    if (!this.#encoder.isInline(length)) {
      return this.#packets.send(this.#encoder.bytes.subarray(0, length), options);
    }
    if (this.#put(length)) return true;
    return !this.#outlet.refuses(1) && this.#waiting.wait(options, () => this.#put(length));
  }

  /** As {@link Sender.send}, without waiting: false if the channel is full, or others wait. */
  trySend(value: Input): boolean {
    this.#outlet.checkOpen();
    if (this.#outlet.succession.isBusy) return false;
    this.#outlet.checkTurn("send");
    const length = this.#encode(value);
    if (this.#encoder.isInline(length)) return this.#put(length);
    return this.#packets.trySend(this.#encoder.bytes.subarray(0, length));
  }

  /** As {@link Sender.send}, without blocking. Messages go in the order of the calls. */
  async sendAsync(value: Input, options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    this.#outlet.checkOpen();
    const { succession } = this.#outlet;
    const length = this.#encode(value);
    if (this.#encoder.isInline(length) && !succession.isBusy) {
      if (this.#put(length)) return true;
      if (this.#outlet.refuses(1)) return false;
    }
    const bytes = this.#encoder.bytes.slice(0, length);
    return await succession.run(options, false, (left) => this.#sendBytesAsync(bytes, 1, left));
  }

  /**
   * Sends values, blocking while the channel is full. As {@link Sender.send}, but all are encoded
   * before the first is sent, and they go in pieces of as many as there is room for. An error that
   * comes later says how many were `sent`.
   *
   * @returns How many were sent: fewer than all if the time is over, or some were dropped.
   */
  sendAll(values: ArrayLike<Input>, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    this.#outlet.checkTurn("send");
    const deadline = new Deadline(options);
    return this.#sendEach(this.#encodeAll(values), (bytes, inline, rest) => {
      const left = options && { timeoutMs: deadline.remainingMs };
      if (inline === 0) return this.#packets.send(bytes, left);
      if (this.#outlet.claim(inline)) return true;
      if (this.#outlet.refuses(rest)) return false;
      return this.#waiting.wait(left, () => this.#outlet.claim(inline));
    });
  }

  /** As {@link Sender.sendAll}, without waiting; returns how many were sent. */
  trySendAll(values: ArrayLike<Input>): number {
    this.#outlet.checkOpen();
    if (this.#outlet.succession.isBusy) return 0;
    this.#outlet.checkTurn("send");
    return this.#trySendEach(this.#encodeAll(values));
  }

  /** As {@link Sender.sendAll}, without blocking. */
  async sendAllAsync(values: ArrayLike<Input>, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    this.#outlet.checkOpen();
    const { succession } = this.#outlet;
    const lengths = this.#encodeAll(values);
    let sent = succession.isBusy ? 0 : this.#trySendEach(lengths);
    if (sent === lengths.length) return sent;
    const bytes = this.#encoder.bytes.slice(0, this.#encoder.next);
    await succession.run(options, undefined, async (left) => {
      const deadline = new Deadline(left);
      let at = 0;
      for (let i = 0; i < sent; i++) at = after(at, lengths[i]!);
      try {
        while (sent < lengths.length) {
          const end = at + lengths[sent]!;
          const rest = { signal: left.signal, timeoutMs: deadline.remainingMs };
          const message = bytes.subarray(at, end);
          if (!await this.#sendBytesAsync(message, lengths.length - sent, rest)) return;
          at = after(at, lengths[sent++]!);
        }
      } catch (error) {
        throw withSent(error, sent, this.capacity);
      }
    });
    return sent;
  }

  /**
   * Sends a packet of the channel's pool, without a copy: the bytes in it are the message. Blocks
   * while the channel is full.
   *
   * @returns Whether it was sent, and is gone. If not, the time is over, or the channel is full and
   * drops the newest: the caller still has it.
   * @throws {TypeError} If the channel has no pool, or it is no packet.
   * @throws As {@link Sender.send}.
   */
  sendPacket(packet: Packet, options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    this.#outlet.checkTurn("send");
    checkPacket(packet, this.#packets.hasPool);
    return this.#packets.sendPacket(packet, options);
  }

  /** As {@link Sender.sendPacket}, without waiting. */
  trySendPacket(packet: Packet): boolean {
    this.#outlet.checkOpen();
    checkPacket(packet, this.#packets.hasPool);
    if (this.#outlet.succession.isBusy) return false;
    return this.#packets.trySendPacket(packet);
  }

  /** As {@link Sender.sendPacket}, without blocking. */
  async sendPacketAsync(packet: Packet, options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    this.#outlet.checkOpen();
    checkPacket(packet, this.#packets.hasPool);
    return await this.#outlet.succession.run(
      options,
      false,
      (left) => this.#packets.sendPacketAsync(packet, left),
    );
  }

  /** A stream that sends what is written to it. It closes this sender when it is closed. */
  writable(): WritableStream<Input> {
    return writableOf(this);
  }

  /**
   * Claims cells to fill in place, blocking until there is at least one.
   *
   * @param count How many at most; 1 by default.
   * @returns How many, for {@link Sender.offset}; 0 if the time is over.
   * @throws As {@link Sender.send}.
   */
  claim(count = 1, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    this.#checkClaim(count);
    const outlet = this.#outlet;
    if (!outlet.claim(count)) this.#waiting.wait(options, () => outlet.claim(count));
    return outlet.count;
  }

  /** As {@link Sender.claim}, without waiting. */
  tryClaim(count = 1): number {
    this.#checkClaim(count);
    this.#outlet.claim(count);
    return this.#outlet.count;
  }

  /** As {@link Sender.claim}, without blocking. */
  async claimAsync(count = 1, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    this.#checkClaim(count);
    const outlet = this.#outlet;
    const attempt = () => outlet.claim(count);
    if (attempt()) return outlet.count;
    const isClaimed = await outlet.succession.run(
      options,
      false,
      (left) => this.#waiting.waitAsync(left, attempt),
    );
    return isClaimed ? outlet.count : 0;
  }

  /** Where the message of a claimed cell begins in `bytes`. */
  offset(index: number): number {
    return 4 * (this.#cells.messageOf(this.#cells.position + index | 0) - this.#messages);
  }

  /**
   * Publishes the claimed cells.
   *
   * @param byteLength The length of each message; as many bytes as a cell has by default.
   * @throws {ChannelClosedError} If there is one sender and one receiver, and the channel was
   * closed since they were claimed. What one of several senders has claimed is waited for.
   * @throws {ReclaimedError} If this sender was reclaimed.
   */
  publish(byteLength: number = this.#inlineBytes): void {
    const { count } = this.#outlet;
    if (count === 0) return;
    if (byteLength !== this.#inlineBytes) {
      checkInteger("publish", "byteLength", byteLength, 0, this.#inlineBytes);
    }
    const { position } = this.#cells;
    for (let i = 0; i < count; i++) {
      this.#words[this.#cells.lengthOf(position + i | 0)] = byteLength;
    }
    this.#outlet.publish();
  }

  /** Gives up the claimed cells, if there are any. */
  abort(): void {
    this.#outlet.abort();
  }

  /**
   * Gives up what is claimed, and leaves. The channel stays open for others, unless this was the
   * last sender and it was created with `closeWithLastSender`. Twice is fine.
   *
   * @throws {ReclaimedError} If this sender was reclaimed.
   */
  close(): void {
    this.#outlet.close();
  }

  /** As {@link Sender.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkClaim(count: number): void {
    this.#outlet.checkTurn("claim");
    if (count !== 1) checkInteger("claim", "count", count, 1, this.capacity);
  }

  #encode(value: Input): number {
    this.#encoder.restart();
    return this.#encoder.encode(value);
  }

  /** Encodes values end to end; returns their lengths. */
  #encodeAll(values: ArrayLike<Input>): Int32Array {
    const lengths = new Int32Array(values.length);
    this.#encoder.restart();
    for (let i = 0; i < lengths.length; i++) lengths[i] = this.#encoder.encode(values[i]!);
    return lengths;
  }

  /** Puts the encoded message into a cell, if there is one. */
  #put(length: number): boolean {
    if (!this.#outlet.claim(1)) return false;
    this.#encoder.store(this.#cells.position, 0, length);
    this.#outlet.publish();
    return true;
  }

  /** Puts as many encoded messages as there are claimed cells; returns where the next begins. */
  #putAll(lengths: Int32Array, first: number, at: number): number {
    const { position } = this.#cells;
    const { count } = this.#outlet;
    for (let i = 0; i < count; i++) {
      const length = lengths[first + i]!;
      this.#encoder.store(position + i | 0, at, length);
      at = after(at, length);
    }
    this.#outlet.publish();
    return at;
  }

  /** Sends an encoded message; `count` are dropped if there is no room for it. */
  async #sendBytesAsync(
    bytes: Uint8Array,
    count: number,
    options: AsyncWaitOptions,
  ): Promise<boolean> {
    const { length } = bytes;
    if (!this.#encoder.isInline(length)) return await this.#packets.sendAsync(bytes, options);
    const attempt = () => {
      this.#encoder.bytes.set(bytes);
      return this.#put(length);
    };
    if (attempt()) return true;
    return !this.#outlet.refuses(count) && await this.#waiting.waitAsync(options, attempt);
  }

  #trySendEach(lengths: Int32Array): number {
    return this.#sendEach(
      lengths,
      (bytes, inline) => inline === 0 ? this.#packets.trySend(bytes) : this.#outlet.claim(inline),
    );
  }

  /**
   * Sends encoded messages, end to end.
   *
   * @param next Claims cells for some of the next messages, of which so many go inline; or sends
   * the next one, with these bytes, if that does not. `rest` are left.
   * @returns How many were sent.
   */
  #sendEach(
    lengths: Int32Array,
    next: (bytes: Uint8Array, inline: number, rest: number) => boolean,
  ): number {
    let sent = 0;
    try {
      for (let at = 0; sent < lengths.length;) {
        const length = lengths[sent]!;
        const inline = this.#inlineFrom(lengths, sent);
        const bytes = this.#encoder.bytes.subarray(at, at + length);
        if (!next(bytes, inline, lengths.length - sent)) break;
        const count = inline === 0 ? 1 : this.#outlet.count;
        at = inline === 0 ? after(at, length) : this.#putAll(lengths, sent, at);
        sent += count;
      }
    } catch (error) {
      throw withSent(error, sent, this.capacity);
    }
    return sent;
  }

  /** How many of the messages from one on go into cells. */
  #inlineFrom(lengths: Int32Array, first: number): number {
    let end = first;
    while (end < lengths.length && this.#encoder.isInline(lengths[end]!)) end++;
    return end - first;
  }
}

/** The error of a call that has sent some values before. */
function withSent(error: unknown, sent: number, capacity: number): unknown {
  if (error instanceof ChannelClosedError) return new ChannelClosedError(sent);
  if (error instanceof ChannelFullError) return new ChannelFullError(capacity, sent);
  return error;
}

/** Throws unless this is a packet that the channel can carry. */
function checkPacket(packet: Packet, hasPool: boolean): void {
  if (!hasPool) {
    throw new TypeError("Cannot send a packet as the channel was created without a pool");
  }
  if (typeof packet?.detachInto === "function") return;
  throw new TypeError(`Cannot send as a packet was expected: received ${describe(packet)}`);
}
