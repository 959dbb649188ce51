/**
 * What came out of a stream, and whether it is right.
 *
 * @module
 */

import type { FollowReport } from "./follow.ts";
import type { TaskName } from "./tasks.ts";

/** What the writer knows. */
export interface Streamed {
  /** What was streamed. */
  readonly source: string;
  /** Whether it was taken for text. */
  readonly isText: boolean;
  /** Its bytes. */
  readonly bytes: number;
  /** How many records they were cut into. */
  readonly records: number;
  /** In how many messages those went. */
  readonly messages: number;
  /** How long it took until the last worker had seen all. */
  readonly seconds: number;
  /** The size of the ring. */
  readonly ringBytes: number;
  /** Whether the writer waited for the slowest worker. */
  readonly isPaced: boolean;
}

/** What one worker did. */
export interface WorkerSummary extends FollowReport {
  /** Its task. */
  readonly task: TaskName;
  /** How many messages it did not receive. */
  readonly lostMessages: number;
  /** How many bytes of the source it did not receive. */
  readonly lostBytes: number;
}

/** All that is known when a stream is over. */
export interface Summary extends Streamed {
  /** Bytes of the source a second. */
  readonly bytesPerSecond: number;
  /** Records a second. */
  readonly recordsPerSecond: number;
  /** What each worker did. */
  readonly workers: readonly WorkerSummary[];
  /** The hash of the source, computed directly. */
  readonly sha256: string;
  /** Whether the worker that hashed came to the same. Where it lost data it cannot: `incomplete`. */
  readonly hash: "verified" | "incomplete" | "different";
  /** What must not be; empty if all is well. */
  readonly faults: readonly string[];
}

/** Puts together what the writer and the workers say, and judges it. */
export function summarize(
  streamed: Streamed,
  tasks: readonly TaskName[],
  reports: readonly FollowReport[],
  sha256: string,
): Summary {
  const workers = reports.map((report, i): WorkerSummary => ({
    task: tasks[i]!,
    ...report,
    lostMessages: streamed.messages - report.messages,
    lostBytes: streamed.bytes - report.bytes,
  }));
  return {
    ...streamed,
    bytesPerSecond: Math.round(streamed.bytes / streamed.seconds),
    recordsPerSecond: Math.round(streamed.records / streamed.seconds),
    workers,
    sha256,
    hash: judgeHash(workers, sha256),
    faults: workers.flatMap((worker) => findFaults(worker, streamed, sha256)),
  };
}

function judgeHash(workers: readonly WorkerSummary[], sha256: string): Summary["hash"] {
  const worker = workers.find(({ result }) => result.kind === "sha256");
  if (worker === undefined || isIncomplete(worker)) return "incomplete";
  return hashOf(worker) === sha256 ? "verified" : "different";
}

function hashOf({ result }: WorkerSummary): string | undefined {
  return result.kind === "sha256" ? result.hash : undefined;
}

/** Whether the worker did not receive exactly what was sent. */
export function isIncomplete(worker: WorkerSummary): boolean {
  return worker.lostBytes !== 0 || worker.lostMessages !== 0;
}

function findFaults(worker: WorkerSummary, streamed: Streamed, sha256: string): string[] {
  const { task, result } = worker;
  if (isIncomplete(worker)) {
    if (streamed.isPaced) return [`the ${task} worker lost data though the writer waited for it`];
    if (worker.lostBytes < 0 || worker.lostMessages < 0) {
      return [`the ${task} worker received more than was sent`];
    }
    return worker.overruns > 0 ? [] : [`the ${task} worker lost data and was not told`];
  }
  const hash = hashOf(worker);
  if (hash !== undefined && hash !== sha256) {
    return [`the hash worker came to ${hash}, but the SHA-256 of the file is ${sha256}`];
  }
  if (result.kind === "records" && result.records !== streamed.records) {
    return [`the count worker counted ${result.records} records of ${streamed.records}`];
  }
  return [];
}
