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
import type { ModelBuffer } from "../machine/memory.ts";
import { SUSPENDED } from "../machine/thread.ts";
import {
  type AnyTypedArray,
  Bytes,
  nativeAtomics,
  NativeDataView,
  NativeSharedArrayBuffer,
  type TypedArrayConstructor,
  typedArrayPrototype,
  typedArrays,
} from "../native.ts";
import { ignoreRejections, stopIgnoringRejections } from "../platform.ts";
import { arrayMethods } from "./array_methods.ts";
import { Calls } from "./calls.ts";
import { toBigInt, toIndex, toNumber } from "./conversions.ts";
import { cloning, refusingShared } from "./copies.ts";
import { buffers, isObject, viewOf, views, visibleBuffer } from "./registry.ts";
import { constructBuffer, sliceBuffer } from "./shared_buffers.ts";
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
  get isThreadRunning(): boolean {
    return calls?.isThreadRunning === true;
  },
  replaceGetters: replaceGettersNow,
};

/** The functions of `Atomics` during an exploration, each with the arity of its original. */
const modelAtomics = {
  load(view: unknown, index: unknown): unknown {
    return calls!.atomics(LOAD, view, index, undefined, undefined);
  },
  store(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(STORE, view, index, value, undefined);
  },
  add(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(ADD, view, index, value, undefined);
  },
  sub(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(SUB, view, index, value, undefined);
  },
  and(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(AND, view, index, value, undefined);
  },
  or(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(OR, view, index, value, undefined);
  },
  xor(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(XOR, view, index, value, undefined);
  },
  exchange(view: unknown, index: unknown, value: unknown): unknown {
    return calls!.atomics(EXCHANGE, view, index, value, undefined);
  },
  notify(view: unknown, index: unknown, count: unknown): unknown {
    return calls!.atomics(NOTIFY, view, index, count, undefined);
  },
  compareExchange(view: unknown, index: unknown, expected: unknown, replacement: unknown): unknown {
    return calls!.atomics(COMPARE_EXCHANGE, view, index, expected, replacement);
  },
  wait(view: unknown, index: unknown, value: unknown, timeout: unknown): unknown {
    return calls!.atomics(WAIT, view, index, value, timeout);
  },
  waitAsync(view: unknown, index: unknown, value: unknown, timeout: unknown): unknown {
    return calls!.atomics(WAIT_ASYNC, view, index, value, timeout);
  },
  pause(...hint: unknown[]): void {
    return calls!.pause(hint[0]);
  },
};

/** Makes the view that a constructor is asked for, on memory of the model. */
function constructView(
  native: TypedArrayConstructor | DataViewConstructor,
  own: unknown,
  buffer: ModelBuffer,
  args: unknown[],
  newTarget: unknown,
): object {
  const isOwn = newTarget === own;
  const create = (offset: unknown, length: unknown) =>
    Reflect.construct(
      native,
      length === undefined ? [buffer.real, offset] : [buffer.real, offset, length],
      isOwn ? native : newTarget as typeof native,
    ) as AnyTypedArray | DataView;
  const size = (native as TypedArrayConstructor).BYTES_PER_ELEMENT ?? 1;
  const whole = buffer.bytes.length;
  // The standard's order; each error is the native constructor's.
  const offset = toIndex(args[1]);
  if (offset % size !== 0 || (native === NativeDataView && offset > whole)) {
    return create(offset, undefined);
  }
  const length = args[2] === undefined ? undefined : toIndex(args[2]);
  const isInside = length === undefined
    ? offset <= whole && (whole - offset) % size === 0
    : offset + length * size <= whole;
  if (!isInside) return create(offset, length);
  return current.calls.view(
    isOwn ? native : undefined,
    buffer,
    offset,
    length,
    () => trackView(current, create(offset, length), buffer),
  );
}

/** The constructors that replace the native ones, by these. */
const modelConstructors = new Map<unknown, unknown>();

