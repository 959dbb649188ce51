/**
 * A channel: a bounded queue of values between threads, with backpressure. Many may send and many
 * receive, and each message goes to one of these.
 *
 * `README.md` in this folder has the protocol: which thread writes which word, and why each step is
 * right. Start there.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import type { Memory } from "../memory/memory.ts";
import { Region, type RegionHandle } from "../memory/region.ts";
import type { BufferPool } from "../pool/mod.ts";
import { bytesCodec, checkCodec, type Codec, codecOfName } from "./codec.ts";
import { type ChannelInspection, inspect } from "./inspection.ts";
import {
  ChannelLayout,
  CLOSE_WITH_LAST,
  FULL_MODES,
  IN_POOL,
  KIND,
  LOST,
  MIN_INLINE_BYTES,
  REDELIVER,
  REDELIVERED,
} from "./layout.ts";
import { type Format, maxMessageBytes } from "./message.ts";
import { reclaimReceived, releaseUnpublished } from "./reclaim.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { ChannelState, type Membership, type Side } from "./state.ts";

/** Opens a {@link Channel} in another thread. */
export interface ChannelHandle<Value = unknown, Input = Value>
  extends RegionHandle<"busbar.channel"> {
  /** What the codec is called. */
  readonly codec: string | undefined;
  /** The identity of the pool that long messages lie in. */
  readonly pool: number | undefined;
  /** Never there: it carries the types of values. */
  readonly types?: (value: Input) => Value;
}

/** Options of {@link Channel.create}. */
export interface ChannelOptions<Value, Input = Value> {
  /** How many messages there may be at once, a power of two up to 2^22. */
  readonly capacity: number;
  /** How values become bytes; {@link bytesCodec} by default. */
  readonly codec?: Codec<Value, Input>;
  /**
   * The most bytes of a message that lies in the channel itself, from 16 to 2^20: by default as
   * many as the codec's values take, if they are of one length, and 128 otherwise.
   */
  readonly inlineBytes?: number;
  /** The pool for longer messages, up to its `bufferBytes`. Without one there can be none. */
  readonly pool?: BufferPool | undefined;
  /**
   * How many senders there may be at once, up to 31; 8 by default. A channel for one sender and one
   * receiver is faster, several times as fast in batches.
   */
  readonly senders?: number;
  /** How many receivers there may be at once, up to 31; 8 by default. */
  readonly receivers?: number;
  /**
   * What `send` does while the channel is full: "wait", the default; "fail" with a
   * `ChannelFullError`; or "drop" the message, count it, and return false.
   */
  readonly full?: "wait" | "fail" | "drop";
  /**
   * Whether a message that a receiver had not done with when it died is delivered again, maybe
   * twice; by default it is lost. Either way it is counted.
   */
  readonly redeliver?: boolean;
  /** Whether it closes when the last sender is closed or reclaimed; not by default. */
  readonly closeWithLastSender?: boolean;
  /** The memory to lay it out in; one of its own by default. */
  readonly memory?: Memory | undefined;
  /** The number of the first message; 0 by default. */
  readonly start?: number;
}

/** Options of {@link Channel.attach}. */
export interface ChannelAttachOptions<Value, Input = Value> {
  /** The codec; not needed for `bytesCodec`, `textCodec` and `jsonCodec`. */
  readonly codec?: Codec<Value, Input>;
  /** The pool, as this thread has attached to it; if the channel has one. */
  readonly pool?: BufferPool | undefined;
}

/** Options of {@link Channel.sender} and {@link Channel.receiver}. */
export interface ChannelEndOptions {
  /** Which place to take; any that is free by default. */
  readonly place?: number;
  /**
   * Whether to look for a while before sleeping: "phased", the default, does, and "blocking" does
   * not, which is better with more threads than cores.
   */
  readonly strategy?: "phased" | "blocking";
}

