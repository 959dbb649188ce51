/**
 * A worker: attaches to the ring, performs a task on its messages, and reports the result.
 *
 * @module
 */

import {
  type BroadcastReader,
  Pacer,
  type PacerHandle,
  type PacerSeat,
} from "../../broadcast/mod.ts";
import { type Task, type TaskName, type TaskResult, TASKS } from "./tasks.ts";

/** What a worker is started with. */
export interface Order {
  readonly task: TaskName;
  readonly pacer: PacerHandle;
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
self.onmessage = ({ data: { task, pacer: handle } }: MessageEvent<Order>) => {
  const pacer = Pacer.attach(handle);
  using seat = pacer.join(); // it leaves at the end, so that the writer waits for it no more
  try {
    const reader = pacer.broadcast.reader({ from: seat.position, onOverrun: "continue" });
    self.postMessage("ready");
    self.postMessage(follow(reader, seat, TASKS[task]()));
  } catch (error) {
    self.postMessage(error);
  }
};

/** Reads to the end of the stream, blocking while there is nothing to read. */
export function follow(reader: BroadcastReader, seat: PacerSeat, task: Task): Report {
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
    seat.reached(reader.position);
  }
  return { messages, bytes, maxLagBytes, overruns: reader.overruns, result: task.result() };
}
