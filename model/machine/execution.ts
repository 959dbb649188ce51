/**
 * The state of one execution: threads, their memory, the transitions so far, and how it failed.
 *
 * Everything that takes effect changes this state and nothing else. The machine drives it; reports
 * and strategies read it.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import type { Entry, Operation } from "./entry.ts";
import type { ModelBuffer } from "./memory.ts";
import { isThenable } from "./thenable.ts";
import { SUSPENDED, type Thread } from "./thread.ts";

/** How an execution behaves. */
export interface ExecutionOptions {
  /** `refuse`: reading the clock is an error; `virtual`: only expired timeouts advance it. */
  readonly clock: "refuse" | "virtual";
  /** Whether to report reads of bytes that no thread has written. */
  readonly uninitialised: boolean;
  /** Whether to collect the source line of each operation. */
  readonly coverage: boolean;
  /** How many times in a row a pause may be forced, or the same values be read. */
  readonly spinLimit: number;
}

/**
 * No failure of the model: a thread has tasks, such as a promise that it does not await, so that
 * the search must begin once more, and look for the tasks of all threads.
 */
export const FOUND_TASKS: Failure = { kind: "misuse", message: "A thread has tasks" };

/** The two accesses of a race; the first is undefined if its log no longer has it. */
export interface RacingAccesses {
  readonly first: Entry | undefined;
  readonly second: Entry;
}

/**
 * The state of one execution.
 *
 * - **One failure.** Only {@linkcode Execution.fail} sets it, the first one stays, and only
 *   {@linkcode Execution.clearFailure} removes it.
 * - **One running thread.** `current` is the thread whose code runs; it is undefined while setup,
 *   check, an invariant or the explorer itself runs.
 */
export class Execution {
  readonly options: ExecutionOptions;
  /** By thread number; undefined where a spawned thread is undone. */
  readonly threads: (Thread | undefined)[] = [];
  /** The last thread that each slot was given to. */
  readonly occupants: (Thread | undefined)[] = [];
  /** The operations that took effect, in order. */
  readonly trace: Operation[] = [];
  /** The buffers that setup and threads created. */
  readonly buffers: ModelBuffer[] = [];
  /** The thread whose code is running. */
  current: Thread | undefined = undefined;
  /** The result of setup: the argument of all threads. */
  state: unknown = undefined;
  /** Whether threads may have tasks: after each run of a body, those that it has begun are run. */
  hasTasks = false;
  /** Whether promises that a thread rejects, and nothing handles, are looked for at its end. */
  catchesRejections = false;
  /** Whether a thread has ended of which it is not known whether it left tasks behind. */
  isUnprobed = false;
  /** Whether calls that no thread makes are of tasks that were left behind; they are suspended. */
  isProbing = false;
  /** Whether there were such calls. */
  foundTasks = false;
  /** The number of pauses in a row that ended only because no other thread could run. */
  forcedPauses = 0;
  /** The source line of each operation that was reached, by a key of it; only if asked for. */
  readonly reached: Map<number, string> | undefined;

  #failure: Failure | undefined = undefined;
  #racing: RacingAccesses | undefined = undefined;
  #isUntracked = false;
  #copies: Uint8Array[] | undefined = undefined;

  constructor(options: ExecutionOptions) {
    this.options = options;
    this.reached = options.coverage ? new Map() : undefined;
  }

  /** How it failed. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** The accesses that the failure is about, if it is a race. */
  get racing(): RacingAccesses | undefined {
    return this.#racing;
  }

  /**
   * Records a failure, unless there is one, and unwinds the running thread.
   *
   * @throws {unknown} {@linkcode SUSPENDED} if a thread is running.
   */
  fail(failure: Failure, racing?: RacingAccesses): void {
    if (this.#failure === undefined) {
      this.#failure = failure;
      this.#racing = racing;
    }
    if (this.current !== undefined) {
      this.current.unwinding = true;
      throw SUSPENDED;
    }
  }

  /** Forgets the failure: the transition that led to it is undone. */
  clearFailure(): void {
    this.#failure = undefined;
    this.#racing = undefined;
  }

  /** Runs code of the test between transitions; its writes to model memory are undone. */
  runUntracked<T>(code: () => T): T {
    this.#isUntracked = true;
    const restore = () => {
      this.#isUntracked = false;
      this.#copies?.forEach((copy, i) => this.buffers[i]!.bytes.set(copy));
      this.#copies = undefined;
    };
    let result: T | undefined;
    try {
      result = code();
      return result;
    } finally {
      if (isThenable(result)) result.then(restore, restore);
      else restore();
    }
  }

  /** To be called before code of the test writes: copies the buffers for restoring them. */
  beforeDirectWrite(): void {
    if (this.#isUntracked) this.#copies ??= this.buffers.map((buffer) => buffer.bytes.slice());
  }
}
