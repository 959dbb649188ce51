/**
 * Every way to shared memory is seen, or refused by name: constructors, subclasses, borrowed
 * methods, descriptors, clones, and arguments that are converted.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, type FailureKind, shareBuffer } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** What modules capture when they are loaded. */
const Captured = Int32Array;
const CapturedDataView = DataView;
const CapturedBuffer = SharedArrayBuffer;
const CapturedAtomics = Atomics;
const { load: capturedLoad } = Atomics;
class ModuleWords extends Int32Array<ArrayBufferLike> {
  bump(): void {
    this[0]!++;
  }
}
class ModuleBytes extends Uint8Array<ArrayBufferLike> {}

const shared = () => new SharedArrayBuffer(16);

/** Explores two threads that run the same body on a buffer of 16 bytes; it must fail so. */
async function bothFail(kind: FailureKind, body: (buffer: SharedArrayBuffer) => unknown) {
  const { message } = await fails(kind, { setup: shared, threads: { a: body, b: body } });
  return message;
}

/** Runs a body in the only thread, after one operation; returns its result as text. */
async function inThread<R>(body: (words: Int32Array) => R): Promise<R> {
  let result: unknown;
  await explore({
    setup: words,
    threads: {
      a(w) {
        Atomics.add(w, 3, 1);
        const value = body(w);
        Atomics.add(w, 3, 1);
        return value;
      },
    },
    check: (_, { a }) => {
      result = a;
    },
  });
  return result as R;
}

/** The name of the error that an action throws. */
function errorOf(action: () => unknown): string {
  try {
    action();
    return "none";
  } catch (error) {
    // The explorer suspends a thread by throwing: only errors are results.
    if (!(error instanceof Error)) throw error;
    return error.name;
  }
}

const NOT_GLOBAL = "by a constructor that is not the global one";

Deno.test("a view by a captured constructor, a subclass or Buffer is refused by name", async () => {
  for (
    const body of [
      (b: SharedArrayBuffer) => new ModuleWords(b).bump(),
      (b: SharedArrayBuffer) => new Captured(b)[0]!++,
      (b: SharedArrayBuffer) => new Captured(b, 4, 1)[0],
      (b: SharedArrayBuffer) => new ModuleBytes(b, 0, 4).fill(1),
      (b: SharedArrayBuffer) => new Captured(new Int32Array(b).buffer)[0],
      (b: SharedArrayBuffer) => Reflect.construct(Captured, [b]),
      (b: SharedArrayBuffer) => Buffer.from(b)[0],
      (b: SharedArrayBuffer) => Buffer.from(b, 4, 4).writeInt32LE(1),
    ]
  ) assertStringIncludes(await bothFail("misuse", body), NOT_GLOBAL);
});

Deno.test("a captured constructor is refused in setup and in check, too", async () => {
  const threads = { a: (b: SharedArrayBuffer) => Atomics.add(new Int32Array(b), 0, 1) };
  await assertRejects(
    () => explore({ setup: () => new Captured(new SharedArrayBuffer(8)), threads: { a() {} } }),
    Error,
    NOT_GLOBAL,
  );
  const { message } = await fails("assertion", {
    setup: shared,
    threads,
    check: (buffer) => assertEquals(new Captured(buffer)[0], 1),
  });
  assertStringIncludes(message, NOT_GLOBAL);
});

Deno.test("shared memory of another origin in the state is refused by name", async () => {
  const outside = new Int32Array(new CapturedBuffer(8));
  const mapped = new ArrayBuffer(8);
  const early = new Int32Array(mapped);
  for (
    const setup of [
      () => outside,
      () => ({ deep: [{ buffer: outside.buffer }] }),
      () => ({ words: new Int32Array(new CapturedBuffer(8)) }),
      () => ({ shared: shareBuffer(mapped), early }),
      () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer,
    ] as (() => unknown)[]
  ) {
    const run = () => explore({ setup, threads: { a() {} } });
    await assertRejects(run, Error, "whose accesses could not be seen");
  }
  const { message } = await fails("misuse", {
    setup: () => void shareBuffer(mapped),
    threads: { a: () => Atomics.load(early, 0) },
  });
  assertStringIncludes(message, "before its buffer was shared");
});

