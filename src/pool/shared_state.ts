/**
 * What the threads of a pool share, as one of them sees it: its parts, each in a file of its own.
 *
 * @module
 */

import type { WaiterQueue } from "../sync/waiter_queue.ts";
import { Batches } from "./batches.ts";
import { Holds } from "./holds.ts";
import type { BufferPoolLayout } from "./layout.ts";
import type { Identity } from "./threads.ts";
import { Tickets } from "./tickets.ts";
import { WaitingThreads } from "./waiting_threads.ts";

/** What the threads of a pool share, as one of them sees it. */
export interface SharedState {
  /** The number of the thread that sees it. */
  readonly thread: number;
  /** All words of the region, but the data. */
  readonly words: Int32Array;
  /** Which buffers are taken. */
  readonly batches: Batches;
  /** Who has those that are. */
  readonly holds: Holds;
  /** What lets receivers in. */
  readonly tickets: Tickets;
  /** Which threads wait for a buffer. */
  readonly waiting: WaitingThreads;
  /** In which order they do. */
  readonly queue: WaiterQueue;
}

/** Opens what the threads of a pool share, as one of them. */
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
  return { thread, words, batches, holds, tickets, waiting, queue };
}
