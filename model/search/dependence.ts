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
  CALL,
  COMPARE_EXCHANGE,
  type Entry,
  JOIN,
  LAST_OPERATION,
  NOTIFY,
  PAUSE,
  type Range,
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
} from "../machine/entry.ts";

/** What an operation touched: all that decides with which others it commutes. */
export interface Footprint {
  readonly thread: number;
  readonly kind: number;
  /** The memory that it accessed. */
  readonly access: Range | undefined;
  /** Whether it wrote there: a failed compareExchange is a read. */
  readonly wrote: boolean;
  /** The value that it left there. */
  readonly value: unknown;
  /** What its thread then read speculatively, before its next operation: the values may differ. */
  readonly guesses: readonly Range[];
  /** What its thread then wrote plainly, before its next operation. */
  readonly writes: readonly Range[];
  /** For pause: what it had read, all of which it reads again in effect. */
  readonly watches: readonly Range[];
  /** The waiter lists that it might change. */
  readonly lists: readonly Range[];
  /** For notify: whether it woke nobody. */
  readonly isIdle: boolean;
  /** For spawn and join: the other thread. */
  readonly other: number;
  /** For wake: the notify that caused it, as the event's key; for notify: its own key. */
  readonly notify: number;
  /** Ordered with everything: a pause that went on only because nothing else could. */
  readonly isBarrier: boolean;
}

const none: readonly Range[] = [];

function range(entry: Entry): Range {
  return entry.range ??= { buffer: entry.buffer!.id, start: entry.start, size: entry.size };
}

/** The plain accesses of a transition that matter to others. */
interface Segment {
  readonly guesses: readonly Range[];
  readonly writes: readonly Range[];
}

const empty: Segment = { guesses: none, writes: none };

/** What a thread did between an operation and its next: speculative reads, and plain writes. */
function segment(log: readonly Entry[], operation: Entry): Segment {
  if (log.at(-1) === operation) return empty;
  let guesses = none as Range[];
  let writes = none as Range[];
  let i = log.lastIndexOf(operation);
  let before = i;
  while (before >= 0 && log[before]!.kind < SPAN_BEGIN) before--;
  let isGuess = log[before]?.kind === SPAN_BEGIN;
  for (i++; i < log.length && log[i]!.kind > LAST_OPERATION; i++) {
    const entry = log[i]!;
    if (entry.kind === SPAN_BEGIN) isGuess = true;
    else if (entry.kind === SPAN_END) isGuess = false;
    else if (entry.kind === READ && isGuess) guesses = [...guesses, range(entry)];
    else if (entry.kind === WRITE) writes = [...writes, range(entry)];
  }
  return { guesses, writes };
}

/**
 * The footprint of an operation that has just been applied.
 *
 * @param log What its thread has done.
 * @param key The event's key, see {@linkcode eventKey}.
 * @param wakerKey The key of the notify that woke it, if one did.
 */
export function footprint(
  entry: Entry,
  log: readonly Entry[],
  key: number,
  wakerKey: number,
): Footprint {
  const { kind } = entry;
  const accesses = kind <= WAIT || kind === WAIT_ASYNC;
  const { guesses, writes } = segment(log, entry);
  let lists = none;
  // A wait enters its list even if it does not sleep: a third operation, independent of what
  // notifies it, may have made the difference, and such a one must not change who depends on whom.
  const waits = (kind === WAIT || kind === WAIT_ASYNC) && entry.timeout !== 0;
  const notifies = kind === NOTIFY && entry.operand !== 0;
  const timesOut = kind === WAKE && entry.result === "timed-out";
  if (waits || notifies || timesOut) lists = [range(entry)];
  else if (kind === RESUME) lists = entry.outstanding!.map(range);
  return {
    thread: entry.thread,
    kind,
    access: accesses ? range(entry) : undefined,
    wrote: kind <= COMPARE_EXCHANGE && entry.wrote,
    value: accesses ? entry.real![entry.index] : undefined,
    guesses,
    writes,
    watches: kind === PAUSE
      ? entry.watches!.map((w) => ({ buffer: w.buffer.id, start: w.start, size: w.size }))
      : none,
    lists,
    isIdle: kind === NOTIFY && entry.result === 0,
    other: entry.other,
    notify: kind === NOTIFY ? key : kind === WAKE ? wakerKey : -1,
    isBarrier: entry.forced,
  };
}

/** A number for the `ordinal`-th operation of a thread, the same in every execution. */
function eventKey(thread: number, ordinal: number): number {
  return ordinal * MAX_THREADS + thread;
}

