/**
 * Why no thread can run.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import type { Watch } from "../machine/entry.ts";
import { operationText } from "../machine/entry_text.ts";
import type { Execution } from "../machine/execution.ts";
import { PAUSE, RESUME, WAKE } from "../machine/kinds.ts";
import type { Thread } from "../machine/thread.ts";

type WaitedRange = Pick<Watch, "start" | "size"> & { readonly buffer: Watch["buffer"] | undefined };

/** Whether a thread that cannot run should: it is not idle after the end of its body. */
export function isStuck({ done, announced }: Thread): boolean {
  return !done || (announced !== undefined && announced.kind !== RESUME);
}

/** The failure of an execution in which no thread can run; names each word and its last write. */
export function stuckFailure(execution: Execution): Failure {
  const stuck = execution.threads.filter((thread) => thread !== undefined && isStuck(thread));
  const spin = stuck.every((thread) => thread!.announced?.kind === PAUSE);
  const reasons = stuck.map((thread) => `${thread!.name} ${reasonOf(execution, thread!)}`);
  return {
    kind: spin ? "livelock" : "deadlock",
    message: `No thread can go on: ${reasons.join("; ")}`,
  };
}

function reasonOf(execution: Execution, thread: Thread): string {
  const entry = thread.announced;
  const isPaused = entry?.kind === PAUSE;
  const ranges: readonly WaitedRange[] = isPaused
    ? entry.detail.watches
    : entry?.kind === WAKE
    ? [entry]
    : thread.outstanding;
  if (ranges.length === 0) return "cannot go on";
  const texts = ranges.map((range) => rangeText(execution, range));
  return `${isPaused ? "spins on" : "sleeps on"} ${texts.join(" and ")}`;
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
