/**
 * Vector clocks: which events of each thread happen before the present one.
 *
 * A clock is immutable: an acquire or a release replaces its thread's clock, so that undoing a
 * transition only restores the old reference.
 *
 * @module
 */

/** The most threads a model can have; the length of every clock. */
export const MAX_THREADS = 8;

/** Element `i`: how many releases of thread `i` happen before. */
export type Clock = readonly number[];

/** The clock before any release. */
export const ORIGIN: Clock = [0, 0, 0, 0, 0, 0, 0, 0];

/** The least upper bound of two clocks; `a` itself if it is one. */
export function join(a: Clock, b: Clock): Clock {
  if (a === b) return a;
  for (let i = 0; i < MAX_THREADS; i++) {
    if (b[i]! > a[i]!) {
      const joined = a.slice();
      for (; i < MAX_THREADS; i++) if (b[i]! > joined[i]!) joined[i] = b[i]!;
      return joined;
    }
  }
  return a;
}

/** The clock after a release of `thread`, so that the release does not cover its later events. */
export function tick(clock: Clock, thread: number): Clock {
  const next = clock.slice();
  next[thread]!++;
  return next;
}
