/**
 * What a simulated thread does, one entry each: the operations that the scheduler orders, and the
 * plain accesses between them.
 *
 * A thread's log is a list of entries. Replaying the thread answers each of its calls from the log.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import type { Moment } from "./moments.ts";
import type { Cell, ModelBuffer, Sleeper } from "./memory.ts";
import type { AnyTypedArray } from "../native.ts";

/** Kinds of entries. Those up to {@linkcode LAST_OPERATION} are transitions of the scheduler. */
export const LOAD = 0;
export const STORE = 1;
export const ADD = 2;
export const SUB = 3;
export const AND = 4;
export const OR = 5;
export const XOR = 6;
export const EXCHANGE = 7;
export const COMPARE_EXCHANGE = 8;
/** `Atomics.wait` looks at the value and falls asleep, or returns. */
export const WAIT = 9;
/** A sleeping `Atomics.wait` returns: it was notified, or its timeout fired. */
export const WAKE = 10;
export const NOTIFY = 11;
export const WAIT_ASYNC = 12;
/** The promise of an `Atomics.waitAsync` is resolved. */
export const RESUME = 13;
export const PAUSE = 14;
export const SPAWN = 15;
export const JOIN = 16;
/** A recorded call begins. */
export const CALL = 17;
/** A recorded call returns. */
export const RETURN = 18;
/** The last kind that the scheduler orders. */
export const LAST_OPERATION = 18;
/** A plain read. */
export const READ = 19;
/** A plain write. */
export const WRITE = 20;
/** A view was made. */
export const VIEW = 21;
/** A buffer was made. */
export const BUFFER = 22;
/** The clock was read. */
export const CLOCK = 23;
/** A span of speculative reads begins. */
export const SPAN_BEGIN = 24;
/** A span of speculative reads ends. */
export const SPAN_END = 25;

/** The name of each kind, as a reader of a schedule knows it. */
export const KIND_NAMES: readonly string[] = [
  "load",
  "store",
  "add",
  "sub",
  "and",
  "or",
  "xor",
  "exchange",
  "compareExchange",
  "wait",
  "wake",
  "notify",
  "waitAsync",
  "resume",
  "pause",
  "spawn",
  "join",
  "call",
  "return",
  "read",
  "write",
  "new view",
  "new buffer",
  "clock",
  "speculate",
  "settle",
];

/** One watched range of a paused thread: it may go on once the version has moved. */
export interface Watch {
  readonly buffer: ModelBuffer;
  readonly start: number;
  readonly size: number;
  readonly version: number;
}

/** A range of bytes, named alike in every execution. */
export interface Range {
  readonly buffer: string;
  readonly start: number;
  readonly size: number;
}

/** One thing that a thread did or is about to do. */
export class Entry {
  readonly kind: number;
  readonly thread: number;
  readonly buffer: ModelBuffer | undefined;
  readonly start: number;
  readonly size: number;

  /** The view it was made through, as the thread sees it; what a replay compares. */
  view: unknown = undefined;
  /** The real array behind that view. */
  real: AnyTypedArray | undefined = undefined;
  /** The element, as the thread gave it. */
  index = 0;
  /** Operands as given. */
  a: unknown = undefined;
  b: unknown = undefined;
  /** The operand, and for compareExchange the expected value, in the element's type. */
  operand: number | bigint = 0;
  expected: number | bigint = 0;
  /** What the call returned. */
  result: unknown = undefined;
  /** Whether memory changed hands: a failed compareExchange is a read. */
  wrote = false;
  /** Whether that left another value there: a write of the same value wakes nobody who spins. */
  changed = false;
  /** What stood there before: a value, or the bytes of a plain write. */
  before: unknown = undefined;
  /** Version of the words touched, after this entry. */
  version = 0;
  /** The thread's own time when this happened. */
  time = 0;
  /** The thread's clock when this happened. */
  clock: Clock | undefined = undefined;
  cell: Cell | undefined = undefined;
  /** Its range, for footprints; made when first asked for. */
  range: Range | undefined = undefined;
  /** What undoing restores: the thread's clock, its time in the cell, its streak of forced pauses. */
  clockBefore: Clock | undefined = undefined;
  releaseBefore: Clock | undefined = undefined;
  timeBefore = 0;
  forcedBefore = 0;
  /** What undoing restores: where the thread was in what is remembered of it. */
  moment: Moment | undefined = undefined;
  /** What undoing restores: the releases of the cells that were written over. */
  releasesBefore: readonly (Clock | undefined)[] | undefined = undefined;
  /** What undoing restores: the waiter list, and the clock of its critical section. */
  sleepersBefore: readonly Sleeper[] | undefined = undefined;
  listClockBefore: Clock | undefined = undefined;
  /** What undoing restores: the race detector's times for the bytes touched. */
  timesBefore: Int32Array | undefined = undefined;
  /** What undoing restores: which of the bytes had been written by anyone. */
  initialisedBefore: Uint8Array | undefined = undefined;
  /** For wait, wake and resume: the place on the waiter list, and its timeout in milliseconds. */
  sleeper: Sleeper | undefined = undefined;
  timeout = Infinity;
  /** For resume: the waitAsync calls among which it chose. */
  outstanding: readonly Entry[] | undefined = undefined;
  /** For pause: what it watches. */
  watches: readonly Watch[] | undefined = undefined;
  /** For pause: it went on because nothing else could run. */
  forced = false;
  /**
   * For spawn and join: the other thread. For wake and resume: the transition that woke them, or
   * -1. For waitAsync: which of the thread's promises it made. For the end of a span: its begin.
   */
  other = -1;

  constructor(
    kind: number,
    thread: number,
    buffer: ModelBuffer | undefined,
    start: number,
    size: number,
  ) {
    this.kind = kind;
    this.thread = thread;
    this.buffer = buffer;
    this.start = start;
    this.size = size;
  }
}
