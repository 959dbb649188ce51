/**
 * The history of an execution: the calls that its threads have recorded.
 *
 * @module
 */

import type { Entry, Operation } from "./machine/entry.ts";
import type { ThreadNames } from "./machine/entry_text.ts";
import { CALL, RETURN } from "./machine/kinds.ts";
import { errorText, valueText } from "./values.ts";

/** A call of the history. */
export interface RecordedCall {
  /** Name of the thread. */
  readonly thread: string;
  /** Name of the operation. */
  readonly name: string;
  /** The arguments of the call. */
  readonly args: readonly unknown[];
  /** What it returned or threw. */
  readonly result: unknown;
  /** Whether it threw the result. */
  readonly isThrown?: boolean;
  /** The step of the schedule in which it began. */
  readonly begin: number;
  /** The step of the schedule in which it ended; Infinity if it never did. */
  readonly end: number;
}

/** The calls of an execution in the order in which they begin. */
export function historyOf(trace: readonly Operation[], threads: ThreadNames): RecordedCall[] {
  const ends = new Map<Entry, number>();
  trace.forEach((entry, step) => {
    if (entry.kind === RETURN) ends.set(entry.detail.call, step);
  });
  return trace.flatMap((entry, begin) => {
    if (entry.kind !== CALL) return [];
    const { name, args } = entry.detail;
    const end = ends.get(entry) ?? Infinity;
    const last = trace[end];
    const { result, isThrown } = last?.kind === RETURN
      ? last.detail
      : { result: undefined, isThrown: false };
    return { thread: threads[entry.thread]!.name, name, args, result, isThrown, begin, end };
  });
}

/** A call without its result: `push(1, "x")`. */
export function callText(name: string, args: readonly unknown[]): string {
  return `${name}(${args.map(valueText).join(", ")})`;
}

/** The history as a drawing: one line a call, with its span over the steps of the schedule. */
export function formatHistory(history: readonly RecordedCall[]): string {
  const times = [...new Set(history.flatMap((call) => [call.begin, call.end]))].sort((a, b) =>
    a - b
  );
  const rows = history.toSorted((a, b) => a.begin - b.begin).map((call) => {
    const from = times.indexOf(call.begin);
    const to = times.indexOf(call.end);
    const line = "─".repeat(Math.max(0, to - from - 1));
    const span = `${" ".repeat(from)}├${line}${call.end === Infinity ? "…" : "┤"}`;
    return { text: `${call.thread}: ${callText(call.name, call.args)} ${outcomeText(call)}`, span };
  });
  const width = Math.max(...rows.map((row) => row.text.length));
  return rows.map(({ text, span }) => `${text.padEnd(width)}  ${span}`).join("\n");
}

function outcomeText({ result, isThrown, end }: RecordedCall): string {
  if (end === Infinity) return "has not ended";
  return isThrown ? `throws ${errorText(result)}` : `→ ${valueText(result)}`;
}
