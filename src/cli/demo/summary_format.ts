/**
 * How a summary is written for people.
 *
 * @module
 */

import { styleText } from "node:util";
import {
  formatAmount,
  formatCount,
  formatShare,
  formatSize,
  formatTable,
  formatUnit,
  printable,
} from "../format.ts";
import { isIncomplete, type Summary, type WorkerSummary } from "./summary.ts";

/** Writes a summary for people. */
export function formatSummary(summary: Summary, isStyled: boolean): string {
  const style = (format: "bold" | "green" | "yellow" | "red", text: string) =>
    isStyled ? styleText(format, text, { validateStream: false }) : text;
  const { seconds, workers } = summary;
  const kind = summary.isText ? "text" : "binary data";
  const head = [
    `${style("bold", printable(summary.source))}`,
    `${formatAmount(summary.bytes)} of ${kind}, ${formatUnit(summary.records, "record")} ` +
    `in ${formatUnit(summary.messages, "message")}`,
    `over one ring of ${formatSize(summary.ringBytes)} to ${workers.length} workers, ` +
    (summary.isPaced ? "the writer waiting for the slowest" : "the writer not waiting"),
    `in ${seconds.toFixed(3)} s: ${style("bold", `${formatAmount(summary.bytesPerSecond)}/s`)}, ` +
    `${formatCount(summary.recordsPerSecond)} records/s`,
  ];
  const verdict = summary.faults.length > 0
    ? summary.faults.map((fault) => style("red", `wrong: ${fault}`))
    : summary.hash === "verified"
    ? [style("green", `verified: the SHA-256 received is that of the file, ${summary.sha256}`)]
    : [style("yellow", "not verified: the hash is incomplete, as its worker lost data")];
  return [...head, "", formatWorkers(workers), "", ...verdict].join("\n");
}

function formatWorkers(workers: readonly WorkerSummary[]): string {
  const head = ["worker", "messages", "bytes", "max lag", "lost bytes", "overruns", "result"];
  const rows = workers.map((worker) => [
    worker.task,
    formatCount(worker.messages),
    formatCount(worker.bytes),
    formatCount(worker.maxLagBytes),
    formatCount(worker.lostBytes),
    formatCount(worker.overruns),
    formatResult(worker),
  ]);
  const number = "right" as const;
  return formatTable([head, ...rows], ["left", number, number, number, number, number, "left"]);
}

function formatResult(worker: WorkerSummary): string {
  const { result } = worker;
  switch (result.kind) {
    case "records":
      return `${formatUnit(result.records, "record")}, the longest ${
        formatUnit(result.longestBytes, "byte")
      }`;
    case "sha256":
      return isIncomplete(worker) ? "incomplete" : result.hash.slice(0, 16) + "…";
    case "words":
    case "bytes":
      return result.top
        .map(({ value, count }) => `${printable(value)} ${formatShare(count, result.total)}`)
        .join(", ");
  }
}
