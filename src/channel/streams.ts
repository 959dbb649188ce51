/**
 * Web streams over the ends of a channel. Their backpressure is that of the channel: a stream has
 * no queue of its own.
 *
 * @module
 */

import type { AsyncWaitOptions } from "../memory/wait_options.ts";

/** What is used of a receiver. */
interface Source<Value> {
  readonly hasEnded: boolean;
  receiveAsync(options: AsyncWaitOptions): Promise<Value | undefined>;
}

/** What is used of a sender. */
interface Sink<Value> {
  sendAsync(value: Value, options: AsyncWaitOptions): Promise<boolean>;
  close(): void;
}

/** A stream that receives when it is read. */
export function readableOf<Value>(source: Source<Value>): ReadableStream<Value> {
  const cancelled = new AbortController();
  return new ReadableStream<Value>({
    async pull(controller) {
      let value: Value | undefined;
      try {
        value = await source.receiveAsync({ signal: cancelled.signal });
      } catch (error) {
        if (cancelled.signal.aborted) return;
        throw error;
      }
      if (value === undefined && source.hasEnded) controller.close();
      else controller.enqueue(value!);
    },
    cancel: (reason) => cancelled.abort(reason),
  }, { highWaterMark: 0 });
}

/** A stream that sends what is written; once it is closed or aborted, the sender is closed. */
export function writableOf<Value>(sink: Sink<Value>): WritableStream<Value> {
  return new WritableStream<Value>({
    async write(value, { signal }) {
      await sink.sendAsync(value, { signal });
    },
    close: () => sink.close(),
    abort: () => sink.close(),
  }, { highWaterMark: 1 });
}
