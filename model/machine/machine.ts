/**
 * The simulated machine: threads that advance by one operation at a time, and can be taken back.
 *
 * JavaScript cannot suspend a plain function, so a thread is *replayed*: its body runs from the
 * start, each call that it made before is answered from its log, and the first new operation throws
 * {@linkcode SUSPENDED}. That operation is then *announced*: known before it takes effect. When the
 * scheduler chooses the thread, the operation is applied and logged, and the thread is replayed to
 * its next one. A *transition* is one operation and the plain accesses that follow it. Undoing it
 * restores memory and shortens the log; no code runs.
 *
 * @module
 */

import { ORIGIN, tick } from "./clock.ts";
import { apply, revert, unwindLog } from "./effects.ts";
import { isForcedPause, mayBlock } from "./entry.ts";
import { Execution, type ExecutionOptions } from "./execution.ts";
import { impossible, unhandled } from "./impossible.ts";
import { JOIN, PAUSE, RESUME, WAKE } from "./kinds.ts";
import { type Moment, Moments } from "./moments.ts";
import { advance, runBody } from "./runner.ts";
import { canReturn, hasChanged, spinFailure } from "./spinning.ts";
import { Thread } from "./thread.ts";
import type { Body } from "./thread_declaration.ts";

/** How many transitions pass between two looks for a thread that spins, less one; a bit mask. */
const SPIN_CHECK_MASK = 63;

/** Drives one execution forward and back. */
export class Machine {
  readonly execution: Execution;
  #moments = new Moments();
  /** For each transition, where its thread was in its known behaviour before. */
  readonly #momentsBefore: (Moment | undefined)[] = [];
  /** The numbers of spawned threads, by parent and order. */
  readonly #childIds = new Map<string, number>();
  /** The number of threads that have a number. */
  #declared = 0;
  /** The thread whose pause may end although no watched word changed: no other thread can run. */
  #forced: Thread | undefined = undefined;

  constructor(options: ExecutionOptions) {
    this.execution = new Execution(options);
  }

  /** Adds a thread; {@linkcode Machine.start} runs it to its first operation. */
  declare(name: string, body: Body): void {
    const id = this.#declared++;
    const thread = new Thread({ id, name, body }, id, undefined);
    thread.moment = this.#moments.root(thread.declaration);
    this.execution.threads.push(thread);
    this.execution.occupants.push(thread);
  }

  /** Runs every declared thread to its first operation. */
  start(): void | Promise<void> {
    let pending: Promise<void> | undefined;
    for (const thread of this.execution.threads) {
      if (thread === undefined) continue;
      thread.clock = tick(ORIGIN, thread.slot);
      if (pending !== undefined) {
        pending = pending.then(() => runBody(this.execution, thread));
      } else {
        const run = runBody(this.execution, thread);
        if (run) pending = run;
      }
    }
    return pending;
  }

  /** Undoes everything, for another search of the same model; what is known is forgotten. */
  reset(): void {
    const { execution } = this;
    while (execution.trace.length > 0) this.undo();
    execution.clearFailure();
    this.#moments = new Moments();
    for (const thread of execution.threads) {
      if (thread === undefined) continue;
      unwindLog(execution, thread, 0);
      thread.announced = undefined;
      thread.done = false;
      thread.moment = this.#moments.root(thread.declaration);
    }
  }

  /** Whether the thread's next operation can take effect now. */
  isEnabled(thread: Thread | undefined): thread is Thread {
    const entry = thread?.announced;
    if (entry === undefined) return false;
    if (!mayBlock(entry)) return true;
    switch (entry.kind) {
      case WAKE:
        return canReturn(entry.detail);
      case RESUME:
        return thread!.outstanding.some((wait) => canReturn(wait.detail));
      case PAUSE: {
        const { watches } = entry.detail;
        return thread === this.#forced || watches.length === 0 || watches.some(hasChanged);
      }
      case JOIN:
        return this.execution.threads[entry.detail.child]?.done === true;
      default:
        return unhandled(entry);
    }
  }

  /**
   * Enables the paused thread that was forced least recently, because no other thread can run.
   *
   * @returns Whether there is one.
   */
  forcePause(): boolean {
    const { forcedPauses, options, threads, trace } = this.execution;
    if (forcedPauses >= options.spinLimit) return false;
    let choice: Thread | undefined;
    let latest = Infinity;
    for (const thread of threads) {
      if (thread?.announced?.kind !== PAUSE) continue;
      const last = trace.findLastIndex((e) => isForcedPause(e) && e.thread === thread.id);
      if (last < latest) {
        latest = last;
        choice = thread;
      }
    }
    this.#forced = choice;
    return choice !== undefined;
  }

  /** Makes one transition: applies the thread's next operation and advances to the one after. */
  step(thread: Thread): void | Promise<void> {
    const { execution } = this;
    const entry = thread.announced ?? impossible("a thread without an operation is scheduled");
    execution.trace.push(entry);
    thread.log.push(entry);
    this.#momentsBefore.push(thread.moment);
    entry.clockBefore = thread.clock;
    entry.doneBefore = thread.done;
    entry.isInSpan = thread.span >= 0;
    entry.forcedBefore = execution.forcedPauses;
    if (entry.kind === PAUSE) entry.detail.isForced = thread === this.#forced;
    this.#forced = undefined;
    thread.announced = undefined;
    const child = apply(execution, thread, entry);
    thread.moment = thread.moment?.child(entry);
    if (entry.changed) execution.forcedPauses = 0;
    else if (isForcedPause(entry)) execution.forcedPauses++;
    // A wait that falls asleep announces its wake itself.
    if (execution.failure !== undefined || thread.announced !== undefined) return;
    if ((execution.trace.length & SPIN_CHECK_MASK) === 0) {
      const failure = spinFailure(thread, execution.options.spinLimit);
      if (failure !== undefined) return execution.fail(failure);
    }
    if (child === undefined) return advance(execution, thread);
    child.moment = this.#moments.root(child.declaration);
    const started = advance(execution, child);
    return started ? started.then(() => advance(execution, thread)) : advance(execution, thread);
  }

  /** Undoes the last transition, and the failure that it led to. */
  undo(): void {
    const { execution } = this;
    const entry = execution.trace.pop() ?? impossible("a transition is undone that was not made");
    const thread = execution.threads[entry.thread]!;
    execution.clearFailure();
    this.#forced = undefined;
    unwindLog(execution, thread, thread.log.lastIndexOf(entry) + 1);
    if (thread.log.pop() !== entry) impossible("the trace and the log of a thread differ");
    thread.clock = entry.clockBefore!;
    thread.done = entry.doneBefore;
    if (!thread.done) thread.result = undefined;
    thread.announced = entry;
    thread.moment = this.#momentsBefore.pop();
    execution.forcedPauses = entry.forcedBefore;
    revert(execution, thread, entry);
  }

  /** The number of the next thread that a thread spawns: the same in every execution. */
  childId(thread: Thread): number {
    const key = `${thread.id}.${thread.spawned}`;
    let id = this.#childIds.get(key);
    if (id === undefined) {
      id = this.#declared++;
      this.#childIds.set(key, id);
    }
    return id;
  }
}
