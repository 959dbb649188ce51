/**
 * Functions for models: start threads, share buffers with them, and name memory in reports.
 *
 * @module
 */

import { runningCalls, setupCalls } from "./interception/intercept.ts";
import { buffers } from "./interception/registry.ts";
import type { Body } from "./machine/thread_declaration.ts";
import { valueText } from "./values.ts";

/** A thread that another thread has started. */
export interface Task<T> {
  /** Waits until the thread has ended, and returns its result. */
  join(): T;
}

/**
 * Starts a simulated thread from another one.
 *
 * Everything that the parent did before happens before the new thread; everything that the new
 * thread does happens before `join` returns.
 *
 * Eight threads can live at one time, those of the model included; one that was joined no longer
 * counts.
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
 * @param body The code of the new thread.
 * @param name Its name in reports, and of its result for `check`; if another thread has it already,
 *   `#2` and so on is added. Default: the parent's name and a number.
 * @returns The new thread, to be joined.
 * @throws {Error} If no simulated thread is running.
 * @throws {TypeError} If the body is no function, or the name no string.
 */
export function spawn<T>(body: () => T, name?: string): Task<T> {
  const calls = runningCalls("spawn a thread");
  if (typeof body !== "function" || (name !== undefined && typeof name !== "string")) {
    const received = [body, name].map(valueText).join(" and ");
    throw new TypeError(`Cannot spawn: expected a function and a name, received ${received}`);
  }
  const id = calls.spawn(name, body as Body);
  return { join: () => runningCalls("join a thread").join(id) as T };
}

/**
 * Waits until a mortal thread is dead: for a thread that repairs what it left.
 *
 * A thread that ends without having died is dead then, too. All that the dead thread did happens
 * before this returns.
 *
 * @example A lock that is freed for the dead
 * ```ts
 * import { awaitDeath, explore } from "@busbar/busbar/model";
 *
 * const lock = (word: Int32Array, id: number) => {
 *   for (let seen; (seen = Atomics.compareExchange(word, 0, 0, id)) !== 0;) {
 *     Atomics.wait(word, 0, seen);
 *   }
 * };
 * const unlock = (word: Int32Array) => {
 *   Atomics.store(word, 0, 0);
 *   Atomics.notify(word, 0);
 * };
 * await explore({
 *   setup: () => new Int32Array(new SharedArrayBuffer(4)),
 *   mortal: ["worker"],
 *   threads: {
 *     worker(word) {
 *       lock(word, 1);
 *       unlock(word);
 *     },
 *     other(word) {
 *       lock(word, 2);
 *       unlock(word);
 *     },
 *     repair(word) {
 *       awaitDeath("worker");
 *       Atomics.compareExchange(word, 0, 1, 0); // if it had the lock
 *       Atomics.notify(word, 0); // it may have died before that
 *     },
 *   },
 * });
 * ```
 *
 * @param name The name of the thread, as in `mortal` of the options.
 * @throws {Error} If no mortal thread has that name, or no simulated thread is running.
 */
export function awaitDeath(name: string): void {
  runningCalls("wait for a death").awaitDeath(name);
}

/**
 * Makes a buffer part of the model, as if it were shared; for memory that `new SharedArrayBuffer`
 * does not create, such as a mapped file. To be called in `setup`.
 *
 * @param buffer The memory. Views on it must be created afterwards.
 * @param name Its name in reports. Default: `buffer` and a number.
 * @returns The buffer.
 * @throws {Error} If no model is being explored, or a simulated thread is running.
 */
export function shareBuffer<B extends ArrayBufferLike>(buffer: B, name?: string): B {
  setupCalls("share a buffer").adopt(buffer, name).isExposed = true;
  return buffer;
}

/**
 * Gives a range of bytes a name for reports. To be called in `setup` or in a thread.
 *
 * @param buffer A buffer of the model.
 * @param byteOffset The first byte of the range.
 * @param byteLength Its length in bytes.
 * @param name Its name.
 * @throws {TypeError} If the buffer is not part of a model.
 */
export function label(
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
  name: string,
): void {
  const model = buffers.get(buffer);
  if (model === undefined) throw new TypeError("Cannot label a buffer that is not part of a model");
  model.label(byteOffset, byteLength, name);
}
