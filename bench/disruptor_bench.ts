/**
 * Disruptors by topology, beside `postMessage` and `ringbuf.js`: numbers of 32 bits, one by one and
 * in batches, every thread on a worker of its own. The last lines have the workload of the seed:
 * 10,000 batches of 2,000 numbers.
 *
 * All consumers sum up; a wrong sum fails the bench. One iteration is a burst, wake-ups included.
 * Printed are nanoseconds an event and millions of events a second, and then by how much the heaps
 * of all threads grow. Where there are more threads than cores, that is what one measures.
 *
 * @module
 */

import { Disruptor, type GraphOptions, type WaitStrategy } from "../mod.ts";
import { RingBuffer } from "ringbuf.js";
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
import { Crew, type Duty, ports, sharedWords } from "./crew.ts";
import { type End, GROWTH, LINE, Quote, SUM } from "./disruptor_worker.ts";
import { checkSum } from "./messages.ts";

/** The slots of a ring. */
const CAPACITY = 64 * 1024;
/** The most threads of a topology. */
const THREADS = 8;

/** A way of which one can tell by how much the heaps have grown. */
interface Burst extends Way {
  growth(): number;
}

/** Makes a burst; each of the first lines of the results has the sum of a consumer. */
function burst(
  name: string,
  { events, batch, producers = 1, consumers, sum = sumOf(batch, events) }: {
    events: number;
    batch: number;
    producers?: number;
    consumers: number;
    sum?: number;
  },
  duties: (end: End) => Duty[],
): Burst {
  const results = sharedWords(LINE * THREADS);
  let crew: Crew | undefined;
  const run = () => {
    crew ??= new Crew("./disruptor_worker.ts").assign(duties({ events, batch, results, line: 0 }));
    crew.run();
    for (let i = 0; i < consumers; i++) checkSum(name, sum, results[i * LINE + SUM]!);
  };
  const growth = () => {
    let sum = 0;
    for (let i = 0; i < consumers + producers; i++) sum += results[i * LINE + GROWTH]!;
    return sum;
  };
  return { name, count: events, run, growth };
}

/** The sum of all numbers: from 0 to 255 one by one, or those of each batch. */
function sumOf(batch: number, events: number): number {
  return (batch === 1 ? 127.5 : (batch - 1) / 2) * events | 0;
}

/** A topology. */
interface Topology {
  readonly name: string;
  readonly graph: GraphOptions;
  readonly producers: number;
}

const TOPOLOGIES: readonly Topology[] = [
  { name: "1P-1C", graph: { a: {} }, producers: 1 },
  { name: "1P-3C", graph: { a: {}, b: {}, c: {} }, producers: 1 },
  { name: "pipeline", graph: { a: {}, b: { after: "a" }, c: { after: "b" } }, producers: 1 },
  { name: "diamond", graph: { a: {}, b: {}, c: { after: ["a", "b"] } }, producers: 1 },
  { name: "3P-1C", graph: { a: {} }, producers: 3 },
  { name: "3P-pipeline", graph: { a: {}, b: { after: "a" }, c: { after: "b" } }, producers: 3 },
];

/** A topology over a disruptor. */
function disruptor(
  { graph, producers }: Topology,
  batch: number,
  events: number,
  strategy: WaitStrategy = "phased",
): Burst {
  const nodes = Object.keys(graph);
  const size = { events, batch, producers, consumers: nodes.length };
  return burst(`disruptor, batches of ${batch}`, size, (end) => {
    const { handle } = Disruptor.create({
      capacity: CAPACITY,
      elements: "i32",
      consumers: graph,
      producers: producers === 1 ? "single" : producers,
    });
    const consumers = nodes.map((node, line): Duty => (
      { name: "consume", argument: { ...end, handle, node, line, strategy } }
    ));
    const sent = { ...end, handle, node: "", strategy, events: events / producers };
    const sending = Array.from({ length: producers }, (_, i): Duty => (
      { name: "produce", argument: { ...sent, line: nodes.length + i } }
    ));
    return [...consumers, ...sending];
  });
}

/** One producer and one consumer of records of 64 bytes, which are filled and read in place. */
function records(batch: number, events: number): Burst {
  const size = { events, batch, consumers: 1, sum: (batch - 1) / 2 * events | 0 };
  return burst(`records of 64 B, batches of ${batch}`, size, (end) => {
    const { handle } = Disruptor.create({
      capacity: CAPACITY / 16,
      elements: { record: Quote.handle },
      consumers: { a: {} },
    });
    return ["consumeRecords", "produceRecords"].map((name, line): Duty => (
      { name, argument: { ...end, handle, line } }
    ));
  });
}

/** One producer and one consumer over `ringbuf.js`. */
function ringbuf(batch: number, events: number): Burst {
  return burst(`ringbuf.js, batches of ${batch}`, { events, batch, consumers: 1 }, (end) => {
    const buffer = RingBuffer.getStorageForCapacity(CAPACITY, Int32Array) as SharedArrayBuffer;
    return ["pop", "push"].map((name): Duty => ({ name, argument: { ...end, buffer } }));
  });
}

