/**
 * The tasks of the workers: counting records, hashing, and counting bytes.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { BroadcastReader } from "../../broadcast/mod.ts";

/** Computes something from a stream of messages. */
export interface Task {
  /** Processes the current message of `reader`. */
  take(reader: BroadcastReader): void;
  /** The result at the end of the stream. */
  result(): TaskResult;
}

/** The result of a task. */
export type TaskResult =
  | { readonly task: "count"; readonly records: number }
  | { readonly task: "hash"; readonly sha256: string }
  | { readonly task: "bytes"; readonly total: number; readonly top: readonly ByteCount[] };
type ByteCount = { readonly value: string; readonly count: number };

/** The name of a task. */
export type TaskName = TaskResult["task"];

/** Creates a task, by name. */
export const TASKS: Readonly<Record<TaskName, () => Task>> = {
  count: countRecords,
  hash: computeHash,
  bytes: countBytes,
};

function countRecords(): Task {
  let records = 0;
  return {
    take(reader) {
      if (reader.isFinal) records++; // a long record goes in several messages
    },
    result: () => ({ task: "count", records }),
  };
}

function computeHash(): Task {
  const hash = createHash("sha256");
  return {
    take(reader) {
      hash.update(reader.message());
    },
    result: () => ({ task: "hash", sha256: hash.digest("hex") }),
  };
}

function countBytes(): Task {
  const counts = new Float64Array(256);
  return {
    take({ bytes, offset, length }) { // like message(), but without creating a view
      for (let i = offset; i < offset + length; i++) counts[bytes[i]!]!++;
    },
    result() {
      const all = Array.from(counts, (count, byte) => ({ value: byteName(byte), count }));
      const top = all.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
      const total = counts.reduce((sum, count) => sum + count);
      return { task: "bytes", total, top: top.slice(0, 5) };
    },
  };
}

function byteName(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return `'${String.fromCharCode(byte)}'`;
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
