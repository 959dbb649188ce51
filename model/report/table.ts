/**
 * An execution as a table: one column a thread, one row a step.
 *
 * @module
 */

import {
  ADD,
  CALL,
  COMPARE_EXCHANGE,
  type Entry,
  JOIN,
  KIND_NAMES,
  LAST_OPERATION,
  LOAD,
  NOTIFY,
  PAUSE,
  READ,
  RESUME,
  RETURN,
  SPAWN,
  STORE,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  WRITE,
} from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import type { Thread } from "../machine/thread.ts";

/** One step of a schedule, as reports show it. */
export interface Step {
  /** Name of the thread. */
  readonly thread: string;
  /** What it did, on which word, and the value that it saw. */
  readonly operation: string;
  /** The source lines that led there, innermost first. */
  readonly lines: readonly string[];
  /** Earlier steps of other threads that happen before this one by an edge of its own. */
  readonly after: readonly number[];
  /** Whether another thread ran before. */
  readonly isSwitch: boolean;
}

/** An operation in a few words: `load ring.position → 64`. */
export function operationText(entry: Entry, threads: Machine["threads"]): string {
  const name = KIND_NAMES[entry.kind]!;
  const word = entry.buffer?.nameOf(entry.start, entry.size) ?? "";
  const show = (value: unknown) => String(value);
  switch (entry.kind) {
    case LOAD:
      return `load ${word} → ${show(entry.result)}`;
    case STORE:
      return `store ${word} ← ${show(entry.operand)}`;
    case COMPARE_EXCHANGE:
      return entry.wrote
        ? `compareExchange ${word} ${show(entry.expected)} ⇒ ${show(entry.operand)}`
        : `compareExchange ${word} ${show(entry.expected)} ⇏ ${show(entry.operand)}: saw ${
          show(entry.result)
        }`;
    case WAIT:
    case WAIT_ASYNC:
      return `${name} ${word} while ${show(entry.operand)}: ${entry.result ?? "sleeps"}`;
    case WAKE:
      return `wake ${word}: ${entry.result ?? "sleeping"}`;
    case NOTIFY:
      return `notify ${word}: wakes ${show(entry.result)}`;
    case PAUSE:
      return entry.forced ? "pause (nothing else can run)" : "pause";
    case CALL:
      return `${entry.view}(${(entry.a as readonly unknown[]).map(show).join(", ")}) begins`;
    case RETURN:
      return `${entry.view} returns ${show(entry.a)}`;
    case SPAWN:
      return `spawn ${threads[entry.other]?.name ?? entry.other}`;
    default:
      return entry.kind >= ADD && entry.kind < COMPARE_EXCHANGE
        ? `${name} ${word} ${show(entry.operand)}: saw ${show(entry.result)}`
        : name;
  }
}

/** The steps of the present execution; replays each thread once for its source lines. */
export async function stepsOf(machine: Machine): Promise<Step[]> {
  const lines = new Map<Entry, readonly string[]>();
  for (const thread of machine.threads) {
    if (thread === undefined) continue;
    const captured = await machine.capture(thread);
    thread.log.forEach((entry, i) => lines.set(entry, captured[i] ?? []));
  }
  return machine.trace.map((entry, i) => {
    const thread = machine.threads[entry.thread]!;
    return {
      thread: thread.name,
      operation: operationText(entry, machine.threads) + plainAccesses(thread, entry),
      lines: lines.get(entry) ?? [],
      after: edgesInto(machine.trace, i),
      isSwitch: i > 0 && machine.trace[i - 1]!.thread !== entry.thread,
    };
  });
}

/** The steps from which a happens-before edge leads to step `i`, other than from its own thread. */
function edgesInto(trace: readonly Entry[], i: number): number[] {
  const entry = trace[i]!;
  const before = trace.slice(0, i);
  const found: number[] = [];
  const { kind } = entry;
  if (kind !== STORE && (kind <= WAIT || kind === WAIT_ASYNC)) {
    // What it reads from, if that was an atomic write of the same range.
    found.push(
      before.findLastIndex((e) =>
        e.wrote && e.buffer === entry.buffer && e.start === entry.start && e.size === entry.size
      ),
    );
  }
  if (kind === WAKE || kind === RESUME) found.push(entry.other);
  if (kind === JOIN) found.push(before.findLastIndex((e) => e.thread === entry.other));
  if (!before.some((e) => e.thread === entry.thread)) {
    found.push(before.findIndex((e) => e.kind === SPAWN && e.other === entry.thread));
  }
  return found.filter((step) => step >= 0 && trace[step]!.thread !== entry.thread);
}

/** How many plain accesses follow an operation in its transition, as ` +2r 1w`. */
function plainAccesses(thread: Thread, entry: Entry): string {
  let reads = 0;
  let writes = 0;
  for (let i = thread.log.lastIndexOf(entry) + 1; i < thread.log.length; i++) {
    const { kind } = thread.log[i]!;
    if (kind <= LAST_OPERATION) break;
    if (kind === READ) reads++;
    if (kind === WRITE) writes++;
  }
  const text = [reads > 0 ? `${reads}r` : "", writes > 0 ? `${writes}w` : ""].filter(Boolean);
  return text.length === 0 ? "" : ` (+${text.join(" ")})`;
}

/** The last part of a stack line: file and line. */
export function shortLine(line: string | undefined): string {
  return line?.match(/([^/\\( ]+:\d+):\d+\)?$/)?.[1] ?? "";
}

/** The most rows of a table, and how many of them show its beginning. */
const MAX_ROWS = 200;
const HEAD_ROWS = 40;

/** Lays the steps out for a terminal; of very many, the first and the last. */
export function formatTable(steps: readonly Step[], threads: readonly string[]): string {
  const widths = threads.map((name) =>
    Math.max(name.length, ...steps.filter((s) => s.thread === name).map((s) => s.operation.length))
  );
  const number = String(steps.length).length;
  const omitted = steps.length - MAX_ROWS;
  const rows = [
    " ".repeat(number + 2) +
    threads.map((name, i) => name.padEnd(widths[i]! + 2)).join("").trimEnd(),
  ];
  steps.forEach((step, i) => {
    if (omitted > 0 && i >= HEAD_ROWS && i < HEAD_ROWS + omitted) {
      if (i === HEAD_ROWS) rows.push(`${" ".repeat(number + 2)}... ${omitted} steps ...`);
      return;
    }
    const cells = threads.map((name, column) =>
      (name === step.thread ? step.operation : "").padEnd(widths[column]! + 2)
    );
    const mark = step.isSwitch ? ">" : " ";
    rows.push(
      `${mark}${String(i + 1).padStart(number)} ${cells.join("")}${shortLine(step.lines[0])}`
        .trimEnd(),
    );
  });
  return rows.join("\n");
}