/**
 * A channel: a bounded MPMC queue of values with backpressure, between threads.
 *
 * - **Exactly once.** Each message goes to one receiver, whole.
 * - **In order.** Messages of one sender are received in the order in which they were sent.
 * - **Fair.** Senders that wait for room get it in the order in which they began to wait.
 * - **No lost wake-up.** No thread sleeps beside room, or a message, that it waits for.
 * - **An end.** After `close` senders are refused; receivers get what was sent, and then the end.
 * - **Repairable.** At most one message in the hands of a thread that dies is lost, or delivered
 *   again, and it is counted.
 *
 * @typeParam Value What is received.
 * @typeParam Input What is sent.
 *
 * @example Usage
 * ```ts
 * import { Channel, jsonCodec } from "@busbar/busbar";
 * import { assertEquals } from "@std/assert";
 *
 * interface Job { readonly url: string }
 * const jobs = Channel.create({ capacity: 64, codec: jsonCodec<Job>() });
 * // worker.postMessage(jobs.handle), and there:
 * // for await (const job of Channel.attach<Job>(data).receiver()) await fetch(job.url);
 *
 * using sender = jobs.sender();
 * await sender.sendAsync({ url: "https://example.org" }); // waits while 64 jobs are queued
 * assertEquals(jobs.inspect().depth, 1);
 * jobs.close();
 * assertEquals(jobs.receiver().receive(), { url: "https://example.org" });
 * ```
 */
export class Channel<Value = unknown, Input = Value> {
  readonly #state: ChannelState;
  readonly #format: Format<Value, Input>;

  /** @ignore */
  private constructor(state: ChannelState, format: Format<Value, Input>) {
    this.#state = state;
    this.#format = format;
  }

  /**
   * Lays out a new channel.
   *
   * @throws {TypeError} If an option is of another type.
   * @throws {RangeError} If a number is out of its range, or the memory has not enough free bytes.
   */
  static create<Value = Uint8Array<ArrayBuffer>, Input = Value>(
    options: ChannelOptions<Value, Input>,
  ): Channel<Value, Input> {
    checkOptions("create channel", options);
    const { capacity, pool, senders = 8, receivers = 8, memory, start = 0 } = options;
    const codec = options.codec ?? bytesCodec as unknown as Codec<Value, Input>;
    checkCodec("create channel", codec);
    const inlineBytes = options.inlineBytes ?? Math.max(codec.byteLength ?? 128, MIN_INLINE_BYTES);
    const layout = ChannelLayout.of({
      capacity,
      inlineBytes,
      senders,
      receivers,
      start,
      options: optionBits(options),
    });
    if (codec.byteLength !== undefined && pool === undefined) {
      checkInteger("create channel", "inlineBytes", inlineBytes, codec.byteLength);
    }
    const region = Region.create(KIND, layout, memory);
    layout.initialize(region.words);
    return new Channel(new ChannelState(region), { codec, pool });
  }

  /**
   * Opens a channel that another thread created.
   *
   * @throws {TypeError} If it is not a handle of a channel of this version, its codec has another
   * name, or it has another pool.
   */
  static attach<Value, Input = Value>(
    handle: ChannelHandle<Value, Input>,
    options: ChannelAttachOptions<Value, Input> = {},
  ): Channel<Value, Input> {
    const region = Region.attach(KIND, handle);
    checkOptions("attach", options);
    const codec = options.codec ?? codecOfName(handle.codec) as Codec<Value, Input> | undefined;
    if (codec === undefined) {
      throw new TypeError(
        `Cannot attach as the channel has a codec of its own, ${
          describe(handle.codec)
        }: pass the same as 'codec'`,
      );
    }
    checkCodec("attach", codec);
    if (codec.name !== handle.codec) {
      throw new TypeError(
        `Cannot attach as a codec named ${describe(handle.codec)} was expected: received ${
          describe(codec.name)
        }`,
      );
    }
    const { pool } = options;
    if (pool?.identity !== handle.pool) {
      throw new TypeError(
        handle.pool === undefined
          ? "Cannot attach as the channel has no pool: received one"
          : "Cannot attach as the channel has a pool: attach to it, and pass it as 'pool'",
      );
    }
    return new Channel(new ChannelState(region), { codec, pool });
  }

