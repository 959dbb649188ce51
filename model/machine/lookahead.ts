/**
 * A look ahead: what a thread would do if no other thread ran.
 *
 * A thread that pauses in a loop may wait for another thread, or may stop by itself after some
 * rounds. Its body is run on, alone, to find out. Its operations are performed at once, unlogged,
 * and undone at the end of the look.
 *
 * @module
 */

import { now } from "../native.ts";
import { timeOf } from "./clock.ts";
import { computeAccess } from "./effects.ts";
import { type Entry, isAccess, type Operation, type PlainEntry } from "./entry.ts";
import type { Execution } from "./execution.ts";
import { impossible } from "./impossible.ts";
import {
  CALL,
  CLOCK,
  JOIN,
  NOTIFY,
  PAUSE,
  READ,
  RETURN,
  SPAN_BEGIN,
  SPAN_END,
  VIEW,
  WAIT,
  WAIT_ASYNC,
  WRITE,
} from "./kinds.ts";
import type { Cell, ModelBuffer } from "./memory.ts";
import type { Outlook, ReadRange } from "./outlook.ts";
import { type Ahead, SUSPENDED, type Thread } from "./thread.ts";

/** After so many rounds it is asked whether this loop is known to go on without end. */
const ROUNDS_BEFORE_MEMO = 8;
/** Ranges of more than so many bytes are not compared, so that what follows is not remembered. */
const MAX_COMPARED_BYTES = 64;

/** The clock is read once in so many accesses, less one. */
const CLOCK_MASK = 4095;

/** How far a look goes. */
export interface LookBounds {
  /** The number of rounds of the loop. */
  readonly rounds: number;
  /** The number of operations and plain accesses. */
  readonly accesses: number;
}

/**
 * Whether a loop is known to go on without end.
 *
 * @param round The calls of its first round.
 * @param reads What it reads, except what it writes itself.
 */
export type IsEndless = (round: readonly Entry[], reads: readonly ReadRange[]) => boolean;

/** A promise of waitAsync that was created during a look. */
interface PendingPromise {
  readonly resolve: (value: string) => void;
  /** When its timeout expires, counted from the begin of the look. */
  readonly deadlineMs: number;
}

/** One look ahead of one thread; it is active while {@linkcode Thread.ahead} is set. */
export class LookAhead implements Ahead {
  /** Virtual milliseconds that timeouts which expired during the look took. */
  elapsedMs = 0;
  readonly #execution: Execution;
  readonly #thread: Thread;
  readonly #bounds: LookBounds;
  readonly #isEndless: IsEndless;
  readonly #reads = new Map<ModelBuffer, Map<number, ReadRange>>();
  readonly #emptyLists = new Set<Cell>();
  readonly #pending: PendingPromise[] = [];
  /** Whether the promises from before the look are among them. */
  #hasOutstanding = false;
  readonly #written: { readonly bytes: Uint8Array; readonly buffer: ModelBuffer; start: number }[] =
    [];
  /** The pauses and expired timeouts so far; the first is where the thread stands. */
  #rounds = -1;
  #accesses = 0;
  /** The calls of the first round. */
  readonly #round: Entry[] = [];
  /** The first and the last round in which memory was changed, or -1. */
  #firstChange = -1;
  #lastChange = -1;
  /** Whether memory was changed in more than one round. */
  #changesAgain = false;
  #leaves = true;
  #isRepeatable = true;
  /** Whether the loop does not pause: then its first access begins each round. */
  #polls: boolean;

  /**
   * @param polls Whether the thread is in a loop that does not pause.
   */
  constructor(
    execution: Execution,
    thread: Thread,
    bounds: LookBounds,
    polls: boolean,
    isEndless: IsEndless,
  ) {
    this.#execution = execution;
    this.#thread = thread;
    this.#bounds = bounds;
    this.#polls = polls;
    this.#rounds = polls ? 0 : -1;
    this.#isEndless = isEndless;
  }

