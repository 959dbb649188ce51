/**
 * The entry point of every intercepted call of the code under test: the call is answered from the
 * thread's log, or takes effect at once, or suspends the thread until the scheduler chooses it.
 *
 * @module
 */

import { MAX_THREADS, timeOf } from "../machine/clock.ts";
import {
  type Entry,
  EntryOf,
  newYieldDetail,
  type Operation,
  type PlainEntry,
} from "../machine/entry.ts";
import { operandsText } from "../machine/entry_text.ts";
import { type Execution, FOUND_TASKS } from "../machine/execution.ts";
import { initialise } from "../machine/initialisation.ts";
import {
  type AtomicsKind,
  BUFFER,
  CALL,
  CLOCK,
  COMPARE_EXCHANGE,
  DIE,
  JOIN,
  type Kind,
  KINDS,
  LOAD,
  NOTIFY,
  PAUSE,
  READ,
  RETURN,
  SPAN_BEGIN,
  SPAN_END,
  SPAWN,
  VIEW,
  WAIT,
  WAIT_ASYNC,
  WRITE,
} from "../machine/kinds.ts";
import type { Machine } from "../machine/machine.ts";
import { ModelBuffer } from "../machine/memory.ts";
import { applyPlain } from "../machine/plain.ts";
import { isSameAccess } from "../machine/recheck.ts";
import { failReplay } from "../machine/replay_failure.ts";
import { impliedPause, pauseBefore, repeatsRead } from "../machine/polling.ts";
import { runTask } from "../machine/runner.ts";
import type { Task } from "../machine/task_queue.ts";
import { SUSPENDED, type Thread } from "../machine/thread.ts";
import type { Body } from "../machine/thread_declaration.ts";
import { type AnyTypedArray, Bytes, now } from "../native.ts";
import { toCount, toTimeoutMs } from "./conversions.ts";
import { elementTypeOf, toElement } from "./element_types.ts";
import { type Arguments, callNative, convertArguments } from "./native_operations.ts";
import { madeUpNumber, madeUpResult, suspendAgain } from "./made_up.ts";
import { buffers, isShared, resolve, type View, views } from "./registry.ts";
import { captureStack, stackLines } from "./stack_lines.ts";

/** The places of so many operations are kept, in case that they are not repeated. */
const FIRST_STACKS = 32;
/** Frames cost time in every search, and few of them tell the place. */
const FIRST_FRAMES = 12;

/** The lines of so many plain accesses at the beginning and at the end of a log are captured. */
const CAPTURED_PLAIN = 1000;
/** How many log entries pass between two looks at a long run of plain accesses, less one. */
const PLAIN_CHECK_MASK = 1023;
/** A run of plain accesses is too long from so many times `maxSteps` on. */
const PLAIN_PER_STEP = 100;
/** After so many entries since an operation, plain reads that repeat are taken for polling. */
const PLAIN_BEFORE_POLLING = 256;

/**
 * The intercepted calls of one machine.
 *
 * - **Replay.** A call that the running thread made before is answered from its log.
 * - **Plain events.** A new plain access, view, buffer, span or reading of the clock takes effect
 *   at once, and the thread runs on.
 * - **Operations.** A new operation is announced, and suspends the thread.
 * - **Setup and check.** Calls outside of a thread take effect at once, unlogged.
 */
