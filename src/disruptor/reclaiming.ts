/**
 * Repairing what threads left that have died. Each of these may be called again if the thread that
 * calls it dies, too.
 *
 * Proven by: tests/disruptor/death_model_test.ts, claims_model_test.ts, adding_model_test.ts.
 *
 * @module
 */

import { checkInteger, describe } from "../memory/check.ts";
import { REMOVED, TAKEN } from "./layout.ts";
import type { Ring } from "./ring.ts";
import { markSkipped } from "./shared_seat.ts";

/** Options of `Disruptor.reclaim`. */
export interface NodeReclaimOptions {
  /** Which of the competing workers has died. */
  readonly worker?: number;
  /**
   * What becomes of the node. "keep", the default: another consumer attaches in the place of the
   * dead one, and gets the events that it had not released. "remove": the graph goes on without the
   * node, or without the events that the worker had claimed.
   */
  readonly then?: "keep" | "remove";
}

/** Repairs what a consumer or an observer of a node left, or one of its workers. */
export function reclaimNode(
  ring: Ring,
  node: number,
  { worker, then = "keep" }: NodeReclaimOptions,
): void {
  if (then !== "keep" && then !== "remove") {
    throw new TypeError(
      `Cannot reclaim as 'then' must be "keep" or "remove": received ${describe(then)}`,
    );
  }
  const { workers, observer } = ring.graph.nodes[node]!;
  const gate = ring.gates[node]!;
  if (workers === 0) {
    // One that died while it added the node has not said where that begins.
    const isRemoved = (then === "remove" && !observer) || ring.isAdding(node);
    if (isRemoved) gate.set(REMOVED);
    else gate.notify();
    ring.leaveNode(node);
    return;
  }
  checkInteger("reclaim", "worker", worker!, 0, workers - 1);
  const claims = ring.workerClaims(node, -1);
  if (then === "remove" || claims.leftClaim(worker!) === undefined) claims.endClaim(worker!);
  else gate.notify();
  claims.leave(worker!);
  ring.closeIfDone(node, ring.consumerBarrier(node, "blocking"));
}

/** Frees the seat of a single producer; what it had claimed is claimed again. */
export function reclaimSingleProducer(ring: Ring): void {
  if (Atomics.load(ring.words, TAKEN) === 0) {
    throw new Error("Cannot reclaim the producer as none is attached");
  }
  // It may have died after it published, and before it notified.
  ring.cursor.notify();
  Atomics.store(ring.words, TAKEN, 0);
}

/** Gives up what a producer that has died had claimed, and frees its place. */
export function reclaimProducer(ring: Ring, place: number): void {
  const claims = ring.producerClaims(-1);
  if (!claims.isPresent(place)) {
    throw new Error(`Cannot reclaim producer ${place} as it is not attached`);
  }
  const left = claims.leftClaim(place);
  if (left !== undefined) markSkipped(ring, left.position, left.length);
  claims.endClaim(place);
  claims.leave(place);
}
