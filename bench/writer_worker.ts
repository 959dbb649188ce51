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
  type Writer,
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
  /** By how many bytes the heap of whoever writes has grown since the second round: written by it. */
  heapGrowth: 96,
  /** The size of the block. */
  words: 112,
} as const;

/** The bytes of a message. */
const MESSAGE_BYTES = 60;
/** The same in words. All messages are so long, so all begin at whole words. */
const MESSAGE_WORDS = MESSAGE_BYTES / 4;

/** How far the sender of a port may be ahead. */
const PORT_AHEAD = 1024;

/** From one look at the heap to the next, in rounds; a look takes time. */
export const HEAP_ROUNDS = 10;

/** How often an end looks again before it sleeps. */
const SPINS = 1000;

/** What an end of a queue is told. */
export interface QueueEnd {
  /** A writer, a flusher, or one thread that is both. */
  end: "writer" | "flusher" | "both";
  control: Int32Array;
  pool: BufferPoolHandle;
  queue: FlushQueueHandle;
  /** The writer to share, or none. */
  shared: WriterHandle | undefined;
  /** How many messages from one flush to the next. */
  each: number;
  /** Whether messages are copied by `set`, and not word by word. */
  usesSet: boolean;
  /** The messages of a round, for this end. */
  messages: number;
}

/** What a thread is told that copies messages into an array, and does nothing else. */
export interface Bound {
  end: "bound";
  control: Int32Array;
  messages: number;
}

/** What an end of a port is told. */
export interface PortEnd {
  end: "sender" | "receiver";
  control: Int32Array;
  port: MessagePort;
  messages: number;
}

/** What so many messages sum up to: each begins with its number. */
export function expectedSum(messages: number): number {
  let sum = 0;
  for (let i = 0; i < messages; i++) sum = (sum + i) | 0;
  return sum;
}

/** Sums the messages of a run up. */
function sumOf(words: Int32Array, offset: number, length: number): number {
  let sum = 0;
  const end = (offset + length) >> 2;
  for (let at = offset >> 2; at < end; at += MESSAGE_WORDS) sum = (sum + words[at]!) | 0;
  return sum;
}

/** The same bytes as words. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/** Copies a message, by words, which takes less than half the time of `set`. */
export function copyMessage(payload: Int32Array, words: Int32Array, offset: number): void {
  const at = offset >> 2;
  for (let i = 0; i < MESSAGE_WORDS; i++) words[at + i] = payload[i]!;
}

/** Opens the writer of this thread. */
function openWriter({ pool, queue, shared }: QueueEnd): Writer {
  const opened = FlushQueue.attach(queue, BufferPool.attach(pool));
  return shared === undefined ? opened.writer() : opened.attachWriter(shared);
}

/** Writes messages from number `from` up to number `to`. */
function write(writer: Writer, words: Int32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    payload[0] = i;
    const at = writer.claim(MESSAGE_BYTES);
    copyMessage(payload, words, at);
    writer.commit(at);
  }
}

/** As {@link write}, by `set`. */
function writeBySet(writer: Writer, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    payload[0] = i;
    const at = writer.claim(MESSAGE_BYTES);
    writer.bytes.set(payloadBytes, at);
    writer.commit(at);
  }
}

const payload = new Int32Array(MESSAGE_WORDS);
const payloadBytes = new Uint8Array(payload.buffer);

const run = {
  writer(job: QueueEnd): void {
    const writer = openWriter(job);
    const words = wordsOf(writer.bytes);
    const { control, each, messages } = job;
    for (let round = 1;; round++) {
      untilRound(control, round);
      for (let i = 0; i < messages; i += each) {
        write(writer, words, i, Math.min(i + each, messages));
        writer.publish();
      }
      noteHeap(control, round);
    }
  },

  flusher({ control, pool, queue, messages }: QueueEnd): void {
    const flusher = FlushQueue.attach(queue, BufferPool.attach(pool)).flusher();
    const words = wordsOf(flusher.bytes);
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
          sum = (sum + sumOf(words, flusher.offset, flusher.length)) | 0;
          count += flusher.messageCount;
        }
      }
      received(control, round, sum);
    }
  },

  both(job: QueueEnd): void {
    const pool = BufferPool.attach(job.pool);
    const queue = FlushQueue.attach(job.queue, pool);
    const writer = job.shared === undefined ? queue.writer() : queue.attachWriter(job.shared);
    const flusher = queue.flusher();
    const words = wordsOf(pool.bytes);
    const { control, each, messages, usesSet } = job;
    for (let round = 1;; round++) {
      untilRound(control, round);
      let sum = 0;
      for (let i = 0; i < messages; i += each) {
        if (usesSet) writeBySet(writer, i, i + each);
        else write(writer, words, i, i + each);
        writer.publish();
        while (flusher.poll()) {
          while (flusher.next()) sum = (sum + sumOf(words, flusher.offset, flusher.length)) | 0;
        }
      }
      noteHeap(control, round);
      received(control, round, sum);
    }
  },

  bound({ control, messages }: Bound): void {
    const most = 256;
    const words = new Int32Array(new SharedArrayBuffer(most * MESSAGE_BYTES));
    for (let round = 1;; round++) {
      untilRound(control, round);
      let sum = 0;
      for (let i = 0; i < messages; i += most) {
        const count = Math.min(most, messages - i);
        for (let k = 0; k < count; k++) {
          payload[0] = i + k;
          copyMessage(payload, words, k * MESSAGE_BYTES);
        }
        sum = (sum + sumOf(words, 0, count * MESSAGE_BYTES)) | 0;
      }
      received(control, round, sum);
    }
  },

  sender({ control, port, messages }: PortEnd): void {
    for (let round = 1;; round++) {
      untilRound(control, round);
      for (let i = 0; i < messages; i++) {
        while (Atomics.load(control, CONTROL.progress) + PORT_AHEAD < i) {
          Atomics.wait(control, CONTROL.idle, 0, 0.1);
        }
        payload[0] = i;
        port.postMessage(payload);
      }
    }
  },

  receiver({ control, port, messages }: PortEnd): void {
    let round = 1;
    let sum = 0;
    let count = 0;
    port.onmessage = ({ data }: MessageEvent<Int32Array>) => {
      sum = (sum + data[0]!) | 0;
      if (++count % 64 === 0) Atomics.store(control, CONTROL.progress, count);
      if (count < messages) return;
      received(control, round++, sum);
      sum = 0;
      count = 0;
    };
    ready(control);
  },
};

/** The heap after the second round, since the first compiles. */
let heapBefore = 0;

function noteHeap(control: Int32Array, round: number): void {
  if (round > 2 && round % HEAP_ROUNDS !== 0) return;
  const { heapUsed } = Deno.memoryUsage();
  if (round <= 2) heapBefore = heapUsed;
  Atomics.store(control, CONTROL.heapGrowth, heapUsed - heapBefore);
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
    const { data } = event as MessageEvent<QueueEnd | PortEnd | Bound>;
    if ("port" in data) run[data.end](data);
    else if (data.end === "bound") run.bound(data);
    else run[data.end](data);
  });
}
