import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Guard, Semaphore } from "../../mod.ts";

/** The same semaphore, as another thread would see it. */
function pair(permits: number): [Semaphore, Semaphore] {
  const semaphore = Semaphore.create({ permits });
  return [semaphore, Semaphore.attach(semaphore.handle)];
}

Deno.test("a semaphore's permits are acquired, and released by their guard", () => {
  const [semaphore, other] = pair(3);
  {
    using two = semaphore.acquire(2);
    using one = other.acquire();
    assertEquals([semaphore.permits, two.isHeld, one.isHeld], [0, true, true]);
    assertEquals(semaphore.tryAcquire(), undefined);
  }
  assertEquals(other.permits, 3);
  const guard = other.acquire(3);
  guard.release();
  assertThrows(() => guard.release(), Error, "this guard has released before and holds nothing");
  assertEquals(semaphore.permits, 3);
});

Deno.test("a semaphore's permits can be released without having been acquired", () => {
  const [semaphore, other] = pair(0);
  semaphore.release(2);
  other.acquire();
  other.acquire();
  assertEquals(semaphore.tryAcquire(), undefined);
});

Deno.test("a semaphore refuses invalid counts", async () => {
  for (const permits of [-1, 1.5, 2 ** 30 + 1]) {
    assertThrows(
      () => Semaphore.create({ permits }),
      RangeError,
      `Cannot create semaphore as 'permits' must be a whole number from 0 to 1073741824: received ${permits}`,
    );
  }
  const semaphore = Semaphore.create({ permits: 2 ** 30 });
  for (const count of [0, -1, 0.5, NaN, 2 ** 30 + 1]) {
    const must = `as 'count' must be a whole number from 1 to 1073741824: received ${count}`;
    assertThrows(() => semaphore.acquire(count), RangeError, `Cannot acquire ${must}`);
    assertThrows(() => semaphore.tryAcquire(count), RangeError, `Cannot acquire ${must}`);
    assertThrows(() => semaphore.release(count), RangeError, `Cannot release ${must}`);
    await assertRejects(() => semaphore.acquireAsync(count), RangeError, `Cannot acquire ${must}`);
  }
  for (const count of [1, 2 ** 30]) {
    assertThrows(
      () => semaphore.release(count),
      RangeError,
      `Cannot release ${count} permits as there may be at most 1073741824: found 1073741824`,
    );
  }
  assertEquals(semaphore.permits, 2 ** 30);
});

Deno.test("an acquire with a timeout gives up after it", async () => {
  const semaphore = Semaphore.create({ permits: 1 });
  const start = performance.now();
  assertEquals(semaphore.acquire(2, { timeoutMs: 5 }), undefined);
  assertEquals(await semaphore.acquireAsync(2, { timeoutMs: 5 }), undefined);
  assert(performance.now() - start >= 10);
  assertEquals([semaphore.permits, semaphore.waiters], [1, 0]);
  assertThrows(
    () => semaphore.acquire(2, { timeoutMs: -1 }),
    RangeError,
    "must be a number not below 0: received -1",
  );
  await assertRejects(() => semaphore.acquireAsync(2, { timeoutMs: -1 }), RangeError);
  assertEquals(semaphore.waiters, 0);
});

Deno.test("waiters are counted, and woken in order", async () => {
  const [semaphore, other] = pair(0);
  const order: number[] = [];
  const waits = [0, 1, 2].map(async (task) => {
    await [semaphore, other][task % 2]!.acquireAsync();
    order.push(task);
  });
  assertEquals(semaphore.waiters, 3);
  semaphore.release();
  semaphore.release(2);
  await Promise.all(waits);
  assertEquals([order, other.waiters, other.permits], [[0, 1, 2], 0, 0]);
});

Deno.test("a waiter for many permits takes none from a waiter for few", async () => {
  const [semaphore, other] = pair(0);
  const large = semaphore.acquireAsync(3);
  const small = other.acquireAsync(1);
  semaphore.release(1);
  (await small).release();
  semaphore.release(2);
  await large;
  assertEquals([semaphore.permits, semaphore.waiters], [0, 0]);
});

Deno.test("an acquire that is aborted rejects with the reason, and leaves its permit", async () => {
  const [semaphore, other] = pair(0);
  await assertRejects(
    () => semaphore.acquireAsync(1, { signal: AbortSignal.abort(new Error("before")) }),
    Error,
    "before",
  );
  const controller = new AbortController();
  const aborted = semaphore.acquireAsync(1, controller);
  const next = other.acquireAsync();
  // Woken, and aborted before it gets to it.
  semaphore.release();
  controller.abort("enough");
  assertEquals(await aborted.catch((reason) => reason), "enough");
  await next;
  assertEquals([semaphore.permits, semaphore.waiters], [0, 0]);
});

Deno.test("a semaphore behaves as a plain number does, whatever is acquired and released", () => {
  const action = fc.oneof(
    fc.record({ acquire: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ release: fc.nat(9) }),
    fc.record({ add: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(fc.property(fc.nat(5), fc.array(action), (permits, actions) => {
    const both = pair(permits);
    const held: { guard: Guard; count: number }[] = [];
    actions.forEach((action, i) => {
      const semaphore = both[i % 2]!;
      if ("acquire" in action) {
        const guard = semaphore.tryAcquire(action.acquire);
        assertEquals(guard !== undefined, action.acquire <= permits);
        if (guard === undefined) return;
        permits -= action.acquire;
        held.push({ guard, count: action.acquire });
      } else if ("release" in action) {
        const [released] = held.splice(action.release, 1);
        released?.guard.release();
        permits += released?.count ?? 0;
      } else {
        semaphore.release(action.add);
        permits += action.add;
      }
      assertEquals(semaphore.permits, permits);
    });
  }));
});
