/**
 * The speed of the explorer: executions per second without reduction, with it, and on a queue.
 *
 * `deno bench -P bench/model_bench.ts`; the summary at the end gives rates. The heap must not grow
 * with the number of executions.
 *
 * @module
 */

import { explore, type ExploreOptions, type Report, type Threads } from "@busbar/busbar/model";

const setup = () => new Int32Array(new SharedArrayBuffer(64));

/** Rounds of load and compareExchange on one word. */
const rounds = (count: number) => (words: Int32Array) => {
  for (let i = 0; i < count; i++) {
    const seen = Atomics.load(words, 0);
    Atomics.compareExchange(words, 0, seen, seen + 1);
  }
};

/** Two producers and a consumer of a bounded queue; each producer draws a place. */
const produce = (value: number) => (words: Int32Array) => {
  const place = Atomics.add(words, 0, 1);
  words[4 + place] = value;
  Atomics.store(words, 8 + place, 1);
};
const consume = (words: Int32Array) =>
  [0, 1].map((place) => {
    while (Atomics.load(words, 8 + place) === 0) Atomics.pause();
    return words[4 + place];
  });

const pair = { setup, threads: { a: rounds(4), b: rounds(4) } };
const queue = { setup, threads: { first: produce(1), second: produce(2), consumer: consume } };
const three = {
  setup,
  threads: { a: rounds(2), b: rounds(2), c: rounds(2) },
};

const rates = new Map<string, number[]>();

function bench<T extends Threads<Int32Array>>(name: string, model: ExploreOptions<Int32Array, T>) {
  Deno.bench(name, async () => {
    const report: Report = await explore(model);
    if (!report.complete) throw new Error("the search must be complete");
    const rate = report.executions / report.elapsedMs * 1000;
    rates.set(name, [...rates.get(name) ?? [], rate]);
  });
}

bench("2 threads x 4 load + compareExchange, every schedule (12,870)", {
  ...pair,
  strategy: "all",
});
bench("2 threads x 4 load + compareExchange, DPOR (1,500)", pair);
bench("3 threads x 2 load + compareExchange, DPOR", three);
bench("queue, 2 producers and a consumer, every schedule", { ...queue, strategy: "all" });
bench("queue, 2 producers and a consumer, DPOR", queue);

addEventListener("unload", () => {
  for (const [name, samples] of rates) {
    const median = samples.sort((a, b) => a - b)[samples.length >> 1]!;
    console.log(`${Math.round(median).toLocaleString("en").padStart(12)} executions/s  ${name}`);
  }
});

Deno.bench("heap over 184,756 executions", { n: 1, warmup: 0 }, async () => {
  const peaks = [0, 0];
  let execution = 0;
  await explore({
    setup,
    threads: { a: rounds(5), b: rounds(5) },
    strategy: "all",
    check() {
      if (execution++ % 100 !== 0) return;
      const half = execution < 184_756 / 2 ? 0 : 1;
      peaks[half] = Math.max(peaks[half]!, Deno.memoryUsage().heapUsed);
    },
  });
  const [first, second] = peaks.map((peak) => (peak / 2 ** 20).toFixed(1));
  console.log(`heap at most ${first} MiB in the first half, ${second} MiB in the second`);
});
