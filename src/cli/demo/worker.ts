/**
 * A worker: attaches to the ring, performs a task on its messages, and reports the result.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle, type BroadcastReader } from "../../broadcast/mod.ts";
import { STOPPED, WorkerPace } from "./pace.ts";
import { type Task, type TaskName, type TaskResult, TASKS } from "./tasks.ts";

/** What a worker is started with; `control` is the block that `pace.ts` describes. */
export interface Order {
  readonly task: TaskName;
  readonly broadcast: BroadcastHandle;
  readonly control: BigInt64Array;
  readonly worker: number;
}

/** What a worker reports: the messages that it received, its largest lag, and its result. */
export interface Report {
  readonly messages: number;
  readonly bytes: number;
  readonly maxLagBytes: number;
  readonly overruns: number;
  readonly result: TaskResult;
}

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

/** Posts `"ready"` and then the report, or the error that prevented either. */
self.onmessage = ({ data: { task, broadcast, control, worker } }: MessageEvent<Order>) => {
  const pace = new WorkerPace(control, worker);
  try {
    const ring = Broadcast.attach(broadcast);
    const reader = ring.reader({ from: ring.startPosition, onOverrun: "continue" });
    self.postMessage("ready");
    self.postMessage(follow(reader, pace, TASKS[task]()));
  } catch (error) {
    self.postMessage(error);
  } finally {
    pace.reached(STOPPED);
  }
};

/** Reads to the end of the stream, blocking while there is nothing to read. */
export function follow(reader: BroadcastReader, pace: WorkerPace, task: Task): Report {
  let messages = 0;
  let bytes = 0;
  let maxLagBytes = 0;
  // It waits until the writer has published more, or has closed.
  while (reader.wait()) {
    maxLagBytes = Math.max(maxLagBytes, reader.lagBytes);
    if (!reader.poll()) continue;
    while (reader.next()) {
      task.take(reader);
      messages++;
      bytes += reader.length;
    }
    pace.reached(reader.position);
  }
  return { messages, bytes, maxLagBytes, overruns: reader.overruns, result: task.result() };
}
