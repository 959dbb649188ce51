/**
 * The race detector: two accesses of one byte by different threads, one of them a write and not
 * both atomic on the same range, must be ordered by happens-before.
 *
 * Happens-before is ECMA-262's and nothing more: program order; an atomic write read by an atomic
 * read of the same range; successive critical sections of one waiter list; thread start and join.
 * By SC-DRF a program without a race in any sequentially consistent execution has no other
 * executions, so this check is what carries the explorer's result over to every engine and
 * processor.
 *
 * For each byte stand the time of the last plain write and, by thread, of the last plain read; for
 * each cell, by thread, those of the last atomic write and read. An access at time `n` of thread
 * `t` happens before a thread whose clock says at least `n` for `t`.
 *
 * @module
 */

import { type Clock, MAX_THREADS } from "./clock.ts";
import { COMPARE_EXCHANGE, type Entry, KIND_NAMES, LAST_OPERATION, READ, WRITE } from "./entry.ts";
import type { Cell } from "./memory.ts";

/** The threads' logs, in which the earlier access of a race is found. */
interface Logs {
  readonly threads:
    readonly ({ readonly name: string; readonly log: readonly Entry[] } | undefined)[];
}

/** A race between an access and an earlier one. */
export interface Race {
  /** The earlier access, where its log still has it. */
  readonly other: Entry | undefined;
  /** Both are atomic, but of different ranges. */
  readonly mixedSize: boolean;
  readonly message: string;
}

/** What an entry did and where, for instance `plain write of 4 bytes at ring.data+8`. */
export function describe(entry: Entry): string {
  const name = KIND_NAMES[entry.kind]!;
  if (entry.kind === READ || entry.kind === WRITE) {
    const where = entry.buffer!.nameOf(entry.start, entry.size);
    return `plain ${name} of ${entry.size} byte${entry.size === 1 ? "" : "s"} at ${where}`;
  }
  if (entry.buffer === undefined || entry.kind > LAST_OPERATION) return name;
  return `${name} of ${entry.buffer.nameOf(entry.start, entry.size)}`;
}

/** Whether a plain read races with a write; judged by the clock at the time of the read. */
export function checkPlainRead(logs: Logs, entry: Entry): Race | undefined {
  const { buffer, start, size, thread } = entry;
  const clock = entry.clock!;
  const writes = buffer!.plainWrites;
  for (let i = start; i < start + size; i++) {
    const last = writes[i]!;
    if (last !== 0 && last >> 3 > clock[last & 7]! && (last & 7) !== thread) {
      return race(logs, entry, last & 7, last >> 3, true, false);
    }
  }
  return checkCells(logs, entry, clock, false);
}

/**
 * Whether a speculative read that is kept races with a write: one that came before it or since, and
 * is ordered neither before nor after it.
 */
export function checkKeptRead(logs: Logs, entry: Entry): Race | undefined {
  const last = checkPlainRead(logs, entry);
  if (last === undefined) return undefined;
  const isAccess = isAccessTo(entry);
  for (const thread of logs.threads) {
    if (thread === undefined) continue;
    for (const other of thread.log) {
      if (!other.wrote || other.thread === entry.thread || !isAccess(other)) continue;
      const isBefore = other.time <= entry.clock![other.thread]!;
      const isAfter = entry.time <= other.clock![entry.thread]!;
      if (!isBefore && !isAfter) return report(logs, entry, other.thread, other, false);
    }
  }
}

/** Whether a plain write races with any access. */
export function checkPlainWrite(logs: Logs, entry: Entry): Race | undefined {
  return checkPlain(logs, entry, true) ?? checkCells(logs, entry, entry.clock!, true);
}

/** Whether an atomic access races with a plain one, or with an atomic one of another range. */
export function checkAtomic(logs: Logs, entry: Entry, writes: boolean): Race | undefined {
  if (entry.buffer!.hasPlain) {
    const found = checkPlain(logs, entry, writes);
    if (found !== undefined) return found;
  }
  for (const cell of entry.cell!.overlaps) {
    const found = checkCell(logs, entry, cell, entry.clock!, writes, true);
    if (found !== undefined) return found;
  }
}

function checkPlain(logs: Logs, entry: Entry, writes: boolean): Race | undefined {
  const { buffer, start, size, thread } = entry;
  const clock = entry.clock!;
  const { plainWrites, plainReads } = buffer!;
  for (let i = start; i < start + size; i++) {
    const last = plainWrites[i]!;
    if (last !== 0 && (last & 7) !== thread && last >> 3 > clock[last & 7]!) {
      return race(logs, entry, last & 7, last >> 3, true, false);
    }
    if (!writes) continue;
    for (let other = 0; other < MAX_THREADS; other++) {
      const time = plainReads[i * MAX_THREADS + other]!;
      if (other !== thread && time > clock[other]!) {
        return race(logs, entry, other, time, false, false);
      }
    }
  }
}

function checkCells(logs: Logs, entry: Entry, clock: Clock, writes: boolean): Race | undefined {
  for (const cell of entry.buffer!.cells.values()) {
    if (cell.start >= entry.start + entry.size || entry.start >= cell.start + cell.size) continue;
    const found = checkCell(logs, entry, cell, clock, writes, false);
    if (found !== undefined) return found;
  }
}

