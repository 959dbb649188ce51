/**
 * The content of a report about an execution, which has failed or is a replay.
 *
 * @module
 */

import type { AccessReport, Failure } from "../failure.ts";
import { stackLines } from "../interception/stack_lines.ts";
import { type Entry, isOperation } from "../machine/entry.ts";
import { accessText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { impossible } from "../machine/impossible.ts";
import { captureLines } from "../machine/runner.ts";
import { type MemoryWord, memoryWords } from "./memory_words.ts";
import { encodeSchedule, threadsByStart } from "./schedule.ts";
import { entriesOfSteps, firstLines, type Step, stepsOf } from "./steps.ts";

/** An execution, as reports show it. */
export interface ShownExecution {
  /** The schedule, for `replay`. */
  readonly replay: string;
  readonly steps: readonly Step[];
  /** The words of memory that it touched. */
  readonly words: readonly MemoryWord[];
  /** The names of the threads, in the order of their letters in the schedule. */
  readonly threads: readonly string[];
}

/** A failed execution, as reports show it. */
export interface FailedExecution extends ShownExecution {
  readonly failure: Failure;
  /** Whether no execution failed, but all of them together: there are no steps. */
  readonly isOfSearch: boolean;
}

/** Collects the content of a report; replays the threads for their source lines. */
export async function showExecution(execution: Execution): Promise<ShownExecution> {
  const { threads, trace } = execution;
  const order = threadsByStart(threads, trace);
  return {
    replay: encodeSchedule(execution),
    steps: await stepsOf(execution),
    words: memoryWords(entriesOfSteps(execution)),
    threads: order.map((id) => threads[id]!.name),
  };
}

/** Collects the content of a report about a failed execution. */
export async function reportExecution(execution: Execution): Promise<FailedExecution> {
  const { reported, recheckStack } = execution;
  const failure = execution.failure ?? impossible("an execution is reported that did not fail");
  const shown = await showExecution(execution);
  const accesses: AccessReport[] = [];
  for (const entry of [reported?.first, reported?.second]) {
    if (entry !== undefined) accesses.push(await reportAccess(execution, entry));
  }
  // What a replay did instead is known already.
  const [first, now] = failure.accesses ?? [];
  if (first !== undefined) accesses[0] = { ...first, lines: accesses[0]?.lines ?? [] };
  if (now !== undefined) {
    const lines = recheckStack === undefined ? now.lines : stackLines(recheckStack);
    accesses.push({ ...now, lines });
  }
  return {
    ...shown,
    failure: reported === undefined ? failure : { ...failure, accesses },
    isOfSearch: false,
  };
}

/** The content of a report about a search whose executions lack something together. */
export function reportSearch({ threads }: Execution, failure: Failure): FailedExecution {
  const names = threads.filter((thread) => thread !== undefined).map((thread) => thread.name);
  return { failure, replay: "", steps: [], words: [], threads: names, isOfSearch: true };
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
    lines: captured[index] ?? firstLines(execution, entry),
  };
}
