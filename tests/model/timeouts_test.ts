import { assert, assertEquals } from "@std/assert";
import { explore, spawn } from "@busbar/busbar/model";
import { words } from "./failing.ts";

/** What the only thread of a model returns, in each of its executions. */
async function resultsOf(body: (w: Int32Array) => unknown): Promise<unknown[]> {
  const results: unknown[] = [];
  await explore({
    setup: words,
    clock: "virtual",
    threads: { a: body },
    check: (_, { a }) => void results.push(a),
  });
  return results;
}

const later = (w: Int32Array, word: number, timeoutMs: number) =>
  Promise.resolve(Atomics.waitAsync(w, word, 0, timeoutMs).value);

// --- the clock --------------------------------------------------------------------------------

Deno.test("a time that happens before is never later, however it was passed on", async () => {
  const ways: [string, (w: Int32Array) => void, (w: Int32Array) => boolean][] = [
    ["a store and a load", (w) => Atomics.store(w, 0, 1), (w) => Atomics.load(w, 0) === 1],
    ["an addition and an exchange", (w) => {
      Atomics.add(w, 0, 1);
    }, (w) => Atomics.compareExchange(w, 0, 1, 2) === 1],
    ["a notify and a wait", (w) => {
      Atomics.notify(w, 1);
    }, (w) => Atomics.wait(w, 1, 0, 1) === "ok"],
  ];
  for (const [name, pass, isPassed] of ways) {
    let times = 0;
    await explore({
      setup: words,
      clock: "virtual",
      threads: {
        a(w) {
          Atomics.wait(w, 3, 0, 100);
          pass(w);
        },
        b: (w) => isPassed(w) ? Date.now() : performance.now() + 100,
      },
      check(_, { b }) {
        assert(b >= 100, `${name}: ${b}`);
        times++;
      },
    });
    assert(times > 1, name);
  }
});

Deno.test("a spawned thread begins at its parent's time, and join passes its time on", async () => {
  const results = await resultsOf((w) => {
    Atomics.wait(w, 0, 0, 5);
    const child = spawn(() => {
      const begun = Date.now();
      Atomics.wait(w, 1, 0, 7);
      return begun;
    });
    return [child.join(), Date.now()];
  });
  assertEquals(results, [[5, 12]]);
});

Deno.test("timeouts that run at the same time take their longest, and those in turn their sum", async () => {
  const together = await resultsOf(async (w) => {
    await Promise.all([later(w, 0, 10), later(w, 1, 12), later(w, 2, 1)]);
    return Date.now();
  });
  assertEquals(together, [12]);
  const inTurn = await resultsOf(async (w) => {
    await later(w, 0, 10);
    Atomics.wait(w, 1, 0, 12);
    await later(w, 1, 0.5);
    return Date.now();
  });
  assertEquals(inTurn, [22.5]);
});

Deno.test("a wait that is notified takes no more than its notifier took", async () => {
  const seen = new Set<string>();
  await explore({
    setup: words,
    clock: "virtual",
    threads: {
      a: (w) => `${Atomics.wait(w, 0, 0, 1000)} at ${Date.now()}`,
      b(w) {
        Atomics.wait(w, 1, 0, 30);
        Atomics.notify(w, 0);
      },
    },
    check: (_, { a }) => void seen.add(a),
  });
  assertEquals(seen, new Set(["ok at 30", "timed-out at 1000"]));
});

// --- which timeout expires first --------------------------------------------------------------

Deno.test("of the asynchronous waits of a thread, the one that is due first times out first", async () => {
  const order = await resultsOf(async (w) => {
    const order: string[] = [];
    const note = (promise: Promise<unknown>, name: string) => promise.then(() => order.push(name));
    const first = note(later(w, 0, 200), "due at 200");
    await later(w, 2, 150);
    const second = note(later(w, 1, 100), "due at 250");
    const third = note(later(w, 3, 40), "due at 190");
    const fourth = note(later(w, 3, 100), "due at 250, too");
    await Promise.all([first, second, third, fourth]);
    return order;
  });
  assertEquals(order, [["due at 190", "due at 200", "due at 250", "due at 250, too"]]);
});

const race = (timeouts?: "any" | "ordered") => async (strategy: "dpor" | "all") => {
  const seen = new Set<string>();
  const wait = (ms: number) => (w: Int32Array) => {
    Atomics.wait(w, 0, 0, ms);
    return Atomics.add(w, 1, 1);
  };
  await explore({
    setup: words,
    strategy,
    ...(timeouts === undefined ? {} : { timeouts }),
    threads: { hour: wait(3_600_000), second: wait(1000), too: wait(1000) },
    check: (_, { hour, second, too }) => void seen.add(`${hour}, ${second}, ${too}`),
  });
  return [...seen].sort();
};

Deno.test("timeouts of different threads expire in any order by default", async () => {
  const orders = ["0, 1, 2", "0, 2, 1", "1, 0, 2", "1, 2, 0", "2, 0, 1", "2, 1, 0"];
  assertEquals(await race()("dpor"), orders);
  assertEquals(await race("any")("all"), orders);
});

Deno.test("ordered timeouts expire by their deadlines, but a busy thread may be late", async () => {
  assertEquals(await race("ordered")("dpor"), await race("ordered")("all"));
  /** How many asynchronous waits of 1 ms are left when the wait of another thread times out. */
  const left = async (timeouts: "any" | "ordered", what: "idle" | "busy" | "blocked", ms = 100) => {
    const seen = new Set<number | undefined>();
    await explore({
      setup: words,
      timeouts,
      threads: {
        async early(w) {
          const due = later(w, 0, 1);
          Atomics.store(w, 1, 1);
          if (what === "busy") Atomics.load(w, 1);
          if (what === "blocked") Atomics.wait(w, 2, 0);
          await due;
        },
        late(w) {
          if (Atomics.load(w, 1) === 0) return;
          Atomics.wait(w, 3, 0, ms);
          const woken = Atomics.notify(w, 0);
          Atomics.store(w, 2, 1);
          Atomics.notify(w, 2);
          return woken;
        },
      },
      check: (_, { late }) => void seen.add(late),
    }).catch((error) => assertEquals(error.failure.kind, "deadlock"));
    seen.delete(undefined);
    return seen;
  };
  assertEquals(await left("any", "idle"), new Set([0, 1]));
  assertEquals(await left("ordered", "idle"), new Set([0]));
  assertEquals(await left("ordered", "idle", 1), new Set([0, 1]), "due at the same time");
  assertEquals(await left("ordered", "idle", 0.5), new Set([0, 1]), "due earlier");
  assertEquals(await left("ordered", "busy"), new Set([0, 1]));
  assertEquals(await left("ordered", "blocked"), new Set([1]));
});
