/**
 * Keeps the writer within what the ring retains for the slowest worker, and tells the workers when
 * the stream is over. The ring knows nothing of this: it is between the writer and its workers.
 *
 * Control block (32-bit words, each on a cache line of its own):
 *
 *     word  0 | end |                         0: streaming, 1: ended, 2: abandoned
 *             | stored by the writer          before the message that wakes the workers
 *     word 16 | position of worker 0 | left   low 32 bits, multiples of 8; bit 0: it reads no more
 *     word 32 | position of worker 1 | left
 *       ...   | stored by that worker         who then notifies
 *
 * A worker loads `end` before it polls: if the stream had ended, and nothing is left to poll, it
 * has seen all, even if it was overrun past the last message.
 *
 * @module
 */

import type { Broadcast } from "../../broadcast/broadcast.ts";
import type { BroadcastWriter } from "../../broadcast/writer.ts";
import { CACHE_LINE_WORDS } from "../../memory/layout.ts";

const END = 0;
const LEFT = 1;

/** How a stream stands. */
export type StreamState = "streaming" | "ended" | "abandoned";
const STATES: readonly StreamState[] = ["streaming", "ended", "abandoned"];

/** What a frame may take beside its payload: its header, and the rounding of its length. */
const FRAME_OVERHEAD_BYTES = 16;

/** Where the position of a worker stands. */
function positionIndex(worker: number): number {
  return (1 + worker) * CACHE_LINE_WORDS;
}

/** The writer's side. */
export class Pacer {
  /** The control block, to be handed to the workers. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly #workers: number;
  /** How far the writer may be ahead of the slowest worker. */
  readonly #windowBytes: number;
  /** Up to which position the writer may write. */
  #limit: number;
  #someoneLeft = false;

  /** Makes the control block for a number of workers that begin where the ring does. */
  constructor(broadcast: Broadcast, workers: number) {
    const { capacityBytes, segments, startPosition } = broadcast;
    this.control = new Int32Array(new SharedArrayBuffer(positionIndex(workers) * 4));
    this.#workers = workers;
    // A segment is lost when the writer enters it, and the worker may be at the end of one.
    this.#windowBytes = capacityBytes - capacityBytes / segments;
    this.#limit = startPosition + this.#windowBytes;
    for (let i = 0; i < workers; i++) this.control[positionIndex(i)] = startPosition;
  }

  /** Blocks until every worker is near enough for a message of `length` bytes to be written. */
  makeRoom(writer: BroadcastWriter, length: number): void {
    // Twice, since there may be padding before a message, which is shorter than its frame.
    const reach = writer.position + 2 * (length + FRAME_OVERHEAD_BYTES);
    if (reach > this.#limit) this.#waitFor(writer, reach);
  }

  /** Looks whether a worker left, which is then no longer waited for. */
  findsLeaver(writer: BroadcastWriter): boolean {
    this.#findSlowest(writer.position);
    return this.#someoneLeft;
  }

  /** Tells the workers that the stream is over: `ended` if they shall read what is left of it. */
  finish(writer: BroadcastWriter, state: "ended" | "abandoned"): void {
    // Pairs with the worker's load before it polls.
    Atomics.store(this.control, END, STATES.indexOf(state));
    // An empty message, which wakes those that sleep.
    writer.send(new Uint8Array(0));
  }

  #waitFor(writer: BroadcastWriter, reach: number): void {
    // Nobody can catch up with what is not published.
    writer.publish();
    for (;;) {
      const slowest = this.#findSlowest(writer.position);
      if (reach <= this.#limit) return;
      Atomics.wait(this.control, slowest.index, slowest.word);
    }
  }

  /** Finds the slowest worker that has not left, and moves the limit. */
  #findSlowest(position: number): { index: number; word: number } {
    let behind = 0;
    const slowest = { index: 0, word: 0 };
    for (let i = 0; i < this.#workers; i++) {
      const index = positionIndex(i);
      // Pairs with the worker's store: it is done with the ring before this position.
      const word = Atomics.load(this.control, index);
      if ((word & LEFT) !== 0) {
        this.#someoneLeft = true;
        continue;
      }
      const distance = (position - word) | 0;
      if (distance < behind) continue;
      behind = distance;
      slowest.index = index;
      slowest.word = word;
    }
    this.#limit = position - behind + this.#windowBytes;
    return slowest;
  }
}

/** A worker's side. */
export class Follower {
  readonly #control: Int32Array;
  readonly #index: number;

  /** Opens the control block as the worker of this number. */
  constructor(control: Int32Array, worker: number) {
    this.#control = control;
    this.#index = positionIndex(worker);
  }

  /** How the stream stands. */
  get state(): StreamState {
    // Pairs with the writer's store, before which all was published.
    return STATES[Atomics.load(this.#control, END)]!;
  }

  /** Says that this worker is done with the ring before `position`. */
  reached(position: number): void {
    // Pairs with the writer's load and wait.
    Atomics.store(this.#control, this.#index, position | 0);
    Atomics.notify(this.#control, this.#index);
  }

  /** Says that this worker reads no more. */
  leave(): void {
    Atomics.or(this.#control, this.#index, LEFT);
    Atomics.notify(this.#control, this.#index);
  }
}
