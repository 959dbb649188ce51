/**
 * Bare programs over a few words, and two ways to count their traces: with the explorer, and by an
 * enumeration of their interleavings that shares no code with it.
 *
 * A body is a generator of accesses, so that it can be run without `Atomics` and without the
 * explorer's replay.
 *
 * @module
 */

import { explore, type Report } from "@busbar/busbar/model";

/** One access of one word; the `yield` returns the value before the access. */
export interface Access {
  readonly kind: "load" | "store" | "add" | "compareExchange";
  readonly word: number;
  readonly value: number;
  readonly expected: number;
}

/** The code of one thread. */
export type Body = () => Generator<Access, void, number>;

function access(kind: Access["kind"], word: number, value = 0, expected = 0): Access {
  return { kind, word, value, expected };
}

/** Reads a word. */
export const load = (word: number) => access("load", word);
/** Writes a word. */
export const store = (word: number, value: number) => access("store", word, value);
/** Adds to a word. */
export const add = (word: number, value: number) => access("add", word, value);
/** Replaces a word if it has the expected value; else only reads it. */
export const compareExchange = (word: number, expected: number, value: number) =>
  access("compareExchange", word, value, expected);

/** The outcome of an execution: all values that were read, and the final memory. */
export type Outcome = string;

/** The traces of a program. */
export interface Traces {
  readonly count: number;
  /** Their outcomes, which are the same for equivalent executions. */
  readonly outcomes: Set<Outcome>;
}

/**
 * Walks every interleaving, but continues only one of each set of equivalent beginnings. Two
 * beginnings are equivalent if on each word the writes are in the same order, with the same reads
 * between the same writes.
 */
export function tracesOf(bodies: readonly Body[], words: number): Traces {
  const visited = new Set<string>();
  const outcomes = new Set<Outcome>();
  let count = 0;
  const visit = (schedule: readonly number[]) => {
    const { trace, outcome, ready } = runSchedule(bodies, words, schedule);
    if (visited.has(trace)) return;
    visited.add(trace);
    if (ready.length === 0) {
      count++;
      outcomes.add(outcome);
    }
    for (const thread of ready) visit([...schedule, thread]);
  };
  visit([]);
  return { count, outcomes };
}

/** Runs the bodies from the start as the schedule says. */
function runSchedule(bodies: readonly Body[], words: number, schedule: readonly number[]) {
  const memory: number[] = new Array(words).fill(0);
  /** For each word: its writes, and between them the sets of its reads. */
  const history: string[][][] = memory.map(() => [[]]);
  const seen: number[][] = bodies.map(() => []);
  const running = bodies.map((body) => body());
  const next = running.map((thread) => thread.next());
  for (const thread of schedule) {
    const { kind, word, value, expected } = next[thread]!.value as Access;
    const before = memory[word]!;
    if (kind === "store" || (kind === "compareExchange" && before === expected)) {
      memory[word] = value;
    } else if (kind === "add") memory[word] = before + value;
    const event = `${thread}.${seen[thread]!.length}`;
    // A compareExchange that fails only reads.
    if (kind === "load" || (kind === "compareExchange" && before !== expected)) {
      history[word]!.at(-1)!.push(event);
    } else history[word]!.push([`write ${event}`], []);
    seen[thread]!.push(kind === "store" ? value : before);
    next[thread] = running[thread]!.next(before);
  }
  return {
    trace: history.map((parts) => parts.map((part) => part.sort().join()).join("|")).join("\n"),
    outcome: outcomeOf(seen, memory),
    ready: bodies.keys().filter((thread) => !next[thread]!.done).toArray(),
  };
}

function outcomeOf(seen: readonly (readonly number[])[], memory: ArrayLike<number>): Outcome {
  return `${seen.map((values) => values.join()).join("|")} ${Array.from(memory).join()}`;
}

function perform(words: Int32Array, { kind, word, value, expected }: Access): number {
  switch (kind) {
    case "load":
      return Atomics.load(words, word);
    case "store":
      return Atomics.store(words, word, value);
    case "add":
      return Atomics.add(words, word, value);
    case "compareExchange":
      return Atomics.compareExchange(words, word, expected, value);
  }
}

/** Explores the program, and collects the outcomes of its executions. */
export async function explored(
  bodies: readonly Body[],
  words: number,
  strategy: "dpor" | "all",
): Promise<Report & { outcomes: Set<Outcome> }> {
  const outcomes = new Set<Outcome>();
  const threads = bodies.map((body, thread) => [`t${thread}`, (memory: Int32Array) => {
    const seen: number[] = [];
    const running = body();
    for (let step = running.next(); !step.done;) {
      const value = perform(memory, step.value);
      seen.push(value);
      step = running.next(value);
    }
    return seen;
  }]);
  const report = await explore<Int32Array, Record<string, (memory: Int32Array) => number[]>>({
    setup: () => new Int32Array(new SharedArrayBuffer(4 * words)),
    threads: Object.fromEntries(threads),
    check: (memory, results) => {
      outcomes.add(outcomeOf(bodies.map((_, thread) => results[`t${thread}`]!), memory));
    },
    strategy,
  });
  return { ...report, outcomes };
}
