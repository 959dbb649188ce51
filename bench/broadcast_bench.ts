/**
 * The broadcast ring compared with its alternatives: one sender and one receiver or three, each
 * on a worker.
 *
 * One iteration is a burst: from the wake-up of the workers until the last receiver has every
 * message. All messages are counted and summed up, and a wrong sum fails the bench. A sender keeps
 * less than half a ring ahead of its slowest receiver, so that nothing is lost; over a port or a
 * channel, it keeps to a window. Two ends have a core each, and spin; three receivers sleep once
 * they have found nothing for a while, so that they and a writer make do with two cores. A reader
 * of the ring that found little lets messages gather for a microsecond, so that it does not take
 * cache lines from the writer while that still needs them.
 *
 * Messages are published by 64, or one by one where that is said. `read` goes through batches that
 * the reader took, `bulk` through windows that were copied out raw, `receive` copies each message
 * once more. `by views` is the same ring without native copies. The *bound* is the cost of the same
 * copies by themselves: plain memory and a counter.
 *
 * `bcast` is the library in Rust that does the same; its figures were measured apart from these, on
 * a quiet machine of the kind that README.md names.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import { Broadcast, Pacer } from "../mod.ts";
import { type Column, compare, declare, type Group, printAtEnd } from "./alternating.ts";
import { Crew, ports } from "./crew.ts";
import { BATCH, PORT_AHEAD, stream, type StreamOptions, type StreamRole } from "./streams.ts";

const CAPACITY_BYTES = 8 * 1024 * 1024;
/** How far the sender of a channel may be ahead, which loses messages beyond some hundred. */
const CHANNEL_AHEAD = BATCH;

const crew = new Crew("./stream_worker.ts");
// Positions from here on are no small integers.
const ring = Broadcast.create({ capacityBytes: CAPACITY_BYTES, startPosition: 2 ** 40 });
const plain = new SharedArrayBuffer(CAPACITY_BYTES);
const queue = RingBuffer.getStorageForCapacity(CAPACITY_BYTES, Uint8Array);

const viaRing = () => [ring.handle, ring.handle] as const;
/** The same ring, copied in and out by views. */
const viaViews = () => {
  const { webAssembly: _, ...memory } = ring.handle.memory;
  const handle = { ...ring.handle, memory };
  return [handle, handle] as const;
};
const viaPacer = () => {
  const { handle } = Pacer.create({ broadcast: ring, expected: 1 });
  return [handle, handle] as const;
};
const viaPlain = () => [plain, plain] as const;
const viaQueue = () => [queue, queue] as const;
const viaChannel = () => {
  const name = `busbar ${crypto.randomUUID()}`;
  return [name, name] as const;
};

type Options = Partial<StreamOptions>;

/** All ways to send so many messages of this size, beside the rate of bcast. */
function groupOf(messageBytes: number, messages: number, native: string): Group {
  const ahead = Math.floor(CAPACITY_BYTES / 2 / (messageBytes + 8));
  const way = (name: string, sender: StreamRole, receiver: StreamRole, options: Options = {}) =>
    stream(crew, name, {
      sender,
      receiver,
      connect: viaRing,
      messageBytes,
      messages,
      ahead,
      ...options,
    });
  const byViews: Options = { connect: viaViews };
  // The pacer alone holds the sender back.
  const paced: Options = { connect: viaPacer, ahead: messages };
  const overPort: Options = { connect: ports, ahead: PORT_AHEAD };
  const overChannel: Options = { connect: viaChannel, ahead: CHANNEL_AHEAD, batch: 16 };
  const overPlain: Options = { connect: viaPlain };
  const overQueue: Options = { connect: viaQueue, messages: 100_096 };
  const posted = way("postMessage", "post", "onPort", { ...overPort, messages: 10_048 });
  return {
    name: `${messageBytes} B`,
    ways: [
      way("ring: append, read", "append", "read"),
      way("ring: append, read, by views", "append", "read", byViews),
      way("ring: append private bytes, read", "appendPrivate", "read"),
      way("ring: append, read, one by one", "append", "read", { batch: 1 }),
      way("ring: append, read, paced", "appendPaced", "readPaced", paced),
      way("ring: append, bulk", "append", "bulk"),
      way("ring: append, bulk, one by one", "append", "bulk", { batch: 1 }),
      way("ring: append, receive", "append", "receive"),
      way("ring: appendEqual, read", "appendEqual", "read"),
      way("ring: appendEqual, bulk", "appendEqual", "bulk"),
      way("ring: claim in place, read", "claim", "read"),
      way("ring: claim in place, read, by views", "claim", "read", byViews),
      way("ring: claim in place, bulk", "claim", "bulk"),
      way("ring: claim in place, bulk, by views", "claim", "bulk", byViews),
      way("ring: append, read by three", "append", "read", { receivers: 3 }),
      way("ring: claim, bulk by three", "claim", "bulk", { receivers: 3 }),
      way("bound: set, and set in bulk", "plainCopy", "plainTake", overPlain),
      way("bound: two bytes, and set in bulk", "plainTouch", "plainTake", overPlain),
      way("ringbuf.js", "push", "pop", overQueue),
      posted,
      way("postMessage, transferred", "transfer", "onPort", { ...overPort, messages: 5_056 }),
      way("BroadcastChannel", "channelPost", "onChannel", { ...overChannel, messages: 2_048 }),
    ],
    baseline: posted,
    note: `bcast, in Rust: ${native}`,
  };
}

// Each burst over the ring takes some 10 ms.
const groups = [
  groupOf(64, 1_600_000, "50, in bulk 43"),
  groupOf(8, 3_200_000, "220, in bulk 135"),
  groupOf(256, 640_000, "70 to 130, in bulk 130"),
  groupOf(1024, 192_000, "65, in bulk 46"),
];

/** Millions of messages a second, of nanoseconds a message. */
const rate = (nanoseconds: number) => (1000 / nanoseconds).toFixed(2);

const columns: Column[] = [
  ["median", ({ median }) => rate(median)],
  ["best", ({ least }) => rate(least)],
  ["x postMessage", ({ median }, posted) => {
    const ratio = posted.median / median;
    return ratio.toFixed(ratio < 10 ? 1 : 0);
  }],
];

declare(groups, { warmup: 3, n: 3 });
printAtEnd(() => compare(groups, { unit: "million messages a second", rounds: 9, columns }));
