/**
 * The content of a report about a failed execution.
 *
 * @module
 */

import type { AccessReport, Failure } from "../failure.ts";
import { type Entry, isOperation } from "../machine/entry.ts";
import { accessText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { impossible } from "../machine/impossible.ts";
import { captureLines } from "../machine/runner.ts";
import { encodeSchedule } from "./schedule.ts";
import { type MemoryWord, memoryWords } from "./memory_words.ts";
import { entriesOfSteps, type Step, stepsOf } from "./steps.ts";

/** A failed execution, as reports show it. */
export interface FailedExecution {
  readonly failure: Failure;
  /** The schedule, for `replay`. */
  readonly replay: string;
  readonly steps: readonly Step[];
  /** The words of memory that it touched. */
  readonly words: readonly MemoryWord[];
  /** The names of the threads. */
  readonly threads: readonly string[];
}

/** Collects the content of a report; replays the threads for their source lines. */
export async function reportExecution(execution: Execution): Promise<FailedExecution> {
  const { racing, threads } = execution;
  const failure = execution.failure ?? impossible("an execution is reported that did not fail");
  const steps = await stepsOf(execution);
  const accesses: AccessReport[] = [];
  for (const entry of [racing?.first, racing?.second]) {
    if (entry !== undefined) accesses.push(await reportAccess(execution, entry));
  }
  return {
    failure: racing === undefined ? failure : { ...failure, accesses },
    replay: encodeSchedule(execution),
    steps,
    words: memoryWords(entriesOfSteps(execution)),
    threads: threads.filter((thread) => thread !== undefined).map((thread) => thread.name),
  };
}

async function reportAccess(execution: Execution, entry: Entry): Promise<AccessReport> {
  const thread = execution.threads[entry.thread]!;
  const captured = await captureLines(execution, thread);
  const index = thread.log.lastIndexOf(entry);
  const operation = thread.log.slice(0, index + 1).findLast(isOperation);
  return {
    thread: thread.name,
    access: accessText(entry),
    step: operation === undefined ? 0 : execution.trace.lastIndexOf(operation) + 1,
    lines: captured[index] ?? [],
  };
}
