/**
 * What the workers of `slice_pool_worker_test.ts` do.
 *
 * @module
 */

import {
  type DetachedSlice,
  type ModeChanges,
  type Slice,
  SLICE_WORDS,
  SlicePool,
  type SlicePoolHandle,
  SliceReceiver,
} from "../../mod.ts";

/** The value of a byte of a message. */
export function byteOf(message: number, i: number): number {
  return (message * 31 + i * 7) & 255;
}

/** Writes a message in pieces. */
export function write(pool: SlicePool, message: number, length: number, pieceLength: number): void {
  for (let from = 0; from < length; from += pieceLength) {
    pool.claim(Math.min(pieceLength, length - from));
    const room = pool.room();
    for (let i = 0; i < room.length; i++) room[i] = byteOf(message, from + i);
    pool.commit();
  }
}

/** Fails unless a slice holds this message. */
export function verify(slice: Slice, message: number): void {
  const { array, byteOffset, length } = slice;
  for (let i = 0; i < length; i++) {
    if (array[byteOffset + i] === byteOf(message, i)) continue;
    throw new Error(`Byte ${i} of message ${message} is ${array[byteOffset + i]}`);
  }
}

/** A slice on its way to a worker, which keeps it for a while. */
export interface Parcel {
  message: number;
  keepMs: number;
  slice: DetachedSlice;
}

/** The part of a worker in a pool. */
export interface Part {
  pool: SlicePoolHandle;
  thread: number;
}

/**
 * Keeps each slice that it is sent for as long as it is told, verifies and releases it.
 *
 * @returns How many there were, once null has arrived.
 */
export async function keepAll(
  { pool, thread, port }: Part & { port: MessagePort },
): Promise<number> {
  using receiver = SliceReceiver.attach(pool, { thread });
  const kept: Promise<void>[] = [];
  const keep = async ({ message, keepMs, slice: detached }: Parcel) => {
    using slice = receiver.adopt(detached);
    if (keepMs > 0) await new Promise((resolve) => setTimeout(resolve, keepMs));
    verify(slice, message);
  };
  return await new Promise((resolve, reject) => {
    port.onmessage = async ({ data }: MessageEvent<Parcel | null>) => {
      if (data !== null) return kept.push(keep(data));
      try {
        await Promise.all(kept);
        port.close();
        resolve(kept.length);
      } catch (error) {
        reject(error);
      }
    };
  });
}

/** How many slices can be in a {@link Lane}. */
const LANE_LENGTH = 8;
const ENTRY_WORDS = 1 + SLICE_WORDS;
/** The words of a lane: how many slices were put in, and taken out; then the slices. */
const [PUT, TAKEN, ENTRIES] = [0, 1, 2];

/** A queue of slices, as words, from one thread to another. */
export function newLane(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * (ENTRIES + LANE_LENGTH * ENTRY_WORDS)));
}

/**
 * Owns a pool, and sends slices to others in turn; those in heap memory it releases itself.
 *
 * @returns How often each mode was reached.
 */
export function sendAll({ pool: handle, lanes, count, maxLength }: {
  pool: SlicePoolHandle;
  lanes: Int32Array[];
  count: number;
  maxLength: number;
}): ModeChanges {
  using pool = SlicePool.attach(handle);
  const put = lanes.map(() => 0);
  for (let sent = 0, message = 0; sent < count; message++) {
    const lane = lanes[sent % lanes.length]!;
    const before = put[sent % lanes.length]!;
    write(pool, message, 1 + (message * 7919) % maxLength, 10);
    const slice = pool.take();
    if (slice.slot < 0) {
      verify(slice, message);
      slice.release();
      Atomics.wait(lane, TAKEN, before, 0.01); // the others are to release some
      continue;
    }
    for (let taken; (taken = Atomics.load(lane, TAKEN)) + LANE_LENGTH === before;) {
      Atomics.wait(lane, TAKEN, taken);
    }
    const entry = ENTRIES + before % LANE_LENGTH * ENTRY_WORDS;
    lane[entry] = message;
    slice.detachInto(lane, entry + 1);
    put[sent % lanes.length] = before + 1;
    Atomics.store(lane, PUT, before + 1);
    Atomics.notify(lane, PUT);
    sent++;
  }
  for (const [i, lane] of lanes.entries()) {
    Atomics.store(lane, PUT, ~put[i]!);
    Atomics.notify(lane, PUT);
  }
  return pool.usage().changes;
}

/**
 * Verifies and releases the slices of a lane, holding up to so many at a time.
 *
 * @returns How many there were.
 */
export function receiveAll(
  { pool, thread, lane, held }: Part & { lane: Int32Array; held: number },
): number {
  using receiver = SliceReceiver.attach(pool, { thread });
  const open: [Slice, number][] = [];
  const releaseFirst = () => {
    const [slice, message] = open.shift()!;
    verify(slice, message);
    slice.release();
  };
  for (let taken = 0;;) {
    const put = Atomics.load(lane, PUT);
    if (put === ~taken) {
      while (open.length > 0) releaseFirst();
      return taken;
    }
    if (put === taken) {
      if (open.length > 0) releaseFirst(); // the sender may wait for it
      else Atomics.wait(lane, PUT, put);
      continue;
    }
    const entry = ENTRIES + taken % LANE_LENGTH * ENTRY_WORDS;
    open.push([receiver.adoptFrom(lane, entry + 1), lane[entry]!]);
    Atomics.store(lane, TAKEN, ++taken);
    Atomics.notify(lane, TAKEN);
    if (open.length > held) releaseFirst();
  }
}

/** Adopts slices, and keeps them for good. */
export function hoard({ pool, thread, slices }: Part & { slices: DetachedSlice[] }): number {
  const receiver = SliceReceiver.attach(pool, { thread });
  for (const slice of slices) receiver.adopt(slice);
  return receiver.held;
}
