/**
 * Vector clocks: which events of each thread happen before the present one, and the virtual time.
 *
 * Time is one more component. So it is joined wherever happens-before leads from one thread to
 * another, and never runs backwards along it.
 *
 * A clock is immutable: an acquire or a release replaces its thread's clock, so that undoing a
 * transition only restores the old reference.
 *
 * @module
 */

/**
 * The most threads that can live at one time. Each has a *slot*, which is its component of clocks.
 *
 * A thread can have the slot of one that has ended, if that happens before it: the component goes
 * on from the value that the ended thread left, so that every access keeps a time of its own.
 */
export const MAX_THREADS = 8;

/** The component after those of the threads: virtual milliseconds. */
const TIME = MAX_THREADS;

/** Element `i`: how many releases of slot `i` happen before; the last one is the time. */
export type Clock = readonly number[];

/** The clock before any release. */
export const ORIGIN: Clock = [0, 0, 0, 0, 0, 0, 0, 0, 0];

/** The least upper bound of two clocks; `a` itself if it is one. */
export function join(a: Clock, b: Clock): Clock {
  if (a === b) return a;
  for (let i = 0; i <= TIME; i++) {
    if (b[i]! > a[i]!) {
      const joined = a.slice();
      for (; i <= TIME; i++) if (b[i]! > joined[i]!) joined[i] = b[i]!;
      return joined;
    }
  }
  return a;
}

/** The clock after a release of a thread, so that the release does not cover its later events. */
export function tick(clock: Clock, slot: number): Clock {
  const next = clock.slice();
  next[slot]!++;
  return next;
}

/** The virtual milliseconds of a clock. */
export function timeOf(clock: Clock): number {
  return clock[TIME]!;
}

/** The clock once it is at least this time. */
export function waitUntil(clock: Clock, timeMs: number): Clock {
  if (clock[TIME]! >= timeMs) return clock;
  const later = clock.slice();
  later[TIME] = timeMs;
  return later;
}
