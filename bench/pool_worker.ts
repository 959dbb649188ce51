/**
 * The threads of `pool_bench.ts`.
 *
 * @module
 */

import { BufferPool, type BufferPoolHandle } from "../mod.ts";
import { meetingAt, type Round } from "./crew.ts";
import { checkSum } from "./messages.ts";

/** The job of a thread. */
export interface Job {
  /** How many buffers, or arrays, to use. */
  readonly count: number;
  /** How many of them at a time. */
  readonly held: number;
}

/** Uses so many buffers of a pool, `held` of them at a time. */
export function useBuffers(pool: BufferPool, count: number, held: number): void {
  const { bytes } = pool;
  const buffers = new Int32Array(held);
  let sum = 0;
  for (let used = 0; used < count; used += held) {
    for (let i = 0; i < held; i++) buffers[i] = pool.acquire();
    for (let i = 0; i < held; i++) {
      const at = pool.offsetOf(buffers[i]!);
      bytes[at] = i;
      sum += bytes[at]!;
      pool.release(buffers[i]!);
    }
  }
  checkSum("buffers", count * (held - 1) / 2, sum);
}

/** The same with arrays that are created each time. */
export function useArrays(byteLength: number, count: number, held: number): void {
  const arrays = new Array<Uint8Array>(held);
  let sum = 0;
  for (let used = 0; used < count; used += held) {
    for (let i = 0; i < held; i++) arrays[i] = new Uint8Array(byteLength);
    for (let i = 0; i < held; i++) {
      const array = arrays[i]!;
      array[0] = i;
      sum += array[0]!;
    }
  }
  checkSum("arrays", count * (held - 1) / 2, sum);
}

/** A thread that uses buffers of a pool. */
export function buffers(job: Job & { pool: BufferPoolHandle; meeting: Int32Array }): Round {
  const { count, held } = job;
  const pool = BufferPool.attach(job.pool);
  const meet = meetingAt(job.meeting, 2);
  return () => {
    meet();
    useBuffers(pool, count, held);
    pool.returnCached(); // else the other thread might wait for the buffers that this one caches
  };
}

/** A thread that creates arrays. */
export function arrays({ count, held, byteLength }: Job & { byteLength: number }): Round {
  return () => useArrays(byteLength, count, held);
}
