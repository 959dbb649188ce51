/**
 * Swaps the globals that shared-memory code uses for ones that report to a machine, and back.
 *
 * They are in place only while a machine runs: from its setup to its last check, never while the
 * explorer yields to the event loop in between (except while an asynchronous body is driven).
 *
 * @module
 */

import {
  ADD,
  AND,
  COMPARE_EXCHANGE,
  EXCHANGE,
  LOAD,
  NOTIFY,
  OR,
  STORE,
  SUB,
  WAIT,
  WAIT_ASYNC,
  XOR,
} from "../machine/entry.ts";
import type { Calls } from "./calls.ts";
import type { Machine } from "../machine/machine.ts";
import {
  type AnyTypedArray,
  nativeAtomics,
  NativeDataView,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
  typedArrayPrototype,
  typedArrays,
} from "../native.ts";
import { buffers } from "./registry.ts";
import { ignoreRejections, stopIgnoringRejections } from "../platform.ts";
import { SUSPENDED } from "../machine/thread.ts";
import { type Active, trackView, untracked } from "./views.ts";

/** What shared-memory code may tell a checker; the slot is shared by name, without imports. */
interface Observer {
  beginSpeculation(): void;
  endSpeculation(kept: boolean): void;
  label(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, name: string): void;
}

const observerSlot = ((globalThis as unknown as Record<symbol, unknown>)[
  Symbol.for("busbar.observer")
] ??= { current: undefined }) as { current: Observer | undefined };

/** The machine that the intercepted objects report to. */
let current: Machine | undefined;

const active: Active = {
  get calls(): Calls {
    if (current === undefined) {
      throw new Error("Cannot use memory of a model outside the exploration that made it");
    }
    return current.calls;
  },
};

function change(kind: number, view: unknown, index: number, value: unknown): unknown {
  return current!.calls.atomic(kind, view, index, value, undefined);
}

/** Stands in for `Atomics`. */
const modelAtomics = {
  load: (view: unknown, index: number) =>
    current!.calls.atomic(LOAD, view, index, undefined, undefined),
  store: (view: unknown, index: number, value: unknown) => change(STORE, view, index, value),
  add: (view: unknown, index: number, value: unknown) => change(ADD, view, index, value),
  sub: (view: unknown, index: number, value: unknown) => change(SUB, view, index, value),
  and: (view: unknown, index: number, value: unknown) => change(AND, view, index, value),
  or: (view: unknown, index: number, value: unknown) => change(OR, view, index, value),
  xor: (view: unknown, index: number, value: unknown) => change(XOR, view, index, value),
  exchange: (view: unknown, index: number, value: unknown) => change(EXCHANGE, view, index, value),
  notify: (view: unknown, index: number, value: unknown) => change(NOTIFY, view, index, value),
  compareExchange: (view: unknown, index: number, expected: unknown, replacement: unknown) =>
    current!.calls.atomic(COMPARE_EXCHANGE, view, index, expected, replacement),
  wait: (view: unknown, index: number, value: unknown, timeout?: number) =>
    current!.calls.atomic(WAIT, view, index, value, timeout),
  waitAsync: (view: unknown, index: number, value: unknown, timeout?: number) =>
    current!.calls.atomic(WAIT_ASYNC, view, index, value, timeout),
  pause: (hint?: number) => current!.calls.pause(hint),
  isLockFree: (size: number) => nativeAtomics.isLockFree(size),
  [Symbol.toStringTag]: "Atomics",
};

/** A constructor of views that tracks those over model memory. */
function trackingConstructor<T extends TypedArrayConstructor | DataViewConstructor>(native: T): T {
  return new Proxy(native, {
    construct(target, args, newTarget) {
      const [first, a, b] = args;
      if (typeof first === "object" && first !== null) {
        const buffer = buffers.get(first);
        if (buffer !== undefined) {
          return active.calls.view(
            native,
            buffer,
            a,
            b,
            () =>
              trackView(
                active,
                Reflect.construct(target, args) as AnyTypedArray | DataView,
                buffer,
              ),
          );
        }
        if (first instanceof NativeSharedArrayBuffer && current?.current !== undefined) {
          active.calls.refuseUntracked(`makes a ${native.name} on`);
        }
        args = [untracked(active.calls, first), ...args.slice(1)];
      }
      return Reflect.construct(target, args, newTarget);
    },
  });
}

const ModelSharedArrayBuffer = new Proxy(NativeSharedArrayBuffer, {
  construct(_target, [byteLength, options]) {
    return active.calls.buffer(byteLength, options);
  },
});

/** Replaces a function on an object while a simulated thread runs its code. */
function whileThreadRuns<F extends (...args: never[]) => unknown>(native: F, model: F): F {
  return function (this: unknown, ...args: never[]) {
    return (current?.current === undefined ? native : model).apply(this, args);
  } as F;
}

