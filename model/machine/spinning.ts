/**
 * Threads that cannot go on, or only turn in circles.
 *
 * @module
 */

import {
  COMPARE_EXCHANGE,
  type Entry,
  PAUSE,
  READ,
  SPAN_BEGIN,
  SPAN_END,
  WAIT,
  WAIT_ASYNC,
  type Watch,
  WRITE,
} from "./entry.ts";
import type { Failure } from "../failure.ts";
import type { Thread } from "./thread.ts";

/** Whether a sleeping wait can return now: it was notified, or its timeout may fire. */
export function canReturn(wait: Entry): boolean {
  return wait.sleeper!.notified || wait.timeout !== Infinity;
}

/** Whether a word that a paused thread watches was written. */
export function hasMoved(watch: Watch): boolean {
  return watch.buffer.version(watch.start, watch.size) !== watch.version;
}

/** What a paused thread waits for: a write to any word that it read since its last pause. */
export function wordsReadSincePause(thread: Thread): Watch[] {
  const watches: Watch[] = [];
  for (let i = thread.log.length - 1; i >= 0; i--) {
    const entry = thread.log[i]!;
    if (entry.kind === PAUSE) break;
    const { buffer, start, size, version } = entry;
    if (buffer === undefined || !accesses(entry)) continue;
    if (watches.some((w) => w.buffer === buffer && w.start === start && w.size === size)) {
      continue;
    }
    watches.push({ buffer, start, size, version });
  }
  return watches;
}

/** Whether an entry has read or written memory. */
function accesses({ kind }: Entry): boolean {
  return kind <= WAIT || kind === WAIT_ASYNC || kind === READ || kind === WRITE;
}

/** Whether the thread's last operations only read the same values over and over. */
export function spins(thread: Thread, spinLimit: number): Failure | undefined {
  const { log } = thread;
  const limit = Math.max(64, spinLimit);
  if (log.length < limit) return undefined;
  const seen = new Map<number, unknown>();
  for (let i = log.length - 1; i >= log.length - limit; i--) {
    const entry = log[i]!;
    if (entry.kind === SPAN_BEGIN || entry.kind === SPAN_END) continue;
    if (entry.wrote || (entry.kind > COMPARE_EXCHANGE && entry.kind !== READ)) return undefined;
    const key = entry.start * 16 + entry.size;
    if (seen.has(key) && seen.get(key) !== entry.version) return undefined;
    seen.set(key, entry.version);
    if (seen.size > 8) return undefined;
  }
  const last = log.at(-1)!;
  return {
    kind: "spin without pause",
    message: `Thread ${thread.name} has read ${last.buffer!.nameOf(last.start, last.size)} ` +
      `without a change for ${limit} operations: a loop that waits for another thread must ` +
      "call Atomics.pause() (or wait), so that the explorer knows to run the others",
  };
}
