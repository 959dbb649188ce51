/**
 * Tracked views and simulated operations against the native ones: whatever one thread does to its
 * views, it sees the same results.
 *
 * @module
 */

import { assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { explore } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** What a program does to views of one buffer; results are compared. */
type Act = (buffer: SharedArrayBuffer) => unknown;

/** Runs acts on native memory, then in a simulated thread with an operation after each. */
async function agrees(acts: readonly Act[]): Promise<void> {
  const perform = (buffer: SharedArrayBuffer, after: () => void) =>
    acts.map((act) => {
      let result: unknown;
      try {
        result = act(buffer);
      } catch (error) {
        result = (error as Error).name;
      }
      after();
      return ArrayBuffer.isView(result)
        ? [...result as unknown as ArrayLike<number> & number[]]
        : result;
    });
  const native = new SharedArrayBuffer(32);
  const expected = perform(native, () => {});
  let bytes: number[] = [];
  let found: unknown;
  await explore({
    setup: () => ({ buffer: new SharedArrayBuffer(32), clock: words() }),
    threads: { a: ({ buffer, clock }) => perform(buffer, () => Atomics.add(clock, 0, 1)) },
    check: ({ buffer }, { a }) => {
      found = a;
      bytes = [...new Uint8Array(buffer)];
    },
  });
  assertEquals(found, expected);
  assertEquals(bytes, [...new Uint8Array(native)]);
}

const types = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
};
type Type = keyof typeof types;

const index = fc.integer({ min: -9, max: 9 });
const value = fc.oneof(fc.integer({ min: -300, max: 70_000 }), fc.constant(2 ** 32 + 5));
/** The constructors must be looked up when the act runs. */
const typeName = fc.constantFrom(...Object.keys(types) as Type[]);
const view = (type: Type, buffer: SharedArrayBuffer) =>
  new (globalThis[type] as Int32ArrayConstructor)(buffer);

const plain: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(typeName, index, value).map(([t, i, v]): Act => (b) => view(t, b)[i] = v),
  fc.tuple(typeName, index).map(([t, i]): Act => (b) => view(t, b)[i]),
  fc.tuple(typeName, index, index, value).map(([t, i, j, v]): Act => (b) => {
    const array = view(t, b);
    return array.fill(v, i, j) === array;
  }),
  fc.tuple(typeName, index, index, index).map(([t, i, j, k]): Act => (b) => {
    const array = view(t, b);
    return array.copyWithin(i, j, k) === array;
  }),
  fc.tuple(typeName, fc.array(value, { maxLength: 5 }), index).map(([t, v, i]): Act => (b) =>
    view(t, b).set(v, i)
  ),
  fc.tuple(typeName, index, index).map(([t, i, j]): Act => (b) => view(t, b).slice(i, j)),
  fc.tuple(typeName, index, index).map(([t, i, j]): Act => (b) => {
    const part = view(t, b).subarray(i, j);
    return [part.length, part.byteOffset, ...part];
  }),
  fc.tuple(typeName, typeName, index).map(([t, u, i]): Act => (b) =>
    view(t, b).subarray(0, 2).set(view(u, b).subarray(2, 4), Math.abs(i % 2))
  ),
  typeName.map((t): Act => (b) => view(t, b).toSorted()),
  typeName.map((t): Act => (b) => {
    const array = view(t, b);
    return array.reverse() === array;
  }),
  typeName.map((t): Act => (b) => new Uint8Array(view(t, b))),
  typeName.map((t): Act => (b) => [...view(t, b).entries()].map(([i, v]) => i * Number(v))),
  typeName.map((t): Act => (b) => view(t, b).map((v) => Number(v) + 1)),
  fc.tuple(typeName, value).map(([t, v]): Act => (b) => view(t, b).indexOf(v)),
  fc.tuple(index, value, fc.boolean()).map(([i, v, e]): Act => (b) => {
    const data = new DataView(b, 4);
    data.setInt16(i, v, e);
    return [data.getUint16(i, !e), data.getFloat64(8, e), data.byteLength];
  }),
  fc.string({ maxLength: 12 }).map((text): Act => (b) => {
    const bytes = new Uint8Array(b, 3);
    const { read, written } = new TextEncoder().encodeInto(text, bytes);
    return [read, written, new TextDecoder().decode(bytes)];
  }),
  typeName.map((t): Act => (b) => new Int8Array(8).fill(1).set.length + view(t, b).byteLength),
  typeName.map((t): Act => (b) => {
    const own = new Float64Array(32);
    own.set(view(t, b));
    return own;
  }),
);

