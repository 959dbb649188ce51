/**
 * Expectations of explorations, for the explorer's own tests.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import {
  ExplorationError,
  explore,
  type ExploreOptions,
  type FailureKind,
  type Threads,
} from "@busbar/busbar/model";

/** Four words of shared memory. */
export const words = (): Int32Array => new Int32Array(new SharedArrayBuffer(16));

/** Explores a model that must fail in this way. */
export async function fails<S, T extends Threads<S>>(
  kind: FailureKind,
  options: ExploreOptions<S, T>,
): Promise<ExplorationError> {
  const error = await assertRejects(() => explore(options), ExplorationError);
  assertEquals(error.failure.kind, kind, error.message);
  return error;
}
