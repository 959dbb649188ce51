/** Limits hold within an execution and within the code of the test, and nothing hangs. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explore, IncompleteError } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

Deno.test("a limit on transitions stops a search within an execution", async () => {
  const { report } = await assertRejects(
    () =>
      explore({
        setup: words,
        maxTransitions: 10,
        threads: {
          a(w) {
            for (let i = 0; i < 3000; i++) Atomics.add(w, 0, 1);
          },
        },
      }),
    IncompleteError,
    "stopped after 10 transitions",
  );
  assertEquals(report.transitions, 10);
  assertEquals(report.complete, false);
});

Deno.test("a search that ends with its last transition is complete", async () => {
  const model = { setup: words, threads: { a: (w: Int32Array) => Atomics.add(w, 0, 1) } };
  const { complete } = await explore({ ...model, maxTransitions: 1 });
  assert(complete);
});

const endless: Record<string, (w: Int32Array) => unknown> = {
  "of operations": (w) => {
    for (;;) Atomics.add(w, 0, 1);
  },
  "of plain writes": (w) => {
    for (;;) w[0]!++;
  },
  "of bulk reads": (w) => {
    for (let i = 0;; i++) w.slice(0, i % 4);
  },
  "of operations of an asynchronous body": async (w) => {
    for (;;) {
      Atomics.add(w, 0, 1);
      await Atomics.waitAsync(w, 1, 0, 1).value;
    }
  },
};
for (const [name, a] of Object.entries(endless)) {
  Deno.test(`a time limit stops a loop ${name}`, async () => {
    await assertRejects(
      () => explore({ setup: words, timeLimitMs: 30, maxSteps: 1e7, threads: { a } }),
      IncompleteError,
      "stopped after 30 ms",
    );
  });
}

Deno.test("a run of plain accesses without an end is a livelock that names the line", async () => {
  const { message } = await fails("livelock", {
    setup: words,
    maxSteps: 100,
    threads: {
      a(w) {
        for (;;) w[1]!++;
      },
    },
  });
  assertStringIncludes(message, "has made 10240 plain accesses without an operation");
  assertStringIncludes(message, "limits_test.ts:");
});

Deno.test("a check or invariant that waits for a thread is stopped by the time limit", async () => {
  const wait = (w: Int32Array) => {
    while (Atomics.load(w, 1) === 0);
  };
  const threads = { a: (w: Int32Array) => Atomics.add(w, 0, 1) };
  for (const how of [{ check: wait }, { invariant: wait }]) {
    const { message } = await fails("assertion", {
      setup: words,
      timeLimitMs: 20,
      threads,
      ...how,
    });
    assertStringIncludes(message, "does it wait for a thread?");
  }
});

const catchAll: Record<string, (w: Int32Array) => unknown> = {
  "a load": (w) => {
    for (;;) {
      try {
        if (Atomics.load(w, 0) === 1) break;
        Atomics.pause();
      } catch { /* A worker must not die. */ }
    }
  },
  "a compareExchange": (w) => {
    for (;;) {
      try {
        if (Atomics.compareExchange(w, 0, 1, 2) === 1) break;
      } catch { /* A worker must not die. */ }
    }
  },
  "a wait": (w) => {
    for (;;) {
      try {
        if (Atomics.wait(w, 0, 0) === "not-equal") break;
      } catch { /* A worker must not die. */ }
    }
  },
  "a waitAsync": async (w) => {
    for (;;) {
      try {
        const { async, value } = Atomics.waitAsync(w, 0, 0);
        if (!async) break;
        await value;
      } catch { /* A worker must not die. */ }
    }
  },
};
for (const [name, a] of Object.entries(catchAll)) {
  Deno.test(`a loop around ${name} that catches every error is explored`, async () => {
    const report = await explore({
      setup: words,
      threads: {
        a,
        b(w) {
          Atomics.store(w, 0, 1);
          Atomics.notify(w, 0);
        },
      },
    });
    assert(report.complete);
    assert(report.executions > 1);
  });
}
