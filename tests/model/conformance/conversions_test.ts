/**
 * Every function of `Atomics`, and every method that takes arguments, with every kind of argument:
 * natively and inside a simulated thread, the results and the memory are the same.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { explore } from "@busbar/busbar/model";

/** Arguments that the standard converts in different ways; made afresh for each call. */
const kinds: Readonly<Record<string, () => unknown>> = {
  "undefined": () => undefined,
  "null": () => null,
  "true": () => true,
  "-0": () => -0,
  "1": () => 1,
  "1.9": () => 1.9,
  "-0.5": () => -0.5,
  "-1": () => -1,
  "4": () => 4,
  "300": () => 300,
  "2 ** 32 + 1": () => 2 ** 32 + 1,
  "2 ** 53": () => 2 ** 53,
  "NaN": () => NaN,
  "Infinity": () => Infinity,
  "-Infinity": () => -Infinity,
  "1n": () => 1n,
  "-(2n ** 64n) - 1n": () => -(2n ** 64n) - 1n,
  "''": () => "",
  "'1'": () => "1",
  "'0x2'": () => "0x2",
  "'x'": () => "x",
  "[]": () => [],
  "[2]": () => [2],
  "{}": () => ({}),
  "valueOf 1": () => ({ valueOf: () => 1 }),
  "valueOf 2n": () => ({ valueOf: () => 2n }),
  "toString 3": () => ({ valueOf: undefined, toString: () => "3" }),
  "toPrimitive 1": () => ({ [Symbol.toPrimitive]: () => 1 }),
  "poison": () => ({
    valueOf() {
      throw new EvalError("poison");
    },
  }),
  "symbol": () => Symbol("s"),
  "function": () => () => 1,
};

type Call = (buffer: SharedArrayBuffer) => unknown;

const typeNames = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
].filter((name) => name in globalThis);

/** Looks the constructor up when it is called, as code under test does. */
const make = (type: string, ...args: unknown[]) =>
  new (globalThis as unknown as Record<string, new (...args: unknown[]) => object>)[type]!(...args);

const invoke = (target: object, name: string, args: readonly unknown[]) =>
  (Reflect.get(target, name) as (...args: unknown[]) => unknown).apply(target, [...args]);

