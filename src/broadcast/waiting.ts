/**
 * How a reader sleeps until something is published after its position: an event count on the
 * position word, whose bit {@link SLEEPING} tells the writer that it must notify.
 *
 * Each function returns how far the reader is behind. That is exact to the low 32 bits, and not
 * zero unless the reader is level with the writer.
 *
 * @module
 */

import { describe } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import { POSITION, SLEEPING } from "./layout.ts";
import { loadPosition } from "./position.ts";

/** Options of {@link BroadcastReader.waitAsync}. */
export interface WaitOptions {
  /** Gives up when aborted. */
  signal?: AbortSignal;
  /** Gives up after this many milliseconds; never by default. */
  timeoutMs?: number;
}

/** The longest delay of a timer, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Blocks while the ring is at `position`, at most for `timeoutMs`. */
export function waitWhileAt(
  memory: Memory,
  words: Int32Array,
  position: number,
  timeoutMs: number,
): number {
  const deadline = deadlineAfter(timeoutMs);
  for (;;) {
    const behind = lookBeforeSleep(words, position);
    if (behind > 0) return behind;
    const remaining = remainingMs(deadline);
    if (remaining <= 0) return 0;
    memory.wait(words, POSITION, position | SLEEPING, remaining);
  }
}

/** Waits while the ring is at `position`; the process stays alive meanwhile. */
export async function waitWhileAtAsync(
  memory: Memory,
  words: Int32Array,
  position: number,
  options: WaitOptions,
): Promise<number> {
  const { signal, timeoutMs = Infinity } = options;
  const deadline = deadlineAfter(timeoutMs);
  // Whoever else is woken looks again and goes on sleeping.
  const wake = () => memory.notify(words, POSITION);
  signal?.addEventListener("abort", wake);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const behind = lookBeforeSleep(words, position);
      if (behind > 0) return behind;
      const remaining = remainingMs(deadline);
      if (remaining <= 0) return 0;
      // An asynchronous wait does not keep a process alive, until woken and beyond; this does.
      const timer = setInterval(wake, Math.min(remaining, LONGEST_TIMER_MS));
      try {
        await memory.waitAsync(words, POSITION, position | SLEEPING);
      } finally {
        clearInterval(timer);
      }
    }
  } finally {
    signal?.removeEventListener("abort", wake);
  }
}

/** Looks whether the ring has gone on from `position`; if not, marks that somebody may sleep. */
function lookBeforeSleep(words: Int32Array, position: number): number {
  const seen = position | 0;
  // Pairs with the writer's exchange: either it finds our mark and notifies, or we find its
  // position, here or on falling asleep.
  const found = Atomics.compareExchange(words, POSITION, seen, seen | SLEEPING);
  const behind = ((found & ~SLEEPING) - seen) >>> 0;
  // The low bits are equal, too, a multiple of 2^32 bytes behind; then nobody might ever wake us.
  return behind > 0 ? behind : loadPosition(words) - position;
}

/** The time at which a wait of `timeoutMs` ends. */
function deadlineAfter(timeoutMs: number): number {
  if (!(timeoutMs >= 0)) {
    throw new RangeError(
      `Cannot wait as 'timeoutMs' must not be negative: received ${describe(timeoutMs)}`,
    );
  }
  return timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
}

/** How long it is until `deadline`. */
function remainingMs(deadline: number): number {
  return deadline === Infinity ? Infinity : deadline - performance.now();
}
