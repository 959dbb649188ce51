/**
 * The value set as shipped, under every schedule that matters, and broken twins of it.
 *
 * The values of most models lie in two words. What belongs to a value is written plainly before the
 * value is put, and changed plainly by the thread that has taken it: two that have it at once race.
 * How the set serves a waiter queue is explored in `value_store_model_test.ts`.
 *
 * @module
 */

import { ValueSet, type ValueSetHandle } from "@busbar/busbar";
import {
  explore,
  type ExploreOptions,
  programs,
  record,
  type Specification,
  type Threads,
  threadsOf,
} from "@busbar/busbar/model";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { sharedWords } from "./models.ts";

interface State {
  readonly handle: ValueSetHandle;
  /** What belongs to each value. */
  readonly payload: Int32Array;
}

/** The values that a body took, and keeps. */
type Body = (state: State) => number[];

/** Three words of values. */
const CAPACITY = 96;
/** The first word of the bitmap, and the last. */
const BITMAP = 16;
const LAST_WORD = 18;

const setup = (initial: number[]) => (): State => {
  const set = ValueSet.create({ capacity: CAPACITY });
  for (const value of initial) set.put(value);
  return { handle: set.handle, payload: sharedWords(CAPACITY) };
};

/** All values that are in the set. */
function drain(set: ValueSet): number[] {
  const value = set.take();
  return value === undefined ? [] : [value, ...drain(set)];
}

/** Puts values, once their payload is written. */
const put = (...values: number[]): Body => ({ handle, payload }) => {
  const set = ValueSet.attach(handle);
  for (const value of values) {
    payload[value] = 10;
    set.put(value);
  }
  return [];
};

/** Tries to take so often, and keeps what it gets. */
const take = (times: number): Body => ({ handle, payload }) => {
  const set = ValueSet.attach(handle);
  const taken: number[] = [];
  for (let i = 0; i < times; i++) {
    const value = set.take();
    if (value === undefined) continue;
    payload[value]! += 1;
    taken.push(value);
  }
  return taken;
};

/** Takes a value and puts it back, so often. */
const borrow = (times: number): Body => ({ handle, payload }) => {
  const set = ValueSet.attach(handle);
  for (let i = 0; i < times; i++) {
    const value = set.take();
    if (value === undefined) continue;
    payload[value]! += 1;
    set.put(value);
  }
  return [];
};

/** Each of the values is in the set in the end or was taken by one thread. */
function conserving(
  values: number[],
  initial: number[],
  threads: Record<string, Body>,
): ExploreOptions<State, Threads<State>> {
  return {
    setup: setup(initial),
    threads,
    check({ handle }, results) {
      const set = ValueSet.attach(handle);
      const [size, left] = [set.size, drain(set)];
      assertEquals(left.length, size);
      const taken = (Object.values(results) as number[][]).flat();
      assertEquals([...left, ...taken].sort((a, b) => a - b), values);
    },
  };
}

for (
  const [what, values, initial, threads] of [
    ["2 put into one word, 1 takes", [0, 31], [], { a: put(0), b: put(31), c: take(2) }],
    ["2 put into two words, 1 takes", [0, 32], [], { a: put(0), b: put(32), c: take(2) }],
    ["1 puts, 2 take", [0, 32], [], { a: put(0, 32), b: take(1), c: take(1) }],
    ["3 take from one word", [0, 1], [0, 1], { a: take(1), b: take(1), c: take(1) }],
    ["2 put and take", [0, 1, 32, 33], [1, 33], {
      a: (state) => [...put(32)(state), ...take(1)(state)],
      b: (state) => [...put(0)(state), ...take(2)(state)],
    }],
    ["2 take and put back", [0, 32], [0, 32], { a: borrow(2), b: borrow(2) }],
    ["3 take and put back", [0, 32], [0, 32], { a: borrow(1), b: borrow(1), c: borrow(1) }],
    ["3 share 1 value", [32], [32], { a: borrow(1), b: borrow(1), c: borrow(1) }],
  ] as [string, number[], number[], Record<string, Body>][]
) {
  Deno.test(`value set: each value has one owner, which sees its payload: ${what}`, async () => {
    await passes(conserving(values, initial, threads));
  });
}

