/**
 * The order in which timeouts expire, where that is asked for: by their deadlines.
 *
 * Only timeouts take time. So one that is due later can expire only when no thread waits for an
 * earlier one: asleep, or with nothing to do but to resume an asynchronous wait. A thread that is
 * busy may be late, as real ones are.
 *
 * @module
 */

import { timeOf } from "./clock.ts";
import type { EntryOf, Operation } from "./entry.ts";
import { NOTIFY, RESUME, WAIT, WAIT_ASYNC, WAKE } from "./kinds.ts";
import type { Sleeper } from "./memory.ts";
import type { Thread } from "./thread.ts";

/** Removes the threads whose next operation is a timeout that is due after another one. */
export function removeLaterTimeouts(enabled: Thread[]): void {
  const sleepers = enabled.map(sleepersOf);
  const deadlines = sleepers.map((own) => earliestOf(own.filter((s) => !s.notified)));
  const earliest = Math.min(...deadlines);
  let kept = 0;
  enabled.forEach((thread, i) => {
    const isTimeout = sleepers[i]!.length > 0 && !sleepers[i]!.some((s) => s.notified);
    if (!isTimeout || deadlines[i]! <= earliest) enabled[kept++] = thread;
  });
  enabled.length = kept;
}

/** The places on waiter lists by which a thread can go on, if it can go on by nothing else. */
function sleepersOf({ announced, outstanding }: Thread): readonly Sleeper[] {
  if (announced?.kind === WAKE) return [announced.detail.sleeper!];
  return announced?.kind === RESUME ? sleepersIn(outstanding) : [];
}

function sleepersIn(waits: readonly EntryOf<typeof WAIT_ASYNC>[]): Sleeper[] {
  return waits.map((wait) => wait.detail.sleeper!);
}

/** The earliest deadline of some sleepers; Infinity if none of them has one. */
export function earliestOf(sleepers: readonly Sleeper[]): number {
  return sleepers.reduce((earliest, { deadlineMs }) => Math.min(earliest, deadlineMs), Infinity);
}

/** The sleepers that a notify has woken. */
export function wokenBy({ detail, result }: EntryOf<typeof NOTIFY>): readonly Sleeper[] {
  return detail.sleepersBefore!.slice(0, result as number);
}

/** Records what a thread waits for after an operation that it has just made. */
export function recordSleepers(thread: Thread, entry: Operation): void {
  entry.sleepers = sleepersOf(thread);
  entry.outstandingMs = earliestOf(sleepersIn(thread.outstanding));
}

/**
 * The earliest deadline for which an operation begins or ends a wait, or would do so if it saw
 * another value; Infinity if there is none.
 */
export function touchedDeadline(entry: Operation): number {
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC: {
      const { timeoutMs } = entry.detail;
      return timeoutMs === 0 ? Infinity : timeOf(entry.clockBefore!) + timeoutMs;
    }
    case WAKE:
      return entry.detail.sleeper!.deadlineMs;
    case RESUME:
      return earliestOf(sleepersIn(entry.detail.outstanding));
    case NOTIFY:
      return earliestOf(wokenBy(entry));
    default:
      return Infinity;
  }
}
