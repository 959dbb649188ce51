/**
 * The effects of operations on memory, on threads and on their clocks, and how they are undone.
 *
 * @module
 */

import { join, MAX_THREADS, tick } from "./clock.ts";
import {
  type Access,
  type EntryOf,
  isAccess,
  isOperation,
  type Operation,
  type Wait,
} from "./entry.ts";
import type { Execution } from "./execution.ts";
import { impossible, unhandled } from "./impossible.ts";
import { forgetInitialised, recordInitialised, reportUninitialised } from "./initialisation.ts";
import {
  ADD,
  AND,
  CALL,
  COMPARE_EXCHANGE,
  DIE,
  EXCHANGE,
  JOIN,
  LOAD,
  NOTIFY,
  OR,
  PAUSE,
  RESUME,
  RETURN,
  SPAWN,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  XOR,
} from "./kinds.ts";
import { undoPlain } from "./plain.ts";
import { forgetAtomic, raceOfAtomic, recordAtomic, reportRace } from "./races.ts";
import { Thread } from "./thread.ts";
import {
  enterList,
  fallAsleep,
  notify,
  resume,
  undoFallAsleep,
  undoNotify,
  undoResume,
  undoWake,
  wake,
} from "./waiter_lists.ts";

/**
 * Applies an operation that the scheduler has chosen.
 *
 * @returns The thread that it starts, if any.
 */
export function apply(execution: Execution, thread: Thread, entry: Operation): Thread | undefined {
  // Most operations are accesses, so they do not wait for the cases of all others.
  if (isAccess(entry)) {
    applyAccess(execution, thread, entry);
    return;
  }
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC:
      applyWait(execution, thread, entry);
      return;
    case WAKE:
      wake(thread, entry);
      return;
    case RESUME:
      resume(thread, entry);
      return;
    case NOTIFY:
      notify(execution, thread, entry);
      return;
    case SPAWN:
      return spawn(execution, thread, entry);
    case JOIN: {
      const child = execution.threads[entry.detail.child]!;
      thread.clock = join(thread.clock, child.clock);
      entry.result = child.result;
      return;
    }
    case DIE: {
      const victim = execution.threads[entry.detail.victim]!;
      entry.result = victim.done ? "after its end" : "before its end";
      victim.isDead = !victim.done;
      // All that it did is visible to those that are told.
      thread.clock = join(thread.clock, victim.clock);
      return;
    }
    case PAUSE:
    case CALL:
    case RETURN:
      return;
    default:
      return unhandled(entry);
  }
}

/** Undoes {@linkcode apply}; everything that came after the operation is undone already. */
export function revert(execution: Execution, thread: Thread, entry: Operation): void {
  if (isAccess(entry)) return revertAccess(entry);
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC:
      undoFallAsleep(thread, entry);
      forgetAtomic(entry);
      return;
    case WAKE:
      return undoWake(entry);
    case RESUME:
      return undoResume(thread, entry);
    case NOTIFY:
      return undoNotify(entry);
    case SPAWN:
      return undoSpawn(execution, thread, entry);
    case DIE:
      execution.threads[entry.detail.victim]!.isDead = false;
      return;
    case JOIN:
    case PAUSE:
    case CALL:
    case RETURN:
      return;
    default:
      return unhandled(entry);
  }
}

/** Starts a thread, in a slot that is free: it fails if there is none. */
function spawn(
  execution: Execution,
  thread: Thread,
  entry: EntryOf<typeof SPAWN>,
): Thread | undefined {
  const { occupants } = execution;
  const isFree = (slot: number) => {
    const occupant = occupants[slot];
    if (occupant === undefined) return true;
    // What it did must happen before: the new thread's clock covers all that the slot has done.
    return occupant.done && occupant.announced === undefined &&
      thread.clock[slot]! >= occupant.clock[slot]!;
  };
  let slot = 0;
  while (slot < MAX_THREADS && !isFree(slot)) slot++;
  if (slot === MAX_THREADS) {
    execution.fail({
      kind: "misuse",
      message: `A model has at most ${MAX_THREADS} threads at one time, and thread ` +
        `${thread.name} spawns one more: join threads before others are spawned. A thread that ` +
        "was joined no longer counts for the one that joined it",
    });
    return undefined;
  }
  const { child: declaration } = entry.detail;
  const name = uniqueName(execution, declaration.name ?? `${thread.name}.${thread.spawned}`);
  thread.spawned++;
  const child = new Thread(declaration, name, slot, occupants[slot]);
  child.clock = tick(thread.clock, slot);
  thread.clock = tick(thread.clock, thread.slot);
  execution.threads[child.id] = child;
  occupants[slot] = child;
  return child;
}

