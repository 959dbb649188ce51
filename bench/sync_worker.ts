/**
 * What the threads of `sync_bench.ts` do.
 *
 * @module
 */

import {
  EventCount,
  type EventCountHandle,
  Mutex,
  type MutexHandle,
  Parker,
  type ParkerHandle,
  RwLock,
  type RwLockHandle,
  Semaphore,
  type SemaphoreHandle,
} from "../mod.ts";
import { meetingAt } from "./crew.ts";

/** What a thread is told that does something under a lock. */
export interface Job {
  /** How often. */
  count: number;
  /** A word that is incremented plainly under the lock. */
  word: Int32Array;
  /** Where the threads of a round meet before they begin. */
  meeting: Int32Array;
}

/** Increments under a mutex. */
export function mutex(job: Job & { handle: MutexHandle }): () => void {
  const mutex = Mutex.attach(job.handle);
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    for (let i = 0; i < job.count; i++) {
      const guard = mutex.lock();
      job.word[0]! += 1;
      guard.release();
    }
  };
}

/** Increments under a lock that spins. */
export function spinning(job: Job & { lock: Int32Array }): () => void {
  const meet = meetingAt(job.meeting, 2);
  const { lock } = job;
  return () => {
    meet();
    for (let i = 0; i < job.count; i++) {
      while (Atomics.compareExchange(lock, 0, 0, 1) !== 0) Atomics.pause();
      job.word[0]! += 1;
      Atomics.store(lock, 0, 0);
    }
  };
}

/** The locks of the platform, which the types do not know. */
const { locks } = navigator as unknown as {
  locks: { request(name: string, callback: () => void): Promise<void> };
};

/** Increments under a lock of the platform. */
export function platform(job: Job & { name: string }): () => Promise<void> {
  return async () => {
    for (let i = 0; i < job.count; i++) {
      await locks.request(job.name, () => void (job.word[0]! += 1));
    }
  };
}

/** Increments while it has the only permit. */
export function semaphore(job: Job & { handle: SemaphoreHandle }): () => void {
  const semaphore = Semaphore.attach(job.handle);
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    for (let i = 0; i < job.count; i++) {
      semaphore.acquire();
      job.word[0]! += 1;
      semaphore.release();
    }
  };
}

/** Increments as the writer. */
export function writer(job: Job & { handle: RwLockHandle }): () => void {
  const lock = RwLock.attach(job.handle);
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    for (let i = 0; i < job.count; i++) {
      const guard = lock.write();
      job.word[0]! += 1;
      guard.release();
    }
  };
}

/** Looks as a reader. */
export function reader(job: Job & { handle: RwLockHandle }): () => void {
  const lock = RwLock.attach(job.handle);
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    let last = 0;
    for (let i = 0; i < job.count; i++) {
      const guard = lock.read();
      const seen = job.word[0]!;
      guard.release();
      if (seen < last) throw new Error(`Found ${seen} after ${last}`);
      last = seen;
    }
  };
}

/** How one thread wakes another, and waits until it is woken. */
interface End {
  /** Wakes the other one. */
  wake(): void;
  /** Waits until the other one has. */
  wait(): void | Promise<unknown>;
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
  port: (_: undefined, port: MessagePort): End => {
    let arrival = Promise.withResolvers<void>();
    port.onmessage = () => arrival.resolve();
    return {
      wake: () => port.postMessage(null),
      async wait() {
        await arrival.promise;
        arrival = Promise.withResolvers();
      },
    };
  },
};

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
      Atomics.wait(trip.idle, 0, 0, 0.2);
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
      end.wake();
    }
  };
}
