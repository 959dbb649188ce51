/**
 * The outcome of a stream: whether everything arrived, and how that is shown.
 *
 * @module
 */

import { styleText } from "node:util";
import {
  formatAmount,
  formatCount,
  formatSize,
  formatTable,
  formatUnit,
  printable,
} from "../output.ts";
import type { Report } from "./worker.ts";

/** The writer's view of the stream; `sha256` was computed from the source directly. */
export interface Outcome {
  readonly source: string;
  readonly kind: string;
  readonly bytes: number;
  readonly records: number;
  readonly messages: number;
  readonly ringBytes: number;
  readonly paced: boolean;
  readonly seconds: number;
  readonly sha256: string;
}

/** An outcome with the reports of the workers, and whether they are right. */
export type Summary = ReturnType<typeof summarize>;
type WorkerSummary = Report & { readonly lostBytes: number };

/** Compares the reports of the workers with the outcome. */
export function summarize(outcome: Outcome, reports: readonly Report[]) {
  const { bytes, records, seconds, sha256 } = outcome;
  const workers = reports.map((report) => ({ ...report, lostBytes: bytes - report.bytes }));
  return {
    ...outcome,
    bytesPerSecond: Math.round(bytes / seconds),
    recordsPerSecond: Math.round(records / seconds),
    workers,
    /** Whether the hash worker came to the same hash. */
    verified: workers.some(({ result }) => result.task === "hash" && result.sha256 === sha256),
    /** What went wrong; empty if the outcome is as it must be. */
    faults: workers.flatMap((worker) => faultOf(worker, outcome) ?? []),
  };
}

function faultOf({ result, lostBytes, overruns }: WorkerSummary, outcome: Outcome) {
  const { task } = result;
  if (lostBytes !== 0) {
    if (outcome.paced) return `the ${task} worker lost data though the writer waited for it`;
    if (lostBytes < 0) return `the ${task} worker received more than was sent`;
    if (overruns === 0) return `the ${task} worker lost data without being overrun`;
  } else if (task === "hash" && result.sha256 !== outcome.sha256) {
    return `the hash worker came to ${result.sha256}, ` +
      `but the SHA-256 of the file is ${outcome.sha256}`;
  } else if (task === "count" && result.records !== outcome.records) {
    return `the count worker counted ${result.records} records of ${outcome.records}`;
  }
}

/** A summary for people. */
export function formatSummary(summary: Summary, styled: boolean): string {
  const { source, kind, faults, verified, sha256, workers } = summary;
  const style = (format: "bold" | "green" | "yellow" | "red", text: string) =>
    styled ? styleText(format, text, { validateStream: false }) : text;
  const records = formatUnit(summary.records, "record");
  const messages = formatUnit(summary.messages, "message");
  const speed = style("bold", `${formatAmount(summary.bytesPerSecond)}/s`);
  const rows = workers.map((worker) => {
    const { result, messages, bytes, maxLagBytes, lostBytes, overruns } = worker;
    const counts = [messages, bytes, maxLagBytes, lostBytes, overruns].map(formatCount);
    return [result.task, ...counts, formatResult(worker)];
  });
  const verdict = verified
    ? style("green", `verified: the SHA-256 received is that of the file, ${sha256}`)
    : style("yellow", "not verified: the hash is incomplete, as its worker lost data");
  return [
    style("bold", printable(source)),
    `${formatAmount(summary.bytes)} of ${kind}, ${records} in ${messages}`,
    `over one ring of ${formatSize(summary.ringBytes)} to ${workers.length} workers, ` +
    (summary.paced ? "the writer waiting for the slowest" : "the writer not waiting"),
    `in ${summary.seconds.toFixed(3)} s: ${speed}, ${
      formatCount(summary.recordsPerSecond)
    } records/s`,
    "",
    formatTable([
      ["worker", "messages", "bytes", "max lag", "lost bytes", "overruns", "result"],
      ...rows,
    ]),
    "",
    ...(faults.length === 0 ? [verdict] : faults.map((fault) => style("red", `wrong: ${fault}`))),
  ].join("\n");
}

function formatResult({ result, lostBytes }: WorkerSummary): string {
  switch (result.task) {
    case "count":
      return formatUnit(result.records, "record");
    case "hash":
      return lostBytes === 0 ? `${result.sha256.slice(0, 16)}…` : "incomplete";
    case "bytes":
      return result.top
        .map(({ value, count }) => `${value} ${(100 * count / result.total).toFixed(1)} %`)
        .join(", ");
  }
}
