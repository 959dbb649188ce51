/**
 * Channels beside `postMessage`, the channel of npm `multithreading`, and `ringbuf.js`: records of
 * 64 bytes in place, bytes of 1 KiB, and small JSON, between 1 or 4 senders and 1 or 4 receivers,
 * and blocks of samples. Every thread is a worker; where there are more of them than cores, that is
 * what one measures.
 *
 * All receivers sum up the numbers of messages; a wrong sum fails the bench. One iteration is a
 * burst, wake-ups included. Printed are nanoseconds a message and millions of messages a second,
 * and then by how much the heaps of all threads grow.
 *
 * @module
 */

import { channel as peerChannel, move, shutdown, spawn } from "multithreading";
import { RingBuffer } from "ringbuf.js";
import { Channel, type ChannelHandle, FloatRing, jsonCodec, recordCodec } from "../mod.ts";
import {
  type Column,
  compare,
  declare,
  type Group,
  LEAST,
  MEDIAN,
  printAtEnd,
  row,
  type Way,
} from "./alternating.ts";
import {
  BLOCK,
  type ChannelEnd,
  type End,
  GROWTH,
  LEFT,
  Quote,
  type Small,
  SUM,
  WORDS,
} from "./channel_worker.ts";
import { Crew, type Duty, ports, sharedWords } from "./crew.ts";
import { checkSum } from "./messages.ts";
import { median } from "./statistics.ts";

/** The cells of a channel. */
const CAPACITY = 1024;

type Kind = ChannelEnd["kind"];

/** A way of which one can tell by how much the heaps have grown. */
interface Burst extends Way {
  growth(): number;
}

interface Shape {
  /** How many messages a round has, a multiple of 1024. */
  readonly messages: number;
  readonly batch: number;
  readonly senders: number;
  readonly receivers: number;
}

/** Makes a burst. */
function burst(
  name: string,
  { messages, batch, receivers }: Shape,
  sum: number,
  duties: (end: End) => Duty[],
): Burst {
  const results = sharedWords(WORDS);
  let crew: Crew | undefined;
  const run = () => {
    results[SUM] = 0;
    results[LEFT] = messages;
    crew ??= new Crew("./channel_worker.ts").assign(
      duties({ messages, batch, receivers, results }),
    );
    crew.run();
    checkSum(name, sum, results[SUM]!);
  };
  return { name, count: messages, run, growth: () => results[GROWTH]! };
}

/** The sum of the numbers of so many messages, which go from 0 to 255 over and over. */
function sumOf(messages: number): number {
  return messages * 255 / 2 | 0;
}

function channelOf(kind: Kind): ChannelHandle<never> {
  const channel = kind === "record"
    ? Channel.create({ capacity: CAPACITY, codec: recordCodec(Quote) })
    : kind === "json"
    ? Channel.create({ capacity: CAPACITY, codec: jsonCodec<Small>() })
    : Channel.create({ capacity: CAPACITY, inlineBytes: 1024 });
  return channel.handle as unknown as ChannelHandle<never>;
}

/** Over a channel. */
function overChannel(kind: Kind, shape: Shape): Burst {
  const { messages, batch, senders, receivers } = shape;
  const name = batch === 1 ? "channel, one by one" : `channel, batches of ${batch}`;
  return burst(name, shape, sumOf(messages), (end) => {
    const handle = channelOf(kind);
    const duty = (name: string, messages: number): Duty => (
      { name, argument: { ...end, handle, kind, messages } satisfies ChannelEnd }
    );
    return [
      ...Array.from({ length: receivers }, () => duty("receive", messages)),
      ...Array.from({ length: senders }, () => duty("send", messages / senders)),
    ];
  });
}

/** Over ports: from each sender to all receivers in turn. */
function overPorts(kind: Kind, shape: Shape): Burst {
  const { messages, senders, receivers } = shape;
  return burst("postMessage", shape, sumOf(messages), (end) => {
    const each = messages / senders / receivers;
    const pairs = Array.from({ length: senders }, () => Array.from({ length: receivers }, ports));
    const duty = (name: string, transfer: MessagePort[], messages: number): Duty => (
      { name, argument: { ...end, kind, messages, ports: transfer }, transfer }
    );
    return [
      ...Array.from(
        { length: receivers },
        (_, i) => duty("onPorts", pairs.map((row) => row[i]![0]), each),
      ),
      ...pairs.map((row) => duty("post", row.map(([_, there]) => there), messages / senders)),
    ];
  });
}