function undoSpawn(execution: Execution, thread: Thread, entry: EntryOf<typeof SPAWN>): void {
  const { id } = entry.detail.child;
  const child = execution.threads[id];
  if (child === undefined) return;
  thread.spawned--;
  unwindLog(execution, child, 0);
  execution.threads[id] = undefined;
  execution.occupants[child.slot] = child.predecessor;
}

/** The name itself, or with `#2` and so on, if threads of the execution have it already. */
function uniqueName({ threads }: Execution, name: string): string {
  let unique = name;
  for (let i = 2; threads.some((thread) => thread?.name === unique); i++) unique = `${name}#${i}`;
  return unique;
}

/** Removes plain entries from the end of a log, down to `length` entries, and undoes them. */
export function unwindLog(execution: Execution, thread: Thread, length: number): void {
  const { log } = thread;
  while (log.length > length) {
    const entry = log.pop()!;
    if (isOperation(entry)) impossible("an operation is unwound as if it were plain");
    undoPlain(execution, thread, entry);
  }
}

/** A load, store or read-modify-write. */
function applyAccess(execution: Execution, thread: Thread, entry: Access): void {
  computeAccess(entry);
  const { wrote } = entry;
  orderAccess(execution, thread, entry, entry.kind !== STORE, wrote);
  if (wrote) {
    if (entry.changed) entry.buffer!.bump(entry.start, entry.size, 1);
    recordInitialised(entry);
  }
  entry.version = entry.buffer!.version(entry.start, entry.size);
}

/** Performs an access on the real memory, and sets what it saw and did. */
export function computeAccess(entry: Access): void {
  const real = entry.real as Int32Array;
  const { index, kind } = entry;
  const operand = entry.operand as number;
  const before = real[index]!;
  let result: unknown = before;
  let wrote = true;
  switch (kind) {
    case LOAD:
      wrote = false;
      break;
    case STORE:
      real[index] = operand;
      // The value that was given, converted but not wrapped.
      result = typeof operand === "bigint"
        ? BigInt(entry.a as bigint)
        : Math.trunc(Number(entry.a)) || 0;
      break;
    case ADD:
      real[index] = before + operand;
      break;
    case SUB:
      real[index] = before - operand;
      break;
    case AND:
      real[index] = before & operand;
      break;
    case OR:
      real[index] = before | operand;
      break;
    case XOR:
      real[index] = before ^ operand;
      break;
    case EXCHANGE:
      real[index] = operand;
      break;
    case COMPARE_EXCHANGE:
      if (before === entry.expected) real[index] = operand;
      else wrote = false;
      break;
    default:
      impossible(`no case for access ${kind satisfies never}`);
  }
  entry.before = before;
  entry.result = result;
  entry.wrote = wrote;
  entry.changed = wrote && real[index] !== before;
}

function revertAccess(entry: Access): void {
  forgetAtomic(entry);
  if (!entry.wrote) return;
  (entry.real as Int32Array)[entry.index] = entry.before as number;
  if (entry.changed) entry.buffer!.bump(entry.start, entry.size, -1);
  entry.wrote = false;
  forgetInitialised(entry);
}

/** Reads the word; falls asleep if it has the expected value. */
function applyWait(execution: Execution, thread: Thread, entry: Wait): void {
  const cell = entry.cell!;
  const { detail } = entry;
  detail.listClockBefore = cell.list.clock;
  const value = (entry.real as Int32Array)[entry.index]!;
  entry.before = value;
  entry.result = value !== entry.expected
    ? "not-equal"
    : detail.timeoutMs === 0
    ? "timed-out"
    : undefined;
  if (entry.result === undefined) enterList(thread, cell);
  orderAccess(execution, thread, entry, true, false);
  entry.version = entry.buffer!.version(entry.start, entry.size);
  if (entry.result === undefined) fallAsleep(thread, entry);
}

/** Adds the happens-before edges of an atomic access, and reports a race that it is part of. */
function orderAccess(
  execution: Execution,
  thread: Thread,
  entry: Access | Wait,
  reads: boolean,
  writes: boolean,
): void {
  const cell = entry.cell!;
  let clock = thread.clock;
  if (reads && cell.release !== undefined) clock = join(clock, cell.release);
  entry.clock = clock;
  entry.slot = thread.slot;
  entry.time = clock[thread.slot]!;
  const race = raceOfAtomic(execution, entry, writes);
  recordAtomic(entry, writes);
  thread.clock = writes ? tick(clock, thread.slot) : clock;
  if (reads) reportUninitialised(execution, entry);
  reportRace(execution, entry, race);
}
