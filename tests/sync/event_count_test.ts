import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EventCount } from "../../mod.ts";

Deno.test("a wait with an earlier key ends at once after a notification", async () => {
  const count = EventCount.create();
  const other = EventCount.attach(count.handle);
  const [first, second] = [count.prepare(), other.prepare()];
  assertEquals(first, second);
  other.notify();
  assertEquals(count.wait(first), true);
  assertEquals(await other.waitAsync(second), true);
  assertEquals(count.wait(count.prepare(), { timeoutMs: 1 }), false);
});

Deno.test("a notification before prepare does not end a wait", async () => {
  const count = EventCount.create();
  count.notify();
  const key = count.prepare();
  assertEquals(count.wait(key, { timeoutMs: 0 }), false);
  assertEquals(await count.waitAsync(key, { timeoutMs: 1 }), false);
  assertThrows(
    () => count.wait(key, { timeoutMs: -1 }),
    RangeError,
    "must be a number not below 0: received -1",
  );
  await assertRejects(() => count.waitAsync(key, { timeoutMs: -1 }), RangeError);
});

Deno.test("an event count works across the sign and the wrap of its word", () => {
  const count = EventCount.create();
  const words = new Int32Array(count.handle.memory.buffer);
  for (const start of [2 ** 31 - 2, 2 ** 31 - 1, 2 ** 32 - 2, 2 ** 32 - 1]) {
    words[2] = start;
    for (let i = 0; i < 2; i++) {
      const key = count.prepare();
      assertEquals(count.wait(key, { timeoutMs: 0 }), false);
      count.notify();
      assertEquals(count.wait(key, { timeoutMs: 0 }), true);
    }
  }
});

Deno.test("until looks at its condition whenever it is notified", async () => {
  const count = EventCount.create();
  const words = new Int32Array(new SharedArrayBuffer(4));
  const looked: number[] = [];
  const reached = count.untilAsync(() => {
    looked.push(Atomics.load(words, 0));
    return looked.at(-1) === 2;
  });
  for (const value of [1, 2]) {
    Atomics.store(words, 0, value);
    count.notify();
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(await reached, true);
  assertEquals(looked, [0, 1, 2]);
  assertEquals(count.until(() => true), true);
  assertEquals(count.until(() => false, { timeoutMs: 1 }), false);
});

Deno.test("until rejects if its condition aborts the signal, at the first look or a later one", async () => {
  for (const last of [0, 1]) {
    const count = EventCount.create();
    const controller = new AbortController();
    let looks = 0;
    const condition = () => {
      if (looks++ === last) controller.abort(new Error("by itself"));
      return false;
    };
    const waiting = count.untilAsync(condition, { signal: controller.signal });
    count.notify();
    await assertRejects(() => waiting, Error, "by itself");
  }
});

Deno.test("until rejects a condition that is asynchronous, which would always seem to hold", async () => {
  const count = EventCount.create();
  const condition = (() => Promise.resolve(false)) as unknown as () => boolean;
  const message = "Cannot wait as 'condition' must be synchronous: received a promise from it";
  assertThrows(() => count.until(condition), TypeError, message);
  await assertRejects(() => count.untilAsync(condition), TypeError, message);
});

Deno.test("until rejects with what its condition throws, or with the reason of its signal", async () => {
  const count = EventCount.create();
  const fail = () => {
    throw new TypeError("no condition");
  };
  assertThrows(() => count.until(fail), TypeError, "no condition");
  await assertRejects(() => count.untilAsync(fail), TypeError, "no condition");

  const controller = new AbortController();
  const bystander = count.untilAsync(() => controller.signal.aborted);
  const waits = [
    count.untilAsync(() => false, controller),
    count.waitAsync(count.prepare(), controller),
  ];
  controller.abort("enough");
  for (const wait of waits) assertEquals(await wait.catch((reason) => reason), "enough");
  assert(await bystander);
});
