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
