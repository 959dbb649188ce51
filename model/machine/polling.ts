/**
 * Loops that wait for another thread without a pause: the explorer puts one in.
 *
 * @module
 */

import { type Entry, EntryOf, newYieldDetail, type Operation } from "./entry.ts";
import { NOTIFY, PAUSE, READ, VIEW, WAIT } from "./kinds.ts";
import { isSameCall } from "./lookahead.ts";
import type { Thread } from "./thread.ts";
import { hasYielded } from "./yields.ts";

/** The most calls in a round of a loop that is found to poll. */
const MAX_PERIOD = 32;
/** A plain read is searched for among so many. */
const MAX_POLLED_READS = 16;

/**
 * Whether a thread that makes this call polls: its last calls were the same ones twice over, with
 * the same results, and it begins again.
 */
export function polls({ log }: Thread, call: Operation): boolean {
  if (!call.traits.isAccess && call.kind !== WAIT && call.kind !== NOTIFY) return false;
  /** The calls since the last explicit yield or change, latest first. */
  const calls: Entry[] = [];
  /** How many of them were made since the last implied pause. */
  let recent = Infinity;
  for (let i = log.length - 1; i >= 0 && calls.length < 2 * MAX_PERIOD; i--) {
    const entry = log[i]!;
    if (entry.kind === PAUSE && entry.detail.isImplied) recent = Math.min(recent, calls.length);
    else if (entry.changed || hasYielded(entry)) break;
    else calls.push(entry);
  }
  const longest = Math.min(recent, calls.length >> 1);
  for (let period = 1; period <= longest; period++) {
    if (isSameCall(calls[period - 1]!, call) && isPeriodic(calls, period)) return true;
  }
  return false;
}

/** Whether the first entries of a list repeat, with the same results, after `period` ones. */
function isPeriodic(calls: readonly Entry[], period: number): boolean {
  for (let i = 0; i < period; i++) {
    const call = calls[i]!;
    const before = calls[i + period]!;
    if (!isSameCall(call, before) || call.version !== before.version) return false;
    if (call.kind === NOTIFY && call.result !== before.result) return false;
  }
  return true;
}

/** Whether a plain read repeats one of the last entries, and nothing has changed since. */
export function repeatsRead(
  { log }: Thread,
  { buffer, start, size }: EntryOf<typeof READ>,
): boolean {
  const version = buffer!.version(start, size);
  for (let i = log.length - 1; i >= log.length - MAX_POLLED_READS; i--) {
    const entry = log[i]!;
    if (entry.kind === VIEW) continue;
    if (entry.kind !== READ) return false;
    if (entry.buffer === buffer && entry.start === start && entry.size === size) {
      return entry.version === version;
    }
  }
  return false;
}

/** A new pause that the thread's code does not make. */
export function impliedPause(thread: Thread): EntryOf<typeof PAUSE> {
  const detail = { ...newYieldDetail(), isImplied: true };
  return new EntryOf(PAUSE, thread.id, detail, undefined, 0, 0);
}