export class Calls {
  readonly #machine: Machine;
  readonly #execution: Execution;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#execution = machine.execution;
  }

  /**
   * Suspends a task that a thread has left behind: one that runs although no thread does.
   *
   * @throws {unknown} If the explorer looks for such tasks.
   */
  suspendLeftTask(): void {
    const execution = this.#execution;
    if (!execution.isProbing) return;
    execution.foundTasks = true;
    throw SUSPENDED;
  }

  /** The thread queues a microtask. */
  addMicrotask(task: Task, queueMicrotask: (task: Task) => unknown): void {
    const thread = this.#taskThread();
    queueMicrotask(() => runTask(this.#execution, thread, task));
  }

  /**
   * The thread queues a task of `process.nextTick`. The platform does so, too, when its streams are
   * written to, so that no task is refused or lost as the thread is suspended.
   */
  addTick(task: Task, nextTick: (task: Task) => unknown): void {
    const thread = this.#execution.current!;
    if (!thread.unwinding) return this.#taskThread().tasks.addTick(task);
    nextTick(() => {
      try {
        task();
      } catch {
        // Its thread is suspended.
      }
    });
  }

  /** The thread queues a task of `setImmediate`. */
  addImmediate(task: Task): void {
    this.#taskThread().tasks.addImmediate(task);
  }

  /** The thread cancels a task of `setImmediate`. */
  cancelTask(task: Task): void {
    this.#execution.current?.tasks.cancel(task);
  }

  /** The running thread, which has tasks. */
  #taskThread(): Thread {
    const execution = this.#execution;
    const thread = execution.current!;
    if (thread.unwinding) throw SUSPENDED;
    if (!execution.hasTasks) execution.fail(FOUND_TASKS);
    return thread;
  }

  /** Whether the code of a simulated thread is running. */
  get isThreadRunning(): boolean {
    return this.#execution.current !== undefined;
  }

  /** A function of `Atomics` on a view. */
  atomics(kind: AtomicsKind, view: unknown, index: unknown, a: unknown, b: unknown): unknown {
    const thread = this.#execution.current;
    if (thread === undefined) return this.#perform(kind, view, index, a, b);
    if (thread.unwinding) return madeUpResult(thread, kind, view, a);
    const { log, cursor } = thread;
    if (cursor < log.length) {
      const entry = log[cursor]!;
      if (
        entry.kind === kind && entry.view === view && entry.index === index && entry.a === a &&
        entry.b === b
      ) {
        if (thread.capturing !== undefined) captureLines(thread);
        thread.cursor = cursor + 1;
        if (kind !== WAIT && kind !== WAIT_ASYNC) return entry.result;
        return this.#answerWait(thread, entry);
      }
    }
    return this.#atomicsSlowly(thread, kind, view, index, a, b);
  }

  /** `Atomics.pause`. */
  pause(hint: unknown): void {
    const thread = this.#execution.current;
    if (hint !== undefined && !Number.isInteger(hint)) {
      throw new TypeError(`Cannot pause: expected an integer or nothing, received ${String(hint)}`);
    }
    if (thread === undefined) return this.suspendLeftTask();
    if (this.#replayed(thread, PAUSE) !== undefined) return;
    const detail = { ...newYieldDetail(), isImplied: false, isOfLongLoop: false };
    this.#suspend(thread, new EntryOf(PAUSE, thread.id, detail, undefined, 0, 0));
  }

  /** A plain read of a range of bytes; returns a copy of the bytes when it took effect. */
  read(buffer: ModelBuffer, start: number, size: number): Uint8Array {
    const thread = this.#execution.current;
    if (thread === undefined) {
      this.suspendLeftTask();
      this.#execution.countUntracked();
      return new Bytes(buffer.bytes.subarray(start, start + size));
    }
    const bytes = this.#readPlain(thread, buffer, start, size, undefined, 0);
    return new Bytes(bytes as Uint8Array);
  }

  /** A plain read of one element. */
  readElement(buffer: ModelBuffer, real: AnyTypedArray, index: number, offset: number): unknown {
    const thread = this.#execution.current;
    if (thread === undefined) {
      this.suspendLeftTask();
      this.#execution.countUntracked();
      return real[index];
    }
    const size = real.BYTES_PER_ELEMENT;
    return this.#readPlain(thread, buffer, offset + index * size, size, real, index);
  }

  /** A plain write of a range of bytes, which `write` performs. */
  write(buffer: ModelBuffer, start: number, size: number, write: () => void): void {
    const thread = this.#execution.current;
    if (thread === undefined) {
      this.suspendLeftTask();
      this.#execution.beforeDirectWrite();
      initialise(buffer, start, size);
      return write();
    }
    if (this.#replayed(thread, WRITE, buffer, start, size) !== undefined) return;
    this.#applyPlain(
      thread,
      new EntryOf(WRITE, thread.id, undefined, buffer, start, size),
      write,
    );
  }

  /**
   * The creation of a view on model memory.
   *
   * A replay returns the same object, unless it differs from a new one: it has properties of its
   * own, or is of a class that may be another one in each replay.
   *
   * @param constructor What makes it: the same in each replay, or undefined.
   */
  view<T extends object>(
    constructor: unknown,
    buffer: ModelBuffer,
    a: unknown,
    b: unknown,
    create: () => T,
  ): T {
    const thread = this.#execution.current;
    if (thread === undefined) {
      this.suspendLeftTask();
      return create();
    }
    if (thread.unwinding) {
      suspendAgain(thread);
      return create();
    }
    const known = this.#replayed(thread, VIEW, buffer);
    if (known !== undefined) {
      const { detail } = known;
      if (detail.constructor !== constructor || detail.args[0] !== a || detail.args[1] !== b) {
        this.#failReplay(thread, known, `another new view${operandsText(a, b)}`);
      }
      const isNew = constructor === undefined || !views.get(detail.view)!.isOrdinary;
      return isNew ? create() : detail.view as T;
    }
    const view = create();
    const detail = { constructor, args: [a, b], view } as const;
    this.#applyPlain(thread, new EntryOf(VIEW, thread.id, detail, buffer, 0, 0));
    return view;
  }

  /**
   * The creation of a shared buffer.
   *
   * @param create Creates the real one.
   * @returns The buffer, and whether it is new: a replay returns the same one.
   */
  buffer(
    byteLength: number,
    create: () => SharedArrayBuffer,
  ): { readonly buffer: ModelBuffer; readonly isNew: boolean } {
    const thread = this.#execution.current;
    if (thread === undefined) {
      this.suspendLeftTask();
      return this.#bufferOfSetup(byteLength, create);
    }
    if (thread.unwinding) {
      suspendAgain(thread);
      return { buffer: this.#register(create(), "made up"), isNew: true };
    }
    const known = this.#replayed(thread, BUFFER);
    if (known !== undefined) {
      const { buffer } = known.detail;
      if (buffer.bytes.length !== byteLength) {
        const sizes = `${byteLength} bytes instead of ${buffer.bytes.length}`;
        this.#failReplay(thread, known, `one of another size: ${sizes}`);
      }
      return { buffer, isNew: false };
    }
    const buffer = this.#register(create(), `${thread.id}.${thread.buffersCreated}`);
    this.#applyPlain(thread, new EntryOf(BUFFER, thread.id, { buffer }, undefined, 0, 0));
    return { buffer, isNew: true };
  }

  #bufferOfSetup(byteLength: number, create: () => SharedArrayBuffer) {
    const { reusedBuffers } = this.#execution;
    if (reusedBuffers === undefined) return { buffer: this.adopt(create()), isNew: true };
    const { value: buffer } = reusedBuffers.next() as { value?: ModelBuffer };
    if (buffer?.bytes.length !== byteLength) throw new Error("Setup creates other buffers now");
    return { buffer: buffer!, isNew: false };
  }

  /**
   * Makes a buffer of setup part of the model.
   *
   * @throws {TypeError} If its length can change.
   */
  adopt(real: ArrayBufferLike, name?: string): ModelBuffer {
    const { growable, resizable } = real as { growable?: boolean; resizable?: boolean };
    if (growable || resizable) {
      throw new TypeError("Cannot share a growable or resizable buffer: its length must be fixed");
    }
    const { buffers } = this.#execution;
    const id = `buffer${buffers.length}`;
    const buffer = this.#register(real, id, name);
    buffers.push(buffer);
    return buffer;
  }

  /** A span of speculative reads begins. */
  beginSpeculation(): void {
    const thread = this.#execution.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, SPAN_BEGIN) !== undefined) return;
    this.#applyPlain(thread, new EntryOf(SPAN_BEGIN, thread.id, undefined, undefined, 0, 0));
  }

  /**
   * A span of speculative reads ends.
   *
   * @param isKept Whether the thread uses its reads of the span.
   */
  endSpeculation(isKept: boolean): void {
    const thread = this.#execution.current;
    if (thread === undefined) return;
    if (thread.unwinding) return void suspendAgain(thread);
    const known = this.#replayed(thread, SPAN_END);
    if (known !== undefined) {
      if (known.detail.isKept !== isKept) {
        this.#failReplay(thread, known, "an end with another outcome");
      }
      return;
    }
    const detail = { isKept, begin: -1 };
    this.#applyPlain(thread, new EntryOf(SPAN_END, thread.id, detail, undefined, 0, 0));
  }

  /** A recorded call begins; returns its entry. */
  beginCall(name: string, args: readonly unknown[]): EntryOf<typeof CALL> {
    const thread = this.#execution.current!;
    const entry = new EntryOf(CALL, thread.id, { name, args }, undefined, 0, 0);
    if (thread.unwinding) {
      suspendAgain(thread);
      return entry;
    }
    const known = this.#replayed(thread, CALL);
    if (known === undefined) {
      this.#suspend(thread, entry);
      return entry;
    }
    if (known.detail.name !== name) this.#failReplay(thread, known, `call of ${name}`);
    return known;
  }

  /**
   * A recorded call ends.
   *
   * @param call The entry of its begin.
   * @param result What it returned or threw.
   */
  endCall(call: EntryOf<typeof CALL>, result: unknown, isThrown: boolean): void {
    const thread = this.#execution.current!;
    if (thread.unwinding) return void suspendAgain(thread);
    const known = this.#replayed(thread, RETURN);
    if (known === undefined) {
      const detail = { call, result, isThrown };
      this.#suspend(thread, new EntryOf(RETURN, thread.id, detail, undefined, 0, 0));
      return;
    }
    if (known.detail.call !== call) {
      this.#failReplay(thread, known, `return of ${call.detail.name}`);
    }
  }

  /**
   * A reading of the clock by the running thread.
   *
   * @param name The function that was called.
   * @returns Virtual milliseconds.
   */
  clock(name: string): number {
    const thread = this.#execution.current!;
    if (this.#execution.options.clock === "refuse") {
      const instead = 'ask for the virtual clock with `clock: "virtual"`, or pass the time in';
      this.refuse(name, "differs from run to run", instead);
    }
    if (thread.unwinding) return suspendAgain(thread) * 1000;
    const known = this.#replayed(thread, CLOCK);
    if (known !== undefined) return known.result as number;
    const entry = new EntryOf(CLOCK, thread.id, undefined, undefined, 0, 0);
    this.#applyPlain(thread, entry);
    if (thread.ahead !== undefined) return timeOf(thread.clock) + thread.ahead.elapsedMs;
    return entry.result as number;
  }

  /**
   * Fails as the running thread used something that it must not.
   *
   * @param why Why not: a verb and the rest of the sentence.
   */
  refuse(name: string, why: string, instead: string): void {
    const thread = this.#execution.current!;
    this.#suspendForRefusal(thread);
    this.#execution.fail({
      kind: "misuse",
      message: `Thread ${thread.name} uses ${name}, which ${why}: ${instead}`,
    });
  }

  /** Fails as the running thread used shared memory that is not part of the model. */
  refuseUntracked(action: string): never {
    this.refuseUse(
      `${action} shared memory that is not part of the model: create it by the global ` +
        "SharedArrayBuffer, or pass it to shareBuffer in setup; a WebAssembly.Memory must have its " +
        "full size there, as it has another buffer after it grows",
    );
  }

  /**
   * Fails as code under test did something whose effect cannot be seen.
   *
   * @param use What it did: a verb and the rest of the sentence.
   * @throws {unknown} In a thread, to unwind it; in setup or check, an error.
   */
  refuseUse(use: string): never {
    const thread = this.#execution.current;
    if (thread === undefined) throw new Error(`Setup or check ${use}`);
    this.#suspendForRefusal(thread);
    this.#execution.fail({ kind: "misuse", message: `Thread ${thread.name} ${use}` });
    throw SUSPENDED;
  }

  /** Unwinds a thread that is suspended already, rather than to fail. */
  #suspendForRefusal(thread: Thread): void {
    if (!thread.unwinding) return;
    suspendAgain(thread);
    throw SUSPENDED;
  }

  /** The start of a thread; returns its number. */
  spawn(name: string | undefined, body: Body): number {
    const thread = this.#execution.current;
    if (thread === undefined) throw new Error("Cannot spawn: no simulated thread is running");
    if (thread.unwinding) {
      suspendAgain(thread);
      return thread.id;
    }
    const known = this.#replayed(thread, SPAWN);
    if (known !== undefined) {
      const { child } = known.detail;
      if (name !== undefined && child.name !== name) {
        this.#failReplay(thread, known, `spawn of ${name}`);
      }
      return child.id;
    }
    const id = this.#machine.childId(thread);
    const child = { id, name, body };
    this.#suspend(thread, new EntryOf(SPAWN, thread.id, { child }, undefined, 0, 0));
    return id;
  }

  /** A wait for the end of a spawned thread; returns its result. */
  join(id: number): unknown {
    const thread = this.#execution.current;
    if (thread === undefined) throw new Error("Cannot join: no simulated thread is running");
    const known = this.#replayed(thread, JOIN);
    if (known !== undefined) {
      if (known.detail.child !== id) {
        const name = this.#execution.threads[id]?.name ?? id;
        this.#failReplay(thread, known, `join of ${name}`);
      }
      return known.result;
    }
    return this.#suspend(thread, new EntryOf(JOIN, thread.id, { child: id }, undefined, 0, 0));
  }

  /** A mortal thread dies. */
  die(victim: number): void {
    const thread = this.#execution.current!;
    if (this.#replayed(thread, DIE) !== undefined) return;
    this.#suspend(thread, new EntryOf(DIE, thread.id, { victim }, undefined, 0, 0));
  }

  /**
   * A wait for the death of a mortal thread.
   *
   * @throws {Error} If no mortal thread has that name.
   */
  awaitDeath(name: string): void {
    const { threads } = this.#execution;
    const death = threads.find((thread) =>
      thread?.isDeath && threads[thread.declaration.victim!]!.name === name
    );
    if (death === undefined) {
      const mortals = threads.filter((thread) => thread?.isDeath)
        .map((thread) => threads[thread!.declaration.victim!]!.name);
      const names = mortals.length === 0 ? "none" : mortals.join(", ");
      throw new Error(`Cannot wait for the death of ${name}: the mortal threads are ${names}`);
    }
    this.join(death.id);
  }

  /** The entry that answers this call, or undefined if the call is new. */
  #replayed<K extends Kind>(
    thread: Thread,
    kind: K,
    buffer?: ModelBuffer,
    start = 0,
    size = 0,
  ): EntryOf<K> | undefined {
    if (thread.unwinding) {
      suspendAgain(thread);
      return new EntryOf(kind, thread.id, undefined as never, undefined, 0, 0);
    }
    this.#skipImpliedPauses(thread);
    const { cursor } = thread;
    if (thread.capturing !== undefined) captureLines(thread);
    if (cursor >= thread.log.length) {
      if (thread.capturing !== undefined) {
        thread.unwinding = true;
        throw SUSPENDED;
      }
      return undefined;
    }
    const entry = thread.log[cursor]!;
    if (
      entry.kind !== kind || entry.buffer !== buffer || entry.start !== start || entry.size !== size
    ) {
      const where = buffer === undefined
        ? ""
        : ` of ${size} bytes at ${buffer.nameOf(start, size)}`;
      this.#failReplay(thread, entry, `${KINDS[kind].name}${where}`);
    }
    thread.cursor = cursor + 1;
    return entry as unknown as EntryOf<K>;
  }

  /** Passes over pauses in the log that the code of the thread did not make. */
  #skipImpliedPauses(thread: Thread): void {
    const { log, capturing } = thread;
    for (let next = log[thread.cursor]; next?.kind === PAUSE; next = log[++thread.cursor]) {
      if (!next.detail.isImplied) return;
      if (capturing !== undefined) captureLines(thread);
    }
  }

  #failReplay(thread: Thread, first: Entry, now: string): never {
    failReplay(this.#execution, thread, first, now, stackLines());
    throw SUSPENDED;
  }

  /** Applies a new plain entry; the thread runs on. */
  #applyPlain(thread: Thread, entry: PlainEntry, write?: () => void): void {
    if (thread.ahead !== undefined) return thread.ahead.performPlain(entry, write);
    thread.cursor++;
    applyPlain(this.#execution, thread, entry, write);
    if ((thread.log.length & PLAIN_CHECK_MASK) === 0) this.#checkPlainRun(thread);
  }

  /** Ends a run of plain accesses that takes too long, or fails. */
  #checkPlainRun(thread: Thread): void {
    const execution = this.#execution;
    if (now() >= execution.deadline) {
      execution.isOutOfTime = true;
      thread.unwinding = true;
      throw SUSPENDED;
    }
    const length = thread.log.length - thread.known;
    if (length < execution.options.maxSteps * PLAIN_PER_STEP) return;
    execution.fail({
      kind: "livelock",
      message: `Thread ${thread.name} has made ${length} plain accesses without an operation ` +
        `(100 times maxSteps), the last at ${stackLines()[0] ?? "an unknown line"}`,
    });
  }

  /**
   * Announces a new operation, and unwinds the thread; in a look ahead, performs it.
   *
   * @returns The result of the call, in a look ahead.
   */
  #suspend(thread: Thread, operation: Operation): unknown {
    if (thread.ahead !== undefined) return thread.ahead.perform(operation);
    const { firstStacks, isRechecking, recheckExpected, reached, rechecks, threads } =
      this.#execution;
    const entry = pauseBefore(thread, operation, threads) ?? operation;
    if (!isRechecking) {
      if (firstStacks.size < FIRST_STACKS && rechecks.isNew) {
        firstStacks.set(entry, captureStack(FIRST_FRAMES));
      }
    } else if (
      recheckExpected === undefined || !isSameAccess(recheckExpected, entry) ||
      (entry.buffer === undefined && entry.kind !== PAUSE)
    ) {
      this.#execution.recheckStack = captureStack(FIRST_FRAMES);
    }
    if (reached !== undefined) {
      const key = ((thread.log.length * 32 + entry.kind) * 65536 + (entry.start & 65535)) *
          MAX_THREADS + thread.id;
      if (!reached.has(key)) reached.set(key, stackLines()[0] ?? "unknown");
    }
    thread.announced = entry;
    thread.unwinding = true;
    throw SUSPENDED;
  }

  /** A plain read of an element of `real`, or of bytes. */
  #readPlain(
    thread: Thread,
    buffer: ModelBuffer,
    start: number,
    size: number,
    real: AnyTypedArray | undefined,
    index: number,
  ): unknown {
    if (thread.unwinding) {
      const made = madeUpNumber(suspendAgain(thread));
      if (real === undefined) return new Bytes(size).fill(made);
      return typeof real[0] === "bigint" ? BigInt(made) : made;
    }
    const known = this.#replayed(thread, READ, buffer, start, size);
    if (known !== undefined) return known.result;
    const entry = new EntryOf(READ, thread.id, undefined, buffer, start, size);
    entry.real = real;
    entry.index = index;
    if (thread.log.length - thread.known >= PLAIN_BEFORE_POLLING && repeatsRead(thread, entry)) {
      this.#suspend(thread, impliedPause(thread));
    }
    this.#applyPlain(thread, entry);
    return entry.result;
  }

  /** The result of a wait that is in the log. */
  #answerWait(thread: Thread, entry: Entry): unknown {
    if (entry.kind === WAIT && entry.detail.sleeper !== undefined) {
      const wake = thread.log[thread.cursor];
      if (wake === undefined && thread.ahead !== undefined) {
        thread.ahead.expire(entry.detail.timeoutMs);
        return "timed-out";
      }
      if (wake === undefined) {
        // It sleeps still: the lines of its calls are being captured.
        thread.unwinding = true;
        throw SUSPENDED;
      }
      if (thread.capturing !== undefined) captureLines(thread);
      thread.cursor++;
      return wake.result;
    }
    if (entry.kind === WAIT_ASYNC) {
      if (entry.detail.sleeper === undefined) return { async: false, value: entry.result };
      return {
        async: true,
        value: new Promise<string>((resolve) => thread.promises.push(resolve)),
      };
    }
    return entry.result;
  }

  /** A function of `Atomics` that is new, or whose view or operands need a closer look. */
  #atomicsSlowly(
    thread: Thread,
    kind: AtomicsKind,
    view: unknown,
    index: unknown,
    a: unknown,
    b: unknown,
  ): unknown {
    const found = resolve(view);
    if (found === undefined) {
      if (isShared(view)) this.refuseUntracked(`does Atomics.${KINDS[kind].name} on`);
      return callNative(kind, view, index, a, b);
    }
    if (!views.has(view as object)) {
      this.refuseUse(
        `does Atomics.${
          KINDS[kind].name
        } on a view that was created before its buffer was shared: ` +
          "create it afterwards",
      );
    }
    const args = convertArguments(kind, found, index, a, b);
    if (thread.unwinding) return madeUpResult(thread, kind, view, a);
    if (kind === WAIT_ASYNC) this.#taskThread();
    this.#skipImpliedPauses(thread);
    const { buffer, start, size } = rangeOf(found, args.index);
    const { cursor, log, capturing } = thread;
    if (capturing !== undefined) {
      captureLines(thread);
      if (cursor >= log.length) {
        thread.unwinding = true;
        throw SUSPENDED;
      }
    }
    if (cursor < log.length) {
      const known = log[cursor]!;
      if (
        known.kind === kind && known.buffer === buffer && known.start === start &&
        elementTypeOf(known.real) === args.type && Object.is(known.a, args.a) &&
        Object.is(known.b, args.b)
      ) {
        thread.cursor++;
        return this.#answerWait(thread, known);
      }
      const now = `${KINDS[kind].name} of ${buffer.nameOf(start, size)}`;
      const view = elementTypeOf(known.real)?.constructor.name;
      const through = view === undefined || view === args.type.constructor.name
        ? ""
        : `, in elements of ${args.type.constructor.name} instead of ${view}`;
      this.#failReplay(thread, known, `${now}${operandsText(args.a, args.b)}${through}`);
    }
    return this.#suspend(thread, newOperation(thread, kind, found, view, args));
  }

  /** A function of `Atomics` in setup or check: it takes effect at once. */
  #perform(kind: AtomicsKind, view: unknown, index: unknown, a: unknown, b: unknown): unknown {
    this.suspendLeftTask();
    const found = resolve(view);
    if (found === undefined) return callNative(kind, view, index, a, b);
    this.#execution.countUntracked();
    const args = convertArguments(kind, found, index, a, b);
    const real = found.real as Int32Array;
    if (kind === WAIT || kind === WAIT_ASYNC) {
      if (real[args.index] === toElement(args.type, args.a)) {
        throw new Error("Cannot wait here: setup and check run alone, so no thread would notify");
      }
      return kind === WAIT ? "not-equal" : { async: false, value: "not-equal" };
    }
    if (kind === NOTIFY) return 0;
    if (kind !== LOAD) this.#execution.beforeDirectWrite();
    const { buffer, start, size } = rangeOf(found, args.index);
    initialise(buffer, start, size);
    return callNative(kind, real, args.index, args.a, args.b);
  }

  /** Creates the model of a real buffer. */
  #register(real: ArrayBufferLike, id: string, name?: string): ModelBuffer {
    const buffer = new ModelBuffer(id, real, name);
    if (this.#execution.options.uninitialised) {
      buffer.initialised = new Bytes(buffer.bytes.length);
    }
    buffers.set(real, buffer);
    return buffer;
  }
}

