import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { explore, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

/** The outcomes of a model by one strategy. */
async function outcomesOf(
  strategy: "dpor" | "all",
  threads: Record<string, (w: Int32Array) => unknown>,
): Promise<string[]> {
  const seen = new Set<string>();
  await explore({
    setup: words,
    strategy,
    threads,
    check: (w, results) => void seen.add(JSON.stringify([...w, Object.entries(results).sort()])),
  });
  return [...seen].sort();
}

Deno.test("threads that are spawned and joined in turn have no limit", async () => {
  const { executions } = await explore({
    setup: words,
    threads: {
      parent(w) {
        for (let i = 0; i < 20; i++) {
          const child = spawn(() => {
            w[0]!++;
            return w[0];
          });
          assertEquals(child.join(), i + 1);
        }
      },
    },
    check(w, results) {
      assertEquals(w[0], 20);
      assertEquals(Object.keys(results).length, 21, "each has a result of its own");
    },
  });
  assertEquals(executions, 1);
});

Deno.test("a joined thread gives back its place, and those of the threads that it has joined", async () => {
  const grandchild = (w: Int32Array) => spawn(() => Atomics.add(w, 0, 1));
  await explore({
    setup: words,
    threads: {
      parent(w) {
        for (let i = 0; i < 4; i++) {
          spawn(() => {
            grandchild(w).join();
            grandchild(w).join();
          }).join();
        }
        for (let i = 0; i < 3; i++) {
          const pair = [spawn(() => Atomics.add(w, 0, 1)), spawn(() => Atomics.add(w, 0, 1))];
          for (const child of pair) child.join();
        }
      },
    },
    check: (w) => assertEquals(w[0], 14),
  });
});

Deno.test("the limit on threads that live at one time is named", async () => {
  const spawnMany = (count: number, joined: number) => (w: Int32Array) => {
    const children = Array.from({ length: joined }, () => spawn(() => {}));
    for (const child of children) child.join();
    for (let i = 0; i < count; i++) spawn(() => Atomics.load(w, 0));
  };
  await explore({ setup: words, threads: { parent: spawnMany(7, 7) } });
  const { message } = await fails("misuse", {
    setup: words,
    threads: { parent: spawnMany(8, 2) },
  });
  assertStringIncludes(message, "at most 8 threads at one time");
  assertStringIncludes(message, "join threads before others are spawned");
});

Deno.test("a thread that has ended unjoined, or was joined by another one, keeps its place", async () => {
  const { message } = await fails("misuse", {
    setup: words,
    threads: {
      parent(w) {
        for (let i = 0; i < 8; i++) {
          spawn(() => Atomics.store(w, i & 3, 1));
          Atomics.load(w, i & 3);
        }
      },
    },
  });
  assertStringIncludes(message, "at most 8 threads at one time");
});

Deno.test("a race with a thread that has ended is found, whatever has its place now", async () => {
  const model = (isJoined: boolean) => ({
    setup: words,
    threads: {
      parent(w: Int32Array) {
        const first = spawn(() => void (w[1] = 1), "first");
        first.join();
        const second = spawn(() => Atomics.store(w, 0, 1), "second");
        if (isJoined) second.join();
      },
      other(w: Int32Array) {
        if (Atomics.load(w, 2) === 0) w[1];
      },
    },
  });
  for (const isJoined of [false, true]) {
    const { failure } = await fails("data race", model(isJoined));
    assertStringIncludes(failure.message, "by first");
    assertStringIncludes(failure.message, "by other");
  }
});

Deno.test("what was joined, and what is spawned afterwards, cannot race", async () => {
  await explore({
    setup: words,
    threads: {
      parent(w) {
        for (let i = 0; i < 10; i++) {
          const a = spawn(() => void w[0]!++);
          const b = spawn(() => void w[1]!++);
          a.join();
          b.join();
        }
      },
      reader(w) {
        Atomics.load(w, 3);
      },
    },
    check: (w) => assertEquals([w[0], w[1]], [10, 10]),
  });
  // Without the first join, the next thread races with it.
  await fails("data race", {
    setup: words,
    threads: {
      parent(w) {
        const a = spawn(() => void w[0]!++);
        const b = spawn(() => void w[1]!++);
        b.join();
        spawn(() => void w[0]!++);
        a.join();
      },
    },
  });
});

Deno.test("a thread can be joined twice, also when its place was given away", async () => {
  await explore({
    setup: words,
    threads: {
      parent() {
        const one = spawn(() => "one");
        one.join();
        const two = spawn(() => "two");
        return [one.join(), two.join(), one.join()].join();
      },
    },
    check: (_, { parent }) => assertEquals(parent, "one,two,one"),
  });
});

Deno.test("with places that are used again, DPOR finds every outcome", async () => {
  const inTurn = (me: number) => (w: Int32Array) => {
    const seen: unknown[] = [];
    for (let i = 0; i < 2; i++) seen.push(spawn(() => Atomics.add(w, 0, me)).join());
    return seen;
  };
  const nested = (w: Int32Array) => {
    const child = spawn(() => spawn(() => Atomics.exchange(w, 0, 9)).join());
    const seen = [child.join()];
    if (Atomics.load(w, 0) === 9) seen.push(spawn(() => Atomics.add(w, 0, 1)).join());
    return seen;
  };
  for (const threads of [{ a: inTurn(1), b: inTurn(2) }, { a: inTurn(1), nested }]) {
    const all = await outcomesOf("all", threads);
    assert(all.length > 3);
    assertEquals(await outcomesOf("dpor", threads), all);
  }
});

Deno.test("a schedule in which several threads spawn replays to the same failure", async () => {
  const model = {
    setup: words,
    threads: {
      a(w: Int32Array) {
        spawn(() => {}).join();
        spawn(() => Atomics.store(w, 0, 1)).join();
      },
      b(w: Int32Array) {
        spawn(() => {}).join();
        const child = spawn(() => Atomics.load(w, 0));
        assertEquals(child.join(), 0);
      },
    },
  };
  const { replay, steps } = await fails("exception", model);
  const again = await fails("exception", { ...model, replay });
  assertEquals(again.steps.map((step) => step.thread), steps.map((step) => step.thread));
});
