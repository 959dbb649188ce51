/**
 * An execution as a table: one column a thread, one row a step, and below it a row for each plain
 * access that follows in the step. Steps that repeat are folded.
 *
 * @module
 */

import type { PlainAccess, Step } from "./steps.ts";

/** The end of a stack line: file name and line number. */
export function shortLine(line: string | undefined): string {
  return line?.match(/([^/\\( ]+:\d+):\d+\)?$/)?.[1] ?? "";
}

/**
 * The place of a step: its innermost line and function, and the function and line that called it.
 */
export function placeOf(lines: readonly string[]): string {
  const place = shortLine(lines[0]);
  const name = functionOf(lines[0]);
  const here = name === "" ? place : `${place} ${name}`;
  const caller = lines.find((line) => functionOf(line) !== name);
  if (caller === undefined) return here;
  const [file, line] = shortLine(caller).split(":");
  const where = place.startsWith(`${file}:`) ? `:${line}` : ` ${file}:${line}`;
  return `${here} < ${functionOf(caller) || "body"}${where}`;
}

/** The name of the function of a stack line; "" for the body of a thread, or without a name. */
function functionOf(line: string | undefined): string {
  const name = line?.match(/^(?:async )?(?:new )?([^ (]+) (?:\[as [^\]]*\] )?\(/)?.[1] ?? "";
  return /^(?:Thread\.|Object\.<|<)/.test(name) ? "" : name.replace(/^Object\./, "");
}

/** The most rows of a table; if there are more steps, some are omitted after the first rows. */
const MAX_ROWS = 200;
const FIRST_ROWS = 40;
/** The most plain accesses shown below a step. */
const MAX_ACCESSES = 6;
/** Steps are folded if up to so many of them repeat at least so often. */
const MAX_PERIOD = 6;
const MIN_REPEATS = 3;

/** The steps as a table for a terminal. */
export function formatTable(steps: readonly Step[], threads: readonly string[]): string {
  const cells = new Map<string, string[]>(threads.map((name) => [name, []]));
  const rows = foldedSteps(steps).flatMap((part) => rowsOf(steps, part));
  for (const row of rows) if (row.thread !== undefined) cells.get(row.thread)!.push(row.text);
  const widths = threads.map((name) =>
    Math.max(name.length, ...cells.get(name)!.map((text) => text.length))
  );
  const number = String(steps.length).length;
  const indent = " ".repeat(number + 2);
  const lines = rows.map(({ mark, thread, text, place }) =>
    thread === undefined
      ? indent + text
      : `${mark.padStart(number + 1)} ${
        threads.map((name, i) => (name === thread ? text : "").padEnd(widths[i]! + 2)).join("")
      }${place}`.trimEnd()
  );
  const omitted = lines.length - MAX_ROWS;
  if (omitted > 0) lines.splice(FIRST_ROWS, omitted, `${indent}... ${omitted} rows ...`);
  const head = threads.map((name, i) => name.padEnd(widths[i]! + 2)).join("").trimEnd();
  return [indent + head, ...lines].join("\n");
}

/** A row of the table; without a thread it is a remark. */
interface Row {
  readonly mark: string;
  readonly thread: string | undefined;
  readonly text: string;
  readonly place: string;
}

/** Consecutive steps, and how often they are repeated in all. */
interface Part {
  readonly first: number;
  readonly length: number;
  readonly times: number;
}

function rowsOf(steps: readonly Step[], { first, length, times }: Part): Row[] {
  const rows: Row[] = [];
  for (let i = first; i < first + length; i++) rows.push(...rowsOfStep(steps[i]!, i));
  if (times > 1) {
    const what = length === 1 ? "this step" : `these ${length} steps`;
    rows.push({
      mark: "",
      thread: undefined,
      text: `... ${what} again, ${times - 1} times ...`,
      place: "",
    });
  }
  return rows;
}

function rowsOfStep(step: Step, i: number): Row[] {
  const { thread, operation, lines, accessesBefore, accesses, isSwitch } = step;
  const mark = `${isSwitch ? ">" : " "}${i + 1}`;
  return [
    ...accessRows(thread, accessesBefore),
    { mark, thread, text: operation, place: placeOf(lines) },
    ...accessRows(thread, accesses),
  ];
}

function accessRows(thread: string, accesses: readonly PlainAccess[]): Row[] {
  const shown = accesses.length > MAX_ACCESSES ? accesses.slice(0, MAX_ACCESSES - 1) : accesses;
  const rows = shown.map((access) => accessRow(thread, access));
  const rest = accesses.length - shown.length;
  if (rest > 0) {
    rows.push({ mark: "", thread, text: `  ... ${rest} more plain accesses`, place: "" });
  }
  return rows;
}

function accessRow(thread: string, { text, lines }: PlainAccess): Row {
  return { mark: "", thread, text: `  ${text}`, place: placeOf(lines) };
}

/** The steps in parts: single ones, and blocks that repeat. */
function foldedSteps(steps: readonly Step[]): Part[] {
  const keys = steps.map(({ thread, operation, accessesBefore, accesses }) =>
    [thread, operation, ...[...accessesBefore, ...accesses].map(({ text }) => text)].join("\n")
  );
  const parts: Part[] = [];
  for (let i = 0; i < steps.length;) {
    const part = repeatedPart(keys, i) ?? { first: i, length: 1, times: 1 };
    parts.push(part);
    i += part.length * part.times;
  }
  return parts;
}

/** The block from `first` on that repeats and covers the most steps, if there is one. */
function repeatedPart(keys: readonly string[], first: number): Part | undefined {
  let best: Part | undefined;
  for (let length = 1; length <= MAX_PERIOD; length++) {
    let end = first + length;
    while (end < keys.length && keys[end] === keys[end - length]) end++;
    const times = Math.floor((end - first) / length);
    if (times < MIN_REPEATS) continue;
    if (best === undefined || times * length > best.times * best.length) {
      best = { first, length, times };
    }
  }
  return best;
}