/** One producer, and consumers that each get a copy, or pass it on, over ports. */
function posts(batch: number, events: number, consumers: number, isPipeline = false): Burst {
  return burst(`postMessage, batches of ${batch}`, { events, batch, consumers }, (end) => {
    const pairs = Array.from({ length: consumers }, ports);
    const duties = pairs.map(([here], line): Duty => {
      const next = isPipeline && line + 1 < consumers ? [pairs[line + 1]![1]] : [];
      const transfer = [here, ...next];
      return { name: "onPorts", argument: { ...end, line, ports: transfer }, transfer };
    });
    const first = (isPipeline ? pairs.slice(0, 1) : pairs).map(([, there]) => there);
    return [...duties, { name: "post", argument: { ...end, ports: first }, transfer: first }];
  });
}

/** A diamond, or three producers with one consumer, over ports. */
function joins(batch: number, events: number, copies: boolean): Burst {
  const consumers = copies ? 3 : 1;
  const size = { events, batch, consumers };
  return burst(`postMessage, batches of ${batch}`, size, (end) => {
    const pairs = Array.from({ length: copies ? 2 : 3 }, ports);
    const inner = copies ? pairs.map(ports) : pairs;
    const middle = copies
      ? pairs.map(([here], line): Duty => {
        const transfer = [here, inner[line]![1]];
        return { name: "onPorts", argument: { ...end, line, ports: transfer }, transfer };
      })
      : [];
    const last = inner.map(([here]) => here);
    const join: Duty = {
      name: "onSeveralPorts",
      argument: { ...end, line: consumers - 1, ports: last, copies },
      transfer: last,
    };
    const first = pairs.map(([, there]) => there);
    const sources = copies ? [first] : first.map((port) => [port]);
    const each = copies ? events : events / sources.length;
    const posting = sources.map((transfer): Duty => (
      { name: "post", argument: { ...end, events: each, ports: transfer }, transfer }
    ));
    return [...middle, join, ...posting];
  });
}

const BATCHES: readonly (readonly [batch: number, events: number])[] = [
  [1, 768_000],
  [10, 3_840_000],
  [100, 7_680_000],
  [2000, 12_288_000],
];

/** Ways that allocate nothing for an event. */
const bursts: Burst[] = [];

const groups: Group[] = TOPOLOGIES.map((topology) => {
  const ways = BATCHES.map(([batch, events]) => disruptor(topology, batch, events));
  bursts.push(...ways);
  const others: Way[] = [];
  if (topology.name === "1P-1C") {
    others.push(...BATCHES.map(([batch, events]) => ringbuf(batch, events / 8)));
  }
  const consumers = Object.keys(topology.graph).length;
  for (const [batch, events] of [[1, 19_200], [100, 360_000]] as const) {
    if (topology.name === "3P-1C" || topology.name === "diamond") {
      others.push(joins(batch, events, topology.name === "diamond"));
    } else if (topology.producers === 1) {
      others.push(posts(batch, events, consumers, topology.name === "pipeline"));
    }
  }
  return { name: topology.name, ways: [...ways, ...others] };
});

/** Each strategy where there are more threads than cores; those that spin take long there. */
for (const topology of TOPOLOGIES) {
  if (topology.name !== "1P-3C" && topology.name !== "3P-1C") continue;
  const strategies = ["phased", "blocking", "yielding", "spinning"] as const;
  const ways = strategies.map((strategy) => ({
    ...disruptor(topology, 10, strategy === "spinning" ? 192_000 : 1_920_000, strategy),
    name: strategy,
  }));
  groups.push({ name: `${topology.name}, batches of 10, by strategy`, ways });
}

groups.push({ name: "1P-1C, records", ways: [records(1, 384_000), records(10, 1_920_000)] });

const seed = TOPOLOGIES.slice(0, 1).map((topology): Group => {
  const two = { ...topology, graph: { a: {}, b: {} } };
  const ways = [disruptor(topology, 2000, 20_000_000), disruptor(two, 2000, 20_000_000)];
  const names = ["1 consumer", "2 consumers"];
  const named = ways.map((way, i) => ({ ...way, name: names[i]! }));
  return { name: "the seed's workload", ways: [...named, ringbuf(2000, 2_000_000)] };
});

const rate: Column = ["M/s", ({ median }) => (1000 / median).toFixed(1)];
const burstMs: Column = [
  "ms a burst",
  ({ median, way }) => (median * way.count / 1e6).toFixed(1),
];

/** By how much the heaps have grown over the rounds after the fourth; returns lines to print. */
function heapGrowths(): string[] {
  const lines = ["\ngrowth of all heaps after the fourth round, in bytes"];
  groups.forEach(({ name, ways }) => {
    for (const way of ways) {
      const found = bursts.find((burst) => burst === way);
      if (found !== undefined) {
        lines.push(row(`${name}, ${way.name}`, [found.growth().toLocaleString("en")]));
      }
    }
  });
  return lines;
}

declare([...groups, ...seed], { warmup: 1, n: 2 });
printAtEnd(
  () =>
    compare([...groups, ...seed], {
      unit: "nanoseconds an event",
      rounds: 9,
      columns: [LEAST, MEDIAN, rate, burstMs],
    }),
  heapGrowths,
);
