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

import { MAX_THREADS, ORIGIN, tick } from "./clock.ts";
import { apply, initialise, revert, unwind } from "./effects.ts";
import {
  ADD,
  AND,
  BUFFER,
  CLOCK,
  COMPARE_EXCHANGE,
  Entry,
  EXCHANGE,
  JOIN,
  KIND_NAMES,
  LAST_OPERATION,
  LOAD,
  NOTIFY,
  OR,
  PAUSE,
  READ,
  RESUME,
  SPAN_BEGIN,
  SPAN_END,
  SPAWN,
  STORE,
  SUB,
  VIEW,
  WAIT,
  WAIT_ASYNC,
  WAKE,
  WRITE,
  XOR,
} from "./entry.ts";
import type { Failure } from "./failure.ts";
import { Moment, MomentBudget } from "./memo.ts";
import { ModelBuffer } from "./memory.ts";
import {
  type AnyTypedArray,
  nativeAtomics,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
} from "./native.ts";
import { happen } from "./plain.ts";
import { describe, type Race } from "./races.ts";
import { buffers, isShared, resolve } from "./registry.ts";
import { type Body, SUSPENDED, Thread } from "./thread.ts";
import { canReturn, hasMoved, spins, wordsReadSincePause } from "./waiting.ts";

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

