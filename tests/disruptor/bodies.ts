/**
 * The bodies of the workers in `disruptor_worker_test.ts`.
 *
 * @module
 */

import { Disruptor, type DisruptorHandle, type WaitStrategy } from "@busbar/busbar/disruptor";
import { runHooked } from "../dying.ts";

/** The task of a body. */
export interface Job {
  readonly handle: DisruptorHandle<"i32">;
  /** The node of a consumer. */
  readonly name: string;
  /** The first number of a producer. */
  readonly first: number;
  /** How many events a producer sends. */
  readonly events: number;
  /** How many it sends at once, at most. */
  readonly batch: number;
}

/** The task of an end of a disruptor of wide slots. */
export interface WideJob extends Omit<Job, "handle"> {
  readonly handle: DisruptorHandle<{ bytes: number }>;
}

/** What a consumer has seen. */
export interface Seen {
  readonly count: number;
  readonly sum: number;
  /** How many numbers of a producer did not follow the one before. */
  readonly gaps: number;
}

/** Producers have numbers of this range each. */
export const RANGE = 10_000_000;

/** Sends numbers from `first` on, in batches of varying sizes. */
export function produce({ handle, first, events, batch }: Job): void {
  using producer = Disruptor.attach(handle).producer();
  for (let sent = 0, size = 1; sent < events; size = size % batch + 1) {
    const count = Math.min(size, events - sent);
    const sequence = producer.claim(count);
    for (let i = 0; i < count; i++) {
      producer.events[producer.slot(sequence + i)] = first + sent + i;
    }
    producer.publish();
    sent += count;
  }
}

/** Consumes until the end. */
export function consume({ handle, name, batch }: Job): Seen {
  const consumer = Disruptor.attach(handle).consumer(name);
  const next = new Map<number, number>();
  let [count, sum, gaps] = [0, 0, 0];
  consumer.run(() => {
    for (let slot = consumer.begin; slot < consumer.end; slot++) {
      const number = consumer.events[slot]!;
      const range = Math.floor(number / RANGE);
      if (number < (next.get(range) ?? 0)) gaps++;
      next.set(range, number + 1);
      count++;
      sum += number;
    }
  }, { maxBatch: batch });
  return { count, sum, gaps };
}

/** The task of an end that waits most of the time. */
export interface WaitingJob extends Job {
  readonly strategy: WaitStrategy;
}

/** The bytes of a slot of the tests of observers. */
export const SLOT_BYTES = 64;

/** Fills slots with the number of their event, as many words as there are. */
export function produceWide({ handle, events, batch }: WideJob): void {
  using producer = Disruptor.attach(handle).producer();
  const words = wordsOf(producer.events);
  for (let sent = 0; sent < events; sent += batch) {
    const first = producer.claim(batch);
    for (let i = 0; i < batch; i++) {
      const begin = producer.offset(first + i) / 4;
      words.fill(sent + i, begin, begin + SLOT_BYTES / 4);
    }
    producer.publish();
  }
}

/** What an observer has seen. */
export interface Observed {
  readonly received: number;
  readonly lost: number;
  /** Events whose words differed, or that came out of order. */
  readonly torn: number;
}

/** Observes until the end. */
export function observe({ handle, name, batch }: WideJob): Observed {
  const observer = Disruptor.attach(handle).observer(name);
  const bytes = new Uint8Array(SLOT_BYTES * batch);
  const words = new Int32Array(bytes.buffer);
  const stride = SLOT_BYTES / 4;
  let [received, torn, last] = [0, 0, -1];
  while (!observer.isEnded) {
    observer.wait();
    const count = observer.read(bytes);
    received += count;
    for (let i = 0; i < count; i++) {
      const slot = words.subarray(i * stride, (i + 1) * stride);
      if (slot[0]! <= last || slot.some((word) => word !== slot[0])) torn++;
      last = slot[0]!;
    }
  }
  return { received, lost: observer.lost, torn };
}

function wordsOf(events: Uint8Array<SharedArrayBuffer>): Int32Array {
  return new Int32Array(events.buffer, events.byteOffset, events.length / 4);
}

/** Consumes without blocking until the thread is terminated, or the end. */
export async function consumeAsync({ handle, name }: Job): Promise<void> {
  await Disruptor.attach(handle).consumer(name, { worker: 0 }).runAsync(() => {}, { maxBatch: 3 });
}

const idle = new Int32Array(new SharedArrayBuffer(4));

/** How many operations on shared memory, and pauses, a function performs. */
function operationsOf(body: () => void): number {
  let count = 0;
  runHooked(body, () => void count++);
  return count;
}

/** Consumes until the end, and takes a while for each event. */
export function consumeSlowly({ handle, name, strategy }: WaitingJob): void {
  Disruptor.attach(handle).consumer(name, { strategy })
    .runEach(() => void Atomics.wait(idle, 0, 0, 2), { maxBatch: 1 });
}

/** Consumes until the end; returns how many operations it took. */
export function countConsumer({ handle, name, strategy }: WaitingJob): number {
  return operationsOf(() => Disruptor.attach(handle).consumer(name, { strategy }).run(() => {}));
}

/** Sends one by one; returns how many operations it took. */
export function countProducer({ handle, events, strategy }: WaitingJob): number {
  return operationsOf(() => {
    const producer = Disruptor.attach(handle).producer({ strategy });
    for (let i = 0; i < events; i++) producer.send(i);
  });
}
