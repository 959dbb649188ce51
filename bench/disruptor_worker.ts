/**
 * Producers and consumers of numbers, each on a worker of its own, for `disruptor_bench.ts`: over a
 * disruptor, and over what one would use instead.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import { defineRecord, Disruptor, type DisruptorHandle, type WaitStrategy } from "../mod.ts";
import type { Round } from "./crew.ts";

/** The job of every end. */
export interface End {
  /** The numbers of a round that this end sends or receives. */
  readonly events: number;
  /** How many are sent at once. */
  readonly batch: number;
  /** The words for results: the sums of consumers, and the growth of heaps, a line each. */
  readonly results: Int32Array;
  /** The line of this end. */
  readonly line: number;
}

/** The job of an end of a disruptor. */
export interface DisruptorEnd extends End {
  readonly handle: DisruptorHandle<"i32">;
  /** The node of a consumer. */
  readonly node: string;
  readonly strategy: WaitStrategy;
}

/** The job of an end of a disruptor of records. */
export interface RecordEnd extends End {
  readonly handle: DisruptorHandle<{ record: typeof Quote.handle }>;
}

/** The job of an end of `ringbuf.js`. */
export interface RingEnd extends End {
  readonly buffer: SharedArrayBuffer;
}

/** The job of an end of ports. */
export interface PortEnd extends End {
  readonly ports: readonly MessagePort[];
}

/** The job of an end that receives from several ports. */
export interface JoinEnd extends PortEnd {
  /** Whether each port has all the events, of which only one copy is summed up. */
  readonly copies: boolean;
}

/** A record of 64 bytes. */
export const Quote = defineRecord({
  id: "u32",
  side: "u32",
  bid: "f64",
  ask: "f64",
  bidSize: "f64",
  askSize: "f64",
  time: "f64",
  flags: "u32",
  venue: "u32",
  sequence: "f64",
});

/** The words of a line of results. */
export const LINE = 16;
/** In a line: the sum. */
export const SUM = 0;
/** In a line: by how many bytes the heap has grown since the fourth round. */
export const GROWTH = 1;

/** Numbers from 0 on. */
function numbers(batch: number): Int32Array {
  return Int32Array.from({ length: batch }, (_, i) => i);
}

/** Calls a function each round, and tells by how much the heap has grown since the fourth one. */
function watched({ results, line }: End, perform: () => void): Round {
  let round = 0;
  let before = 0;
  return () => {
    perform();
    const { heapUsed } = Deno.memoryUsage();
    if (++round <= 4) before = heapUsed;
    results[line * LINE + GROWTH] = heapUsed - before;
  };
}

/** Sends 256 numbers one by one. */
function sendEach(producer: { send(value: number): boolean }): void {
  for (let i = 0; i < 256; i++) producer.send(i);
}

/** Sends one by one, or in batches that are copied. */
export function produce(end: DisruptorEnd): Round {
  const { events, batch, strategy } = end;
  const producer = Disruptor.attach(end.handle).producer({ strategy });
  const values = numbers(batch);
  if (batch === 1) {
    return watched(end, () => {
      for (let i = 0; i < events; i += 256) sendEach(producer);
    });
  }
  return watched(end, () => {
    for (let sent = 0; sent < events; sent += batch) producer.sendAll(values);
  });
}

/** Sums up some numbers; a function of its own is compiled better than a loop in a long one. */
function sumOf(array: Int32Array, begin: number, end: number): number {
  let sum = 0;
  for (let i = begin; i < end; i++) sum = (sum + array[i]!) | 0;
  return sum;
}

/** Sums up. */
export function consume(end: DisruptorEnd): Round {
  const { events, results, line, strategy } = end;
  const consumer = Disruptor.attach(end.handle).consumer(end.node, { strategy });
  const { events: array } = consumer;
  return watched(end, () => {
    let sum = 0;
    for (let left = events; left > 0;) {
      consumer.wait();
      const count = consumer.poll();
      sum = (sum + sumOf(array, consumer.begin, consumer.end)) | 0;
      left -= count;
    }
    consumer.release();
    results[line * LINE + SUM] = sum;
  });
}

/** Fills records in place. */
export function produceRecords(end: RecordEnd): Round {
  const { events, batch } = end;
  const producer = Disruptor.attach(end.handle).producer();
  const quote = Quote.view(producer.events);
  const send = (count: number) => {
    const first = producer.claim(count);
    for (let i = 0; i < count; i++) {
      quote.moveTo(producer.offset(first + i));
      quote.id = i;
      quote.bid = 1.5;
      quote.ask = 2.5;
      quote.time = first;
    }
    producer.publish();
  };
  return watched(end, () => {
    for (let sent = 0; sent < events; sent += batch) send(batch);
  });
}