const natives: Record<number, (...args: never[]) => unknown> = {
  [LOAD]: nativeAtomics.load,
  [STORE]: nativeAtomics.store,
  [ADD]: nativeAtomics.add,
  [SUB]: nativeAtomics.sub,
  [AND]: nativeAtomics.and,
  [OR]: nativeAtomics.or,
  [XOR]: nativeAtomics.xor,
  [EXCHANGE]: nativeAtomics.exchange,
  [COMPARE_EXCHANGE]: nativeAtomics.compareExchange,
  [WAIT]: nativeAtomics.wait,
  [WAIT_ASYNC]: nativeAtomics.waitAsync,
  [NOTIFY]: nativeAtomics.notify,
};

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
  readonly #children = new Map<string, number>();
  readonly #budget = new MomentBudget();
  #aside = false;
  #copies: Uint8Array[] | undefined;
  #declared = 0;

  constructor(readonly options: MachineOptions) {
    if (options.coverage) this.reached = new Map();
  }

  /** Adds a thread; it runs to its first operation when {@linkcode Machine.start} is called. */
  declare(name: string, body: Body): void {
    this.threads.push(new Thread(this.#declared++, name, body, new Moment(this.#budget)));
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
        return entry.forced || entry.watches!.length === 0 || entry.watches!.some(hasMoved);
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
    choice.announced!.forced = true;
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
    thread.announced = undefined;
    const child = apply(this, thread, entry);
    thread.moment = thread.moment?.grow(entry.result);
    if (entry.wrote) this.forcedPauses = 0;
    else if (entry.forced) this.forcedPauses++;
    if (this.failure !== undefined || thread.announced !== undefined) return;
    if ((this.trace.length & 63) === 0) {
      this.failure = spins(thread, this.options.spinLimit);
      if (this.failure !== undefined) return;
    }
    const started = child === undefined ? undefined : this.#advance(child);
    return started ? started.then(() => this.#advance(thread)) : this.#advance(thread);
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
      if (entry.kind <= LAST_OPERATION) return this.#announceEntry(thread, entry);
      happen(this, thread, entry);
      if (this.failure !== undefined) return;
      thread.moment = moment!.grow(entry.result);
    }
  }

  /** Remembers what a replay has found beyond `from` entries. */
  #learn(thread: Thread, from: number): void {
    let { moment } = thread;
    const { log } = thread;
    for (let i = from; moment !== undefined && i < log.length; i++) {
      const entry = log[i]!;
      moment.entry = entry;
      moment = moment.grow(entry.result);
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
    if (isThenable(value)) return this.#runAsync(thread, value);
    if (this.failure === undefined && !thread.unwinding) this.#finish(thread, value);
    if (this.failure === undefined && thread.capturing === undefined) this.#learn(thread, known);
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

  // --- what the intercepted objects call ---------------------------------------------------

  /** Any `Atomics` operation of the code under test. */
  atomic(kind: number, view: unknown, index: number, a: unknown, b: unknown): unknown {
    const thread = this.current;
    if (thread === undefined) return this.#direct(kind, view, index, a, b);
    if (thread.unwinding) throw SUSPENDED;
    const { log, cursor } = thread;
    if (cursor < log.length) {
      const entry = log[cursor]!;
      if (
        entry.kind === kind && entry.view === view && entry.index === index && entry.a === a &&
        entry.b === b
      ) {
        if (thread.capturing !== undefined) thread.capturing[cursor] = stackLines();
        thread.cursor = cursor + 1;
        if (entry.kind < WAIT) return entry.result;
        return this.#answer(thread, entry);
      }
    }
    return this.#announce(thread, kind, view, index, a, b);
  }

  /** `Atomics.pause`. */
  pause(hint: unknown): void {
    const thread = this.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, PAUSE, undefined, 0, 0) !== undefined) return;
    if (hint !== undefined && !Number.isInteger(hint)) {
      throw new TypeError(
        `Cannot pause: expected an integer or nothing, received ${String(hint)}`,
      );
    }
    this.#suspend(thread, new Entry(PAUSE, thread.id, undefined, 0, 0));
  }

  /** A plain read of `size` bytes; returns the bytes as they were when it first happened. */
  read(buffer: ModelBuffer, start: number, size: number): Uint8Array {
    if (this.current === undefined) return buffer.bytes.slice(start, start + size);
    return this.#plainRead(this.current, buffer, start, size, undefined, 0) as Uint8Array;
  }

  /** A plain read of one element. */
  readElement(buffer: ModelBuffer, real: AnyTypedArray, index: number, offset: number): unknown {
    if (this.current === undefined) return real[index];
    const size = real.BYTES_PER_ELEMENT;
    return this.#plainRead(this.current, buffer, offset + index * size, size, real, index);
  }

  /** A plain write of bytes that `write` performs. */
  write(buffer: ModelBuffer, start: number, size: number, write: () => void): void {
    const thread = this.current;
    if (thread === undefined) {
      this.#beforeDirectWrite();
      initialise(buffer, start, size);
      return write();
    }
    if (this.#replayed(thread, WRITE, buffer, start, size) !== undefined) return;
    this.#live(thread, new Entry(WRITE, thread.id, buffer, start, size), write);
  }

  /** A view that the code under test makes over model memory. */
  view<T extends object>(
    constructor: unknown,
    buffer: ModelBuffer,
    a: unknown,
    b: unknown,
    make: () => T,
  ): T {
    const thread = this.current;
    if (thread === undefined) return make();
    const known = this.#replayed(thread, VIEW, buffer, 0, 0);
    if (known !== undefined) {
      if (known.view !== constructor || known.a !== a || known.b !== b) {
        this.#differs(thread, known, "made a view");
      }
      return known.result as T;
    }
    const result = make();
    const entry = new Entry(VIEW, thread.id, buffer, 0, 0);
    entry.view = constructor;
    entry.a = a;
    entry.b = b;
    entry.result = result;
    this.#live(thread, entry);
    return result;
  }

  /** A shared buffer that setup or the code under test makes. */
  buffer(byteLength: number, options: unknown): SharedArrayBuffer {
    const thread = this.current;
    if (thread !== undefined) {
      const known = this.#replayed(thread, BUFFER, undefined, byteLength, 0);
      if (known !== undefined) return known.result as SharedArrayBuffer;
    }
    const real = new NativeSharedArrayBuffer(byteLength, options as undefined);
    if (thread === undefined) {
      this.adopt(real, `buffer${this.buffers.length}`);
    } else {
      this.#register(real, `${thread.name}.buffer${thread.made}`);
      const entry = new Entry(BUFFER, thread.id, undefined, byteLength, 0);
      entry.result = real;
      this.#live(thread, entry);
    }
    return real;
  }

  /** Makes a buffer part of the model. */
  adopt(real: ArrayBufferLike, id: string): void {
    this.buffers.push(this.#register(real, id));
  }

  #register(real: ArrayBufferLike, id: string): ModelBuffer {
    const buffer = new ModelBuffer(id, real);
    if (this.options.uninitialised) buffer.initialised = new Uint8Array(real.byteLength);
    buffers.set(real, buffer);
    return buffer;
  }

  /** A span of speculative reads begins. */
  beginSpeculation(): void {
    const thread = this.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, SPAN_BEGIN, undefined, 0, 0) !== undefined) return;
    this.#live(thread, new Entry(SPAN_BEGIN, thread.id, undefined, 0, 0));
  }

  /** A span of speculative reads ends: what it read is used, or thrown away. */
  endSpeculation(kept: boolean): void {
    const thread = this.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, SPAN_END, undefined, kept ? 1 : 0, 0) !== undefined) return;
    this.#live(thread, new Entry(SPAN_END, thread.id, undefined, kept ? 1 : 0, 0));
  }

  /** A recorded call begins, or returns its result. */
  record(kind: number, name: string, value: unknown): void {
    const thread = this.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, kind, undefined, 0, 0) !== undefined) return;
    const entry = new Entry(kind, thread.id, undefined, 0, 0);
    entry.view = name;
    entry.a = value;
    this.#suspend(thread, entry);
  }

  /** A read of the clock: `name` is what was read, in milliseconds. */
  clock(name: string): number {
    const thread = this.current!;
    if (this.options.clock === "refuse") {
      this.refuse(name, 'ask for the virtual clock with `clock: "virtual"`, or pass the time in');
    }
    const known = this.#replayed(thread, CLOCK, undefined, 0, 0);
    if (known !== undefined) return known.result as number;
    this.#live(thread, new Entry(CLOCK, thread.id, undefined, 0, 0));
    return thread.elapsed;
  }

  /** Something that a simulated thread must not do. */
  refuse(what: string, instead: string): void {
    if (this.current!.unwinding) throw SUSPENDED;
    this.fail({
      kind: "misuse",
      message: `Thread ${
        this.current!.name
      } uses ${what}, which differs from run to run: ${instead}`,
    });
  }

  /** Starts a thread from within a thread. */
  spawn(name: string | undefined, body: Body): number {
    const thread = this.current;
    if (thread === undefined) throw new Error("Cannot spawn: no simulated thread is running");
    const known = this.#replayed(thread, SPAWN, undefined, 0, 0);
    if (known !== undefined) return known.other;
    const key = `${thread.id}.${thread.spawned}`;
    let id = this.#children.get(key);
    if (id === undefined) {
      id = this.#declared++;
      if (id >= MAX_THREADS) {
        this.fail({ kind: "misuse", message: `A model has at most ${MAX_THREADS} threads` });
      }
      this.#children.set(key, id);
    }
    const entry = new Entry(SPAWN, thread.id, undefined, 0, 0);
    entry.other = id;
    const childName = name ?? `${thread.name}.${thread.spawned}`;
    entry.a = new Thread(id, childName, body, new Moment(this.#budget));
    return this.#suspend(thread, entry);
  }

  /** Waits for a spawned thread; returns what it returned. */
  join(id: number): unknown {
    const thread = this.current;
    if (thread === undefined) throw new Error("Cannot join: no simulated thread is running");
    const known = this.#replayed(thread, JOIN, undefined, 0, 0);
    if (known !== undefined) return known.result;
    const entry = new Entry(JOIN, thread.id, undefined, 0, 0);
    entry.other = id;
    return this.#suspend(thread, entry);
  }

  // --- replay -------------------------------------------------------------------------------

  /** The entry that answers this call, or undefined if the call is new. */
  #replayed(
    thread: Thread,
    kind: number,
    buffer: ModelBuffer | undefined,
    start: number,
    size: number,
  ): Entry | undefined {
    if (thread.unwinding) throw SUSPENDED;
    const cursor = thread.cursor;
    if (thread.capturing !== undefined) thread.capturing[cursor] = stackLines();
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
      this.#differs(thread, entry, `did ${KIND_NAMES[kind]}${where}`);
    }
    thread.cursor = cursor + 1;
    return entry;
  }

  #differs(thread: Thread, entry: Entry, now: string): never {
    this.fail({
      kind: "nondeterminism",
      message: `Thread ${thread.name} does not replay to the same operations: as step ` +
        `${thread.cursor + 1} it first did ${
          describe(entry)
        }, and now ${now}. A body must depend ` +
        "on nothing but shared memory: make the objects that it changes inside it.",
    });
    throw SUSPENDED;
  }

  /** Lets something happen between operations while the thread runs on. */
  #live(thread: Thread, entry: Entry, write?: () => void): void {
    thread.cursor++;
    happen(this, thread, entry, write);
  }

  #suspend(thread: Thread, entry: Entry): never {
    if (this.reached !== undefined) {
      const key = ((thread.log.length * 32 + entry.kind) * 65536 + (entry.start & 65535)) *
          MAX_THREADS + thread.id;
      if (!this.reached.has(key)) this.reached.set(key, stackLines()[0] ?? "unknown");
    }
    this.#announceEntry(thread, entry);
    thread.unwinding = true;
    throw SUSPENDED;
  }

  #announceEntry(thread: Thread, entry: Entry): void {
    if (entry.kind === PAUSE) entry.watches = wordsReadSincePause(thread);
    thread.announced = entry;
  }

  #plainRead(
    thread: Thread,
    buffer: ModelBuffer,
    start: number,
    size: number,
    real: AnyTypedArray | undefined,
    index: number,
  ): unknown {
    const known = this.#replayed(thread, READ, buffer, start, size);
    if (known !== undefined) {
      return real === undefined ? (known.result as Uint8Array).slice() : known.result;
    }
    const entry = new Entry(READ, thread.id, buffer, start, size);
    entry.real = real;
    entry.index = index;
    this.#live(thread, entry);
    return real === undefined ? (entry.result as Uint8Array).slice() : entry.result;
  }

  #finish(thread: Thread, value: unknown): void {
    if (thread.cursor < thread.log.length && thread.capturing === undefined) {
      try {
        this.#differs(thread, thread.log[thread.cursor]!, "it ends");
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
    thread.result = value;
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

  async #runAsync(thread: Thread, promise: PromiseLike<unknown>): Promise<void> {
    thread.moment = undefined;
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

  /** Answers a call on a waiter list from the log. */
  #answer(thread: Thread, entry: Entry): unknown {
    if (entry.kind === WAIT && entry.sleeper !== undefined) {
      const wake = thread.log[thread.cursor]!;
      if (thread.capturing !== undefined) thread.capturing[thread.cursor] = stackLines();
      thread.cursor++;
      return wake.result;
    }
    if (entry.kind === WAIT_ASYNC) {
      if (entry.sleeper === undefined) return { async: false, value: entry.result };
      return {
        async: true,
        value: new Promise<string>((resolve) => thread.promises.push(resolve)),
      };
    }
    return entry.result;
  }

  // --- announcing ---------------------------------------------------------------------------

  #announce(
    thread: Thread,
    kind: number,
    view: unknown,
    index: number,
    a: unknown,
    b: unknown,
  ): unknown {
    const found = resolve(view);
    if (found === undefined) {
      if (isShared(view)) {
        this.fail({
          kind: "misuse",
          message: `Thread ${thread.name} does Atomics.${KIND_NAMES[kind]} on shared memory that ` +
            "is not part of the model: make it in setup or in a thread",
        });
      }
      return (natives[kind] as (...args: unknown[]) => unknown)(view, index, a, b);
    }
    const real = found.real as Int32Array;
    if (
      real instanceof DataView || real instanceof Float32Array || real instanceof Float64Array ||
      !(Number.isInteger(index) && index >= 0 && index < real.length)
    ) {
      return (natives[kind] as (...args: unknown[]) => unknown)(real, index, a, b);
    }
    const cursor = thread.cursor;
    if (thread.capturing !== undefined) {
      thread.capturing[cursor] = stackLines();
      thread.unwinding = true;
      throw SUSPENDED;
    }
    if (cursor < thread.log.length) {
      const known = thread.log[cursor]!;
      // NaN operands and the like, which are not equal to themselves.
      if (
        known.kind === kind && known.view === view && known.index === index &&
        Object.is(known.a, a) && Object.is(known.b, b)
      ) {
        thread.cursor++;
        return this.#answer(thread, known);
      }
      const name = found.buffer.nameOf(
        found.offset + index * real.BYTES_PER_ELEMENT,
        real.BYTES_PER_ELEMENT,
      );
      this.#differs(thread, known, `does ${KIND_NAMES[kind]} of ${name}`);
    }
    const size = real.BYTES_PER_ELEMENT;
    const start = found.offset + index * size;
    const entry = new Entry(kind, thread.id, found.buffer, start, size);
    entry.view = view;
    entry.real = real;
    entry.index = index;
    entry.a = a;
    entry.b = b;
    entry.cell = found.buffer.cell(start, size);
    if (kind === COMPARE_EXCHANGE) {
      entry.expected = coerce(real, a);
      entry.operand = coerce(real, b);
    } else if (kind === NOTIFY) {
      entry.operand = a === undefined ? Infinity : Math.max(0, Math.trunc(Number(a)) || 0);
    } else if (kind === WAIT || kind === WAIT_ASYNC) {
      if (!(real instanceof Int32Array || (real as unknown) instanceof BigInt64Array)) {
        return (natives[kind] as (...args: unknown[]) => unknown)(real, index, a, 0);
      }
      entry.operand = coerce(real, a);
      const timeout = b === undefined ? Infinity : Number(b);
      entry.timeout = Number.isNaN(timeout) ? Infinity : Math.max(0, timeout);
    } else if (kind !== LOAD) {
      entry.operand = coerce(real, a);
    }
    return this.#suspend(thread, entry);
  }

  /** An operation of setup or check: it just happens. */
  #direct(kind: number, view: unknown, index: number, a: unknown, b: unknown): unknown {
    const found = resolve(view);
    if (found === undefined) {
      return (natives[kind] as (...args: unknown[]) => unknown)(view, index, a, b);
    }
    const real = found.real as Int32Array;
    if (kind === WAIT || kind === WAIT_ASYNC) {
      throw new Error("Cannot wait here: setup and check run alone, nobody would notify");
    }
    if (kind === NOTIFY) return 0;
    if (kind !== LOAD) this.#beforeDirectWrite();
    initialise(
      found.buffer,
      found.offset + index * real.BYTES_PER_ELEMENT,
      real.BYTES_PER_ELEMENT,
    );
    return (natives[kind] as (...args: unknown[]) => unknown)(real, index, a, b);
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

  #beforeDirectWrite(): void {
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

/** A value as an element of the array would hold it. */
function coerce(real: AnyTypedArray, value: unknown): number | bigint {
  if (real instanceof Int32Array && typeof value === "number") return value | 0;
  const scratch = new (real.constructor as TypedArrayConstructor)(1);
  if (typeof scratch[0] === "bigint") {
    scratch[0] = BigInt(value as bigint);
  } else {
    // Atomics convert like ToIntegerOrInfinity, then wrap: infinities become zero.
    const number = Math.trunc(Number(value));
    scratch[0] = Number.isFinite(number) ? number : 0;
  }
  return scratch[0]!;
}

/** The caller's lines in the code under test, innermost first. */
function stackLines(): string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  return stack.split("\n").slice(1).map((line) => line.trim().replace(/^at /, ""))
    .filter((line) => !line.includes(MODEL_DIRECTORY) && !line.startsWith("ext:"));
}

const MODEL_DIRECTORY = new URL("./", import.meta.url).href;
