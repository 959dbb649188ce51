/**
 * The bodies of the workers in `disruptor_worker_test.ts`.
 *
 * @module
 */

import { Disruptor, type DisruptorHandle } from "@busbar/busbar/disruptor";

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
