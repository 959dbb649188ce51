/**
 * The shared state of a pool, as one thread sees it: its parts, each in a file of its own.
 *
 * @module
 */

import type { WaiterQueue } from "../sync/waiter_queue.ts";
import { Batches } from "./batches.ts";
import { Holds } from "./holds.ts";
import type { BufferPoolLayout } from "./layout.ts";
import { type Identity, WaitingThreads } from "./threads.ts";
import { Tickets } from "./tickets.ts";

/** The shared state of a pool, as one thread sees it. */
export interface SharedState {
  /** The number of the thread that sees it. */
  readonly thread: number;
  /** Which of the threads of that number it is. */
  readonly identity: Identity;
  /** All words of the region except the data. */
  readonly words: Int32Array;
  /** Which buffers are taken. */
  readonly batches: Batches;
  /** Which threads and tickets have those that are taken. */
  readonly holds: Holds;
  /** The tickets for buffers that several threads have. */
  readonly tickets: Tickets;
  /** Which threads wait for a buffer. */
  readonly waiting: WaitingThreads;
  /** In which order they wait. */
  readonly queue: WaiterQueue;
}

/** Opens the shared state of a pool, as one of its threads. */
export function openSharedState(
  words: Int32Array,
  queue: WaiterQueue,
  layout: BufferPoolLayout,
  identity: Identity,
): SharedState {
  const { thread } = identity;
  const holds = new Holds(words, layout, identity);
  const batches = new Batches(words, layout, holds);
  const tickets = new Tickets(words, layout, holds);
  const waiting = new WaitingThreads(words, thread);
  return { thread, identity, words, batches, holds, tickets, waiting, queue };
}
