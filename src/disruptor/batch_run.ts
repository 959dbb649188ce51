/**
 * Running handlers: attempts, and what happens when they fail.
 *
 * @module
 */

import { checkInteger, checkOptions, describe } from "../memory/check.ts";
import { beginHandling, endHandling } from "./handling.ts";
import { HALTED } from "./layout.ts";
import type { Ring } from "./ring.ts";

/** Handles a batch; returns "again" to get the same one once more. */
export type BatchHandler<Batch> = (batch: Batch, attempt: number) => void | "again";
/** As {@link BatchHandler}; it is awaited. */
export type AsyncBatchHandler<Batch> = (
  batch: Batch,
  attempt: number,
) => void | "again" | Promise<void | "again">;
/** Handles the event in a slot; returns "again" to get the same one once more. */
export type EventHandler = (
  slot: number,
  endOfBatch: boolean,
  attempt: number,
) => void | "again";

/** Options of the methods that run a handler. */
export interface RunOptions {
  /** The maximum number of events in a batch; by default as for {@link Consumer.poll}. */
  readonly maxBatch?: number;
  /** How often a batch or an event is handled until that counts as failed; 1 by default. */
  readonly attempts?: number;
  /**
   * What happens after that: the whole disruptor is halted, and the error thrown; or the batch or
   * event is skipped. "halt" by default.
   */
  readonly onFailure?: "halt" | "skip";
  /** Called with the error of each attempt that failed. */
  readonly report?: (error: unknown, attempt: number) => void;
}

/** The batch of a consumer. */
interface Batch {
  readonly begin: number;
  readonly end: number;
  release(count?: number): void;
}

const ACTION = "run a handler";

/** The handling of batches by one handler. */
export class BatchRun {
  /** The maximum number of events in a batch. */
  readonly maxBatch: number | undefined;
  readonly #ring: Ring;
  readonly #node: number;
  readonly #attempts: number;
  readonly #halts: boolean;
  readonly #report: ((error: unknown, attempt: number) => void) | undefined;

  /**
   * Checks the options.
   *
   * @throws {TypeError} If `onFailure` is neither "halt" nor "skip".
   * @throws {RangeError} If `maxBatch` or `attempts` is not a whole number above 0.
   */
  constructor(ring: Ring, node: number, options: RunOptions = {}) {
    checkOptions(ACTION, options);
    const { maxBatch, attempts = 1, onFailure = "halt", report } = options;
    if (maxBatch !== undefined) checkInteger(ACTION, "maxBatch", maxBatch, 1, 2 ** 31 - 1);
    checkInteger(ACTION, "attempts", attempts, 1);
    if (onFailure !== "halt" && onFailure !== "skip") {
      throw new TypeError(
        `Cannot ${ACTION} as 'onFailure' must be "halt" or "skip": received ${describe(onFailure)}`,
      );
    }
    this.maxBatch = maxBatch;
    this.#ring = ring;
    this.#node = node;
    this.#attempts = attempts;
    this.#halts = onFailure === "halt";
    this.#report = report;
  }

  /** Handles a batch, as often as needed. */
  handle<Polled extends Batch>(batch: Polled, handler: BatchHandler<Polled>): void {
    const { begin } = batch;
    for (let attempt = 1;; attempt++) {
      const outer = beginHandling(this.#ring, this.#node);
      try {
        if (handler(batch, attempt) !== "again") return;
        this.#checkWhole(batch, begin);
        if (this.#isLast(attempt, undefined)) return;
      } catch (error) {
        if (this.#isLast(attempt, error)) return;
        this.#checkWhole(batch, begin);
      } finally {
        endHandling(outer);
      }
    }
  }

  /** Handles each event of a batch, as often as needed. */
  handleEach(batch: Batch, handler: EventHandler): void {
    const { begin, end } = batch;
    const outer = beginHandling(this.#ring, this.#node);
    try {
      for (let slot = begin; slot < end; slot++) this.#handleEvent(slot, slot === end - 1, handler);
    } finally {
      endHandling(outer);
    }
  }

  #handleEvent(slot: number, endOfBatch: boolean, handler: EventHandler): void {
    for (let attempt = 1;; attempt++) {
      try {
        if (handler(slot, endOfBatch, attempt) !== "again") return;
        if (this.#isLast(attempt, undefined)) return;
      } catch (error) {
        if (this.#isLast(attempt, error)) return;
      }
    }
  }

  /** As {@link BatchRun.handle}, awaiting the handler. */
  async handleAsync<Polled extends Batch>(
    batch: Polled,
    handler: AsyncBatchHandler<Polled>,
  ): Promise<void> {
    const { begin } = batch;
    for (let attempt = 1;; attempt++) {
      try {
        // The handler's code up to its first await must not wait for room either.
        const outer = beginHandling(this.#ring, this.#node);
        let result: void | "again" | Promise<void | "again">;
        try {
          result = handler(batch, attempt);
        } finally {
          endHandling(outer);
        }
        if (await result !== "again") return;
        this.#checkWhole(batch, begin);
        if (this.#isLast(attempt, undefined)) return;
      } catch (error) {
        if (this.#isLast(attempt, error)) return;
        this.#checkWhole(batch, begin);
      }
    }
  }

  /** Whether to go on with the next; halts and throws if this was the last attempt of all. */
  #isLast(attempt: number, error: unknown): boolean {
    if (error instanceof RewindError) throw error;
    const failure = error ?? new RewindError(`The handler wanted the same again ${attempt} times`);
    this.#report?.(failure, attempt);
    if (attempt < this.#attempts && this.#ring.state < HALTED) return false;
    if (!this.#halts) return true;
    this.#ring.halt(this.#node + 1);
    throw failure;
  }

  #checkWhole(batch: Batch, begin: number): void {
    if (batch.begin === begin) return;
    this.#ring.halt(this.#node + 1);
    throw new RewindError(
      "Cannot handle a batch again as some of it is released: release events that will not be " +
        "handled again only, or return nothing",
    );
  }
}

/** A batch was wanted again that cannot come again, or not once more. */
export class RewindError extends Error {
  /** The name of this class. */
  override readonly name = "RewindError";
}
