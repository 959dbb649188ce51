/** Threads have unique names, whatever names they ask for. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { explore, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const add = (w: Int32Array, value: number) => () => Atomics.add(w, 0, value);

Deno.test("threads that ask for one name get different ones, and columns of their own", async () => {
  const { message, steps } = await fails("assertion", {
    setup: words,
    threads: {
      main(w) {
        spawn(add(w, 1), "worker").join();
        spawn(add(w, 2), "worker").join();
        spawn(add(w, 4), "worker").join();
      },
    },
    check: () => false,
  });
  assertEquals([...new Set(steps.map(({ thread }) => thread))], [
    "main",
    "worker",
    "worker#2",
    "worker#3",
  ]);
  const [head, ...rows] = message.split("\n").filter((line) => /main |add/.test(line));
  for (const name of ["worker  ", "worker#2", "worker#3"]) {
    assertStringIncludes(head!, name);
    assertEquals(rows.filter((row) => row.indexOf("add") === head!.indexOf(name)).length, 1, name);
  }
  assertStringIncludes(message, "spawn worker#2");
});

Deno.test("no result overwrites another one", async () => {
  await explore({
    setup: words,
    threads: {
      a: (w) => {
        spawn(() => "child", "b").join();
        spawn(() => "other", "a.1").join();
        spawn(() => "default").join();
        return Atomics.load(w, 0);
      },
      b: (w) => (Atomics.load(w, 1), "declared"),
      "a.1": (w) => (Atomics.load(w, 1), "also declared"),
    },
    check: (_, results) =>
      assertEquals({ ...results } as unknown, {
        a: 0,
        b: "declared",
        "a.1": "also declared",
        "b#2": "child",
        "a.1#2": "other",
        "a.2": "default",
      }),
  });
});

Deno.test("a name that looks like a second one is not given twice", async () => {
  await explore({
    setup: words,
    threads: {
      "worker#2": (w) => Atomics.load(w, 0),
      main() {
        spawn(() => 1, "worker").join();
        spawn(() => 2, "worker").join();
      },
    },
    check: (_, results) =>
      assertEquals({ ...results } as unknown, {
        main: undefined,
        worker: 1,
        "worker#2": 0,
        "worker#3": 2,
      }),
  });
});

Deno.test("a result may have any name", async () => {
  await explore({
    setup: words,
    threads: { main: () => void spawn(() => 1, "__proto__").join() },
    check: (_, results) =>
      assertEquals(Object.entries(results as unknown as object).at(-1), ["__proto__", 1]),
  });
});

Deno.test("each of two threads that spawn is first in some schedule", async () => {
  const owners = async (strategy: "dpor" | "all") => {
    const seen = new Set<string>();
    const parent = (name: string) => (w: Int32Array) => {
      Atomics.load(w, 0);
      spawn(() => name, "worker");
    };
    const report = await explore({
      setup: words,
      threads: { a: parent("a's"), b: parent("b's") },
      strategy,
      check: (_, results) => {
        const { worker, "worker#2": second } = results as unknown as Record<string, string>;
        seen.add(`${worker} ${second}`);
      },
    });
    assert(report.complete);
    return [...seen].sort();
  };
  assertEquals(await owners("all"), ["a's b's", "b's a's"]);
  assertEquals(await owners("dpor"), await owners("all"));
});

Deno.test("names of children follow the names that their parents have in the schedule", async () => {
  const parent = (value: number) => (w: Int32Array) => {
    spawn(() => {
      spawn(() => {
        const own = new Int32Array(new SharedArrayBuffer(4));
        Atomics.store(own, 0, value);
        Atomics.store(w, 0, value);
      });
    }, "worker");
  };
  const model = { setup: words, threads: { a: parent(1), b: parent(2) } };
  const seen = new Set<string>();
  for (;;) {
    const check = (w: Int32Array, results: object) =>
      seen.has(`${w[0]} ${Object.keys(results)}`) ||
      Promise.reject(new Error(`${w[0]} ${Object.keys(results)}`));
    const error = await explore({ ...model, check }).then(() => undefined, (error) => error);
    if (error === undefined) break;
    const again = await fails("assertion", { ...model, check, replay: error.replay });
    assertEquals(again.steps, error.steps);
    assertEquals(again.failure.message, error.failure.message);
    seen.add(error.failure.message);
  }
  assert(seen.size >= 2, [...seen].join("; "));
});

Deno.test("memory of threads of one name is told apart", async () => {
  const outcomes = async (strategy: "dpor" | "all") => {
    const seen = new Set<string>();
    const body = (value: number) => (w: Int32Array) => {
      const own = new Int32Array(new SharedArrayBuffer(4));
      const child = spawn(() => Atomics.add(own, 0, value), "worker");
      const before = Atomics.add(own, 0, 10);
      child.join();
      return `${before} ${Atomics.load(own, 0)} ${Atomics.add(w, 0, 1)}`;
    };
    const report = await explore({
      setup: words,
      threads: { a: body(1), b: body(2) },
      strategy,
      check: (_, { a, b }) => void seen.add(`${a}, ${b}`),
    });
    assert(report.complete);
    return [...seen].sort();
  };
  const all = await outcomes("all");
  assertEquals(all.length, 8);
  assertEquals(await outcomes("dpor"), all);
});
