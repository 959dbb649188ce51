/**
 * What the threads of `sync_bench.ts` do.
 *
 * @module
 */

import {
  Mutex,
  type MutexHandle,
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
