/**
 * A worker of the demo: is given a ring and a task, and reports what came out.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle } from "../../broadcast/broadcast.ts";
import { follow, type FollowReport } from "./follow.ts";
import { Follower } from "./pace.ts";
import type { Task } from "./task.ts";
import { beginTask, type TaskName } from "./tasks.ts";

/** What a worker is told. */
export interface Order {
  /** What to do with the messages. */
  readonly task: TaskName;
  /** The ring. */
  readonly broadcast: BroadcastHandle;
  /** The control block; see `pace.ts`. */
  readonly control: Int32Array;
  /** The number of the worker. */
  readonly worker: number;
}

/** What a worker tells. */
export type News =
  | { readonly kind: "ready" }
  | { readonly kind: "report"; readonly report: FollowReport }
  | { readonly kind: "failure"; readonly message: string };

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(news: News): void;
}

/**
 * Carries an order out, and tells how it went.
 *
 * @param begin Begins the task that the order names.
 */
export function carryOut(
  { task, broadcast, control, worker }: Order,
  tell: (news: News) => void,
  begin: (task: TaskName) => Task = beginTask,
): void {
  const follower = new Follower(control, worker);
  try {
    const ring = Broadcast.attach(broadcast);
    const reader = ring.reader({ from: ring.startPosition });
    tell({ kind: "ready" });
    tell({ kind: "report", report: follow(reader, follower, begin(task)) });
  } catch (error) {
    tell({ kind: "failure", message: error instanceof Error ? error.message : String(error) });
  } finally {
    // Last, since it wakes a writer who then looks for what was told.
    follower.leave();
  }
}

const scope = globalThis as unknown as WorkerScope;
// Only a worker has somebody to tell.
if (typeof scope.postMessage === "function") {
  scope.onmessage = ({ data }) => carryOut(data, (news) => scope.postMessage(news));
}
