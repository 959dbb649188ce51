/**
 * Backpressure between the writer and its workers. The ring itself has none: its writer never
 * waits.
 *
 * Control block (64-bit words, each on a cache line of its own):
 *
 *     word 0 | position of worker 0 | stored by that worker, which then notifies the writer
 *     word 8 | position of worker 1 |
 *       ...
 *
 * @module
 */

import type { Broadcast, BroadcastWriter } from "../../broadcast/mod.ts";

/** The position of a worker that has stopped reading: the writer is never too far ahead of it. */
export const STOPPED = Number.MAX_SAFE_INTEGER;

/** The word with the position of a worker. */
const wordOf = (worker: number) => 8 * worker;

/** A frame is at most this much longer than its payload: by its header and alignment. */
const FRAME_OVERHEAD_BYTES = 16;

/** The writer's side. */
export class WriterPace {
  /** The control block, for the workers. */
  readonly control: BigInt64Array<SharedArrayBuffer>;
  readonly #writer: BroadcastWriter;
  readonly #words: readonly number[];
  /** How far the writer may be ahead of the slowest worker. */
  readonly #windowBytes: number;
  /** The position up to which the writer may write. */
  #limit: number;

  /** Creates the control block for workers that begin where the ring does. */
  constructor(broadcast: Broadcast, writer: BroadcastWriter, workers: number) {
    const { capacityBytes, segments, startPosition } = broadcast;
    this.control = new BigInt64Array(new SharedArrayBuffer(8 * wordOf(workers)));
    this.control.fill(BigInt(startPosition));
    this.#writer = writer;
    this.#words = Array.from({ length: workers }, (_, worker) => wordOf(worker));
    // Entering a segment overwrites all of it, and the worker may be at its end.
    this.#windowBytes = capacityBytes - capacityBytes / segments;
    this.#limit = startPosition + this.#windowBytes;
  }

  /** Blocks until every worker is close enough for a message of `length` bytes to be written. */
  waitForRoom(length: number): void {
    // Twice, since padding may precede a message, and is shorter than its frame.
    const end = this.#writer.position + 2 * (length + FRAME_OVERHEAD_BYTES);
    if (end <= this.#limit) return;
    this.#writer.publish(); // a worker cannot catch up with unpublished messages
    const positions = this.#words.map((word) => this.#waitUntil(word, end - this.#windowBytes));
    this.#limit = Math.min(...positions) + this.#windowBytes;
  }

  /** Blocks until the worker's position, in this word, has reached `target`; returns it. */
  #waitUntil(word: number, target: number): number {
    for (;;) {
      // Pairs with the worker's store: it has read everything before this position.
      const position = Atomics.load(this.control, word);
      if (position >= target) return Number(position);
      Atomics.wait(this.control, word, position);
    }
  }
}

/** A worker's side. */
export class WorkerPace {
  readonly #control: BigInt64Array;
  readonly #word: number;

  /** Opens the control block as the worker of this number. */
  constructor(control: BigInt64Array, worker: number) {
    this.#control = control;
    this.#word = wordOf(worker);
  }

  /** Tells the writer that this worker has read everything before `position`. */
  reached(position: number): void {
    Atomics.store(this.#control, this.#word, BigInt(position)); // pairs with the writer's load
    Atomics.notify(this.#control, this.#word);
  }
}
