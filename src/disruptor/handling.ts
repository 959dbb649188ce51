/**
 * Which disruptor's handler this thread is running: a handler that blocked for room in the ring of
 * its own node would wait for itself.
 *
 * @module
 */

import type { Ring } from "./ring.ts";

/** A handler that runs. */
export interface Handling {
  /** The disruptor. */
  readonly ring: Ring;
  /** The node. */
  readonly node: number;
}

let current: Handling | undefined;

/** A handler of a node begins; returns what to call {@link endHandling} with. */
export function beginHandling(ring: Ring, node: number): Handling | undefined {
  const outer = current;
  current = { ring, node };
  return outer;
}

/** The handler has ended. */
export function endHandling(outer: Handling | undefined): void {
  current = outer;
}

/** Throws if a handler of a node of this disruptor is running. */
export function checkMayBlock(ring: Ring): void {
  if (current === undefined) return;
  const { region } = current.ring;
  const isSame = region.memory.buffer === ring.region.memory.buffer &&
    region.byteOffset === ring.region.byteOffset;
  if (!isSame) return;
  const { name } = ring.graph.nodes[current.node]!;
  throw new Error(
    `Cannot wait for room as node "${name}", whose handler asks for it, would wait for itself: ` +
      "use tryClaim() or trySend(), or another disruptor",
  );
}
