/**
 * The two ends of a stream of messages, each on a worker of its own, for `broadcast_bench.ts`.
 *
 * An end waits until the control block names the next round, does its part of it, and waits again.
 * All ways of transport are driven, paced and verified alike.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle } from "../mod.ts";

/** The words of the control block, each on a cache line of its own. */
export const CONTROL = {
  /** The number of the present round: stored by the bench, which then notifies. */
  round: 0,
  /** The last round that was received whole: stored by the receiver, which then notifies. */
  received: 16,
  /** The sum of what was received in it: written by the receiver. */
  sum: 32,
  /** How many messages of the round are received: stored by the receiver, batch by batch. */
  progress: 48,
  /** How many ends are ready. */
  ready: 64,
  /** Never changes: to sleep on. */
  idle: 80,
  /** The size of the block. */
  words: 96,
} as const;

/** How often an end looks again before it gives its core up to whoever else wants it. */
const SPINS = 1000;

/** What an end of a stream is told. */
export interface Stream {
  /** Which end, over which transport. */
  end: "ring sender" | "ring receiver" | "port sender" | "port receiver";
  /** The control block. */
  control: Int32Array;
  /** The ring or the port. */
  via: BroadcastHandle | MessagePort;
  /** The bytes of a message. */
  messageBytes: number;
  /** The messages of a round. */
  messages: number;
  /** How many messages are sent, and on the ring published, between two looks at the progress. */
  batch: number;
  /** How many messages the sender may be ahead of the receiver. */
  ahead: number;
}

/** What a round's messages sum up to: each carries the low 16 bits of its number. */
export function expectedSum(messages: number): number {
  let sum = 0;
  for (let i = 0; i < messages; i++) sum = (sum + (i & 0xffff)) | 0;
  return sum;
}

const run = {
  "ring sender"({ control, via, messageBytes, messages, batch, ahead }: Stream): void {
    const writer = Broadcast.attach(via as BroadcastHandle).writer();
    const payload = new Uint8Array(messageBytes);
    for (let round = 1;; round++) {
      untilRound(control, round);
      let allowed = ahead;
      for (let i = 0; i < messages;) {
        const end = Math.min(i + batch, messages);
        if (end > allowed) allowed = untilAllowed(control, end, ahead);
        for (; i < end; i++) {
          payload[0] = i;
          payload[1] = i >> 8;
          writer.append(payload);
        }
        writer.publish();
      }
    }
  },

  "ring receiver"({ control, via, messages }: Stream): void {
    const reader = Broadcast.attach(via as BroadcastHandle).reader();
    for (let round = 1;; round++) {
      untilRound(control, round);
      let sum = 0;
      let count = 0;
      let idle = 0;
      while (count < messages) {
        if (!reader.poll()) {
          if (++idle < SPINS) Atomics.pause();
          else reader.wait();
          continue;
        }
        idle = 0;
        const bytes = reader.bytes;
        while (reader.next()) {
          const offset = reader.offset;
          sum = (sum + bytes[offset]! + (bytes[offset + 1]! << 8)) | 0;
          count++;
        }
        Atomics.store(control, CONTROL.progress, count);
      }
      received(control, round, sum);
    }
  },

  "port sender"({ control, via, messageBytes, messages, batch, ahead }: Stream): void {
    const port = via as MessagePort;
    const payload = new Uint8Array(messageBytes);
    for (let round = 1;; round++) {
      untilRound(control, round);
      let allowed = ahead;
      for (let i = 0; i < messages;) {
        const end = Math.min(i + batch, messages);
        if (end > allowed) allowed = untilAllowed(control, end, ahead);
        for (; i < end; i++) {
          payload[0] = i;
          payload[1] = i >> 8;
          port.postMessage(payload);
        }
      }
    }
  },

  "port receiver"({ control, via, messages, batch }: Stream): void {
    let round = 1;
    let sum = 0;
    let count = 0;
    (via as MessagePort).onmessage = ({ data }: MessageEvent<Uint8Array>) => {
      sum = (sum + data[0]! + (data[1]! << 8)) | 0;
      if (++count % batch === 0) Atomics.store(control, CONTROL.progress, count);
      if (count < messages) return;
      received(control, round++, sum);
      sum = 0;
      count = 0;
    };
    ready(control);
  },
};

/** Waits until `end` messages are not more than `ahead` ahead; returns how many may be sent. */
function untilAllowed(control: Int32Array, end: number, ahead: number): number {
  for (let spins = 0;; spins++) {
    const allowed = Atomics.load(control, CONTROL.progress) + ahead;
    if (allowed >= end) return allowed;
    if (spins < SPINS) Atomics.pause();
    else Atomics.wait(control, CONTROL.idle, 0, 0.1);
  }
}

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
    const stream = (event as MessageEvent<Stream>).data;
    run[stream.end](stream);
  });
}