/** Two threads put the same value: one does, the other is refused. */
function doublyPut(): ExploreOptions<State, Threads<State>> {
  const body = ({ handle }: State): string => {
    try {
      ValueSet.attach(handle).put(32);
      return "put";
    } catch (error) {
      return (error as Error).message;
    }
  };
  return {
    setup: setup([]),
    threads: { a: body, b: body },
    check({ handle }, results) {
      const [refused, done] = Object.values(results).toSorted();
      assertStringIncludes(
        refused,
        "Cannot put value 32 into the value set as it is in it already",
      );
      assertEquals([done, drain(ValueSet.attach(handle))], ["put", [32]]);
    },
  };
}

Deno.test("value set: of two threads that put the same value, one is refused", async () => {
  await passes(doublyPut());
});

// --- `undefined` means that the set was empty -------------------------------------------------

/** How many values there are: which one is taken is not promised. */
const counted = (initial: number): Specification<number> => ({
  initial,
  apply(count, name) {
    if (name === "put") return [count + 1, true];
    return count > 0 ? [count - 1, true] : [0, false];
  },
});

/** A put of this value, or a take. */
type Call = number | "take";

function perform({ handle }: State, call: Call): boolean {
  const set = ValueSet.attach(handle);
  if (call === "take") return record("take", [], () => set.take() !== undefined);
  return record("put", [call], () => {
    set.put(call);
    return true;
  });
}

/** Some order of the calls explains which takes found the set empty. */
function linearizable(
  initial: number[],
  program: Call[][],
): ExploreOptions<State, Threads<State>> {
  return {
    setup: setup(initial),
    threads: threadsOf(program, perform),
    linearizable: counted(initial.length),
  };
}

/** A value comes in behind the scan of `a`, and another leaves ahead of it. */
const OVERTAKEN: Call[][] = [["take"], [0, "take"]];

for (
  const [initial, program] of [
    [[32], OVERTAKEN],
    [[32], [...OVERTAKEN, ["take"]]],
    [[32], [...OVERTAKEN, ["take"], ["take"]]],
    [[64], [["take"], [32, "take"], [0, "take"]]],
    [[], [[32, "take"], [0, "take"], ["take"]]],
    [[32, 64], [["take", "take"], [0, "take"], ["take"]]],
    [[], [[64, 0, "take"], ["take", "take"]]],
  ] as [number[], Call[][]][]
) {
  const calls = program.map((calls) => calls.join(" ")).join(" | ");
  Deno.test(`value set: none is empty beside a value: of ${initial.length}, ${calls}`, async () => {
    await passes(linearizable(initial, program));
  });
}

Deno.test("value set: none is empty beside a value: random programs", async () => {
  const word = fc.nat(2);
  const call = fc.oneof(word, fc.constant("take" as const));
  await fc.assert(
    fc.asyncProperty(
      fc.array(word, { maxLength: 2 }),
      programs(fc, { call, calls: 2 }),
      async (words, program) => {
        // A running number keeps values of the same word apart, so that none is put twice.
        let count = 0;
        const valueOf = (word: number) => word * 32 + count++;
        const initial = words.map(valueOf);
        const calls = program.map((thread) =>
          thread.map((call) => call === "take" ? call : valueOf(call))
        );
        await explore(linearizable(initial, calls));
      },
    ),
    { numRuns: 100 },
  );
});

// --- broken twins ---------------------------------------------------------------------------

/** What a twin gets wrong, out of the proper operations. */
type Wrong = Parameters<typeof tampered>[1];

/** The same model, with threads that get operations wrong. */
function broken(
  model: ExploreOptions<State, Threads<State>>,
  ...wrongs: Wrong[]
): ExploreOptions<State, Threads<State>> {
  const threads = Object.entries(model.threads).map(([name, body], i) =>
    [name, tampered(body, wrongs[i % wrongs.length]!)] as const
  );
  return { ...model, threads: Object.fromEntries(threads) };
}

