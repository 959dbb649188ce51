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
  type Way,
} from "./alternating.ts";
import { Crew, type Duty } from "./crew.ts";
import { useArrays, useBuffers } from "./pool_worker.ts";

const BUFFER_SIZE = 1033;
/** Operations of a run on one thread. */
const COUNT = 200_000;
/** The same of what is slow, or waits. */
const FEW = 4_000;

const SIZE = { bufferSize: BUFFER_SIZE, batchCount: 16 };
const pool = BufferPool.create(SIZE);
const other = BufferPool.attach(pool.handle);
const { bytes } = pool;
const words = new Int32Array(PACKET_WORDS);

/** Something that is done on this thread. */
function here(name: string, use: (count: number) => void, count = COUNT): Way & HeapUser {
  return { name, count, use, run: () => use(count) };
}

/** Something that so many workers do at once; the cost is that of one operation of one of them. */
function onWorkers(name: string, count: number, duties: () => Duty[]): Way {
  let crew: Crew | undefined;
  const module = import.meta.resolve("./pool_worker.ts");
  return { name, count, run: () => (crew ??= new Crew(module, duties())).run() };
}

/** Two threads that use buffers of one pool, each so many at a time. */
function twoThreads(name: string, count: number, held: number, size = SIZE): Way {
  return onWorkers(name, count, () => {
    const argument = {
      pool: BufferPool.create(size).handle,
      count,
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
    other.receiveBuffer(buffer, pool.sendBuffer(buffer));
    pool.receiveBuffer(buffer, other.sendBuffer(buffer));
  }
  pool.release(buffer);
});

const sentByWords = here("send a packet as words, receive it", (count) => {
  let packet = pool.packet(pool.acquire());
  for (let i = 0; i < count; i += 2) {
    packet.sendInto(words, 0);
    packet = other.receiveFrom(words, 0);
    packet.sendInto(words, 0);
    packet = pool.receiveFrom(words, 0);
  }
  packet.release();
});

const groups: Group[] = [
  {
    name: "one at a time",
    ways: [
      byNumber,
      byPacket,
      here("new Uint8Array(1033)", (count) => useArrays(BUFFER_SIZE, count, 1)),
    ],
    note: "in Rust: acquire and release 12.7, malloc and free 23",
  },
  {
    name: "so many are taken, then all are given back",
    ways: [
      here("16 buffers", (count) => useBuffers(pool, count, 16)),
      here("200 buffers: refills and spills", (count) => useBuffers(pool, count, 200)),
      here("16 arrays", (count) => useArrays(BUFFER_SIZE, count, 16)),
      here("200 arrays", (count) => useArrays(BUFFER_SIZE, count, 200)),
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
      twoThreads("1 buffer at a time", COUNT, 1),
      twoThreads("50 buffers at a time: refills and spills", COUNT, 50),
      onWorkers("1 array at a time", COUNT, () => {
        const argument = { byteLength: BUFFER_SIZE, count: COUNT, held: 1 };
        return [{ name: "arrays", argument }, { name: "arrays", argument }];
      }),
    ],
  },
  {
    name: "two threads, of which one waits",
    ways: [
      twoThreads(
        "1 buffer for both",
        FEW,
        1,
        { ...SIZE, batchCount: 1, batchSize: 1 } as typeof SIZE,
      ),
      onWorkers("an array that is transferred to and fro", FEW, () => {
        const { port1, port2 } = new MessageChannel();
        return [port1, port2].map((port, i) => ({
          name: "transfers",
          argument: { count: FEW, byteLength: BUFFER_SIZE, port, isFirst: i === 0 },
          transfer: [port],
        }));
      }),
    ],
  },
];

declare(groups);

globalThis.addEventListener("unload", () => {
  compare(groups);
  compareHeap([byNumber, byPacket, sentByNumber, sentByWords]);
});
