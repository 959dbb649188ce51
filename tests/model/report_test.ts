/** What the report of a failing schedule shows: names, values, places, and repeats in one row. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { explore, label, spawn } from "@busbar/busbar/model";
import { decodeSchedule } from "../../model/report/schedule.ts";
import { fails } from "../verdicts.ts";

const shared = (bytes: number) => new SharedArrayBuffer(bytes);

function lock(word: Int32Array): void {
  while (Atomics.compareExchange(word, 0, 0, 1) !== 0) Atomics.wait(word, 0, 1);
}

function unlock(word: Int32Array): void {
  Atomics.store(word, 0, 0);
  Atomics.notify(word, 0, 1);
}

interface Bank {
  readonly mutex: Int32Array;
  readonly balance: Float64Array;
}

const bank = (): Bank => {
  const balance = new Float64Array(shared(24));
  balance.fill(100);
  return { mutex: new Int32Array(shared(4)), balance };
};

/** Unlocks between the look at the balance and its change. */
function transfer({ mutex, balance }: Bank, to: number): void {
  lock(mutex);
  const before = balance[0]!;
  unlock(mutex);
  lock(mutex);
  balance[0] = before - 2.5;
  balance[to] = balance[to]! + 2.5;
  unlock(mutex);
}

function checkSum({ balance }: Bank): void {
  assertEquals(balance[0]! + balance[1]! + balance[2]!, 300);
}

Deno.test("plain accesses stand below their step, with names, values, functions and callers", async () => {
  const { message, steps } = await fails("assertion", {
    setup: bank,
    threads: { a: (state) => transfer(state, 1), b: (state) => transfer(state, 2) },
    check: checkSum,
  });
  assertMatch(message, /compareExchange mutex\[0\] 0 ⇒ 1 +report_test\.ts:\d+ lock < transfer:\d+/);
  assertMatch(message, /read balance\[0\] → 100 +report_test\.ts:\d+ transfer < body:\d+/);
  assertMatch(message, /write balance\[0\] ← 97\.5 /);
  assertMatch(message, /write balance\[2\] ← 102\.5 /);
  const writing = steps.find(({ accesses }) => accesses.length > 1)!;
  assertEquals(
    writing.accesses.map(({ text }) => text.split(" ")[0]),
    ["write", "read", "write"],
  );
});

Deno.test("words are named by the properties of the state, however it is nested", async () => {
  const { message } = await fails("exception", {
    setup: () => ({
      queue: { head: new Int32Array(shared(8)), slots: [new BigInt64Array(shared(16))] },
      get danger(): number {
        throw new Error("a getter of the test was called");
      },
    }),
    threads: {
      a({ queue: { head, slots } }) {
        Atomics.add(head, 1, 5);
        Atomics.store(slots[0]!, 1, 7n);
        throw new Error("shown");
      },
    },
  });
  assertStringIncludes(message, "add queue.head[1] 5: saw 0");
  assertStringIncludes(message, "store queue.slots[0][1] ← 7");
});

Deno.test("a label goes before the name of a property, and views of other sizes find an element", async () => {
  const { message } = await fails("exception", {
    setup() {
      const buffer = shared(16);
      label(buffer, 4, 4, "ring.tail");
      return { words: new Int32Array(buffer), bytes: new Uint8Array(buffer, 8) };
    },
    threads: {
      a({ words, bytes }) {
        Atomics.store(words, 1, 3);
        bytes[1] = 9;
        Atomics.store(new BigInt64Array(words.buffer), 1, 1n);
        throw new Error("shown");
      },
    },
  });
  assertStringIncludes(message, "store ring.tail ← 3");
  assertStringIncludes(message, "write bytes[1] ← 9");
  assertStringIncludes(message, "store bytes[0] ← 1");
});

Deno.test("time is shown: how long a wait is at most, what a clock said, which wait was resumed", async () => {
  const { message } = await fails("exception", {
    clock: "virtual",
    setup: () => new Int32Array(shared(12)),
    threads: {
      async a(w) {
        const waits = [1, 2].map((i) => Atomics.waitAsync(w, i, 0, i * 10).value);
        await Promise.all(waits);
        spawn(() => Atomics.wait(w, 0, 0, 30), "sleeper").join();
        Atomics.wait(w, 0, 0, 0);
        throw new Error(`at ${Date.now()}`);
      },
    },
  });
  const rows = [
    "waitAsync state[1] while 0, 10 ms: sleeps",
    "waitAsync state[2] while 0, 20 ms: sleeps",
    "resume state[1]: timed-out",
    "resume state[2]: timed-out",
    "spawn sleeper",
    "wait state[0] while 0, 30 ms: sleeps",
    "wake state[0]: timed-out",
    "join sleeper",
    "wait state[0] while 0, 0 ms: timed-out",
    "read clock → 50",
  ];
  const places = rows.map((row) => message.indexOf(row));
  assertEquals(places, places.toSorted((x, y) => x - y), message);
  assert(places.every((place) => place > 0), message);
});

Deno.test("places are of the code under test, not of the platform that calls it", async () => {
  const { message, steps } = await fails("exception", {
    setup: () => new Int32Array(shared(4)),
    threads: {
      async a(w) {
        [0].forEach((i) => Atomics.load(w, i));
        await null;
        [0].map((i) => Atomics.load(w, i));
        throw new Error("shown");
      },
    },
  });
  assertMatch(message, / load state\[0\] → 0 +report_test\.ts:\d+\n/);
  for (const { lines } of steps) {
    assert(lines.length > 0);
    for (const line of lines) assertStringIncludes(line, "report_test.ts:");
  }
});