Deno.test("broken twin: a put by a load and a store loses a value of another thread", async () => {
  const model = conserving([0, 31], [], { a: put(0), b: put(31) });
  await fails(
    "assertion",
    broken(model, (proper) => ({
      or(view: Int32Array, index: number, bits: number) {
        const before = proper.load(view, index);
        proper.store(view, index, before | bits);
        return before;
      },
    })),
  );
});

Deno.test("broken twin: a put by a plain write is a race", async () => {
  const model = conserving([0], [], { a: put(0), b: take(1) });
  const error = await fails(
    "data race",
    broken(model, () => ({
      or(view: Int32Array, index: number, bits: number) {
        const before = view[index]!;
        view[index] = before | bits;
        return before;
      },
    })),
  );
  assert(error.message.includes("value_set.values[0]"), error.message);
});

Deno.test("broken twin: a put that does not ask what it found hides that it is the second", async () => {
  const model = doublyPut();
  await fails(
    "assertion",
    broken(model, (proper) => ({
      or(view: Int32Array, index: number, bits: number) {
        proper.or(view, index, bits);
        return 0;
      },
    })),
  );
});

Deno.test("broken twin: a take by a load and a store gives two threads the same value", async () => {
  const model = conserving([0], [0], { a: take(1), b: take(1) });
  await fails(
    "data race",
    broken(model, (proper) => ({
      and(view: Int32Array, index: number, bits: number) {
        const before = proper.load(view, index);
        proper.store(view, index, before & bits);
        return before;
      },
    })),
  );
});

Deno.test("broken twin: a take that does not ask what it found gives two threads the same value", async () => {
  const model = conserving([0], [0], { a: take(1), b: take(1) });
  await fails(
    "data race",
    broken(model, (proper) => ({
      and: (view: Int32Array, index: number, bits: number) => proper.and(view, index, bits) | ~bits,
    })),
  );
});

Deno.test("broken twin: a take that leaves a word once it came too late for a bit misses another", async () => {
  const model = linearizable([0, 1], [["take"], ["take"]]);
  await fails(
    "not linearizable",
    broken(model, (proper) => ({
      and(view: Int32Array, index: number, bits: number) {
        const before = proper.and(view, index, bits);
        return (before & ~bits) === 0 ? 0 : before;
      },
    })),
  );
});

Deno.test("broken twin: a take that stops at the first empty word misses the values behind", async () => {
  const model = linearizable([], [[0, 32], ["take", "take"]]);
  await fails(
    "not linearizable",
    broken(model, (proper) => {
      let isStopped = false;
      return {
        load(view: Int32Array, index: number) {
          if (index === BITMAP) isStopped = false;
          const word = isStopped ? 0 : proper.load(view, index);
          isStopped ||= word === 0;
          return word;
        },
      };
    }),
  );
});

Deno.test("broken twin: a take that skips the last word misses the values in it", async () => {
  const model = linearizable([], [[0, 64], ["take", "take"]]);
  await fails(
    "not linearizable",
    broken(model, (proper) => ({
      load: (view: Int32Array, index: number) => index === LAST_WORD ? 0 : proper.load(view, index),
    })),
  );
});

Deno.test("broken twin: threads that scan in opposite directions find a set empty that never was", async () => {
  // To the second thread the last word is the first: it puts its value where the other has looked,
  // and takes the one that the other has not come to.
  const model = linearizable([64], [["take"], [64, "take"]]);
  const turned = (index: number) => index < BITMAP ? index : BITMAP + LAST_WORD - index;
  await fails(
    "not linearizable",
    broken(model, () => ({}), (proper) => ({
      load: (view: Int32Array, index: number) => proper.load(view, turned(index)),
      or: (view: Int32Array, index: number, bits: number) => proper.or(view, turned(index), bits),
      and: (view: Int32Array, index: number, bits: number) => proper.and(view, turned(index), bits),
    })),
  );
});
