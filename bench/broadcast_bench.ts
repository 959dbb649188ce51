/**
 * The broadcast ring beside `postMessage`: one sender and one receiver, each on a worker.
 *
 * One iteration is a burst of 100,000 messages: from telling both workers to begin until the
 * receiver has every message and says so, wake-ups included. Each message is copied in from a typed
 * array and carries its number; the receiver counts and sums them, and a wrong sum fails the bench.
 * The sender of the ring keeps less than half a ring ahead of its receiver, so that nothing is lost;
 * that of the port is held to a window, too. The receiver of the ring polls, and sleeps once it has
 * found nothing for a while; that of the port is its `onmessage`.
 *
 * Deno's own table takes one row after the other. After it rounds alternate between the rows, so
 * that a slow spell of the machine meets all of them, and the medians are printed.
 *
 * @module
 */

import { Broadcast } from "../mod.ts";
import { CONTROL, expectedSum, type Stream } from "./broadcast_worker.ts";

const MESSAGES = 100_000;
const CAPACITY_BYTES = 8 * 1024 * 1024;
/** Messages published at once, and between two looks at the receiver's progress. */
const BATCH = 64;
/** How far the sender of a port may be ahead; wider windows were found to be no faster. */
const PORT_AHEAD = 16 * BATCH;
/** Alternating rounds for the medians. */
const ROUNDS = 11;
const SIZES = [64, 8, 1024];

/** One way to get messages of one size from a worker to another. */
class Way {
  readonly name: string;
  readonly #stream: Omit<Stream, "end" | "via">;
  readonly #transport: "ring" | "port";
  #round = 0;

  constructor(name: string, transport: "ring" | "port", messageBytes: number, batch: number) {
    const control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
    const ahead = transport === "port"
      ? PORT_AHEAD
      : Math.floor(CAPACITY_BYTES / 2 / (messageBytes + 8));
    this.name = name;
    this.#transport = transport;
    this.#stream = { control, messageBytes, messages: MESSAGES, batch, ahead };
  }

  /** Sends a burst, waits until it is received, and verifies it. */
  burst(): void {
    const { control } = this.#stream;
    if (this.#round === 0) this.#start();
    const round = ++this.#round;
    Atomics.store(control, CONTROL.round, round);
    Atomics.notify(control, CONTROL.round);
    while (Atomics.load(control, CONTROL.received) < round) {
      Atomics.wait(control, CONTROL.received, round - 1);
    }
    const sum = control[CONTROL.sum]!;
    if (sum !== SUM) throw new Error(`${this.name}: expected the sum ${SUM}, received ${sum}`);
  }

  /** Starts both workers, and waits until they are ready. */
  #start(): void {
    if (this.#transport === "ring") {
      const via = Broadcast.create({ capacityBytes: CAPACITY_BYTES }).handle;
      startWorker({ end: "ring receiver", via, ...this.#stream });
      startWorker({ end: "ring sender", via, ...this.#stream });
    } else {
      const { port1, port2 } = new MessageChannel();
      startWorker({ end: "port receiver", via: port1, ...this.#stream }, [port1]);
      startWorker({ end: "port sender", via: port2, ...this.#stream }, [port2]);
    }
    const { control } = this.#stream;
    for (let ready; (ready = Atomics.load(control, CONTROL.ready)) < 2;) {
      Atomics.wait(control, CONTROL.ready, ready);
    }
  }
}

function startWorker(stream: Stream, transfer: Transferable[] = []): void {
  const worker = new Worker(import.meta.resolve("./broadcast_worker.ts"), { type: "module" });
  worker.postMessage(stream, transfer);
}

function median(samples: number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
}

/** The median messages per second of each way, in millions, over alternating rounds. */
function compare(ways: Way[]): number[] {
  const rates = ways.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    ways.forEach((way, i) => {
      const start = performance.now();
      way.burst();
      rates[i]!.push(MESSAGES / (performance.now() - start) / 1000);
    });
  }
  return rates.map(median);
}

const SUM = expectedSum(MESSAGES);

const groups = SIZES.map((messageBytes) => ({
  name: `${messageBytes} B, ${MESSAGES} messages`,
  ways: [
    new Way(`ring, published per ${BATCH}`, "ring", messageBytes, BATCH),
    new Way("ring, published one by one", "ring", messageBytes, 1),
    new Way("postMessage", "port", messageBytes, BATCH),
  ],
}));

for (const { name: group, ways } of groups) {
  for (const [i, way] of ways.entries()) {
    Deno.bench(way.name, { group, baseline: i === 0, warmup: 10, n: 10 }, () => way.burst());
  }
}

globalThis.addEventListener("unload", () => {
  console.log(`\nmillion messages a second, medians of ${ROUNDS} alternating rounds`);
  for (const { name, ways } of groups) {
    const rates = compare(ways);
    const last = rates.at(-1)!;
    console.log(`\n${name}`);
    ways.forEach((way, i) => {
      const rate = rates[i]!;
      const ratio = `${(rate / last).toFixed(0)}x postMessage`;
      console.log(
        `  ${way.name.padEnd(28)} ${rate.toFixed(2).padStart(7)}  ${i < 2 ? ratio : ""}`,
      );
    });
  }
});
