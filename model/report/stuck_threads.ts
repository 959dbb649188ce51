/**
 * Why no thread can run.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import { isYield, type Watch } from "../machine/entry.ts";
import { accessText, operationText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { PAUSE, RESUME, WAKE } from "../machine/kinds.ts";
import type { Thread } from "../machine/thread.ts";

type WaitedRange = Pick<Watch, "start" | "size"> & { readonly buffer: Watch["buffer"] | undefined };

/** So many of the last steps of an endless execution are described. */
const DESCRIBED_STEPS = 100;
/** So many operations of each thread are named. */
const DESCRIBED_OPERATIONS = 3;

/** Whether a thread that cannot run should: it is not idle after the end of its body. */
export function isStuck({ done, announced, isDead, isDeath }: Thread): boolean {
  if (isDead || isDeath) return false;
  return !done || (announced !== undefined && announced.kind !== RESUME);
}

/** The failure of an execution in which no thread can run; names each word and its last write. */
export function stuckFailure(execution: Execution): Failure {
  const stuck = execution.threads.filter((thread) => thread !== undefined && isStuck(thread));
  const polls = stuck.every((thread) => isPolling(thread!));
  const reasons = stuck.map((thread) => `${thread!.name} ${reasonOf(execution, thread!)}`);
  return {
    kind: polls ? "livelock" : "deadlock",
    message: `No thread can go on: ${reasons.join("; ")}`,
  };
}

/** The failure of an execution that has become too long; names what its last steps did. */
export function endlessFailure({ trace, threads }: Execution, maxSteps: number): Failure {
  const texts = new Map<number, Set<string>>();
  for (const entry of trace.slice(-DESCRIBED_STEPS)) {
    let own = texts.get(entry.thread);
    if (own === undefined) texts.set(entry.thread, own = new Set());
    own.add(accessText(entry));
  }
  const doings = [...texts].map(([thread, own]) => {
    const named = [...own].slice(0, DESCRIBED_OPERATIONS);
    const more = own.size > named.length ? " and more" : "";
    return `${threads[thread]!.name} repeats ${named.join(", ")}${more}`;
  });
  return {
    kind: "livelock",
    message: `An execution has not ended after ${maxSteps} steps (maxSteps): ${doings.join("; ")}`,
  };
}

/** Whether a thread looks again and again, rather than sleeps until it is notified. */
function isPolling(thread: Thread): boolean {
  const entry = thread.announced;
  if (entry?.kind === PAUSE) return true;
  return entry?.kind === WAKE ? isTimed(entry.detail) : isTimedAsync(thread);
}

function isTimed({ timeoutMs }: { readonly timeoutMs: number }): boolean {
  return timeoutMs !== Infinity;
}

function isTimedAsync({ outstanding }: Thread): boolean {
  return outstanding.some((wait) => isTimed(wait.detail));
}

function reasonOf(execution: Execution, thread: Thread): string {
  const entry = thread.announced;
  const polls = isPolling(thread);
  const ranges: readonly WaitedRange[] = polls && entry !== undefined && isYield(entry)
    ? [...entry.detail.watches, ...entry.detail.emptyLists]
    : entry?.kind === WAKE
    ? [entry]
    : thread.outstanding;
  if (ranges.length === 0) {
    return polls ? "waits for nothing that another thread writes" : "cannot go on";
  }
  const texts = ranges.map((range) => rangeText(execution, range));
  const verb = !polls
    ? "sleeps on"
    : entry?.kind === PAUSE && !entry.detail.isImplied
    ? "spins on"
    : "polls";
  return `${verb} ${texts.join(" and ")}`;
}

function rangeText({ trace, threads }: Execution, { buffer, start, size }: WaitedRange): string {
  const name = buffer!.nameOf(start, size);
  const last = trace.findLast((e) =>
    e.wrote && e.buffer === buffer && e.start < start + size && start < e.start + e.size
  );
  if (last === undefined) return `${name}, which no thread has written`;
  const writer = threads[last.thread]!.name;
  return `${name}, last written by ${writer}: ${operationText(last, threads)}`;
}