const atomicType = fc.constantFrom<Type>(
  "Int8Array",
  "Uint8Array",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
);
const operands = fc.tuple(atomicType, index, value, value);
const atomic: fc.Arbitrary<Act> = fc.oneof(
  ...(["add", "sub", "and", "or", "xor", "exchange", "store"] as const).map((name) =>
    operands.map(([t, i, v]): Act => (b) => Atomics[name](view(t, b), i, v))
  ),
  operands.map(([t, i]): Act => (b) => Atomics.load(view(t, b), i)),
  operands.map(([t, i, v, w]): Act => (b) => Atomics.compareExchange(view(t, b), i, v, w)),
  operands.map(([t, i, v]): Act => (b) => {
    const array = view(t, b);
    return Atomics.compareExchange(array, i, array[i]!, v);
  }),
  operands.map(([t, i]): Act => (b) => Atomics.notify(view(t, b), i)),
  operands.map(([t, i, v]): Act => (b) => Atomics.wait(view(t, b), i, v, 0)),
);

Deno.test("plain accesses and methods of tracked views do what the native ones do", async () => {
  await fc.assert(fc.asyncProperty(fc.array(plain, { maxLength: 8 }), agrees), { numRuns: 300 });
});

Deno.test("simulated operations do what the native ones do, bad arguments included", async () => {
  const acts = fc.array(fc.oneof(atomic, plain), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(acts, agrees), { numRuns: 300 });
});

Deno.test("simulated operations on 64-bit words do what the native ones do", async () => {
  const big = fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n });
  const act = fc.tuple(fc.constantFrom("add", "sub", "xor", "exchange", "store"), big).map((
    [name, v],
  ): Act =>
  (b) => [
    String(Atomics[name as "add"](new BigInt64Array(b), 1, v)),
    String(Atomics.load(new BigUint64Array(b), 1)),
    String(Atomics.compareExchange(new BigInt64Array(b), 1, v, v + 1n)),
  ]);
  await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 5 }), agrees), { numRuns: 50 });
});

Deno.test("tracked views are instances of their classes, and views to the platform", async () => {
  await explore({
    setup: words,
    threads: {
      a(w) {
        assertInstanceOf(w, Int32Array);
        const bytes = new Uint8Array(w.buffer, 4, 8);
        assertInstanceOf(bytes, Uint8Array);
        assertEquals([bytes.length, bytes.byteOffset, bytes.BYTES_PER_ELEMENT], [8, 4, 1]);
        assertEquals(bytes.buffer === w.buffer, true);
        assertEquals(bytes.constructor.name, "Uint8Array");
        return Object.prototype.toString.call(w);
      },
    },
    check: (_, { a }) => assertEquals(a, "[object Int32Array]"),
  });
});

Deno.test("a thread sees what it read, however often it is run again", async () => {
  await explore({
    setup: words,
    threads: {
      reader(w) {
        const before = w[1];
        const slice = w.slice(1, 3);
        Atomics.load(w, 0);
        Atomics.load(w, 0);
        return [before, ...slice, before === w[1]].join();
      },
      writer: (w) => Atomics.load(w, 3),
    },
    check: (_, { reader }) => assertEquals(reader, "0,0,0,true"),
  });
});

Deno.test("a bulk copy is one access of all its bytes", async () => {
  const { failure } = await fails("data race", {
    setup: words,
    threads: { a: (w) => new Uint8Array(16).set(new Uint8Array(w.buffer)), b: (w) => w[3] = 1 },
  });
  assertEquals(failure.accesses?.map(({ access }) => access.match(/\d+ bytes/)?.[0]).sort(), [
    "16 bytes",
    "4 bytes",
  ]);
});