/** A constructor whose views on model memory are tracked. */
function trackingConstructor<T extends TypedArrayConstructor | DataViewConstructor>(native: T): T {
  const own: T = new Proxy(native, {
    construct(target, args, newTarget) {
      // No destructuring: code under test may change how arrays are iterated.
      const first = args[0];
      if (typeof first === "object" && first !== null && calls !== undefined) {
        const buffer = buffers.get(first);
        if (buffer !== undefined) return constructView(native, own, buffer, args, newTarget);
        if (first instanceof NativeSharedArrayBuffer && calls.isThreadRunning) {
          calls.refuseUntracked(`makes a ${native.name} on`);
        }
        if (views.has(first) && native !== NativeDataView) {
          args[0] = untracked(calls, first);
        }
      }
      return Reflect.construct(target, args, newTarget === own ? target : newTarget);
    },
  });
  modelConstructors.set(native, own);
  return own;
}

const ModelSharedArrayBuffer: SharedArrayBufferConstructor = new Proxy(NativeSharedArrayBuffer, {
  construct(target, args, newTarget) {
    const isOwn = newTarget === ModelSharedArrayBuffer;
    return constructBuffer(current, args, isOwn ? target : newTarget);
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

type Native = (this: unknown, ...args: unknown[]) => unknown;

/** A method of a platform's class: of the model if the receiver is one of its objects. */
function method(
  native: Native,
  model: (self: object, args: readonly unknown[]) => { result: unknown } | undefined,
): Native {
  // As the methods of the platform, it is not a constructor.
  const { replacement } = {
    replacement(this: unknown, ...args: unknown[]): unknown {
      const answer = isObject(this) && calls !== undefined ? model(this, args) : undefined;
      return answer === undefined ? Reflect.apply(native, this, args) : answer.result;
    },
  };
  return replacement;
}

/** A method of typed arrays. */
function arrayMethod(native: Native, key: string): Native {
  const model = arrayMethods[key]!;
  return method(native, (self, args) => {
    const view = views.get(self);
    if (view?.type !== undefined) {
      const constructor = modelConstructors.get(view.type.constructor);
      return { result: model({ calls: calls!, view, self, constructor }, args) };
    }
    if (key !== "set") return undefined;
    return { result: Reflect.apply(native, self, [untracked(calls!, args[0]), args[1]]) };
  });
}

/** A method of data views: `getInt32`, say. */
function dataViewMethod(native: Native, isWrite: boolean, size: number, isBigInt: boolean): Native {
  return method(native, (self, args) => {
    const view = views.get(self);
    if (view === undefined || view.type !== undefined) return undefined;
    const { real, buffer, offset, byteLength } = view;
    const at = toIndex(args[0]);
    if (!isWrite) {
      if (at + size > byteLength) return { result: Reflect.apply(native, real, [at]) };
      const bytes = calls!.read(buffer, offset + at, size);
      return { result: Reflect.apply(native, new NativeDataView(bytes.buffer), [0, args[1]]) };
    }
    const value = isBigInt ? toBigInt(args[1]) : toNumber(args[1]);
    if (at + size > byteLength) return { result: Reflect.apply(native, real, [at, value]) };
    calls!.write(buffer, offset + at, size, () => {
      Reflect.apply(native, real, [at, value, args[2]]);
    });
    return { result: undefined };
  });
}

/** The object of the platform that a view, or a buffer, of the model stands for. */
const realView = (self: object) => views.get(self)?.real;
const realBuffer = (self: object) => buffers.get(self)?.real;

/** A method or getter of the platform's class, applied to the real object. */
function redirected(native: Native, realOf: (self: object) => object | undefined): Native {
  return method(native, (self, args) => {
    const real = realOf(self);
    return real === undefined ? undefined : { result: Reflect.apply(native, real, args) };
  });
}

const refused = (name: string, instead: string) => () => calls!.refuse(name, instead);
const randomness = "choose values in setup, or pass them in";
const timers = "simulated threads have no timers";

/** A replaced property of an object. */
interface Replacement {
  readonly target: object;
  readonly key: PropertyKey;
  readonly model: PropertyDescriptor;
  readonly native: PropertyDescriptor | undefined;
  /** Whether both are values, which an assignment exchanges: ten times as fast as a definition. */
  readonly isValue: boolean;
}

/** Every replaced property but getters. */
const replacements: Replacement[] = [];

/** Adds a property to the replacements, if the platform has it. */
function replace(
  target: object | undefined,
  key: PropertyKey,
  model: (native: never) => unknown,
): void {
  if (target === undefined) return;
  const value = Reflect.get(target, key);
  if (value === undefined) return;
  const native = Reflect.getOwnPropertyDescriptor(target, key);
  const descriptor = {
    configurable: true,
    enumerable: native?.enumerable ?? false,
    writable: true,
    value: like(value, model(value as never)),
  };
  replacements.push({
    target,
    key,
    native,
    model: descriptor,
    // A global that is assigned in a context of `node:vm` becomes enumerable.
    isValue: native?.writable === true && target !== globalThis,
  });
}

/** Gives a replaced property its model's, or again its native, value. */
function put({ target, key, model, native, isValue }: Replacement, isModel: boolean): void {
  const descriptor = isModel ? model : native;
  if (descriptor === undefined) {
    Reflect.deleteProperty(target, key);
    return;
  }
  if (isValue) {
    // Code under test may have defined the property otherwise.
    Reflect.set(target, key, descriptor.value);
    if (Reflect.get(target, key) === descriptor.value) return;
  }
  Reflect.defineProperty(target, key, descriptor);
}

/** The getters of the platform's classes; redefining one takes microseconds. */
const getters: Replacement[] = [];
let areGettersReplaced = false;

/**
 * Replaces the getters: code under test has got a view, or a buffer, for which the traps of its
 * proxy do not answer, or looks at the prototypes.
 */
function replaceGettersNow(): void {
  if (areGettersReplaced || calls === undefined) return;
  areGettersReplaced = true;
  for (const getter of getters) put(getter, true);
}

/** Adds getters of a class. */
function replaceGetters(
  target: object,
  keys: readonly PropertyKey[],
  model: (native: Native) => Native,
): void {
  for (const key of keys) {
    const native = Reflect.getOwnPropertyDescriptor(target, key);
    const getter = native?.get as Native | undefined;
    if (getter === undefined) continue;
    const get = like(getter, model(getter));
    const descriptor = { ...native!, get };
    getters.push({ target, key, native: native!, model: descriptor, isValue: false });
  }
}

/** Gives a function the name and the length of another. */
function like<T>(native: unknown, model: T): T {
  if (typeof native === "function" && typeof model === "function") {
    for (const key of ["length", "name"] as const) {
      const descriptor = Reflect.getOwnPropertyDescriptor(native, key);
      if (descriptor !== undefined && model[key] !== descriptor.value) {
        Reflect.defineProperty(model, key, descriptor);
      }
    }
  }
  return model;
}

for (const [key, model] of Object.entries(modelAtomics)) {
  if (Reflect.has(nativeAtomics, key)) {
    replace(nativeAtomics, key, () => model);
  } else {
    const descriptor = { value: model, writable: true, enumerable: false, configurable: true };
    replacements.push({
      target: nativeAtomics,
      key,
      native: undefined,
      model: descriptor,
      isValue: false,
    });
  }
}
replace(globalThis, "SharedArrayBuffer", () => ModelSharedArrayBuffer);
for (const native of [...typedArrays, NativeDataView]) {
  const model = trackingConstructor(native);
  replace(globalThis, native.name, () => model);
  replace(native.prototype, "constructor", () => model);
}
replace(globalThis, "Date", () => ModelDate);
replace(
  ArrayBuffer,
  "isView",
  (native: (value: unknown) => boolean) => (value: unknown) =>
    viewOf(value) !== undefined || native(value),
);
for (const key of Object.keys(arrayMethods)) {
  replace(typedArrayPrototype, key, (native: Native) => arrayMethod(native, key));
}
{
  // The iterator is the same function as `values`.
  const values =
    replacements.find(({ target, key }) => target === typedArrayPrototype && key === "values")!
      .model.value;
  replace(typedArrayPrototype, Symbol.iterator, () => values);
}
const prototypesWithGetters = new Set<unknown>([
  typedArrayPrototype,
  NativeDataView.prototype,
  NativeSharedArrayBuffer.prototype,
]);
for (const prototype of [typedArrayPrototype, NativeDataView.prototype]) {
  replaceGetters(
    prototype,
    ["byteLength", "byteOffset", "length", Symbol.toStringTag],
    (native) => redirected(native, realView),
  );
  replaceGetters(prototype, ["buffer"], (native) =>
    method(native, (self) => {
      const view = views.get(self);
      return view === undefined ? undefined : { result: visibleBuffer(view.buffer) };
    }));
}
for (const key of Reflect.ownKeys(NativeDataView.prototype)) {
  const access = /^(get|set)(Big)?(?:Int|Uint|Float)(8|16|32|64)$/.exec(String(key));
  if (access === null) continue;
  const [, verb, big, bits] = access;
  replace(
    NativeDataView.prototype,
    key,
    (native: Native) => dataViewMethod(native, verb === "set", Number(bits) / 8, big !== undefined),
  );
}
{
  const { prototype } = NativeSharedArrayBuffer;
  replace(prototype, "constructor", () => ModelSharedArrayBuffer);
  replace(prototype, "slice", (native: Native) =>
    method(native, (self, args) => {
      const buffer = buffers.get(self);
      if (buffer === undefined) return undefined;
      return { result: sliceBuffer(current, self, buffer, args, ModelSharedArrayBuffer) };
    }));
  replaceGetters(
    prototype,
    ["byteLength", "growable", "maxByteLength"],
    (native) => redirected(native, realBuffer),
  );
  replace(prototype, "grow", (native: Native) => redirected(native, realBuffer));
}
for (
  const [target, key] of [
    [Object, "getOwnPropertyDescriptor"],
    [Object, "getOwnPropertyDescriptors"],
    [Reflect, "getOwnPropertyDescriptor"],
    [Object.prototype, "__lookupGetter__"],
  ] as const
) {
  replace(target, key, (native: Native) => {
    const { replacement } = {
      replacement(this: unknown, ...args: unknown[]): unknown {
        const object = key === "__lookupGetter__" ? this : args[0];
        if (prototypesWithGetters.has(object)) replaceGettersNow();
        return Reflect.apply(native, this, args);
      },
    };
    return replacement;
  });
}
replace(globalThis, "structuredClone", (native: never) => cloning(current, native));
for (const key of ["Blob", "File"]) replace(globalThis, key, refusingShared);
replace(globalThis.TextDecoder?.prototype, "decode", untrackFirst);
replace(
  globalThis.TextEncoder?.prototype,
  "encodeInto",
  (native: typeof TextEncoder.prototype.encodeInto) =>
    function (this: TextEncoder, text: string, into: Uint8Array) {
      if (!views.has(into)) return native.call(this, text, into);
      const copy = new Bytes(into.length);
      const result = native.call(this, text, copy);
      into.set(copy.subarray(0, result.written));
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
  for (const replacement of replacements) put(replacement, true);
  observerSlot.current = observer;
  // A suspended asynchronous thread rejects promises that the code under test does not await.
  ignoreRejections(SUSPENDED);
}

/** Restores the platform's own globals. */
export function uninstall(): void {
  for (const replacement of replacements) put(replacement, false);
  if (areGettersReplaced) {
    areGettersReplaced = false;
    for (const getter of getters) put(getter, false);
  }
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
