/**
 * What operations do to memory, to waiter lists and to what threads know; and how that is undone.
 *
 * @module
 */

import { join, tick } from "./clock.ts";
import {
  ADD,
  AND,
  BUFFER,
  CALL,
  COMPARE_EXCHANGE,
  Entry,
  EXCHANGE,
  JOIN,
  LOAD,
  NOTIFY,
  OR,
  PAUSE,
  READ,
  RESUME,
  RETURN,
  SPAN_BEGIN,
  SPAN_END,
  SPAWN,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  WRITE,
  XOR,
} from "./entry.ts";
import type { Failure } from "../failure.ts";
import type { Machine } from "./machine.ts";
import type { Cell, ModelBuffer } from "./memory.ts";
import {
  checkAtomic,
  describe,
  forgetAtomic,
  forgetPlainRead,
  forgetPlainWrite,
  noteAtomic,
} from "./races.ts";
import { Thread } from "./thread.ts";

/**
 * Applies an operation that the scheduler has picked.
 *
 * @returns The thread that it starts, if it does.
 */
export function apply(machine: Machine, thread: Thread, entry: Entry): Thread | undefined {
  if (entry.kind > COMPARE_EXCHANGE) return synchronise(machine, thread, entry);
  access(machine, thread, entry);
  return undefined;
}

/** Undoes {@linkcode apply}; what came after it is undone already. */
export function revert(machine: Machine, thread: Thread, entry: Entry): void {
  const cell = entry.cell!;
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC:
      if (entry.sleeper !== undefined) {
        cell.list.sleepers = cell.list.sleepers.slice(0, -1);
        thread.outstanding = thread.outstanding.filter((wait) => wait !== entry);
        entry.sleeper = undefined;
      }
      cell.list.clock = entry.listClockBefore;
      forgetAtomic(entry);
      break;
    case RESUME:
    case WAKE:
      if (entry.outstanding !== undefined) thread.outstanding = entry.outstanding;
      if (entry.result === "timed-out") {
        cell.list.sleepers = entry.sleepersBefore!;
        thread.elapsed -= entry.timeout;
      }
      break;
    case NOTIFY:
      for (const sleeper of entry.sleepersBefore!.slice(0, entry.result as number)) {
        sleeper.notified = false;
        sleeper.clock = undefined;
        sleeper.wakerDepth = -1;
      }
      cell.list.sleepers = entry.sleepersBefore!;
      cell.list.clock = entry.listClockBefore;
      break;
    case SPAWN:
      unwind(machine, machine.threads[entry.other]!, 0);
      machine.threads[entry.other] = undefined;
      thread.spawned--;
      break;
    case PAUSE:
    case JOIN:
    case CALL:
    case RETURN:
      break;
    default:
      forgetAtomic(entry);
      if (entry.wrote) {
        (entry.real as Int32Array)[entry.index] = entry.before as number;
        if (entry.changed) entry.buffer!.bump(entry.start, entry.size, -1);
        entry.wrote = false;
        uninitialise(entry);
      }
  }
}

/** A load, store or read-modify-write. */
function access(machine: Machine, thread: Thread, entry: Entry): void {
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
      // What was given, converted but not wrapped.
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
  }
  entry.before = before;
  entry.result = result;
  entry.wrote = wrote;
  entry.changed = wrote && real[index] !== before;
  orderAccess(machine, thread, entry, kind !== STORE, wrote);
  if (wrote) {
    const { buffer, start, size } = entry;
    if (entry.changed) buffer!.bump(start, size, 1);
    initialise(buffer!, start, size, entry);
  }
  entry.version = entry.buffer!.version(entry.start, entry.size);
}

/** The happens-before edges of an atomic access, and the races it is part of. */
function orderAccess(
  machine: Machine,
  thread: Thread,
  entry: Entry,
  reads: boolean,
  writes: boolean,
): void {
  const cell = entry.cell!;
  let clock = thread.clock;
  if (reads && cell.release !== undefined) clock = join(clock, cell.release);
  entry.clock = clock;
  entry.time = clock[thread.id]!;
  const race = checkAtomic(machine, entry, writes);
  noteAtomic(entry, writes);
  thread.clock = writes ? tick(clock, thread.id) : clock;
  if (reads && entry.buffer!.initialised !== undefined) checkInitialised(machine, thread, entry);
  if (race !== undefined) machine.race(entry, race);
}

/** Everything that is not a plain load, store or read-modify-write; a thread to start, if any. */
function synchronise(machine: Machine, thread: Thread, entry: Entry): Thread | undefined {
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC:
      sleep(machine, thread, entry);
      return;
    case WAKE:
      wake(thread, entry);
      return;
    case RESUME:
      resume(thread, entry);
      return;
    case NOTIFY:
      notify(machine, thread, entry);
      return;
    case SPAWN: {
      const declared = entry.a as Thread;
      const child = new Thread(declared.id, declared.name, declared.body, declared.start);
      child.clock = tick(thread.clock, child.id);
      thread.clock = tick(thread.clock, thread.id);
      thread.spawned++;
      machine.threads[child.id] = child;
      return child;
    }
    case JOIN: {
      const child = machine.threads[entry.other]!;
      thread.clock = join(thread.clock, child.clock);
      entry.result = child.result;
      return;
    }
  }
}

