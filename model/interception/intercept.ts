/**
 * Replaces the globals that shared-memory code uses by ones that report to a machine, and restores
 * them.
 *
 * The replacements are in place only while a machine runs, from its setup to its last check.
 *
 * @module
 */

import {
  ADD,
  AND,
  type AtomicsKind,
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
} from "../machine/kinds.ts";
import type { Machine } from "../machine/machine.ts";
import { SUSPENDED } from "../machine/thread.ts";
import {
  type AnyTypedArray,
  nativeAtomics,
  NativeDataView,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
  typedArrayPrototype,
  typedArrays,
} from "../native.ts";
import { ignoreRejections, stopIgnoringRejections } from "../platform.ts";
import { Calls } from "./calls.ts";
import { buffers } from "./registry.ts";
import { type CurrentCalls, trackView, untracked } from "./views.ts";

/** Hints of shared-memory code to a checker; both find the slot by name, without an import. */
interface Observer {
  beginSpeculation(): void;
  endSpeculation(kept: boolean): void;
  label(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, name: string): void;
}

const observerSlot = ((globalThis as unknown as Record<symbol, unknown>)[
  Symbol.for("busbar.observer")
] ??= { current: undefined }) as { current: Observer | undefined };

/** The calls to which the intercepted objects report; undefined while no machine is installed. */
let calls: Calls | undefined;

const current: CurrentCalls = {
  get calls(): Calls {
    if (calls === undefined) {
      throw new Error("Cannot use memory of a model outside the exploration that created it");
    }
    return calls;
  },
};

function atomics(kind: AtomicsKind, view: unknown, index: number, value: unknown): unknown {
  return calls!.atomics(kind, view, index, value, undefined);
}

/** The replacement of `Atomics`. */
const modelAtomics = {
  load: (view: unknown, index: number) => calls!.atomics(LOAD, view, index, undefined, undefined),
  store: (view: unknown, index: number, value: unknown) => atomics(STORE, view, index, value),
  add: (view: unknown, index: number, value: unknown) => atomics(ADD, view, index, value),
  sub: (view: unknown, index: number, value: unknown) => atomics(SUB, view, index, value),
  and: (view: unknown, index: number, value: unknown) => atomics(AND, view, index, value),
  or: (view: unknown, index: number, value: unknown) => atomics(OR, view, index, value),
  xor: (view: unknown, index: number, value: unknown) => atomics(XOR, view, index, value),
  exchange: (view: unknown, index: number, value: unknown) => atomics(EXCHANGE, view, index, value),
  notify: (view: unknown, index: number, value: unknown) => atomics(NOTIFY, view, index, value),
  compareExchange: (view: unknown, index: number, expected: unknown, replacement: unknown) =>
    calls!.atomics(COMPARE_EXCHANGE, view, index, expected, replacement),
  wait: (view: unknown, index: number, value: unknown, timeout?: number) =>
    calls!.atomics(WAIT, view, index, value, timeout),
  waitAsync: (view: unknown, index: number, value: unknown, timeout?: number) =>
    calls!.atomics(WAIT_ASYNC, view, index, value, timeout),
  pause: (hint?: number) => calls!.pause(hint),
  isLockFree: (size: number) => nativeAtomics.isLockFree(size),
  [Symbol.toStringTag]: "Atomics",
};

/** A constructor whose views on model memory are tracked. */
function trackingConstructor<T extends TypedArrayConstructor | DataViewConstructor>(native: T): T {
  return new Proxy(native, {
    construct(target, args, newTarget) {
      const [first, a, b] = args;
      if (typeof first === "object" && first !== null) {
        const buffer = buffers.get(first);
        if (buffer !== undefined) {
          return current.calls.view(
            native,
            buffer,
            a,
            b,
            () =>
              trackView(
                current,
                Reflect.construct(target, args) as AnyTypedArray | DataView,
                buffer,
              ),
          );
        }
        if (first instanceof NativeSharedArrayBuffer && calls?.isThreadRunning) {
          current.calls.refuseUntracked(`makes a ${native.name} on`);
        }
        args = [untracked(current.calls, first), ...args.slice(1)];
      }
      return Reflect.construct(target, args, newTarget);
    },
  });
}

