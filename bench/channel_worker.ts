/**
 * Senders and receivers, each on a worker of its own, for `channel_bench.ts`: over a channel, and
 * over what one would use instead.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import {
  Channel,
  type ChannelHandle,
  type Codec,
  defineRecord,
  FloatRing,
  type FloatRingHandle,
  type Receiver,
  recordCodec,
  type RecordView,
  type Sender,
} from "../mod.ts";
import type { Round } from "./crew.ts";

/** A record of 64 bytes. */
export const Quote = defineRecord({
  id: "u32",
  flags: "u32",
  bid: "f64",
  ask: "f64",
  bidSize: "f64",
  askSize: "f64",
  last: "f64",
  volume: "f64",
  time: "f64",
});
type QuoteView = RecordView<typeof Quote>;

/** A small value. */
export interface Small {
  readonly id: number;
  readonly name: string;
  readonly isNew: boolean;
}

/** The job of every end. */
export interface End {
  /** The messages of a round that this end sends, or that all receivers receive. */
  readonly messages: number;
  /** How many are sent and received at once. */
  readonly batch: number;
  /** How many receivers there are. */
  readonly receivers: number;
  /** The words of the round: {@link SUM} and so on. */
  readonly results: Int32Array;
}

/** The sum of the numbers of all messages. */
export const SUM = 0;
/** How many messages are left to receive. */
export const LEFT = 16;
/** How many words there are. */
export const WORDS = 32;

/** The job of an end of a channel. */
export interface ChannelEnd extends End {
  readonly handle: ChannelHandle<never>;
  /** What travels: records in place, or values. */
  readonly kind: "record" | "json" | "bytes";
}

/** The job of an end of ports. */
export interface PortEnd extends End {
  readonly ports: readonly MessagePort[];
  readonly kind: "record" | "json" | "bytes";
}

/** The job of an end of a ring of samples. */
export interface RingEnd extends End {
  readonly ring: FloatRingHandle | SharedArrayBuffer;
}

function channelOf({ handle, kind }: ChannelEnd): Channel<never> {
  const codec = recordCodec(Quote) as unknown as Codec<never>;
  return Channel.attach(handle, kind === "record" ? { codec } : {});
}

function fill(sender: Sender, quote: QuoteView, count: number, first: number): void {
  for (let i = 0; i < count; i++) {
    quote.moveTo(sender.offset(i));
    quote.id = (first + i) & 0xff;
    quote.flags = 1;
    quote.bid = i;
    quote.ask = i;
    quote.bidSize = i;
    quote.askSize = i;
    quote.last = i;
    quote.volume = i;
    quote.time = i;
  }
}

function sumOf(receiver: Receiver, quote: QuoteView, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum = sum + quote.moveTo(receiver.offset(i)).id | 0;
  return sum;
}

/** A value of one kind, for each number from 0 to 255. */
function valuesOf(kind: PortEnd["kind"]): (Small | Uint8Array)[] {
  return Array.from({ length: 256 }, (_, id) => {
    if (kind === "json") return { id, name: `number ${id}`, isNew: true };
    return new Uint8Array(kind === "bytes" ? 1024 : 64).fill(id);
  });
}

function numberOf(value: Small | Uint8Array): number {
  return "id" in value ? value.id : value[0]!;
}

/** Sends. */
export function send(end: ChannelEnd): Round {
  const sender = channelOf(end).sender() as Sender;
  const { messages, batch, kind } = end;
  if (kind === "record") {
    const quote = Quote.view(sender.bytes);
    return () => {
      for (let sent = 0; sent < messages;) {
        const count = sender.claim(Math.min(batch, messages - sent));
        fill(sender, quote, count, sent);
        sender.publish();
        sent += count;
      }
    };
  }
  const values = valuesOf(kind);
  return () => {
    if (batch === 1) { for (let i = 0; i < messages; i++) sender.send(values[i & 0xff]); }
    else for (let i = 0; i < messages; i += 256) sender.sendAll(values);
  };
}

