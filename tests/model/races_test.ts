/**
 * The happens-before edges of ECMA-262, one by one: accesses that an edge orders do not race, and
 * race without it.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { explore, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const DATA = 3;

/** A writer of plain data that then calls `release`, and a reader that reads it after `acquire`. */
function handOver(
  release: (w: Int32Array) => unknown,
  acquire: (w: Int32Array) => boolean,
) {
  return {
    setup: words,
    threads: {
      writer(w: Int32Array) {
        w[DATA] = 5;
        release(w);
      },
      reader: (w: Int32Array) => acquire(w) ? w[DATA] : undefined,
    },
    check: (_: Int32Array, { reader }: { reader: number | undefined }) =>
      assert(reader === undefined || reader === 5, `read ${reader}`),
  };
}

Deno.test("an atomic write orders earlier writes before a thread that reads it", async () => {
  const releases: ((w: Int32Array) => unknown)[] = [
    (w) => Atomics.store(w, 0, 1),
    (w) => Atomics.add(w, 0, 1),
    (w) => Atomics.sub(w, 0, -1),
    (w) => Atomics.or(w, 0, 1),
    (w) => Atomics.xor(w, 0, 1),
    (w) => Atomics.exchange(w, 0, 1),
    (w) => Atomics.compareExchange(w, 0, 0, 1),
  ];
  const acquires: ((w: Int32Array) => boolean)[] = [
    (w) => Atomics.load(w, 0) === 1,
    (w) => Atomics.add(w, 0, 0) === 1,
    (w) => Atomics.and(w, 0, -1) === 1,
    (w) => Atomics.exchange(w, 0, 2) === 1,
    (w) => Atomics.compareExchange(w, 0, 1, 2) === 1,
    (w) => Atomics.compareExchange(w, 0, 7, 8) === 1,
    (w) => Atomics.wait(w, 0, 0, 0) === "not-equal",
  ];
  for (const release of releases) {
    for (const acquire of acquires) await explore(handOver(release, acquire));
  }
});

Deno.test("a chain of read-modify-writes passes an edge on, a store in between does not", async () => {
  const chain = (middle: (w: Int32Array) => unknown) => ({
    setup: words,
    threads: {
      writer(w: Int32Array) {
        w[DATA] = 5;
        Atomics.add(w, 0, 1);
      },
      middle,
      reader: (w: Int32Array) => Atomics.load(w, 0) === 11 ? w[DATA] : undefined,
    },
  });
  await explore(chain((w) => Atomics.add(w, 0, 10)));
  await fails("data race", chain((w) => Atomics.load(w, 1) || Atomics.store(w, 0, 11)));
});

Deno.test("reading an older value orders nothing", async () => {
  await fails("data race", handOver((w) => Atomics.store(w, 0, 1), (w) => Atomics.load(w, 0) <= 1));
});

Deno.test("an atomic read of another range orders nothing, and is a race itself", async () => {
  const { message } = await fails("mixed-size race", {
    setup: words,
    threads: {
      writer: (w) => Atomics.store(w, 0, 1),
      reader: (w) => Atomics.load(new Uint8Array(w.buffer), 0),
    },
  });
  assertStringIncludes(message, "not of the same range");
  await explore({
    setup: words,
    threads: {
      a: (w) => Atomics.store(w, 0, 1),
      b: (w) => Atomics.load(new Int16Array(w.buffer), 2),
    },
  });
});

Deno.test("sizes may be mixed where something orders them", async () => {
  await explore({
    setup: words,
    threads: {
      writer(w) {
        Atomics.store(new Uint8Array(w.buffer), 4, 1);
        Atomics.store(w, 0, 1);
      },
      reader: (w) => Atomics.load(w, 0) === 1 ? Atomics.load(w, 1) : 1,
    },
    check: (_, { reader }) => assertEquals(reader, 1),
  });
});

Deno.test("a plain write of an atomic word is a race, and orders nothing", async () => {
  await fails("data race", handOver((w) => w[0] = 1, (w) => Atomics.load(w, 0) === 1));
  await fails("data race", handOver((w) => Atomics.store(w, 0, 1), (w) => w[0] === 1));
});

Deno.test("notify orders earlier writes before the threads that it wakes", async () => {
  const wake = (w: Int32Array) => Atomics.notify(w, 0);
  await explore(handOver(wake, (w) => Atomics.wait(w, 0, 0, 5) === "ok"));
  // A timeout is no notification.
  await fails("data race", handOver(wake, (w) => Atomics.wait(w, 1, 0, 5) === "timed-out"));
});

Deno.test("falling asleep orders earlier writes before a later notify", async () => {
  const seen = new Set<unknown>();
  await explore({
    setup: words,
    threads: {
      sleeper(w) {
        w[DATA] = 5;
        return Atomics.wait(w, 0, 0, 5);
      },
      waker: (w) => Atomics.notify(w, 0) === 1 ? w[DATA] : undefined,
    },
    check: (_, { waker }) => void seen.add(waker),
  });
  assertEquals(seen, new Set([5, undefined]));
});

Deno.test("spawn orders the parent before the child, join the child before the parent", async () => {
  await explore({
    setup: words,
    threads: {
      parent(w) {
        w[0] = 1;
        const child = spawn(() => w[1] = w[0]! + 1);
        child.join();
        return w[1];
      },
    },
    check: (_, { parent }) => assertEquals(parent, 2),
  });
  await fails("data race", {
    setup: words,
    threads: {
      parent(w) {
        const child = spawn(() => w[1] = 1);
        w[1] = 2;
        child.join();
      },
    },
  });
});