const ModelSharedArrayBuffer = new Proxy(NativeSharedArrayBuffer, {
  construct(_target, [byteLength, options]) {
    return current.calls.buffer(byteLength, options);
  },
});

/** A function that is the replacement while a simulated thread runs, else the native one. */
function whileThreadRuns<F extends (...args: never[]) => unknown>(native: F, model: F): F {
  return function (this: unknown, ...args: never[]) {
    return (calls?.isThreadRunning ? model : native).apply(this, args);
  } as F;
}

const ModelDate = new Proxy(Date, {
  construct(target, args, newTarget) {
    if (args.length === 0 && calls?.isThreadRunning) {
      args = [calls.clock("new Date()")];
    }
    return Reflect.construct(target, args, newTarget);
  },
});

const untrackFirst = (native: (...args: never[]) => unknown) =>
  function (this: unknown, first: unknown, ...rest: never[]) {
    return native.call(this, untracked(current.calls, first) as never, ...rest);
  };

const refused = (name: string, instead: string) => () => calls!.refuse(name, instead);
const randomness = "choose values in setup, or pass them in";
const timers = "simulated threads have no timers";

/** Every replaced property, with both values. */
const replacements: { target: object; key: PropertyKey; model: unknown; native: unknown }[] = [];

/** Adds a property to the replacements, if the platform has it. */
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
      const copy = untracked(current.calls, into) as Uint8Array;
      const result = native.call(this, text, copy);
      if (copy !== into) into.set(copy.subarray(0, result.written));
      return result;
    },
);
for (
  const [target, key, name, instead] of [
    [Math, "random", "Math.random()", randomness],
    [globalThis.crypto, "getRandomValues", "crypto.getRandomValues()", randomness],
    [globalThis.crypto, "randomUUID", "crypto.randomUUID()", randomness],
    [globalThis, "setTimeout", "setTimeout()", timers],
    [globalThis, "setInterval", "setInterval()", timers],
  ] as const
) {
  replace(target, key, (native: never) => whileThreadRuns(native, refused(name, instead)));
}
replace(
  Date,
  "now",
  (native: never) => whileThreadRuns(native, () => calls!.clock("Date.now()")),
);
replace(
  globalThis.performance,
  "now",
  (native: never) => whileThreadRuns(native, () => calls!.clock("performance.now()")),
);

const observer: Observer = {
  beginSpeculation: () => calls!.beginSpeculation(),
  endSpeculation: (kept) => calls!.endSpeculation(kept),
  label(buffer, byteOffset, byteLength, name) {
    buffers.get(buffer)?.label(byteOffset, byteLength, name);
  },
};

/**
 * Lets the globals report to a machine.
 *
 * @throws {Error} If they report to another one.
 */
export function install(machine: Machine): void {
  if (calls !== undefined) {
    throw new Error("Cannot explore: another exploration is running; await it first");
  }
  calls = new Calls(machine);
  for (const { target, key, model } of replacements) put(target, key, model);
  observerSlot.current = observer;
  // A suspended asynchronous thread rejects promises that the code under test does not await.
  ignoreRejections(SUSPENDED);
}

/** Restores the platform's own globals. */
export function uninstall(): void {
  for (const { target, key, native } of replacements) put(target, key, native);
  observerSlot.current = undefined;
  stopIgnoringRejections();
  calls = undefined;
}

/**
 * The calls of setup.
 *
 * @param action The action that needs it, for the error.
 * @throws {Error} If no machine is installed, or a simulated thread is running.
 */
export function setupCalls(action: string): Calls {
  if (calls === undefined) throw new Error(`Cannot ${action}: no model is being explored`);
  if (calls.isThreadRunning) throw new Error(`Cannot ${action} in a thread: do it in setup`);
  return calls;
}

/**
 * The calls of the running thread.
 *
 * @param action The action that needs it, for the error.
 * @throws {Error} If no simulated thread is running.
 */
export function runningCalls(action: string): Calls {
  if (!calls?.isThreadRunning) throw new Error(`Cannot ${action}: no simulated thread is running`);
  return calls;
}

/** Sets a property, as it is: enumerable or not, with a setter or not. */
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
