import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, shareBuffer } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

// --- what threads may have ----------------------------------------------------------------------

/** A lock as users write it: an object of a class that has only a view, and numbers. */
class Lock {
  readonly word: Int32Array;
  readonly #index = 0;

  constructor(word: Int32Array) {
    this.word = word;
  }

  acquire() {
    while (Atomics.compareExchange(this.word, this.#index, 0, 1) !== 0) {
      Atomics.wait(this.word, this.#index, 1);
    }
  }

  release() {
    Atomics.store(this.word, this.#index, 0);
    Atomics.notify(this.word, this.#index, 1);
  }
}

Deno.test("an object of a class whose fields are views and numbers works in every thread", async () => {
  const increment = ({ lock, w }: { lock: Lock; w: Int32Array }) => {
    lock.acquire();
    w[0]!++;
    lock.release();
  };
  const report = await explore({
    setup: () => ({ lock: new Lock(words()), w: words() }),
    threads: { a: increment, b: increment },
    check: ({ w }) => assertEquals(w[0], 2),
  });
  assertEquals(report.complete, true);
});

Deno.test("views and buffers are the same for all threads, in maps and sets, too", async () => {
  const report = await explore({
    setup() {
      const w = words();
      const mapped = shareBuffer(new ArrayBuffer(8));
      const bytes = new Uint8Array(mapped);
      return { w, buffers: new Map([["w", w.buffer]]), views: new Set([w]), mapped: { bytes } };
    },
    threads: {
      a({ w, buffers, views, mapped }) {
        const again = new Int32Array(buffers.get("w")!);
        Atomics.add(again, 1, 1);
        Atomics.add(w, 1, 1);
        for (const view of views) Atomics.add(view, 1, 1);
        mapped.bytes[0] = 7;
        return views.has(w);
      },
      b: ({ w }) => Atomics.load(w, 2),
    },
    check({ w, mapped }, { a }) {
      assertEquals([w[1], mapped.bytes[0], a], [3, 7, true]);
    },
  });
  assertEquals(report.complete, true);
});

Deno.test("each run of a body has maps, sets, dates and private memory of its own", async () => {
  const seen = new Set<string>();
  const report = await explore({
    setup() {
      const pair = new ArrayBuffer(8);
      const one = new Uint8Array(pair, 4);
      return {
        w: words(),
        map: new Map<string, number>([["begin", 1]]),
        nested: [{ set: new Set([1]), date: new Date(5), pattern: /x/g }],
        one,
        all: new DataView(pair),
      };
    },
    threads: {
      a({ w, map, nested: [first], one, all }) {
        map.set("a", 1);
        first!.set.add(2);
        first!.date.setTime(6);
        if (!first!.pattern.test("x")) throw new Error("the pattern has been used");
        one[0]! += 1;
        Atomics.store(w, 0, 1);
        return [map.size, first!.set.size, first!.date.getTime(), all.getUint8(4)].join();
      },
      b({ w, map, nested: [first], one }) {
        const isLater = Atomics.load(w, 0);
        seen.add(
          `${isLater} ${map.has("a")} ${first!.set.size} ${first!.date.getTime()} ${one[0]}`,
        );
      },
    },
    check({ map, nested: [first] }, { a }) {
      assertEquals(a, "2,2,6,1");
      assertEquals([map.size, first!.set.size, first!.date.getTime()], [1, 1, 5]);
    },
  });
  assertEquals(report.complete, true);
  assertEquals([...seen].sort(), ["0 false 1 5 0", "1 false 1 5 0"]);
});

// --- what they may not --------------------------------------------------------------------------

Deno.test("a change of an object that setup returned is a misuse that names the property", async () => {
  class Counter {
    count = 0;
    readonly inner = { items: [] as number[] };
  }
  const setup = () => ({ w: words(), seen: [] as number[], counter: new Counter() });
  type State = ReturnType<typeof setup>;
  const changes: [change: (state: State) => void, path: string][] = [
    [({ seen }) => seen.push(1), "seen[0]"],
    [({ counter }) => counter.count++, "counter.count"],
    [({ counter }) => counter.inner.items.push(1), "[0]"],
    [(state) => state.seen = [1], "seen"],
    [(state) => (state as State & { more?: number }).more = 1, "more"],
    [({ counter }) => delete (counter as Partial<Counter>).count, "counter.count"],
  ];
  for (const [change, path] of changes) {
    const { message } = await fails("misuse", {
      setup,
      threads: {
        a(state) {
          Atomics.load(state.w, 0);
          change(state);
        },
      },
    });
    assertStringIncludes(message, "Thread a changes ");
    assertStringIncludes(message, `${path} of what setup returned`);
  }
});

Deno.test("a change of a frozen object of the body's own is an exception of the body", async () => {
  const own = await fails("exception", {
    setup: () => ({ w: words(), other: 1 }),
    threads: {
      a({ w }) {
        const mine = Object.freeze({ count: Atomics.load(w, 0) }) as { count: number };
        mine.count = 1;
      },
    },
  });
  assert(!own.message.includes("setup"), own.message);
});

Deno.test("what threads cannot share is refused by name", async () => {
  class Registry {
    readonly items = new Map<string, number>();
  }
  class Names extends Map<string, number> {}
  const refused: [part: unknown, what: string][] = [
    [() => 1, "a function (part)"],
    [{ deep: [() => 1] }, "a function (part.deep[0])"],
    [{ method() {} }, "a function (part.method)"],
    [Promise.resolve(), "a promise (part)"],
    [new WeakMap(), "a WeakMap (part)"],
    [[1].values(), "a generator or iterator (part)"],
    [new Registry(), "a Map in an object of class Registry (part.items)"],
    [{ registry: new Registry() }, "a Map in an object of class Registry (part.registry.items)"],
    [new Names(), "an object of class Names, which extends Map (part)"],
    [new Map([["f", () => 1]]), "a function (part.get(f))"],
  ];
  for (const [part, what] of refused) {
    await assertRejects(
      () =>
        explore({
          setup: () => ({ w: words(), part }),
          threads: { a: ({ w }) => Atomics.load(w, 0) },
        }),
      TypeError,
      `Setup returns ${what}, which threads cannot share`,
    );
  }
});
