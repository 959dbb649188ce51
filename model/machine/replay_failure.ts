/**
 * The failure of a thread that, when it is replayed, does something else than at first.
 *
 * @module
 */

import type { AccessReport } from "../failure.ts";
import { type Entry, isOperation } from "./entry.ts";
import { requestText } from "./entry_text.ts";
import type { Execution } from "./execution.ts";
import type { Thread } from "./thread.ts";

/**
 * Fails with what the thread did at first, and what it does now.
 *
 * @param first The entry that it does not repeat, of its log or the next one; or its end, in words.
 * @param now What it does instead.
 * @param lines The source lines that led to that, innermost first.
 * @param hint A sentence for the end of the message.
 * @throws {unknown} The sentinel that unwinds the thread, if it is running.
 */
export function failReplay(
  execution: Execution,
  thread: Thread,
  first: Entry | string,
  now: string,
  lines: readonly string[],
  hint = "",
): void {
  const isEnd = typeof first === "string";
  const found = isEnd ? -1 : thread.log.lastIndexOf(first);
  const index = found < 0 ? thread.log.length : found;
  // A line that was captured here is not one of the first run.
  if (thread.capturing !== undefined) thread.capturing.length = index;
  const operation = thread.log.slice(0, index + 1).findLast(isOperation);
  const isNext = found < 0 && !(isEnd && operation === undefined);
  const step = isNext
    ? execution.trace.length + 1
    : operation === undefined
    ? 0
    : execution.trace.lastIndexOf(operation) + 1;
  const before = isEnd ? first : requestText(first, execution.threads);
  const access = (access: string, lines: readonly string[]): AccessReport => ({
    thread: thread.name,
    access,
    step,
    lines,
  });
  execution.fail({
    kind: "nondeterminism",
    message: `Thread ${thread.name} does not replay to the same operations: its step ` +
      `${index + 1} was ${before} at first, and is now ${now}. A body must depend on nothing but ` +
      "its argument and shared memory: create the objects that it changes inside it." + hint,
    accesses: [access(`at first ${before}`, []), access(`now ${now}`, lines)],
  }, { first: isEnd ? undefined : first, second: undefined });
}