Deno.test("a race names both accesses, their threads, steps and lines", async () => {
  const { message, failure } = await fails("data race", {
    setup: words,
    threads: { writer: (w) => w[1] = 1, reader: (w) => Atomics.load(w, 0) + w[1]! },
  });
  assertEquals(
    failure.accesses?.map(({ thread, step, access }) => `${thread} ${step}: ${access}`),
    [
      "writer 0: plain write of 4 bytes at state[1]",
      "reader 1: plain read of 4 bytes at state[1]",
    ],
  );
  assertStringIncludes(message, "writer, before its first step: plain write");
  assertStringIncludes(message, "reader, in step 1: plain read");
  for (const { lines } of failure.accesses!) assertStringIncludes(lines[0]!, "races_test.ts");
  assertStringIncludes(message, "not ordered by happens-before");
});

Deno.test("neighbouring bytes do not race, overlapping ranges do", async () => {
  const bytes = () => new Uint8Array(new SharedArrayBuffer(8));
  await explore({ setup: bytes, threads: { a: (b) => b[1] = 1, b: (b) => b[2] = 2 } });
  await fails("data race", {
    setup: bytes,
    threads: { a: (b) => b.fill(1, 0, 4), b: (b) => b.subarray(3).set([1]) },
  });
});

Deno.test("reads do not race with each other", async () => {
  await explore({
    setup: () => words().fill(7),
    threads: { a: (w) => w[0], b: (w) => Atomics.load(w, 0), c: (w) => w.slice(0, 2)[0] },
  });
});

// --- speculative spans ------------------------------------------------------------------------

interface Spans {
  current: { beginSpeculation(): void; endSpeculation(kept: boolean): void };
}
const spans = (globalThis as unknown as Record<symbol, Spans>)[Symbol.for("busbar.observer")]!;

/** A writer that overwrites data, and a reader that copies it meanwhile, and may keep its copy. */
function overwritten(keep: (w: Int32Array) => boolean) {
  return {
    setup: words,
    threads: {
      writer(w: Int32Array) {
        Atomics.add(w, 0, 1);
        w[DATA] = 5;
      },
      reader(w: Int32Array) {
        Atomics.load(w, 1);
        spans.current.beginSpeculation();
        const value = w[DATA];
        const kept = keep(w);
        spans.current.endSpeculation(kept);
        return kept ? value : undefined;
      },
    },
    check: (_: Int32Array, { reader }: { reader: number | undefined }) =>
      assert(reader !== 5, "a value that was read too late"),
  };
}

Deno.test("a speculative read that is discarded does not race", async () => {
  await explore(overwritten(() => false));
});

Deno.test("a speculative read that is kept on the word of a read-modify-write does not race", async () => {
  await explore(overwritten((w) => Atomics.add(w, 0, 0) === 0));
});

Deno.test("a speculative read that is kept on the word of a load races", async () => {
  const { failure } = await fails("data race", overwritten((w) => Atomics.load(w, 0) === 0));
  assertEquals(failure.accesses?.length, 2);
});

/** The writer's read-modify-write reads the reader's, so the writer's later writes come after. */
function overwrittenInSpan(write: (w: Int32Array) => void) {
  return {
    setup: words,
    threads: {
      reader(w: Int32Array) {
        spans.current.beginSpeculation();
        const value = w[DATA];
        const kept = Atomics.add(w, 0, 0) === 0;
        Atomics.load(w, 1); // the writer may write now
        spans.current.endSpeculation(kept);
        return kept ? value : 0;
      },
      writer(w: Int32Array) {
        write(w);
        Atomics.add(w, 0, 1);
        w[DATA] = 7;
        Atomics.store(w, 1, 1);
      },
    },
  };
}

Deno.test("a speculative read that is kept does not race with a write that is ordered after it", async () => {
  await explore(overwrittenInSpan(() => {}));
});

Deno.test("a speculative read that is kept races with a write before one that is ordered after it", async () => {
  const model = overwrittenInSpan((w) => {
    Atomics.load(w, 1);
    w[DATA] = 6;
  });
  // After the read: the first write, the read-modify-writes of both, and the second write.
  const { failure } = await fails("data race", { ...model, replay: "b1a1b1a1" });
  assertEquals(failure.accesses?.map(({ thread, step }) => `${thread} ${step}`), [
    "writer 1",
    "reader 0",
  ]);
});

Deno.test("a span that is not closed, or not opened, is a misuse", async () => {
  for (
    const [body, text] of [
      [() => spans.current.beginSpeculation(), "ends inside a speculative span"],
      [() => spans.current.endSpeculation(true), "did not begin"],
      [() => {
        spans.current.beginSpeculation();
        spans.current.beginSpeculation();
      }, "inside another"],
    ] as const
  ) {
    const { message } = await fails("misuse", { setup: words, threads: { a: () => body() } });
    assertStringIncludes(message, text);
  }
});

Deno.test("a speculative read sees every value that a schedule can give it, without other conflicts", async () => {
  const valuesOf = async (strategy: "all" | "dpor") => {
    const values = new Set<string>();
    const report = await explore({
      setup: words,
      strategy,
      threads: {
        writer(w) {
          Atomics.store(w, 0, 1);
          w[DATA] = 5;
          Atomics.store(w, 0, 2);
        },
        looker(w) {
          Atomics.load(w, 1);
          spans.current.beginSpeculation();
          const hint = `${w[0]} ${w[DATA]}`;
          spans.current.endSpeculation(false);
          return hint;
        },
      },
      check: (_, { looker }) => void values.add(looker),
    });
    return { values: [...values].sort(), executions: report.executions };
  };
  const all = await valuesOf("all");
  const dpor = await valuesOf("dpor");
  assertEquals(all.values, ["0 0", "1 5", "2 5"]);
  assertEquals(dpor, all);
});
