/**
 * Functions for `workers_test.ts`.
 *
 * @module
 */

/** Doubles. */
export function double(n: number): number {
  return 2 * n;
}

/** Doubles, later. */
export async function doubleLater(n: number): Promise<number> {
  await Promise.resolve();
  return 2 * n;
}

/** Throws. */
export function refuse(what: string): never {
  throw new RangeError(`refused ${what}`);
}
