/** Mutants of models: what a model notices, and what it does not. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ExplorationError, type MutantReport, mutants } from "@busbar/busbar/model";
import { beginSpeculation, endSpeculation } from "../../src/memory/observer.ts";
import { words } from "./failing.ts";

const lines = ({ mutants }: MutantReport) =>
  mutants.map(({ failure, operation, change }) => `${failure}: ${operation} → ${change}`);

const publish = (w: Int32Array) => {
  w[1] = 7;
  Atomics.store(w, 0, 1);
  Atomics.notify(w, 0);
};
const receive = (w: Int32Array) => {
  while (Atomics.load(w, 0) === 0) Atomics.wait(w, 0, 0);
  return w[1]!;
};

Deno.test("each operation of a message that is passed is needed", async () => {
  const report = await mutants({
    setup: words,
    threads: { publish, receive },
    check: (_, { receive }) => receive === 7,
  });
  assertEquals(lines(report), [
    "deadlock: store → nothing",
    "data race: store → a plain write",
    "deadlock: notify → nothing",
    "undefined: notify → notify of one",
    "data race: load → a plain read",
    "deadlock: wait → a wait at whatever the value is",
  ]);
  assertEquals(report.survivors.map(({ change }) => change), ["notify of one"]);
  assert(report.table.includes("NOT NOTICED  notify → notify of one"), report.table);
  assert(report.mutants.every(({ line }) => line.includes("mutants_test.ts")));
  assert(report.report.complete);
  // The schedule of a mutant that was noticed is known.
  assert(
    report.mutants.every(({ failure, replay }) =>
      (failure === undefined) === (replay === undefined)
    ),
  );
});

Deno.test("with two receivers, a notification of one is noticed", async () => {
  const { survivors } = await mutants({
    setup: words,
    threads: { publish, a: receive, b: receive },
    check: (_, { a, b }) => a === 7 && b === 7,
  });
  assertEquals(survivors, []);
});

Deno.test("of read-modify-writes, what loses an update is noticed", async () => {
  const add = (w: Int32Array) => {
    Atomics.add(w, 0, 1);
    for (let seen = Atomics.load(w, 1);;) {
      const found = Atomics.compareExchange(w, 1, seen, seen + 1);
      if (found === seen) break;
      seen = found;
    }
  };
  const { mutants: all, survivors } = await mutants({
    setup: words,
    threads: { a: add, b: add },
    check: (w) => w[0] === 2 && w[1] === 2,
  });
  // As it writes once more whenever it was overtaken, an exchange loses no update of two threads.
  assertEquals(survivors.map(({ change }) => change), [
    "an exchange: the value before does not matter",
  ]);
  assertEquals(all.length, 6);
});

Deno.test("a test that looks at nothing notices little", async () => {
  const add = (w: Int32Array) => void Atomics.add(w, 0, 1);
  const { survivors } = await mutants({ setup: words, threads: { a: add, b: add } });
  assertEquals(survivors.length, 2);
});

Deno.test("a span of speculation that is always kept is noticed", async () => {
  const write = (w: Int32Array) => {
    Atomics.add(w, 0, 1);
    w[1] = 1;
    Atomics.add(w, 0, 1);
  };
  const read = (w: Int32Array) => {
    const before = Atomics.load(w, 0);
    beginSpeculation();
    const value = w[1]!;
    const isKept = before % 2 === 0 && Atomics.add(w, 0, 0) === before;
    endSpeculation(isKept);
    return isKept ? value : 0;
  };
  const { mutants: all } = await mutants({ setup: words, threads: { write, read } });
  const end = all.find(({ operation }) => operation === "end of speculation");
  assertEquals(end?.failure, "data race");
});

Deno.test("asynchronous threads have mutants, too", async () => {
  const { survivors } = await mutants({
    setup: words,
    threads: {
      publish,
      async receive(w: Int32Array) {
        while (Atomics.load(w, 0) === 0) await Atomics.waitAsync(w, 0, 0).value;
        return w[1]!;
      },
    },
    check: (_, { receive }) => receive === 7,
  });
  assertEquals(survivors.map(({ change }) => change), ["notify of one"]);
});

Deno.test("mutants are only of lines that were asked for, and not of those to be skipped", async () => {
  const model = { setup: words, threads: { publish, receive } };
  assertEquals((await mutants(model, { include: /no such file/ })).mutants, []);
  const all = await mutants(model, { skip: ({ operation }) => operation !== "wait" });
  assertEquals(all.mutants.length, 1);
});

Deno.test("a model that does not pass has no mutants", async () => {
  const wrong = (w: Int32Array) => void (w[0] = 1);
  const error = await assertRejects(
    () => mutants({ setup: words, threads: { a: wrong, b: wrong } }),
    ExplorationError,
  );
  assertEquals(error.failure.kind, "data race");
});
