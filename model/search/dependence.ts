/**
 * Which operations of different threads do not commute, and the partial order that follows.
 *
 * Two executions that differ only in the order of independent operations are one Mazurkiewicz
 * trace: they end in the same state, so one of them is enough.
 *
 * @module
 */

import { MAX_THREADS } from "../machine/clock.ts";
import {
  type Entry,
  isAccess,
  isForced,
  isOperation,
  isYield,
  type Operation,
  type Range,
  touchesMemory,
  type Yield,
} from "../machine/entry.ts";
import {
  type AccessKind,
  CALL,
  DIE,
  JOIN,
  NOTIFY,
  type OperationKind,
  PAUSE,
  READ,
  RESUME,
  RETURN,
  SPAN_BEGIN,
  SPAN_END,
  SPAWN,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  WRITE,
} from "../machine/kinds.ts";
import type { ModelBuffer } from "../machine/memory.ts";
import { touchedDeadline, wokenBy } from "../machine/timeouts.ts";

/** The effects of an operation that decide with which others it commutes. */
export interface Footprint {
  readonly thread: number;
  readonly kind: OperationKind;
  /** Whether it is a load, store or read-modify-write: two of them can only conflict in memory. */
  readonly isAccess: boolean;
  /** The memory that it reads or writes. */
  readonly access: Range | undefined;
  /** Whether it wrote there: a failed compareExchange is a read. */
  readonly wrote: boolean;
  /** The value that it left there. */
  readonly value: unknown;
  /** The speculative reads of its thread before the next operation: their values may differ. */
  readonly guesses: readonly Range[];
  /** The plain writes of its thread before the next operation. */
  readonly writes: readonly Range[];
  /** Of a yield that is held or hurried: the ranges that its thread reads after it. */
  readonly watches: readonly Range[];
  /** The waiter lists that it may change. */
  readonly lists: readonly Range[];
  /** For notify: the threads that it woke. */
  readonly woken: readonly number[];
  /** The deadline of the timeout that expired; else 0. */
  readonly expired: number;
  /** The earliest deadline for which it begins or ends a wait, or might do so; else Infinity. */
  readonly awaited: number;
  /** For spawn, join and die: the other thread; else -1. */
  readonly child: number;
  /** For spawn: the name that the new thread asks for, if any. */
  readonly name: string | undefined;
  /** For notify: its own event key; for wake: the key of the notify that caused it; else -1. */
  readonly notifyKey: number;
  /** Whether it depends on everything: a yield that was forced. */
  readonly isBarrier: boolean;
}

const none: readonly Range[] = [];
const noThreads: readonly number[] = [];

type EntryRange = Pick<Entry, "start" | "size"> & { readonly buffer: ModelBuffer | undefined };

function rangeOf({ buffer, start, size }: EntryRange): Range {
  return { buffer: buffer!.id, start, size };
}

function overlap(a: Range, b: Range): boolean {
  return a.start < b.start + b.size && b.start < a.start + a.size && a.buffer === b.buffer;
}

/** The plain accesses of a transition that other threads can notice. */
interface PlainAccesses {
  readonly guesses: readonly Range[];
  readonly writes: readonly Range[];
}

const noPlainAccesses: PlainAccesses = { guesses: none, writes: none };

/** The speculative reads and plain writes between an operation and its thread's next one. */
function plainAccessesAfter(operation: Operation, log: readonly Entry[]): PlainAccesses {
  if (log.at(-1) === operation) return noPlainAccesses;
  const guesses: Range[] = [];
  const writes: Range[] = [];
  let isGuess = operation.isInSpan;
  for (let i = log.lastIndexOf(operation) + 1; i < log.length; i++) {
    const entry = log[i]!;
    if (isOperation(entry)) break;
    if (entry.kind === SPAN_BEGIN) isGuess = true;
    else if (entry.kind === SPAN_END) isGuess = false;
    else if (entry.kind === READ && isGuess) addRange(guesses, entry);
    else if (entry.kind === WRITE) addRange(writes, entry);
  }
  return { guesses, writes };
}

/** A range is merged with one of so many that were added last. */
const MERGED_RANGES = 4;

/** Adds a range to a list, or widens one that it touches: loops access neighbours in turn. */
function addRange(ranges: Range[], { buffer, start, size }: EntryRange): void {
  const { id } = buffer!;
  for (let i = ranges.length - 1; i >= Math.max(0, ranges.length - MERGED_RANGES); i--) {
    const known = ranges[i]!;
    const end = known.start + known.size;
    if (known.buffer !== id || start > end || known.start > start + size) continue;
    if (start >= known.start && start + size <= end) return;
    const first = Math.min(start, known.start);
    ranges[i] = { buffer: id, start: first, size: Math.max(end, start + size) - first };
    return;
  }
  ranges.push({ buffer: id, start, size });
}