function sleep(machine: Machine, thread: Thread, entry: Entry): void {
  const cell = entry.cell!;
  entry.listClockBefore = cell.list.clock;
  const value = (entry.real as Int32Array)[entry.index]!;
  entry.before = value;
  entry.result = value !== entry.operand
    ? "not-equal"
    : entry.timeout === 0
    ? "timed-out"
    : undefined;
  if (entry.result === undefined) enterList(thread, cell);
  orderAccess(machine, thread, entry, true, false);
  entry.version = entry.buffer!.version(entry.start, entry.size);
  if (entry.result !== undefined) return;
  leaveList(thread, cell);
  const sleeper = { thread: thread.id, notified: false, clock: undefined, wakerDepth: -1 };
  entry.sleeper = sleeper;
  cell.list.sleepers = [...cell.list.sleepers, sleeper];
  if (entry.kind === WAIT_ASYNC) {
    entry.other = thread.log.filter((e) =>
      e.kind === WAIT_ASYNC && e.sleeper !== undefined
    ).length - 1;
    thread.outstanding = [...thread.outstanding, entry];
    return;
  }
  const wake = new Entry(WAKE, thread.id, entry.buffer, entry.start, entry.size);
  wake.cell = cell;
  wake.sleeper = sleeper;
  wake.timeout = entry.timeout;
  thread.announced = wake;
}

function wake(thread: Thread, entry: Entry): void {
  const sleeper = entry.sleeper!;
  entry.other = sleeper.wakerDepth;
  if (sleeper.notified) {
    entry.result = "ok";
    thread.clock = join(thread.clock, sleeper.clock!);
    return;
  }
  const cell = entry.cell!;
  entry.result = "timed-out";
  entry.sleepersBefore = cell.list.sleepers;
  cell.list.sleepers = cell.list.sleepers.filter((other) => other !== sleeper);
  thread.elapsed += entry.timeout;
  enterList(thread, cell);
}

/** Resolves the promise that was notified first; if none was, the one with least time left. */
function resume(thread: Thread, entry: Entry): void {
  const { outstanding } = thread;
  const wait = outstanding.filter((wait) => wait.sleeper!.notified)
    .sort((x, y) => x.sleeper!.wakerDepth - y.sleeper!.wakerDepth)[0] ??
    outstanding.toSorted((x, y) => x.timeout - y.timeout)[0]!;
  entry.outstanding = outstanding;
  entry.cell = wait.cell;
  entry.index = wait.other;
  entry.sleeper = wait.sleeper;
  entry.timeout = wait.timeout;
  thread.outstanding = outstanding.filter((other) => other !== wait);
  wake(thread, entry);
}

function notify(machine: Machine, thread: Thread, entry: Entry): void {
  const cell = entry.cell!;
  entry.listClockBefore = cell.list.clock;
  entry.sleepersBefore = cell.list.sleepers;
  const count = Math.min(entry.operand as number, cell.list.sleepers.length);
  entry.result = count;
  if (count === 0) return;
  enterList(thread, cell);
  for (const sleeper of cell.list.sleepers.slice(0, count)) {
    sleeper.notified = true;
    sleeper.clock = thread.clock;
    sleeper.wakerDepth = machine.trace.length - 1;
  }
  cell.list.sleepers = cell.list.sleepers.slice(count);
  leaveList(thread, cell);
}

/**
 * What a thread learns from whoever changed the list before. Operations that leave the list as it is
 * enter its critical section, too; they are given no edges, so that they commute. That can only
 * make more races, never fewer.
 */
function enterList(thread: Thread, cell: Cell): void {
  if (cell.list.clock !== undefined) thread.clock = join(thread.clock, cell.list.clock);
}

/** What whoever changes the list next learns from a thread. */
function leaveList(thread: Thread, cell: Cell): void {
  cell.list.clock = thread.clock;
  thread.clock = tick(thread.clock, thread.id);
}

/** Removes log entries from the end down to `length`, undoing plain writes. */
export function unwind(machine: Machine, thread: Thread, length: number): void {
  const { log } = thread;
  while (log.length > length) {
    const entry = log.pop()!;
    switch (entry.kind) {
      case READ:
        forgetPlainRead(entry);
        break;
      case WRITE:
        entry.buffer!.bytes.set(entry.before as Uint8Array, entry.start);
        if (entry.changed) entry.buffer!.bump(entry.start, entry.size, -1);
        forgetPlainWrite(entry);
        uninitialise(entry);
        break;
      case BUFFER:
        thread.made--;
        machine.buffers.pop();
        break;
      case SPAN_BEGIN:
        thread.span = -1;
        break;
      case SPAN_END:
        thread.span = entry.other;
        for (let i = log.length - 1; i > thread.span; i--) {
          if (log[i]!.kind === READ) forgetPlainRead(log[i]!);
        }
        break;
    }
  }
}

export function initialise(buffer: ModelBuffer, start: number, size: number, entry?: Entry): void {
  const { initialised } = buffer;
  if (initialised === undefined) return;
  if (entry !== undefined) entry.initialisedBefore = initialised.slice(start, start + size);
  initialised.fill(1, start, start + size);
}

function uninitialise(entry: Entry): void {
  if (entry.initialisedBefore === undefined) return;
  entry.buffer!.initialised!.set(entry.initialisedBefore, entry.start);
}

export function checkInitialised(machine: Machine, thread: Thread, entry: Entry): void {
  const { buffer, start, size } = entry;
  if (!buffer!.initialised!.subarray(start, start + size).includes(0)) return;
  const failure: Failure = {
    kind: "uninitialised read",
    message: `Thread ${thread.name}: ${describe(entry)} reads bytes that nobody has written`,
  };
  if (machine.current !== undefined) machine.fail(failure);
  machine.failure ??= failure;
}
