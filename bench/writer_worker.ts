/**
 * The ends of a stream of messages, each on a worker of its own, for `writer_bench.ts`.
 *
 * An end waits until the control block names the next round, does its part of it, and waits again.
 *
 * @module
 */

import {
  BufferPool,
  type BufferPoolHandle,
  FlushQueue,
  type FlushQueueHandle,
  type WriterHandle,
} from "../mod.ts";

/** The words of the control block, each on a cache line of its own. */
export const CONTROL = {
  /** The number of the present round: stored by the bench, which then notifies. */
  round: 0,
  /** The last round that was received whole: stored by the receiver, which then notifies. */
  received: 16,
  /** The sum of what was received in it: written by the receiver. */
  sum: 32,
  /** How many messages of the round are received: stored by the receiver of a port. */
  progress: 48,
  /** How many ends are ready. */
  ready: 64,
  /** Never changes: to sleep on. */
  idle: 80,
  /** The size of the block. */
  words: 96,
} as const;

/** The bytes of a message. */
export const MESSAGE_BYTES = 60;

/** How far the sender of a port may be ahead. */
const PORT_AHEAD = 1024;

/** How often an end looks again before it sleeps. */
const SPINS = 1000;

/** What an end of a queue is told. */
export interface QueueEnd {
  end: "writer" | "flusher";
  control: Int32Array;
  pool: BufferPoolHandle;
  queue: FlushQueueHandle;
  /** The writer to share, or none. */
  shared: WriterHandle | undefined;
  /** How many messages from one flush to the next. */
  each: number;
  /** The messages of a round, for this end. */
  messages: number;
}

/** What an end of a port is told. */
export interface PortEnd {
  end: "sender" | "receiver";
  control: Int32Array;
  port: MessagePort;
  messages: number;
}

/** What so many messages sum up to: each carries the low 16 bits of its number. */
export function expectedSum(messages: number): number {
  let sum = 0;
  for (let i = 0; i < messages; i++) sum = (sum + (i & 0xffff)) | 0;
  return sum;
}

/** Sums the messages of a run up. */
export function sumOf(bytes: Uint8Array, offset: number, length: number): number {
  let sum = 0;
  const end = offset + length;
  for (let at = offset; at < end; at += MESSAGE_BYTES) sum += bytes[at]! + (bytes[at + 1]! << 8);
  return sum;
}

const run = {
  writer({ control, pool, queue, shared, each, messages }: QueueEnd): void {
    const opened = FlushQueue.attach(queue, BufferPool.attach(pool));
    const writer = shared === undefined ? opened.writer() : opened.attachWriter(shared);
    const { bytes } = writer;
    const payload = new Uint8Array(MESSAGE_BYTES);
    for (let round = 1;; round++) {
      untilRound(control, round);
      for (let i = 0; i < messages;) {
        for (let k = 0; k < each && i < messages; k++, i++) {
          payload[0] = i;
          payload[1] = i >> 8;
          const at = writer.reserve(MESSAGE_BYTES);
          bytes.set(payload, at);
          writer.commit(at);
        }
        writer.flush();
      }
    }
  },

  flusher({ control, pool, queue, messages }: QueueEnd): void {
    const flusher = FlushQueue.attach(queue, BufferPool.attach(pool)).flusher();
    const { bytes } = flusher;
    for (let round = 1;; round++) {
      untilRound(control, round);
      let sum = 0;
      let idle = 0;
      for (let count = 0; count < messages;) {
        if (!flusher.poll()) {
          if (++idle < SPINS) Atomics.pause();
          else flusher.wait();
          continue;
        }
        idle = 0;
        while (flusher.next()) {
          sum = (sum + sumOf(bytes, flusher.offset, flusher.length)) | 0;
          count += flusher.messageCount;
        }
      }
      received(control, round, sum);
    }
  },

  sender({ control, port, messages }: PortEnd): void {
    const payload = new Uint8Array(MESSAGE_BYTES);
    for (let round = 1;; round++) {
      untilRound(control, round);
      for (let i = 0; i < messages; i++) {
        while (Atomics.load(control, CONTROL.progress) + PORT_AHEAD < i) {
          Atomics.wait(control, CONTROL.idle, 0, 0.1);
        }
        payload[0] = i;
        payload[1] = i >> 8;
        port.postMessage(payload);
      }
    }
  },

  receiver({ control, port, messages }: PortEnd): void {
    let round = 1;
    let sum = 0;
    let count = 0;
    port.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
      sum = (sum + data[0]! + (data[1]! << 8)) | 0;
      if (++count % 64 === 0) Atomics.store(control, CONTROL.progress, count);
      if (count < messages) return;
      received(control, round++, sum);
      sum = 0;
      count = 0;
    };
    ready(control);
  },
};

function untilRound(control: Int32Array, round: number): void {
  if (round === 1) ready(control);
  while (Atomics.load(control, CONTROL.round) < round) {
    Atomics.wait(control, CONTROL.round, round - 1);
  }
}

function received(control: Int32Array, round: number, sum: number): void {
  control[CONTROL.sum] = sum;
  Atomics.store(control, CONTROL.progress, 0);
  Atomics.store(control, CONTROL.received, round);
  Atomics.notify(control, CONTROL.received);
}

function ready(control: Int32Array): void {
  Atomics.add(control, CONTROL.ready, 1);
  Atomics.notify(control, CONTROL.ready);
}

if ("WorkerGlobalScope" in globalThis) {
  globalThis.addEventListener("message", (event) => {
    const { data } = event as MessageEvent<QueueEnd | PortEnd>;
    if ("port" in data) run[data.end](data);
    else run[data.end](data);
  });
}
