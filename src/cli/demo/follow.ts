/**
 * Follows a stream to its end: reads each message, hands it to a task, and keeps account.
 *
 * @module
 */

import { OverrunError } from "../../broadcast/overrun.ts";
import type { BroadcastReader } from "../../broadcast/reader.ts";
import type { Follower } from "./pace.ts";
import type { Task, TaskResult } from "./task.ts";

/** What a worker says of a stream that it followed. */
export interface FollowReport {
  /** How many messages it received. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
  /** How far it was behind the writer at most, in bytes of the ring. */
  readonly maxLagBytes: number;
  /** How often it was overrun. */
  readonly overruns: number;
  /** What came out of its task. */
  readonly result: TaskResult;
}

/** Reads until the stream is over; blocks while there is nothing to read. */
export function follow(reader: BroadcastReader, follower: Follower, task: Task): FollowReport {
  let messages = 0;
  let bytes = 0;
  let maxLagBytes = 0;
  for (;;) {
    // Before the poll: see pace.ts.
    const state = follower.state;
    if (state === "abandoned") break;
    try {
      maxLagBytes = Math.max(maxLagBytes, reader.lagBytes);
      if (!reader.poll()) {
        if (state === "ended") break;
        reader.wait();
        continue;
      }
    } catch (error) {
      if (!(error instanceof OverrunError)) throw error;
      // The reader keeps count, and goes on with what is published next.
      task.skip();
      continue;
    }
    while (reader.next()) {
      const { offset, length } = reader;
      // Only the message that ends the stream is empty.
      if (length === 0) continue;
      task.take(reader.bytes, offset, offset + length, reader.isFinal);
      messages++;
      bytes += length;
    }
    follower.reached(reader.position);
  }
  return { messages, bytes, maxLagBytes, overruns: reader.overruns, result: task.result() };
}
