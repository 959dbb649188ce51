/**
 * What the threads of `pool_bench.ts` do.
 *
 * @module
 */

import { BufferPool, type BufferPoolHandle } from "../mod.ts";
import { meetingAt } from "./crew.ts";

/** What each is told. */
export interface Job {
  pool: BufferPoolHandle;
  /** How many buffers to use. */
  count: number;
  /** How many of them at a time. */
  held: number;
  /** Where the threads meet before they begin. */
  meeting: Int32Array;
}

/** Uses so many buffers of a pool, some at a time. */
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
  verify(sum, count, held);
}

/** The same with arrays that are made anew each time. */
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
  verify(sum, count, held);
}

/** Each of those that are held at a time has another number, up to 255. */
function verify(sum: number, count: number, held: number): void {
  const expected = count * (held - 1) / 2;
  if (sum !== expected) throw new Error(`Expected the sum ${expected}: received ${sum}`);
}

/** A thread that uses buffers of a pool. */
export function buffers({ pool, count, held, meeting }: Job): () => void {
  const attached = BufferPool.attach(pool);
  const meet = meetingAt(meeting, 2);
  return () => {
    meet();
    useBuffers(attached, count, held);
    attached.returnCached(); // else the other one might wait for what is kept here
  };
}

/** A thread that makes arrays. */
export function arrays({ count, held, byteLength }: Job & { byteLength: number }): () => void {
  return () => useArrays(byteLength, count, held);
}