/** The waiter lists that an operation may change. */
function listsOf(entry: Operation): readonly Range[] {
  switch (entry.kind) {
    case WAIT:
    case WAIT_ASYNC:
      // Even if it does not sleep: whether it does may be due to a third operation, independent of
      // the notify, and must not decide which operations depend on each other.
      return entry.detail.timeoutMs === 0 ? none : [accessRange(entry)];
    case NOTIFY:
      return entry.detail.count === 0 ? none : [accessRange(entry)];
    case PAUSE:
      return heldLists(entry);
    case WAKE:
      return entry.result === "timed-out" ? [accessRange(entry), ...heldLists(entry)] : none;
    case RESUME:
      return [...entry.detail.outstanding.map(accessRange), ...heldLists(entry)];
    default:
      return none;
  }
}

/** Whether a yield depends on what its thread reads after it. */
function isTied({ detail }: Yield): boolean {
  return detail.isHeld || detail.isHurried;
}

/** The waiter lists that a thread would look at after a yield. */
function heldLists(entry: Yield): readonly Range[] {
  const { emptyLists } = entry.detail;
  return isTied(entry) && emptyLists.length > 0 ? emptyLists.map(rangeOf) : none;
}

/** The range of an operation; entries are applied many times, so it is computed once. */
export function accessRange(entry: Operation): Range {
  return entry.range ??= rangeOf(entry);
}

/**
 * The footprint of an operation that has just taken effect.
 *
 * @param log The log of its thread.
 * @param key Its event key, see {@linkcode eventKey}.
 * @param wakerKey The event key of the notify that woke it, or -1.
 */
export function footprintOf(
  entry: Operation,
  log: readonly Entry[],
  key: number,
  wakerKey: number,
): Footprint {
  const { kind } = entry;
  const { guesses, writes } = plainAccessesAfter(entry, log);
  // Most operations are accesses.
  if (isAccess(entry)) {
    return {
      thread: entry.thread,
      kind,
      isAccess: true,
      access: accessRange(entry),
      wrote: entry.wrote,
      value: entry.real![entry.index],
      guesses,
      writes,
      watches: none,
      lists: none,
      woken: noThreads,
      expired: 0,
      awaited: entry.outstandingMs,
      child: -1,
      name: undefined,
      notifyKey: -1,
      isBarrier: false,
    };
  }
  const touches = touchesMemory(entry);
  return {
    thread: entry.thread,
    kind,
    isAccess: false,
    access: touches ? accessRange(entry) : undefined,
    wrote: entry.wrote,
    value: touches ? entry.real![entry.index] : undefined,
    guesses,
    writes,
    watches: isYield(entry) && isTied(entry) ? entry.detail.watches.map(rangeOf) : none,
    lists: listsOf(entry),
    woken: kind === NOTIFY ? wokenBy(entry).map((sleeper) => sleeper.thread) : noThreads,
    expired: expiredDeadline(entry),
    awaited: Math.min(entry.outstandingMs, touchedDeadline(entry)),
    child: otherThread(entry),
    name: kind === SPAWN ? entry.detail.child.name : undefined,
    notifyKey: kind === NOTIFY ? key : kind === WAKE ? wakerKey : -1,
    isBarrier: isForced(entry),
  };
}

/** The thread that an operation starts, waits for or ends; else -1. */
function otherThread(entry: Operation): number {
  switch (entry.kind) {
    case SPAWN:
      return entry.detail.child.id;
    case JOIN:
      return entry.detail.child;
    case DIE:
      return entry.detail.victim;
    default:
      return -1;
  }
}

/** The deadline of the timeout that expired by an operation; else 0. */
function expiredDeadline(entry: Operation): number {
  const isTimeout = (entry.kind === WAKE || entry.kind === RESUME) && entry.result === "timed-out";
  return isTimeout ? entry.detail.sleeper!.deadlineMs : 0;
}

/** More threads than these are not spawned in one search. */
const MAX_THREAD_NUMBERS = 2 ** 20;

/** A number for the `ordinal`-th operation of a thread, the same in every execution. */
function eventKey(thread: number, ordinal: number): number {
  return ordinal * MAX_THREAD_NUMBERS + thread;
}

/** Decides whether two operations commute. */
export class Dependence {
  readonly #ordersWrites: boolean;
  /** Whether timeouts expire in the order of their deadlines. */
  readonly ordersTimeouts: boolean;

  /**
   * @param ordersWrites Whether all writes depend on each other, so that each trace has one
   *   sequence of memory states; needed for an invariant that is checked after each step.
   * @param ordersTimeouts Whether timeouts expire in the order of their deadlines.
   */
  constructor(ordersWrites: boolean, ordersTimeouts = false) {
    this.#ordersWrites = ordersWrites;
    this.ordersTimeouts = ordersTimeouts;
  }

