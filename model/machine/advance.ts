/**
 * Brings threads to their next operations: by their known behaviour, or by a replay. Of both, a
 * sample is checked by more replays.
 *
 * @module
 */

import { unwindLog } from "./effects.ts";
import { isOperation } from "./entry.ts";
import { accessText } from "./entry_text.ts";
import type { Execution } from "./execution.ts";
import { applyPlain } from "./plain.ts";
import { difference, isAtImpliedPause } from "./recheck.ts";
import { failReplay } from "./replay_failure.ts";
import { replay, runBody } from "./runner.ts";
import type { Thread } from "./thread.ts";

/** What is added to the message about a thread that had a state of its own. */
const OWN =
  " It was given objects of its own now, as a worker would be: those that setup returned " +
  "hold state that threads shared.";

/** Brings a thread to its next operation, and checks that it would get there again. */
export function advance(execution: Execution, thread: Thread): void | Promise<void> {
  const advanced = advanceOnce(execution, thread);
  const times = execution.rechecks.next(thread);
  if (times === 0) return advanced;
  if (advanced) return advanced.then(() => recheck(execution, thread, times));
  return recheck(execution, thread, times);
}

/** By its known behaviour, else by replay. */
function advanceOnce(execution: Execution, thread: Thread): void | Promise<void> {
  for (;;) {
    const { moment } = thread;
    const entry = moment?.entry;
    const end = moment?.end;
    if (end !== undefined) {
      thread.done = true;
      thread.result = end.result;
    }
    if (entry === undefined) return end === undefined ? replay(execution, thread) : undefined;
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
 * Checks the threads at the end of an execution, when all others have run: with the state of all,
 * and with one of their own, if there may be a difference.
 *
 * @param from The first thread.
 */
export function recheckAll(execution: Execution, from = 0): void | Promise<void> {
  for (let i = from; i < execution.threads.length; i++) {
    const thread = execution.threads[i];
    const run = thread && recheck(execution, thread, 1);
    if (run) return run.then(() => recheckAll(execution, i + 1));
  }
  return recheckAlone(execution, 0);
}

/** Checks the threads from a number on, each as if it alone had the objects that setup returned. */
function recheckAlone(execution: Execution, from: number): void | Promise<void> {
  for (let i = from; i < execution.threads.length; i++) {
    const thread = execution.threads[i];
    const state = thread && execution.ownState?.();
    if (state === undefined) continue;
    const run = recheck(execution, thread!, 1, state);
    if (run) return run.then(() => recheckAlone(execution, i + 1));
  }
}

/** Replays a thread that has advanced some more times; fails if it does something else. */
function recheck(
  execution: Execution,
  thread: Thread,
  times: number,
  ownState?: { readonly state: unknown },
): void | Promise<void> {
  if (execution.failure !== undefined || execution.isOutOfTime || times === 0) return;
  const { log } = thread;
  const { length } = log;
  const before = { announced: thread.announced, done: thread.done, result: thread.result };
  const { isUnprobed } = execution;
  if (isAtImpliedPause(before)) return;
  thread.announced = undefined;
  thread.done = false;
  // As in the run that went on from its last operation.
  thread.known = log.findLastIndex(isOperation) + 1;
  const compare = () => {
    const { announced, done, result } = thread;
    const now = { announced, done, result, outcome: execution.recheckOutcome };
    Object.assign(thread, before);
    execution.isRechecking = false;
    execution.isUnprobed = isUnprobed;
    if (execution.failure !== undefined || execution.isOutOfTime) return;
    const added = log[length];
    const differs = added === undefined
      ? difference(before, now, execution.threads)
      : { first: before.announced ?? "its end", now: accessText(added) };
    if (differs === undefined || added !== undefined) execution.recheckStack = undefined;
    if (differs === undefined) return recheck(execution, thread, times - 1);
    // What it added does not belong to what it did at first.
    unwindLog(execution, thread, length);
    const hint = ownState === undefined ? "" : OWN;
    failReplay(execution, thread, differs.first, differs.now, [], hint);
  };
  const { state } = ownState ?? { state: execution.stateForThread() };
  execution.isRechecking = true;
  execution.recheckExpected = before.announced;
  execution.recheckOutcome = "";
  execution.recheckStack = undefined;
  const run = runBody(execution, thread, state);
  return run ? run.then(compare) : compare();
}
