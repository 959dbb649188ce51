import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import {
  ExplorationError,
  explore,
  programs,
  record,
  type Specification,
  threadsOf,
} from "@busbar/busbar/model";
import type { RecordedCall } from "../../model/history.ts";
import { findViolation } from "../../model/linearizability.ts";
import { fails, words } from "./failing.ts";

const counter: Specification<number> = { initial: 0, apply: (n) => [n + 1, n] };
const register: Specification<number> = {
  initial: 0,
  apply: (n, name, [value]) => name === "write" ? [value as number, null] : [n, n],
};

Deno.test("an atomic counter is linearizable, a loaded and stored one is not", async () => {
  const right = (w: Int32Array) => record("increment", [], () => Atomics.add(w, 0, 1));
  const wrong = (w: Int32Array) =>
    record("increment", [], () => {
      const before = Atomics.load(w, 0);
      Atomics.store(w, 0, before + 1);
      return before;
    });
  const model = { setup: words, linearizable: counter };
  assert((await explore({ ...model, threads: { a: right, b: right, c: right } })).complete);
  const { message } = await fails("not linearizable", {
    ...model,
    threads: { a: wrong, b: wrong },
  });
  assertStringIncludes(message, "a: increment() → 0");
  assertStringIncludes(message, "├");
});

Deno.test("the order in real time counts, even between independent operations", async () => {
  // Each read and write is atomic, but reads use another word than writes.
  await fails("not linearizable", {
    setup: words,
    linearizable: register,
    threads: {
      writer: (w) =>
        record("write", [1], () => {
          Atomics.store(w, 0, 1);
          return null;
        }),
      reader: (w) => record("read", [], () => Atomics.load(w, 1)),
    },
  });
});

Deno.test("calls that overlap may take effect in either order", async () => {
  const write = (value: number) => (w: Int32Array) =>
    record("write", [value], () => {
      Atomics.store(w, 0, value);
      return null;
    });
  const report = await explore({
    setup: words,
    linearizable: register,
    threads: {
      a: write(1),
      b: write(2),
      reader: (w) => [1, 2].map(() => record("read", [], () => Atomics.load(w, 0))),
    },
  });
  assert(report.complete);
});

Deno.test("recording outside a simulated thread throws", () => {
  try {
    record("read", [], () => 0);
  } catch (error) {
    assertStringIncludes((error as Error).message, "no simulated thread is running");
    return;
  }
  throw new Error("expected an error");
});

/** Whether one of all orders of a history is allowed, by trying each. */
function linearizableByBruteForce<S>(
  calls: readonly RecordedCall[],
  spec: Specification<S>,
): boolean {
  const search = (left: readonly RecordedCall[], state: S): boolean =>
    left.length === 0 || left.some((call) => {
      if (left.some((other) => other !== call && other.end < call.begin)) return false;
      const [next, result] = spec.apply(state, call.name, call.args);
      return result === call.result && search(left.filter((other) => other !== call), next);
    });
  return search(calls, spec.initial);
}

Deno.test("the search agrees with a test of every order", () => {
  const call = fc.record({
    name: fc.constantFrom("write", "read"),
    value: fc.integer({ min: 0, max: 2 }),
    begin: fc.integer({ min: 0, max: 12 }),
    length: fc.integer({ min: 1, max: 6 }),
  });
  let yes = 0;
  const property = fc.property(fc.array(call, { maxLength: 6 }), (calls) => {
    const history = calls.map(({ name, value, begin, length }, i): RecordedCall => ({
      thread: `t${i}`,
      name,
      args: name === "write" ? [value] : [],
      result: name === "write" ? null : value,
      begin: 2 * begin,
      end: 2 * (begin + length) + 1,
    }));
    const expected = linearizableByBruteForce(history, register);
    if (expected) yes++;
    assertEquals(findViolation(history, register) === undefined, expected);
  });
  fc.assert(property, { numRuns: 1000 });
  assert(yes > 100 && yes < 900, `${yes} of 1000 were linearizable`);
});

// --- programs ---------------------------------------------------------------------------------

const call = fc.oneof(
  fc.record({ name: fc.constant("write" as const), value: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ name: fc.constant("read" as const), value: fc.constant(0) }),
);

/** A register of two words: a writer writes both, a reader reads one or both. */
const property = (read: (w: Int32Array) => number) =>
  fc.asyncProperty(programs(fc, { call, calls: 2 }), async (program) => {
    await explore({
      setup: words,
      linearizable: register,
      threads: threadsOf(
        program,
        (w: Int32Array, { name, value }) =>
          name === "read" ? record(name, [], () => read(w)) : record(name, [value], () => {
            Atomics.store(w, 0, value);
            Atomics.store(w, 1, value);
            return null;
          }),
      ),
    });
  });

Deno.test("a property over programs holds for all small programs and all schedules", async () => {
  await fc.assert(property((w) => Atomics.load(w, 0)), { numRuns: 40 });
});

Deno.test("a counterexample is a small program with a short schedule", async () => {
  let smallest: readonly (readonly unknown[])[] = [];
  const mixed = property((w) => Math.max(Atomics.load(w, 0), Atomics.load(w, 1)));
  const error = await assertRejects(async () => {
    const result = await fc.check(mixed, { numRuns: 300, seed: 5 });
    smallest = (result.counterexample as [typeof smallest] | null)?.[0] ?? [];
    throw result.errorInstance;
  }, ExplorationError);
  assert(smallest.flat().length <= 5, JSON.stringify(smallest));
  assert(error.steps.length <= 20, error.message);
});
