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
 *
 * What a waiter queue relies on:
 *
 * - **A take misses no value whose put has returned.** If it returns undefined, then each value whose
 *   put had returned before the take began was taken by another take.
 * - **Neither waits nor throws.** A value whose put throws is lost; `take` and `put` are called from
 *   any thread at any time, also while it releases a value of another.
 *
 * The first is easily broken: the usual bounded ring of many producers and consumers (Vyukov's) takes
 * a place before it fills it. A take then finds the first place unfilled, and gives up, although a
 * later put has returned; the waiter sleeps beside a full store, and nobody wakes it. A word in which
 * each value has a bit, set by `Atomics.or` and cleared by `Atomics.and`, is a store that holds; and
 * so is a stack.
 *
 * What a thread did before it released a value happens before what another does after it took that
 * value: by an offer in any case, and through the store if `take` reads what `put` wrote by atomic
 * operations on the same word.
 */
export interface ValueStore {
  /** Takes a value out; undefined only if there is none, in the sense above. */
  take(): number | undefined;
  /** Puts a value in: a take that begins afterwards does not miss it. */
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
