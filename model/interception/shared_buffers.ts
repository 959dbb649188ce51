/**
 * The shared buffers that code under test has: proxies, so that no view on the real bytes can be
 * made behind the explorer's back.
 *
 * A constructor that was captured before the exploration (`const I32 = Int32Array` in a module, or
 * a subclass there) is the native one, and its arrays cannot be tracked. It finds that the proxy is
 * no buffer and asks for its iterator and then its length; Node's `Buffer.from` asks for its buffer
 * and then its type. No other code asks in this order, so it is refused by name.
 *
 * @module
 */

import type { ModelBuffer } from "../machine/memory.ts";
import { NativeSharedArrayBuffer } from "../native.ts";
import { toEnd, toIndex, toPosition } from "./conversions.ts";
import { buffers, isObject, visibleBuffer, visibleBuffers } from "./registry.ts";
import type { CurrentCalls } from "./views.ts";

/** From this size on an allocation may fail. */
const MAX_BYTES = 2 ** 32;

/** The buffer that the code under test gets instead of the real one. */
function hide(current: CurrentCalls, buffer: ModelBuffer, prototype: object | null) {
  const real = buffer.real as SharedArrayBuffer;
  if (Reflect.getPrototypeOf(real) !== prototype) Reflect.setPrototypeOf(real, prototype);
  let isOrdinary = prototype === NativeSharedArrayBuffer.prototype;
  const makeSpecial = () => {
    isOrdinary = false;
    current.replaceGetters();
  };
  if (!isOrdinary) current.replaceGetters();
  let previous: PropertyKey | undefined;
  const proxy = new Proxy(real, {
    get(_target, key, receiver): unknown {
      const isAsked = (previous === Symbol.iterator && key === "length") ||
        (previous === "buffer" && key === "type");
      previous = key;
      if (key === "byteLength" && isOrdinary) return buffer.bytes.length;
      const isGetter = key === "growable" || key === "maxByteLength";
      const value = Reflect.get(real, key, isGetter && isOrdinary ? real : receiver);
      if (isAsked && value === undefined) {
        current.calls.refuseUse(
          "makes a view of shared memory by a constructor that is not the global one (`const I32 = " +
            "Int32Array` or a subclass in a module that was loaded before, or Node's Buffer), so " +
            "that its accesses could not be seen: use the global when the thread runs",
        );
      }
      return value;
    },
    defineProperty(_target, key, descriptor): boolean {
      makeSpecial();
      return Reflect.defineProperty(real, key, descriptor);
    },
    setPrototypeOf(_target, prototype): boolean {
      makeSpecial();
      return Reflect.setPrototypeOf(real, prototype);
    },
  });
  buffers.set(proxy, buffer);
  visibleBuffers.set(buffer, proxy);
  return proxy;
}

/** Makes a buffer of the code under test. */
export function constructBuffer(
  current: CurrentCalls,
  args: readonly unknown[],
  newTarget: unknown,
): SharedArrayBuffer {
  const byteLength = toIndex(args[0]);
  const options = args[1];
  const maxByteLength = isObject(options)
    ? (options as { maxByteLength?: unknown }).maxByteLength
    : undefined;
  const create = () =>
    Reflect.construct(
      NativeSharedArrayBuffer,
      maxByteLength === undefined ? [byteLength] : [byteLength, { maxByteLength }],
      newTarget as typeof SharedArrayBuffer,
    ) as SharedArrayBuffer;
  // Errors first, since they are no entries of the log.
  if (maxByteLength !== undefined || byteLength >= MAX_BYTES) {
    const real = create();
    if (maxByteLength !== undefined) {
      current.calls.refuseUse(
        `creates a growable SharedArrayBuffer, which the explorer does not model: leave ` +
          "maxByteLength out, and create it with the length to which it grows",
      );
    }
    return real;
  }
  const { buffer, isNew } = current.calls.buffer(byteLength, create);
  if (newTarget === NativeSharedArrayBuffer) {
    if (isNew) return hide(current, buffer, NativeSharedArrayBuffer.prototype);
    return visibleBuffer(buffer) as SharedArrayBuffer;
  }
  // A subclass, which may be another one in each replay and give its objects private fields.
  const { prototype } = newTarget as { prototype: unknown };
  const isOther = !isNew && isObject(prototype);
  return hide(current, buffer, isOther ? prototype : Reflect.getPrototypeOf(buffer.real));
}

/** `SharedArrayBuffer.prototype.slice` of a model's buffer. */
export function sliceBuffer(
  current: CurrentCalls,
  self: object,
  buffer: ModelBuffer,
  args: readonly unknown[],
  ownConstructor: unknown,
): object {
  const { calls } = current;
  const { length } = buffer.bytes;
  const start = toPosition(args[0], length);
  const count = Math.max(0, toEnd(args[1], length) - start);
  const { constructor } = self;
  let species = ownConstructor;
  if (constructor !== undefined) {
    if (!isObject(constructor)) throw new TypeError("object.constructor is not an object");
    species = (constructor as { [Symbol.species]?: unknown })[Symbol.species] ?? species;
  }
  const result = Reflect.construct(species as new () => object, [count]);
  const target = buffers.get(result);
  if (!(target?.real instanceof NativeSharedArrayBuffer)) {
    throw new TypeError("the species is not of shared buffers");
  }
  if (target === buffer) throw new TypeError("the species created the buffer itself");
  if (target.bytes.length < count) throw new TypeError("the species created too short a buffer");
  if (count > 0) {
    const bytes = calls.read(buffer, start, count);
    calls.write(target, 0, count, () => target.bytes.set(bytes));
  }
  return result;
}
