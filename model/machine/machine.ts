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

import { advance } from "./advance.ts";
import { ORIGIN, tick } from "./clock.ts";
import { apply, revert, unwindLog } from "./effects.ts";
import { isForced, isYield, mayBlock, type Yield } from "./entry.ts";
import { Execution, type ExecutionOptions } from "./execution.ts";
import { impossible, unhandled } from "./impossible.ts";
import { JOIN, PAUSE, RESUME, WAKE } from "./kinds.ts";
import { type Moment, Moments } from "./moments.ts";
import { Thread } from "./thread.ts";
import { UnseenWrites } from "./unseen_writes.ts";
import type { Body } from "./thread_declaration.ts";
import { isReleased, lookFarther, prepareYield } from "./yields.ts";

/** So many yields in a row are forced before the threads count as stuck. */
const MAX_FORCED = 16;

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
  /** The thread whose yield may take effect although it is held: no other thread can run. */
  #forced: Thread | undefined = undefined;

  constructor(options: ExecutionOptions) {
    this.execution = new Execution(options);
  }

  /**
   * Adds a thread; {@linkcode Machine.start} runs it to its first operation.
   *
   * @param victim The number of the thread whose death it is, if it is one.
   */
  declare(name: string, body: Body, victim?: number): void {
    const id = this.#declared++;
    const declaration = { id, name, body, ...(victim === undefined ? {} : { victim }) };
    const thread = new Thread(declaration, name, id, undefined);
    thread.moment = this.#moments.root(thread.declaration);
    this.execution.threads.push(thread);
    this.execution.occupants.push(thread);
  }

  /** Runs every declared thread to its first operation. */
  start(): void | Promise<void> {
    const exposed = this.execution.buffers.filter((buffer) => buffer.isExposed);
    if (exposed.length > 0) this.execution.unseenWrites = new UnseenWrites(exposed);
    let pending: Promise<void> | undefined;
    for (const thread of this.execution.threads) {
      if (thread === undefined) continue;
      thread.clock = tick(ORIGIN, thread.slot);
      if (pending !== undefined) {
        pending = pending.then(() => this.#advance(thread));
      } else {
        const run = this.#advance(thread);
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
    if (entry === undefined || thread!.isDead) return false;
    if (!mayBlock(entry)) return true;
    switch (entry.kind) {
      case PAUSE:
        return this.#canYield(thread!, entry);
      case WAKE: {
        const { sleeper, timeoutMs } = entry.detail;
        return sleeper!.notified || (timeoutMs !== Infinity && this.#canYield(thread!, entry));
      }
      case RESUME: {
        const { outstanding } = thread!;
        return outstanding.some((wait) => wait.detail.sleeper!.notified) ||
          (outstanding.some((wait) => wait.detail.timeoutMs !== Infinity) &&
            this.#canYield(thread!, entry));
      }
      case JOIN:
        return this.execution.threads[entry.detail.child]?.done === true;
      default:
        return unhandled(entry);
    }
  }

  #canYield(thread: Thread, entry: Yield): boolean {
    return thread === this.#forced || isReleased(entry.detail);
  }

  /** The thread that must make the next transition as its round is hurried, if any. */
  get hurried(): Thread | undefined {
    const { hurried } = this.execution;
    const entry = hurried?.announced;
    if (entry === undefined || !this.isEnabled(hurried)) return undefined;
    return isYield(entry) && !entry.detail.isHurried ? undefined : hurried;
  }

  /**
   * Enables the held thread that was forced least recently, because no other thread can run.
   *
   * @returns Whether there is one.
   */
  forceYield(): boolean {
    const { forcedYields, threads, trace } = this.execution;
    let choice: Thread | undefined;
    let latest = Infinity;
    for (const thread of threads) {
      if (thread === undefined || !this.#isHeld(thread)) continue;
      if (lookFarther(this.execution, thread)) return true;
      const last = trace.findLastIndex((e) => isForced(e) && e.thread === thread.id);
      if (last < latest) {
        latest = last;
        choice = thread;
      }
    }
    if (forcedYields >= MAX_FORCED) return false;
    this.#forced = choice;
    return choice !== undefined;
  }

  /** Whether a thread could go on if its yield were not held. */
  #isHeld(thread: Thread): boolean {
    const entry = thread.announced;
    if (entry === undefined || thread.isDead || !isYield(entry)) return false;
    switch (entry.kind) {
      case PAUSE:
        return true;
      case WAKE:
        return entry.detail.timeoutMs !== Infinity;
      case RESUME:
        return thread.outstanding.some((wait) => wait.detail.timeoutMs !== Infinity);
    }
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
    entry.forcedBefore = execution.forcedYields;
    entry.hurriedBefore = execution.hurried;
    if (isYield(entry)) {
      entry.detail.isForced = thread === this.#forced;
      execution.hurried = entry.detail.isHurried ? thread : undefined;
    }
    this.#forced = undefined;
    thread.announced = undefined;
    const child = apply(execution, thread, entry);
    thread.moment = thread.moment?.child(entry);
    if (entry.changed) execution.forcedYields = 0;
    else if (isForced(entry)) execution.forcedYields++;
    if (execution.failure !== undefined) return;
    // A wait that falls asleep announces its wake itself.
    if (thread.announced !== undefined) return prepareYield(execution, thread);
    if (child === undefined) return this.#advance(thread);
    child.moment = this.#moments.root(child.declaration);
    const started = this.#advance(child);
    return started ? started.then(() => this.#advance(thread)) : this.#advance(thread);
  }

  /** Runs a thread to its next operation. */
  #advance(thread: Thread): void | Promise<void> {
    const run = advance(this.execution, thread);
    return run
      ? run.then(() => prepareYield(this.execution, thread))
      : prepareYield(this.execution, thread);
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
    execution.forcedYields = entry.forcedBefore;
    execution.hurried = entry.hurriedBefore as Thread | undefined;
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
