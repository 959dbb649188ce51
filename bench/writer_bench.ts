/**
 * Writers and their flusher beside `postMessage`, and beside no more than a copy: messages of 60 bytes.
 *
 * Each end is on a worker of its own. On one thread: messages are reserved, copied in, committed and
 * flushed, and the flusher sums them up. From threads to a thread: one or several writers, and the
 * flusher. One iteration is a burst, wake-ups included; a wrong sum fails the bench.
 *
 * After Deno's own table rounds alternate between the rows, so that a slow spell of the machine meets
 * all of them, and nanoseconds a message are printed, beside those of the native library that does
 * the same; then how much the heap of the writing thread grows over ten million messages.
 *
 * @module
 */

import { BufferPool, FlushQueue } from "../mod.ts";
import {
  type Bound,
  CONTROL,
  expectedSum,
  HEAP_ROUNDS,
  type PortEnd,
  type QueueEnd,
} from "./writer_worker.ts";

/** Messages of an iteration; for `postMessage`, a tenth. */
const MESSAGES = 1_000_000;
/** Alternating rounds for the medians. */
const ROUNDS = 15;
/** For how many messages the growth of the heap is measured. */
const HEAP_MESSAGES = 10_000_000;

const SIZE = { bufferBytes: 16 * 1024, batchCount: 16, buffersPerBatch: 16 };

/** Workers that meet at a control block. */
abstract class Way {
  readonly control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
  #round = 0;
  readonly name: string;
  readonly messages: number;
  readonly sum: number;
  readonly native: number | undefined;

  /** Brings `messages` across in each burst; the native library takes `native` nanoseconds for one. */
  constructor(name: string, messages: number, sum: number, native?: number) {
    this.name = name;
    this.messages = messages;
    this.sum = sum;
    this.native = native;
  }

  protected abstract start(control: Int32Array): number;

  burst(): void {
    const { control } = this;
    if (this.#round === 0) {
      const ends = this.start(control);
      for (let ready; (ready = Atomics.load(control, CONTROL.ready)) < ends;) {
        Atomics.wait(control, CONTROL.ready, ready);
      }
    }
    const round = ++this.#round;
    Atomics.store(control, CONTROL.round, round);
    Atomics.notify(control, CONTROL.round);
    while (Atomics.load(control, CONTROL.received) < round) {
      Atomics.wait(control, CONTROL.received, round - 1);
    }
    const sum = control[CONTROL.sum]!;
    if (sum !== this.sum) {
      throw new Error(`${this.name}: expected the sum ${this.sum}, received ${sum}`);
    }
  }

  /** Runs so many messages, and at least until the heap was looked at; by how much it has grown. */
  heapGrowth(messages: number): number {
    for (let i = 0; i < messages; i += this.messages) this.burst();
    while (this.#round % HEAP_ROUNDS !== 0) this.burst();
    return Atomics.load(this.control, CONTROL.heapGrowth);
  }
}

/** Options of {@link Queue}. */
interface QueueWay {
  /** How many threads write; 0 if the flusher does so itself. */
  writers: number;
  each: number;
  isShared?: boolean;
  usesSet?: boolean;
  native?: number;
}

/** Writers and the flusher. */
class Queue extends Way {
  readonly #options: QueueWay;

  constructor(name: string, options: QueueWay) {
    const messages = MESSAGES / Math.max(1, options.writers);
    const sum = expectedSum(messages) * Math.max(1, options.writers);
    super(name, MESSAGES, sum | 0, options.native);
    this.#options = options;
  }

  protected override start(control: Int32Array): number {
    const { writers, each, isShared = false, usesSet = false } = this.#options;
    const pool = BufferPool.create(SIZE);
    const queue = FlushQueue.create({ pool });
    const shared = isShared ? queue.writer({ isShared }).handle : undefined;
    pool.returnCached();
    const job = { control, pool: pool.handle, queue: queue.handle, shared, each, usesSet };
    startWorker({ end: writers === 0 ? "both" : "flusher", ...job, messages: MESSAGES });
    for (let i = 0; i < writers; i++) {
      startWorker({ end: "writer", ...job, messages: MESSAGES / writers });
    }
    return writers + 1;
  }
}

/** Copies into an array, on one thread. */
class Copies extends Way {
  constructor() {
    super("no more than the copy", MESSAGES, expectedSum(MESSAGES));
  }

