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

/** How one thread wakes another, and waits until it is woken. */
interface End {
  /** Wakes the other one. */
  wake(): void;
  /** Waits until the other one has. */
  wait(): void | Promise<unknown>;
  /** Whether the other one is there to be woken; if not given, it need not be. */
  isAwaited?(): boolean;
}

/** The ways to do so, each given what leads to the other thread, and what leads back. */
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
    let awaited = 0;
    const hasCome = () => Atomics.load(back.word, 0) === awaited;
    return {
      wake() {
        Atomics.add(there.word, 0, 1);
        other.notify();
      },
      wait() {
        awaited++;
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
    // The one that begins has the only buffer.
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

/** What comes through a port, one after the other. */
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

/** A word whose changes are told by an event count. */
export interface Signal {
  count: EventCountHandle;
  word: Int32Array;
}

/** The ways for two threads to wake each other. */
export type Kind = keyof typeof ends;

/** What a thread is told that wakes another, or is woken by it. */
export interface Trip {
  kind: Kind;
  there: unknown;
  back: unknown;
  /** How many round trips. */
  count: number;
  /** The microseconds of each, to be filled in. */
  samples: Float64Array;
  /** How many sleepers were woken. */
  woken: Int32Array;
  /** Never changes: to sleep on. */
  idle: Int32Array;
}

function endOf({ kind, there, back }: Trip): End {
  return ends[kind](there as never, back as never);
}

/** From here on counts the sleepers that this thread wakes. */
function countWoken(woken: Int32Array): void {
  const notify = Atomics.notify;
  Atomics.notify = ((view: Int32Array, index: number, count?: number) => {
    const number = notify(view, index, count);
    Atomics.add(woken, 0, number);
    return number;
  }) as typeof notify;
}

/** Wakes the other thread when that has fallen asleep, and waits for its answer. */
export function ping(trip: Trip): () => Promise<void> {
  const end = endOf(trip);
  countWoken(trip.woken);
  return async () => {
    for (let i = 0; i < trip.count; i++) {
      do Atomics.wait(trip.idle, 0, 0, 0.2); while (end.isAwaited?.() === false);
      const start = performance.now();
      end.wake();
      const waiting = end.wait();
      if (waiting !== undefined) await waiting;
      trip.samples[i] = (performance.now() - start) * 1000;
    }
  };
}

/** Answers. */
export function pong(trip: Trip): () => Promise<void> {
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
