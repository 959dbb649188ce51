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
      b: () => "declared",
      "a.1": () => "also declared",
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
      "worker#2": () => 0,
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
