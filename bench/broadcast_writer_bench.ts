/**
 * The cost of readers to the writer, which never waits for them: none, one that spins, one that
 * lets messages gather for a microsecond after each batch, one that sleeps when it can, and three
 * of those. Then by how much the heaps of a writer and a reader grow over ten million messages.
 *
 * The writer times itself in chunks of some tenths of a millisecond. With more threads than cores
 * it loses its core every now and then, which is not the ring's doing; so the median chunk counts,
 * and the first quartile. Readers that are too slow are overrun; the share of messages that they
 * got is printed.
 *
 * A reader that loads the position takes its cache line from the writer, which has to fetch it back
 * to publish. So a reader that looks again at once makes each publication more expensive, and one
 * that lets messages gather does not, regardless of the ring.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { declare, HEAP_OPERATIONS, printAtEnd, row, type Way } from "./alternating.ts";
import { CHUNK_BATCHES, type ReaderJob, type WriterJob } from "./broadcast_writer_worker.ts";
import { Crew, sharedNumbers, sharedWords } from "./crew.ts";
import { median, quantile } from "./statistics.ts";
import { BATCH, stream, type StreamRole } from "./streams.ts";

const CAPACITY_BYTES = 8 * 1024 * 1024;
const MESSAGES = 1_024_000;
/** Alternating rounds. */
const ROUNDS = 7;

const crew = new Crew("./broadcast_writer_worker.ts");
// Positions from here on are no small integers.
const ring = Broadcast.create({ capacityBytes: CAPACITY_BYTES, startPosition: 2 ** 40 });

/** How many readers there are, and how they read. */
interface Readers {
  readonly name: string;
  readonly count: number;
  readonly spins: boolean;
  readonly gathers: boolean;
}

const READERS: Readers[] = [
  { name: "no reader", count: 0, spins: false, gathers: false },
  { name: "one reader that spins", count: 1, spins: true, gathers: false },
  { name: "one reader that gathers", count: 1, spins: true, gathers: true },
  { name: "one reader that blocks", count: 1, spins: false, gathers: true },
  { name: "three readers that block", count: 3, spins: false, gathers: true },
];

/** A writer with its readers. */
interface FreeWriter extends Way {
  /** The nanoseconds a message, of all chunks of all runs. */
  readonly chunks: number[];
  /** How many messages the readers got, and how many they lost. */
  readonly totals: [received: number, lost: number];
}

function freeWriter(readers: Readers, messageBytes: number, batch: number): FreeWriter {
  const { name, spins, gathers } = readers;
  const count = messageBytes > 256 ? MESSAGES / 4 : MESSAGES;
  const nanoseconds = sharedNumbers(Math.floor(count / (CHUNK_BATCHES * batch)));
  const counts = Array.from({ length: readers.count }, () => sharedNumbers(2));
  const over = sharedWords(1);
  const job = { ring: ring.handle, over };
  const writer: WriterJob = { ...job, messageBytes, batch, nanoseconds };
  const reader = (counts: Float64Array): ReaderJob => ({ ...job, spins, gathers, counts });
  const chunks: number[] = [];
  const totals: [number, number] = [0, 0];
  return {
    name,
    count,
    chunks,
    totals,
    prepare() {
      over[0] = 0;
      crew.assign([
        { name: "writeFreely", argument: writer },
        ...counts.map((own) => ({ name: "readFreely", argument: reader(own) })),
      ], 1);
    },
    run() {
      crew.run();
      chunks.push(...nanoseconds);
      for (const own of counts) own.forEach((count, i) => totals[i]! += count);
    },
  };
}

/** Alternates between the sets of readers; returns lines to print. */
function compare(messageBytes: number, batch: number): string[] {
  const ways = READERS.map((readers) => freeWriter(readers, messageBytes, batch));
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) {
      way.prepare?.();
      way.run();
    }
  }
  const alone = quantile(ways[0]!.chunks, 0.25);
  const published = batch === 1 ? "one by one" : `per ${batch}`;
  return [
    "",
    row(`${messageBytes} B, published ${published}`, ["median", "quartile", "to none", "read"]),
    ...ways.map(({ name, chunks, totals: [received, lost] }) => {
      const quartile = quantile(chunks, 0.25);
      return row(name, [
        `${median(chunks).toFixed(1)} ns`,
        `${quartile.toFixed(1)} ns`,
        `${(100 * quartile / alone - 100).toFixed(0)} %`,
        received + lost === 0 ? "" : `${(100 * received / (received + lost)).toFixed(0)} %`,
      ]);
    }),
  ];
}

const streams = new Crew("./stream_worker.ts");

/** The growth of the heap over many messages, at both ends; returns a line to print. */
function growth(sender: StreamRole, receiver: StreamRole): string {
  const connect = () => [ring.handle, ring.handle] as const;
  const options = { sender, receiver, connect, messageBytes: 64, ahead: CAPACITY_BYTES / 2 / 72 };
  let bytes: number[] = [];
  // The first stream compiles the code of both ends.
  for (const messages of [HEAP_OPERATIONS / 10, HEAP_OPERATIONS]) {
    const way = stream(streams, "heap", { ...options, messages });
    way.prepare?.();
    way.run();
    bytes = [...way.growth].map((bytes) => bytes / messages);
  }
  return row(`${sender}, ${receiver}`, bytes.map((each) => `${each.toFixed(2)} B each`));
}

const ways = READERS.map((readers) => freeWriter(readers, 64, BATCH));

declare([{ name: "64 B", ways }], { warmup: 2, n: 3 });
printAtEnd(
  () => [`\nthe writer's cost of a message, ${ROUNDS} alternating rounds`],
  () => [BATCH, 1].flatMap((batch) => [8, 64, 256, 1024].flatMap((bytes) => compare(bytes, batch))),
  () => [
    `\ngrowth of the heap over ${HEAP_OPERATIONS.toLocaleString("en")} messages of 64 B, by 64`,
    row("", ["writer", "reader"]),
    growth("append", "read"),
    growth("claim", "bulk"),
    growth("appendEqual", "receive"),
  ],
);