/** Receives. */
export function receive(end: ChannelEnd): Round {
  const receiver = channelOf(end).receiver() as Receiver;
  const { batch, kind, receivers, messages, results } = end;
  const options = receivers > 1 ? { timeoutMs: 2 } : undefined;
  const quote = kind === "record" ? Quote.view(receiver.bytes) : undefined;
  let sum = 0;
  const take = (): number => {
    if (quote !== undefined) {
      const count = receiver.take(batch, options);
      sum = sum + sumOf(receiver, quote, count) | 0;
      return count;
    }
    if (batch > 1) {
      const values = receiver.receiveSome(batch, options) as Small[];
      for (const value of values) sum = sum + numberOf(value) | 0;
      return values.length;
    }
    const value = receiver.receive(options) as Small | undefined;
    if (value === undefined) return 0;
    sum = sum + numberOf(value) | 0;
    return 1;
  };
  return () => {
    sum = 0;
    if (receivers === 1) { for (let left = messages; left > 0;) left -= take(); }
    else while (Atomics.load(results, LEFT) > 0) Atomics.sub(results, LEFT, take());
    receiver.release();
    Atomics.add(results, SUM, sum);
  };
}

/** As {@link send}, in a worker of its own, whose code is compiled for single ends. */
export const sendSingle = send;
/** As {@link receive}, likewise. */
export const receiveSingle = receive;

/** Posts to the ports in turn, and waits until each has answered. */
export function post({ messages, kind, ports }: PortEnd): Round {
  const values = valuesOf(kind);
  const answered = (port: MessagePort) =>
    new Promise<void>((resolve) => port.onmessage = () => resolve());
  return async () => {
    const done = ports.map(answered);
    for (let i = 0; i < messages; i++) {
      ports[i % ports.length]!.postMessage(values[i & 0xff]);
    }
    await Promise.all(done);
  };
}

/** Receives from ports, as many from each, and answers each at the end. */
export function onPorts({ messages, results, ports }: PortEnd): Round {
  let ended = () => {};
  let open = 0;
  for (const port of ports) {
    let left = messages;
    let sum = 0;
    port.onmessage = ({ data }: MessageEvent<Small | Uint8Array>) => {
      sum = sum + numberOf(data) | 0;
      if (--left > 0) return;
      Atomics.add(results, SUM, sum);
      [left, sum] = [messages, 0];
      port.postMessage(undefined);
      if (--open === 0) ended();
    };
  }
  return () => {
    open = ports.length;
    return new Promise<void>((resolve) => ended = resolve);
  };
}

/** The samples of a block. */
export const BLOCK = 128;

/** Pushes blocks of samples. */
export function push(end: RingEnd): Round {
  const { messages } = end;
  const block = new Float32Array(BLOCK).fill(1);
  if (end.ring instanceof SharedArrayBuffer) {
    const ring = new RingBuffer(end.ring, Float32Array);
    return () => {
      for (let i = 0; i < messages; i++) {
        while (ring.availableWrite() < BLOCK) Atomics.pause();
        ring.push(block);
      }
    };
  }
  const ring = FloatRing.attach(end.ring);
  return () => {
    for (let i = 0; i < messages; i++) while (!ring.push(block)) Atomics.pause();
  };
}

/** Pops blocks of samples. */
export function pop(end: RingEnd): Round {
  const { messages, results } = end;
  const block = new Float32Array(BLOCK);
  let sum = 0;
  if (end.ring instanceof SharedArrayBuffer) {
    const ring = new RingBuffer(end.ring, Float32Array);
    return () => {
      sum = 0;
      for (let i = 0; i < messages; i++) {
        while (ring.availableRead() < BLOCK) Atomics.pause();
        ring.pop(block);
        sum += block[BLOCK - 1]!;
      }
      Atomics.add(results, SUM, sum);
    };
  }
  const ring = FloatRing.attach(end.ring);
  return () => {
    sum = 0;
    for (let i = 0; i < messages; i++) {
      while (!ring.pop(block)) Atomics.pause();
      sum += block[BLOCK - 1]!;
    }
    Atomics.add(results, SUM, sum);
  };
}
