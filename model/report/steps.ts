/**
 * An execution as a list of steps: each transition in words.
 *
 * @module
 */

import { type Entry, isOperation, type Operation } from "../machine/entry.ts";
import { operationText, plainText } from "../machine/entry_text.ts";
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
  /** The plain reads and writes that follow the operation, until the thread's next one. */
  readonly accesses: readonly PlainAccess[];
}

/** A plain access within a step. */
export interface PlainAccess {
  /** The access and its value: `read balance[0] → 100`. */
  readonly text: string;
  /** The source lines that led to it, innermost first. */
  readonly lines: readonly string[];
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
      operation: operationText(entry, threads),
      lines: lines.get(entry) ?? [],
      after: edgesInto(trace, i),
      isSwitch: i > 0 && trace[i - 1]!.thread !== entry.thread,
      accesses: accessesAfter(thread, entry, lines),
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

/** The plain accesses after an operation in its transition. */
function accessesAfter(
  thread: Thread,
  operation: Operation,
  lines: ReadonlyMap<Entry, readonly string[]>,
): PlainAccess[] {
  const accesses: PlainAccess[] = [];
  for (let i = thread.log.lastIndexOf(operation) + 1; i < thread.log.length; i++) {
    const entry = thread.log[i]!;
    if (isOperation(entry)) break;
    if (entry.kind !== READ && entry.kind !== WRITE) continue;
    accesses.push({ text: plainText(entry), lines: lines.get(entry) ?? [] });
  }
  return accesses;
}