/** Blocks of samples over a ring. */
function samples(name: string, ring: () => unknown, messages: number): Burst {
  const shape: Shape = { messages, batch: 1, senders: 1, receivers: 1 };
  return burst(name, shape, messages, (end) => {
    const argument = { ...end, ring: ring() };
    return [{ name: "pop", argument }, { name: "push", argument }];
  });
}

const SIDES = [[1, 1], [4, 1], [1, 4], [4, 4]] as const;
const KINDS: readonly (readonly [Kind, string, one: number, many: number])[] = [
  ["record", "64 B records", 1024 * 512, 1024 * 2048],
  ["bytes", "1 KiB bytes", 1024 * 128, 1024 * 256],
  ["json", "small JSON", 1024 * 64, 1024 * 64],
];

/** Ways that allocate nothing, or little, for a message. */
const bursts: [string, Burst][] = [];

function note<B extends Burst>(group: string, way: B): B {
  bursts.push([`${group}, ${way.name}`, way]);
  return way;
}

const groups: Group[] = KINDS.flatMap(([kind, title, one, many]) =>
  SIDES.map(([senders, receivers]): Group => {
    const name = `${title}, ${senders}-${receivers}`;
    const shape = (messages: number, batch: number) => ({ messages, batch, senders, receivers });
    const posts = overPorts(kind, shape(1024 * 16, 1));
    const ways = [
      note(name, overChannel(kind, shape(one, 1))),
      note(name, overChannel(kind, shape(many, 256))),
    ];
    return { name, ways: [posts, ...ways] };
  })
);

const blocks = 1024 * 64;
groups.push({
  name: `blocks of ${BLOCK} samples, 1-1`,
  ways: [
    note(
      "samples",
      samples("FloatRing", () => FloatRing.create({ capacity: 8192 }).handle, blocks),
    ),
    samples(
      "ringbuf.js",
      () => RingBuffer.getStorageForCapacity(8192, Float32Array),
      blocks,
    ),
  ],
});

const rate: Column = ["M/s", ({ median }) => (1000 / median).toFixed(2)];
/** How many times as many messages as the first way. */
const times: Column = ["times", ({ median }, base) => (base.median / median).toFixed(1)];

/** By how much the heaps have grown over the rounds after the second; returns lines to print. */
function heapGrowths(): string[] {
  return [
    "\ngrowth of all heaps after the second round, in bytes",
    ...bursts.map(([name, way]) => row(name, [way.growth().toLocaleString("en")])),
  ];
}

/**
 * The channel of npm `multithreading`, whose pool needs the event loop of this thread: rounds of
 * its own, one sender and one receiver of small JSON.
 */
async function measurePeer(messages: number): Promise<string[]> {
  const costs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const [sender, receiver] = peerChannel<Small>(64);
    const begin = performance.now();
    const receiving = spawn(move(receiver, messages), async (receiver, messages) => {
      let sum = 0;
      for (let i = 0; i < messages; i++) {
        const result = await receiver.recv();
        if (result.ok) sum += result.value.id;
      }
      return sum;
    });
    spawn(move(sender, messages), async (sender, messages) => {
      for (let i = 0; i < messages; i++) {
        await sender.send({ id: i & 0xff, name: `number ${i & 0xff}`, isNew: true });
      }
    });
    const result = await receiving.join();
    checkSum("multithreading", sumOf(messages), result.ok ? result.value : 0);
    costs.push((performance.now() - begin) / messages * 1e6);
  }
  shutdown();
  const cost = median(costs);
  return [
    "\nnpm multithreading, small JSON, 1-1, 5 rounds of its own",
    row("channel of 64", [cost.toFixed(0), `${(1000 / cost).toFixed(3)} M/s`]),
  ];
}

const peer = await measurePeer(1024 * 4);

declare(groups, { warmup: 1, n: 2 });
printAtEnd(
  () =>
    compare(groups, {
      unit: "nanoseconds a message",
      rounds: 7,
      columns: [LEAST, MEDIAN, rate, times],
    }),
  () => peer,
  heapGrowths,
);
