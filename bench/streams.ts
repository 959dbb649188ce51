/**
 * Streams of messages from a worker to others, as ways to be compared.
 *
 * @module
 */

import type { Way } from "./alternating.ts";
import { type Crew, type Duty, sharedNumbers, sharedWords } from "./crew.ts";
import { checkSum, expectedSum } from "./messages.ts";
import { progressWords, receiverLine, type StreamEnd } from "./stream_ends.ts";

/** The messages that are published at once, or sent between two readings of the progress. */
export const BATCH = 64;
/** How far the sender of a port may be ahead; wider windows were no faster. */
export const PORT_AHEAD = 16 * BATCH;

/** The duties of the ends. */
export type StreamRole = keyof typeof import("./stream_worker.ts");

/** Options of {@link stream}. */
export interface StreamOptions {
  readonly sender: StreamRole;
  readonly receiver: StreamRole;
  /** Creates the transport of a run: the sender's end, and the receivers' end. */
  readonly connect: () => readonly [unknown, unknown];
  readonly messageBytes: number;
  readonly messages: number;
  /** How many messages the sender may be ahead. */
  readonly ahead: number;
  readonly batch?: number;
  readonly receivers?: number;
}

/** A stream of messages as a way. */
export interface Stream extends Way {
  /** By how many bytes the heap of each end grew in the last run. */
  readonly growth: Float64Array;
}

/**
 * Makes a stream, each run of which is verified.
 *
 * @param crew Performs the duties of `stream_worker.ts`; streams that take turns can share it.
 */
export function stream(crew: Crew, name: string, options: StreamOptions): Stream {
  const { sender, receiver, connect, messages: count, receivers = 1 } = options;
  const growth = sharedNumbers(receivers + 1);
  const progress = sharedWords(progressWords(receivers));
  const expected = expectedSum(count);

  const duty = (name: string, end: number, via: unknown): Duty => {
    const { messageBytes, messages, batch = BATCH, ahead } = options;
    const spins = receivers === 1;
    const size = { messageBytes, messages, batch, ahead };
    const argument: StreamEnd = { ...size, via, progress, receivers, end, spins, growth };
    return { name, argument, transfer: via instanceof MessagePort ? [via] : [] };
  };

  return {
    name,
    count,
    growth,
    prepare() {
      progress.fill(0);
      const [there, here] = connect();
      const duties = [duty(sender, 0, there)];
      for (let end = 1; end <= receivers; end++) duties.push(duty(receiver, end, here));
      crew.assign(duties, 1);
    },
    run() {
      crew.run();
      for (let end = 1; end <= receivers; end++) {
        const [received, sum] = progress.subarray(receiverLine(end));
        checkSum(`${name}, messages`, count, received!);
        checkSum(name, expected, sum!);
      }
    },
  };
}
