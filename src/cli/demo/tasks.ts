/**
 * The tasks that the demo gives to its workers, by name.
 *
 * @module
 */

import { ByteFrequency } from "./byte_frequency.ts";
import { RecordCount } from "./record_count.ts";
import { Sha256 } from "./sha256.ts";
import type { Task } from "./task.ts";
import { WordFrequency } from "./word_frequency.ts";

const TASKS = {
  count: () => new RecordCount(),
  hash: () => new Sha256(),
  words: () => new WordFrequency(),
  bytes: () => new ByteFrequency(),
} satisfies Record<string, () => Task>;

/** The name of a task. */
export type TaskName = keyof typeof TASKS;

/** Begins the task of this name. */
export function beginTask(name: TaskName): Task {
  return TASKS[name]();
}
