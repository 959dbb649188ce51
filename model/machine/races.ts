/**
 * The race detector: two accesses of one byte by different threads, one of them a write and not
 * both atomic on the same range, must be ordered by happens-before.
 *
 * Happens-before is ECMA-262's and nothing more: program order; an atomic write read by an atomic
 * read of the same range; successive critical sections of one waiter list; thread start and join.
 * By SC-DRF a program without a race in any sequentially consistent execution has no other
 * executions; so this check extends the explorer's result to every engine and processor.
 *
 * The detector keeps for each byte the time of the last plain write and, by slot of the thread, of
 * the last plain read; for each cell, by slot, the times of the last atomic write and read. An
 * access at time `n` in slot `s` happens before everything that a thread does while its clock has
 * at least `n` for `s`.
 *
 * @module
 */

import { type Clock, MAX_THREADS } from "./clock.ts";
import { type Entry, touchesMemory } from "./entry.ts";
import { accessText } from "./entry_text.ts";
import type { Execution } from "./execution.ts";
import type { Cell } from "./memory.ts";
import type { Thread } from "./thread.ts";

/** A race of an access with an earlier one. */
export interface Race {
  /** The earlier access; undefined if its log no longer has it. */
  readonly other: Entry | undefined;
  /** Whether both are atomic, but of different ranges. */
  readonly isMixedSize: boolean;
  readonly message: string;
}

/** The race of a plain read with a write, if any, by the thread's clock at the time of the read. */
export function raceOfPlainRead(execution: Execution, entry: Entry): Race | undefined {
  const { buffer, start, size, slot } = entry;
  const clock = entry.clock!;
  const writes = buffer!.plainWrites;
  for (let i = start; i < start + size; i++) {
    const last = writes[i]!;
    if (last !== 0 && last >> 3 > clock[last & 7]! && (last & 7) !== slot) {
      return raceAt(execution, entry, last & 7, last >> 3, true, false);
    }
  }
  return raceWithCells(execution, entry, clock, false);
}

/**
 * The race of a kept speculative read with a write, if any: a write that came before it or since,
 * and is ordered neither before nor after it.
 */
export function raceOfKeptRead(execution: Execution, entry: Entry): Race | undefined {
  const last = raceOfPlainRead(execution, entry);
  if (last === undefined) return undefined;
  const isAccess = isAccessTo(entry);
  for (const thread of execution.threads) {
    if (thread === undefined) continue;
    for (const other of thread.log) {
      if (!other.wrote || other.slot === entry.slot || !isAccess(other)) continue;
      const isBefore = other.time <= entry.clock![other.slot]!;
      const isAfter = entry.time <= other.clock![entry.slot]!;
      if (!isBefore && !isAfter) return raceBetween(execution, entry, thread, other, false);
    }
  }
}

/** The race of a plain write with another access, if any. */
export function raceOfPlainWrite(execution: Execution, entry: Entry): Race | undefined {
  return raceWithPlain(execution, entry, true) ??
    raceWithCells(execution, entry, entry.clock!, true);
}

/** The race of an atomic access with a plain one, or an atomic one of another range, if any. */
export function raceOfAtomic(
  execution: Execution,
  entry: Entry,
  writes: boolean,
): Race | undefined {
  if (entry.buffer!.hasPlain) {
    const found = raceWithPlain(execution, entry, writes);
    if (found !== undefined) return found;
  }
  for (const cell of entry.cell!.overlaps) {
    const found = raceWithCell(execution, entry, cell, entry.clock!, writes, true);
    if (found !== undefined) return found;
  }
}

function raceWithPlain(execution: Execution, entry: Entry, writes: boolean): Race | undefined {
  const { buffer, start, size, slot } = entry;
  const clock = entry.clock!;
  const { plainWrites, plainReads } = buffer!;
  for (let i = start; i < start + size; i++) {
    const last = plainWrites[i]!;
    if (last !== 0 && (last & 7) !== slot && last >> 3 > clock[last & 7]!) {
      return raceAt(execution, entry, last & 7, last >> 3, true, false);
    }
    if (!writes) continue;
    for (let other = 0; other < MAX_THREADS; other++) {
      const time = plainReads[i * MAX_THREADS + other]!;
      if (other !== slot && time > clock[other]!) {
        return raceAt(execution, entry, other, time, false, false);
      }
    }
  }
}

function raceWithCells(
  execution: Execution,
  entry: Entry,
  clock: Clock,
  writes: boolean,
): Race | undefined {
  for (const cell of entry.buffer!.cellsNear(entry.start, entry.size)) {
    if (cell.start >= entry.start + entry.size || entry.start >= cell.start + cell.size) continue;
    const found = raceWithCell(execution, entry, cell, clock, writes, false);
    if (found !== undefined) return found;
  }
}

function raceWithCell(
  execution: Execution,
  entry: Entry,
  cell: Cell,
  clock: Clock,
  writes: boolean,
  mixed: boolean,
): Race | undefined {
  for (let other = 0; other < MAX_THREADS; other++) {
    if (other === entry.slot) continue;
    if (cell.writeTimes[other]! > clock[other]!) {
      return raceAt(execution, entry, other, cell.writeTimes[other]!, true, mixed);
    }
    if (writes && cell.readTimes[other]! > clock[other]!) {
      return raceAt(execution, entry, other, cell.readTimes[other]!, false, mixed);
    }
  }
}

