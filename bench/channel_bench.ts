/**
 * Channels beside `postMessage`, the channel of npm `multithreading`, and `ringbuf.js`: records of
 * 64 bytes in place, bytes of 1 KiB, and small JSON, between 1 or 4 senders and 1 or 4 receivers,
 * and blocks of samples. Every thread is a worker; where there are more of them than cores, that is
 * what one measures.
 *
 * All receivers sum up the numbers of messages; a wrong sum fails the bench. One iteration is a
 * burst, wake-ups included. Printed are nanoseconds a message and millions of messages a second,
 * then round trips, calls beside `comlink`, and how many bytes of the heap a message takes.
 *
 * @module
 */

import * as comlink from "comlink";
import { channel as peerChannel, move, shutdown, spawn } from "multithreading";
import { RingBuffer } from "ringbuf.js";
import { openLine } from "../examples/call/call.ts";
import {
  Channel,
  type ChannelHandle,
  FloatRing,
  jsonCodec,
  recordCodec,
  textCodec,
} from "../mod.ts";
import {
  type Column,
  compare,
  compareHeap,
  declare,
  type Group,
  LEAST,
  type LocalWay,
  MEDIAN,
  onThisThread,
  printAtEnd,
  row,
  type Way,
} from "./alternating.ts";
import {
  BLOCK,
  type ChannelEnd,
  type End,
  LEFT,
  Quote,
  type Small,
  SUM,
  WORDS,
} from "./channel_worker.ts";
import { Crew, type Duty, ports, sharedWords } from "./crew.ts";
import { checkSum } from "./messages.ts";
import { compareRoundTrips, roundTrips } from "./round_trips.ts";
import { median } from "./statistics.ts";

/** The cells of a channel. */
const CAPACITY = 1024;

type Kind = ChannelEnd["kind"];

interface Shape {
  /** How many messages a round has, a multiple of 1024: few, so that some rounds are quiet. */
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
): Way {
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
  return { name, count: messages, run };
}

/** The sum of the numbers of so many messages, which go from 0 to 255 over and over. */
function sumOf(messages: number): number {
  return messages * 255 / 2 | 0;
}

function channelOf(kind: Kind, { senders, receivers }: Shape): ChannelHandle<never> {
  const options = { capacity: CAPACITY, senders, receivers };
  const channel = kind === "record"
    ? Channel.create({ ...options, codec: recordCodec(Quote) })
    : kind === "json"
    ? Channel.create({ ...options, codec: jsonCodec<Small>() })
    : Channel.create({ ...options, inlineBytes: 1024 });
  return channel.handle as unknown as ChannelHandle<never>;
}

/** Over a channel. */
function overChannel(kind: Kind, shape: Shape): Way {
  const { messages, batch, senders, receivers } = shape;
  const ends = senders === 1 && receivers === 1 ? "Single" : "";
  const name = batch === 1 ? "channel, one by one" : `channel, batches of ${batch}`;
  return burst(name, shape, sumOf(messages), (end) => {
    const handle = channelOf(kind, shape);
    const duty = (name: string, messages: number): Duty => (
      { name, argument: { ...end, handle, kind, messages } satisfies ChannelEnd }
    );
    return [
      ...Array.from({ length: receivers }, () => duty(`receive${ends}`, messages)),
      ...Array.from({ length: senders }, () => duty(`send${ends}`, messages / senders)),
    ];
  });
}

