/**
 * Streams of messages from a worker to others, as ways to be compared.
 *
 * @module
 */

import type { Way } from "./alternating.ts";
import { type Crew, type Duty, sharedNumbers, sharedWords } from "./crew.ts";
import { checkSum, expectedSum } from "./messages.ts";
import { progressWords, receiverLine, type StreamEnd } from "./stream_ends.ts";

/** Messages that are published at once, and that go between two readings of the progress. */
export const BATCH = 64;
/** How far the sender of a port may be ahead; wider windows were no faster. */
export const PORT_AHEAD = 16 * BATCH;

/** The duties of the ends. */
export type StreamRole = keyof typeof import("./stream_worker.ts");

/** What a stream is made of. */
export interface StreamOptions {
  readonly sender: StreamRole;
  readonly receiver: StreamRole;
  /** Makes what the ends of a run go by: that of the sender, and that of the receivers. */
  readonly connect: () => readonly [unknown, unknown];
  readonly messageBytes: number;
  readonly messages: number;
  /** How many messages the sender may be ahead. */
  readonly ahead: number;
  readonly batch?: number;
  readonly receivers?: number;
}

/** A stream of messages, each run of which is verified. */
export class Stream implements Way {
  readonly name: string;
  readonly count: number;
  /** By how many bytes the heap of each end grew in the last run. */
  readonly growth: Float64Array;
  readonly #crew: Crew;
  readonly #options: StreamOptions;
  readonly #receivers: number;
  readonly #progress: Int32Array;
  readonly #expected: number;

  /**
   * @param crew Performs the duties of `stream_worker.ts`; streams that take turns can share it.
   */
  constructor(crew: Crew, name: string, options: StreamOptions) {
    const { messages, receivers = 1 } = options;
    this.name = name;
    this.count = messages;
    this.#crew = crew;
    this.#options = options;
    this.#receivers = receivers;
    this.#progress = sharedWords(progressWords(receivers));
    this.#expected = expectedSum(messages);
    this.growth = sharedNumbers(receivers + 1);
  }

  prepare(): void {
    const { sender, receiver, connect, messageBytes, messages, ahead, batch = BATCH } =
      this.#options;
    const receivers = this.#receivers;
    const progress = this.#progress.fill(0);
    const [there, here] = connect();
    const duties: Duty[] = [];
    for (let end = 0; end <= receivers; end++) {
      const via = end === 0 ? there : here;
      const argument: StreamEnd = {
        via,
        progress,
        messageBytes,
        messages,
        batch,
        ahead,
        receivers,
        end,
        spins: receivers === 1,
        gathers: true,
        growth: this.growth,
      };
      duties.push({
        name: end === 0 ? sender : receiver,
        argument,
        transfer: via instanceof MessagePort ? [via] : [],
      });
    }
    this.#crew.assign(duties, 1);
  }

  run(): void {
    this.#crew.run();
    for (let end = 1; end <= this.#receivers; end++) {
      const [count, sum] = this.#progress.subarray(receiverLine(end));
      checkSum(`${this.name}, messages`, this.count, count!);
      checkSum(this.name, this.#expected, sum!);
    }
  }
}
