/**
 * Ways to do the same, side by side: first in Deno's own table, then in rounds that alternate between
 * them, so that a slow spell of the machine meets all of them.
 *
 * @module
 */

/** One way to do something. */
export interface Way {
  readonly name: string;
  /** How often a run does it. */
  readonly count: number;
  /** Does it so often; blocks until that is done, wherever it is done. */
  run(): void;
}

/** Ways that are compared with the first of them. */
export interface Group {
  readonly name: string;
  readonly ways: readonly Way[];
  /** What is known of other systems, to be printed below. */
  readonly note?: string;
}

/** Alternating rounds. */
const ROUNDS = 21;
/** For how many operations the growth of the heap is measured. */
const HEAP_OPERATIONS = 10_000_000;
/** How many operations of those run between two looks at the heap. */
const HEAP_STEP = 10_000;

/** Puts all ways into Deno's table. */
export function declare(groups: readonly Group[]): void {
  for (const { name: group, ways } of groups) {
    for (const [i, way] of ways.entries()) {
      Deno.bench(`${way.name}, ${way.count.toLocaleString("en")} times`, {
        group,
        baseline: i === 0,
        warmup: 5,
        n: 10,
      }, () => way.run());
    }
  }
}

/** Alternates between the ways of each group; returns lines that say what one operation of each costs. */
export function compare(groups: readonly Group[]): string[] {
  const lines = [
    `\nnanoseconds an operation, ${ROUNDS} alternating rounds`,
    row("", ["least", "median", "to the first"]),
  ];
  for (const { name, ways, note } of groups) {
    lines.push(`\n${name}`);
    const costs = ways.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round++) {
      ways.forEach((way, i) => costs[i]!.push(costOf(way)));
    }
    const first = quantile(costs[0]!, 0.5);
    ways.forEach((way, i) => {
      const middle = quantile(costs[i]!, 0.5);
      const cells = [Math.min(...costs[i]!), middle, middle / first];
      lines.push(row(way.name, cells.map((cell) => cell.toFixed(1))));
    });
    if (note !== undefined) lines.push(`  ${note}`);
  }
  return lines;
}

/** Prints lines at once, since Deno puts the name of a bench before each thing that is printed. */
export function print(...parts: readonly string[][]): void {
  console.log(parts.flat().join("\n"));
}

/** A line of a table. */
export function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(42)}${cells.map((cell) => cell.padStart(14)).join("")}`;
}

/** The nanoseconds that one operation of a run took. */
function costOf(way: Way): number {
  const start = performance.now();
  way.run();
  return (performance.now() - start) / way.count * 1e6;
}

/**
 * By how much the heap grows over many operations, and how many bytes each of them takes until they
 * are collected; returns lines to print.
 */
export function compareHeap(ways: readonly (Omit<Way, "run"> & HeapUser)[]): string[] {
  const times = HEAP_OPERATIONS.toLocaleString("en");
  const lines = [
    `\nbytes of the heap over ${times} operations`,
    row("", ["growth", "for each"]),
  ];
  const idle = takenBytes({ use: () => {} });
  for (const way of ways) {
    way.use(HEAP_STEP);
    const before = Deno.memoryUsage().heapUsed;
    const taken = takenBytes(way) - idle;
    const growth = Deno.memoryUsage().heapUsed - before;
    const each = Math.max(0, taken / HEAP_OPERATIONS).toFixed(1);
    lines.push(row(way.name, [growth.toLocaleString("en"), each]));
  }
  return lines;
}

/** What can be done any number of times. */
export interface HeapUser {
  use(count: number): void;
}

/** How many bytes were taken, as far as nothing was collected between two looks. */
function takenBytes(user: HeapUser): number {
  let sum = 0;
  let before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < HEAP_OPERATIONS; i += HEAP_STEP) {
    user.use(HEAP_STEP);
    const after = Deno.memoryUsage().heapUsed;
    if (after > before) sum += after - before;
    before = after;
  }
  return sum;
}

/** The value below which a share of the samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
