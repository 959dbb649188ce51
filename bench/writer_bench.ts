/**
 * Writers and their flusher beside `postMessage`, and beside no more than a copy: messages of 60
 * bytes.
 *
 * Each end is on a worker of its own. On one thread: messages are claimed, copied in, committed and
 * published, and the flusher sums them up. From threads to a thread: one or several writers, and
 * the flusher. One iteration is a burst, wake-ups included; a wrong sum fails the bench.
 *
 * Nanoseconds a message are printed beside those of the native library that does the same; then by
 * how much the heap of the writing thread grows over ten million messages.
 *
 * @module
 */

import { BufferPool, FlushQueue } from "../mod.ts";
import {
  type Column,
  compare,
  declare,
  HEAP_OPERATIONS,
  LEAST,
  MEDIAN,
  NATIVE,
  printAtEnd,
  row,
  type Way,
} from "./alternating.ts";
import { Crew, type Duty, ports, sharedWords } from "./crew.ts";
import { checkSum, expectedSum } from "./messages.ts";
import { PORT_AHEAD, stream } from "./streams.ts";
import { type End, HEAP_ROUNDS, type QueueEnd, RESULT } from "./writer_worker.ts";

/** Messages of an iteration; for `postMessage`, a tenth. */
const MESSAGES = 1_000_000;
const SIZE = { bufferBytes: 16 * 1024, batchCount: 16, buffersPerBatch: 16 };

/** A way whose messages are summed up, on threads that write. */
interface Burst extends Way {
  /** Runs so many messages, and on to a reading of the heap; returns by how much it has grown. */
  heapGrowth(messages: number): number;
}

/** Makes a burst, of which each run is verified. */
function burst(name: string, sum: number, duties: (end: End) => Duty[], native?: number): Burst {
  const results = sharedWords(RESULT.words);
  let crew: Crew | undefined;
  let rounds = 0;
  const run = () => {
    crew ??= new Crew("./writer_worker.ts").assign(duties({ messages: MESSAGES, results }));
    crew.run();
    rounds++;
    checkSum(name, sum, results[RESULT.sum]!);
  };
  const heapGrowth = (messages: number) => {
    for (let i = 0; i < messages; i += MESSAGES) run();
    while (rounds % HEAP_ROUNDS !== 0) run();
    return Atomics.load(results, RESULT.heapGrowth);
  };
  return { name, count: MESSAGES, native, run, heapGrowth };
}

/** Options of {@link queue}. */
interface QueueOptions {
  /** How many threads write; 0 if the flusher does so itself. */
  readonly writers: number;
  /** How many messages are published together. */
  readonly each: number;
  readonly shared?: boolean;
  readonly usesSet?: boolean;
  readonly native?: number;
}

/** Writers and the flusher. */
function queue(name: string, options: QueueOptions): Burst {
  const { writers, each, shared = false, usesSet = false, native } = options;
  const parts = Math.max(1, writers);
  const sum = (expectedSum(MESSAGES / parts, -1) * parts) | 0;
  return burst(name, sum, (end) => {
    const pool = BufferPool.create(SIZE);
    const queue = FlushQueue.create({ pool });
    const argument: QueueEnd = {
      ...end,
      pool: pool.handle,
      queue: queue.handle,
      shared: shared ? queue.writer({ shared }).handle : undefined,
      each,
      usesSet,
    };
    pool.returnCached();
    if (writers === 0) return [{ name: "both", argument }];
    const writer: Duty = {
      name: "writer",
      argument: { ...argument, messages: MESSAGES / writers },
    };
    return [{ name: "flusher", argument }, ...new Array<Duty>(writers).fill(writer)];
  }, native);
}

/** Copies into an array, on one thread. */
function copies(): Way {
  const sum = expectedSum(MESSAGES, -1);
  return burst("no more than the copy", sum, (argument) => [{ name: "copies", argument }]);
}

/** Posts to another thread. */
function posts(): Way {
  return stream(new Crew("./stream_worker.ts"), "postMessage", {
    sender: "post",
    receiver: "onPort",
    connect: ports,
    messageBytes: 60,
    messages: MESSAGES / 10,
    ahead: PORT_AHEAD,
  });
}

const alone = [
  queue("local, flushed per 1000", { writers: 0, each: 1000, native: 23 }),
  queue("local, per 1000, copied by set", { writers: 0, each: 1000, usesSet: true }),
  queue("local, flushed one by one", { writers: 0, each: 1 }),
  queue("shared, flushed per 1000", { writers: 0, each: 1000, shared: true, native: 30 }),
  queue("shared, flushed one by one", { writers: 0, each: 1, shared: true }),
];
const across = [
  queue("1 local writer, per 1000", { writers: 1, each: 1000, native: 28 }),
  queue("1 local writer, one by one", { writers: 1, each: 1 }),
  queue("1 shared writer, per 1000", { writers: 1, each: 1000, shared: true, native: 34 }),
  queue("2 local writers, per 1000", { writers: 2, each: 1000 }),
  queue("2 threads share one, per 1000", { writers: 2, each: 1000, shared: true }),
  queue("4 local writers, per 1000", { writers: 4, each: 1000 }),
  queue("4 threads share one, per 1000", { writers: 4, each: 1000, shared: true }),
];
const groups = [
  { name: "one thread, 60 B", ways: [...alone, copies()] },
  { name: "threads to a thread, 60 B", ways: [...across, posts()] },
];

/** By how much the heaps of the writing threads grow; returns lines to print. */
function heapGrowths(): string[] {
  return [
    `\ngrowth of the heap over ${HEAP_OPERATIONS.toLocaleString("en")} messages`,
    ...[...alone, ...across].map(({ name, heapGrowth }) =>
      row(name, [`${heapGrowth(HEAP_OPERATIONS).toLocaleString("en")} bytes`])
    ),
  ];
}

const rate: Column = ["M/s", ({ median }) => (1000 / median).toFixed(1)];
const columns = [LEAST, MEDIAN, rate, ...NATIVE];

declare(groups, { warmup: 3 });
printAtEnd(
  () => compare(groups, { unit: "nanoseconds a message", rounds: 15, columns }),
  heapGrowths,
);
