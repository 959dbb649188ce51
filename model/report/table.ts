/**
 * An execution as a table: one column a thread, one row a step.
 *
 * @module
 */

import type { Step } from "./steps.ts";

/** The end of a stack line: file name and line number. */
export function shortLine(line: string | undefined): string {
  return line?.match(/([^/\\( ]+:\d+):\d+\)?$/)?.[1] ?? "";
}

/** The most rows of a table; if there are more steps, some are omitted after the first rows. */
const MAX_ROWS = 200;
const FIRST_ROWS = 40;

/** The steps as a table for a terminal. */
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
    if (omitted > 0 && i >= FIRST_ROWS && i < FIRST_ROWS + omitted) {
      if (i === FIRST_ROWS) rows.push(`${" ".repeat(number + 2)}... ${omitted} steps ...`);
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
