/**
 * The simulated machine: threads that advance by one operation at a time, and can be taken back.
 *
 * JavaScript cannot suspend a plain function, so a thread is *replayed*: run from its start, each
 * call that it has made before is answered from its log, and the first new operation throws
 * {@linkcode SUSPENDED}. That operation is then *announced*: known before it happens. When the
 * scheduler picks the thread, the operation is applied, logged, and the thread is replayed to find
 * its next one. A *transition* is one operation and the plain accesses that follow it. Undoing it
 * restores memory and pops the log; nothing is run again.
 *
 * @module
 */

import { Calls } from "../interception/calls.ts";
import { MAX_THREADS, ORIGIN, tick } from "./clock.ts";
import { apply, revert, unwind } from "./effects.ts";
import { Entry, JOIN, LAST_OPERATION, PAUSE, RESUME, WAKE } from "./entry.ts";
import type { Failure } from "../failure.ts";
import { freeze } from "./freeze.ts";
import { Moment, MomentBudget } from "./moments.ts";
import { ModelBuffer } from "./memory.ts";
import { happen } from "./plain.ts";
import type { Race } from "./races.ts";
import { buffers } from "../interception/registry.ts";
import { type Body, SUSPENDED, Thread } from "./thread.ts";
import { canReturn, hasMoved, spins, wordsReadSincePause } from "./spinning.ts";

/** Options of a machine. */
export interface MachineOptions {
  /** Refuse the clock, or give threads a virtual one that only timeouts advance. */
  readonly clock: "refuse" | "virtual";
  /** Report plain or atomic reads of bytes that nobody wrote. */
  readonly uninitialised: boolean;
  /** Note the source line of each operation. */
  readonly coverage: boolean;
  /** How often a thread may read the same values again before that is called spinning. */
  readonly spinLimit: number;
}

/** Lets every microtask, and what they queue, run. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

/** Threads, their memory, and the transitions made so far. */
export class Machine {
  /** By thread id; spawned threads come and go. */
  readonly threads: (Thread | undefined)[] = [];
  /** The transitions made so far. */
  readonly trace: Entry[] = [];
  /** Buffers made by setup and by threads. */
  readonly buffers: ModelBuffer[] = [];
  /** The thread whose code is running, or undefined while setup or check does. */
  current: Thread | undefined = undefined;
  /** What went wrong in the present execution. */
  failure: Failure | undefined = undefined;
  /** What setup returned. */
  state: unknown = undefined;
  /** Pauses in a row that were forced because nothing else could run. */
  forcedPauses = 0;
  /** Source lines with operations that were reached; only where asked for. */
  readonly reached: Map<number, string> | undefined;
  /** Where the code under test comes in. */
  readonly calls: Calls = new Calls(this);
  /** The thread whose pause may end though nothing was written, since nothing else can run. */
  #forced: Thread | undefined;
  readonly #children = new Map<string, number>();
  /** How much may be remembered of the threads. */
  readonly budget = new MomentBudget();
  #aside = false;
  #copies: Uint8Array[] | undefined;
  #declared = 0;

  readonly options: MachineOptions;

  constructor(options: MachineOptions) {
    this.options = options;
    if (options.coverage) this.reached = new Map();
  }

