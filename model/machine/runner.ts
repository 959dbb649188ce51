/**
 * Runs the body of a thread to its next operation, with every earlier call answered from the log.
 *
 * An asynchronous body runs until all its microtasks are done. If it then awaits promises of
 * `Atomics.waitAsync`, its next operation is to resume one of them.
 *
 * @module
 */

import { microtasks } from "../platform.ts";
import { errorText } from "../values.ts";
import { capturedFunctionHint } from "./captured_functions.ts";
import { EntryOf, isOperation, newYieldDetail } from "./entry.ts";
import type { Execution } from "./execution.ts";
import { freeze } from "./freeze.ts";
import { RESUME } from "./kinds.ts";
import { applyPlain } from "./plain.ts";
import { failReplay } from "./replay_failure.ts";
import { isThenable } from "./thenable.ts";
import type { Thread } from "./thread.ts";

/** Brings a thread to its next operation: by its known behaviour, else by replay. */
export function advance(execution: Execution, thread: Thread): void | Promise<void> {
  for (;;) {
    const { moment } = thread;
    const entry = moment?.entry;
    if (entry === undefined) {
      if (moment?.end === undefined) return runBody(execution, thread);
      thread.done = true;
      thread.result = moment.end.result;
      return;
    }
    if (isOperation(entry)) {
      thread.announced = entry;
      return;
    }
    applyPlain(execution, thread, entry);
    if (execution.failure !== undefined) return;
    thread.moment = moment!.child(entry);
  }
}

/**
 * Replays a thread to its next operation, its end, or its failure.
 *
 * @returns A promise if the body is asynchronous.
 */
export function runBody(execution: Execution, thread: Thread): void | Promise<void> {
  thread.cursor = 0;
  thread.unwinding = false;
  thread.rethrown = 0;
  thread.promises = [];
  const known = thread.known = thread.log.length;
  let value: unknown;
  execution.current = thread;
  try {
    value = thread.body(execution.state as never);
    execution.current = undefined;
  } catch (error) {
    execution.current = undefined;
    if (!thread.unwinding) failWith(execution, thread, error);
  }
  if (isThenable(value)) {
    thread.isAsync = true;
    return drive(execution, thread, value).then(() => remember(execution, thread, known));
  }
  if (execution.failure === undefined && !thread.unwinding) end(execution, thread, value);
  remember(execution, thread, known);
}

/**
 * The stack lines of every entry in a thread's log, and of its next operation, by replay.
 *
 * A failure that was there before stays; without one, the replay may find that the thread does not
 * do the same again.
 */
export function captureLines(
  execution: Execution,
  thread: Thread,
): string[][] | Promise<string[][]> {
  const { done, result, announced } = thread;
  const lines: string[][] = thread.capturing = [];
  const restore = () => {
    thread.capturing = undefined;
    thread.done = done;
    thread.result = result;
    thread.announced = announced;
    return lines;
  };
  const run = runBody(execution, thread);
  return run ? run.then(restore) : restore();
}

/** Whether a thread runs without consequence: for a report, or to look ahead. */
function isAside(thread: Thread): boolean {
  return thread.capturing !== undefined || thread.ahead !== undefined;
}

/** Adds the entries that a replay appended to the first `known` ones to the known behaviour. */
function remember(execution: Execution, thread: Thread, known: number): void {
  if (execution.failure !== undefined || isAside(thread)) return;
  let { moment } = thread;
  const { log } = thread;
  for (let i = known; moment !== undefined && i < log.length; i++) {
    const entry = log[i]!;
    moment.entry = entry;
    moment = moment.child(entry);
  }
  thread.moment = moment;
  if (moment === undefined) return;
  if (thread.announced !== undefined) moment.entry = thread.announced;
  else if (thread.done) moment.end = { result: thread.result };
}

/** Whether a replay is over before all that the thread did at first. */
function isCutShort(thread: Thread): boolean {
  return thread.cursor < thread.log.length && thread.capturing === undefined;
}

function failShort(execution: Execution, thread: Thread, now: string): void {
  failReplay(execution, thread, thread.log[thread.cursor]!, now, []);
}

/** Ends a thread whose body has returned. */
function end(execution: Execution, thread: Thread, value: unknown): void {
  if (thread.ahead !== undefined) return;
  if (isCutShort(thread)) return failShort(execution, thread, "its end");
  if (thread.span >= 0) {
    execution.fail({
      kind: "misuse",
      message: `Thread ${thread.name} ends inside a speculative span`,
    });
  }
  thread.done = true;
  thread.result = freeze(value);
}

/** Fails as a body threw an error. */
function failWith(execution: Execution, thread: Thread, error: unknown): void {
  if (isAside(thread)) return;
  const text = execution.runUntracked(() => errorText(error));
  if (isCutShort(thread)) return failShort(execution, thread, `an error: ${text}`);
  execution.fail({
    kind: "exception",
    message: `Thread ${thread.name} threw ${text}${capturedFunctionHint(text)}`,
    cause: error,
  });
}

/** Drives an asynchronous body: runs its microtasks, and resolves promises as the log did. */
async function drive(
  execution: Execution,
  thread: Thread,
  promise: PromiseLike<unknown>,
): Promise<void> {
  let outcome: { value: unknown } | { error: unknown } | undefined;
  promise.then((value) => outcome = { value }, (error) => outcome = { error });
  for (;;) {
    execution.current = thread;
    await microtasks();
    execution.current = undefined;
    if (thread.unwinding) break;
    const next = thread.log[thread.cursor];
    if (next === undefined && outcome === undefined && thread.ahead?.resolveNext()) continue;
    if (next?.kind !== RESUME) break;
    if (thread.capturing !== undefined) thread.capturing[thread.cursor] = [];
    thread.cursor++;
    thread.promises[next.detail.promise]!(next.result as string);
  }
  if (thread.unwinding || thread.ahead !== undefined) return;
  if (outcome !== undefined) {
    if ("error" in outcome) failWith(execution, thread, outcome.error);
    else end(execution, thread, outcome.value);
    return;
  }
  if (isCutShort(thread)) return failShort(execution, thread, "an await");
  if (thread.outstanding.length === 0) {
    execution.fail({
      kind: "misuse",
      message: `Thread ${thread.name} awaits a promise that no simulated thread resolves: ` +
        "only Atomics.waitAsync can be awaited here",
    });
    return;
  }
  thread.announced = new EntryOf(
    RESUME,
    thread.id,
    {
      sleeper: undefined,
      timeoutMs: Infinity,
      waker: -1,
      sleepersBefore: undefined,
      listClockBefore: undefined,
      outstanding: [],
      promise: -1,
      ...newYieldDetail(),
    },
    undefined,
    0,
    0,
  );
}
