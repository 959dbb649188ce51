/**
 * Nodes that are added and removed while everything runs.
 *
 * A node is removed by the flag REMOVED on its gate, and counts no more. It is added again by a
 * thread that attaches to it, in steps of one operation each:
 *
 * - A: the gate is put at the cursor, without the flag. From here on nobody passes it. A thread
 *   that looked before may use what it found.
 * - B: the gate is raised to the cursor that is found after that, which is no lower than anything
 *   that such a thread has found. That is where the node begins.
 *
 * A thread that dies between A and B leaves a gate that others may have passed. It has said before
 * that it adds the node, in the word by which it took it, and a thread that reclaims it removes the
 * node again.
 *
 * **Competing workers** may attach at the same time, so they must agree on where they begin. While
 * the node is removed, its claims are closed. After A, the first worker writes the place of B into
 * them, closed still. Then all of them raise the gate to that place, and open the claims there, by
 * operations that fail or change nothing if another worker has done the same.
 *
 *     claims:  | p closed | --CAS, after A--> | B closed, PLACED | --CAS, after B--> | B |
 *
 * A thread that removes such a node takes the places of all workers meanwhile, so that none is
 * there, and none attaches.
 *
 * Proven by: tests/disruptor/adding_model_test.ts.
 *
 * @module
 */

import { CLAIMS_CLOSED, FLAGS, REMOVED } from "./layout.ts";
import type { Ring } from "./ring.ts";

/** In the word of claims that are closed as their node is removed: where the node begins. */
const PLACED = 1;

/** Adds a node with one consumer, by that, if it is removed. */
export function addNode(ring: Ring, node: number): void {
  if (!ring.isRemoved(node)) return;
  const gate = ring.gates[node]!;
  // If this thread dies until the end, the node must not be taken over as it is: see `reclaim`.
  ring.tellAdding(node, true);
  gate.clear(REMOVED, ring.cursor.load() & ~FLAGS);
  gate.raiseTo(ring.cursor.load() & ~FLAGS);
  ring.tellAdding(node, false);
}

/** Adds a node with competing workers, by one of them, if it is removed. */
export function addWorkers(ring: Ring, node: number): void {
  const claims = ring.workerClaims(node, -1);
  for (;;) {
    const seen = claims.load();
    if ((seen & CLAIMS_CLOSED) === 0) return;
    const gate = ring.gates[node]!;
    if ((seen & PLACED) !== 0) {
      const begin = seen & ~FLAGS;
      gate.raiseTo(begin);
      claims.exchange(seen, begin);
      return;
    }
    if (ring.isRemoved(node)) gate.clear(REMOVED, ring.cursor.load() & ~FLAGS);
    const begin = ring.cursor.load() & ~FLAGS;
    claims.exchange(seen, begin | CLAIMS_CLOSED | PLACED);
  }
}

/**
 * Removes a node with competing workers.
 *
 * @returns Whether no worker was attached; otherwise nothing is changed.
 */
export function removeWorkers(ring: Ring, node: number): boolean {
  const claims = ring.workerClaims(node, -1);
  const { workers } = ring.graph.nodes[node]!;
  let taken = 0;
  while (taken < workers && claims.join(taken) === taken) taken++;
  const isFree = taken === workers;
  if (isFree) {
    // What a worker left that was closed is given up.
    for (let place = 0; place < workers; place++) claims.endClaim(place);
    claims.closeAt(claims.load() & ~FLAGS);
    ring.gates[node]!.set(REMOVED);
  }
  for (let place = 0; place < taken; place++) claims.leave(place);
  return isFree;
}