  /** Adds a thread; it runs to its first operation when {@linkcode Machine.start} is called. */
  declare(name: string, body: Body): void {
    this.threads.push(new Thread(this.#declared++, name, body, new Moment(this.budget)));
  }

  /** Runs every declared thread to its first operation. */
  start(): void | Promise<void> {
    let pending: Promise<void> | undefined;
    for (const thread of this.threads) {
      thread!.clock = tick(ORIGIN, thread!.id);
      if (pending !== undefined) {
        pending = pending.then(() => this.run(thread!));
      } else {
        const run = this.run(thread!);
        if (run) pending = run;
      }
    }
    return pending;
  }

  /** Whether the thread's announced operation can happen now. */
  isEnabled(thread: Thread | undefined): thread is Thread {
    const entry = thread?.announced;
    if (entry === undefined) return false;
    switch (entry.kind) {
      case WAKE:
        return canReturn(entry);
      case RESUME:
        return thread!.outstanding.some(canReturn);
      case PAUSE:
        return thread === this.#forced || entry.watches!.length === 0 ||
          entry.watches!.some(hasMoved);
      case JOIN:
        return this.threads[entry.other]?.done === true;
      default:
        return true;
    }
  }

  /**
   * Lets the paused thread that was forced least recently go on, because nothing else can.
   *
   * @returns Whether there was one.
   */
  forcePause(): boolean {
    if (this.forcedPauses >= this.options.spinLimit) return false;
    let choice: Thread | undefined;
    let latest = Infinity;
    for (const thread of this.threads) {
      if (thread?.announced?.kind !== PAUSE) continue;
      const last = this.trace.findLastIndex((e) => e.forced && e.thread === thread.id);
      if (last < latest) {
        latest = last;
        choice = thread;
      }
    }
    if (choice === undefined) return false;
    this.#forced = choice;
    return true;
  }

  /** Makes one transition: applies the thread's announced operation and runs on to the next. */
  step(thread: Thread): void | Promise<void> {
    const entry = thread.announced!;
    this.trace.push(entry);
    thread.log.push(entry);
    entry.clockBefore = thread.clock;
    entry.forcedBefore = this.forcedPauses;
    entry.moment = thread.moment;
    entry.forced = thread === this.#forced;
    this.#forced = undefined;
    thread.announced = undefined;
    const child = apply(this, thread, entry);
    thread.moment = thread.moment?.grow(entry);
    if (entry.changed) this.forcedPauses = 0;
    else if (entry.forced) this.forcedPauses++;
    if (this.failure !== undefined || thread.announced !== undefined) return;
    if ((this.trace.length & 63) === 0) {
      this.failure = spins(thread, this.options.spinLimit);
      if (this.failure !== undefined) return;
    }
    const started = child === undefined ? undefined : this.#advance(child);
    return started ? started.then(() => this.#advance(thread)) : this.#advance(thread);
  }

  /** The number of the next thread that a thread spawns: the same in every execution. */
  childId(thread: Thread): number {
    const key = `${thread.id}.${thread.spawned}`;
    let id = this.#children.get(key);
    if (id === undefined) {
      id = this.#declared++;
      if (id >= MAX_THREADS) {
        this.fail({ kind: "misuse", message: `A model has at most ${MAX_THREADS} threads` });
      }
      this.#children.set(key, id);
    }
    return id;
  }

  /** Brings a thread to its next operation: by what is remembered of it, else by replay. */
  #advance(thread: Thread): void | Promise<void> {
    for (;;) {
      const { moment } = thread;
      const entry = moment?.entry;
      if (entry === undefined) {
        if (moment?.end === undefined) return this.run(thread);
        thread.done = true;
        thread.result = moment.end.result;
        return;
      }
      if (entry.kind <= LAST_OPERATION) return this.announce(thread, entry);
      happen(this, thread, entry);
      if (this.failure !== undefined) return;
      thread.moment = moment!.grow(entry);
    }
  }

  /** Remembers what a replay has found beyond `from` entries. */
  #learn(thread: Thread, from: number): void {
    if (this.failure !== undefined || thread.capturing !== undefined) return;
    let { moment } = thread;
    const { log } = thread;
    for (let i = from; moment !== undefined && i < log.length; i++) {
      const entry = log[i]!;
      moment.entry = entry;
      moment = moment.grow(entry);
    }
    thread.moment = moment;
    if (moment === undefined) return;
    if (thread.announced !== undefined) moment.entry = thread.announced;
    else if (thread.done) moment.end = { result: thread.result };
  }

  /** Takes the last transition back. */
  undo(): void {
    const entry = this.trace.pop()!;
    const thread = this.threads[entry.thread]!;
    this.failure = undefined;
    this.#forced = undefined;
    unwind(this, thread, thread.log.lastIndexOf(entry) + 1);
    thread.log.pop();
    thread.clock = entry.clockBefore!;
    thread.done = false;
    thread.result = undefined;
    thread.announced = entry;
    thread.moment = entry.moment;
    this.forcedPauses = entry.forcedBefore;
    revert(this, thread, entry);
  }

  /**
   * Replays a thread to its next operation, its end, or its failure.
   *
   * @returns A promise if the thread's body is asynchronous.
   */
  run(thread: Thread): void | Promise<void> {
    thread.cursor = 0;
    thread.unwinding = false;
    thread.promises = [];
    const known = thread.log.length;
    let value: unknown;
    this.current = thread;
    try {
      value = thread.body(this.state as never);
    } catch (error) {
      if (!thread.unwinding) this.#threw(thread, error);
    }
    this.current = undefined;
    if (isThenable(value)) return this.#drive(thread, value).then(() => this.#learn(thread, known));
    if (this.failure === undefined && !thread.unwinding) this.#finish(thread, value);
    this.#learn(thread, known);
  }

  /** Notes what is wrong and unwinds the running thread, if one is. */
  fail(failure: Failure): void {
    this.failure ??= failure;
    if (this.current !== undefined) {
      this.current.unwinding = true;
      throw SUSPENDED;
    }
  }

  /** The stack lines of every entry in a thread's log, and of its announced operation, by replay. */
  capture(thread: Thread): string[][] | Promise<string[][]> {
    const { done, result, announced, failure } = {
      done: thread.done,
      result: thread.result,
      announced: thread.announced,
      failure: this.failure,
    };
    const lines: string[][] = thread.capturing = [];
    const restore = () => {
      thread.capturing = undefined;
      thread.done = done;
      thread.result = result;
      thread.announced = announced;
      this.failure = failure;
      return lines;
    };
    const run = this.run(thread);
    return run ? run.then(restore) : restore();
  }

  /** Makes a buffer part of the model. */
  adopt(real: ArrayBufferLike, id: string): void {
    this.buffers.push(this.register(real, id));
  }

  /** Gives a real buffer its model. */
  register(real: ArrayBufferLike, id: string): ModelBuffer {
    const buffer = new ModelBuffer(id, real);
    if (this.options.uninitialised) buffer.initialised = new Uint8Array(real.byteLength);
    buffers.set(real, buffer);
    return buffer;
  }

  /** The thread has come to its next operation. */
  announce(thread: Thread, entry: Entry): void {
    if (entry.kind === PAUSE) entry.watches = wordsReadSincePause(thread);
    thread.announced = entry;
  }

  #finish(thread: Thread, value: unknown): void {
    if (thread.cursor < thread.log.length && thread.capturing === undefined) {
      try {
        this.calls.differs(thread, thread.log[thread.cursor]!, "it ends");
      } catch {
        return;
      }
    }
    if (thread.span >= 0) {
      this.failure ??= {
        kind: "misuse",
        message: `Thread ${thread.name} ends inside a speculative span`,
      };
    }
    thread.done = true;
    thread.result = freeze(value);
  }

