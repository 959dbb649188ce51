/**
 * Random small programs, and the outcomes of all their schedules: the oracle for reductions.
 *
 * @module
 */

import fc from "fast-check";
import { appendEvent, Dependence, type Event, traceKey } from "../../model/search/dependence.ts";
import { OptimalDpor } from "../../model/search/dpor.ts";
import { Enumeration } from "../../model/search/enumeration.ts";
import { Search } from "../../model/search/search.ts";

/** One call of a program: its kind, the index of its word (0 or 1), and its operands. */
export type Call = readonly [kind: string, word: number, a: number, b: number];
/** A list of calls for each thread. */
export type Program = readonly (readonly Call[])[];

/** Calls that are always enabled. */
export const FREE = ["load", "store", "add", "compareExchange"] as const;
/** Calls that wait for other threads, or wake them. */
export const BLOCKING = ["notify", "wait", "wait with timeout", "spin", "spin once"] as const;

/** Calls that wait in a loop, for a time or without end, with and without a pause. */
export const LOOPS = [
  "spin",
  "spin briefly",
  "poll",
  "poll briefly",
  "wait in a loop",
  "notify in a loop",
] as const;

/** Calls of asynchronous threads. */
export const ASYNCHRONOUS = ["task", "task with timeout", "await", "leave"] as const;

/** Programs of up to `threads` threads with up to `calls` calls each. */
export function programs(
  kinds: readonly string[],
  threads: number,
  calls: number,
): fc.Arbitrary<Program> {
  const operand = fc.integer({ min: 0, max: 2 });
  const call = fc.tuple(
    fc.constantFrom(...kinds),
    fc.integer({ min: 0, max: 1 }),
    operand,
    operand,
  );
  const thread = fc.array(call, { minLength: 1, maxLength: calls });
  return fc.array(thread, { minLength: 2, maxLength: threads });
}

function perform(words: Int32Array, [kind, word, a, b]: Call): unknown {
  switch (kind) {
    case "load":
      return Atomics.load(words, word);
    case "store":
      return Atomics.store(words, word, a);
    case "add":
      return Atomics.add(words, word, a);
    case "compareExchange":
      return Atomics.compareExchange(words, word, a, b);
    case "notify":
      return Atomics.notify(words, word, a);
    case "wait":
      return Atomics.wait(words, word, a);
    case "wait with timeout":
      return Atomics.wait(words, word, a, 1 + b);
    case "clock":
      return Date.now();
    case "spin":
      while (Atomics.load(words, word) === 0) Atomics.pause();
      return "spun";
    case "spin briefly":
      for (let i = 0; i < 7; i++) {
        if (Atomics.load(words, word) !== 0) return "spun";
        Atomics.pause();
      }
      return "gave up";
    case "poll":
      while (Atomics.load(words, word) === 0);
      return "polled";
    case "poll briefly":
      for (let i = 0; i < 9; i++) if (Atomics.load(words, word) !== 0) return "polled";
      return "gave up";
    case "wait in a loop":
      while (Atomics.load(words, word) === 0) Atomics.wait(words, word, 0, 5);
      return "waited";
    case "notify in a loop":
      while (Atomics.notify(words, word) === 0) Atomics.pause();
      return "notified";
    case "spin once":
      if (Atomics.load(words, word) === 0) Atomics.pause();
      return Atomics.load(words, word);
    default:
      throw new Error(`Cannot perform ${kind}`);
  }
}

/**
 * A thread whose tasks wait asynchronously, and then count; `await` awaits the last of them, and
 * `leave` leaves those before it behind.
 */
async function performAsync(words: Int32Array, calls: readonly Call[]): Promise<unknown[]> {
  const tasks: Promise<unknown>[] = [];
  const results: unknown[] = [];
  for (const call of calls) {
    const [kind, word, a, b] = call;
    if (kind === "leave") {
      tasks.length = 0;
    } else if (kind === "await") {
      // A thread without any access would be refused.
      results.push(tasks.length === 0 ? Atomics.load(words, word) : await tasks.at(-1));
    } else if (kind.startsWith("task")) {
      tasks.push((async () => {
        const { value } = Atomics.waitAsync(words, word, a, kind === "task" ? Infinity : 1 + b);
        const result = await value;
        return [result, Atomics.add(words, 2, 1 + word)];
      })());
    } else {
      results.push(perform(words, call));
    }
  }
  return [...results, ...await Promise.all(tasks)];
}

/** The result of a search of a program. */
export interface Outcome {
  /** The kind of the failure that ended it, if any. */
  readonly failure: string | undefined;
  /** Final memory and results, of every execution. */
  readonly finals: ReadonlySet<string>;
  /** The Mazurkiewicz traces among the executions. */
  readonly traces: ReadonlySet<string>;
  readonly executions: number;
  readonly pruned: number;
  /** Whether no limit ended it. */
  readonly isComplete: boolean;
}

/** Runs a program under every schedule, or under those that a reduction leaves. */
export async function outcomeOf(
  program: Program,
  reduction: "none" | "dpor",
  maxExecutions: number,
  timeouts: "any" | "ordered" = "any",
): Promise<Outcome> {
  const finals = new Set<string>();
  const traces = new Set<string>();
  const isAsync = ([kind]: Call) => (ASYNCHRONOUS as readonly string[]).includes(kind);
  const body = (calls: readonly Call[]) => (words: Int32Array) =>
    calls.some(isAsync) ? performAsync(words, calls) : calls.map((call) => perform(words, call));
  const threads = program.map((calls, i) => [`thread${i}`, body(calls)] as const);
  const search = new Search({
    setup: () => new Int32Array(new SharedArrayBuffer(12)),
    threads: Object.fromEntries(threads) as never,
    check: (words, results) => {
      finals.add(JSON.stringify([...words as Int32Array, results]));
    },
    maxExecutions,
    spinLimit: 20,
    clock: "virtual",
    timeouts,
  });
  const plain = new Dependence(false, timeouts === "ordered");
  search.onExecution = ({ trace, threads }) => {
    const events: Event[] = [];
    for (const entry of trace) appendEvent(events, entry, threads[entry.thread]!.log, plain);
    traces.add(traceKey(events));
  };
  const report = await search.run(
    () => reduction === "none" ? new Enumeration() : new OptimalDpor(plain),
  );
  return {
    failure: search.failed?.failure.kind,
    finals,
    traces,
    executions: report.executions,
    pruned: report.pruned,
    isComplete: report.complete,
  };
}
