/**
 * The broadcast ring beside what one would use instead: one sender and one receiver or three, each
 * on a worker.
 *
 * One iteration is a burst: from telling the workers to begin until the last receiver has every
 * message. All messages are counted and summed up, and a wrong sum fails the bench. A sender keeps
 * less than half a ring ahead of its slowest receiver, so that nothing is lost, and one of a port
 * or a channel to a window. Two ends have a core each, and spin; three receivers sleep once they
 * have found nothing for a while, so that they and a writer make do with two cores. A reader of the
 * ring that found little lets messages gather for a microsecond, rather than to fetch cache lines
 * from under the writer's hands.
 *
 * Messages are published by 64, or one by one where that is said. `read` goes through batches that
 * the reader took, `bulk` through windows that were copied out raw, `receive` copies each message
 * once more. The *bound* is what the same copies cost by themselves: plain memory and a counter.
 *
 * Deno's own table takes one row after the other. After it rounds alternate between the rows, so
 * that a slow spell of the machine meets all of them, and the medians are printed. `bcast` is the
 * library in Rust whose work the ring does; its figures were measured apart from these, on a quiet
 * machine of the kind that README.md names.
 *
 * @module
 */

import { RingBuffer } from "ringbuf.js";
import { Broadcast } from "../mod.ts";
import { type Burst, median, Team } from "./broadcast_team.ts";
import { expectedSum, type Job, receiverLine } from "./broadcast_worker.ts";

const CAPACITY_BYTES = 8 * 1024 * 1024;
/** Messages published at once, and between two looks at the receivers' progress. */
const BATCH = 64;
/** How far the sender of a port may be ahead; wider windows were no faster. */
const PORT_AHEAD = 16 * BATCH;
/** The same of a channel, which loses messages beyond some hundred. */
const CHANNEL_AHEAD = BATCH;
/** Alternating rounds for the medians. */
const ROUNDS = 9;

type Role = Job["role"];

/** One way to get messages of one size from a worker to others. */
interface Way {
  name: string;
  sender: Role;
  receiver: Role;
  receivers?: number;
  batch?: number;
  /** How many messages a burst has, if they are slow. */
  messages?: number;
}

const RING_WAYS: Way[] = [
  { name: "ring: append, read", sender: "append", receiver: "read" },
  { name: "ring: append, read, one by one", sender: "append", receiver: "read", batch: 1 },
  { name: "ring: append, bulk", sender: "append", receiver: "bulk" },
  { name: "ring: append, bulk, one by one", sender: "append", receiver: "bulk", batch: 1 },
  { name: "ring: append, receive", sender: "append", receiver: "receive" },
  { name: "ring: appendEqual, read", sender: "appendEqual", receiver: "read" },
  { name: "ring: appendEqual, bulk", sender: "appendEqual", receiver: "bulk" },
  { name: "ring: claim in place, read", sender: "claim", receiver: "read" },
  { name: "ring: claim in place, bulk", sender: "claim", receiver: "bulk" },
  { name: "ring: append, read by three", sender: "append", receiver: "read", receivers: 3 },
  { name: "ring: claim, bulk by three", sender: "claim", receiver: "bulk", receivers: 3 },
  { name: "bound: set, and set in bulk", sender: "plainCopy", receiver: "plainTake" },
  { name: "bound: two bytes, and set in bulk", sender: "plainTouch", receiver: "plainTake" },
];

const OTHER_WAYS: Way[] = [
  { name: "ringbuf.js", sender: "push", receiver: "pop", messages: 100_096 },
  { name: "postMessage", sender: "post", receiver: "onPort", messages: 10_048 },
  { name: "postMessage, transferred", sender: "transfer", receiver: "onPort", messages: 5_056 },
  {
    name: "BroadcastChannel",
    sender: "channelPost",
    receiver: "onChannel",
    messages: 2_048,
    batch: 16,
  },
];

/** The messages of a burst over the ring, by the bytes of a message: some 10 ms. */
const MESSAGES = new Map([[64, 1_600_000], [8, 3_200_000], [256, 640_000], [1024, 192_000]]);