  #threw(thread: Thread, error: unknown): void {
    if (thread.capturing !== undefined) return;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.failure ??= {
      kind: "exception",
      message: `Thread ${thread.name} threw ${text}`,
      cause: error,
    };
  }

  /** Drives an asynchronous body: lets its microtasks run, and resolves what the log has resolved. */
  async #drive(thread: Thread, promise: PromiseLike<unknown>): Promise<void> {
    let settled: { value?: unknown; error?: unknown } | undefined;
    promise.then((value) => settled = { value }, (error) => settled = { error });
    for (;;) {
      this.current = thread;
      await drained();
      this.current = undefined;
      const next = thread.log[thread.cursor];
      if (thread.unwinding || next?.kind !== RESUME) break;
      if (thread.capturing !== undefined) thread.capturing[thread.cursor] = [];
      thread.cursor++;
      thread.promises[next.index]!(next.result as string);
    }
    if (thread.unwinding) return;
    if (settled !== undefined) {
      if ("error" in settled) this.#threw(thread, settled.error);
      else this.#finish(thread, settled.value);
      return;
    }
    if (thread.outstanding.length === 0) {
      this.failure ??= {
        kind: "misuse",
        message: `Thread ${thread.name} awaits a promise that no simulated thread resolves: ` +
          "only Atomics.waitAsync can be awaited here",
      };
      return;
    }
    const entry = new Entry(RESUME, thread.id, undefined, 0, 0);
    thread.announced = entry;
  }

  /** Runs code of the test between transitions; what it writes to model memory is taken back. */
  aside<T>(code: () => T): T {
    this.#aside = true;
    const restore = () => {
      this.#aside = false;
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

  /** Setup, check or an invariant is about to write. */
  beforeDirectWrite(): void {
    if (this.#aside) this.#copies ??= this.buffers.map((buffer) => buffer.bytes.slice());
  }

  /** Notes a race. */
  race(entry: Entry, race: Race): void {
    const failure: Failure = {
      kind: race.mixedSize ? "mixed-size race" : "data race",
      message: race.message,
    };
    this.raced = { first: race.other, second: entry };
    if (this.current !== undefined) this.fail(failure);
    this.failure ??= failure;
  }

  /** The two accesses of the race that was found. */
  raced: { first: Entry | undefined; second: Entry } | undefined = undefined;
}
