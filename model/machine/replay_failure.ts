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
 * @param first The entry of its log that it does not repeat.
 * @param now What it does instead.
 * @param lines The source lines that led to that, innermost first.
 * @throws {unknown} The sentinel that unwinds the thread, if it is running.
 */
export function failReplay(
  execution: Execution,
  thread: Thread,
  first: Entry,
  now: string,
  lines: readonly string[],
): void {
  const index = thread.log.lastIndexOf(first);
  // A line that was captured here is not one of the first run.
  if (thread.capturing !== undefined) thread.capturing.length = index;
  const operation = thread.log.slice(0, index + 1).findLast(isOperation);
  const step = operation === undefined ? 0 : execution.trace.lastIndexOf(operation) + 1;
  const before = requestText(first, execution.threads);
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
      "its argument and shared memory: create the objects that it changes inside it.",
    accesses: [access(`at first ${before}`, []), access(`now ${now}`, lines)],
  }, { first, second: undefined });
}
