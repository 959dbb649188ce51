/** What can be recorded, and what a specification may say: values, errors, promises, many calls. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { explore, record, type Specification, throws } from "@busbar/busbar/model";
import type { RecordedCall } from "../../model/history.ts";
import { findViolation } from "../../model/linearizability.ts";
import { fails, words } from "./failing.ts";

/** A history of one call after the other, without overlap. */
const inOrder = (...calls: [name: string, args: unknown[], result: unknown][]): RecordedCall[] =>
  calls.map(([name, args, result], i) => ({
    thread: "a",
    name,
    args,
    result,
    begin: 2 * i,
    end: 2 * i + 1,
  }));

const isLinearizable = <S>(history: readonly RecordedCall[], specification: Specification<S>) =>
  findViolation(history, specification) === undefined;

/** Whether one call may have this result, if the specification says that one. */
const accepts = (result: unknown, expected: unknown) =>
  isLinearizable(inOrder(["get", [], result]), {
    initial: undefined,
    apply: (state) => [state, expected],
  });

/** An increment of word 0 that may lose an update. */
const unguarded = (w: Int32Array) => {
  const before = Atomics.load(w, 0);
  Atomics.store(w, 0, before + 1);
  return before;
};

// --- values -----------------------------------------------------------------------------------

const put = (key: number, value: number) => (w: Int32Array) =>
  record("put", [key, value], () => {
    Atomics.store(w, key, value);
  });
const get = (key: number) => (w: Int32Array) => record("get", [key], () => Atomics.load(w, key));

Deno.test("maps and sets may be states, also nested ones", async () => {
  const threads = { a: put(0, 1), b: put(0, 2), c: put(1, 3), reader: get(0) };
  const map: Specification<ReadonlyMap<number, number>> = {
    initial: new Map(),
    apply: (state, name, [key, value]) =>
      name === "put"
        ? [new Map([...state, [key as number, value as number]]), undefined]
        : [state, state.get(key as number) ?? 0],
  };
  const set: Specification<{ readonly items: ReadonlySet<string> }> = {
    initial: { items: new Set() },
    apply({ items }, name, [key, value]) {
      if (name === "put") {
        const others = [...items].filter((item) => !item.startsWith(`${key}=`));
        return [{ items: new Set([...others, `${key}=${value}`]) }, undefined];
      }
      const item = [...items].find((item) => item.startsWith(`${key}=`));
      return [{ items }, Number(item?.slice(2) ?? 0)];
    },
  };
  for (const linearizable of [map, set]) {
    assert((await explore({ setup: words, threads, linearizable })).complete);
  }
});

Deno.test("states that differ inside a map are not taken for one another", () => {
  // Only the order b, a fits, and the states after both calls differ in the map alone.
  const history = [
    { thread: "a", name: "put", args: [1], result: undefined, begin: 0, end: 3 },
    { thread: "b", name: "put", args: [2], result: undefined, begin: 1, end: 2 },
    { thread: "a", name: "get", args: [], result: 1, begin: 4, end: 5 },
  ];
  const last = (state: { m: ReadonlyMap<string, unknown> }) => state.m.get("last");
  assert(isLinearizable(history, {
    initial: { m: new Map<string, unknown>() },
    apply: (state, name, [value]) =>
      name === "get" ? [state, last(state)] : [{ m: new Map([["last", value]]) }, undefined],
  }));
});

