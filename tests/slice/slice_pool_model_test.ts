/**
 * The slice pool as shipped, under every schedule that matters, and broken twins of it.
 *
 * The bytes of slices are accessed plainly, so a slot that is reused too early is a race. In each
 * model there are pools of slots of one byte each; an owner, and one to three other threads. At its
 * end all slices must have been released.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Slice, SlicePool, SliceReceiver, StaleSliceError } from "@busbar/busbar";
import { spawn } from "@busbar/busbar/model";
import { IDENTITY, LIVING } from "../../src/slice/layout.ts";
import { racyLoad } from "../../src/memory/memory.ts";
import { mortal } from "../dying.ts";
import { tampered } from "../tamper.ts";
import { fails, passes } from "../verdicts.ts";
import { awaitBox, fetch, model, owner, post, type State, take, use, user } from "./models.ts";

/** Sends two slices, and then writes two messages, which go wherever there is room. */
const reuse = owner((pool, boxes) => {
  post(boxes, 0, take(pool, 1));
  post(boxes, 1, take(pool, 2));
  const [third, fourth] = [take(pool, 3), take(pool, 4)];
  const slots = [third.slot, fourth.slot].join();
  use(third, 3);
  use(fourth, 4);
  return slots;
});

/** Sends the first and the last of three slices, and writes a message of two bytes meanwhile. */
const changeModes = owner((pool, boxes) => {
  const [first, second, third] = [take(pool, 1), take(pool, 2), take(pool, 3)];
  post(boxes, 0, first);
  post(boxes, 1, third);
  pool.append(new Uint8Array([4]));
  const before = pool.mode;
  use(second, 2);
  pool.append(new Uint8Array([5]));
  const after = pool.mode;
  const slice = pool.take();
  assertEquals([slice.array[slice.byteOffset], slice.array[slice.byteOffset + 1]], [4, 5]);
  slice.release();
  return `${before} ${after}`;
});

/** The two threads that the owner sends slices to. */
const users = { first: user(1, 0, 1), second: user(2, 1, 2) };

Deno.test("slice pool: releases on two threads against a request that looks for freed slots", async () => {
  const slots = new Set<string>();
  await passes(model(2, { reuse, ...users }, (_, { reuse }) => void slots.add(reuse)));
  assertEquals(slots, new Set(["-1,-1", "-1,0", "-1,1", "0,-1", "0,1", "1,-1", "1,0"]));
});

Deno.test("slice pool: a release while the mode changes", async () => {
  const modes = new Set<string>();
  const threads = { changeModes, first: user(1, 0, 1), third: user(2, 1, 3) };
  await passes(model(3, threads, (_, { changeModes }) => void modes.add(changeModes)));
  assertEquals(
    modes,
    new Set(["alloc alloc", "alloc back", "back back", "front back", "front front"]),
  );
});

Deno.test("slice pool: a slice goes to a second thread, and from there to a third", async () => {
  await passes(model(1, {
    owner: owner((pool, boxes) => {
      post(boxes, 0, take(pool, 1));
      use(take(pool, 2), 2);
    }),
    second({ handle, boxes }: State) {
      awaitBox(boxes, 0);
      using receiver = SliceReceiver.attach(handle, { thread: 1 });
      const slice = fetch(receiver, boxes, 0);
      slice.array[slice.byteOffset] = 3;
      post(boxes, 1, slice);
    },
    third: user(2, 1, 3),
  }));
});

/** Sends a slice without telling any thread. */
const sendSilently = owner((pool) => {
  take(pool, 1).detachInto(new Int32Array(4), 0);
});

/** Adopts the first slice that is sent, if it was: the words are known beforehand. */
function guess(thread: number) {
  return ({ handle }: State): number => {
    const header = new Int32Array(handle.memory.buffer, handle.byteOffset);
    const receiver = SliceReceiver.attach(handle, { thread });
    let slice: Slice;
    try {
      slice = receiver.adoptFrom(new Int32Array([0, 0, 1, header[IDENTITY]! ^ 1]), 0);
    } catch (error) {
      if (!(error instanceof StaleSliceError)) throw error;
      return 0;
    }
    use(slice, 1);
    return 1;
  };
}

/** A model in which up to two threads adopt a slice at any time; notes how many succeed. */
function guessing(
  threads: Record<string, (state: State) => number | void>,
  counts: Set<number> = new Set(),
) {
  const { check: _, ...rest } = model(1, threads);
  return {
    ...rest,
    check(_: State, results: Record<string, number | void>) {
      counts.add(Object.values(results).reduce<number>((sum, count) => sum + (count ?? 0), 0));
      assert(!counts.has(2), "a slice was adopted twice");
    },
  };
}

Deno.test("slice pool: of two threads that adopt the same slice one gets it", async () => {
  const counts = new Set<number>();
  await passes(guessing({ sendSilently, a: guess(1), b: guess(2) }, counts));
  assertEquals(counts, new Set([0, 1]));
});

