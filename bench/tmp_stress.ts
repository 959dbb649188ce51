/**
 * Writers and their flusher beside `postMessage`: messages of 60 bytes.
 *
 * On one thread: messages are reserved, copied in, committed and flushed, and the flusher sums them
 * up; one iteration is 100,000 of them. From threads to a thread: one or several writers and the
 * flusher are on workers of their own, and one iteration is a burst, wake-ups included; a wrong sum
 * fails the bench.
 *
 * After Deno's own table rounds alternate between the rows, so that a slow spell of the machine meets
 * all of them, and nanoseconds a message are printed; then how much the heap grows over
 * ten million messages.
 *
 * @module
 */

import { BufferPool, FlushQueue, type WriteFlusher, type Writer } from "../mod.ts";
import {
  CONTROL,
  expectedSum,
  MESSAGE_BYTES,
  type PortEnd,
  type QueueEnd,
  sumOf,
} from "./writer_worker.ts";

/** Messages of an iteration. */
const MESSAGES = 100_000;
/** Alternating rounds for the medians. */
const ROUNDS = 40;
/** For how many messages the growth of the heap is measured. */
const HEAP_MESSAGES = 10_000_000;

const SIZE = { bufferSize: 16 * 1024, batchCount: 16, batchSize: 16 };

interface Way {
  readonly name: string;
  /** Brings so many messages across, in all. */
  readonly messages: number;
  burst(): void;
}

/** A writer and a flusher on this thread. */
class OneThread implements Way {
  readonly messages = MESSAGES;
  readonly #writer: Writer;
  readonly #flusher: WriteFlusher;
  readonly #payload = new Uint8Array(MESSAGE_BYTES);

  constructor(readonly name: string, isShared: boolean, readonly each: number) {
    const queue = FlushQueue.create({ pool: BufferPool.create(SIZE) });
    this.#writer = queue.writer({ isShared });
    this.#flusher = queue.flusher();
  }

  burst(): void {
    this.run(MESSAGES);
  }

  run(messages: number): void {
    const writer = this.#writer;
    const flusher = this.#flusher;
    const payload = this.#payload;
    const { bytes } = writer;
    let sum = 0;
    for (let i = 0; i < messages;) {
      for (let k = 0; k < this.each; k++, i++) {
        payload[0] = i;
        payload[1] = i >> 8;
        const at = writer.reserve(MESSAGE_BYTES);
        bytes.set(payload, at);
        writer.commit(at);
      }
      writer.flush();
      while (flusher.poll()) {
        while (flusher.next()) sum = (sum + sumOf(bytes, flusher.offset, flusher.length)) | 0;
      }
    }
    verify(this.name, sum, expectedSum(messages));
  }
}

/** Workers that meet at a control block. */
abstract class Workers implements Way {
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
  #round = 0;

  constructor(readonly name: string, readonly messages: number, readonly sum: number) {}

  protected abstract start(control: Int32Array): number;

  burst(): void {
    const control = this.#control;
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
    verify(this.name, control[CONTROL.sum]!, this.sum);
  }
}

/** Writers on workers, and the flusher on another. */
class Threads extends Workers {
  readonly #writers: number;
  readonly #isShared: boolean;
  readonly #each: number;

  constructor(name: string, writers: number, isShared: boolean, each: number) {
    const messages = MESSAGES * 10 / writers;
    super(name, messages * writers, (expectedSum(messages) * writers) | 0);
    this.#writers = writers;
    this.#isShared = isShared;
    this.#each = each;
  }

  protected override start(control: Int32Array): number {
    const pool = BufferPool.create(SIZE);
    const queue = FlushQueue.create({ pool });
    const shared = this.#isShared ? queue.writer({ isShared: true }).handle : undefined;
    const job = {
      control,
      pool: pool.handle,
      queue: queue.handle,
      shared,
      each: this.#each,
    };
    const messages = this.messages / this.#writers;
    startWorker({ end: "flusher", ...job, messages: this.messages });
    for (let i = 0; i < this.#writers; i++) startWorker({ end: "writer", ...job, messages });
    return this.#writers + 1;
  }
}

/** A port from a worker to another. */
class Port extends Workers {
  constructor(readonly count: number) {
    super("postMessage", count, expectedSum(count));
  }

  protected override start(control: Int32Array): number {
    const { port1, port2 } = new MessageChannel();
    startWorker({ end: "receiver", control, port: port1, messages: this.count }, [port1]);
    startWorker({ end: "sender", control, port: port2, messages: this.count }, [port2]);
    return 2;
  }
}

function startWorker(end: QueueEnd | PortEnd, transfer: Transferable[] = []): void {
  const worker = new Worker(import.meta.resolve("./writer_worker.ts"), { type: "module" });
  worker.postMessage(end, transfer);
}

function verify(name: string, sum: number, expected: number): void {
  if (sum !== expected) throw new Error(`${name}: expected the sum ${expected}, received ${sum}`);
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

const local = new OneThread("local, flushed per 1000", false, 1000);
const shared = new OneThread("shared, flushed per 1000", true, 1000);

const groups: { name: string; ways: Way[] }[] = [
  {
    name: "one thread, 60 B",
    ways: [
      local,
      new OneThread("local, flushed one by one", false, 1),
      shared,
      new OneThread("shared, flushed one by one", true, 1),
    ],
  },
  {
    name: "threads to a thread, 60 B",
    ways: [
      new Threads("1 local writer, per 1000", 1, false, 1000),
      new Threads("1 local writer, one by one", 1, false, 1),
      new Threads("1 shared writer, per 1000", 1, true, 1000),
      new Threads("2 local writers, per 1000", 2, false, 1000),
      new Threads("2 threads share one, per 1000", 2, true, 1000),
      new Threads("4 local writers, per 1000", 4, false, 1000),
      new Threads("4 threads share one, per 1000", 4, true, 1000),
      new Port(MESSAGES),
    ],
  },
];

(() => {
  console.log(
    `\nnanoseconds a message, ${ROUNDS} alternating rounds: least, median; M/s at the least`,
  );
  for (const { name, ways } of groups) {
    console.log(`\n${name}`);
    const costs = compare(ways);
    ways.forEach((way, i) => {
      const [least, middle] = costs[i]!;
      const columns = [least, middle].map((cost) => cost.toFixed(1).padStart(9)).join("");
      const rate = (1000 / least).toFixed(least < 100 ? 1 : 2).padStart(7);
      console.log(`  ${way.name.padEnd(32)}${columns}${rate}`);
    });
  }
  console.log(`\ngrowth of the heap over ${HEAP_MESSAGES.toLocaleString("en")} messages`);
  for (const way of [local, shared]) {
    way.run(HEAP_MESSAGES / 10);
    const before = Deno.memoryUsage().heapUsed;
    way.run(HEAP_MESSAGES);
    const growth = Deno.memoryUsage().heapUsed - before;
    console.log(`  ${way.name.padEnd(32)} ${growth.toLocaleString("en")} bytes`);
  }
})();