Deno.test("results are equal by their content", () => {
  const equal: [unknown, unknown][] = [
    [NaN, NaN],
    [-0, -0],
    [undefined, undefined],
    [5n, 5n],
    [Symbol.iterator, Symbol.iterator],
    [new Map([["a", new Set([1n])]]), new Map([["a", new Set([1n])]])],
    [new Map([[1, 2], [3, 4]]), new Map([[3, 4], [1, 2]])],
    [new Set([1, 2]), new Set([2, 1])],
    [{ a: 1, b: [2, { c: undefined }] }, { b: [2, { c: undefined }], a: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [new Date(7), new Date(7)],
    [/x/g, /x/g],
    [new RangeError("full"), new RangeError("full")],
  ];
  for (const [a, b] of equal) assert(accepts(a, b), Deno.inspect([a, b]));
  const different: [unknown, unknown][] = [
    [NaN, null],
    [-0, 0],
    [undefined, null],
    [5n, 5],
    ["5n", 5n],
    ["undefined", undefined],
    [[undefined], [null]],
    [[], [,]], // deno-lint-ignore no-sparse-arrays
    [new Map(), new Set()],
    [new Map(), {}],
    [new Map([[1, 2]]), new Map([[1, 3]])],
    [new Set([1]), new Set(["1"])],
    [{ a: undefined }, {}],
    [{ a: 1 }, [["a", 1]]],
    [new Uint8Array([1, 2]), new Int8Array([1, 2])],
    [new Date(7), new Date(8)],
    [new RangeError("full"), new RangeError("empty")],
  ];
  for (const [a, b] of different) assert(!accepts(a, b), Deno.inspect([a, b]));
});

Deno.test("a value that leads back to itself has a key, too", () => {
  const circle = () => {
    const node: Record<string, unknown> = { value: 1 };
    node.self = node;
    return node;
  };
  assert(accepts(circle(), circle()));
  assert(!accepts(circle(), { value: 1, self: { value: 1, self: 1 } }));
});

Deno.test("values without a content are refused by name, and the schedule stays", async () => {
  class Node {}
  const refused: [value: (w: Int32Array) => unknown, text: string][] = [
    [() => new Node(), "the result of get(), as it contains an instance of Node"],
    [() => [{ f: unguarded }], "a function (unguarded)"],
    [() => new WeakMap(), "an instance of WeakMap"],
    [(w) => w, "a view of shared memory (Int32Array)"],
    [(w) => new Map([[1, w.buffer]]), "an instance of SharedArrayBuffer"],
  ];
  for (const [value, text] of refused) {
    const { message, replay } = await fails("misuse", {
      setup: words,
      threads: {
        a: (w) =>
          record("get", [], () => {
            Atomics.load(w, 0);
            return value(w);
          }) && undefined,
      },
      linearizable: { initial: 0, apply: (state) => [state, 0] },
    });
    assertStringIncludes(message, text);
    assertEquals(replay, "a3");
  }
  const { message } = await fails("misuse", {
    setup: words,
    threads: { a: (w) => record("push", [1], () => Atomics.add(w, 0, 1)) },
    linearizable: { initial: {}, apply: () => [{ push() {} }, 0] },
  });
  assertStringIncludes(message, "the state after push(1), as it contains a function (push)");
});

Deno.test("results of 64 bits are recorded, and shown", async () => {
  const long = (w: Int32Array) => new BigInt64Array(w.buffer);
  const counter: Specification<bigint> = { initial: 0n, apply: (n) => [n + 1n, n] };
  const right = (w: Int32Array) => record("next", [1n], () => Atomics.add(long(w), 0, 1n));
  const wrong = (w: Int32Array) =>
    record("next", [1n], () => {
      const before = Atomics.load(long(w), 0);
      Atomics.store(long(w), 0, before + 1n);
      return before;
    });
  const model = { setup: words, linearizable: counter };
  assert((await explore({ ...model, threads: { a: right, b: right } })).complete);
  const { message } = await fails("not linearizable", {
    ...model,
    threads: { a: wrong, b: wrong },
  });
  assertStringIncludes(message, "a: next(1n) → 0n");
});

// --- errors -----------------------------------------------------------------------------------

/** Takes one of the items of word 0, of which there is one; throws if there is none. */
const take = (w: Int32Array) => {
  try {
    return record("take", [], () => {
      const left = Atomics.sub(w, 0, 1);
      if (left <= 0) throw new RangeError(`none is left, but ${left}`);
      return left;
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return "caught";
  }
};

const oneItem = () => words().fill(1, 0, 1);
const takes = { a: take, b: take };

Deno.test("a call that throws is recorded with its error, which a specification may expect", async () => {
  for (
    const expected of [throws(), throws(RangeError), throws(Error, "none is left"), throws(Error)]
  ) {
    const report = await explore({
      setup: oneItem,
      threads: takes,
      linearizable: {
        initial: 1,
        apply: (left: number) => left === 0 ? [left, expected] : [left - 1, left],
      },
      check: (_, { a, b }) => assertEquals([a, b].sort(), [1, "caught"]),
    });
    assert(report.complete);
  }
  for (const expected of [throws(TypeError), throws(RangeError, "full"), 0, undefined]) {
    const { message } = await fails("not linearizable", {
      setup: oneItem,
      threads: takes,
      linearizable: {
        initial: 1,
        apply: (left: number) => left === 0 ? [left, expected] : [left - 1, left],
      },
    });
    assertStringIncludes(message, "take() throws RangeError: none is left, but 0");
  }
});

Deno.test("a call that should throw and returns is not linearizable", async () => {
  await fails("not linearizable", {
    setup: words,
    threads: { a: (w) => record("take", [], () => Atomics.load(w, 0)) },
    linearizable: { initial: 0, apply: (state) => [state, throws()] },
  });
});

Deno.test("what is no error may be thrown, too", async () => {
  const threads = {
    a(w: Int32Array) {
      try {
        record("give up", [], () => {
          Atomics.load(w, 0);
          throw { code: 5 };
        });
      } catch (error) {
        assertEquals(error, { code: 5 });
      }
    },
  };
  const spec = (result: unknown): Specification<number> => ({
    initial: 0,
    apply: (state) => [state, result],
  });
  assert((await explore({ setup: words, threads, linearizable: spec(throws()) })).complete);
  const model = { setup: words, threads, linearizable: spec(throws(Error)) };
  assertStringIncludes(
    (await fails("not linearizable", model)).message,
    "give up() throws {code: 5}",
  );
});

Deno.test("an error that a recorded call throws through the thread is an exception", async () => {
  const { message } = await fails("exception", {
    setup: words,
    threads: {
      a: (w) =>
        record("fail", [], () => {
          Atomics.load(w, 0);
          throw new Error("thrown");
        }),
    },
    linearizable: { initial: 0, apply: (state) => [state, throws()] },
  });
  assertStringIncludes(message, "fail throws Error: thrown");
});

// --- specifications ---------------------------------------------------------------------------

Deno.test("a specification that throws, or is of no use, fails with the schedule", async () => {
  const wrong: [Specification<unknown>, text: string][] = [
    [
      {
        initial: [],
        apply() {
          throw new Error("no such call");
        },
      },
      "The specification threw at next(7) in state []: Error: no such call",
    ],
    [{ initial: 0, apply: () => 0 as never }, "must return [next state, result]"],
    [{ initial: 0, apply: () => Promise.resolve([0, 0]) as never }, "for next(7) a promise"],
    [
      {
        initial: new Map([["n", 0]]),
        apply(state) {
          const map = state as Map<string, number>;
          const before = map.get("n")!;
          map.set("n", before + 1);
          return [map, before];
        },
      },
      "modified a state that it was given, which now is Map {",
    ],
  ];
  for (const [linearizable, text] of wrong) {
    const next = (w: Int32Array) => record("next", [7], () => Atomics.add(w, 0, 1));
    const { message, replay, steps } = await fails("misuse", {
      setup: words,
      threads: { a: next, b: next },
      linearizable,
    });
    assertStringIncludes(message, text);
    assertEquals(steps.length, 6);
    assert(replay.length > 0);
  }
});

// --- calls inside calls, and promises ---------------------------------------------------------

Deno.test("calls inside a call are calls of their own", async () => {
  const threads = {
    a: (w: Int32Array) =>
      record("outer", [], () => {
        record("inner", [], () => Atomics.add(w, 0, 1));
        record("inner", [], () => Atomics.add(w, 0, 1));
        return "o";
      }),
  };
  const spec = (name: string): Specification<number> => ({
    initial: 0,
    apply: (state, called) => called === name ? [state, "o"] : [state + 1, state],
  });
  assert((await explore({ setup: words, threads, linearizable: spec("outer") })).complete);
  const { message } = await fails("not linearizable", {
    setup: words,
    threads,
    linearizable: spec("inner"),
  });
  assertStringIncludes(message, 'a: outer() → "o"  ├────┤');
  assertStringIncludes(message, "a: inner() → 0     ├┤");
  assertStringIncludes(message, "a: inner() → 1       ├┤");
});

Deno.test("a loop that waits may record its tries, also if it catches every error", async () => {
  const lockSpec: Specification<boolean> = {
    initial: false,
    apply: (isLocked, name) => name === "try" ? [true, isLocked ? 1 : 0] : [false, undefined],
  };
  const tryLock = (w: Int32Array) =>
    record("try", [], () => Atomics.compareExchange(w, 0, 0, 1)) === 0;
  const unlock = (w: Int32Array) => record("unlock", [], () => void Atomics.store(w, 0, 0));
  const bodies = [
    (w: Int32Array) => {
      while (!tryLock(w));
      unlock(w);
    },
    (w: Int32Array) => {
      while (!tryLock(w)) Atomics.pause();
      unlock(w);
    },
    (w: Int32Array) => {
      for (;;) {
        try {
          if (tryLock(w)) break;
        } catch {
          // Tries again.
        }
      }
      unlock(w);
    },
  ];
  for (const body of bodies) {
    const model = { setup: words, threads: { a: body, b: body }, linearizable: lockSpec };
    assert((await explore(model)).complete);
  }
});

/** Waits until word 1 is set. */
const opened = async (w: Int32Array) => {
  while (Atomics.load(w, 1) === 0) await Atomics.waitAsync(w, 1, 0).value;
};
const open = (w: Int32Array) => {
  Atomics.store(w, 1, 1);
  Atomics.notify(w, 1);
};

Deno.test("a call that returns a promise ends when that settles", async () => {
  const counter: Specification<number> = { initial: 0, apply: (n) => [n + 1, n] };
  const increment = (add: (w: Int32Array) => number) => (w: Int32Array) =>
    record("increment", [], async () => {
      await opened(w);
      return add(w);
    });
  const model = (add: (w: Int32Array) => number) => ({
    setup: words,
    threads: { a: increment(add), b: increment(add), opener: open },
    linearizable: counter,
  });
  assert((await explore(model((w) => Atomics.add(w, 0, 1)))).complete);
  const { message } = await fails("not linearizable", model(unguarded));
  assertStringIncludes(message, "increment() → 0");
});

Deno.test("recorded calls of two tasks of one thread may overlap", async () => {
  const write = (w: Int32Array, value: number, gate: number) =>
    record("write", [value], async () => {
      while (Atomics.load(w, gate) === 0) await Atomics.waitAsync(w, gate, 0).value;
      Atomics.store(w, 0, value);
    });
  const finals = new Set<number>();
  const report = await explore({
    setup: words,
    threads: {
      async tasks(w: Int32Array) {
        await Promise.all([write(w, 1, 2), write(w, 2, 3)]);
        return record("read", [], () => Atomics.load(w, 0));
      },
      first: (w: Int32Array) => {
        Atomics.store(w, 2, 1);
        Atomics.notify(w, 2);
      },
      second: (w: Int32Array) => {
        Atomics.store(w, 3, 1);
        Atomics.notify(w, 3);
      },
    },
    linearizable: {
      initial: 0,
      apply: (n: number, name, [value]) => name === "write" ? [value as number, undefined] : [n, n],
    },
    check: (_, { tasks }) => void finals.add(tasks),
  });
  assert(report.complete);
  assertEquals([...finals].sort(), [1, 2]);
});

Deno.test("a promise that rejects is a call that throws", async () => {
  const report = await explore({
    setup: words,
    threads: {
      async a(w: Int32Array) {
        const failed = record("fail", [], async () => {
          await opened(w);
          throw new RangeError("closed");
        });
        return await failed.catch((error) => (error as Error).message);
      },
      open,
    },
    linearizable: { initial: 0, apply: (state) => [state, throws(RangeError, "closed")] },
    check: (_, { a }) => assertEquals(a, "closed"),
  });
  assert(report.complete);
});

Deno.test("a call that has not ended may have taken effect, or not", () => {
  const open = { thread: "a", name: "increment", args: [], begin: 0, end: Infinity, result: 0 };
  const read = (result: number) => ({
    thread: "b",
    name: "read",
    args: [],
    begin: 1,
    end: 2,
    result,
  });
  const spec: Specification<number> = {
    initial: 0,
    apply: (n, name) => name === "read" ? [n, n] : [n + 1, "unknown"],
  };
  assertEquals([0, 1, 2].map((n) => isLinearizable([open, read(n)], spec)), [true, true, false]);
});

// --- messages ---------------------------------------------------------------------------------

Deno.test("what is not linearizable is shown with how far it fits, and what the specification says", async () => {
  const { message } = await fails("not linearizable", {
    setup: words,
    threads: {
      a: (w) => record("next", [], () => unguarded(w)),
      b: (w) => record("next", [], () => unguarded(w)),
    },
    linearizable: { initial: 0, apply: (n: number) => [n + 1, n] },
  });
  assertStringIncludes(
    message,
    "What fits is a: next() → 0. The next call cannot be b: next() → 0",
  );
  assertStringIncludes(message, "b: next() → 0 (specified: → 1).");
  const { message: first } = await fails("not linearizable", {
    setup: words,
    threads: { a: (w) => record("take", [], () => Atomics.load(w, 0)) },
    linearizable: { initial: 0, apply: (n) => [n, throws(RangeError, "empty")] },
  });
  assertStringIncludes(
    first,
    '\n\nThe next call cannot be a: take() → 0 (specified: throws RangeError with "empty").',
  );
});

Deno.test("of a long history, the part that does not fit is drawn", async () => {
  const { message } = await fails("not linearizable", {
    setup: words,
    threads: {
      a(w) {
        for (let i = 0; i < 200; i++) {
          record("next", [], () => {
            const n = Atomics.add(w, 0, 1);
            return n === 150 ? -1 : n;
          });
        }
      },
    },
    linearizable: { initial: 0, apply: (n: number) => [n + 1, n] },
  });
  const drawing = message.split("\n").filter((line) => /^(a: next|\.\.\.)/.test(line));
  assertEquals(drawing[0], "... 110 calls ...");
  assertEquals(drawing[61], "... 30 calls ...");
  assertEquals(drawing.length, 62);
  assertStringIncludes(message, "a: next() → -1 (specified: → 150)");
  assertStringIncludes(message, "What fits is 145 calls, then a: next() → 145, then");
});

// --- many calls -------------------------------------------------------------------------------

Deno.test("a history may have many calls", async () => {
  const many = (w: Int32Array) => {
    for (let i = 0; i < 40; i++) record("next", [], () => Atomics.add(w, 0, 1));
  };
  await explore({
    setup: words,
    threads: { a: many, b: many },
    linearizable: { initial: 0, apply: (n: number) => [n + 1, n] },
    strategy: "random",
    executions: 5,
  });
});

Deno.test("thousands of calls are checked, and a wrong one among them is found", () => {
  const calls = Array.from({ length: 4000 }, (_, i): RecordedCall => ({
    thread: `${i % 3}`,
    name: "next",
    args: [],
    result: i,
    begin: i,
    end: i + 2.5,
  }));
  const spec: Specification<number> = { initial: 0, apply: (n) => [n + 1, n] };
  assert(isLinearizable(calls, spec));
  calls[3000] = { ...calls[3000]!, result: -1 };
  assert(!isLinearizable(calls, spec));
});

Deno.test("what is recorded must have a name, arguments and a call", async () => {
  const { message } = await fails("exception", {
    setup: words,
    threads: { a: () => record("x", 5 as never, () => 0) },
  });
  assertStringIncludes(
    message,
    'an array of arguments and a function that makes the call, received "x", 5',
  );
});
