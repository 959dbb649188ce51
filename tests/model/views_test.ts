/**
 * Tracked views and simulated operations against the native ones: one thread gets the same results
 * from both.
 *
 * @module
 */

import { assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { explore } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** An action on views of one buffer; its results are compared. */
type Action = (buffer: SharedArrayBuffer) => unknown;

/** Runs actions on native memory, then in a simulated thread with an operation after each. */
async function agrees(actions: readonly Action[]): Promise<void> {
  const perform = (buffer: SharedArrayBuffer, after: () => void) =>
    actions.map((action) => {
      let result: unknown;
      try {
        result = action(buffer);
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
    threads: {
      a({ buffer, clock }) {
        Atomics.load(clock, 0); // there may be no actions
        return perform(buffer, () => Atomics.add(clock, 0, 1));
      },
    },
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
/** The constructors must be looked up when the action runs. */
const typeName = fc.constantFrom(...Object.keys(types) as Type[]);
const view = (type: Type, buffer: SharedArrayBuffer) =>
  new (globalThis[type] as Int32ArrayConstructor)(buffer);

const plain: fc.Arbitrary<Action> = fc.oneof(
  fc.tuple(typeName, index, value).map(([t, i, v]): Action => (b) => view(t, b)[i] = v),
  fc.tuple(typeName, index).map(([t, i]): Action => (b) => view(t, b)[i]),
  fc.tuple(typeName, index, index, value).map(([t, i, j, v]): Action => (b) => {
    const array = view(t, b);
    return array.fill(v, i, j) === array;
  }),
  fc.tuple(typeName, index, index, index).map(([t, i, j, k]): Action => (b) => {
    const array = view(t, b);
    return array.copyWithin(i, j, k) === array;
  }),
  fc.tuple(typeName, fc.array(value, { maxLength: 5 }), index).map(([t, v, i]): Action => (b) =>
    view(t, b).set(v, i)
  ),
  fc.tuple(typeName, index, index).map(([t, i, j]): Action => (b) => view(t, b).slice(i, j)),
  fc.tuple(typeName, index, index).map(([t, i, j]): Action => (b) => {
    const part = view(t, b).subarray(i, j);
    return [part.length, part.byteOffset, ...part];
  }),
  fc.tuple(typeName, typeName, index).map(([t, u, i]): Action => (b) =>
    view(t, b).subarray(0, 2).set(view(u, b).subarray(2, 4), Math.abs(i % 2))
  ),
  typeName.map((t): Action => (b) => view(t, b).toSorted()),
  typeName.map((t): Action => (b) => {
    const array = view(t, b);
    return array.reverse() === array;
  }),
  typeName.map((t): Action => (b) => new Uint8Array(view(t, b))),
  typeName.map((t): Action => (b) => [...view(t, b).entries()].map(([i, v]) => i * Number(v))),
  typeName.map((t): Action => (b) => view(t, b).map((v) => Number(v) + 1)),
  fc.tuple(typeName, value).map(([t, v]): Action => (b) => view(t, b).indexOf(v)),
  fc.tuple(index, value, fc.boolean()).map(([i, v, e]): Action => (b) => {
    const data = new DataView(b, 4);
    data.setInt16(i, v, e);
    return [data.getUint16(i, !e), data.getFloat64(8, e), data.byteLength];
  }),
  fc.string({ maxLength: 12 }).map((text): Action => (b) => {
    const bytes = new Uint8Array(b, 3);
    const { read, written } = new TextEncoder().encodeInto(text, bytes);
    return [read, written, new TextDecoder().decode(bytes)];
  }),
  typeName.map((t): Action => (b) => new Int8Array(8).fill(1).set.length + view(t, b).byteLength),
  typeName.map((t): Action => (b) => {
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
const atomic: fc.Arbitrary<Action> = fc.oneof(
  ...(["add", "sub", "and", "or", "xor", "exchange", "store"] as const).map((name) =>
    operands.map(([t, i, v]): Action => (b) => Atomics[name](view(t, b), i, v))
  ),
  operands.map(([t, i]): Action => (b) => Atomics.load(view(t, b), i)),
  operands.map(([t, i, v, w]): Action => (b) => Atomics.compareExchange(view(t, b), i, v, w)),
  operands.map(([t, i, v]): Action => (b) => {
    const array = view(t, b);
    return Atomics.compareExchange(array, i, array[i]!, v);
  }),
  operands.map(([t, i]): Action => (b) => Atomics.notify(view(t, b), i)),
  operands.map(([t, i, v]): Action => (b) => Atomics.wait(view(t, b), i, v, 0)),
);

Deno.test("plain accesses and methods of tracked views give the results of the native ones", async () => {
  await fc.assert(fc.asyncProperty(fc.array(plain, { maxLength: 8 }), agrees), { numRuns: 300 });
});

Deno.test("simulated operations give the results of the native ones, bad arguments included", async () => {
  const actions = fc.array(fc.oneof(atomic, plain), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(actions, agrees), { numRuns: 300 });
});

Deno.test("simulated operations on 64-bit words give the results of the native ones", async () => {
  const big = fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n });
  const action = fc.tuple(fc.constantFrom("add", "sub", "xor", "exchange", "store"), big).map((
    [name, v],
  ): Action =>
  (b) => [
    String(Atomics[name as "add"](new BigInt64Array(b), 1, v)),
    String(Atomics.load(new BigUint64Array(b), 1)),
    String(Atomics.compareExchange(new BigInt64Array(b), 1, v, v + 1n)),
  ]);
  await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 5 }), agrees), { numRuns: 50 });
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
        bytes[0] = 1;
        return Object.prototype.toString.call(w);
      },
    },
    check: (_, { a }) => assertEquals(a, "[object Int32Array]"),
  });
});

Deno.test("a thread sees the same values however many times it is replayed", async () => {
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
