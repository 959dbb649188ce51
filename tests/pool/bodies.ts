/**
 * The bodies of the workers of `buffer_pool_worker_test.ts`.
 *
 * @module
 */

import {
  Broadcast,
  type BroadcastHandle,
  BufferPool,
  type BufferPoolHandle,
  type DetachedPacket,
  type Packet,
  PACKET_WORDS,
  WaiterQueue,
} from "../../mod.ts";
import { runHooked } from "../dying.ts";

/** The argument of each body. */
export interface Job {
  pool: BufferPoolHandle;
  /** The number of the worker's thread in the pool. */
  thread: number;
  /** How many buffers to use, or packets to detach. */
  count: number;
}

/** Pseudo-random numbers from 0 to `below`, the same for the same seed. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** Fills a buffer with bytes that tell which thread wrote them, and when. */
function fill(pool: BufferPool, buffer: number, stamp: number): void {
  const start = pool.offsetOf(buffer);
  for (let i = 0; i < pool.bufferBytes; i++) pool.bytes[start + i] = stamp + i;
}

/** Fails unless the bytes of a buffer, or a range of them, are those that were filled in. */
function verify(bytes: Uint8Array, stamp: number, offset = 0): void {
  for (let i = 0; i < bytes.length; i++) {
    const expected = (stamp + offset + i) & 255;
    if (bytes[i] !== expected) throw new Error(`Expected byte ${expected}, found ${bytes[i]}`);
  }
}

function bytesOf(pool: BufferPool, buffer: number): Uint8Array {
  const start = pool.offsetOf(buffer);
  return pool.bytes.subarray(start, start + pool.bufferBytes);
}

/** Uses up to three buffers at a time, of a pool that has too few; returns how often it waited. */
export function contend({ pool: handle, thread, count }: Job): number {
  using pool = BufferPool.attach(handle, { thread });
  const random = sequence(thread);
  let waits = 0;
  for (let used = 0; used < count;) {
    const first = pool.tryAcquire();
    if (first < 0) waits++;
    const buffers = [first < 0 ? pool.acquire() : first];
    // It waits for one buffer only, and takes more if there are any, so that no thread waits
    // forever.
    for (let more = random(3); more > 0; more--) {
      const buffer = pool.tryAcquire();
      if (buffer >= 0) buffers.push(buffer);
    }
    for (const buffer of buffers) fill(pool, buffer, used + buffer + thread);
    for (const buffer of buffers) verify(bytesOf(pool, buffer), used + buffer + thread);
    for (const buffer of buffers) pool.release(buffer);
    used += buffers.length;
  }
  return waits;
}

/** As {@linkcode contend}, with several tasks that await. */
export async function contendAsync({ pool: handle, thread, count }: Job): Promise<void> {
  using pool = BufferPool.attach(handle, { thread });
  const tasks = [0, 1, 2].map(async (task) => {
    for (let used = 0; used < count / 3; used++) {
      const buffer = await pool.acquireAsync();
      fill(pool, buffer, used + task);
      if (used % 3 === 0) await Promise.resolve();
      verify(bytesOf(pool, buffer), used + task);
      pool.release(buffer);
    }
  });
  await Promise.all(tasks);
}

/** The argument of a worker that takes turns with others. */
export interface Turns extends Job {
  /** How many other workers there are. */
  others: number;
  /** Word 0: the number of turns; then the thread of each. Changed by the owner of the buffer. */
  turns: Int32Array;
}

/** Uses the only buffer, each time until all others wait for it, until all turns are had. */
export function takeTurns({ pool: handle, thread, count, others, turns }: Turns): void {
  using pool = BufferPool.attach(handle, { thread });
  const queue = WaiterQueue.attach(handle.waiters);
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (let isOver = false; !isOver;) {
    const buffer = pool.acquire();
    isOver = turns[0]! >= count;
    if (!isOver) {
      turns[0]! += 1;
      turns[turns[0]!] = thread;
      // Asleep, to leave the processor to them.
      while (queue.waiting < others) Atomics.wait(idle, 0, 0, 0.05);
    }
    pool.release(buffer);
  }
}

/** The argument of a worker that sends or receives packets through a ring. */
export interface Stream extends Job {
  ring: BroadcastHandle;
  /** How many parts each buffer is split into; part `i` is for receiver `i`. */
  parts: number;
  /** How many messages each receiver has received, word by word. */
  progress: Int32Array;
}

