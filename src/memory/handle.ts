/**
 * Handles: plain objects that survive structured clone and open a shared thing in another thread.
 *
 * A handle names its kind and the version of its layout. Whoever attaches checks both, and the
 * magic word in the memory itself, so that a wrong handle is a `TypeError` and never a crash later.
 *
 * @module
 */

import { describe } from "./check.ts";

/** What every handle has. */
export interface Handle {
  /** Which shared thing the handle opens, such as `busbar.broadcast`. */
  readonly kind: string;
  /** The version of that thing's layout in memory. */
  readonly version: number;
}

/** Refuses anything but a handle of this `kind` and `version`. */
export function checkHandle(handle: unknown, kind: string, version: number): void {
  if (typeof handle !== "object" || handle === null || !("kind" in handle)) {
    throw new TypeError(
      `Cannot attach as a handle of kind '${kind}' was expected: received ${describe(handle)}`,
    );
  }
  if (handle.kind !== kind) {
    throw new TypeError(
      `Cannot attach as a handle of kind '${kind}' was expected: received kind ${
        describe(handle.kind)
      }`,
    );
  }
  const received = (handle as Partial<Handle>).version;
  if (received !== version) {
    throw new TypeError(
      `Cannot attach as version ${version} of '${kind}' was expected: received version ${
        describe(received)
      }`,
    );
  }
}

/** Refuses memory whose word `name` does not hold what this layout puts there. */
export function checkWord(kind: string, name: string, received: number, expected: number): void {
  if (received === expected) return;
  throw new TypeError(
    `Cannot attach as memory of '${kind}' with ${name} 0x${hex(expected)} was expected: found 0x${
      hex(received)
    }`,
  );
}

function hex(word: number): string {
  return (word >>> 0).toString(16);
}
