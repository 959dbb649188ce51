/**
 * Helpers of the model tests of the slice pool: tiny pools, an owner that posts slices, and threads
 * that receive them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Slice,
  SLICE_WORDS,
  SlicePool,
  type SlicePoolHandle,
  SliceReceiver,
} from "@busbar/busbar";
import type { ExploreOptions, Threads } from "@busbar/busbar/model";

/** The shared state of the threads of a model. */
export interface State {
  readonly handle: SlicePoolHandle;
  /** Boxes of a flag and the words of a slice each. */
  readonly boxes: Int32Array;
}

const BOX_WORDS = 1 + SLICE_WORDS;
const BOXES = 4;

/** A model of a pool that nobody owns, of slots of one byte. */
export function model<T extends Threads<State>>(
  slots: number,
  threads: T,
  check?: ExploreOptions<State, T>["check"],
): ExploreOptions<State, T> {
  return {
    setup: () => {
      using pool = SlicePool.create({ capacityBytes: slots, slots });
      return {
        handle: pool.handle,
        boxes: new Int32Array(new SharedArrayBuffer(4 * BOX_WORDS * BOXES)),
      };
    },
    threads,
    check(state, results) {
      check?.(state, results);
      // Fails unless all slices were released, and the owner closed the pool.
      SlicePool.attach(state.handle).close();
    },
  };
}

/** A thread that owns the pool, and closes it at its end. */
export function owner<Result>(
  body: (pool: SlicePool, boxes: Int32Array) => Result,
): (state: State) => Result {
  return ({ handle, boxes }) => {
    using pool = SlicePool.attach(handle);
    return body(pool, boxes);
  };
}

/** Takes a message of one byte. */
export function take(pool: SlicePool, byte: number): Slice {
  pool.claim(1);
  pool.bytes[pool.offset] = byte;
  pool.commit();
  return pool.take();
}

/** Fails unless a slice has this byte; changes it, as only the thread that has it may; releases. */
export function use(slice: Slice, byte: number): void {
  const { array, byteOffset } = slice;
  assertEquals(array[byteOffset], byte);
  array[byteOffset] = byte + 100;
  slice.release();
}

/** Puts a slice into a box, and wakes the thread that waits for it. */
export function post(boxes: Int32Array, box: number, slice: Slice): void {
  const flag = box * BOX_WORDS;
  slice.detachInto(boxes, flag + 1);
  Atomics.store(boxes, flag, 1);
  Atomics.notify(boxes, flag);
}

/** Waits until there is a slice in a box. */
export function awaitBox(boxes: Int32Array, box: number): void {
  const flag = box * BOX_WORDS;
  while (Atomics.load(boxes, flag) === 0) Atomics.wait(boxes, flag, 0);
}

/** Adopts the slice in a box. */
export function fetch(receiver: SliceReceiver, boxes: Int32Array, box: number): Slice {
  return receiver.adoptFrom(boxes, box * BOX_WORDS + 1);
}

/** A thread that waits for the slice in a box, checks, changes and releases it. */
export function user(thread: number, box: number, byte: number): (state: State) => void {
  return ({ handle, boxes }) => {
    awaitBox(boxes, box);
    using receiver = SliceReceiver.attach(handle, { thread });
    use(fetch(receiver, boxes, box), byte);
  };
}