/** Millions of messages a second over bcast, read in batches, and in bulk. */
const NATIVE = new Map([[64, "29"], [8, "171"], [256, "33, in bulk 96"], [1024, "37, in bulk 31"]]);

const team = new Team();
// Where positions no longer fit small integers.
const ring = Broadcast.create({ capacityBytes: CAPACITY_BYTES, startPosition: 2 ** 40 });
const plain = new SharedArrayBuffer(CAPACITY_BYTES);
const queue = RingBuffer.getStorageForCapacity(CAPACITY_BYTES, Uint8Array);

/** Sends a burst, and verifies it; returns the messages a second, in millions. */
async function send(way: Way, messageBytes: number): Promise<number> {
  const { receivers = 1, batch = BATCH, sender, receiver } = way;
  const messages = way.messages ?? MESSAGES.get(messageBytes)!;
  const roles = [sender, ...new Array<Role>(receivers).fill(receiver)];
  let ahead = Math.floor(CAPACITY_BYTES / 2 / (messageBytes + 8));
  let via: unknown = ring.handle;
  let transfers: MessagePort[] = [];
  if (receiver === "onPort") {
    const { port1, port2 } = new MessageChannel();
    transfers = [port1, port2];
    ahead = PORT_AHEAD;
  } else if (receiver === "onChannel") {
    via = `busbar ${crypto.randomUUID()}`;
    ahead = CHANNEL_AHEAD;
  } else if (receiver === "pop") {
    via = queue;
  } else if (receiver === "plainTake") {
    via = plain;
  }
  const burst: Burst = {
    via,
    messageBytes,
    messages,
    batch,
    ahead,
    receivers,
    spins: receivers === 1,
    gathers: true,
  };
  const { seconds, control } = await team.run(burst, roles, transfers);
  for (let i = 0; i < receivers; i++) {
    const [count, sum] = control.subarray(receiverLine(i));
    const expected = expectedSum(messages);
    if (count !== messages || sum !== expected) {
      throw new Error(
        `${way.name}: expected ${messages} with ${expected}, got ${count} with ${sum}`,
      );
    }
  }
  return messages / seconds / 1e6;
}

/** Alternates between all ways to send messages of one size; returns lines to print. */
async function compare(messageBytes: number): Promise<string[]> {
  const ways = [...RING_WAYS, ...OTHER_WAYS];
  const rates = ways.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, way] of ways.entries()) rates[i]!.push(await send(way, messageBytes));
  }
  const post = median(rates[ways.findIndex(({ sender }) => sender === "post")]!);
  const lines = ways.map(({ name }, i) => {
    const middle = median(rates[i]!);
    const ratio = (middle / post).toFixed(middle < 10 * post ? 1 : 0);
    return row(name, middle.toFixed(2), Math.max(...rates[i]!).toFixed(2), ratio);
  });
  return [
    "",
    row(`${messageBytes} B`, "median", "best", "x postMessage"),
    ...lines,
    `  bcast, in Rust: ${NATIVE.get(messageBytes)}`,
  ];
}

function row(name: string, ...cells: string[]): string {
  return `  ${name.padEnd(36)}${cells.map((cell) => cell.padStart(9)).join("")}`;
}

for (const messageBytes of MESSAGES.keys()) {
  const group = `${messageBytes} B`;
  for (const [i, way] of [...RING_WAYS, ...OTHER_WAYS].entries()) {
    Deno.bench(way.name, { group, baseline: i === 0, warmup: 3, n: 3 }, async () => {
      await send(way, messageBytes);
    });
  }
}

const lines: string[] = [];

Deno.bench("all of these, alternating", { group: "medians", n: 1, warmup: 0 }, async () => {
  if (lines.length > 0) return;
  lines.push(`\nmillion messages a second, ${ROUNDS} alternating rounds`);
  for (const messageBytes of MESSAGES.keys()) lines.push(...await compare(messageBytes));
  team.dismiss();
});

// Deno puts the name of a bench before each line that it prints.
globalThis.addEventListener("unload", () => console.log(lines.join("\n")));