  protected override start(control: Int32Array): number {
    startWorker({ end: "bound", control, messages: MESSAGES });
    return 1;
  }
}

/** A port from a worker to another. */
class Port extends Way {
  constructor() {
    super("postMessage", MESSAGES / 10, expectedSum(MESSAGES / 10));
  }

  protected override start(control: Int32Array): number {
    const { port1, port2 } = new MessageChannel();
    const { messages } = this;
    startWorker({ end: "receiver", control, port: port1, messages }, [port1]);
    startWorker({ end: "sender", control, port: port2, messages }, [port2]);
    return 2;
  }
}

function startWorker(end: QueueEnd | PortEnd | Bound, transfer: Transferable[] = []): void {
  const worker = new Worker(import.meta.resolve("./writer_worker.ts"), { type: "module" });
  worker.postMessage(end, transfer);
}

function median(samples: number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
}

/** The nanoseconds a message of each way over alternating rounds: the least, and the median. */
function compare(ways: readonly Way[]): [number, number][] {
  const costs = ways.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    ways.forEach((way, i) => {
      const start = performance.now();
      way.burst();
      costs[i]!.push((performance.now() - start) / way.messages * 1e6);
    });
  }
  return costs.map((samples) => [Math.min(...samples), median(samples)]);
}

const groups: { name: string; ways: Way[] }[] = [
  {
    name: "one thread, 60 B",
    ways: [
      new Queue("local, flushed per 1000", { writers: 0, each: 1000, native: 23 }),
      new Queue("local, per 1000, copied by set", { writers: 0, each: 1000, usesSet: true }),
      new Queue("local, flushed one by one", { writers: 0, each: 1 }),
      new Queue("shared, flushed per 1000", {
        writers: 0,
        each: 1000,
        shared: true,
        native: 30,
      }),
      new Queue("shared, flushed one by one", { writers: 0, each: 1, shared: true }),
      new Copies(),
    ],
  },
  {
    name: "threads to a thread, 60 B",
    ways: [
      new Queue("1 local writer, per 1000", { writers: 1, each: 1000, native: 28 }),
      new Queue("1 local writer, one by one", { writers: 1, each: 1 }),
      new Queue("1 shared writer, per 1000", {
        writers: 1,
        each: 1000,
        shared: true,
        native: 34,
      }),
      new Queue("2 local writers, per 1000", { writers: 2, each: 1000 }),
      new Queue("2 threads share one, per 1000", { writers: 2, each: 1000, shared: true }),
      new Queue("4 local writers, per 1000", { writers: 4, each: 1000 }),
      new Queue("4 threads share one, per 1000", { writers: 4, each: 1000, shared: true }),
      new Port(),
    ],
  },
];

for (const { name: group, ways } of groups) {
  for (const [i, way] of ways.entries()) {
    Deno.bench(way.name, { group, baseline: i === 0, warmup: 3, n: 10 }, () => way.burst());
  }
}

globalThis.addEventListener("unload", () => {
  console.log(`\nnanoseconds a message, ${ROUNDS} alternating rounds`);
  for (const { name, ways } of groups) {
    const heads = ["least", "median", "M/s", "native", "ratio"].map((head) => head.padStart(9));
    console.log(`\n${name.padEnd(34)}${heads.join("")}`);
    const costs = compare(ways);
    ways.forEach((way, i) => {
      const [least, middle] = costs[i]!;
      const native = way.native === undefined
        ? []
        : [way.native.toFixed(0), (middle / way.native).toFixed(2)];
      const columns = [least.toFixed(1), middle.toFixed(1), (1000 / middle).toFixed(1), ...native];
      console.log(`  ${way.name.padEnd(32)}${columns.map((x) => x.padStart(9)).join("")}`);
    });
  }
  console.log(`\ngrowth of the heap over ${HEAP_MESSAGES.toLocaleString("en")} messages`);
  for (const way of groups.flatMap(({ ways }) => ways).filter((way) => way instanceof Queue)) {
    const growth = way.heapGrowth(HEAP_MESSAGES).toLocaleString("en");
    console.log(`  ${way.name.padEnd(32)} ${growth.padStart(8)} bytes`);
  }
});