/** Captures the source lines of the call that is being answered, for a report. */
function captureLines({ capturing, cursor, log }: Thread): void {
  // Lines cost microseconds; those in the middle of thousands of plain accesses are not shown.
  const isShown = cursor < CAPTURED_PLAIN || cursor >= log.length - CAPTURED_PLAIN ||
    log[cursor]!.traits.isOperation;
  capturing![cursor] = isShown ? stackLines() : [];
}

/** The range of an element of a view. */
function rangeOf({ type, buffer, offset }: View, index: number) {
  const { size } = type!;
  return { buffer, start: offset + index * size, size };
}

/** The entry of a function of `Atomics`. */
function newOperation(
  thread: Thread,
  kind: AtomicsKind,
  found: View,
  view: unknown,
  { type, index, a, b }: Arguments,
): Operation {
  const real = found.real as AnyTypedArray;
  const { buffer, start, size } = rangeOf(found, index);
  const list = { sleepersBefore: undefined, listClockBefore: undefined };
  let entry: Operation;
  switch (kind) {
    case WAIT:
    case WAIT_ASYNC: {
      const timeoutMs = toTimeoutMs(b);
      const detail = { ...list, timeoutMs, sleeper: undefined, promise: -1 };
      entry = new EntryOf(kind, thread.id, detail, buffer, start, size) as Operation;
      entry.expected = toElement(type, a);
      break;
    }
    case NOTIFY:
      entry = new EntryOf(kind, thread.id, { ...list, count: toCount(a) }, buffer, start, size);
      break;
    case COMPARE_EXCHANGE:
      entry = new EntryOf(kind, thread.id, undefined, buffer, start, size);
      entry.expected = toElement(type, a);
      entry.operand = toElement(type, b);
      break;
    default:
      entry = new EntryOf(kind, thread.id, undefined, buffer, start, size) as Operation;
      if (kind !== LOAD) entry.operand = toElement(type, a);
  }
  entry.view = view;
  entry.real = real;
  entry.index = index;
  entry.a = a;
  entry.b = b;
  entry.cell = buffer.cell(start, size);
  return entry;
}
