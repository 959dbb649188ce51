/**
 * What the model tests of this directory have in common: verdicts, and a counter that tells whether
 * two threads were ever inside at once.
 *
 * @module
 */

import {
  ExplorationError,
  explore,
  type ExploreOptions,
  type FailureKind,
  type Report,
  type Threads,
} from "@busbar/busbar/model";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Memory } from "@busbar/busbar";

/** Fails unless every schedule was visited, more than one, and none fails. */
export async function passes<State, T extends Threads<State>>(
  model: ExploreOptions<State, T>,
): Promise<Report> {
  const report = await explore({ clock: "virtual", ...model });
  assert(report.complete, report.reason);
  assert(report.executions > 1, "one execution proves nothing");
  return report;
}

/** Fails unless some schedule fails in this way; returns what is said of it. */
export async function fails<State, T extends Threads<State>>(
  kind: FailureKind,
  model: ExploreOptions<State, T>,
): Promise<ExplorationError> {
  const error = await assertRejects(
    () => explore({ clock: "virtual", ...model }),
    ExplorationError,
  );
  assertEquals(error.failure.kind, kind, error.message);
  return error;
}

/** So many 32-bit words of shared memory, all zero. */
export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}

/**
 * Runs `test` with other methods of {@link Memory}: broken twins of what happens after an `await`,
 * where `tampered` does not reach.
 */
export async function withMemory(
  wrong: (proper: Memory) => Partial<Pick<Memory, "notify" | "waitAsync">>,
  test: () => Promise<unknown>,
): Promise<void> {
  const { notify, waitAsync } = Memory.prototype;
  Object.assign(Memory.prototype, wrong({ notify, waitAsync } as Memory));
  try {
    await test();
  } finally {
    Object.assign(Memory.prototype, { notify, waitAsync });
  }
}

/** Whether a promise is settled already, but for what its own continuations take. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let i = 0; i < 10; i++) await undefined;
  return settled;
}
