/**
 * Where values lie while nobody waits for them, and how they get there.
 *
 * The protocol is described at the head of `waiter_queue.ts`.
 *
 * @module
 */

import { describe } from "../memory/layout.ts";
import type { Registrations } from "./registrations.ts";

/**
 * Where values lie while nobody waits for them. Threads use it at the same time, so it is made of
 * shared words and atomic operations.
 */
export interface ValueStore {
  /** Takes a value out, if there is one. */
  take(): number | undefined;
  /** Puts a value in. */
  put(value: number): void;
}

/** Refuses what is not a store. */
export function checkStore(action: string, store: ValueStore): void {
  if (typeof store?.take === "function" && typeof store.put === "function") return;
  throw new TypeError(
    `Cannot ${action} as 'store' must have 'take' and 'put': received ${describe(store)}`,
  );
}

/** Gives a value to the thread that has waited longest, or puts it into the store. */
export function releaseTo(registrations: Registrations, store: ValueStore, value: number): void {
  for (let left: number | undefined = value; left !== undefined; left = store.take()) {
    if (registrations.offer(left)) return;
    store.put(left);
    // After it was put in: pairs with the look of a waiter after it has registered.
    if (!registrations.isAnyWaiting) return;
  }
}
