/**
 * Threads that wait in a loop: when a pause or a wait may end, and loops that do not pause.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import { type Sleep, touchesMemory, type Watch } from "./entry.ts";
import { PAUSE, READ, SPAN_BEGIN, SPAN_END } from "./kinds.ts";
import type { Thread } from "./thread.ts";

/** A loop that reads more ranges than these is not called spinning. */
const MAX_SPUN_RANGES = 8;
/** A loop must be at least this many entries long to be called spinning. */
const MIN_SPUN_ENTRIES = 64;

/** Whether a sleeping wait can return now: it was notified, or its timeout may expire. */
export function canReturn({ sleeper, timeoutMs }: Sleep): boolean {
  return sleeper!.notified || timeoutMs !== Infinity;
}

/** Whether a range that a paused thread watches was written. */
export function hasChanged({ buffer, start, size, version }: Watch): boolean {
  return buffer.version(start, size) !== version;
}

/** The ranges that a thread has accessed since its last pause: a write to one ends the next. */
export function rangesSincePause(thread: Thread): Watch[] {
  const watches: Watch[] = [];
  for (let i = thread.log.length - 1; i >= 0; i--) {
    const entry = thread.log[i]!;
    if (entry.kind === PAUSE) break;
    const { buffer, start, size, version } = entry;
    if (buffer === undefined || !touchesMemory(entry)) continue;
    if (watches.some((w) => w.buffer === buffer && w.start === start && w.size === size)) {
      continue;
    }
    watches.push({ buffer, start, size, version });
  }
  return watches;
}

/** The failure of a thread whose last entries only read the same values again and again. */
export function spinFailure(thread: Thread, spinLimit: number): Failure | undefined {
  const { log } = thread;
  const limit = Math.max(MIN_SPUN_ENTRIES, spinLimit);
  if (log.length < limit) return undefined;
  const seen = new Map<number, unknown>();
  for (let i = log.length - 1; i >= log.length - limit; i--) {
    const { kind, traits, wrote, start, size, version } = log[i]!;
    if (kind === SPAN_BEGIN || kind === SPAN_END) continue;
    if (wrote || (kind !== READ && !traits.isAccess)) return undefined;
    const key = start * 16 + size;
    if (seen.has(key) && seen.get(key) !== version) return undefined;
    seen.set(key, version);
    if (seen.size > MAX_SPUN_RANGES) return undefined;
  }
  const last = log.at(-1)!;
  return {
    kind: "spin without pause",
    message: `Thread ${thread.name} has read ${last.buffer!.nameOf(last.start, last.size)} ` +
      `without a change for ${limit} operations: a loop that waits for another thread must ` +
      "call Atomics.pause() (or wait), so that the explorer runs the others",
  };
}