Deno.test("many plain accesses of a step are counted", async () => {
  const { message } = await fails("exception", {
    setup: () => new Int32Array(shared(80)),
    threads: {
      a(w) {
        Atomics.load(w, 0);
        for (let i = 0; i < 20; i++) w[i] = i;
        throw new Error("shown");
      },
    },
  });
  assertStringIncludes(message, "write state[4] ← 4");
  assertStringIncludes(message, "... 15 more plain accesses");
});

Deno.test("steps that repeat are folded, and so is the schedule to replay", async () => {
  const { message, replay, steps } = await fails("livelock", {
    setup: () => new Int32Array(shared(8)),
    threads: {
      a(w) {
        while (Atomics.load(w, 1) === 0) {
          Atomics.add(w, 0, 1);
          Atomics.sub(w, 0, 1);
        }
      },
    },
    maxSteps: 600,
  });
  assertEquals(steps.length, 600);
  assertStringIncludes(message, "... these 3 steps again, 199 times ...");
  assert(message.split("\n").length < 20, message);
  assertEquals(replay, "a600");
});

Deno.test("runs that repeat are written once, and read back", () => {
  const runs = decodeSchedule("a2(a1b1)3c1");
  assertEquals(runs.join(""), "000101012");
  for (const wrong of ["(a1b1)", "a", "(a1(b1)2)2", "()3", "a1)2"]) {
    assertThrows(() => decodeSchedule(wrong), TypeError, "Cannot replay");
  }
});

Deno.test("a schedule with repeated switches replays to the same failure", async () => {
  const model = {
    setup: () => new Int32Array(shared(8)),
    threads: {
      a(w: Int32Array) {
        for (let i = 0; i < 6; i++) {
          while (Atomics.load(w, 0) !== 2 * i) Atomics.pause();
          Atomics.store(w, 0, 2 * i + 1);
        }
      },
      b(w: Int32Array) {
        for (let i = 0; i < 6; i++) {
          while (Atomics.load(w, 0) !== 2 * i + 1) Atomics.pause();
          Atomics.store(w, 0, 2 * i + 2);
        }
        throw new Error("at the end");
      },
    },
  };
  const first = await fails("exception", model);
  assertMatch(first.replay, /\([a-h\d]+\)\d+/);
  const again = await fails("exception", { ...model, replay: first.replay });
  assertEquals(again.replay, first.replay);
  assertEquals(again.steps, first.steps);
});

Deno.test("a good program pays nothing for names", async () => {
  const report = await explore({
    setup: () => ({ word: new Int32Array(shared(4)) }),
    threads: { a: ({ word }) => Atomics.add(word, 0, 1) },
  });
  assertEquals(report.complete, true);
});

Deno.test("a state or a result may lead back to itself", async () => {
  interface Node {
    readonly word: Int32Array;
    self?: Node;
  }
  const report = await explore({
    setup(): Node {
      const node: Node = { word: new Int32Array(shared(4)) };
      node.self = node;
      return node;
    },
    threads: { a: ({ word }) => Atomics.add(word, 0, 1) },
    check: ({ word }) => assertEquals(word[0], 1),
  });
  assertEquals(report.complete, true);
});

/** The data in a page. */
function dataOf(html: string): {
  steps: { operation: string; accesses: { text: string }[] }[];
  words: { name: string; initial: string; writes: { step: number; value: string }[] }[];
} {
  return JSON.parse(
    html.match(/<script type="application\/json" id="data">([^]*?)<\/script>/)![1]!,
  );
}

Deno.test("the page has memory at each step", async () => {
  const error = await fails("assertion", {
    setup: bank,
    threads: { a: (state) => transfer(state, 1), b: (state) => transfer(state, 2) },
    check: checkSum,
  });
  const html = error.toHtml();
  const { steps, words } = dataOf(html);
  assertEquals(steps.length, error.steps.length);
  assertEquals(words.map(({ name }) => name), [
    "balance[0]",
    "balance[1]",
    "balance[2]",
    "mutex[0]",
  ]);
  assertEquals(words.map(({ initial }) => initial), ["100", "100", "100", "0"]);
  // Both read 100, so the change of the first is lost.
  assertEquals(words[0]!.writes.map(({ value }) => value), ["97.5", "97.5"]);
  const written = words[0]!.writes.map(({ step }) => steps[step]!.accesses[0]!.text);
  assertEquals(written, ["write balance[0] ← 97.5", "write balance[0] ← 97.5"]);
  assertEquals(html.match(/class="event"/g)?.length, steps.length);
  assert(!/src=|href=|url\(http/.test(html), "nothing is loaded");
});

Deno.test("a page shows hostile text as text", async () => {
  const hostile = "</script><script>alert(1)</script><b>&\"'";
  const error = await fails("exception", {
    setup: () => ({ [hostile]: new Int32Array(shared(4)) }),
    threads: {
      a(state) {
        Atomics.add(state[hostile]!, 0, 1);
        throw new Error(hostile);
      },
    },
  });
  const html = error.toHtml();
  assertEquals(html.match(/<script/g)?.length, 2);
  assert(!html.includes("<b>"));
  assertEquals(dataOf(html).words[0]!.name, `${hostile}[0]`);
});

Deno.test("plain accesses before a thread's first operation stand above it", async () => {
  const { message } = await fails("exception", {
    setup: () => new Int32Array(shared(8)),
    threads: {
      a(w) {
        w[1] = 7;
        Atomics.add(w, 0, 1);
        throw new Error("shown");
      },
    },
  });
  const rows = message.split("\n").filter((row) => row.includes("state["));
  assertMatch(rows[0]!, /^ +write state\[1\] ← 7/);
  assertMatch(rows[1]!, /^ 1 add state\[0\] 1: saw 0/);
});
