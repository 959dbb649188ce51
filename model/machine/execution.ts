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
import { now } from "../native.ts";
import { Rechecks } from "./recheck.ts";
import { isThenable } from "./thenable.ts";
import { SUSPENDED, type Thread } from "./thread.ts";
import type { UnseenWrites } from "./unseen_writes.ts";

/** How many accesses of check or invariant pass between two looks at the clock, less one. */
const UNTRACKED_CHECK_MASK = 4095;
/** So many accesses no check needs. */
const MAX_UNTRACKED = 1 << 28;

/** How an execution behaves. */
export interface ExecutionOptions {
  /** `refuse`: reading the clock is an error; `virtual`: only expired timeouts advance it. */
  readonly clock: "refuse" | "virtual";
  /** Whether to report reads of bytes that no thread has written. */
  readonly uninitialised: boolean;
  /** Whether to collect the source line of each operation. */
  readonly coverage: boolean;
  /** How many rounds of a waiting loop are looked ahead. */
  readonly spinLimit: number;
  /** The most operations of an execution. */
  readonly maxSteps: number;
  /** Whether a loop that waits without a pause is a failure. */
  readonly refusesPolling: boolean;
}

/**
/**
 * No failure of the model: a thread has tasks, such as a promise that it does not await, so that
 * the search must begin once more, and look for the tasks of all threads.
 */
export const FOUND_TASKS: Failure = { kind: "misuse", message: "A thread has tasks" };

/**
 * The two accesses of a race, of which the first is undefined if its log no longer has it; or the
 * entry that a replay does not repeat.
 */
export interface ReportedEntries {
  readonly first: Entry | undefined;
  readonly second: Entry | undefined;
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
  /** The result of setup. */
  state: unknown = undefined;
  /** Gives the argument for a run of a body. */
  stateForThread: () => unknown = () => undefined;
  /** Gives one whose objects no other thread has had; undefined if there is no difference. */
  ownState: (() => { readonly state: unknown } | undefined) | undefined = undefined;
  /** Whether a thread is run once more, to check that it does the same. */
  isRechecking = false;
  /** The operation to which it came at first. */
  recheckExpected: Operation | undefined = undefined;
  /** What it did then instead of an operation or its end. */
  recheckOutcome = "";
  /** Where it was when it made another operation now. */
  recheckStack: Error | undefined = undefined;
  /** While setup runs again: the buffers that it created when it ran first, in order. */
  reusedBuffers: Iterator<ModelBuffer> | undefined = undefined;
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
  /** The number of yields in a row that took effect only because no other thread could run. */
  forcedYields = 0;
  /** The thread that runs without interleaving, until its next yield. */
  hurried: Thread | undefined = undefined;
  /** The time at which the search must stop. */
  deadline = Infinity;
  /** Whether that time has come in the middle of a thread's run. */
  isOutOfTime = false;
  /** The buffers that are compared with what they should be; undefined if there are none. */
  unseenWrites: UnseenWrites | undefined = undefined;
  /** Which advances of threads are checked. */
  rechecks: Rechecks = new Rechecks([]);
  /** The source line of each operation that was reached, by a key of it; only if asked for. */
  readonly reached: Map<number, string> | undefined;

  /**
   * Where threads were when they announced their first operations: a thread that does something
   * else when it is replayed does so early, and may not get there again.
   */
  readonly firstStacks: Map<Entry, Error> = new Map();

  #failure: Failure | undefined = undefined;
  #reported: ReportedEntries | undefined = undefined;
  #isUntracked = false;
  /** The number of accesses by setup, or by the present call of check or invariant. */
  #untracked = 0;
  #copies: Uint8Array[] | undefined = undefined;

  constructor(options: ExecutionOptions) {
    this.options = options;
    this.reached = options.coverage ? new Map() : undefined;
  }

  /** How it failed. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** The entries that the failure is about, if it is about any. */
  get reported(): ReportedEntries | undefined {
    return this.#reported;
  }

  /**
   * Records a failure, unless there is one, and unwinds the running thread.
   *
   * @throws {unknown} {@linkcode SUSPENDED} if a thread is running.
   */
  fail(failure: Failure, reported?: ReportedEntries): void {
    if (this.current?.ahead !== undefined) {
      // It will fail when it really gets there.
      this.current.unwinding = true;
      throw SUSPENDED;
    }
    if (this.#failure === undefined) {
      this.#failure = failure;
      this.#reported = reported;
    }
    if (this.current !== undefined) {
      this.current.unwinding = true;
      throw SUSPENDED;
    }
  }

  /** Forgets the failure: the transition that led to it is undone. */
  clearFailure(): void {
    this.#failure = undefined;
    this.#reported = undefined;
  }

  /** Runs code of the test between transitions; its writes to model memory are undone. */
  runUntracked<T>(code: () => T): T {
    this.#isUntracked = true;
    this.#untracked = 0;
    const restore = () => {
      this.#isUntracked = false;
      this.#copies?.forEach((copy, i) => this.buffers[i]!.bytes.set(copy));
      this.#copies = undefined;
      this.unseenWrites?.restore();
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

  /**
   * Counts an access by code of the test.
   *
   * @throws {Error} If there are so many that it seems to wait for a thread.
   */
  countUntracked(): void {
    if ((++this.#untracked & UNTRACKED_CHECK_MASK) !== 0) return;
    if (now() < this.deadline && this.#untracked < MAX_UNTRACKED) return;
    throw new Error(
      `Setup, check or invariant has made ${this.#untracked} accesses and does not end: does it ` +
        "wait for a thread? None runs meanwhile",
    );
  }

  /** To be called before code of the test writes: copies the buffers for restoring them. */
  beforeDirectWrite(): void {
    if (this.#isUntracked) this.#copies ??= this.buffers.map((buffer) => buffer.bytes.slice());
  }
}
