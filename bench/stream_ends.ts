/**
 * The common part of the ends of a stream of messages: pace, progress and verification.
 *
 * All ways of transport are treated alike. A sender keeps to a distance from the slowest receiver;
 * each message carries the low 16 bits of its number, and receivers sum those up.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle, type BroadcastReader } from "../mod.ts";
import { type Round, sleepFor, SPINS } from "./crew.ts";
import { addNumber } from "./messages.ts";

/** The job of one end of a stream. */
export interface StreamEnd {
  /** A ring, a port, the name of a channel, or memory. */
  readonly via: unknown;
  /** The words of {@link PROGRESS}, and a line for each receiver. */
  readonly progress: Int32Array;
  readonly messageBytes: number;
  readonly messages: number;
  /** How many messages are published at once, or sent between two readings of the progress. */
  readonly batch: number;
  /** How many messages the sender may be ahead of the slowest receiver. */
  readonly ahead: number;
  readonly receivers: number;
  /** The number of this end: 0 is the sender, then come the receivers. */
  readonly end: number;
  /** Whether an idle end spins for ever, rather than to block after a while. */
  readonly spins: boolean;
  /** By how many bytes the heap of each end grew. Each writes its own. */
  readonly growth: Float64Array;
}

/** The progress of a stream: words on cache lines of their own. */
export const PROGRESS = {
  /** How many messages are published in plain memory. Written by the sender. */
  published: 0,
  /** From here on a line for each receiver: its count of messages, and their sum. */
  receivers: 16,
} as const;

/** The words of the progress of so many receivers. */
export function progressWords(receivers: number): number {
  return receiverLine(receivers + 1);
}

/** Where the words of an end are, if that is a receiver: its count, and its sum. */
export function receiverLine(end: number): number {
  return PROGRESS.receivers + 16 * (end - 1);
}

/** About a microsecond, for which a reader lets messages gather. */
const GATHERING_PAUSES = 32;
/** If a batch was smaller than this, a reader lets messages gather. */
const SMALL_BATCH_BYTES = 16 * 1024;
/** How many messages go between two readings of the heap, which allocate a little themselves. */
const HEAP_STEP = 1_000_000;

/** Lets messages gather for a moment. */
export function gather(): void {
  for (let i = 0; i < GATHERING_PAUSES; i++) Atomics.pause();
}

/** Attaches a reader to the ring of an end. */
export function readerOf({ via }: StreamEnd): BroadcastReader {
  return Broadcast.attach(via as BroadcastHandle).reader();
}

/** Waits until each receiver has so many messages; returns how many the slowest one has. */
function untilReceived({ progress, receivers, spins }: StreamEnd, count: number): number {
  for (let idle = 0;; idle++) {
    let slowest = Infinity;
    for (let end = 1; end <= receivers; end++) {
      slowest = Math.min(slowest, Atomics.load(progress, receiverLine(end)));
    }
    if (slowest >= count) return slowest;
    if (spins || idle < SPINS) Atomics.pause();
    else sleepFor(0.1);
  }
}

/**
 * Sums up the growth of the heap between readings, apart from steps in which a collection ran.
 */
class HeapGrowth {
  #used = Deno.memoryUsage().heapUsed;
  #next = HEAP_STEP;
  bytes = 0;

  /** Reads the heap once in a while. */
  at(messages: number): void {
    if (messages < this.#next) return;
    this.#next += HEAP_STEP;
    const used = Deno.memoryUsage().heapUsed;
    this.bytes += Math.max(0, used - this.#used);
    this.#used = used;
  }
}

/**
 * A sender: calls `send` for each batch of messages, as soon as the receivers are near enough; and
 * `close` once they have received everything, if that is given.
 */
export function sending(
  job: StreamEnd,
  send: (from: number, to: number) => void,
  close?: () => void,
): () => void {
  return () => {
    const { messages, batch, ahead } = job;
    let allowed = ahead;
    const growth = new HeapGrowth();
    for (let from = 0; from < messages; from += batch) {
      const to = Math.min(from + batch, messages);
      if (to > allowed) allowed = ahead + untilReceived(job, to - ahead);
      send(from, to);
      growth.at(to);
    }
    job.growth[job.end] = growth.bytes;
    if (close === undefined) return;
    untilReceived(job, messages);
    close();
  };
}

/** The messages that a receiver has received. */
export interface Received {
  count: number;
  sum: number;
}

/** A receiver: calls `take`, which adds to the received messages, until these are all. */
export function receiving(
  job: StreamEnd,
  take: (received: Received) => boolean,
  sleep: () => void,
): () => void {
  return () => {
    const { progress, messages, spins } = job;
    const line = receiverLine(job.end);
    const received = { count: 0, sum: 0 };
    let idle = 0;
    const growth = new HeapGrowth();
    while (received.count < messages) {
      const before = received.count;
      if (take(received)) {
        idle = 0;
        Atomics.store(progress, line, received.count);
        growth.at(received.count);
        const bytes = (received.count - before) * job.messageBytes;
        if (bytes < SMALL_BATCH_BYTES) gather();
      } else if (spins || ++idle < SPINS) {
        Atomics.pause();
      } else {
        sleep();
      }
    }
    progress[line + 1] = received.sum;
    job.growth[job.end] = growth.bytes;
  };
}

/** A receiver of messages that come as events. */
export function receivingEvents(job: StreamEnd, source: MessagePort | BroadcastChannel): Round {
  const line = receiverLine(job.end);
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  let sum = 0;
  source.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
    sum = addNumber(sum, data, 0);
    if (++count % job.batch === 0) Atomics.store(job.progress, line, count);
    if (count < job.messages) return;
    job.progress[line + 1] = sum;
    Atomics.store(job.progress, line, count);
    source.close();
    resolve();
  };
  return () => promise;
}
