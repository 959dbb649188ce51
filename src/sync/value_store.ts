/**
 * The store of a waiter queue: the contract, and how a released value gets there.
 *
 * The protocol, and the reason for the contract, are described at the head of `waiter_queue.ts`.
 * tests/sync/value_store_model_test.ts explores stores that keep the contract, and stores that do
 * not.
 *
 * @module
 */

import { describe } from "../memory/check.ts";
import type { Registrations } from "./registrations.ts";

/**
 * A store of a {@link WaiterQueue}: where values lie while no thread waits for them. Use a
 * {@link ValueSet}, or write one that keeps this contract, on which the queue relies:
 *
 * - **It is shared.** Every thread that takes or releases calls its store, at any time and many of
 *   them at once. All of these stores stand for the same words in shared memory, and change them by
 *   atomic operations.
 * - **A value that was put is taken once.** Which value `take` returns does not matter.
 * - **No value is overlooked.** `take` returns undefined only if the store was empty at some
 *   instant of the call. A value is in the store from the return of its `put`, at the latest, until
 *   the begin of the `take` that returns it, at the earliest. In short, the calls are linearizable:
 *   each seems to happen at one instant.
 * - **Happens before.** Everything that a thread did before it `put` a value happens before
 *   everything that a thread does after `take` returned that value to it.
 * - **Neither waits,** not even for a lock: a release, and a waiter that is about to sleep, call
 *   both while other threads rely on them. So there is room for every value. Neither calls the
 *   queue.
 * - **Neither throws.** If `put` throws, so does `release`, before it has looked for waiters again;
 *   a value that is passed on because its waiter gave up is then lost. If `take` throws, so does
 *   `release`, and waiters of this thread fail.
 *
 * A store that overlooks a value because another call is in progress *loses a wake-up*: a waiter
 * sleeps beside a value that no thread looks for again. The bounded queue of Vyukov is such a
 * store, textbook and lock-free as it is: a value whose put has returned stays hidden while the put
 * before it is in progress. So is a bitmap that each thread begins to scan at a word of its own.
 * Let `explore` of `@busbar/busbar/model` look at yours.
 */
export interface ValueStore {
  /** Takes a value out; returns undefined if the store was empty at some instant of the call. */
  take(): number | undefined;
  /** Puts a value in. It is in the store at the latest when this returns. */
  put(value: number): void;
}

/** Throws unless `store` is a store. */
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
    // One take for this put. It may return another value; then the releaser of that one takes ours.
  }
}