const ModelDate = new Proxy(Date, {
  construct(target, args, newTarget) {
    if (args.length === 0 && current?.current !== undefined) {
      args = [current.calls.clock("new Date()")];
    }
    return Reflect.construct(target, args, newTarget);
  },
});

const untrackFirst = (native: (...args: never[]) => unknown) =>
  function (this: unknown, first: unknown, ...rest: never[]) {
    return native.call(this, untracked(active.calls, first) as never, ...rest);
  };

const refused = (what: string, instead: string) => () => current!.calls.refuse(what, instead);
const randomness = "choose values in setup, or pass them in";
const timers = "simulated threads have no timers";

/** Everything that is replaced: where, which property, by what. */
const replacements: { target: object; key: PropertyKey; model: unknown; native: unknown }[] = [];

/** Replaces a property, where the platform has it. */
function replace(
  target: object | undefined,
  key: PropertyKey,
  model: (native: never) => unknown,
): void {
  if (target === undefined) return;
  const native = Reflect.get(target, key);
  if (native === undefined) return;
  replacements.push({ target, key, model: model(native as never), native });
}

replace(globalThis, "Atomics", () => modelAtomics);
replace(globalThis, "SharedArrayBuffer", () => ModelSharedArrayBuffer);
for (const constructor of typedArrays) {
  replace(globalThis, constructor.name, () => trackingConstructor(constructor));
}
replace(globalThis, "DataView", () => trackingConstructor(NativeDataView));
replace(globalThis, "Date", () => ModelDate);
replace(typedArrayPrototype, "set", untrackFirst);
replace(globalThis.TextDecoder?.prototype, "decode", untrackFirst);
replace(
  globalThis.TextEncoder?.prototype,
  "encodeInto",
  (native: typeof TextEncoder.prototype.encodeInto) =>
    function (this: TextEncoder, text: string, into: Uint8Array) {
      const copy = untracked(active.calls, into) as Uint8Array;
      const result = native.call(this, text, copy);
      if (copy !== into) into.set(copy.subarray(0, result.written));
      return result;
    },
);
for (
  const [target, key, what, instead] of [
    [Math, "random", "Math.random()", randomness],
    [globalThis.crypto, "getRandomValues", "crypto.getRandomValues()", randomness],
    [globalThis.crypto, "randomUUID", "crypto.randomUUID()", randomness],
    [globalThis, "setTimeout", "setTimeout()", timers],
    [globalThis, "setInterval", "setInterval()", timers],
  ] as const
) {
  replace(target, key, (native: never) => whileThreadRuns(native, refused(what, instead)));
}
replace(
  Date,
  "now",
  (native: never) => whileThreadRuns(native, () => current!.calls.clock("Date.now()")),
);
replace(
  globalThis.performance,
  "now",
  (native: never) => whileThreadRuns(native, () => current!.calls.clock("performance.now()")),
);

const observer: Observer = {
  beginSpeculation: () => current!.calls.beginSpeculation(),
  endSpeculation: (kept) => current!.calls.endSpeculation(kept),
  label(buffer, byteOffset, byteLength, name) {
    buffers.get(buffer)?.label(byteOffset, byteLength, name);
  },
};

/** Directs the globals to a machine. */
export function install(machine: Machine): void {
  if (current !== undefined) {
    throw new Error("Cannot explore: another exploration is running; await it first");
  }
  current = machine;
  for (const { target, key, model } of replacements) put(target, key, model);
  observerSlot.current = observer;
  // The unwinding of a suspended asynchronous thread, in a task that nobody awaits.
  ignoreRejections(SUSPENDED);
}

/** Puts the platform's own globals back. */
export function uninstall(): void {
  for (const { target, key, native } of replacements) put(target, key, native);
  observerSlot.current = undefined;
  stopIgnoringRejections();
  current = undefined;
}

/** The machine that is being explored; the error names who asks. */
export function installedMachine(what: string): Machine {
  if (current === undefined) throw new Error(`Cannot ${what}: no model is being explored`);
  return current;
}

/** For calls of the running thread; the error names who asks. */
export function runningCalls(what: string): Calls {
  if (current?.current === undefined) {
    throw new Error(`Cannot ${what}: no simulated thread is running`);
  }
  return current.calls;
}

function put(target: object, key: PropertyKey, value: unknown): void {
  const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
  if (descriptor === undefined || "value" in descriptor) {
    Object.defineProperty(target, key, {
      ...(descriptor ?? { writable: true, configurable: true, enumerable: false }),
      value,
    });
  } else {
    (target as Record<PropertyKey, unknown>)[key] = value;
  }
}
