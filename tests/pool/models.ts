/**
 * Helpers of the model tests of the buffer pool: tiny pools, threads that are attached to them
 * under given numbers, threads that die at a given instruction.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  BufferPool,
  type BufferPoolHandle,
  type BufferPoolSize,
  type Packet,
} from "@busbar/busbar";
import { StaleTicketError } from "../../src/pool/errors.ts";
import { diesAfter, VISIBLE_OPERATIONS } from "../dying.ts";

/** The shared state of the threads of a model. */
export interface State {
  readonly handle: BufferPoolHandle;
  /** Words by which they synchronize, and in which packets travel. */
  readonly box: Int32Array;
}

/** The body of a thread, given its part in the pool. */
export type Body<Result> = (pool: BufferPool, box: Int32Array) => Result;

/** The number of a thread that is attached only by {@linkcode assertAllFree}. */
const CHECKER = 4;

/** A pool to which no thread is attached, of one buffer by default. */
export function poolOf(size: Partial<BufferPoolSize> = {}): () => State {
  return () => {
    using pool = BufferPool.create({
      bufferBytes: 4,
      batchCount: 1,
      buffersPerBatch: 1,
      threads: CHECKER + 1,
      tickets: 2,
      ...size,
    });
    return { handle: pool.handle, box: new Int32Array(new SharedArrayBuffer(64)) };
  };
}

/** A thread that attaches under a number, executes a body, and does not leave. */
export function attached<Result>(thread: number, body: Body<Result>): (state: State) => Result {
  return ({ handle, box }) => body(BufferPool.attach(handle, { thread }), box);
}

/** Fails unless all buffers are free, no thread waits, and no batch has a taker. */
export function assertAllFree({ handle }: State): void {
  using pool = BufferPool.attach(handle, { thread: CHECKER });
  const { free, waiting } = pool.usage();
  assertEquals(waiting, []);
  assertEquals(free, pool.bufferCount, "a buffer is lost");
  const buffers = new Set<number>();
  for (let i = 0; i < free; i++) buffers.add(pool.tryAcquire());
  assertEquals(buffers.size, free, "a buffer is there twice");
  assert(!buffers.has(-1), "a free buffer cannot be acquired");
}

/** Reads and writes the first byte of a buffer, plainly: a race if another thread does so too. */
export function use(pool: BufferPool, buffer: number): void {
  pool.bytes[pool.offsetOf(buffer)]! += 1;
}

/** A point between two calls at which other threads may run. */
export function pauseBetween(box: Int32Array): void {
  Atomics.load(box, 15);
}

/** Uses a buffer if there is one, and returns the cached ones. */
export function tryOnce(pool: BufferPool): boolean {
  const buffer = pool.tryAcquire();
  if (buffer >= 0) {
    use(pool, buffer);
    pool.release(buffer);
  }
  pool.returnCached();
  return buffer >= 0;
}

/** Waits for a buffer, uses it, and returns the cached ones. */
export function waitOnce(pool: BufferPool): void {
  const buffer = pool.acquire();
  use(pool, buffer);
  pool.release(buffer);
  pool.returnCached();
}

const READY = 12;
const BEGUN = 11;

function tell(box: Int32Array, word: number): void {
  Atomics.store(box, word, 1);
  Atomics.notify(box, word);
}

function until(box: Int32Array, word: number): void {
  while (Atomics.load(box, word) === 0) Atomics.wait(box, word, 0);
}

/** Tells others that this thread has prepared something. */
const tellReady = (box: Int32Array): void => tell(box, READY);

/** Waits until another thread has prepared something. */
export const untilReady = (box: Int32Array): void => until(box, READY);

/** Tells others that this thread has begun. */
export const tellBegun = (box: Int32Array): void => tell(box, BEGUN);

/** Waits until another thread has begun. */
export const untilBegun = (box: Int32Array): void => until(box, BEGUN);

const SENT = 0;
/** Where in the box the first packet is. */
const PACKETS = 1;
const PACKET_WORDS = 4;

/** Detaches packets into the box, and tells others. */
export function post(box: Int32Array, ...packets: Packet[]): void {
  packets.forEach((packet, i) => packet.detachInto(box, PACKETS + i * PACKET_WORDS));
  tell(box, SENT);
}

/** Waits for the packets, and adopts one. */
export function fetch(pool: BufferPool, box: Int32Array, i = 0): Packet {
  until(box, SENT);
  return pool.adoptFrom(box, PACKETS + i * PACKET_WORDS);
}

/** Adopts a packet if there is one, and its ticket is in flight. */
export function tryFetch(pool: BufferPool, box: Int32Array, i = 0): Packet | undefined {
  if (Atomics.load(box, SENT) === 0) return undefined;
  try {
    return pool.adoptFrom(box, PACKETS + i * PACKET_WORDS);
  } catch (error) {
    if (!(error instanceof StaleTicketError)) throw error;
    return undefined;
  }
}

/**
 * A thread that attaches, prepares something, and then acts until it dies.
 *
 * @param life How many visible operations of `act` it performs.
 * @param thread The number under which it attaches.
 * @returns A body, which returns whether it died.
 */
export function mortal<Prepared>(
  life: number,
  prepare: Body<Prepared>,
  act: (pool: BufferPool, box: Int32Array, prepared: Prepared) => unknown,
  thread = 0,
): (state: State) => boolean {
  return attached(thread, (pool, box) => {
    const prepared = prepare(pool, box);
    tellReady(box);
    return diesAfter(life, () => void act(pool, box, prepared), VISIBLE_OPERATIONS);
  });
}