  /** An operation of the thread; returns what its call returns. */
  perform(entry: Operation): unknown {
    this.#count(entry);
    if (isAccess(entry)) {
      this.#noteRead(entry);
      this.#save(entry);
      computeAccess(entry);
      if (entry.changed) this.#noteChange();
      return entry.result;
    }
    switch (entry.kind) {
      case PAUSE:
        // It has come to a loop that pauses.
        this.#polls = false;
        this.#beginRound();
        return undefined;
      case WAIT:
      case WAIT_ASYNC: {
        this.#noteRead(entry);
        const { timeoutMs } = entry.detail;
        const isEqual = (entry.real as Int32Array)[entry.index] === entry.expected;
        if (entry.kind === WAIT) {
          if (!isEqual) return "not-equal";
          if (timeoutMs > 0) this.expire(timeoutMs);
          return "timed-out";
        }
        if (!isEqual) return { async: false, value: "not-equal" };
        if (timeoutMs === 0) return { async: false, value: "timed-out" };
        const deadlineMs = this.elapsedMs + timeoutMs;
        const value = new Promise((resolve) => this.#pending.push({ resolve, deadlineMs }));
        return { async: true, value };
      }
      case NOTIFY: {
        if (entry.detail.count === 0) return 0;
        const cell = entry.cell!;
        if (cell.list.sleepers.length === 0) {
          this.#emptyLists.add(cell);
          return 0;
        }
        this.#isRepeatable = false;
        return this.#end(true);
      }
      case JOIN: {
        const child = this.#execution.threads[entry.detail.child];
        this.#isRepeatable = false;
        return child?.done === true ? child.result : this.#end(true);
      }
      case CALL:
      case RETURN:
        return undefined;
      default:
        return this.#end(true);
    }
  }

  /**
   * A plain access, or another event between operations.
   *
   * @param write For a write: performs it.
   */
  performPlain(entry: PlainEntry, write?: () => void): void {
    this.#count(entry);
    switch (entry.kind) {
      case READ: {
        this.#noteRead(entry);
        const { real, start, size } = entry;
        entry.result = real === undefined
          ? entry.buffer!.bytes.slice(start, start + size)
          : real[entry.index];
        return;
      }
      case WRITE: {
        const { buffer, start } = entry;
        const before = this.#save(entry);
        write!();
        if (before?.some((byte, i) => buffer!.bytes[start + i] !== byte)) this.#noteChange();
        return;
      }
      case CLOCK:
        this.#isRepeatable = false;
        return;
      case VIEW:
      case SPAN_BEGIN:
      case SPAN_END:
        return;
      default:
        this.#end(true);
    }
  }

  /** A timeout of the thread expires, or, of a wait without one, the thread falls asleep. */
  expire(timeoutMs: number): void {
    if (timeoutMs === Infinity) this.#end(true);
    this.elapsedMs += timeoutMs;
    this.#beginRound();
  }

  /**
   * Resolves the promise of an asynchronous thread whose timeout expires first.
   *
   * @returns Whether there is one: else the thread sleeps until it is notified.
   */
  resolveNext(): boolean {
    const { outstanding, promises, clock } = this.#thread;
    if (outstanding.some((wait) => wait.detail.sleeper!.notified)) return false;
    if (!this.#hasOutstanding) {
      this.#hasOutstanding = true;
      for (const { detail: { sleeper, promise } } of outstanding) {
        const deadlineMs = sleeper!.deadlineMs - timeOf(clock);
        this.#pending.push({ resolve: promises[promise]!, deadlineMs });
      }
    }
    let next: PendingPromise | undefined;
    for (const each of this.#pending) {
      if (each.deadlineMs < (next?.deadlineMs ?? Infinity)) next = each;
    }
    if (next === undefined) return false;
    this.#pending.splice(this.#pending.indexOf(next), 1);
    this.elapsedMs = Math.max(this.elapsedMs, next.deadlineMs);
    this.#rounds++;
    if (this.#rounds >= this.#bounds.rounds) {
      this.#leaves = false;
      return false;
    }
    next.resolve("timed-out");
    return true;
  }

  /** Ends the look: undoes what was written, and tells what was seen. */
  finish(): Outlook {
    for (const { bytes, buffer, start } of this.#written.reverse()) buffer.bytes.set(bytes, start);
    const reads = this.#allReads;
    const first = this.#firstChange;
    const rounds = Math.max(0, this.#rounds);
    // A loop that changes memory in each round is left by no change of its own.
    const isLeft = this.#leaves || first > 0 || (first === 0 && !this.#changesAgain);
    return {
      leaves: isLeft,
      rounds: first >= 0 && first < rounds ? first : rounds,
      isQuiet: first < 0,
      repeats: repeats(this.#thread.log, this.#round),
      reads,
      emptyLists: [...this.#emptyLists],
      isRepeatable: this.#isRepeatable && reads.every(({ bytes, size }) => bytes.length === size),
    };
  }

  get #allReads(): ReadRange[] {
    return [...this.#reads.values()].flatMap((ranges) => [...ranges.values()]);
  }

  #isWritten({ buffer, start, size }: ReadRange): boolean {
    return this.#written.some((range) =>
      range.buffer === buffer && range.start < start + size &&
      start < range.start + range.bytes.length
    );
  }

  /** Ends the look, and unwinds the thread. */
  #end(leaves: boolean): never {
    this.#leaves = leaves;
    this.#thread.unwinding = true;
    throw SUSPENDED;
  }

  #beginRound(): void {
    const rounds = ++this.#rounds;
    if (rounds >= this.#bounds.rounds) this.#end(false);
    if (rounds !== ROUNDS_BEFORE_MEMO) return;
    const reads = this.#allReads.filter((range) => !this.#isWritten(range));
    if (this.#isEndless(this.#round, reads)) this.#end(false);
  }

  /** Counts an access; in a loop that does not pause, its first one begins a round. */
  #count(entry: Entry): void {
    if (++this.#accesses > this.#bounds.accesses) this.#end(false);
    if ((this.#accesses & CLOCK_MASK) === 0 && now() >= this.#execution.deadline) {
      this.#execution.isOutOfTime = true;
      this.#end(false);
    }
    if (this.#polls && this.#round.length > 0 && isSamePlace(entry, this.#round[0]!)) {
      this.#beginRound();
    }
    if (this.#rounds <= 0 && entry.kind !== PAUSE) this.#round.push(entry);
  }

  #noteRead({ buffer, start, size }: Entry): void {
    let ranges = this.#reads.get(buffer!);
    if (ranges === undefined) this.#reads.set(buffer!, ranges = new Map());
    const key = start * 2 ** 26 + size;
    if (ranges.has(key)) return;
    const compared = Math.min(size, MAX_COMPARED_BYTES);
    ranges.set(key, {
      buffer: buffer!,
      start,
      size,
      version: buffer!.version(start, size),
      bytes: buffer!.bytes.slice(start, start + compared),
    });
  }

  /** Keeps the bytes that an entry may write, for undoing. */
  #save({ buffer, start, size, traits }: Entry): Uint8Array | undefined {
    if (!traits.mayWrite) return undefined;
    if (buffer === undefined) impossible("a write has no buffer");
    const bytes = buffer.bytes.slice(start, start + size);
    this.#written.push({ buffer, start, bytes });
    return bytes;
  }

  /** Notes that the thread has changed memory in this round. */
  #noteChange(): void {
    const round = Math.max(0, this.#rounds);
    if (round === this.#lastChange) return;
    this.#lastChange = round;
    if (this.#firstChange < 0) this.#firstChange = round;
    else this.#changesAgain = true;
  }
}

/** Whether the last calls of a log are those of a round, with the same results. */
function repeats(log: readonly Entry[], round: readonly Entry[]): boolean {
  const begin = log.length - round.length;
  return begin >= 0 && round.every((entry, i) => {
    const before = log[begin + i]!;
    return isSameCall(before, entry) &&
      (!entry.traits.isAccess || Object.is(before.result, entry.result));
  });
}

/** Whether two entries are of the same call with the same arguments. */
export function isSameCall(x: Entry, y: Entry): boolean {
  return isSamePlace(x, y) && x.a === y.a && x.b === y.b;
}

/** Whether two entries are of the same function, on the same range. */
export function isSamePlace(x: Entry, y: Entry): boolean {
  return x.kind === y.kind && x.start === y.start && x.size === y.size && x.buffer === y.buffer;
}