function raceAt(
  execution: Execution,
  entry: Entry,
  slot: number,
  time: number,
  wrote: boolean,
  isMixedSize: boolean,
): Race {
  const isAccess = isAccessTo(entry);
  for (const thread of execution.threads) {
    if (thread?.slot !== slot) continue;
    const other = thread.log.findLast((e) => e.time === time && (!wrote || e.wrote) && isAccess(e));
    if (other !== undefined) return raceBetween(execution, entry, thread, other, isMixedSize);
  }
  return raceBetween(execution, entry, execution.occupants[slot], undefined, isMixedSize);
}

/** A predicate: whether an entry accesses bytes that the given entry accesses. */
function isAccessTo({ buffer, start, size }: Entry): (entry: Entry) => boolean {
  return (e) =>
    e.buffer === buffer && e.start < start + size && start < e.start + e.size &&
    touchesMemory(e);
}

function raceBetween(
  execution: Execution,
  entry: Entry,
  thread: Thread | undefined,
  other: Entry | undefined,
  isMixedSize: boolean,
): Race {
  const { name } = execution.threads[entry.thread]!;
  const first = other === undefined ? "an access" : accessText(other);
  return {
    other,
    isMixedSize,
    message: `${first} by ${thread?.name} and ${accessText(entry)} by ${name} are not ` +
      (isMixedSize ? "of the same range, and not ordered" : "ordered by happens-before"),
  };
}

/** Fails if there is a race. */
export function reportRace(execution: Execution, entry: Entry, race: Race | undefined): void {
  if (race === undefined) return;
  execution.fail(
    { kind: race.isMixedSize ? "mixed-size race" : "data race", message: race.message },
    { first: race.other, second: entry },
  );
}

/** Records the time of a plain read. */
export function recordPlainRead(entry: Entry): void {
  const { buffer, start, size, slot, time } = entry;
  const times = buffer!.plainReads;
  // An array of a few numbers is created much faster than a typed one.
  const before: number[] = entry.timesBefore = [];
  for (let i = 0; i < size; i++) {
    const at = (start + i) * MAX_THREADS + slot;
    before.push(times[at]!);
    times[at] = time;
  }
}

/** Undoes {@linkcode recordPlainRead}; a no-op if the read was not recorded. */
export function forgetPlainRead(entry: Entry): void {
  const { buffer, start, size, slot, timesBefore } = entry;
  if (timesBefore === undefined) return;
  const times = buffer!.plainReads;
  for (let i = 0; i < size; i++) times[(start + i) * MAX_THREADS + slot] = timesBefore[i]!;
  entry.timesBefore = undefined;
}

/** Records the time of a plain write; later atomic reads acquire nothing from before it. */
export function recordPlainWrite(entry: Entry): void {
  const { buffer, start, size, slot, time } = entry;
  const times = buffer!.plainWrites;
  const before: number[] = entry.timesBefore = [];
  for (let i = start; i < start + size; i++) {
    before.push(times[i]!);
    times[i] = time * 8 + slot;
  }
  const cells = cellsOverlapping(entry);
  if (cells.length === 0) return;
  entry.releasesBefore = cells.map((cell) => cell.release);
  for (const cell of cells) cell.release = undefined;
}

/** Undoes {@linkcode recordPlainWrite}. */
export function forgetPlainWrite(entry: Entry): void {
  entry.buffer!.plainWrites.set(entry.timesBefore!, entry.start);
  if (entry.releasesBefore === undefined) return;
  const { releasesBefore } = entry;
  cellsOverlapping(entry).forEach((cell, i) => cell.release = releasesBefore[i]);
  entry.releasesBefore = undefined;
}

function cellsOverlapping(entry: Entry): Cell[] {
  return entry.buffer!.cellsNear(entry.start, entry.size).filter((cell) =>
    cell.start < entry.start + entry.size && entry.start < cell.start + cell.size
  );
}

/** Records an atomic access; a later atomic read of the same range acquires a write. */
export function recordAtomic(entry: Entry, writes: boolean): void {
  const cell = entry.cell!;
  const times = writes ? cell.writeTimes : cell.readTimes;
  entry.timeBefore = times[entry.slot]!;
  times[entry.slot] = entry.time;
  if (!writes) return;
  entry.releaseBefore = cell.release;
  cell.release = entry.clock;
  if (cell.overlaps.length === 0) return;
  entry.releasesBefore = cell.overlaps.map((other) => other.release);
  for (const other of cell.overlaps) other.release = undefined;
}

/** Undoes {@linkcode recordAtomic}; to be called before `wrote` is reset. */
export function forgetAtomic(entry: Entry): void {
  const cell = entry.cell!;
  (entry.wrote ? cell.writeTimes : cell.readTimes)[entry.slot] = entry.timeBefore;
  if (!entry.wrote) return;
  cell.release = entry.releaseBefore;
  const { releasesBefore } = entry;
  if (releasesBefore === undefined) return;
  cell.overlaps.forEach((other, i) => other.release = releasesBefore[i]);
  entry.releasesBefore = undefined;
}
