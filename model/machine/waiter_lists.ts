/**
 * The effects of operations on waiter lists, and how they are undone: fall asleep, wake, notify.
 *
 * ECMA-262 runs each of them in the list's critical section. An operation that changes the list
 * passes the thread's clock on to the next one that does. Operations that leave the list as it is
 * get no such edge, so that they commute; that can only add races, never hide one.
 *
 * @module
 */

import { join, tick, timeOf, waitUntil } from "./clock.ts";
import { EntryOf, newYieldDetail, type Wait } from "./entry.ts";
import type { Execution } from "./execution.ts";
import { impossible } from "./impossible.ts";
import { type NOTIFY, type RESUME, WAIT_ASYNC, WAKE } from "./kinds.ts";
import type { Cell } from "./memory.ts";
import type { Thread } from "./thread.ts";

/** Acquires the clock of the last change of the list. */
export function enterList(thread: Thread, cell: Cell): void {
  if (cell.list.clock !== undefined) thread.clock = join(thread.clock, cell.list.clock);
}

/** Releases the thread's clock to the next change of the list. */
function leaveList(thread: Thread, cell: Cell): void {
  cell.list.clock = thread.clock;
  thread.clock = tick(thread.clock, thread.slot);
}

/** Puts the thread to sleep, after its wait has read the expected value. */
export function fallAsleep(thread: Thread, entry: Wait): void {
  const cell = entry.cell!;
  const { detail } = entry;
  leaveList(thread, cell);
  const sleeper = {
    thread: thread.id,
    notified: false,
    clock: undefined,
    wakerDepth: -1,
    deadlineMs: timeOf(thread.clock) + detail.timeoutMs,
  };
  detail.sleeper = sleeper;
  cell.list.sleepers = [...cell.list.sleepers, sleeper];
  if (entry.kind === WAIT_ASYNC) {
    detail.promise = thread.promisesMade++;
    thread.outstanding = [...thread.outstanding, entry];
    return;
  }
  const wake = new EntryOf(
    WAKE,
    thread.id,
    {
      sleeper,
      timeoutMs: detail.timeoutMs,
      waker: -1,
      sleepersBefore: undefined,
      listClockBefore: undefined,
      ...newYieldDetail(),
    },
    entry.buffer,
    entry.start,
    entry.size,
  );
  wake.cell = cell;
  thread.announced = wake;
}

/** Undoes the change of the list that a wait made; its read is undone by the caller. */
export function undoFallAsleep(thread: Thread, entry: Wait): void {
  const { list } = entry.cell!;
  if (entry.detail.sleeper !== undefined) {
    if (list.sleepers.at(-1) !== entry.detail.sleeper) impossible("a later sleeper is not undone");
    list.sleepers = list.sleepers.slice(0, -1);
    if (entry.kind === WAIT_ASYNC) {
      thread.outstanding = thread.outstanding.filter((wait) => wait !== entry);
      thread.promisesMade--;
    }
    entry.detail.sleeper = undefined;
  }
  list.clock = entry.detail.listClockBefore;
}

/** Lets a sleeping wait return: because it was notified, else because its timeout expires. */
export function wake(thread: Thread, entry: EntryOf<typeof WAKE> | EntryOf<typeof RESUME>): void {
  const { detail } = entry;
  const sleeper = detail.sleeper!;
  detail.waker = sleeper.wakerDepth;
  if (sleeper.notified) {
    entry.result = "ok";
    thread.clock = join(thread.clock, sleeper.clock!);
    return;
  }
  const cell = entry.cell!;
  entry.result = "timed-out";
  detail.sleepersBefore = cell.list.sleepers;
  cell.list.sleepers = cell.list.sleepers.filter((other) => other !== sleeper);
  enterList(thread, cell);
  thread.clock = waitUntil(thread.clock, sleeper.deadlineMs);
}

/** Undoes {@linkcode wake}. */
export function undoWake(entry: EntryOf<typeof WAKE> | EntryOf<typeof RESUME>): void {
  if (entry.result !== "timed-out") return;
  entry.cell!.list.sleepers = entry.detail.sleepersBefore!;
}

/**
 * Resolves an outstanding promise: the one that was notified first; if none was, the one whose
 * timeout expires first.
 */
export function resume(thread: Thread, entry: EntryOf<typeof RESUME>): void {
  const { outstanding } = thread;
  const { detail } = entry;
  const wait = outstanding.filter((wait) => wait.detail.sleeper!.notified)
    .sort((x, y) => x.detail.sleeper!.wakerDepth - y.detail.sleeper!.wakerDepth)[0] ??
    outstanding.reduce((x, y) => deadlineOf(y) < deadlineOf(x) ? y : x);
  entry.cell = wait.cell;
  detail.outstanding = outstanding;
  detail.promise = wait.detail.promise;
  detail.sleeper = wait.detail.sleeper;
  detail.timeoutMs = wait.detail.timeoutMs;
  thread.outstanding = outstanding.filter((other) => other !== wait);
  wake(thread, entry);
}

/** Undoes {@linkcode resume}. */
export function undoResume(thread: Thread, entry: EntryOf<typeof RESUME>): void {
  thread.outstanding = entry.detail.outstanding;
  undoWake(entry);
}

/** The time at which the timeout of an outstanding promise expires. */
function deadlineOf({ detail }: EntryOf<typeof WAIT_ASYNC>): number {
  return detail.sleeper!.deadlineMs;
}

/** Wakes the first sleepers of the list. */
export function notify(execution: Execution, thread: Thread, entry: EntryOf<typeof NOTIFY>): void {
  const cell = entry.cell!;
  const { list } = cell;
  entry.detail.listClockBefore = list.clock;
  entry.detail.sleepersBefore = list.sleepers;
  const count = Math.min(entry.detail.count, list.sleepers.length);
  entry.result = count;
  if (count === 0) return;
  enterList(thread, cell);
  for (const sleeper of list.sleepers.slice(0, count)) {
    sleeper.notified = true;
    sleeper.clock = thread.clock;
    sleeper.wakerDepth = execution.trace.length - 1;
  }
  list.sleepers = list.sleepers.slice(count);
  leaveList(thread, cell);
}

/** Undoes {@linkcode notify}. */
export function undoNotify(entry: EntryOf<typeof NOTIFY>): void {
  const { list } = entry.cell!;
  const sleepers = entry.detail.sleepersBefore!;
  for (const sleeper of sleepers.slice(0, entry.result as number)) {
    sleeper.notified = false;
    sleeper.clock = undefined;
    sleeper.wakerDepth = -1;
  }
  list.sleepers = sleepers;
  list.clock = entry.detail.listClockBefore;
}
