/**
 * A writer that never waits, and readers that may be overrun, for `broadcast_writer_bench.ts`.
 *
 * @module
 */

import { Broadcast, type BroadcastHandle } from "../mod.ts";
import { type Round, SPINS } from "./crew.ts";
import { gather } from "./stream_ends.ts";

/** The part of a job that the writer and its readers have in common. */
interface Job {
  readonly ring: BroadcastHandle;
  /** 1 once the writer has ended. Stored by it. */
  readonly over: Int32Array;
}

/** The job of the writer. */
export interface WriterJob extends Job {
  readonly messageBytes: number;
  /** How many messages are published at once. */
  readonly batch: number;
  /** The nanoseconds a message of each chunk of {@link CHUNK_BATCHES}. Written by the writer. */
  readonly nanoseconds: Float64Array;
}

/** The job of a reader. */
export interface ReaderJob extends Job {
  /** Whether it spins when it finds nothing; otherwise it sleeps after a while. */
  readonly spins: boolean;
  /** Whether it lets messages gather for a moment after each batch. */
  readonly gathers: boolean;
  /** The number of messages it read, and of those it lost. Written by the reader. */
  readonly counts: Float64Array;
}

/** The batches that the writer times together. */
export const CHUNK_BATCHES = 200;
/** How long a reader sleeps before it looks whether the writer has ended. */
const SLEEP_MS = 10;

/** Writes without regard to readers, and times itself. */
export function writeFreely({ ring, over, messageBytes, batch, nanoseconds }: WriterJob): Round {
  const writer = Broadcast.attach(ring).writer();
  const payload = new Uint8Array(messageBytes);
  const chunk = CHUNK_BATCHES * batch;
  return () => {
    using _closed = writer;
    for (let n = 0; n < nanoseconds.length; n++) {
      const start = performance.now();
      for (let i = 0; i < chunk; i += batch) {
        for (let k = 0; k < batch; k++) {
          payload[0] = k;
          writer.append(payload);
        }
        writer.publish();
      }
      nanoseconds[n] = (performance.now() - start) * 1e6 / chunk;
    }
    Atomics.store(over, 0, 1);
    writer.heartbeat();
  };
}

/** Reads as many messages as it can until the writer has ended. */
export function readFreely({ ring, over, spins, gathers, counts }: ReaderJob): Round {
  const reader = Broadcast.attach(ring).reader({ onOverrun: "continue" });
  return () => {
    let messages = 0;
    let idle = 0;
    for (;;) {
      const isOver = Atomics.load(over, 0) === 1;
      if (reader.poll()) {
        idle = 0;
        while (reader.next()) messages++;
        if (gathers) gather();
      } else if (isOver) break;
      else if (spins || ++idle < SPINS) Atomics.pause();
      else reader.wait({ timeoutMs: SLEEP_MS });
    }
    counts[0] = messages;
    counts[1] = reader.lostMessages;
  };
}