function overlap(a: Range, b: Range): boolean {
  return a.start < b.start + b.size && b.start < a.start + a.size && a.buffer === b.buffer;
}

/** Decides whether two operations commute. */
export class Dependence {
  readonly ordersWrites: boolean;

  /**
   * @param ordersWrites All writes depend on each other, so that every trace fixes the sequence of
   *   memory states: what an invariant checked after each step needs.
   */
  constructor(ordersWrites: boolean) {
    this.ordersWrites = ordersWrites;
  }

  /** Whether the order of two operations matters. */
  dependent(a: Footprint, b: Footprint): boolean {
    if (a.thread === b.thread || a.isBarrier || b.isBarrier) return true;
    if (a.access !== undefined && b.access !== undefined && (a.wrote || b.wrote)) {
      if (overlap(a.access, b.access)) return true;
      if (this.ordersWrites && a.wrote && b.wrote) return true;
    }
    if (a.guesses.length > 0 && spoils(b, a)) return true;
    if (b.guesses.length > 0 && spoils(a, b)) return true;
    if (a.kind < WAIT && b.kind < WAIT) return false;
    return related(a, b) || related(b, a);
  }
}

/** Whether one transition writes what another reads speculatively. */
function spoils(a: Footprint, b: Footprint): boolean {
  return b.guesses.some((guess) =>
    (a.wrote && overlap(a.access!, guess)) || a.writes.some((write) => overlap(write, guess))
  );
}

function shareList(a: Footprint, b: Footprint): boolean {
  return a.lists.some((list) => b.lists.some((other) => overlap(list, other)));
}

/** The cases that are not a plain matter of memory; asked in both orders. */
function related(a: Footprint, b: Footprint): boolean {
  switch (a.kind) {
    case PAUSE:
      return b.wrote && a.watches.some((watch) => overlap(watch, b.access!));
    case WAKE:
      if (a.lists.length > 0) return shareList(a, b);
      return b.kind === NOTIFY && a.notify === b.notify;
    case NOTIFY:
      return !(a.isIdle && b.isIdle) && shareList(a, b);
    case WAIT:
    case WAIT_ASYNC:
    case RESUME:
      return shareList(a, b);
    case SPAWN:
    case JOIN:
      return a.other === b.thread;
    case CALL:
      // Whether one call ends before another begins is what linearizability is about.
      return b.kind === RETURN;
    default:
      return false;
  }
}

/** An operation in its place in an execution. */
export interface Event {
  readonly entry: Entry;
  readonly footprint: Footprint;
  /** It is the thread's `ordinal`-th operation, from 1. */
  readonly ordinal: number;
  /** For each thread, how many of its events come before this one in the partial order. */
  readonly clock: readonly number[];
  /** Earlier events that it follows immediately in the partial order, on other threads. */
  readonly races: readonly number[];
}

/** Whether `a` comes before `b` in the partial order (or is it). */
export function precedes(a: Event, b: Event): boolean {
  return b.clock[a.footprint.thread]! >= a.ordinal;
}

/**
 * Appends the event of an operation that has just been applied.
 *
 * @param log What its thread has done.
 */
export function appendEvent(
  events: Event[],
  entry: Entry,
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
  const waker = entry.kind === WAKE && entry.result === "ok" ? events[entry.other] : undefined;
  const print = footprint(
    entry,
    log,
    eventKey(thread, ordinal),
    waker === undefined ? -1 : eventKey(waker.footprint.thread, waker.ordinal),
  );
  const clock = previous === undefined
    ? new Array<number>(MAX_THREADS).fill(0)
    : previous.clock.slice();
  clock[thread] = ordinal;
  const races: number[] = [];
  for (let i = events.length - 1; i >= 0; i--) {
    const other = events[i]!;
    if (clock[other.footprint.thread]! >= other.ordinal) continue;
    if (!dependence.dependent(other.footprint, print)) continue;
    races.push(i);
    for (let t = 0; t < MAX_THREADS; t++) {
      if (other.clock[t]! > clock[t]!) clock[t] = other.clock[t]!;
    }
  }
  const event = { entry, footprint: print, ordinal, clock, races };
  events.push(event);
  return event;
}

/** A name for the partial order of an execution: equal for equivalent executions only. */
export function traceKey(events: readonly Event[]): string {
  return events.map((e) => `${eventKey(e.footprint.thread, e.ordinal)}:${e.clock.join()}`)
    .sort().join(" ");
}