/** Sums up a field of records. */
export function consumeRecords(end: RecordEnd): Round {
  const { events, results, line } = end;
  const consumer = Disruptor.attach(end.handle).consumer("a");
  const quote = Quote.view(consumer.events);
  const sumOfBatch = () => {
    let sum = 0;
    for (let slot = consumer.begin; slot < consumer.end; slot++) {
      quote.moveTo(consumer.offset(slot));
      sum = (sum + quote.id) | 0;
    }
    return sum;
  };
  return watched(end, () => {
    let sum = 0;
    for (let left = events; left > 0;) {
      consumer.wait();
      left -= consumer.poll();
      sum = (sum + sumOfBatch()) | 0;
    }
    consumer.release();
    results[line * LINE + SUM] = sum;
  });
}

/** Sends to `ringbuf.js`. */
export function push(end: RingEnd): Round {
  const ring = new RingBuffer(end.buffer, Int32Array);
  const { events, batch } = end;
  const values = numbers(batch);
  const one = new Int32Array(1);
  return () => {
    for (let sent = 0; sent < events; sent += batch) {
      if (batch === 1) one[0] = sent & 0xff;
      const from = batch === 1 ? one : values;
      for (let pushed = 0; pushed < batch;) {
        pushed += ring.push(from, batch - pushed, pushed);
        if (pushed < batch) Atomics.pause();
      }
    }
  };
}

/** Receives from `ringbuf.js`. */
export function pop(end: RingEnd): Round {
  const ring = new RingBuffer(end.buffer, Int32Array);
  const { events, results, line } = end;
  const target = new Int32Array(4096);
  return () => {
    let sum = 0;
    for (let left = events; left > 0;) {
      const count = ring.pop(target, Math.min(left, target.length), 0);
      if (count === 0) Atomics.pause();
      sum = (sum + sumOf(target, 0, count)) | 0;
      left -= count;
    }
    results[line * LINE + SUM] = sum;
  };
}

/** Posts a copy of each batch to every port. */
export function post({ events, batch, ports }: PortEnd): Round {
  const values = numbers(batch);
  const waiting = (port: MessagePort) =>
    new Promise<void>((resolve) => port.onmessage = () => resolve());
  return async () => {
    const done = ports.map(waiting);
    for (let sent = 0; sent < events; sent += batch) {
      for (const port of ports) port.postMessage(batch === 1 ? sent & 0xff : values);
    }
    await Promise.all(done);
  };
}

/** Receives, passes on to the ports after the first, and answers that at the end of a round. */
export function onPorts({ events, results, line, ports: [from, ...next] }: PortEnd): Round {
  let sum = 0;
  let left = events;
  let end = () => {};
  from!.onmessage = ({ data }: MessageEvent<number | Int32Array>) => {
    for (const port of next) port.postMessage(data);
    if (typeof data === "number") {
      sum = (sum + data) | 0;
      left--;
    } else {
      sum = (sum + sumOf(data, 0, data.length)) | 0;
      left -= data.length;
    }
    if (left > 0) return;
    results[line * LINE + SUM] = sum;
    from!.postMessage(undefined);
    [sum, left] = [0, events];
    end();
  };
  return () => new Promise<void>((resolve) => end = resolve);
}

/** Receives from several ports, and answers producers at the end of a round. */
export function onSeveralPorts({ events, results, line, ports, copies }: JoinEnd): Round {
  const each = copies ? events : events / ports.length;
  let sum = 0;
  let open = ports.length;
  let end = () => {};
  ports.forEach((port, i) => {
    let left = each;
    port.onmessage = ({ data }: MessageEvent<number | Int32Array>) => {
      const isNumber = typeof data === "number";
      if (i === 0 || !copies) sum = (sum + (isNumber ? data : sumOf(data, 0, data.length))) | 0;
      left -= isNumber ? 1 : data.length;
      if (left > 0) return;
      left = each;
      if (!copies) port.postMessage(undefined);
      if (--open > 0) return;
      results[line * LINE + SUM] = sum;
      [sum, open] = [0, ports.length];
      end();
    };
  });
  return () => new Promise<void>((resolve) => end = resolve);
}
