/**
 * Runs the body of a thread to its next operation, with every earlier call answered from the log.
 *
 * A thread goes on after its body has returned, as a worker does: with microtasks, and other tasks
 * that it has queued. If none is left, and there are promises of `Atomics.waitAsync`, its next
 * operation is to resume one of them. While no thread of a model is known to have tasks, none is
 * looked for: a body that shows that there are ends the search, which then begins once more.
 *
 * @module
 */

import { collectedRejections, microtasks } from "../platform.ts";
import { errorText } from "../values.ts";
import { capturedFunctionHint } from "./captured_functions.ts";
import { EntryOf, newYieldDetail, type Operation } from "./entry.ts";
import { type Execution, FOUND_TASKS } from "./execution.ts";
import { changedProperty, freeze } from "./freeze.ts";
import { RESUME } from "./kinds.ts";
import { failReplay } from "./replay_failure.ts";
import { isThenable } from "./thenable.ts";
import type { Task } from "./task_queue.ts";
import { SUSPENDED, type Thread } from "./thread.ts";
import { unrunText } from "./unrun.ts";

/**
 * Replays a thread to its next operation, its end, or its failure.
 *
 * @returns A promise if threads have tasks.
 */
export function replay(execution: Execution, thread: Thread): void | Promise<void> {
  const known = thread.known = thread.log.length;
  const run = runBody(execution, thread, execution.stateForThread());
  if (run) return run.then(() => remember(execution, thread, known));
  remember(execution, thread, known);
}

/**
 * Runs a body, with the calls that are in its log answered from it.
 *
 * @param state The argument of the body.
 * @returns A promise if threads have tasks.
 */
export function runBody(
  execution: Execution,
  thread: Thread,
  state: unknown,
): void | Promise<void> {
  return execution.catchesRejections
    ? collectedRejections().then(() => callBody(execution, thread, state))
    : callBody(execution, thread, state);
}

function callBody(execution: Execution, thread: Thread, state: unknown): void | Promise<void> {
  thread.cursor = 0;
  thread.unwinding = false;
  thread.rethrown = 0;
  thread.promises = [];
  thread.tasks.clear();
  let value: unknown;
  execution.current = thread;
  try {
    value = thread.body(state as never);
    execution.current = undefined;
  } catch (error) {
    execution.current = undefined;
    if (!thread.unwinding) failWith(execution, thread, error);
  }
  if (execution.hasTasks) {
    return drive(execution, thread, value).then(() => lookForUnseenWrites(execution, thread));
  }
  if (isThenable(value)) {
    value.then(undefined, () => {});
    return execution.fail(FOUND_TASKS);
  }
  if (execution.failure === undefined && !thread.unwinding) {
    if (isCutShort(thread)) return failShort(execution, thread, "its end");
    end(execution, thread, value);
    execution.isUnprobed = true;
  }
  lookForUnseenWrites(execution, thread);
}

/** Fails if a thread that has just run has written memory that is guarded against that. */
function lookForUnseenWrites(execution: Execution, thread: Thread): void {
  if (execution.unseenWrites === undefined || execution.failure !== undefined) return;
  if (isAside(thread)) return;
  const failure = execution.unseenWrites.look(thread.name);
  if (failure !== undefined) execution.fail(failure);
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
  const run = replay(execution, thread);
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
  moment.entry = thread.announced;
  if (thread.done) moment.end = { result: thread.result };
}

/** Whether a replay is over before all that the thread did at first. */
function isCutShort(thread: Thread): boolean {
  return thread.cursor < thread.log.length && thread.capturing === undefined;
}

function failShort(execution: Execution, thread: Thread, now: string): void {
  failReplay(execution, thread, thread.log[thread.cursor]!, now, []);
}

/** Ends a thread whose body has returned; tasks that it has begun can go on. */
function end(execution: Execution, thread: Thread, value: unknown): void {
  if (thread.ahead !== undefined) return;
  if (thread.span >= 0) {
    execution.fail({
      kind: "misuse",
      message: `Thread ${thread.name} ends inside a speculative span`,
    });
  }
  const unrun = unrunText(value);
  if (unrun !== undefined) {
    execution.fail({ kind: "misuse", message: `Thread ${thread.name} returned ${unrun}` });
  }
  thread.done = true;
  thread.result = freeze(value);
}