/** Over ports: from each sender to all receivers in turn. */
function overPorts(kind: Kind, shape: Shape): Way {
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
function samples(name: string, ring: () => unknown, messages: number): Way {
  const shape: Shape = { messages, batch: 1, senders: 1, receivers: 1 };
  return burst(name, shape, messages, (end) => {
    const argument = { ...end, ring: ring() };
    return [{ name: "pop", argument }, { name: "push", argument }];
  });
}

const SIDES = [[1, 1], [4, 1], [1, 4], [4, 4]] as const;
const KINDS: readonly (readonly [Kind, string, one: number, many: number])[] = [
  ["record", "64 B records", 1024 * 16, 1024 * 128],
  ["bytes", "1 KiB bytes", 1024 * 8, 1024 * 16],
  ["json", "small JSON", 1024 * 8, 1024 * 8],
];

const groups: Group[] = KINDS.flatMap(([kind, title, one, many]) =>
  SIDES.map(([senders, receivers]): Group => {
    const name = `${title}, ${senders}-${receivers}`;
    const shape = (messages: number, batch: number) => ({ messages, batch, senders, receivers });
    const posts = overPorts(kind, shape(1024 * 4, 1));
    const ways = [
      overChannel(kind, shape(one, 1)),
      overChannel(kind, shape(many, 256)),
    ];
    return { name, ways: [posts, ...ways] };
  })
);

const blocks = 1024 * 8;
groups.push({
  name: `blocks of ${BLOCK} samples, 1-1`,
  ways: [
    samples("FloatRing", () => FloatRing.create({ capacity: 8192 }).handle, blocks),
    samples(
      "ringbuf.js",
      () => RingBuffer.getStorageForCapacity(8192, Float32Array),
      blocks,
    ),
  ],
});

const rate: Column = ["M/s", ({ median }) => (1000 / median).toFixed(2)];
/** What the machine does while no other program runs. */
const best: Column = ["M/s at best", ({ least }) => (1000 / least).toFixed(2)];
/** How many times as many messages as the first way. */
const times: Column = ["times", ({ median }, base) => (base.median / median).toFixed(1)];

/** Both ends on this thread: how many bytes of the heap a message takes. */
function localWays(): LocalWay[] {
  const records = Channel.create({ capacity: 64, codec: recordCodec(Quote) });
  const quote = Quote.view(records.sender().bytes);
  const sender = records.sender();
  const receiver = records.receiver();
  const texts = Channel.create({ capacity: 64, codec: textCodec });
  const [textSender, textReceiver] = [texts.sender(), texts.receiver()];
  const ring = FloatRing.create({ capacity: 8192 });
  const block = new Float32Array(BLOCK);
  return [
    onThisThread("records in place", 10_000, (count) => {
      for (let i = 0; i < count; i++) {
        sender.claim();
        quote.moveTo(sender.offset(0)).id = i & 0xff;
        sender.publish();
        receiver.take();
        receiver.release();
      }
    }),
    onThisThread("text, which is received as a string", 10_000, (count) => {
      for (let i = 0; i < count; i++) {
        textSender.send("some text");
        textReceiver.receive();
      }
    }),
    onThisThread(`blocks of ${BLOCK} samples`, 10_000, (count) => {
      for (let i = 0; i < count; i++) {
        ring.push(block);
        ring.pop(block);
      }
    }),
  ];
}

/** Round trips of 8 bytes. */
const line = () => Channel.create({ capacity: 64, senders: 1, receivers: 1 }).handle;
const trips = {
  name: "there and back",
  ways: [
    roundTrips("channel, awake", "channelAwake", () => [line(), line()], 2000),
    roundTrips("channel, asleep", "channel", () => [line(), line()], 500),
    roundTrips("postMessage, awake", "portSpinning", ports, 2000),
    roundTrips("postMessage, asleep", "portBytes", ports, 500),
  ],
};

/** Calls of a worker, one after the other, and 100 at a time: over channels, and by comlink. */
async function measureCalls(calls: number): Promise<string[]> {
  const module = import.meta.resolve("./channel_calls_worker.ts");
  const [server, peer] = [1, 2].map(() => new Worker(module, { type: "module" }));
  const { line, call, close } = openLine<number, number>(128);
  server!.postMessage(line);
  peer!.postMessage("comlink");
  const remote = comlink.wrap<{ double(value: number): number }>(peer!);
  const signal = new AbortController().signal;
  const ways = {
    "call over channels": (value: number) => call(value, signal),
    "comlink": (value: number) => remote.double(value),
  };
  const costs = Object.entries(ways).map(([name]) => ({ name, one: [0], many: [0] }));
  for (let round = 0; round < 6; round++) {
    for (const [i, way] of Object.values(ways).entries()) {
      let begin = performance.now();
      for (let value = 0; value < calls; value++) checkSum("call", 2 * value, await way(value));
      costs[i]!.one[round] = (performance.now() - begin) / calls * 1000;
      begin = performance.now();
      for (let value = 0; value < calls; value += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, i) => way(value + i)));
      }
      costs[i]!.many[round] = (performance.now() - begin) / calls * 1000;
    }
  }
  close();
  server!.terminate();
  peer!.terminate();
  return [
    "\nmicroseconds a call, medians of alternating rounds after the first",
    row("", ["one by one", "100 at once"]),
    ...costs.map(({ name, one, many }) =>
      row(name, [one, many].map((samples) => median(samples.slice(1)).toFixed(1)))
    ),
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

const peer = [...await measurePeer(1024 * 4), ...await measureCalls(2000)];

declare(groups, { warmup: 1, n: 2 });
printAtEnd(
  () =>
    compare(groups, {
      unit: "nanoseconds a message",
      rounds: 41,
      columns: [LEAST, MEDIAN, best, rate, times],
    }),
  () => compareRoundTrips(trips, 5),
  () => peer,
  () => compareHeap(localWays()),
);
