/**
 * What replaces `Atomics`, and the constructors, methods and getters of typed arrays, data views
 * and shared buffers, while a machine runs.
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
import type { ModelBuffer } from "../machine/memory.ts";
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
import { arrayMethods } from "./array_methods.ts";
import { toBigInt, toIndex, toNumber } from "./conversions.ts";
import { calls, current } from "./current_calls.ts";
import { buffers, isObject, type View, viewOf, views, visibleBuffer } from "./registry.ts";
import {
  type Native,
  replace,
  replaceGetters,
  replaceGettersNow,
  replacementOf,
  replaceMissing,
} from "./replacements.ts";
import { constructBuffer, sliceBuffer } from "./shared_buffers.ts";
import { snapshot, trackView, untracked } from "./views.ts";

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

/** Replaces a method that only `Uint8Array` has, where the platform has it. */
function replaceBytesMethod(
  key: string,
  model: (native: Native, view: View, args: readonly unknown[]) => unknown,
): void {
  const { prototype } = Uint8Array;
  if (!Reflect.has(prototype, key)) return;
  replace(prototype, key, (native: Native) =>
    method(native, (self, args) => {
      const view = views.get(self);
      const isOne = view?.type?.constructor.name === "Uint8Array";
      return isOne ? { result: model(native, view, args) } : undefined;
    }));
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

for (const [key, model] of Object.entries(modelAtomics)) {
  if (Reflect.has(nativeAtomics, key)) replace(nativeAtomics, key, () => model);
  else replaceMissing(nativeAtomics, key, model);
}
replace(globalThis, "SharedArrayBuffer", () => ModelSharedArrayBuffer);
for (const native of [...typedArrays, NativeDataView]) {
  const model = trackingConstructor(native);
  replace(globalThis, native.name, () => model);
  replace(native.prototype, "constructor", () => model);
}
replace(
  ArrayBuffer,
  "isView",
  (native: (value: unknown) => boolean) => (value: unknown) =>
    viewOf(value) !== undefined || native(value),
);
for (const key of Object.keys(arrayMethods)) {
  replace(typedArrayPrototype, key, (native: Native) => arrayMethod(native, key));
}
// The iterator is the same function as `values`.
const values = replacementOf(typedArrayPrototype, "values");
replace(typedArrayPrototype, Symbol.iterator, () => values);
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
for (const key of ["toHex", "toBase64"]) {
  replaceBytesMethod(
    key,
    (native, view, args) => Reflect.apply(native, snapshot(calls!, view), args),
  );
}
for (const key of ["setFromHex", "setFromBase64"]) {
  replaceBytesMethod(key, (native, { buffer, offset, length }, args) => {
    const decoded = new Bytes(length);
    const result = Reflect.apply(native, decoded, args) as { readonly written: number };
    const bytes = decoded.subarray(0, result.written);
    if (result.written > 0) {
      calls!.write(buffer, offset, result.written, () => buffer.bytes.set(bytes, offset));
    }
    return result;
  });
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
