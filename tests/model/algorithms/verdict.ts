/**
 * Assertions about algorithms: correct under every schedule, or failing in a named way.
 *
 * @module
 */

import {
  ExplorationError,
  explore,
  type ExploreOptions,
  type Failure,
  type FailureKind,
  type Report,
  type Threads,
} from "@busbar/busbar/model";
import { assert, assertEquals, assertRejects } from "@std/assert";

/** Fails unless every schedule is visited and none fails. */
export async function assertHolds<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
): Promise<Report> {
  const report = await explore(model);
  assert(report.complete, "the search was not exhaustive");
  return report;
}

/** Fails unless a schedule fails in this way. */
export async function assertFails<State, T extends Threads<State>>(
  kind: FailureKind,
  model: ExploreOptions<State, T>,
): Promise<Failure> {
  const { failure } = await assertRejects(() => explore(model), ExplorationError);
  assertEquals(failure.kind, kind, failure.message);
  return failure;
}

/** Creates zeroed 32-bit words of shared memory. */
export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}
