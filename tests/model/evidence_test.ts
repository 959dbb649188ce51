import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { explore, record, spawn } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const add = (w: Int32Array) => Atomics.add(w, 0, 1);

// --- code that has not run ----------------------------------------------------------------------

Deno.test("a body whose code has not run fails, naming what it returned", async () => {
  const bodies: [body: (w: Int32Array) => unknown, what: string][] = [
    [(w) =>
      (function* () {
        yield add(w);
      })(), "a generator"],
    [(w) =>
      (async function* () {
        yield await add(w);
      })(), "a generator"],
    [() => add, "a function"],
    [(w) => [0, 1].values().map(() => add(w)), "iterator"],
    [(w) => [0, 1].map(async () => await add(w)), "promises that nothing awaits"],
  ];
  for (const [body, what] of bodies) {
    const { message } = await fails("misuse", { setup: words, threads: { a: body, b: add } });
    assertStringIncludes(message, "Thread a returned");
    assertStringIncludes(message, what);
  }
});

Deno.test("a check, an invariant or a condition whose code has not run fails", async () => {
  const model = { setup: words, threads: { a: add, b: add } };
  const throws = () => {
    throw new Error("it runs");
  };
  const unrun: [code: () => unknown, what: string][] = [
    [() =>
      (function* () {
        yield throws();
      })(), "a generator"],
    [() => throws, "a function"],
    [() => [Promise.resolve()], "promises that nothing awaits"],
  ];
  for (const [code, what] of unrun) {
    for (
      const [judge, name] of [
        [{ check: code as () => void }, "Check"],
        [{ check: (async () => await code()) as () => Promise<void> }, "Check"],
        [{ invariant: code as () => void }, "The invariant"],
        [{ reaches: { end: code as () => boolean } }, 'Condition "end"'],
      ] as const
    ) {
      const { message } = await fails("misuse", { ...model, ...judge });
      assertStringIncludes(message, `${name} returned ${what}`);
    }
  }
  for (
    const judge of [
      { invariant: (() => Promise.reject(new Error("later"))) as () => never },
      { reaches: { end: (() => Promise.reject(new Error("later"))) as () => never } },
    ]
  ) {
    const { message } = await fails("misuse", { ...model, ...judge });
    assertStringIncludes(message, "returned a promise");
  }
});

Deno.test("a check may return any thenable, and a condition nothing but booleans", async () => {
  const model = { setup: words, threads: { a: add, b: add } };
  const later = (ending: (resolve: () => void, reject: (error: Error) => void) => void) =>
    ({ then: ending }) as unknown as Promise<void>;
  await explore({ ...model, check: () => later((resolve) => resolve()) });
  const { message } = await fails("assertion", {
    ...model,
    check: () => later((_, reject) => reject(new Error("thrown later"))),
  });
  assertStringIncludes(message, "thrown later");
  await fails("misuse", { ...model, reaches: { end: (w) => w[0] as unknown as boolean } });
  await assertRejects(
    () => explore({ ...model, reaches: { end: "a wins" as unknown as () => boolean } }),
    TypeError,
    "expected reaches to be an object of synchronous functions",
  );
});

// --- nothing that could be judged ---------------------------------------------------------------

Deno.test("a thread without an operation or an access fails, whatever the others do", async () => {
  const idle: ((w: Int32Array) => unknown)[] = [
    () => {},
    async () => await Promise.resolve(),
    (w) => new Uint8Array(w.buffer, 4).length,
  ];
  for (const body of idle) {
    const { message } = await fails("misuse", { setup: words, threads: { a: add, b: body } });
    assertStringIncludes(message, "Thread b touched no shared memory: did it run?");
  }
  await fails("misuse", { setup: words, threads: { a: () => {}, b: () => {} } });
});

Deno.test("a plain access, a pause or a spawned thread is enough", async () => {
  const { complete, transitions } = await explore({
    setup: words,
    threads: { reader: (w) => w[0], writer: (w) => w[1] = 1 },
  });
  assertEquals([complete, transitions], [true, 0]);
  await explore({ setup: words, threads: { a: () => Atomics.pause(), b: add } });
  await explore({ setup: words, threads: { parent: (w) => spawn(() => add(w)).join() } });
});

Deno.test("an invariant is checked in a model without a step, too", async () => {
  await fails("assertion", {
    setup: words,
    threads: { a: (w) => w[0] = 1 },
    invariant: (w) => assertEquals(w[0], 0),
  });
});

Deno.test("a specification with which nothing is compared fails", async () => {
  const linearizable = { initial: 0, apply: (sum: number) => [sum + 1, sum] as const };
  const model = { setup: words, linearizable };
  const { message, steps } = await fails("misuse", { ...model, threads: { a: add, b: add } });
  assertStringIncludes(message, "no thread made a call with `record`");
  assertEquals(steps, []);
  assert(!message.includes("Schedule"), message);
  // Calls in one of several executions are enough.
  const sometimes = (w: Int32Array) => {
    if (Atomics.load(w, 1) === 1) record("add", [], () => add(w));
  };
  const { complete } = await explore({
    ...model,
    threads: { sometimes, other: (w) => Atomics.store(w, 1, 1) },
  });
  assertEquals(complete, true);
});

// --- conditions that must be reached ------------------------------------------------------------

const claim = (w: Int32Array) => Atomics.compareExchange(w, 0, 0, 1) === 0;

Deno.test("conditions that some execution meets pass, each in one of its own", async () => {
  const met: string[] = [];
  const reach = (name: string, isMet: boolean) => {
    if (isMet) met.push(name);
    return isMet;
  };
  const { complete } = await explore({
    setup: words,
    threads: { a: claim, b: claim },
    reaches: {
      "a wins": (_, { a }) => reach("a", a),
      "b wins": (_, { b }) => reach("b", b),
    },
  });
  assertEquals([complete, met], [true, ["a", "b"]]);
});

Deno.test("a condition that no execution meets fails by name, in a sample, too", async () => {
  const model = {
    setup: words,
    threads: { a: claim, b: claim },
    reaches: {
      "one wins": (_: Int32Array, { a, b }: { a: boolean; b: boolean }) => a || b,
      "both win": (_: Int32Array, { a, b }: { a: boolean; b: boolean }) => a && b,
    },
  };
  const { message, report } = await fails("unreached", model);
  assertMatch(message, /^unreached: No execution reached "both win": 2 were visited$/);
  assertEquals(report.complete, false);
  const sampled = await fails("unreached", { ...model, strategy: "pct", executions: 10 });
  assertStringIncludes(sampled.message, "10 were visited");
  // A limit and a replay judge nothing.
  await explore({ ...model, maxExecutions: 1, allowIncomplete: true });
  await explore({ ...model, replay: "a1b1", allowIncomplete: true });
});

Deno.test("a condition that throws is an assertion with its schedule", async () => {
  const { replay } = await fails("assertion", {
    setup: words,
    threads: { a: claim, b: claim },
    reaches: {
      never(_, { b }) {
        if (b) throw new Error("b has won");
        return false;
      },
    },
  });
  assertEquals(replay, "b1a1");
});
