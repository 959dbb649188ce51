/**
 * What the model tests of this directory have in common.
 *
 * @module
 */

import { Memory } from "@busbar/busbar";

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

/** Whether a promise has settled, apart from the microtasks of its own continuations. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let i = 0; i < 10; i++) await undefined;
  return settled;
}