/** Fails as a body threw an error. */
function failWith(execution: Execution, thread: Thread, error: unknown): void {
  if (isAside(thread)) return;
  const text = execution.runUntracked(() => errorText(error));
  if (isCutShort(thread)) return failShort(execution, thread, `an error: ${text}`);
  if (execution.isRechecking) {
    execution.recheckOutcome = `an error: ${text}`;
    thread.unwinding = true;
    return;
  }
  const property = changedProperty(text, execution.state);
  if (property !== undefined) {
    return execution.fail({
      kind: "misuse",
      message:
        `Thread ${thread.name} changes ${property} of what setup returned, which is frozen ` +
        "as threads share memory only: create in the body what the body changes",
      cause: error,
    });
  }
  execution.fail({
    kind: "exception",
    message: `Thread ${thread.name} threw ${text}${capturedFunctionHint(text)}`,
    cause: error,
  });
}

/**
 * Drives the tasks of a thread whose body was called: runs them as an event loop does, and resolves
 * promises as the log did.
 */
async function drive(execution: Execution, thread: Thread, value: unknown): Promise<void> {
  let outcome: { value: unknown } | { error: unknown } | undefined;
  const settle = (settled: typeof outcome) => {
    // What comes of unwinding is no outcome.
    if (!thread.unwinding && execution.failure === undefined) outcome = settled;
  };
  if (isThenable(value)) value.then((value) => settle({ value }), (error) => settle({ error }));
  else settle({ value });
  for (;;) {
    await runTasks(execution, thread);
    if (thread.unwinding) break;
    const next = thread.log[thread.cursor];
    if (next === undefined && thread.ahead?.resolveNext()) continue;
    if (next?.kind !== RESUME) break;
    if (thread.capturing !== undefined) thread.capturing[thread.cursor] = [];
    thread.cursor++;
    thread.promises[next.detail.promise]!(next.result as string);
  }
  if (thread.ahead !== undefined) return;
  if (execution.failure !== undefined && thread.capturing === undefined) return;
  if (outcome !== undefined) {
    if ("error" in outcome) return failSettled(execution, thread, outcome.error);
    end(execution, thread, outcome.value);
  }
  if (thread.unwinding) return;
  if (isCutShort(thread)) {
    return failShort(execution, thread, outcome === undefined ? "an await" : "its end");
  }
  if (execution.catchesRejections && thread.capturing === undefined) {
    const [reason] = await collectedRejections();
    if (reason !== undefined) return failWith(execution, thread, reason);
  }
  if (thread.outstanding.length > 0) {
    thread.announced = newResume(thread);
  } else if (outcome === undefined) {
    if (execution.isRechecking) {
      execution.recheckOutcome = "an await";
      return;
    }
    execution.fail({
      kind: "misuse",
      message: `Thread ${thread.name} awaits a promise that no simulated thread resolves: ` +
        "only Atomics.waitAsync can be awaited here, and what this thread itself resolves",
    });
  }
}

/**
 * Runs the tasks of a thread, until none is left or it is suspended: those of `process.nextTick`,
 * then microtasks, then one of `setImmediate`, and again.
 */
async function runTasks(execution: Execution, thread: Thread): Promise<void> {
  let task = thread.tasks.nextTick();
  do {
    execution.current = thread;
    for (; task !== undefined; task = thread.tasks.nextTick()) runTask(execution, thread, task);
    await microtasks();
    execution.current = undefined;
    // Ticks are run even then: some may be the platform's own, of a stream that was written to.
    task = thread.unwinding ? thread.tasks.nextTick() : thread.tasks.next();
  } while (task !== undefined);
}

/** Runs a task of a thread; it fails if the task throws. */
export function runTask(execution: Execution, thread: Thread, task: Task): void {
  try {
    task();
  } catch (error) {
    if (thread.unwinding) return;
    thread.unwinding = true;
    const { current } = execution;
    execution.current = undefined;
    failWith(execution, thread, error);
    execution.current = current;
  }
}

/** Fails as the promise of a body was rejected. */
function failSettled(execution: Execution, thread: Thread, error: unknown): void {
  if (error !== SUSPENDED) return failWith(execution, thread, error);
  if (isAside(thread)) return;
  execution.fail({
    kind: "misuse",
    message: `Thread ${thread.name} awaits a promise that another thread made: threads have no ` +
      "objects in common. Await Atomics.waitAsync, and let the other thread notify",
  });
}

/** The operation that resumes one of the outstanding promises of a thread. */
function newResume(thread: Thread): Operation {
  return new EntryOf(
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