  /** A plain object that survives structured clone and opens this channel in another thread. */
  get handle(): ChannelHandle<Value, Input> {
    const { codec, pool } = this.#format;
    return { ...this.#state.region.handle, codec: codec.name, pool: pool?.identity };
  }

  /** How many messages there may be at once. */
  get capacity(): number {
    return this.#state.cells.capacity;
  }

  /** The most bytes of a message. */
  get maxMessageBytes(): number {
    return maxMessageBytes(this.#state, this.#format.pool);
  }

  /** Whether it was closed: it takes no more messages. */
  get isClosed(): boolean {
    return this.#state.cells.isClosed;
  }

  /**
   * Becomes a sender.
   *
   * @throws {RangeError} If there is no such place.
   * @throws {Error} If the place is taken, or all are.
   */
  sender(options: ChannelEndOptions = {}): Sender<Input> {
    const membership = this.#join("sender", options);
    const format = this.#format as unknown as Format<unknown, Input>;
    return new Sender(this.#state, membership, format, options.strategy !== "blocking");
  }

  /**
   * Becomes a receiver.
   *
   * @throws As {@link Channel.sender}.
   */
  receiver(options: ChannelEndOptions = {}): Receiver<Value> {
    const membership = this.#join("receiver", options);
    const format = this.#format as unknown as Format<Value, never>;
    return new Receiver(this.#state, membership, format, options.strategy !== "blocking");
  }

  #join(side: Side, options: ChannelEndOptions): Membership {
    const action = side === "sender" ? "send" : "receive";
    checkOptions(action, options);
    const { place, strategy } = options;
    if (strategy !== undefined && strategy !== "phased" && strategy !== "blocking") {
      throw new TypeError(
        `Cannot ${action} as 'strategy' must be "phased" or "blocking": received ${
          describe(strategy)
        }`,
      );
    }
    if (place !== undefined) this.#checkPlace(action, side, place);
    return this.#state.join(side, place);
  }

  #checkPlace(action: string, side: Side, place: number): void {
    checkInteger(action, "place", place, 0, this.#state.places(side) - 1);
  }

  /**
   * Ends the channel: it takes no more messages, and all that wait to send get a
   * `ChannelClosedError`. Receivers get what was sent before, and then the end. Twice is fine.
   */
  close(): void {
    this.#state.close();
  }

  /**
   * Repairs what a sender left whose thread has died: the message that it was writing is lost.
   * Never call it for one that is alive, and from one thread at a time; if that dies meanwhile,
   * another may call it again.
   *
   * @param place Its {@link Sender.place}.
   * @returns How many messages were lost: one at most, but for cells that were claimed together.
   * @throws {Error} If no sender has that place.
   */
  reclaimSender(place: number): number {
    this.#checkReclaim("sender", place);
    const state = this.#state;
    const { words } = state;
    const { pool } = this.#format;
    const cells = state.openCells();
    const lost = cells.reclaimSender(place, (position) => {
      if (pool === undefined || words[cells.lengthOf(position)] !== IN_POOL) return;
      releaseUnpublished(pool, words, cells.messageOf(position));
    });
    Atomics.add(words, LOST, lost);
    state.senders.leave(place);
    state.release("sender", place);
    state.wakeAll();
    return lost;
  }

  /**
   * Repairs what a receiver left whose thread has died: the messages that it had are delivered to
   * others, if the channel was created with `redeliver`, and lost otherwise. As
   * {@link Channel.reclaimSender}.
   *
   * @param place Its {@link Receiver.place}.
   * @returns How many messages it had: one at most, but for those that were taken together, or
   * borrowed.
   * @throws {Error} If no receiver has that place.
   */
  reclaimReceiver(place: number): number {
    this.#checkReclaim("receiver", place);
    const state = this.#state;
    const { words } = state;
    const cells = state.openCells();
    const redeliver = state.has(REDELIVER);
    const count = cells.reclaimReceiver(
      place,
      redeliver,
      (position) =>
        words[cells.lengthOf(position)] !== IN_POOL ||
        reclaimReceived(this.#format.pool, words, cells.messageOf(position), redeliver),
    );
    Atomics.add(words, redeliver ? REDELIVERED : LOST, count);
    state.receivers.leave(place);
    state.release("receiver", place);
    state.wakeAll();
    return count;
  }

  #checkReclaim(side: Side, place: number): void {
    this.#checkPlace("reclaim", side, place);
    if (this.#state.isPresent(side, place)) return;
    throw new Error(`Cannot reclaim ${side} ${place} as it is not attached`);
  }

  /** How it is at this moment, or nearly. */
  inspect(): ChannelInspection {
    return inspect(this.#state);
  }
}

function optionBits(
  { full = "wait", redeliver, closeWithLastSender }: Pick<
    ChannelOptions<unknown>,
    "full" | "redeliver" | "closeWithLastSender"
  >,
): number {
  const mode = FULL_MODES.indexOf(full);
  if (mode === -1) {
    throw new TypeError(
      `Cannot create channel as 'full' must be "wait", "fail" or "drop": received ${
        describe(full)
      }`,
    );
  }
  return mode | (redeliver ? REDELIVER : 0) | (closeWithLastSender ? CLOSE_WITH_LAST : 0);
}
