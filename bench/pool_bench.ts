/**
 * The buffer pool beside a new array for each message: buffers of 1033 bytes, as in the workload of
 * the system in Rust whose work the pool does.
 *
 * On one thread, on two threads at once, and on threads that wait for each other; by packets, and
 * by the numbers of buffers, for which no object is made. Every buffer is written to and read. The
 * growth of the heap is printed last.
 *
 * @module
 */

import { BufferPool, PACKET_WORDS } from "../mod.ts";
import {
  compare,
  compareHeap,
  declare,
  type Group,
  type LocalWay,
  onThisThread,
  printAtEnd,
  type Way,
} from "./alternating.ts";
import { Crew, type Duty, ports, sharedWords } from "./crew.ts";
import { useArrays, useBuffers } from "./pool_worker.ts";
import { compareRoundTrips, roundTrips } from "./round_trips.ts";

const BUFFER_BYTES = 1033;
/** Operations of a run. */
const COUNT = 200_000;

const SIZE = { bufferBytes: BUFFER_BYTES, batchCount: 16 };
const pool = BufferPool.create(SIZE);
const other = BufferPool.attach(pool.handle);
const { bytes } = pool;
const words = new Int32Array(PACKET_WORDS);

function here(name: string, use: (count: number) => void): LocalWay {
  return onThisThread(name, COUNT, use);
}

/** Two workers with the same duty at once; the cost is that of an operation of one of them. */
function twoThreads(name: string, duty: () => Duty): Way {
  let crew: Crew | undefined;
  const start = () => {
    const both = duty();
    return new Crew("./pool_worker.ts").assign([both, both]);
  };
  return { name, count: COUNT, run: () => (crew ??= start()).run() };
}

/** The duty of a thread that shares a pool with another, and uses so many buffers at a time. */
function buffers(held: number): Duty {
  const pool = BufferPool.create(SIZE).handle;
  return { name: "buffers", argument: { pool, count: COUNT, held, meeting: sharedWords(1) } };
}

const byNumber = here("acquire, release", (count) => {
  for (let i = 0; i < count; i++) {
    const buffer = pool.acquire();
    bytes[pool.offsetOf(buffer)] = i;
    pool.release(buffer);
  }
});

const byPacket = here("acquire, make a packet, release it", (count) => {
  for (let i = 0; i < count; i++) {
    const packet = pool.packet(pool.acquire(), 0, 16);
    bytes[packet.byteOffset] = i;
    packet.release();
  }
});

const sentByNumber = here("send, receive, by number", (count) => {
  const buffer = pool.acquire();
  for (let i = 0; i < count; i += 2) {
    other.adoptBuffer(buffer, pool.detachBuffer(buffer));
    pool.adoptBuffer(buffer, other.detachBuffer(buffer));
  }
  pool.release(buffer);
});

const sentByWords = here("send a packet as words, receive it", (count) => {
  let packet = pool.packet(pool.acquire());
  for (let i = 0; i < count; i += 2) {
    packet.detachInto(words, 0);
    packet = other.adoptFrom(words, 0);
    packet.detachInto(words, 0);
    packet = pool.adoptFrom(words, 0);
  }
  packet.release();
});

const groups: Group[] = [
  {
    name: "one at a time",
    ways: [
      byNumber,
      byPacket,
      here("new Uint8Array(1033)", (count) => useArrays(BUFFER_BYTES, count, 1)),
    ],
    note: "in Rust: acquire and release 7.1, malloc and free 23",
  },
  {
    name: "many are acquired, then all are released",
    ways: [
      here("16 buffers", (count) => useBuffers(pool, count, 16)),
      here("200 buffers: refills and spills", (count) => useBuffers(pool, count, 200)),
      here("16 arrays", (count) => useArrays(BUFFER_BYTES, count, 16)),
      here("200 arrays", (count) => useArrays(BUFFER_BYTES, count, 200)),
    ],
  },
  {
    name: "packets",
    ways: [
      here("clone, release", (count) => {
        const packet = pool.packet(pool.acquire());
        for (let i = 0; i < count; i++) packet.clone().release();
        packet.release();
      }),
      sentByNumber,
      sentByWords,
    ],
  },
  {
    name: "two threads at once",
    ways: [
      twoThreads("1 buffer at a time", () => buffers(1)),
      twoThreads("50 buffers at a time: refills and spills", () => buffers(50)),
      twoThreads("1 array at a time", () => {
        const argument = { byteLength: BUFFER_BYTES, count: COUNT, held: 1 };
        return { name: "arrays", argument };
      }),
    ],
  },
];

const handOver = {
  name: "there and back, each woken, after 0.2 ms of rest",
  ways: [
    roundTrips("the only buffer, released and acquired", "pool", () => {
      using pool = BufferPool.create({
        bufferBytes: BUFFER_BYTES,
        batchCount: 1,
        buffersPerBatch: 1,
      });
      return [pool.handle, undefined];
    }),
    roundTrips("an array of 1033 bytes, transferred", "transfer", ports),
  ],
};

declare([...groups, handOver]);
printAtEnd(
  () => compare(groups),
  () => compareRoundTrips(handOver),
  () => compareHeap([byNumber, byPacket, sentByNumber, sentByWords]),
);
