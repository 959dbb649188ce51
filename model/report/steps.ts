/**
 * An execution as a list of steps: each transition in words.
 *
 * @module
 */

import { type Entry, isOperation, type Operation } from "../machine/entry.ts";
import { operationText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { JOIN, READ, RESUME, SPAWN, WAKE, WRITE } from "../machine/kinds.ts";
import { captureLines } from "../machine/runner.ts";
import type { Thread } from "../machine/thread.ts";

/** One step of a schedule, as reports show it. */
export interface Step {
  /** Name of the thread. */
  readonly thread: string;
  /** The operation, its word, and the value that it saw. */
  readonly operation: string;
  /** The source lines that led to it, innermost first. */
  readonly lines: readonly string[];
  /** Earlier steps of other threads from which a happens-before edge leads directly to this one. */
  readonly after: readonly number[];
  /** Whether the step before was of another thread. */
  readonly isSwitch: boolean;
}

/** The steps of a failed execution; replays each thread once for its source lines. */
export async function stepsOf(execution: Execution): Promise<Step[]> {
  const { threads, trace } = execution;
  const lines = new Map<Entry, readonly string[]>();
  for (const thread of threads) {
    if (thread === undefined) continue;
    const captured = await captureLines(execution, thread);
    thread.log.forEach((entry, i) => lines.set(entry, captured[i] ?? []));
  }
  return trace.map((entry, i) => {
    const thread = threads[entry.thread]!;
    return {
      thread: thread.name,
      operation: operationText(entry, threads) + plainAccesses(thread, entry),
      lines: lines.get(entry) ?? [],
      after: edgesInto(trace, i),
      isSwitch: i > 0 && trace[i - 1]!.thread !== entry.thread,
    };
  });
}

/** The steps of other threads from which a happens-before edge leads directly to step `i`. */
function edgesInto(trace: readonly Operation[], i: number): number[] {
  const entry = trace[i]!;
  const before = trace.slice(0, i);
  const found: number[] = [];
  if (entry.traits.reads) {
    // The write that it reads, if that was atomic and of the same range.
    found.push(
      before.findLastIndex((e) =>
        e.wrote && e.buffer === entry.buffer && e.start === entry.start && e.size === entry.size
      ),
    );
  }
  if (entry.kind === WAKE || entry.kind === RESUME) found.push(entry.detail.waker);
  if (entry.kind === JOIN) {
    found.push(before.findLastIndex((e) => e.thread === entry.detail.child));
  }
  if (!before.some((e) => e.thread === entry.thread)) {
    found.push(before.findIndex((e) => e.kind === SPAWN && e.detail.child.id === entry.thread));
  }
  return found.filter((step) => step >= 0 && trace[step]!.thread !== entry.thread);
}

/** The number of plain accesses after an operation in its transition, as ` (+2r 1w)`. */
function plainAccesses(thread: Thread, operation: Operation): string {
  let reads = 0;
  let writes = 0;
  for (let i = thread.log.lastIndexOf(operation) + 1; i < thread.log.length; i++) {
    const entry = thread.log[i]!;
    if (isOperation(entry)) break;
    if (entry.kind === READ) reads++;
    if (entry.kind === WRITE) writes++;
  }
  const text = [reads > 0 ? `${reads}r` : "", writes > 0 ? `${writes}w` : ""].filter(Boolean);
  return text.length === 0 ? "" : ` (+${text.join(" ")})`;
}