function checkCell(
  logs: Logs,
  entry: Entry,
  cell: Cell,
  clock: Clock,
  writes: boolean,
  mixed: boolean,
): Race | undefined {
  for (let other = 0; other < MAX_THREADS; other++) {
    if (other === entry.thread) continue;
    if (cell.writeTimes[other]! > clock[other]!) {
      return race(logs, entry, other, cell.writeTimes[other]!, true, mixed);
    }
    if (writes && cell.readTimes[other]! > clock[other]!) {
      return race(logs, entry, other, cell.readTimes[other]!, false, mixed);
    }
  }
}

function race(
  logs: Logs,
  entry: Entry,
  thread: number,
  time: number,
  wrote: boolean,
  mixedSize: boolean,
): Race {
  const isAccess = isAccessTo(entry);
  const other = logs.threads[thread]?.log.findLast((e) =>
    e.time === time && (!wrote || e.wrote) && isAccess(e)
  );
  return report(logs, entry, thread, other, mixedSize);
}

/** Tells which entries access bytes that `entry` does, too. */
function isAccessTo({ buffer, start, size }: Entry): (entry: Entry) => boolean {
  return (e) =>
    e.buffer === buffer && e.start < start + size && start < e.start + e.size &&
    (e.kind <= COMPARE_EXCHANGE || e.kind === READ || e.kind === WRITE);
}

function report(
  logs: Logs,
  entry: Entry,
  thread: number,
  other: Entry | undefined,
  mixedSize: boolean,
): Race {
  const name = (id: number) => logs.threads[id]?.name ?? `thread ${id}`;
  const first = other === undefined ? "an access" : describe(other);
  return {
    other,
    mixedSize,
    message:
      `${first} by ${name(thread)} and ${describe(entry)} by ${name(entry.thread)} are not ` +
      (mixedSize ? "of the same range, and not ordered" : "ordered by happens-before"),
  };
}

/** Remembers a plain read. */
export function notePlainRead(entry: Entry): void {
  const { buffer, start, size, thread, time } = entry;
  const times = buffer!.plainReads;
  const before = entry.timesBefore = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    const at = (start + i) * MAX_THREADS + thread;
    before[i] = times[at]!;
    times[at] = time;
  }
}

/** Undoes {@linkcode notePlainRead}, if it was done. */
export function forgetPlainRead(entry: Entry): void {
  const { buffer, start, size, thread, timesBefore } = entry;
  if (timesBefore === undefined) return;
  const times = buffer!.plainReads;
  for (let i = 0; i < size; i++) times[(start + i) * MAX_THREADS + thread] = timesBefore[i]!;
  entry.timesBefore = undefined;
}

/** Remembers a plain write, which also ends what atomic writes of those bytes had released. */
export function notePlainWrite(entry: Entry): void {
  const { buffer, start, size, thread, time } = entry;
  const times = buffer!.plainWrites;
  entry.timesBefore = times.slice(start, start + size);
  times.fill(time * 8 + thread, start, start + size);
  const cells = overlapping(entry);
  if (cells.length === 0) return;
  entry.releasesBefore = cells.map((cell) => cell.release);
  for (const cell of cells) cell.release = undefined;
}

/** Undoes {@linkcode notePlainWrite}. */
export function forgetPlainWrite(entry: Entry): void {
  entry.buffer!.plainWrites.set(entry.timesBefore!, entry.start);
  if (entry.releasesBefore === undefined) return;
  const { releasesBefore } = entry;
  overlapping(entry).forEach((cell, i) => cell.release = releasesBefore[i]);
  entry.releasesBefore = undefined;
}

function overlapping(entry: Entry): Cell[] {
  return [...entry.buffer!.cells.values()].filter((cell) =>
    cell.start < entry.start + entry.size && entry.start < cell.start + cell.size
  );
}

/** Remembers an atomic access; a write is what a later read of this very range acquires. */
export function noteAtomic(entry: Entry, writes: boolean): void {
  const cell = entry.cell!;
  const times = writes ? cell.writeTimes : cell.readTimes;
  entry.timeBefore = times[entry.thread]!;
  times[entry.thread] = entry.time;
  if (!writes) return;
  entry.releaseBefore = cell.release;
  cell.release = entry.clock;
  if (cell.overlaps.length === 0) return;
  entry.releasesBefore = cell.overlaps.map((other) => other.release);
  for (const other of cell.overlaps) other.release = undefined;
}

/** Undoes {@linkcode noteAtomic}; to be called while `wrote` still tells what the entry was. */
export function forgetAtomic(entry: Entry): void {
  const cell = entry.cell!;
  (entry.wrote ? cell.writeTimes : cell.readTimes)[entry.thread] = entry.timeBefore;
  if (!entry.wrote) return;
  cell.release = entry.releaseBefore;
  const { releasesBefore } = entry;
  if (releasesBefore === undefined) return;
  cell.overlaps.forEach((other, i) => other.release = releasesBefore[i]);
  entry.releasesBefore = undefined;
}
