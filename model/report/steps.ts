/**
 * An execution as a list of steps: each transition in words.
 *
 * @module
 */

import { stackLines } from "../interception/stack_lines.ts";
import { type Entry, isOperation, type Operation } from "../machine/entry.ts";
import { operationText, plainText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { CLOCK, JOIN, READ, RESUME, SPAWN, WAKE, WRITE } from "../machine/kinds.ts";
import { captureLines } from "../machine/runner.ts";

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
  /** The plain reads and writes before the thread's first operation, if this is that. */
  readonly accessesBefore: readonly PlainAccess[];
  /** The plain reads and writes that follow the operation, until the thread's next one. */
  readonly accesses: readonly PlainAccess[];
}

/** A plain access within a step, or a reading of the clock. */
export interface PlainAccess {
  /** The access and its value: `read balance[0] → 100`, `read clock → 50`. */
  readonly text: string;
  /** The source lines that led to it, innermost first. */
  readonly lines: readonly string[];
}

/** The entries of each step of an execution, in the order in which they took effect. */
export function entriesOfSteps({ threads, trace }: Execution): Entry[][] {
  return trace.map((operation) => {
    const { log } = threads[operation.thread]!;
    const index = log.lastIndexOf(operation);
    const entries: Entry[] = log.slice(0, index).some(isOperation) ? [] : log.slice(0, index);
    entries.push(operation);
    for (let i = index + 1; i < log.length && !isOperation(log[i]!); i++) entries.push(log[i]!);
    return entries;
  });
}

/** The steps of a failed execution; replays each thread once for its source lines. */
export async function stepsOf(execution: Execution): Promise<Step[]> {
  const { threads, trace } = execution;
  const lines = new Map<Entry, readonly string[]>();
  for (const thread of threads) {
    if (thread === undefined) continue;
    const captured = await captureLines(execution, thread);
    thread.log.forEach((entry, i) => lines.set(entry, captured[i] ?? firstLines(execution, entry)));
  }
  const entries = entriesOfSteps(execution);
  return trace.map((entry, i) => {
    const own = entries[i]!;
    const at = own.indexOf(entry);
    return {
      thread: threads[entry.thread]!.name,
      operation: operationText(entry, threads),
      lines: lines.get(entry) ?? [],
      after: edgesInto(trace, i),
      isSwitch: i > 0 && trace[i - 1]!.thread !== entry.thread,
      accessesBefore: plainAccesses(own.slice(0, at), lines),
      accesses: plainAccesses(own.slice(at + 1), lines),
    };
  });
}

/** The source lines that led to an entry when it was made, if they were kept. */
export function firstLines({ firstStacks }: Execution, entry: Entry): string[] {
  const stack = firstStacks.get(entry);
  return stack === undefined ? [] : stackLines(stack);
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

/** The plain accesses, and the readings of the clock, among entries. */
function plainAccesses(
  entries: readonly Entry[],
  lines: ReadonlyMap<Entry, readonly string[]>,
): PlainAccess[] {
  return entries.flatMap((entry) =>
    entry.kind === READ || entry.kind === WRITE || entry.kind === CLOCK
      ? [{ text: plainText(entry), lines: lines.get(entry) ?? [] }]
      : []
  );
}