  /** Whether the order of two operations matters. */
  dependent(a: Footprint, b: Footprint): boolean {
    if (a.thread === b.thread || a.isBarrier || b.isBarrier) return true;
    if (a.access !== undefined && b.access !== undefined && (a.wrote || b.wrote)) {
      if (overlap(a.access, b.access)) return true;
      if (this.#ordersWrites && a.wrote && b.wrote) return true;
    }
    if (this.ordersTimeouts && (delays(a, b) || delays(b, a))) return true;
    if (a.guesses.length > 0 && invalidatesGuess(b, a)) return true;
    if (b.guesses.length > 0 && invalidatesGuess(a, b)) return true;
    if (a.isAccess && b.isAccess) return false;
    if (releases(a, b) || releases(b, a)) return true;
    return affects(a, b) || affects(b, a);
  }
}

/** Whether transition `a` writes a range that transition `b` reads speculatively. */
function invalidatesGuess(a: Footprint, b: Footprint): boolean {
  return b.guesses.some((guess) =>
    (a.wrote && overlap(a.access!, guess)) || a.writes.some((write) => overlap(write, guess))
  );
}

/** Whether transition `a` begins or ends a wait for a deadline before that which expired in `b`. */
export function delays(a: Footprint, b: Footprint): boolean {
  return a.awaited < b.expired;
}

/** Whether transition `a` writes a range that the held yield `b` watches. */
function releases(a: Footprint, b: Footprint): boolean {
  return a.wrote && b.watches.some((watch) => overlap(watch, a.access!));
}

function shareList(a: Footprint, b: Footprint): boolean {
  return a.lists.some((list) => b.lists.some((other) => overlap(list, other)));
}

/** Dependences other than by memory; to be asked in both orders. */
function affects(a: Footprint, b: Footprint): boolean {
  switch (a.kind) {
    case WAKE:
      if (a.lists.length > 0) return shareList(a, b);
      return b.kind === NOTIFY && a.notifyKey === b.notifyKey;
    case NOTIFY:
      if (a.woken.length + b.woken.length === 0) return false;
      // The asynchronous waits of one thread resume in the order of their notification.
      return shareList(a, b) || a.woken.some((thread) => b.woken.includes(thread));
    case WAIT:
    case WAIT_ASYNC:
    case RESUME:
    case PAUSE:
      return shareList(a, b);
    case SPAWN:
      // The second thread of a name gets another one.
      return a.child === b.thread || (a.name !== undefined && a.name === b.name);
    case JOIN:
    case DIE:
      return a.child === b.thread;
    case CALL:
      // Linearizability depends on whether one call returns before another begins.
      return b.kind === RETURN;
    default:
      a.kind satisfies AccessKind | typeof RETURN;
      return false;
  }
}

/** An operation in its place in an execution. */
export interface Event {
  readonly entry: Operation;
  readonly footprint: Footprint;
  /** It is the thread's `ordinal`-th operation, from 1. */
  readonly ordinal: number;
  /**
   * For each thread, how many of its events come before this one in the partial order; of threads
   * beyond its end, none.
   */
  readonly clock: readonly number[];
  /** Earlier events of other threads that it follows immediately in the partial order. */
  readonly races: readonly number[];
}

/** Whether `a` comes before `b` in the partial order, or is `b`. */
export function precedes(a: Event, b: Event): boolean {
  return b.clock[a.footprint.thread]! >= a.ordinal;
}

/**
 * Appends the event of an operation that has just taken effect.
 *
 * @param log The log of its thread.
 */
export function appendEvent(
  events: Event[],
  entry: Operation,
  log: readonly Entry[],
  dependence: Dependence,
): Event {
  const { thread } = entry;
  let previous: Event | undefined;
  for (let i = events.length - 1; i >= 0; i--) {
    if (events[i]!.footprint.thread === thread) {
      previous = events[i];
      break;
    }
  }
  const ordinal = (previous?.ordinal ?? 0) + 1;
  const waker = entry.kind === WAKE && entry.result === "ok"
    ? events[entry.detail.waker]
    : undefined;
  const footprint = footprintOf(
    entry,
    log,
    eventKey(thread, ordinal),
    waker === undefined ? -1 : eventKey(waker.footprint.thread, waker.ordinal),
  );
  const clock = previous === undefined
    ? new Array<number>(Math.max(MAX_THREADS, thread + 1)).fill(0)
    : previous.clock.slice();
  clock[thread] = ordinal;
  const races: number[] = [];
  for (let i = events.length - 1; i >= 0; i--) {
    const other = events[i]!;
    if (clock[other.footprint.thread]! >= other.ordinal) continue;
    if (!dependence.dependent(other.footprint, footprint)) continue;
    races.push(i);
    while (clock.length < other.clock.length) clock.push(0);
    for (let t = 0; t < other.clock.length; t++) {
      if (other.clock[t]! > clock[t]!) clock[t] = other.clock[t]!;
    }
  }
  const event = { entry, footprint, ordinal, clock, races };
  events.push(event);
  return event;
}

/** A name for the partial order of an execution: equal for equivalent executions only. */
export function traceKey(events: readonly Event[]): string {
  return events.map((e) => `${eventKey(e.footprint.thread, e.ordinal)}:${e.clock.join()}`)
    .sort().join(" ");
}
