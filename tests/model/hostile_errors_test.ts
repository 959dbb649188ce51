/** Errors whose own code throws, or does more than it should: the failure keeps its schedule. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { record, throws } from "@busbar/busbar/model";
import { fails, words } from "./failing.ts";

const explode = (): never => {
  throw new Error("exploded");
};

/** Errors by what is wrong with them, and a part of the text that stands for each. */
const hostile: [name: string, create: (w: Int32Array) => unknown, text: string][] = [
  [
    "message getter",
    () => Object.defineProperty(new Error(), "message", { get: explode }),
    "an error whose text cannot be read",
  ],
  [
    "message without a text",
    () => Object.defineProperty(new Error(), "message", { value: { toString: explode } }),
    "an error whose text cannot be read",
  ],
  ["no prototype", () => Object.create(null), "{}"],
  ["toString", () => ({ toString: explode, code: 5 }), "code: 5"],
  [
    "proxy",
    () => new Proxy({}, { get: explode, getPrototypeOf: explode, ownKeys: explode }),
    "cannot be",
  ],
  ["symbol", () => Symbol("odd"), "Symbol(odd)"],
  ["nothing", () => undefined, "undefined"],
  [
    "message that uses Atomics",
    (w) =>
      Object.defineProperty(new Error(), "message", {
        get: () => `word 0 was ${Atomics.add(w, 0, 5)}`,
      }),
    "word 0 was 1",
  ],
  [
    "message that waits",
    (w) =>
      Object.defineProperty(new Error(), "message", {
        get: () => Atomics.wait(w, 0, Atomics.load(w, 0)),
      }),
    "an error whose text cannot be read",
  ],
];

const throwing = (create: (w: Int32Array) => unknown) => (w: Int32Array) => {
  throw create(w);
};

for (const [name, create, text] of hostile) {
  Deno.test(`a failure keeps its schedule if an error is hostile: ${name}`, async () => {
    const add = (w: Int32Array) => Atomics.add(w, 0, 1);
    const failures = [
      await fails("exception", {
        setup: words,
        threads: {
          a(w) {
            add(w);
            throwing(create)(w);
          },
        },
      }),
      await fails("exception", {
        setup: words,
        threads: {
          async a(w: Int32Array) {
            await Promise.resolve();
            add(w);
            throwing(create)(w);
          },
        },
      }),
      await fails("assertion", { setup: words, threads: { a: add }, check: throwing(create) }),
      await fails("assertion", {
        setup: words,
        threads: { a: add },
        check: (w) => Promise.resolve().then(() => throwing(create)(w)),
      }),
      await fails("assertion", { setup: words, threads: { a: add }, invariant: throwing(create) }),
    ];
    for (const { message, replay, steps } of failures) {
      assertStringIncludes(message, text);
      assertEquals([replay, steps.length], ["a1", 1]);
      // What the error did to memory is not part of the program.
      assertStringIncludes(message, "add state[0] 1: saw 0");
    }
  });

  Deno.test(`a recorded call may throw a hostile error: ${name}`, async () => {
    const { message, steps } = await fails("not linearizable", {
      setup: words,
      threads: {
        a(w) {
          try {
            record("fail", [], () => {
              Atomics.add(w, 0, 1);
              throwing(create)(w);
            });
          } catch {
            // Any error is expected.
          }
        },
      },
      linearizable: { initial: 0, apply: (state) => [state, throws(RangeError)] },
    });
    assertStringIncludes(message, `a: fail() throws`);
    assertEquals(steps.length, 3);
  });
}

Deno.test("a specification may throw a hostile error", async () => {
  const { message, steps } = await fails("misuse", {
    setup: words,
    threads: { a: (w) => record("get", [], () => Atomics.load(w, 0)) },
    linearizable: { initial: 0, apply: throwing(hostile[0]![1]) as unknown as () => [0, 0] },
  });
  assertStringIncludes(message, "The specification threw at get() in state 0: (an error whose");
  assertEquals(steps.length, 3);
});
