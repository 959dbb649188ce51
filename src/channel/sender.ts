/**
 * Sending: a value at a time, many at once, or by filling cells in place.
 *
 * @module
 */

import { checkInteger } from "../memory/check.ts";
import { ClosedError } from "../memory/errors.ts";
import {
  type AsyncWaitOptions,
  checkAsyncWaitOptions,
  checkWaitOptions,
  Deadline,
  type WaitOptions,
} from "../memory/wait_options.ts";
import type { BufferPool, Packet } from "../pool/mod.ts";
import { Cells, ENDED } from "./cells.ts";
import { ChannelClosedError, ChannelFullError } from "./errors.ts";
import {
  DROPPED,
  FULL_MODE_MASK,
  FULL_MODES,
  IN_POOL,
  isClosedGate,
  SENDER_LINE,
  WAITING,
} from "./layout.ts";
import { Encoder, type Format } from "./message.ts";
import type { ChannelState } from "./state.ts";
import { writableOf } from "./streams.ts";
import { Succession } from "./succession.ts";
import { type WaitingLine, WaitingPlace } from "./waiting_line.ts";

// A local copy for the hot path.
const GATE = SENDER_LINE + WAITING;

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
  readonly #state: ChannelState;
  readonly #messages: number;
  readonly #pool: BufferPool | undefined;
  readonly #cells: Cells;
  readonly #line: WaitingLine;
  readonly #receivers: WaitingLine;
  readonly #encoder: Encoder<Input>;
  readonly #waiting: WaitingPlace;
  readonly #succession = new Succession();
  readonly #inlineBytes: number;
  readonly #mode: typeof FULL_MODES[number];
  /** How many cells are claimed, from the position of the cells on. */
  #count = 0;
  #isClosed = false;

  /** @ignore */
  constructor(
    state: ChannelState,
    place: number,
    format: Format<unknown, Input>,
    spins: boolean,
  ) {
    const { region, words, senders, receivers } = state;
    const { size, messages, byteLength } = region.layout;
    this.#state = state;
    this.#messages = messages;
    this.#pool = format.pool;
    this.place = place;
    this.#cells = new Cells(words, region.layout);
    this.#line = senders;
    this.#receivers = receivers;
    this.#encoder = new Encoder(state, format);
    this.#inlineBytes = size.inlineBytes;
    this.#mode = FULL_MODES[size.options & FULL_MODE_MASK]!;
    this.bytes = new Uint8Array(words.buffer).subarray(
      words.byteOffset + 4 * messages,
      words.byteOffset + byteLength,
    );
    const hasRoom = () => this.#cells.hasRoom(0) || this.#cells.isClosed;
    this.#waiting = new WaitingPlace(region, senders, place, hasRoom, spins);
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
    this.#checkTurn("send");
    const length = this.#encode(value);
    if (this.#encoder.isInline(length)) return this.#sendInline(0, length, options);
    return this.#sendPooled(0, length, options);
  }

  /** As {@link Sender.send}, without waiting: false if the channel is full, or others wait. */
  trySend(value: Input): boolean {
    this.#checkOpen();
    const length = this.#encode(value);
    if (this.#succession.isBusy) return false;
    this.#checkTurn("send");
    if (this.#encoder.isInline(length)) return this.#put(0, length);
    return this.#tryPutPooled(0, length);
  }

  /** As {@link Sender.send}, without blocking. Messages go in the order of the calls. */
  async sendAsync(value: Input, options?: AsyncWaitOptions): Promise<boolean> {
    checkAsyncWaitOptions(options);
    this.#checkOpen();
    const length = this.#encode(value);
    const isInline = this.#encoder.isInline(length);
    if (isInline && !this.#succession.isBusy) {
      this.#checkTurn("send");
      if (this.#put(0, length)) return true;
      if (this.#isRefused()) return false;
    }
    const bytes = this.#encoder.bytes.slice(0, length);
    return await this.#succession.run(
      options,
      false,
      (left) => isInline ? this.#sendBytesAsync(bytes, left) : this.#sendPooledAsync(bytes, left),
    );
  }

  /**
   * Sends values, blocking while the channel is full. As {@link Sender.send}, but all are encoded
   * before the first is sent, and they go in pieces of as many as there is room for.
   *
   * @returns How many were sent: fewer than all if the time is over, or some were dropped.
   */
  sendAll(values: ArrayLike<Input>, options?: WaitOptions): number {
    if (options !== undefined) checkWaitOptions(options);
    this.#checkTurn("send");
    const deadline = new Deadline(options);
    const lengths = this.#encodeAll(values);
    let at = 0;
    for (let sent = 0; sent < lengths.length;) {
      const left = options && { timeoutMs: deadline.remainingMs };
      const count = this.#inlineFrom(lengths, sent);
      if (count === 0) {
        if (!this.#sendPooled(at, lengths[sent]!, left)) return sent;
        at = after(at, lengths[sent++]!);
        continue;
      }
      if (!this.#claim(count) && (this.#isRefused() || !this.#claimLater(count, left))) {
        return sent;
      }
      const end = sent + this.#count;
      at = this.#putAll(lengths, sent, at);
      sent = end;
    }
    return lengths.length;
  }

  /** As {@link Sender.sendAll}, without waiting; returns how many were sent. */
  trySendAll(values: ArrayLike<Input>): number {
    this.#checkOpen();
    const lengths = this.#encodeAll(values);
    if (this.#succession.isBusy) return 0;
    this.#checkTurn("send");
    let at = 0;
    let sent = 0;
    while (sent < lengths.length) {
      const count = this.#inlineFrom(lengths, sent);
      if (count === 0) {
        if (!this.#tryPutPooled(at, lengths[sent]!)) break;
        at = after(at, lengths[sent++]!);
        continue;
      }
      if (!this.#claim(count)) break;
      const end = sent + this.#count;
      at = this.#putAll(lengths, sent, at);
      sent = end;
    }
    return sent;
  }

  /** As {@link Sender.sendAll}, without blocking. */
  async sendAllAsync(values: ArrayLike<Input>, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    const deadline = new Deadline(options);
    let sent = this.trySendAll(values);
    for (; sent < values.length; sent++) {
      const left = { signal: options?.signal, timeoutMs: deadline.remainingMs };
      if (!await this.sendAsync(values[sent]!, left)) break;
    }
    return sent;
  }

  /**
   * Sends a packet of the channel's pool, without a copy: the bytes in it are the message. Blocks
   * while the channel is full.
   *
   * @returns Whether it was sent, and is gone; false if the time is over: the caller still has it.
   * @throws As {@link Sender.send}.
   */
  sendPacket(packet: Packet, options?: WaitOptions): boolean {
    if (options !== undefined) checkWaitOptions(options);
    this.#checkTurn("send");
    return this.#sendPacket(packet, options);
  }

  #encode(value: Input): number {
    this.#encoder.restart();
    return this.#encoder.encode(value);
  }

  #encodeAll(values: ArrayLike<Input>): Int32Array {
    const lengths = new Int32Array(values.length);
    this.#encoder.restart();
    for (let i = 0; i < lengths.length; i++) lengths[i] = this.#encoder.encode(values[i]!);
    return lengths;
  }

  /** How many of the messages from one on go into cells. */
  #inlineFrom(lengths: Int32Array, first: number): number {
    let end = first;
    while (end < lengths.length && this.#encoder.isInline(lengths[end]!)) end++;
    return end - first;
  }

  #sendInline(at: number, length: number, options: WaitOptions | undefined): boolean {
    if (this.#put(at, length)) return true;
    if (this.#isRefused()) return false;
    return this.#waiting.wait(options, () => this.#put(at, length));
  }

  async #sendBytesAsync(bytes: Uint8Array, options: AsyncWaitOptions): Promise<boolean> {
    const attempt = () => this.#putBytes(bytes);
    if (attempt()) return true;
    return !this.#isRefused() && await this.#waiting.waitAsync(options, attempt);
  }

  /** What becomes of a message for which there is no room: whether it is dropped. */
  #isRefused(): boolean {
    if (this.#mode === "wait") return false;
    if (this.#mode === "fail") throw new ChannelFullError(this.capacity);
    Atomics.add(this.#state.words, SENDER_LINE + DROPPED, 1);
    return true;
  }

  /** Claims some cells, if that takes nothing from others that have waited longer. */
  #claim(max: number): boolean {
    if (this.#isClosed || this.#count > 0) this.#refuse();
    const gate = Atomics.load(this.#state.words, GATE);
    if (gate !== 0 && !this.#mayEnter(gate)) return false;
    const count = this.#cells.claim(this.place, max);
    if (count === ENDED) throw new ChannelClosedError();
    this.#count = count;
    return count > 0;
  }

  #mayEnter(gate: number): boolean {
    if (isClosedGate(gate)) throw new ChannelClosedError();
    return this.#line.isFirst(this.place) || this.#cells.hasRoom(this.#line.count);
  }

  #claimLater(max: number, options: WaitOptions | undefined): boolean {
    return this.#waiting.wait(options, () => this.#claim(max));
  }

  /** Puts an encoded message into a cell, if there is one. */
  #put(at: number, length: number): boolean {
    if (!this.#claim(1)) return false;
    this.#encoder.store(this.#cells.position, at, length);
    this.#publish();
    return true;
  }

  #putBytes(bytes: Uint8Array): boolean {
    if (!this.#claim(1)) return false;
    this.#encoder.bytes.set(bytes);
    this.#encoder.store(this.#cells.position, 0, bytes.length);
    this.#publish();
    return true;
  }

  /** Puts as many encoded messages as there are claimed cells; returns where the next begins. */
  #putAll(lengths: Int32Array, first: number, at: number): number {
    const { position } = this.#cells;
    for (let i = 0; i < this.#count; i++) {
      const length = lengths[first + i]!;
      this.#encoder.store(position + i | 0, at, length);
      at = after(at, length);
    }
    this.#publish();
    return at;
  }

  #sendPooled(at: number, length: number, options: WaitOptions | undefined): boolean {
    const deadline = new Deadline(options);
    const pool = this.#pool!;
    let buffer = pool.tryAcquire();
    if (buffer < 0) {
      if (this.#isRefused()) return false;
      buffer = pool.acquire(options);
    }
    if (buffer < 0) return false;
    using packet = this.#pack(buffer, this.#encoder.bytes.subarray(at, at + length));
    return this.#sendPacket(packet, options && { timeoutMs: deadline.remainingMs });
  }

  #tryPutPooled(at: number, length: number): boolean {
    const buffer = this.#pool!.tryAcquire();
    if (buffer < 0) return false;
    using packet = this.#pack(buffer, this.#encoder.bytes.subarray(at, at + length));
    return this.#putPacket(packet);
  }

  async #sendPooledAsync(bytes: Uint8Array, options: AsyncWaitOptions): Promise<boolean> {
    const deadline = new Deadline(options);
    const pool = this.#pool!;
    let buffer = pool.tryAcquire();
    if (buffer < 0) {
      if (this.#isRefused()) return false;
      buffer = await pool.acquireAsync(options);
    }
    if (buffer < 0) return false;
    using packet = this.#pack(buffer, bytes);
    const attempt = () => this.#putPacket(packet);
    if (attempt()) return true;
    const left = { signal: options.signal, timeoutMs: deadline.remainingMs };
    return !this.#isRefused() && await this.#waiting.waitAsync(left, attempt);
  }

  /** Copies a message into a buffer. If the packet is not sent, disposing releases it. */
  #pack(buffer: number, bytes: Uint8Array): Packet {
    this.#pool!.bytes.set(bytes, this.#pool!.offsetOf(buffer));
    return this.#pool!.packet(buffer, 0, bytes.length);
  }

  #sendPacket(packet: Packet, options: WaitOptions | undefined): boolean {
    if (this.#putPacket(packet)) return true;
    if (this.#isRefused()) return false;
    return this.#waiting.wait(options, () => this.#putPacket(packet));
  }

  #putPacket(packet: Packet): boolean {
    if (!this.#claim(1)) return false;
    const { words } = this.#state;
    const { position } = this.#cells;
    try {
      packet.detachInto(words, this.#cells.messageOf(position));
    } catch (error) {
      this.abort();
      throw error;
    }
    words[this.#cells.lengthOf(position)] = IN_POOL;
    this.#publish();
    return true;
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
    if (this.#claim(count) || this.#claimLater(count, options)) return this.#count;
    return 0;
  }

  /** As {@link Sender.claim}, without waiting. */
  tryClaim(count = 1): number {
    this.#checkClaim(count);
    return this.#claim(count) ? this.#count : 0;
  }

  /** As {@link Sender.claim}, without blocking. */
  async claimAsync(count = 1, options?: AsyncWaitOptions): Promise<number> {
    checkAsyncWaitOptions(options);
    this.#checkClaim(count);
    if (this.#claim(count)) return this.#count;
    const attempt = () => this.#claim(count);
    const isClaimed = await this.#succession.run(
      options,
      false,
      (left) => this.#waiting.waitAsync(left, attempt),
    );
    return isClaimed ? this.#count : 0;
  }

  /** Where the message of a claimed cell begins in `bytes`. */
  offset(index: number): number {
    return 4 * (this.#cells.messageOf(this.#cells.position + index | 0) - this.#messages);
  }

  /**
   * Publishes the claimed cells.
   *
   * @param byteLength The length of each message; as many bytes as a cell has by default.
   * @throws {ReclaimedError} If this sender was reclaimed.
   */
  publish(byteLength: number = this.#inlineBytes): void {
    if (this.#count === 0) return;
    if (byteLength !== this.#inlineBytes) {
      checkInteger("publish", "byteLength", byteLength, 0, this.#inlineBytes);
    }
    const { words } = this.#state;
    const { position } = this.#cells;
    for (let i = 0; i < this.#count; i++) {
      words[this.#cells.lengthOf(position + i | 0)] = byteLength;
    }
    this.#publish();
  }

  #publish(): void {
    const cells = this.#cells;
    const { position } = cells;
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) cells.publish(position + i | 0, this.place);
    this.#receivers.wakeFirst();
  }

  /** Gives up the claimed cells, if there are any. */
  abort(): void {
    if (this.#count === 0) return;
    const { position } = this.#cells;
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) this.#cells.abort(position + i | 0, this.place);
    // They have to be passed, before there is room again or the end is found.
    this.#receivers.wakeFirst();
  }

  /**
   * Gives up what is claimed, and leaves. The channel stays open for others, unless this was the
   * last sender and it was created with `closeWithLastSender`. Twice is fine.
   */
  close(): void {
    if (this.#isClosed) return;
    this.abort();
    this.#isClosed = true;
    this.#waiting.wake();
    this.#state.leave("sender", this.place);
  }

  /** As {@link Sender.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #refuse(): never {
    this.#checkOpen();
    throw new Error("Cannot send as cells are claimed: publish or abort them first");
  }

  #checkClaim(count: number): void {
    this.#checkTurn("claim");
    if (count !== 1) checkInteger("claim", "count", count, 1, this.capacity);
  }

  /** Throws unless this sender may send now, before anything else that it does. */
  #checkTurn(action: string): void {
    this.#checkOpen();
    if (this.#count > 0) {
      throw new Error(`Cannot ${action} as cells are claimed: publish or abort them first`);
    }
    if (this.#succession.isBusy) {
      throw new Error(
        `Cannot ${action} as messages of this sender wait to be sent: await them first, or use another sender`,
      );
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError("Cannot send as the sender is closed");
  }
}
