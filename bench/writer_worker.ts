/**
 * The ends of a flush queue, each on a worker of its own, and a thread that is both, for
 * `writer_bench.ts`.
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
import { type Round, SPINS } from "./crew.ts";
import { wordsOf } from "./messages.ts";

/** The job of every end. */
export interface End {
  /** How many messages of a round concern this end. */
  readonly messages: number;
  /** The words of {@link RESULT}. */
  readonly results: Int32Array;
}

/** The job of an end of a queue. */
export interface QueueEnd extends End {
  readonly pool: BufferPoolHandle;
  readonly queue: FlushQueueHandle;
  /** The writer that threads share, or none. */
  readonly shared: WriterHandle | undefined;
  /** How many messages are published together. */
  readonly each: number;
  /** Whether messages are copied by `set`, and not word by word. */
  readonly usesSet: boolean;
}

/** The results of a round, on cache lines of their own. */
export const RESULT = {
  /** The sum of the received messages. Written by the receiver. */
  sum: 0,
  /** By how many bytes the heap has grown since the second round. Written by the writers. */
  heapGrowth: 16,
  words: 32,
} as const;

/** From one reading of the heap to the next, in rounds; a reading takes time. */
export const HEAP_ROUNDS = 10;

/** The bytes of a message. */
const MESSAGE_BYTES = 60;
/** The same in words. All messages are so long, so all begin at whole words. */
const MESSAGE_WORDS = MESSAGE_BYTES / 4;
/** The messages that fit into the array of {@link copies}. */
const ARRAY_MESSAGES = 256;

const payload = new Int32Array(MESSAGE_WORDS);
const payloadBytes = new Uint8Array(payload.buffer);

/** Copies the payload word by word, which takes less than half the time of `set`. */
function copyPayload(words: Int32Array, offset: number): void {
  const at = offset >> 2;
  for (let i = 0; i < MESSAGE_WORDS; i++) words[at + i] = payload[i]!;
}

/** Sums up the messages of a run. */
function sumOf(words: Int32Array, offset: number, length: number): number {
  let sum = 0;
  const end = (offset + length) >> 2;
  for (let at = offset >> 2; at < end; at += MESSAGE_WORDS) sum = (sum + words[at]!) | 0;
  return sum;
}

function openQueue({ pool, queue }: QueueEnd): FlushQueue {
  return FlushQueue.attach(queue, BufferPool.attach(pool));
}

function openWriter(queue: FlushQueue, { shared }: QueueEnd): Writer {
  return shared === undefined ? queue.writer() : queue.attachWriter(shared);
}

/** Writes messages from number `from` up to number `to`. */
function write(writer: Writer, words: Int32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    payload[0] = i;
    const at = writer.claim(MESSAGE_BYTES);
    copyPayload(words, at);
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

/** Watches the heap of this thread, from the second round on, since the first one compiles. */
class HeapWatch {
  #round = 0;
  #before = 0;

  /** Stores the growth, once in a while. */
  endRound(results: Int32Array): void {
    const round = ++this.#round;
    if (round > 2 && round % HEAP_ROUNDS !== 0) return;
    const { heapUsed } = Deno.memoryUsage();
    if (round <= 2) this.#before = heapUsed;
    Atomics.store(results, RESULT.heapGrowth, heapUsed - this.#before);
  }
}

/** Writes and publishes. */
export function writer(end: QueueEnd): Round {
  const writer = openWriter(openQueue(end), end);
  const words = wordsOf(writer.bytes);
  const heap = new HeapWatch();
  const { results, each, messages } = end;
  return () => {
    for (let i = 0; i < messages; i += each) {
      write(writer, words, i, Math.min(i + each, messages));
      writer.publish();
    }
    heap.endRound(results);
  };
}

/** Receives. */
export function flusher(end: QueueEnd): Round {
  const flusher = openQueue(end).flusher();
  const words = wordsOf(flusher.bytes);
  const { results, messages } = end;
  return () => {
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
    results[RESULT.sum] = sum;
  };
}

/** Writes, publishes and receives. */
export function both(end: QueueEnd): Round {
  const queue = openQueue(end);
  const writer = openWriter(queue, end);
  const flusher = queue.flusher();
  const words = wordsOf(flusher.bytes);
  const heap = new HeapWatch();
  const { results, each, messages, usesSet } = end;
  return () => {
    let sum = 0;
    for (let i = 0; i < messages; i += each) {
      if (usesSet) writeBySet(writer, i, i + each);
      else write(writer, words, i, i + each);
      writer.publish();
      while (flusher.poll()) {
        while (flusher.next()) sum = (sum + sumOf(words, flusher.offset, flusher.length)) | 0;
      }
    }
    results[RESULT.sum] = sum;
    heap.endRound(results);
  };
}

/** Copies messages into an array, and does nothing else. */
export function copies({ results, messages }: End): Round {
  const words = new Int32Array(new SharedArrayBuffer(ARRAY_MESSAGES * MESSAGE_BYTES));
  return () => {
    let sum = 0;
    for (let i = 0; i < messages; i += ARRAY_MESSAGES) {
      const count = Math.min(ARRAY_MESSAGES, messages - i);
      for (let k = 0; k < count; k++) {
        payload[0] = i + k;
        copyPayload(words, k * MESSAGE_BYTES);
      }
      sum = (sum + sumOf(words, 0, count * MESSAGE_BYTES)) | 0;
    }
    results[RESULT.sum] = sum;
  };
}
