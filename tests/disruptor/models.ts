/**
 * The parts that the models of the disruptor share: rings, producers and consumers.
 *
 * The rings have one or two slots, so that producers wait within a few events. Every event is a
 * number, and events are numbered from 1; consumers note what they see.
 *
 * @module
 */

import { Disruptor, type DisruptorHandle, type GraphOptions } from "@busbar/busbar/disruptor";

export interface State {
  readonly handle: DisruptorHandle<"i32">;
}

export const BLOCKING = { strategy: "blocking" } as const;

/** The number of the event before positions wrap, in a ring with this many slots. */
export const NEAR_WRAP = 2 ** 28 - 2;

export function ring(
  consumers: GraphOptions,
  { capacity = 1, producers = 0, start = 0 } = {},
): () => State {
  return () => ({
    handle: Disruptor.create({
      capacity,
      elements: "i32",
      producers: producers === 0 ? "single" : producers,
      consumers,
      start,
    }).handle,
  });
}

/** A producer that sends numbers from `first` on. */
export function produce(count: number, { first = 1, place = 0, each = 1 } = {}) {
  return ({ handle }: State): void => {
    const producer = Disruptor.attach(handle).producer({ ...BLOCKING, place });
    for (let number = first; number < first + count; number += each) {
      const sequence = producer.claim(each);
      for (let i = 0; i < each; i++) producer.events[producer.slot(sequence + i)] = number + i;
      producer.publish();
    }
  };
}

/** A consumer that sleeps until there are events, until it has seen `count` of them. */
export function consume(name: string, count: number, maxBatch?: number) {
  return ({ handle }: State): number[] => {
    const consumer = Disruptor.attach(handle).consumer(name, BLOCKING);
    const seen: number[] = [];
    while (seen.length < count) {
      consumer.wait();
      if (consumer.poll(maxBatch) > 0) {
        for (let slot = consumer.begin; slot < consumer.end; slot++) {
          seen.push(consumer.events[slot]!);
        }
      }
    }
    consumer.release();
    return seen;
  };
}

/** A consumer, or a worker, that consumes until there will be no more. */
export function consumeAll(name: string, maxBatch?: number) {
  return ({ handle }: State): number[] => {
    const consumer = Disruptor.attach(handle).consumer(name, BLOCKING);
    const seen: number[] = [];
    while (consumer.wait()) {
      while (consumer.poll(maxBatch) > 0) {
        for (let slot = consumer.begin; slot < consumer.end; slot++) {
          seen.push(consumer.events[slot]!);
        }
      }
    }
    return seen;
  };
}

/** As {@link consumeAll}, and raises each event by 10 for the nodes after. */
export function raise(name: string, count: number) {
  return ({ handle }: State): void => {
    const consumer = Disruptor.attach(handle).consumer(name, BLOCKING);
    for (let seen = 0; seen < count;) {
      consumer.wait();
      seen += consumer.poll();
      for (let slot = consumer.begin; slot < consumer.end; slot++) consumer.events[slot]! += 10;
    }
    consumer.release();
  };
}

/** Sorted numbers. */
export function sorted(...lists: readonly (readonly number[])[]): number[] {
  return lists.flat().sort((a, b) => a - b);
}
