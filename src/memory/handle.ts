/**
 * Handles: plain objects that survive structured clone and open a shared thing in another thread.
 *
 * A handle names its kind and the version of all layouts. Attaching checks both, and the magic word
 * in the memory itself, so that a wrong handle is a `TypeError` and never a crash later.
 *
 * @module
 */

import { describe } from "./check.ts";

/** The version of all layouts in memory. It goes up whenever any of them changes. */
export const LAYOUT_VERSION = 5;

/** What every handle has. */
export interface Handle {
  /** Which shared thing the handle opens, such as `busbar.broadcast`. */
  readonly kind: string;
  /** The version of the layouts in memory. */
  readonly version: number;
}

/** Throws unless this is a handle of this `kind` and of the present version. */
export function checkHandle(handle: unknown, kind: string): void {
  if (hasHandle(handle) && handle.handle.kind === kind) {
    throw new TypeError(
      `Cannot attach as a handle of kind '${kind}' was expected: received the object itself, so pass its 'handle'`,
    );
  }
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
  if (received !== LAYOUT_VERSION) {
    throw new TypeError(
      `Cannot attach as version ${LAYOUT_VERSION} of '${kind}' was expected: received version ${
        describe(received)
      }`,
    );
  }
}

/** Whether this is an object that has a handle, instead of the handle. */
function hasHandle(value: unknown): value is { handle: Handle } {
  return typeof value === "object" && value !== null && !("kind" in value) && "handle" in value &&
    typeof value.handle === "object" && value.handle !== null;
}

/** Throws unless the word `name` holds the value that this layout puts there. */
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
