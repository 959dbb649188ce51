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
import { PORT_AHEAD, Stream } from "./streams.ts";
import { type End, HEAP_ROUNDS, type QueueEnd, RESULT } from "./writer_worker.ts";

/** Messages of an iteration; for `postMessage`, a tenth. */
const MESSAGES = 1_000_000;
/** Alternating rounds. */
const ROUNDS = 15;
const SIZE = { bufferBytes: 16 * 1024, batchCount: 16, buffersPerBatch: 16 };

/** A crew that has the messages of each round summed up, and verifies the sum. */
abstract class Burst implements Way {
  readonly name: string;
  readonly count = MESSAGES;
  readonly native: number | undefined;
  protected readonly results = sharedWords(RESULT.words);
  readonly #sum: number;
  #crew: Crew | undefined;
  #rounds = 0;

  constructor(name: string, sum: number, native?: number) {
    this.name = name;
    this.#sum = sum;
    this.native = native;
  }

  protected abstract duties(): Duty[];

  run(): void {
    this.#crew ??= new Crew("./writer_worker.ts").assign(this.duties());
    this.#crew.run();
    this.#rounds++;
    checkSum(this.name, this.#sum, this.results[RESULT.sum]!);
  }

  /** Runs so many messages, and on to a reading of the heap; returns by how much it has grown. */
  heapGrowth(messages: number): number {
    for (let i = 0; i < messages; i += this.count) this.run();
    while (this.#rounds % HEAP_ROUNDS !== 0) this.run();
    return Atomics.load(this.results, RESULT.heapGrowth);
  }
}

/** Options of {@link Queue}. */
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
class Queue extends Burst {
  readonly #options: QueueOptions;

  constructor(name: string, options: QueueOptions) {
    const writers = Math.max(1, options.writers);
    const sum = expectedSum(MESSAGES / writers, -1) * writers;
    super(name, sum | 0, options.native);
    this.#options = options;
  }

  protected override duties(): Duty[] {
    const { writers, each, shared = false, usesSet = false } = this.#options;
    const pool = BufferPool.create(SIZE);
    const queue = FlushQueue.create({ pool });
    const end: QueueEnd = {
      pool: pool.handle,
      queue: queue.handle,
      shared: shared ? queue.writer({ shared }).handle : undefined,
      each,
      usesSet,
      messages: MESSAGES,
      results: this.results,
    };
    pool.returnCached();
    if (writers === 0) return [{ name: "both", argument: end }];
    const writer: Duty = { name: "writer", argument: { ...end, messages: MESSAGES / writers } };
    return [{ name: "flusher", argument: end }, ...new Array<Duty>(writers).fill(writer)];
  }
}

/** Copies into an array, on one thread. */
class Copies extends Burst {
  constructor() {
    super("no more than the copy", expectedSum(MESSAGES, -1));
  }

  protected override duties(): Duty[] {
    const argument: End = { messages: MESSAGES, results: this.results };
    return [{ name: "copies", argument }];
  }
}

const groups: { name: string; ways: Way[] }[] = [
  {
    name: "one thread, 60 B",
    ways: [
      new Queue("local, flushed per 1000", { writers: 0, each: 1000, native: 23 }),
      new Queue("local, per 1000, copied by set", { writers: 0, each: 1000, usesSet: true }),
      new Queue("local, flushed one by one", { writers: 0, each: 1 }),
      new Queue("shared, flushed per 1000", { writers: 0, each: 1000, shared: true, native: 30 }),
      new Queue("shared, flushed one by one", { writers: 0, each: 1, shared: true }),
      new Copies(),
    ],
  },
  {
    name: "threads to a thread, 60 B",
    ways: [
      new Queue("1 local writer, per 1000", { writers: 1, each: 1000, native: 28 }),
      new Queue("1 local writer, one by one", { writers: 1, each: 1 }),
      new Queue("1 shared writer, per 1000", { writers: 1, each: 1000, shared: true, native: 34 }),
      new Queue("2 local writers, per 1000", { writers: 2, each: 1000 }),
      new Queue("2 threads share one, per 1000", { writers: 2, each: 1000, shared: true }),
      new Queue("4 local writers, per 1000", { writers: 4, each: 1000 }),
      new Queue("4 threads share one, per 1000", { writers: 4, each: 1000, shared: true }),
      new Stream(new Crew("./stream_worker.ts"), "postMessage", {
        sender: "post",
        receiver: "onPort",
        connect: ports,
        messageBytes: 60,
        messages: MESSAGES / 10,
        ahead: PORT_AHEAD,
      }),
    ],
  },
];

/** By how much the heaps of the writing threads grow; returns lines to print. */
function heapGrowths(): string[] {
  const queues = groups.flatMap(({ ways }) => ways).filter((way) => way instanceof Queue);
  return [
    `\ngrowth of the heap over ${HEAP_OPERATIONS.toLocaleString("en")} messages`,
    ...queues.map((queue) => {
      const growth = queue.heapGrowth(HEAP_OPERATIONS).toLocaleString("en");
      return row(queue.name, [`${growth} bytes`]);
    }),
  ];
}

const columns: Column[] = [
  LEAST,
  MEDIAN,
  ["M/s", ({ median }) => (1000 / median).toFixed(1)],
  ...NATIVE,
];

declare(groups, { warmup: 3 });
printAtEnd(() => compare(groups, "nanoseconds a message", ROUNDS, columns), heapGrowths);
