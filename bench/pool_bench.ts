/**
 * The buffer pool beside a new array for each message: buffers of 1033 bytes, as in the workload of
 * the system in Rust whose work the pool does.
 *
 * On one thread, on two threads at once, and on threads that wait for one another; the packets, and
 * the same by the numbers of buffers, for which no object is made. Every buffer is written to and read.
 * Last, how much of the heap that takes.
 *
 * @module
 */

import { BufferPool, PACKET_WORDS } from "../mod.ts";
import {
  compare,
  compareHeap,
  declare,
  type Group,
  type HeapUser,
  print,
  type Way,
} from "./alternating.ts";
import { Crew, type Duty } from "./crew.ts";
import { RoundTripGroup, RoundTrips } from "./round_trips.ts";
import { useArrays, useBuffers } from "./pool_worker.ts";

const BUFFER_BYTES = 1033;
/** Operations of a run. */
const COUNT = 200_000;

const SIZE = { bufferBytes: BUFFER_BYTES, batchCount: 16 };
const pool = BufferPool.create(SIZE);
const other = BufferPool.attach(pool.handle);
const { bytes } = pool;
const words = new Int32Array(PACKET_WORDS);

/** Something that is done on this thread. */
function here(name: string, use: (count: number) => void): Way & HeapUser {
  return { name, count: COUNT, use, run: () => use(COUNT) };
}

/** Something that so many workers do at once; the cost is that of one operation of one of them. */
function onWorkers(name: string, duties: () => Duty[]): Way {
  let crew: Crew | undefined;
  const module = import.meta.resolve("./pool_worker.ts");
  return { name, count: COUNT, run: () => (crew ??= new Crew(module, duties())).run() };
}

/** Two threads that use buffers of one pool, each so many at a time. */
function twoThreads(name: string, held: number): Way {
  return onWorkers(name, () => {
    const argument = {
      pool: BufferPool.create(SIZE).handle,
      count: COUNT,
      held,
      meeting: new Int32Array(new SharedArrayBuffer(4)),
    };
    return [{ name: "buffers", argument }, { name: "buffers", argument }];
  });
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
    note: "in Rust: acquire and release 12.7, malloc and free 23",
  },
  {
    name: "so many are taken, then all are given back",
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
      twoThreads("1 buffer at a time", 1),
      twoThreads("50 buffers at a time: refills and spills", 50),
      onWorkers("1 array at a time", () => {
        const argument = { byteLength: BUFFER_BYTES, count: COUNT, held: 1 };
        return [{ name: "arrays", argument }, { name: "arrays", argument }];
      }),
    ],
  },
];

const handOver = new RoundTripGroup("there and back, each woken, after 0.2 ms of rest", [
  new RoundTrips("the only buffer, released and acquired", "pool", () => {
    using pool = BufferPool.create({
      bufferBytes: BUFFER_BYTES,
      batchCount: 1,
      buffersPerBatch: 1,
    });
    return [pool.handle, undefined];
  }),
  new RoundTrips("an array of 1033 bytes, transferred", "transfer", ports),
]);

function ports(): [MessagePort, MessagePort] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
}

declare([...groups, handOver]);

globalThis.addEventListener("unload", () => {
  const users = [byNumber, byPacket, sentByNumber, sentByWords];
  print(compare(groups), handOver.compare(), compareHeap(users));
});
