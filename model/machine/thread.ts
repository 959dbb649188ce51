/**
 * A simulated thread: a body, and the log of its calls so far.
 *
 * @module
 */

import { type Clock, ORIGIN } from "./clock.ts";
import type { Entry, EntryOf, Operation, PlainEntry } from "./entry.ts";
import type { WAIT_ASYNC } from "./kinds.ts";
import type { Moment } from "./moments.ts";
import { TaskQueue } from "./task_queue.ts";
import type { Body, ThreadDeclaration } from "./thread_declaration.ts";

/** Thrown to unwind a thread's stack. One frozen object: throwing it costs well under 1 µs. */
export const SUSPENDED: unknown = Object.freeze({
  name: "Suspended",
  message: "The explorer suspends this simulated thread here; rethrow errors that you do not know.",
});

/** To which the calls of a thread go while it is looked ahead. */
export interface Ahead {
  /** Virtual milliseconds that timeouts took which expired meanwhile. */
  readonly elapsedMs: number;
  /** An operation; returns what its call returns. */
  perform(entry: Operation): unknown;
  /** Another entry; `write` performs it if it is a write. */
  performPlain(entry: PlainEntry, write?: () => void): void;
  /** A timeout of a wait expires. */
  expire(timeoutMs: number): void;
  /** The earliest timeout of a promise expires; false if there is none. */
  resolveNext(): boolean;
}

/** A simulated thread. */
export class Thread {
  /** Its number: the same in every execution. */
  readonly id: number;
  /** Its component of clocks; see `MAX_THREADS`. */
  readonly slot: number;
  /** The thread that had its slot before. */
  readonly predecessor: Thread | undefined;
  readonly name: string;
  readonly body: Body;
  readonly declaration: ThreadDeclaration;
  /** Whether it is the death of a mortal thread: see `mortal` of the options. */
  readonly isDeath: boolean;
  /** Whether it has died: it makes no further step. */
  isDead = false;
  /** The entries of all its calls that took effect. */
  readonly log: Entry[] = [];
  /** The number of log entries that the current replay has consumed. */
  cursor = 0;
  /** Whether it has reached its next operation: calls while its stack unwinds do not count. */
  unwinding = false;
  /** Its next operation, which has not yet taken effect. */
  announced: Operation | undefined = undefined;
  /** Whether its body has returned; tasks that it has begun may go on. */
  done = false;
  /** The result of its body. */
  result: unknown = undefined;
  /** The events of all threads that happen before its next one, and its time. */
  clock: Clock = ORIGIN;
  /** The log index at which the open speculative span began, or -1. */
  span = -1;
  /** The number of threads that it has spawned. */
  spawned = 0;
  /** The number of buffers that it has created. */
  buffersCreated = 0;
  /** The tasks that it has queued in this replay. */
  readonly tasks: TaskQueue = new TaskQueue();
  /** Resolve functions of the promises of waitAsync in this replay, in the order of the calls. */
  promises: ((value: string) => void)[] = [];
  /** The number of waitAsync calls that made a promise, in its log. */
  promisesMade = 0;
  /** The waitAsync calls that are not resolved. */
  outstanding: readonly EntryOf<typeof WAIT_ASYNC>[] = [];
  /** The look ahead that the thread is run for, if any. */
  ahead: Ahead | undefined = undefined;
  /** The number of log entries when the current replay began. */
  known = 0;
  /** How many calls have thrown {@linkcode SUSPENDED} since the thread reached its operation. */
  rethrown = 0;
  /** The stack lines of each entry; only while a report is being written. */
  capturing: string[][] | undefined = undefined;
  /** Where it is in its tree of known behaviour; undefined if it must be replayed. */
  moment: Moment | undefined = undefined;

  /** @param name Its name, which no other thread of the execution has. */
  constructor(
    declaration: ThreadDeclaration,
    name: string,
    slot: number,
    predecessor: Thread | undefined,
  ) {
    this.id = declaration.id;
    this.slot = slot;
    this.predecessor = predecessor;
    this.name = name;
    this.body = declaration.body;
    this.declaration = declaration;
    this.isDeath = declaration.victim !== undefined;
  }
}
