/**
 * A simulated thread: a function, and the log of what it has done so far.
 *
 * @module
 */

import { type Clock, ORIGIN } from "./clock.ts";
import type { Entry } from "./entry.ts";
import type { Moment } from "./moments.ts";

/** What a thread's stack is unwound with. Prepared once: throwing it costs well under 1 µs. */
export const SUSPENDED: unknown = Object.freeze({
  name: "Suspended",
  message: "The explorer suspends this simulated thread here; rethrow what you do not know.",
});

/** What a thread does: plain code, given what `setup` returned. */
export type Body = (state: never) => unknown;

/** A simulated thread. */
export class Thread {
  /** All that it has done. */
  readonly log: Entry[] = [];
  /** How much of the log the current replay has used. */
  cursor = 0;
  /** It has met its next operation: whatever it still does on the way out does not count. */
  unwinding = false;
  /** The operation that it does next. */
  announced: Entry | undefined = undefined;
  /** Its body has returned. */
  done = false;
  /** What its body returned. */
  result: unknown = undefined;
  /** What it knows of the others. */
  clock: Clock = ORIGIN;
  /** Log index at which the open speculative span began, or -1. */
  span = -1;
  /** Threads that it has spawned. */
  spawned = 0;
  /** Buffers that it has made. */
  made = 0;
  /** Virtual milliseconds that its timeouts took. */
  elapsed = 0;
  /** Promises of waitAsync in the current replay, by the order of their calls. */
  promises: ((value: string) => void)[] = [];
  /** Outstanding waitAsync calls: the entries that made them. */
  outstanding: readonly Entry[] = [];
  /** Where each entry was made; only while a report is being written. */
  capturing: string[][] | undefined = undefined;

  /** Where it is in what is remembered of it; undefined if it must be replayed. */
  moment: Moment | undefined;
  readonly id: number;
  readonly name: string;
  readonly body: Body;
  readonly start: Moment;

  /**
   * @param start Where what is remembered of it begins.
   */
  constructor(id: number, name: string, body: Body, start: Moment) {
    this.id = id;
    this.name = name;
    this.body = body;
    this.start = start;
    this.moment = start;
  }
}
