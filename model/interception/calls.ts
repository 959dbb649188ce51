/**
 * What the intercepted globals call: every operation, plain access and other doing of the code
 * under test arrives here, and is answered from the log, or happens, or suspends the thread.
 *
 * @module
 */

import { MAX_THREADS } from "../machine/clock.ts";
import { initialise } from "../machine/effects.ts";
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
  LOAD,
  NOTIFY,
  OR,
  PAUSE,
  READ,
  SPAN_BEGIN,
  SPAN_END,
  SPAWN,
  STORE,
  SUB,
  VIEW,
  WAIT,
  WAIT_ASYNC,
  WRITE,
  XOR,
} from "../machine/entry.ts";
import type { Machine } from "../machine/machine.ts";
import { Moment } from "../machine/moments.ts";
import type { ModelBuffer } from "../machine/memory.ts";
import {
  type AnyTypedArray,
  nativeAtomics,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
} from "../native.ts";
import { happen } from "../machine/plain.ts";
import { describe } from "../machine/races.ts";
import { isShared, resolve } from "./registry.ts";
import { type Body, SUSPENDED, Thread } from "../machine/thread.ts";

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

/** The calls of the code under test on one machine. */
export class Calls {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Any `Atomics` operation of the code under test. */
  atomic(kind: number, view: unknown, index: number, a: unknown, b: unknown): unknown {
    const thread = this.#machine.current;
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
    const thread = this.#machine.current;
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
    if (this.#machine.current === undefined) return buffer.bytes.slice(start, start + size);
    return this.#plainRead(this.#machine.current, buffer, start, size, undefined, 0) as Uint8Array;
  }

  /** A plain read of one element. */
  readElement(buffer: ModelBuffer, real: AnyTypedArray, index: number, offset: number): unknown {
    if (this.#machine.current === undefined) return real[index];
    const size = real.BYTES_PER_ELEMENT;
    return this.#plainRead(this.#machine.current, buffer, offset + index * size, size, real, index);
  }

  /** A plain write of bytes that `write` performs. */
  write(buffer: ModelBuffer, start: number, size: number, write: () => void): void {
    const thread = this.#machine.current;
    if (thread === undefined) {
      this.#machine.beforeDirectWrite();
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
    const thread = this.#machine.current;
    if (thread === undefined) return make();
    const known = this.#replayed(thread, VIEW, buffer, 0, 0);
    if (known !== undefined) {
      if (known.view !== constructor || known.a !== a || known.b !== b) {
        this.differs(thread, known, "made a view");
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
    const thread = this.#machine.current;
    if (thread !== undefined) {
      const known = this.#replayed(thread, BUFFER, undefined, byteLength, 0);
      if (known !== undefined) return known.result as SharedArrayBuffer;
    }
    const real = new NativeSharedArrayBuffer(byteLength, options as undefined);
    if (thread === undefined) {
      this.#machine.adopt(real, `buffer${this.#machine.buffers.length}`);
    } else {
      this.#machine.register(real, `${thread.name}.buffer${thread.made}`);
      const entry = new Entry(BUFFER, thread.id, undefined, byteLength, 0);
      entry.result = real;
      this.#live(thread, entry);
    }
    return real;
  }

  /** A span of speculative reads begins. */
  beginSpeculation(): void {
    const thread = this.#machine.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, SPAN_BEGIN, undefined, 0, 0) !== undefined) return;
    this.#live(thread, new Entry(SPAN_BEGIN, thread.id, undefined, 0, 0));
  }

  /** A span of speculative reads ends: what it read is used, or thrown away. */
  endSpeculation(kept: boolean): void {
    const thread = this.#machine.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, SPAN_END, undefined, kept ? 1 : 0, 0) !== undefined) return;
    this.#live(thread, new Entry(SPAN_END, thread.id, undefined, kept ? 1 : 0, 0));
  }

  /** A recorded call begins, or returns its result. */
  record(kind: number, name: string, value: unknown): void {
    const thread = this.#machine.current;
    if (thread === undefined) return;
    if (this.#replayed(thread, kind, undefined, 0, 0) !== undefined) return;
    const entry = new Entry(kind, thread.id, undefined, 0, 0);
    entry.view = name;
    entry.a = value;
    this.#suspend(thread, entry);
  }

  /** A read of the clock: `name` is what was read, in milliseconds. */
  clock(name: string): number {
    const thread = this.#machine.current!;
    if (this.#machine.options.clock === "refuse") {
      this.refuse(name, 'ask for the virtual clock with `clock: "virtual"`, or pass the time in');
    }
    const known = this.#replayed(thread, CLOCK, undefined, 0, 0);
    if (known !== undefined) return known.result as number;
    this.#live(thread, new Entry(CLOCK, thread.id, undefined, 0, 0));
    return thread.elapsed;
  }

  /** Something that a simulated thread must not do. */
  refuse(what: string, instead: string): void {
    if (this.#machine.current!.unwinding) throw SUSPENDED;
    this.#machine.fail({
      kind: "misuse",
      message: `Thread ${
        this.#machine.current!.name
      } uses ${what}, which differs from run to run: ${instead}`,
    });
  }

  /** Shared memory that no replay could answer for. */
  refuseUntracked(what: string): void {
    const thread = this.#machine.current!;
    if (thread.unwinding) throw SUSPENDED;
    this.#machine.fail({
      kind: "misuse",
      message: `Thread ${thread.name} ${what} shared memory that is not part of the model: make ` +
        "it in setup or in a thread, or hand it in with shareBuffer",
    });
  }

  /** Starts a thread from within a thread. */
  spawn(name: string | undefined, body: Body): number {
    const thread = this.#machine.current;
    if (thread === undefined) throw new Error("Cannot spawn: no simulated thread is running");
    const known = this.#replayed(thread, SPAWN, undefined, 0, 0);
    if (known !== undefined) return known.other;
    const id = this.#machine.childId(thread);
    const entry = new Entry(SPAWN, thread.id, undefined, 0, 0);
    entry.other = id;
    const childName = name ?? `${thread.name}.${thread.spawned}`;
    entry.a = new Thread(id, childName, body, new Moment(this.#machine.budget));
    return this.#suspend(thread, entry);
  }

  /** Waits for a spawned thread; returns what it returned. */
  join(id: number): unknown {
    const thread = this.#machine.current;
    if (thread === undefined) throw new Error("Cannot join: no simulated thread is running");
    const known = this.#replayed(thread, JOIN, undefined, 0, 0);
    if (known !== undefined) return known.result;
    const entry = new Entry(JOIN, thread.id, undefined, 0, 0);
    entry.other = id;
    return this.#suspend(thread, entry);
  }

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
      this.differs(thread, entry, `did ${KIND_NAMES[kind]}${where}`);
    }
    thread.cursor = cursor + 1;
    return entry;
  }

  /** The thread does something else than when it was run before. */
  differs(thread: Thread, entry: Entry, now: string): never {
    this.#machine.fail({
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
    happen(this.#machine, thread, entry, write);
  }

  #suspend(thread: Thread, entry: Entry): never {
    if (this.#machine.reached !== undefined) {
      const key = ((thread.log.length * 32 + entry.kind) * 65536 + (entry.start & 65535)) *
          MAX_THREADS + thread.id;
      if (!this.#machine.reached.has(key)) {
        this.#machine.reached.set(key, stackLines()[0] ?? "unknown");
      }
    }
    this.#machine.announce(thread, entry);
    thread.unwinding = true;
    throw SUSPENDED;
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
        this.refuseUntracked(`does Atomics.${KIND_NAMES[kind]} on`);
      }
      return (natives[kind] as (...args: unknown[]) => unknown)(view, index, a, b);
    }
    const real = found.real as Int32Array;
    if (!isValid(kind, real, index)) {
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
      this.differs(thread, known, `does ${KIND_NAMES[kind]} of ${name}`);
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
      if (real[index] === coerce(real, a)) {
        throw new Error("Cannot wait here: setup and check run alone, nobody would notify");
      }
      return kind === WAIT ? "not-equal" : { async: false, value: "not-equal" };
    }
    if (kind === NOTIFY) return 0;
    if (kind !== LOAD) this.#machine.beforeDirectWrite();
    initialise(
      found.buffer,
      found.offset + index * real.BYTES_PER_ELEMENT,
      real.BYTES_PER_ELEMENT,
    );
    return (natives[kind] as (...args: unknown[]) => unknown)(real, index, a, b);
  }
}

/** Whether the operation is one; if not, the native one throws the right error. */
function isValid(kind: number, real: AnyTypedArray | DataView, index: number): boolean {
  const sleeps = kind === WAIT || kind === WAIT_ASYNC;
  if (sleeps && !(real.buffer instanceof NativeSharedArrayBuffer)) return false;
  if (!(real instanceof Int32Array || real instanceof BigInt64Array)) {
    if (sleeps || kind === NOTIFY) return false;
    if (
      real instanceof DataView || real instanceof Float32Array || real instanceof Float64Array ||
      real instanceof Uint8ClampedArray
    ) return false;
  }
  return Number.isInteger(index) && index >= 0 && index < (real as Int32Array).length;
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
  const lines = stack.split("\n").slice(1).map((line) => line.trim().replace(/^at /, ""));
  // Between the call that came in here and the machine that runs the body.
  const first = lines.findIndex((line) => !isOurs(line));
  const last = lines.findIndex((line, i) => i > first && isOurs(line));
  return first < 0 ? [] : lines.slice(first, last < 0 ? undefined : last);
}

/** Where the explorer's files are; undefined in a bundle, which has no file for each. */
const directory = /^(.*\/)interception\/calls\.[jt]s$/.exec(import.meta.url ?? "")?.[1];

/** In a bundle: functions of the explorer between the code under test and the machine, by name. */
const OURS =
  /^(?:async )?(?:new )?(?:#|stackLines|change|_?(?:Calls|Machine|Search)\.|(?:Object|Atomics)\.(?:load|store|add|sub|and|or|xor|exchange|compareExchange|wait|waitAsync|notify|pause|get|set|construct)\b)/;

/** Whether a line of a stack is the explorer's. */
function isOurs(line: string): boolean {
  return directory === undefined ? OURS.test(line) : line.includes(directory);
}
