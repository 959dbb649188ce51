/**
 * The history of an execution: the calls that its threads have recorded.
 *
 * @module
 */

import type { Entry, Operation } from "./machine/entry.ts";
import type { ThreadNames } from "./machine/entry_text.ts";
import { CALL, RETURN } from "./machine/kinds.ts";
import { Throws } from "./specification.ts";
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

/** Why a history is not linearizable. */
export interface Violation {
  /** The longest order of calls that fits. */
  readonly order: readonly RecordedCall[];
  /** The calls that could come next, and the results that the specification gives them. */
  readonly refused: readonly { readonly call: RecordedCall; readonly expected: unknown }[];
}

/** Of a long history, so many calls are drawn before the first one that does not fit, and after. */
const DRAWN_BEFORE = 40;
const DRAWN_AFTER = 20;
/** So many calls of the order that fits are named. */
const NAMED_CALLS = 5;

/** The history as a drawing, and how far it fits. */
export function formatViolation(history: readonly RecordedCall[], violation: Violation): string {
  const { order, refused } = violation;
  const calls = history.toSorted((a, b) => a.begin - b.begin);
  const at = Math.min(...refused.map(({ call }) => calls.indexOf(call)));
  const first = Math.max(0, at - DRAWN_BEFORE);
  const drawn = calls.slice(first, at + DRAWN_AFTER);
  const omitted = (count: number) => count > 0 ? [`... ${count} calls ...`] : [];
  const drawing = [
    ...omitted(first),
    drawingOf(drawn),
    ...omitted(calls.length - first - drawn.length),
  ];
  const unfit = refused.map(({ call, expected }) => `${textOf(call)} (${expectedText(expected)})`);
  const next = `The next call cannot be ${unfit.join(", nor ")}.`;
  return `${drawing.join("\n")}\n\n${orderText(order)}${next}`;
}

function orderText(order: readonly RecordedCall[]): string {
  if (order.length === 0) return "";
  const named = order.slice(-NAMED_CALLS).map(textOf);
  if (named.length < order.length) named.unshift(`${order.length - named.length} calls`);
  return `What fits is ${named.join(", then ")}. `;
}

/** One line a call, with its span over the steps of the schedule. */
function drawingOf(calls: readonly RecordedCall[]): string {
  const times = [...new Set(calls.flatMap((call) => [call.begin, call.end]))].sort((a, b) => a - b);
  const rows = calls.map((call) => {
    const from = times.indexOf(call.begin);
    const to = times.indexOf(call.end);
    const line = "─".repeat(Math.max(0, to - from - 1));
    const span = `${" ".repeat(from)}├${line}${call.end === Infinity ? "…" : "┤"}`;
    return { text: textOf(call), span };
  });
  const width = Math.max(...rows.map((row) => row.text.length));
  return rows.map(({ text, span }) => `${text.padEnd(width)}  ${span}`).join("\n");
}

/** A call with its result. */
function textOf({ thread, name, args, result, isThrown, end }: RecordedCall): string {
  const call = `${thread}: ${callText(name, args)}`;
  if (end === Infinity) return `${call} has not ended`;
  return `${call} ${isThrown ? `throws ${errorText(result)}` : `→ ${valueText(result)}`}`;
}

/** What the specification says of a call. */
function expectedText(expected: unknown): string {
  return `specified: ${expected instanceof Throws ? expected : `→ ${valueText(expected)}`}`;
}
