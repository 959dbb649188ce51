/**
 * Vector clocks: which events of each thread happen before the present one.
 *
 * A clock is immutable: an operation that learns something replaces its thread's clock. Undoing a
 * transition is then putting the old reference back.
 *
 * @module
 */

/** The most threads a model can have; the length of every clock. */
export const MAX_THREADS = 8;

/** Entry `i` counts the releases of thread `i` that are known. */
export type Clock = readonly number[];

/** A clock that knows of nothing. */
export const ORIGIN: Clock = [0, 0, 0, 0, 0, 0, 0, 0];

/** The smallest clock that knows what either knows; one of the two itself where that is enough. */
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

/** The clock after `thread` has released: what it does next is not covered by that release. */
export function tick(clock: Clock, thread: number): Clock {
  const next = clock.slice();
  next[thread]!++;
  return next;
}
