/**
 * Blocks of shared memory that everything else is laid out in.
 *
 * @module
 */

export { Copier } from "./copier.ts";
export { ClosedError, ReclaimedError } from "./errors.ts";
export type { Handle } from "./handle.ts";
export { Memory, type MemoryHandle, type MemoryOptions } from "./memory.ts";
export type { Observer } from "./observer.ts";
export type { PullIterator, PullOptions, PullSource } from "./pull_iterator.ts";
export type { RegionHandle } from "./region.ts";
export type { AsyncWaitOptions, UntimedWaitOptions, WaitOptions } from "./wait_options.ts";
