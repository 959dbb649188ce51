/**
 * What a model can do beside running bodies: start threads, take memory in, and name it.
 *
 * @module
 */

import { installedMachine, runningCalls } from "./interception/intercept.ts";
import { buffers } from "./interception/registry.ts";
import type { Body } from "./machine/thread.ts";

/** A thread that a thread has started. */
export interface Task<T> {
  /** Waits until the thread has ended, and returns what it returned. */
  join(): T;
}

/**
 * Starts a simulated thread from within one.
 *
 * What the parent did before happens before all that the new thread does; what that does happens
 * before `join` returns.
 *
 * @example Usage
 * ```ts
 * import { explore, spawn } from "@busbar/busbar/model";
 * import { assertEquals } from "@std/assert";
 *
 * await explore({
 *   setup: () => new Int32Array(new SharedArrayBuffer(4)),
 *   threads: {
 *     parent(word) {
 *       const child = spawn(() => Atomics.add(word, 0, 1));
 *       Atomics.add(word, 0, 1);
 *       child.join();
 *       assertEquals(word[0], 2); // not a race: the join orders it
 *     },
 *   },
 * });
 * ```
 *
 * @param body What the new thread does.
 * @param name What reports call it.
 */
export function spawn<T>(body: () => T, name?: string): Task<T> {
  const id = runningCalls("spawn a thread").spawn(name, body as Body);
  return { join: () => runningCalls("join a thread").join(id) as T };
}

/**
 * Makes a buffer part of the model, as if it were shared; for buffers that are not made by
 * `new SharedArrayBuffer`, such as a mapped file. To be called in `setup`.
 *
 * @param buffer The memory. Views on it must be made afterwards.
 * @param name What reports call it.
 * @returns The buffer.
 */
export function shareBuffer<B extends ArrayBufferLike>(buffer: B, name?: string): B {
  const machine = installedMachine("share a buffer");
  if (machine.current !== undefined) {
    throw new Error("Cannot share a buffer in a thread: do it in setup");
  }
  machine.adopt(buffer, name ?? `buffer${machine.buffers.length}`);
  return buffer;
}

/**
 * Names a range of bytes in reports. To be called in `setup` or in a thread.
 *
 * @param buffer The buffer of the model.
 * @param byteOffset Where the range begins.
 * @param byteLength How long it is.
 * @param name What reports call it.
 */
export function label(
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
  name: string,
): void {
  const model = buffers.get(buffer);
  if (model === undefined) throw new TypeError("Cannot label a buffer that is not of a model");
  model.label(byteOffset, byteLength, name);
}