Deno.test("slice pool: a thread that dies anywhere leaves nothing that cannot be reclaimed", async () => {
  const reclaimed = new Set<string>();
  for (let life = 0, hasDied = true; hasDied; life++) {
    hasDied = false;
    const victim = mortal(life, ({ handle, boxes }: State) => {
      const receiver = SliceReceiver.attach(handle, { thread: 1 });
      use(fetch(receiver, boxes, 0), 1);
      fetch(receiver, boxes, 1).detachInto(new Int32Array(4), 0); // lost, whether it dies or not
      receiver.close();
    });
    await passes(model(3, {
      owner: owner((pool, boxes) => {
        for (const box of [0, 1, 2]) post(boxes, box, take(pool, box + 1));
        const { hasDied } = spawn(() => victim({ handle: pool.handle, boxes }), "victim").join();
        const held = pool.isAttached(1) ? pool.reclaim(1) : 0;
        const flying = pool.reclaimDetached();
        use(take(pool, 9), 9);
        return { hasDied, reclaimed: `${held} ${flying}` };
      }),
      other({ handle, boxes }: State) {
        awaitBox(boxes, 2);
        using receiver = SliceReceiver.attach(handle, { thread: 2 });
        try {
          use(fetch(receiver, boxes, 2), 3);
        } catch (error) {
          if (!(error instanceof StaleSliceError)) throw error;
        }
      },
    }, (_, { owner }) => {
      hasDied ||= owner.hasDied;
      reclaimed.add(owner.reclaimed);
    }));
  }
  assertEquals(reclaimed, new Set(["0 3", "0 2", "0 1", "1 2", "1 1", "1 0"]));
});

/** Becomes the owner if there is none, writes a message, and gives the pool up. */
function own({ handle }: State): number {
  let pool: SlicePool;
  try {
    pool = SlicePool.attach(handle);
  } catch (error) {
    assertStringIncludes(String(error), "has an owner");
    return 0;
  }
  use(take(pool, 1), 1);
  pool.close();
  return 1;
}

Deno.test("slice pool: of two threads that become the owner one does, or one after the other", async () => {
  const counts = new Set<number>();
  await passes(model(1, { a: own, b: own }, (_, { a, b }) => void counts.add(a + b)));
  assertEquals(counts, new Set([1, 2]));
});

// --- broken twins ---------------------------------------------------------------------------

/** A body whose operations on the word of living slices differ. */
function tamperedLiving<Result>(
  body: (state: State) => Result,
  name: "and" | "load" | "or",
  wrong: (view: Int32Array, index: number, value: number) => number,
): (state: State) => Result {
  return tampered(body, (proper) => ({
    [name](view: Int32Array, index: number, value: number) {
      const perform = index === LIVING ? wrong : proper[name] as typeof wrong;
      return perform(view, index, value);
    },
  }));
}

/** The two users, with another way to clear a bit. */
function usersWith(clear: (view: Int32Array, index: number, mask: number) => number) {
  return {
    first: tamperedLiving(users.first, "and", clear),
    second: tamperedLiving(users.second, "and", clear),
  };
}

Deno.test("broken twin: a bit that is cleared by a plain store is a race", async () => {
  const clear = (view: Int32Array, index: number, mask: number) => view[index]! &= mask;
  await fails("data race", model(2, { reuse, ...usersWith(clear) }));
});

Deno.test("broken twin: a bit that is cleared by a load and a store loses others", async () => {
  const clear = (view: Int32Array, index: number, mask: number) =>
    Atomics.store(view, index, Atomics.load(view, index) & mask);
  await fails(["exception", "assertion", "data race"], model(2, { reuse, ...usersWith(clear) }));
});

Deno.test("broken twin: a slot that is reused before its bit is clear", async () => {
  const early = tampered(reuse, (proper) => {
    let looks = 0; // the fourth comes after those of attach, and of the two slices that are sent
    return {
      load(view: Int32Array, index: number) {
        const living = proper.load(view, index);
        return index === LIVING && ++looks === 4 ? living & ~1 : living;
      },
    };
  });
  await fails(["data race", "exception"], model(2, { early, ...users }));
});

Deno.test("broken twin: a look that gives no order, as the seed's relaxed one, is a race", async () => {
  const relaxed = tamperedLiving(reuse, "load", racyLoad);
  await fails("data race", model(2, { relaxed, ...users }));
});

Deno.test("broken twin: a bit that is cleared before the last access is a race", async () => {
  const hasty = ({ handle, boxes }: State) => {
    awaitBox(boxes, 0);
    const slice = fetch(SliceReceiver.attach(handle, { thread: 1 }), boxes, 0);
    const { array, byteOffset } = slice;
    slice.release();
    return array[byteOffset];
  };
  await fails("data race", model(2, { reuse, hasty, second: users.second }));
});

Deno.test("broken twin: a slice that is given away by a plain store is a race", async () => {
  const plainly = tampered(sendSilently, () => ({
    store: (view: Int32Array, index: number, value: number) => view[index] = value,
  }));
  await fails("data race", guessing({ plainly, a: guess(1) }));
});

Deno.test("broken twin: a slice that is adopted by a load and a store has two owners", async () => {
  const adopt = (thread: number) =>
    tampered(guess(thread), (proper) => ({
      compareExchange(view: Int32Array, index: number, expected: number, value: number) {
        const before = proper.load(view, index);
        if (before === expected) proper.store(view, index, value);
        return before;
      },
    }));
  await fails(["data race", "assertion"], guessing({ sendSilently, a: adopt(1), b: adopt(2) }));
});

Deno.test("broken twin: an owner that attaches by a load and a store is not alone", async () => {
  const careless = tampered(own, (proper) => ({
    or(view: Int32Array, index: number, value: number) {
      const before = proper.load(view, index);
      proper.store(view, index, before | value);
      return before;
    },
  }));
  await fails(["data race", "exception", "assertion"], model(1, { a: careless, b: careless }));
});