/** Fills buffers, splits each into packets, and sends them through the ring. */
export function send({ pool: handle, thread, count, ring, parts, progress }: Stream): void {
  using pool = BufferPool.attach(handle, { thread });
  using writer = Broadcast.attach(ring).writer();
  const words = new Int32Array(PACKET_WORDS);
  const bytes = new Uint8Array(words.buffer);
  const partBytes = Math.floor(pool.bufferBytes / parts);
  const offsets = Array.from({ length: parts - 1 }, (_, i) => (i + 1) * partBytes);
  for (let number = 0; number < count; number++) {
    const buffer = pool.acquire();
    fill(pool, buffer, number);
    for (const packet of pool.packet(buffer).split(offsets)) {
      packet.detachInto(words, 0);
      writer.append(bytes, { userValue: number });
    }
    writer.publish();
    // Well before the ring is full.
    for (let i = 0; i < parts; i++) {
      for (let seen; (seen = Atomics.load(progress, i)) + 50 < number;) {
        Atomics.wait(progress, i, seen);
      }
    }
  }
}

/** Receives every part that is for receiver `part`, verifies it, and releases it. */
export function receive(stream: Stream & { part: number }): number {
  const { pool: handle, thread, count, ring, parts, part, progress } = stream;
  using pool = BufferPool.attach(handle, { thread });
  const attached = Broadcast.attach(ring);
  const reader = attached.reader({ from: attached.startPosition });
  const words = new Int32Array(PACKET_WORDS);
  const bytes = new Uint8Array(words.buffer);
  // Some packets are kept for a while, so that buffers are dropped on all threads in any order.
  const kept: Packet[] = [];
  let bytesSeen = 0;
  for (let message = 0; message < count * parts;) {
    // The sender may be waiting for a buffer that is kept here.
    for (const packet of kept.splice(0)) packet.release();
    pool.returnCached();
    reader.wait();
    while (reader.poll()) {
      while (reader.next()) {
        if (message++ % parts !== part) continue;
        bytes.set(reader.message());
        const packet = pool.adoptFrom(words, 0);
        verify(packet.bytes, reader.userValue, packet.offset);
        bytesSeen += packet.length;
        kept.push(packet);
        if (kept.length > 1) kept.shift()!.release();
      }
    }
    Atomics.store(progress, part, Math.floor(message / parts));
    Atomics.notify(progress, part);
  }
  for (const packet of kept) packet.release();
  return bytesSeen;
}

/** Answers each packet with another of the same bytes, by messages; leaves when it gets null. */
export function echo({ pool: handle, thread, port }: Job & { port: MessagePort }): void {
  const pool = BufferPool.attach(handle, { thread });
  port.onmessage = ({ data }: MessageEvent<DetachedPacket | null>) => {
    if (data === null) {
      pool.close();
      return port.postMessage(null);
    }
    const packet = pool.adopt(data);
    const answer = pool.packet(pool.acquire(), 0, packet.length);
    answer.bytes.set(packet.bytes);
    port.postMessage(answer.detach());
    packet.release();
    // Idle until the next message: the other thread may be waiting for a buffer that is kept here.
    pool.returnCached();
  };
}

/** The argument of a worker that dies. */
export interface Mortality extends Job {
  /** How many operations it executes before. */
  life: number;
  /** Word 0: whether it is dead. */
  grave: Int32Array;
}

/**
 * Uses buffers and packets until it has executed so many atomic operations; then it is dead: it
 * stops for good where it is, at any instruction.
 */
export function die({ pool: handle, thread, life, grave }: Mortality): void {
  const { store, notify, wait } = Atomics;
  let count = 0;
  runHooked(() => useForever(BufferPool.attach(handle, { thread }), sequence(life)), () => {
    if (count++ !== life) return;
    store(grave, 0, 1);
    notify(grave, 0);
    // Until the test is over; it makes no further call of the pool.
    wait(grave, 1, 0);
    throw new Error("dead");
  });
}

/** Uses buffers and packets at random. */
function useForever(pool: BufferPool, random: (below: number) => number): never {
  const packets: Packet[] = [];
  const detached: DetachedPacket[] = [];
  for (;;) {
    const choice = random(8);
    const packet = packets[random(packets.length)]!;
    if (choice < 3 && packets.length < 4) packets.push(pool.packet(pool.acquire(), 0, 8));
    else if (choice === 3 && detached.length > 0) packets.push(pool.adopt(detached.shift()!));
    else if (choice === 7) pool.returnCached();
    else if (packet === undefined) continue;
    else if (choice === 4) packets.push(packet.clone());
    else if (choice === 5 && detached.length < 3) {
      detached.push(packet.detach());
      packets.splice(packets.indexOf(packet), 1);
    } else {
      packet.release();
      packets.splice(packets.indexOf(packet), 1);
    }
  }
}

/** Acquires all buffers that are free, and does nothing more. */
export function hoard({ pool: handle, thread }: Job): number {
  const pool = BufferPool.attach(handle, { thread });
  let count = 0;
  while (pool.tryAcquire() >= 0) count++;
  return count;
}
