/**
 * Ways to do the same thing, side by side: first in Deno's own table, then in rounds that alternate
 * between them, so that a slow period of the machine affects all of them.
 *
 * @module
 */

import { median } from "./statistics.ts";

/** One way to do something. */
export interface Way {
  readonly name: string;
  /** How many operations a run performs. */
  readonly count: number;
  /** The nanoseconds of an operation of the native library, if that does the same. */
  readonly native?: number | undefined;
  /** Prepares a run, outside of the measured time. */
  prepare?(): void;
  /** Performs the operations; blocks until they are done, on whichever thread. */
  run(): void;
}

/** A way that runs on this thread, with any number of operations. */
export interface LocalWay extends Way {
  use(count: number): void;
}

/** Ways that are compared with one of them. */
export interface Group {
  readonly name: string;
  readonly ways: readonly Way[];
  /** The way that the others are compared with; the first one by default. */
  readonly baseline?: Way;
  /** The figures of other systems, to be printed below. */
  readonly note?: string;
}

/** The nanoseconds of an operation, over all rounds. */
export interface Cost {
  readonly way: Way;
  readonly least: number;
  readonly median: number;
}

/**
 * A column of a comparison: its head, and its cells, from the cost of a way and of the baseline.
 */
export type Column = readonly [head: string, cell: (cost: Cost, baseline: Cost) => string];

export const LEAST: Column = ["least", ({ least }) => least.toFixed(1)];
export const MEDIAN: Column = ["median", ({ median }) => median.toFixed(1)];
/** The median relative to that of the baseline. */
const TO_BASELINE: Column = [
  "to the first",
  ({ median }, baseline) => (median / baseline.median).toFixed(1),
];
/** The columns of a comparison with a native library. */
export const NATIVE: readonly Column[] = [
  ["native", ({ way: { native } }) => native?.toFixed(0) ?? ""],
  ["ratio", ({ median, way: { native } }) => native ? (median / native).toFixed(2) : ""],
];

/** For how many operations the growth of the heap is measured. */
export const HEAP_OPERATIONS = 10_000_000;
/** How many of those operations run between two readings of the heap. */
const HEAP_STEP = 10_000;

/** Makes a way of something that this thread does so many times. */
export function onThisThread(
  name: string,
  count: number,
  use: (count: number) => void,
  native?: number,
): LocalWay {
  return { name, count, native, use, run: () => use(count) };
}

/** Puts all ways into Deno's table; an iteration is a run. */
export function declare(groups: readonly Group[], { warmup = 5, n = 10 } = {}): void {
  for (const { name: group, ways, baseline = ways[0] } of groups) {
    for (const way of ways) {
      const name = `${way.name}, ${way.count.toLocaleString("en")} times`;
      Deno.bench(name, { group, baseline: way === baseline, warmup, n }, (bench) => {
        way.prepare?.();
        bench.start();
        way.run();
        bench.end();
      });
    }
  }
}

/** Options of {@link compare}. */
export interface Comparison {
  readonly unit?: string;
  readonly rounds?: number;
  readonly columns?: readonly Column[];
}

/** Alternates between the ways of each group; returns lines to print. */
export function compare(groups: readonly Group[], {
  unit = "nanoseconds an operation",
  rounds = 21,
  columns = [LEAST, MEDIAN, TO_BASELINE],
}: Comparison = {}): string[] {
  const lines = [`\n${unit}, ${rounds} alternating rounds`];
  for (const { name, ways, baseline = ways[0], note } of groups) {
    lines.push("", row(name, columns.map(([head]) => head)));
    const samples = ways.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      ways.forEach((way, i) => samples[i]!.push(measure(way)));
    }
    const costs = ways.map((way, i): Cost => (
      { way, least: Math.min(...samples[i]!), median: median(samples[i]!) }
    ));
    const base = costs.find(({ way }) => way === baseline)!;
    for (const cost of costs) {
      lines.push(row(cost.way.name, columns.map(([_, cell]) => cell(cost, base))));
    }
    if (note !== undefined) lines.push(`  ${note}`);
  }
  return lines;
}

/** The nanoseconds that one operation of a run took. */
function measure(way: Way): number {
  way.prepare?.();
  const start = performance.now();
  way.run();
  return (performance.now() - start) / way.count * 1e6;
}

/** A line of a table. */
export function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(42)}${cells.map((cell) => cell.padStart(14)).join("")}`;
}

/**
 * Prints lines after Deno's table, in one piece: Deno puts the name of a bench before each thing
 * that is printed.
 */
export function printAtEnd(...parts: readonly (() => string[])[]): void {
  const print = () => console.log(parts.flatMap((part) => part()).join("\n"));
  globalThis.addEventListener("unload", print);
}

/**
 * By how much the heap grows over many operations, and how many bytes each of them takes until they
 * are collected; returns lines to print.
 */
export function compareHeap(ways: readonly LocalWay[]): string[] {
  const times = HEAP_OPERATIONS.toLocaleString("en");
  const lines = [
    `\nbytes of the heap over ${times} operations`,
    row("", ["growth", "for each"]),
  ];
  const unused = allocatedBytes(() => {});
  for (const { name, use } of ways) {
    use(HEAP_OPERATIONS / 10);
    const before = Deno.memoryUsage().heapUsed;
    use(HEAP_OPERATIONS);
    const growth = Deno.memoryUsage().heapUsed - before;
    const each = Math.max(0, (allocatedBytes(use) - unused) / HEAP_OPERATIONS).toFixed(1);
    lines.push(row(name, [growth.toLocaleString("en"), each]));
  }
  return lines;
}

/** The bytes that are allocated, apart from steps in which a collection ran. */
function allocatedBytes(use: (count: number) => void): number {
  let sum = 0;
  let before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < HEAP_OPERATIONS; i += HEAP_STEP) {
    use(HEAP_STEP);
    const after = Deno.memoryUsage().heapUsed;
    if (after > before) sum += after - before;
    before = after;
  }
  return sum;
}
