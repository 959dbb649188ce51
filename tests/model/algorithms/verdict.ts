/**
 * What a test says of an algorithm: right under every schedule, or wrong in a named way.
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

/** Fails unless every schedule was visited and none fails. */
export async function assertHolds<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
): Promise<Report> {
  const report = await explore(model);
  assert(report.complete, "the search was not exhaustive");
  return report;
}

/** Fails unless some schedule fails in this way. */
export async function assertFails<State, T extends Threads<State>>(
  kind: FailureKind,
  model: ExploreOptions<State, T>,
): Promise<Failure> {
  const { failure } = await assertRejects(() => explore(model), ExplorationError);
  assertEquals(failure.kind, kind, failure.message);
  return failure;
}

/** So many 32-bit words of shared memory, all zero. */
export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}