Deno.test("captured functions of the platform fail, and never pass unseen", async () => {
  const threads = { a: (w: Int32Array) => capturedLoad(w, 0) };
  assertStringIncludes(
    (await fails("exception", { setup: words, threads })).message,
    "captured before the exploration",
  );
  await bothFail("exception", (b) => new CapturedDataView(b).setInt8(0, 1));
  await bothFail("exception", (b) => borrowedFill.call(new Int32Array(b), 1));
});
const borrowedFill = Int32Array.prototype.fill;

Deno.test("the object Atomics may be captured, and views of a module's constructor on own memory", async () => {
  const { executions } = await explore({
    setup: words,
    threads: {
      a: (w) => CapturedAtomics.add(w, 0, new Captured([1])[0]!),
      b: (w) => CapturedAtomics.add(w, 0, Captured.from([1])[0]!),
    },
    check: (w) => assertEquals(w[0], 2),
  });
  assertEquals(executions, 2);
});

Deno.test("subclasses that a body defines are subclasses, and their accesses are seen", async () => {
  const count = (buffer: SharedArrayBuffer) => {
    class Counter extends Int32Array<ArrayBufferLike> {
      readonly #step = 1;
      get head(): number {
        return Atomics.load(this, 0);
      }
      bump(): void {
        Atomics.store(this, 0, this.head + this.#step);
      }
      override get length(): number {
        return super.length - 1;
      }
    }
    const counter = new Counter(buffer);
    assertInstanceOf(counter, Counter);
    counter.bump();
    return [
      counter.length,
      counter.subarray(1) instanceof Counter,
      counter.constructor === Counter,
    ];
  };
  const { message, steps } = await fails("assertion", {
    setup: shared,
    threads: { a: count, b: count },
    check: (b, { a }) => {
      assertEquals(a, [3, true, true]);
      assertEquals(Atomics.load(new Int32Array(b), 0), 2);
    },
  });
  assertStringIncludes(message, "1 !== 2");
  // The getter, the method that reads it, and the body: nothing of the explorer between them.
  assertEquals(steps[0]!.lines.length, 3, steps[0]!.lines.join("\n"));
  await bothFail("data race", (b) => {
    class Plain extends Uint8Array<ArrayBufferLike> {
      write = () => this[0] = 1;
    }
    new Plain(b, 1).write();
  });
  await bothFail("data race", (b) => {
    const Base = DataView as unknown as new (buffer: SharedArrayBuffer) => DataView;
    class Fields extends Base {
      get first(): number {
        return this.getInt32(0);
      }
      override setInt32(at: number, value: number): void {
        super.setInt32(at, value + this.first);
      }
    }
    new Fields(b).setInt32(0, 1);
  });
});

Deno.test("a subclass of SharedArrayBuffer is one, and its memory is part of the model", async () => {
  const result = await inThread(() => {
    class Block extends SharedArrayBuffer {
      readonly #words = 2;
      get words(): number {
        return this.#words + this.byteLength;
      }
    }
    const block = new Block(8);
    const view = new Int32Array(block);
    Atomics.add(view, 0, 5);
    return [block.words, block instanceof Block, view.buffer === block, Atomics.load(view, 0)];
  });
  assertEquals(result, [10, true, true, 5]);
});

Deno.test("a constructor that code finds through an object is the tracking one", async () => {
  await bothFail("data race", (b) => {
    const w = new Int32Array(b) as Int32Array & { constructor: Int32ArrayConstructor };
    new w.constructor(w.buffer)[0] = 1;
  });
  await bothFail("data race", (b) => {
    const { constructor } = Uint16Array.prototype as unknown as {
      constructor: Uint16ArrayConstructor;
    };
    new constructor(b, 2)[0] = 1;
  });
  await bothFail("data race", (b) => {
    const species = (Int8Array as unknown as Record<symbol, Int8ArrayConstructor>)[Symbol.species]!;
    new species(b)[3] = 1;
  });
  const same = await inThread((w) => [
    w.constructor === Int32Array,
    new Float64Array(1).constructor === Float64Array,
    w.buffer.constructor === SharedArrayBuffer,
    Object.getPrototypeOf(w) === Int32Array.prototype,
  ]);
  assertEquals(same, [true, true, true, true]);
});

Deno.test("descriptors and slices of the buffer are accesses", async () => {
  await bothFail("data race", (b) => {
    Object.defineProperty(new Int32Array(b), 0, { value: 1 });
  });
  await bothFail("data race", (b) => {
    const w = new Int32Array(b);
    w[0] = Object.getOwnPropertyDescriptor(w, "1")!.value;
    w[1] = 1;
  });
  await bothFail("data race", (b) => {
    Reflect.set(new Int32Array(b), "0", 1);
  });
  await bothFail("data race", (b) => {
    b.slice(0);
    new Int32Array(b)[2] = 1;
  });
  const sliced = await inThread((w) => {
    w[1] = 7;
    const part = new Int32Array(w.buffer.slice(4, -4));
    part[1] = 1;
    return [...part, w[2], Object.keys(Object.getOwnPropertyDescriptors(w)).length];
  });
  assertEquals(sliced, [7, 1, 0, 4]);
});

Deno.test("callbacks and iterators work on the live memory, element by element", async () => {
  const result = await inThread((w) => {
    w.forEach((_, i, all) => {
      if (i < 3) all[i] = i + 1;
    });
    const seen: number[] = [];
    for (const value of w) {
      seen.push(value);
      w[2] = 9;
    }
    const doubled = w.map((value, i, all) => {
      all[2] = 1;
      return value * 2 + i;
    });
    const isSelf = w.some((_, __, all) => all === w);
    const reduced = w.reduce((sum, value, i, all) => sum + value + i + (all === w ? 100 : 0), 0);
    return [...seen.slice(0, 3), ...doubled.slice(0, 3), isSelf, reduced > 400];
  });
  assertEquals(result, [1, 2, 9, 2, 5, 4, true, true]);
});

Deno.test("a method that stops early does not read on", async () => {
  for (
    const first of [
      (w: Int32Array) => w.at(0),
      (w: Int32Array) => {
        const [value] = w;
        return value;
      },
      (w: Int32Array) => {
        for (const value of w) return value;
      },
      (w: Int32Array) => w.indexOf(0),
      (w: Int32Array) => w.includes(0),
      (w: Int32Array) => w.find(() => true),
      (w: Int32Array) => w.findIndex(() => true),
      (w: Int32Array) => w.some(() => true),
      (w: Int32Array) => w.every(() => false),
      (w: Int32Array) => w.entries().next(),
      (w: Int32Array) => [w.keys().next(), w[0]],
      (w: Int32Array) => w.subarray(0, 1).join(),
      (w: Int32Array) => w.slice(0, 1),
    ]
  ) {
    const other = (w: Int32Array) => {
      w[1] = 1;
      w[3] = 1;
    };
    const { executions } = await explore({ setup: words, threads: { first, other } });
    assertEquals(executions, 1);
  }
  for (
    const last of [
      (w: Int32Array) => w.at(-1),
      (w: Int32Array) => w.findLast(() => true),
      (w: Int32Array) => w.lastIndexOf(0),
      (w: Int32Array) => w.subarray(1).reverse(),
    ]
  ) {
    const first = (w: Int32Array) => w[0] = 1;
    const middle = (w: Int32Array) => w[2] = 1;
    await explore({ setup: words, threads: { last, first, middle } });
  }
});

Deno.test("indices that are converted are scheduled, once", async () => {
  const add = (w: Int32Array) => {
    for (const i in [0, 1]) Atomics.add(w, i as unknown as number, 1);
  };
  const { executions } = await explore({
    setup: words,
    threads: { a: add, b: add },
    check: (w) => assertEquals([...w], [2, 2, 0, 0]),
  });
  assertEquals(executions, 4);
  const loose = Atomics as unknown as Record<string, (...args: unknown[]) => number>;
  const result = await inThread((w) => [
    loose.add!(w, undefined, 7),
    loose.load!(w, 0),
    loose.exchange!(w, 1.9, 3),
    loose.compareExchange!(w, { valueOf: () => 1 }, "3", [4]),
    loose.load!(w, true),
    loose.sub!(w, -0.5, "0x2"),
    loose.load!(w, NaN),
    errorOf(() => loose.load!(w, -1)),
    errorOf(() => loose.load!(w, 4)),
    errorOf(() => loose.load!(w, 1n)),
  ]);
  assertEquals(result, [0, 7, 0, 3, 4, 7, 5, "RangeError", "RangeError", "TypeError"]);
  await fails("data race", {
    setup: words,
    threads: {
      a: (w) => w.set([1], "1" as unknown as number),
      b: (w) => w.set([1], 1.5),
    },
  });
  await fails("data race", {
    setup: shared,
    threads: {
      a: (b) => new DataView(b).setInt8("3" as unknown as number, 1),
      b: (b) => new Int8Array(b)[3] = 1,
    },
  });
});

Deno.test("a wait at an index that is converted sleeps in the model, and not in the process", async () => {
  const results = new Set<unknown>();
  const began = performance.now();
  for (const index of ["0", undefined, { valueOf: () => 0 }]) {
    await explore({
      setup: words,
      threads: {
        a: (w) => Atomics.wait(w, index as number, 0, 60_000),
        b: (w) => Atomics.notify(w, index as number),
      },
      check: (_, { a, b }) => void results.add(`${a} ${b}`),
    });
  }
  assertEquals([...results].sort(), ["ok 1", "timed-out 0"]);
  assertEquals(performance.now() - began < 10_000, true);
  const { executions } = await explore({
    setup: words,
    threads: {
      async a(w) {
        const { value } = Atomics.waitAsync(w, "0" as unknown as number, 0);
        return await value;
      },
      b(w) {
        Atomics.store(w, 0, 1);
        return Atomics.notify(w, "0" as unknown as number);
      },
    },
  });
  assertEquals(executions > 1, true);
});

Deno.test("operands are converted as the engine does: BigInt against number, and objects", async () => {
  const loose = Atomics as unknown as Record<string, (...args: unknown[]) => unknown>;
  const result = await inThread((w) => {
    const big = new BigInt64Array(w.buffer);
    return [
      errorOf(() => loose.store!(w, 0, 5n)),
      errorOf(() => loose.add!(big, 0, 5)),
      errorOf(() => loose.exchange!(big, 0, NaN)),
      errorOf(() => loose.compareExchange!(big, 0, 1n, 1.9)),
      errorOf(() => loose.notify!(w, 0, 1n)),
      errorOf(() => loose.wait!(w, 0, 1n)),
      errorOf(() => loose.wait!(w, 0, 5, Symbol())),
      loose.store!(w, 0, { valueOf: () => 2.5 }),
      loose.store!(w, 1, "-0"),
      String(loose.store!(big, 1, true)),
      loose.load!(w, 0),
      errorOf(() => loose.store!(big, 0, null)),
      errorOf(() => loose.store!(big, 0, "1.5")),
      loose.wait!(w, 0, "3", { valueOf: () => 0 }),
    ].join();
  });
  assertEquals(
    result,
    "TypeError,TypeError,TypeError,TypeError,TypeError,TypeError,TypeError,2,0,1,2,TypeError," +
      "SyntaxError,not-equal",
  );
});

Deno.test("what throws at its conversion throws at each replay, and is no access", async () => {
  const result = await inThread((w) => {
    const loose = w as unknown as Record<number, unknown> & { fill(value: unknown): void };
    const view = new DataView(w.buffer);
    const found = [
      errorOf(() => Atomics.add(w, 0, Symbol() as unknown as number)),
      errorOf(() => loose[0] = 1n),
      errorOf(() => loose.fill(1n)),
      errorOf(() => w.set([1n] as unknown as number[])),
      errorOf(() => view.setInt32(0, 1n as unknown as number)),
      errorOf(() => view.setInt32(13, 1)),
      errorOf(() => view.getBigInt64(-1)),
      errorOf(() => new Int32Array(w.buffer, 3)),
      errorOf(() => new Int32Array(w.buffer, 0, 5)),
      errorOf(() => new DataView(w.buffer, 17)),
      errorOf(() => new SharedArrayBuffer(-1)),
      errorOf(() => Atomics.pause("x" as unknown as number)),
      errorOf(() => w.with(9, 1)),
      errorOf(() => w.set([1, 2], 3)),
      errorOf(() => Atomics.add(w, 0, poisoned as unknown as number)),
    ];
    Atomics.add(w, 1, 1);
    return [...found, Atomics.add(w, 1, 1)];
  });
  assertEquals(result, [
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "TypeError",
    "RangeError",
    "RangeError",
    "RangeError",
    "RangeError",
    "RangeError",
    "RangeError",
    "TypeError",
    "RangeError",
    "RangeError",
    "EvalError",
    1,
  ]);
});
const poisoned = {
  valueOf() {
    throw new EvalError("poisoned");
  },
};

Deno.test("a conversion may use shared memory itself", async () => {
  const { executions } = await explore({
    setup: words,
    threads: {
      a(w) {
        const index = { valueOf: () => Atomics.load(w, 3) };
        const value = { valueOf: () => Atomics.add(w, 3, 1) + 10 };
        return Atomics.add(w, index as unknown as number, value as unknown as number);
      },
      b: (w) => Atomics.store(w, 3, 1),
    },
    check: (w) =>
      assertEquals([[10, 0], [11, 0], [0, 11]].some(([x, y]) => w[0] === x && w[1] === y), true),
  });
  assertEquals(executions, 3);
});

Deno.test("Atomics refuses arrays of floats and clamped bytes", async () => {
  const types = ["Float16Array", "Float32Array", "Float64Array", "Uint8ClampedArray"] as const;
  const result = await inThread((w) =>
    types.map((name) => {
      const type = (globalThis as unknown as Record<string, Int32ArrayConstructor>)[name];
      return type === undefined
        ? "TypeError"
        : errorOf(() => Atomics.add(new type(w.buffer), 0, 1));
    })
  );
  assertEquals(result, types.map(() => "TypeError"));
  const others = await inThread((w) => [
    errorOf(() => Atomics.wait(new Uint32Array(w.buffer) as unknown as Int32Array, 0, 0)),
    errorOf(() => Atomics.load(new DataView(w.buffer) as unknown as Int32Array, 0)),
    errorOf(() => Atomics.load([0] as unknown as Int32Array, 0)),
  ]);
  assertEquals(others, ["TypeError", "TypeError", "TypeError"]);
});

Deno.test("growable and resizable memory is refused by name", async () => {
  const growable = () => new SharedArrayBuffer(8, { maxByteLength: 64 });
  await assertRejects(() => explore({ setup: growable, threads: { a() {} } }), Error, "growable");
  const { message } = await fails("misuse", {
    setup: words,
    threads: {
      a: (w) => Atomics.load(w, 0) + new Int32Array(growable()).length,
    },
  });
  assertStringIncludes(message, "maxByteLength");
  await assertRejects(
    () =>
      explore({
        setup: () => shareBuffer(new ArrayBuffer(8, { maxByteLength: 64 })),
        threads: { a() {} },
      }),
    TypeError,
    "resizable",
  );
});

Deno.test("tracked views are views: isView, borrowed methods and getters, clones", async () => {
  const result = await inThread((w) => {
    const prototype = Object.getPrototypeOf(Int32Array.prototype);
    const getter = (key: PropertyKey) => Object.getOwnPropertyDescriptor(prototype, key)!.get!;
    Int32Array.prototype.fill.call(w, 5, 0, 2);
    const copy = structuredClone(w);
    copy[1] = 6;
    const view = new DataView(w.buffer, 4);
    return [
      ArrayBuffer.isView(w),
      ArrayBuffer.isView(view),
      ArrayBuffer.isView(w.buffer),
      Uint8Array.prototype.slice.call(w, 0, 2).join(),
      prototype.at.call(w, 1),
      [...prototype.subarray.call(w, 1, 2)].join(),
      [...prototype[Symbol.iterator].call(w)].length,
      getter("length").call(w),
      getter("byteLength").call(w),
      getter(Symbol.toStringTag).call(w),
      getter("buffer").call(w) === w.buffer,
      Object.prototype.toString.call(w),
      DataView.prototype.getInt32.call(view, 0, true),
      copy.buffer === w.buffer,
      errorOf(() => new Blob([w] as unknown as BlobPart[])),
      [...Array.from(w), ...Int32Array.from(w)].length,
      JSON.stringify(Object.entries(w.subarray(0, 1))),
    ];
  });
  assertEquals(result, [
    true,
    true,
    false,
    "5,6",
    6,
    "6",
    4,
    4,
    16,
    "Int32Array",
    true,
    "[object Int32Array]",
    6,
    true,
    "TypeError",
    8,
    '[["0",5]]',
  ]);
  const { message } = await fails("misuse", {
    setup: words,
    threads: { a: (w) => structuredClone({ deep: [w] }) },
  });
  assertStringIncludes(message, "clones an object that holds shared memory");
});

Deno.test("the classes of the platform are restored, and are the same in each exploration", async () => {
  const { getOwnPropertyDescriptors } = Object;
  const prototype = Object.getPrototypeOf(Int32Array.prototype);
  const of = (object: object) => getOwnPropertyDescriptors(object);
  const objects = [
    Atomics,
    prototype,
    Int32Array.prototype,
    DataView.prototype,
    SharedArrayBuffer.prototype,
    ArrayBuffer,
    Object,
    Reflect,
  ];
  const before = objects.map(of);
  await inThread((w) => {
    class Special extends Int32Array<ArrayBufferLike> {}
    return new Special(w.buffer).length;
  });
  objects.forEach((object, i) => {
    for (const key of Reflect.ownKeys(before[i]!)) {
      const now = Object.getOwnPropertyDescriptor(object, key)!;
      const then = Reflect.get(before[i]!, key) as PropertyDescriptor;
      assertEquals(
        [now.value === then.value, now.get === then.get, now.enumerable, now.writable],
        [true, true, then.enumerable, then.writable],
        String(key),
      );
    }
    assertEquals(Reflect.ownKeys(object), Reflect.ownKeys(before[i]!));
  });
});

Deno.test("a view with properties of its own is the thread's, and a new one in each replay", async () => {
  const result = await inThread((w) => {
    const mine = new Int32Array(w.buffer) as Int32Array & { visits?: number };
    mine.visits = (mine.visits ?? 0) + 1;
    Atomics.add(mine, 0, 1);
    Atomics.add(mine, 0, 1);
    return [mine.visits, mine.length, mine.byteLength, mine.fill === w.fill];
  });
  assertEquals(result, [1, 4, 16, true]);
  const { message } = await fails("misuse", {
    setup: words,
    threads: { a: (w) => Object.assign(w, { name: "mine" }) },
  });
  assertStringIncludes(message, "threads share memory, and no views");
});

Deno.test("timers and events of other code do not run among the turns of an asynchronous body", async () => {
  const seen: boolean[] = [];
  const native = globalThis.SharedArrayBuffer;
  const timer = setInterval(() => {
    seen.push(globalThis.SharedArrayBuffer === native);
  }, 0);
  const body = async (w: Int32Array) => {
    for (let i = 0; i < 2; i++) {
      Atomics.add(w, 0, 1);
      await null;
      await Atomics.waitAsync(w, 1, 1).value;
    }
  };
  await explore({ setup: words, threads: { a: body, b: body } });
  clearInterval(timer);
  assertEquals(seen.every((isNative) => isNative), true);
});
