/**
 * Two threads that wake each other in one of many ways, for `round_trips.ts`.
 *
 * @module
 */

import {
  BufferPool,
  type BufferPoolHandle,
  EventCount,
  type EventCountHandle,
  Parker,
  type ParkerHandle,
  Semaphore,
  type SemaphoreHandle,
  WaiterQueue,
} from "../mod.ts";
import { type Round, sleepFor } from "./crew.ts";

/** How one thread wakes another, and waits until it is woken. */
interface End {
  /** Wakes the other thread. */
  wake(): void;
  /** Waits until the other thread has called `wake`. */
  wait(): void | Promise<unknown>;
  /** Whether the other thread waits to be woken; not given if it need not wait yet. */
  isAwaited?(): boolean;
}

/** The ways to do so, each made from what leads to the other thread, and what leads back. */
const ends = {
  parker: (there: ParkerHandle, back: ParkerHandle): End => {
    const [other, own] = [Parker.attach(there), Parker.attach(back)];
    return { wake: () => other.unpark(), wait: () => void own.park() };
  },
  parkerAsync: (there: ParkerHandle, back: ParkerHandle): End => {
    const [other, own] = [Parker.attach(there), Parker.attach(back)];
    return { wake: () => other.unpark(), wait: () => own.parkAsync() };
  },
  semaphore: (there: SemaphoreHandle, back: SemaphoreHandle): End => {
    const [other, own] = [Semaphore.attach(there), Semaphore.attach(back)];
    return { wake: () => other.release(), wait: () => void own.acquire() };
  },
  eventCount: (there: Signal, back: Signal): End => {
    const [other, own] = [EventCount.attach(there.count), EventCount.attach(back.count)];
    let expected = 0;
    const hasCome = () => Atomics.load(back.word, 0) === expected;
    return {
      wake() {
        Atomics.add(there.word, 0, 1);
        other.notify();
      },
      wait() {
        expected++;
        own.until(hasCome);
      },
    };
  },
  atomics: (there: Int32Array, back: Int32Array): End => {
    let seen = 0;
    return {
      wake() {
        Atomics.add(there, 0, 1);
        Atomics.notify(there, 0);
      },
      wait() {
        while (Atomics.load(back, 0) === seen) Atomics.wait(back, 0, seen);
        seen++;
      },
    };
  },
  pool: (there: BufferPoolHandle | undefined, back: BufferPoolHandle | undefined): End => {
    const handle = (there ?? back)!;
    const pool = BufferPool.attach(handle);
    const queue = WaiterQueue.attach(handle.waiters);
    // The thread that begins has the only buffer.
    let buffer = there === undefined ? -1 : pool.acquire();
    return {
      wake: () => pool.release(buffer),
      wait: () => void (buffer = pool.acquire()),
      isAwaited: () => queue.isAnyWaiting,
    };
  },
  port: (_: undefined, port: MessagePort): End => {
    const arrivals = new Arrivals(port);
    return { wake: () => port.postMessage(null), wait: () => arrivals.next() };
  },
  transfer: (_: undefined, port: MessagePort): End => {
    const arrivals = new Arrivals(port);
    let array = new Uint8Array(1033);
    return {
      wake: () => port.postMessage(array, [array.buffer]),
      wait: async () => array = await arrivals.next() as Uint8Array<ArrayBuffer>,
    };
  },
};

/** The messages that come through a port, one after the other. */
class Arrivals {
  #arrival = Promise.withResolvers<unknown>();

  constructor(port: MessagePort) {
    port.onmessage = ({ data }) => this.#arrival.resolve(data);
  }

  async next(): Promise<unknown> {
    const data = await this.#arrival.promise;
    this.#arrival = Promise.withResolvers();
    return data;
  }
}

/** A word, and an event count that is notified of its changes. */
export interface Signal {
  count: EventCountHandle;
  word: Int32Array;
}

/** The ways for two threads to wake each other. */
export type Kind = keyof typeof ends;

/** What each of the threads is told. */
export interface Trip {
  readonly kind: Kind;
  readonly there: unknown;
  readonly back: unknown;
  /** How many round trips a round has. */
  readonly count: number;
  /** The microseconds of each round trip. Written by the thread that begins. */
  readonly samples: Float64Array;
  /** How many sleepers were woken. Added to by both threads. */
  readonly woken: Int32Array;
}

/** For how long the first thread waits before a round trip. */
const REST_MS = 0.2;

function endOf({ kind, there, back }: Trip): End {
  return ends[kind](there as never, back as never);
}

/** Counts the sleepers that this thread wakes from here on. */
function countWoken(woken: Int32Array): void {
  const notify = Atomics.notify;
  Atomics.notify = ((view: Int32Array, index: number, count?: number) => {
    const number = notify(view, index, count);
    Atomics.add(woken, 0, number);
    return number;
  }) as typeof notify;
}

/** Wakes the other thread once that has fallen asleep, and waits for its answer. */
export function ping(trip: Trip): Round {
  const end = endOf(trip);
  countWoken(trip.woken);
  return async () => {
    for (let i = 0; i < trip.count; i++) {
      do sleepFor(REST_MS); while (end.isAwaited?.() === false);
      const start = performance.now();
      end.wake();
      const waiting = end.wait();
      if (waiting !== undefined) await waiting;
      trip.samples[i] = (performance.now() - start) * 1000;
    }
  };
}

/** Answers. */
export function pong(trip: Trip): Round {
  const end = endOf(trip);
  countWoken(trip.woken);
  return async () => {
    for (let i = 0; i < trip.count; i++) {
      const waiting = end.wait();
      if (waiting !== undefined) await waiting;
      while (end.isAwaited?.() === false) Atomics.pause();
      end.wake();
    }
  };
}
