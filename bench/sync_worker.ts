/**
 * The threads of `sync_bench.ts`.
 *
 * @module
 */

import {
  Barrier,
  type BarrierHandle,
  Mutex,
  type MutexHandle,
  RwLock,
  type RwLockHandle,
  Semaphore,
  type SemaphoreHandle,
} from "../mod.ts";
import { meetingAt, type Round } from "./crew.ts";

/** The job of each thread. */
export interface Job {
  /** How many operations a round has. */
  readonly count: number;
  /** A word that is incremented plainly under the lock. */
  readonly word: Int32Array;
  /** Where the threads of a round meet before they begin. */
  readonly meeting: Int32Array;
}

/** Increments under a mutex. */
export function mutex(job: Job & { handle: MutexHandle }): Round {
  const mutex = Mutex.attach(job.handle);
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      const guard = mutex.lock();
      word[0]! += 1;
      guard.release();
    }
  });
}

/** Increments under a spin lock. */
export function spinning({ lock, ...job }: Job & { lock: Int32Array }): Round {
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      while (Atomics.compareExchange(lock, 0, 0, 1) !== 0) Atomics.pause();
      word[0]! += 1;
      Atomics.store(lock, 0, 0);
    }
  });
}

/** The locks of the platform, which the types do not declare. */
const { locks } = navigator as unknown as {
  locks: { request(name: string, callback: () => void): Promise<void> };
};

/** Increments under a lock of the platform. */
export function platform({ name, count, word }: Job & { name: string }): Round {
  return async () => {
    for (let i = 0; i < count; i++) await locks.request(name, () => void (word[0]! += 1));
  };
}

/** Increments while it has the only permit. */
export function semaphore(job: Job & { handle: SemaphoreHandle }): Round {
  const semaphore = Semaphore.attach(job.handle);
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      semaphore.acquire();
      word[0]! += 1;
      semaphore.release();
    }
  });
}

/** Increments as the writer. */
export function writer(job: Job & { handle: RwLockHandle }): Round {
  const lock = RwLock.attach(job.handle);
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      const guard = lock.write();
      word[0]! += 1;
      guard.release();
    }
  });
}

/** Loads the word as a reader. */
export function reader(job: Job & { handle: RwLockHandle }): Round {
  const lock = RwLock.attach(job.handle);
  const { count, word } = job;
  return meeting(job, () => {
    let last = 0;
    for (let i = 0; i < count; i++) {
      const guard = lock.read();
      const seen = word[0]!;
      guard.release();
      if (seen < last) throw new Error(`Found ${seen} after ${last}`);
      last = seen;
    }
  });
}

/** Meets another thread at a barrier, over and over. */
export function barrier(job: Job & { handle: BarrierHandle }): Round {
  const barrier = Barrier.attach(job.handle);
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      Atomics.add(word, 0, 1);
      barrier.wait();
    }
  });
}

/** The same at two bare words: how many have arrived, and the number of the round. */
export function bareBarrier({ words, ...job }: Job & { words: Int32Array }): Round {
  const { count, word } = job;
  return meeting(job, () => {
    for (let i = 0; i < count; i++) {
      Atomics.add(word, 0, 1);
      const round = Atomics.load(words, 1);
      if (Atomics.add(words, 0, 1) === 1) {
        Atomics.store(words, 0, 0);
        Atomics.store(words, 1, round + 1);
        Atomics.notify(words, 1);
      } else while (Atomics.load(words, 1) === round) Atomics.wait(words, 1, round);
    }
  });
}

/** A round in which two threads begin at the same time. */
function meeting(job: Job, work: () => void): Round {
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    work();
  };
}
