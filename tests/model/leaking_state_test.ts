import { assertEquals, assertStringIncludes } from "@std/assert";
import { explore, record } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

// --- state that survives a run ------------------------------------------------------------------

Deno.test("a variable that counts the runs of a body is found, even if it decides seldom", async () => {
  let runs = 0;
  const { message } = await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.load(w, 1);
        if (runs++ % 7 === 6) Atomics.store(w, 0, 1);
      },
    },
  });
  assertStringIncludes(message, "its step 2 was its end at first, and is now store of state[0]");
});

Deno.test("a variable that one thread sets and another reads is found", async () => {
  let isSet = false;
  await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.store(w, 0, 1);
        isSet = true;
      },
      b: (w) => Atomics.load(w, isSet ? 1 : 2),
    },
  });
});

Deno.test("state that changes only the result, or the arguments of a recorded call, is found", async () => {
  let total = 0;
  const { message } = await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.load(w, 0);
        return { total: ++total };
      },
    },
  });
  assertStringIncludes(message, "result");
  let calls = 0;
  await fails("nondeterminism", {
    setup: words,
    threads: { a: (w) => record("add", [calls++], () => Atomics.add(w, 0, 1)) },
  });
});

Deno.test("state of an asynchronous body is found", async () => {
  let runs = 0;
  await fails("nondeterminism", {
    setup: words,
    threads: {
      async a(w) {
        await Atomics.waitAsync(w, 0, 0, 10).value;
        Atomics.load(w, runs++ % 5 === 4 ? 1 : 2);
      },
    },
  });
});

Deno.test("state in private fields of what setup returns is found", async () => {
  class Counter {
    #count = 0;
    next() {
      return ++this.#count;
    }
  }
  await fails("nondeterminism", {
    setup: () => ({ w: words(), counter: new Counter() }),
    threads: {
      a: ({ w, counter }) => Atomics.store(w, 0, counter.next()),
      b: ({ w }) => Atomics.load(w, 0),
    },
  });
});

Deno.test("state of threads that do not depend on each other is found at the end", async () => {
  let count = 0;
  await fails("nondeterminism", {
    setup: words,
    threads: {
      a(w) {
        Atomics.load(w, 0);
        count++;
      },
      b(w) {
        Atomics.load(w, 1);
        return count;
      },
    },
  });
});

Deno.test("a body that caches what does not change its calls passes", async () => {
  const cache = new Map<number, string>();
  const report = await explore({
    setup: words,
    threads: {
      a(w) {
        const seen = Atomics.add(w, 0, 1);
        if (!cache.has(seen)) cache.set(seen, `#${seen}`);
        return { name: cache.get(seen), big: 1n, self: w };
      },
      b: (w) => Atomics.add(w, 0, 1),
    },
  });
  assertEquals(report.complete, true);
});

/** An object that hides what its methods leave in it. */
class Registry {
  readonly words: Int32Array;
  readonly #entries = new Map<string, number>();

  constructor(words: Int32Array) {
    this.words = words;
  }

  set(key: string, value: number) {
    this.#entries.set(key, value);
  }

  get(key: string) {
    return this.#entries.get(key);
  }
}

Deno.test("private state that a thread leaves for another is found, if it is the same each time", async () => {
  const setup = () => ({ registry: new Registry(words()) });
  type State = ReturnType<typeof setup>;
  for (
    const get of [
      ({ registry }: State) =>
        Atomics.load(registry.words, 0) === 1 ? registry.get("x") : undefined,
      async ({ registry }: State) => {
        await Promise.resolve();
        return Atomics.load(registry.words, 0) === 1 ? registry.get("x") : undefined;
      },
    ]
  ) {
    const { message } = await fails("nondeterminism", {
      setup,
      threads: {
        a({ registry }) {
          registry.set("x", 1);
          Atomics.store(registry.words, 0, 1);
        },
        b: get,
      },
    });
    assertStringIncludes(message, "objects of its own");
  }
});

Deno.test("objects that differ from call to call of setup are not compared", async () => {
  let next = 0;
  class Member {
    readonly id = next++;
    readonly words: Int32Array;
    constructor(words: Int32Array) {
      this.words = words;
    }
  }
  const join = ({ words, id }: Member) => Atomics.store(words, 0, id + 1);
  const report = await explore({
    setup: () => new Member(words()),
    threads: { a: join, b: join },
  });
  assertEquals(report.complete, true);
});

Deno.test("what setup writes when it runs again does not reach the model", async () => {
  class Counter {
    readonly words = words();
    constructor() {
      Atomics.store(this.words, 0, 5);
      this.words[1] = 6;
    }
  }
  let setups = 0;
  const report = await explore({
    setup: () => (setups++, { counter: new Counter() }),
    threads: {
      a: ({ counter }) => Atomics.add(counter.words, 0, 1),
      b: ({ counter }) => Atomics.add(counter.words, 0, 1),
    },
    check: ({ counter }) => assertEquals([...counter.words], [7, 6, 0, 0]),
  });
  assertEquals([report.complete, setups > 1], [true, true]);
});