/** A result as text, the kind of an error included. */
function outcome(call: Call, buffer: SharedArrayBuffer): string {
  try {
    const result = call(buffer);
    if (typeof result === "object" && result !== null) {
      if (ArrayBuffer.isView(result)) {
        const name = Object.prototype.toString.call(result);
        return `${name} ${result.byteOffset} ${result.byteLength}`;
      }
      return JSON.stringify(result);
    }
    return Object.is(result, -0) ? "-0" : `${typeof result} ${String(result)}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.name;
  }
}

function fresh(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(32);
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7;
  return buffer;
}

/** How many calls a thread makes between two operations, each of which replays those before. */
const CALLS_PER_OPERATION = 16;

/** Asserts that calls have the same outcomes, and leave the same bytes, in a thread. */
async function agree(calls: Readonly<Record<string, Call>>): Promise<void> {
  const run = (buffer: SharedArrayBuffer, operate: () => void) =>
    Object.keys(calls).map((name, i) => {
      if (i % CALLS_PER_OPERATION === 0) operate();
      return `${name}: ${outcome(calls[name]!, buffer)}`;
    });
  const native = fresh();
  const expected = run(native, () => {});
  let found: unknown;
  let bytes: number[] = [];
  await explore({
    setup: () => ({ buffer: fresh(), count: new Int32Array(new SharedArrayBuffer(4)) }),
    threads: { a: ({ buffer, count }) => run(buffer, () => void Atomics.add(count, 0, 1)) },
    check: ({ buffer }, { a }) => {
      found = a;
      bytes = [...new Uint8Array(buffer)];
    },
  });
  assertEquals(found, expected);
  assertEquals(bytes, [...new Uint8Array(native)]);
}

const names = Object.keys(kinds);
const values = (...chosen: string[]) => chosen.map((name) => kinds[name]!());

Deno.test("the functions of Atomics convert every argument as natively", async () => {
  const functions = ["load", "store", "add", "sub", "and", "or", "xor", "exchange"];
  for (const type of typeNames) {
    const own = type.startsWith("Big") ? "valueOf 2n" : "1.9";
    for (const name of [...functions, "compareExchange", "notify", "wait"]) {
      const calls: Record<string, Call> = {};
      const add = (...chosen: string[]) => {
        calls[`${name}(${type}, ${chosen})`] = (buffer) =>
          invoke(Atomics, name, [make(type, buffer), ...values(...chosen)]);
      };
      for (const kind of names) {
        if (name === "wait") {
          // A timeout of none, so that no call sleeps.
          add(kind, own, "-1");
          add("1", kind, "-1");
          add("1", own, kind === "undefined" ? "NaN" : kind);
        } else {
          add(kind, own, own);
          add("1", kind, own);
          if (name === "compareExchange") add("1", own, kind);
        }
      }
      // The words differ from what the waits expect, so that they return at once.
      await agree(calls);
    }
  }
});

Deno.test("the methods of typed arrays convert every argument as natively", async () => {
  const byPosition = ["at", "slice", "subarray", "includes", "indexOf", "lastIndexOf"];
  for (const type of typeNames) {
    const own = type.startsWith("Big") ? "1n" : "1";
    const calls: Record<string, Call> = {};
    const add = (name: string, ...chosen: string[]) => {
      calls[`${type}.${name}(${chosen})`] = (buffer) => {
        const result = invoke(make(type, buffer), name, values(...chosen));
        // Elements, to compare what was read.
        return ArrayBuffer.isView(result) ? `${outcome(() => result, buffer)} ${result}` : result;
      };
    };
    for (const kind of names) {
      for (const name of byPosition) {
        add(name, kind);
        add(name, own, kind);
      }
      add("fill", kind);
      add("fill", own, kind, "4");
      add("fill", own, "1", kind);
      add("copyWithin", kind, "1");
      add("copyWithin", "1", kind);
      add("copyWithin", "1", "-1", kind);
      add("with", kind, own);
      add("with", "1", kind);
      add("set", kind);
      add("set", "[2]", kind);
      add("join", kind);
      add("forEach", kind);
      add("map", kind);
      add("reduce", kind);
      add("sort", kind);
      add("toSorted", kind);
      for (const [verb, call] of elementCalls(type)) calls[`${verb} ${kind}`] = call(kind);
    }
    await agree(calls);
  }
});

/** Reads and writes of elements, by keys and with values of every kind. */
function elementCalls(type: string): [string, (kind: string) => Call][] {
  const key = (kind: string) => kinds[kind]!() as PropertyKey;
  return [
    [`${type}[key]`, (kind) => (buffer) => Reflect.get(make(type, buffer), key(kind))],
    [`key in ${type}`, (kind) => (buffer) => Reflect.has(make(type, buffer), key(kind))],
    [`${type}[1] =`, (kind) => (buffer) => Reflect.set(make(type, buffer), 1, kinds[kind]!())],
    [`${type}[99] =`, (kind) => (buffer) => Reflect.set(make(type, buffer), 99, kinds[kind]!())],
    [`new ${type}(, offset)`, (kind) => (buffer) => make(type, buffer, kinds[kind]!())],
    [`new ${type}(, 0, length)`, (kind) => (buffer) => make(type, buffer, 0, kinds[kind]!())],
    [
      `define 1 of ${type}`,
      (kind) => (buffer) =>
        Reflect.defineProperty(make(type, buffer), "1", { value: kinds[kind]!() }),
    ],
  ];
}

Deno.test("the methods of data views convert every argument as natively", async () => {
  const elements = ["Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Float16", "Float32"]
    .concat("Float64", "BigInt64", "BigUint64")
    .filter((name) => `get${name}` in DataView.prototype);
  for (const element of elements) {
    const own = element.startsWith("Big") ? "1n" : "1.9";
    const calls: Record<string, Call> = {};
    const add = (name: string, ...chosen: string[]) => {
      calls[`${name}(${chosen})`] = (buffer) =>
        invoke(make("DataView", buffer, 4), name, values(...chosen));
    };
    for (const kind of names) {
      add(`set${element}`, kind, own);
      add(`set${element}`, "1", kind);
      add(`set${element}`, "1", own, kind);
      add(`get${element}`, kind);
      add(`get${element}`, "1", kind);
      calls[`new DataView(, ${kind})`] = (buffer) => make("DataView", buffer, kinds[kind]!());
      calls[`new DataView(, 0, ${kind})`] = (buffer) => make("DataView", buffer, 0, kinds[kind]!());
    }
    await agree(calls);
  }
});

Deno.test("shared buffers convert every argument as natively", async () => {
  const calls: Record<string, Call> = {};
  for (const kind of names) {
    if (kind.startsWith("2 ** ")) continue; // more memory than there is
    calls[`new SharedArrayBuffer(${kind})`] = () =>
      (make("SharedArrayBuffer", kinds[kind]!()) as SharedArrayBuffer).byteLength;
    calls[`slice(${kind})`] = (buffer) =>
      [...new Uint8Array(invoke(buffer, "slice", values(kind)) as SharedArrayBuffer)].join();
    calls[`slice(1, ${kind})`] = (buffer) =>
      [...new Uint8Array(invoke(buffer, "slice", values("1", kind)) as SharedArrayBuffer)].join();
  }
  await agree(calls);
});
