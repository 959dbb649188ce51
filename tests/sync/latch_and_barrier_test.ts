import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Barrier, Latch } from "../../mod.ts";

Deno.test("a latch opens at zero, and stays open", async () => {
  const latch = Latch.create({ count: 3 });
  const other = Latch.attach(latch.handle);
  assertEquals([latch.tryWait(), latch.wait({ timeoutMs: 1 })], [false, false]);
  assertEquals([latch.countDown(), other.countDown(2)], [2, 0]);
  assertEquals([latch.count, latch.tryWait(), latch.wait()], [0, true, true]);
  assertEquals(await other.waitAsync(), true);
  assertEquals(Latch.create({ count: 0 }).wait(), true);
});

Deno.test("a latch refuses counts that it has not, and changes nothing", () => {
  for (const count of [-1, 1.5, NaN, 2 ** 30 + 1]) {
    assertThrows(
      () => Latch.create({ count }),
      RangeError,
      `Cannot create latch as 'count' must be a whole number from 0 to 1073741824: received ${count}`,
    );
  }
  const latch = Latch.create({ count: 1 });
  for (const by of [0, -1, 0.5]) assertThrows(() => latch.countDown(by), RangeError, "'by'");
  assertThrows(
    () => latch.countDown(2),
    RangeError,
    "Cannot count down by 2 as only 1 of the latch is left",
  );
  latch.countDown();
  assertThrows(() => latch.countDown(), RangeError, "only 0 of the latch are left");
  assertEquals(latch.count, 0);
});

Deno.test("all tasks that await a latch go on", async () => {
  const latch = Latch.create({ count: 1 });
  const tasks = Promise.all([latch.waitAsync(), Latch.attach(latch.handle).waitAsync()]);
  latch.countDown();
  assertEquals(await tasks, [true, true]);
});

Deno.test("tasks wait for one another at a barrier, round after round", async () => {
  const barrier = Barrier.create({ parties: 3 });
  const other = Barrier.attach(barrier.handle);
  for (let round = 0; round < 5000; round++) {
    const two = [barrier.waitAsync(), other.waitAsync()];
    assertEquals([barrier.arrived, barrier.parties], [2, 3]);
    assertEquals(await Promise.all([...two, other.waitAsync()]), [1, 2, 3]);
  }
  assertEquals(barrier.arrived, 0);
});

Deno.test("a barrier of one holds nobody up", () => {
  const barrier = Barrier.create({ parties: 1 });
  assertEquals([barrier.wait(), barrier.tryWait(), barrier.wait()], [1, 1, 1]);
  assertThrows(() => barrier.leave(), RangeError, "in which only one takes part");
});

Deno.test("a try arrives at a barrier as the last one, or not at all", async () => {
  const barrier = Barrier.create({ parties: 2 });
  assertEquals([barrier.tryWait(), barrier.arrived], [-1, 0]);
  const waiting = barrier.waitAsync();
  assertEquals(barrier.tryWait(), 2);
  assertEquals(await waiting, 1);
});

Deno.test("one that leaves a barrier lets go on those that have arrived", async () => {
  const barrier = Barrier.create({ parties: 3 });
  const waiting = [barrier.waitAsync(), barrier.waitAsync()];
  barrier.leave();
  assertEquals(await Promise.all(waiting), [1, 2]);
  assertEquals([barrier.arrived, barrier.parties], [0, 2]);
});

Deno.test("one that is aborted has not arrived at a barrier", async () => {
  const barrier = Barrier.create({ parties: 2 });
  const controller = new AbortController();
  const aborted = assertRejects(() => barrier.waitAsync(controller), Error, "enough");
  assertEquals(barrier.arrived, 1);
  controller.abort(new Error("enough"));
  await aborted;
  assertEquals(barrier.arrived, 0);
  await assertRejects(() => barrier.waitAsync(controller), Error, "enough");
  assertEquals(barrier.arrived, 0);
});

Deno.test("a barrier refuses numbers of parties that it cannot count", () => {
  for (const parties of [0, -1, 1.5, NaN, 1024]) {
    assertThrows(
      () => Barrier.create({ parties }),
      RangeError,
      `Cannot create barrier as 'parties' must be a whole number from 1 to 1023: received ${parties}`,
    );
  }
  assertEquals(Barrier.create({ parties: 1023 }).parties, 1023);
});
