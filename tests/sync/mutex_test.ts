import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Mutex } from "../../mod.ts";

/** The same mutex, as another thread would see it. */
function pair(): [Mutex, Mutex] {
  const mutex = Mutex.create();
  return [mutex, Mutex.attach(mutex.handle)];
}

Deno.test("a mutex is locked until its guard is disposed of", () => {
  const [mutex, other] = pair();
  assertEquals(mutex.isLocked, false);
  {
    using guard = mutex.lock();
    assert(guard.isHeld);
    assertEquals([mutex.isLocked, other.isLocked], [true, true]);
    assertEquals(other.tryLock(), undefined);
  }
  assertEquals(other.isLocked, false);
  using guard = other.tryLock();
  assert(guard?.isHeld);
});

Deno.test("a guard releases once, and only for its own acquisition", () => {
  const [mutex, other] = pair();
  const guard = mutex.lock();
  guard.release();
  assertEquals(guard.isHeld, false);
  using _held = other.lock();
  assertThrows(
    () => guard.release(),
    Error,
    "Cannot release as this guard has released before and holds nothing",
  );
  guard[Symbol.dispose]();
  assertEquals(mutex.isLocked, true);
});

Deno.test("a thread that would wait for itself gets an error", async () => {
  const mutex = Mutex.create();
  const message = "Cannot lock the mutex as this thread holds it: it would wait for itself";
  {
    using _guard = mutex.lock();
    assertThrows(() => mutex.lock(), Error, message);
    assertThrows(() => mutex.lock({ timeoutMs: 10 }), Error, message);
    assertEquals(mutex.tryLock(), undefined);
  }
  using _guard = await mutex.lockAsync();
  assertThrows(() => mutex.lock(), Error, message);
});

Deno.test("a lock with a timeout gives up after it", async () => {
  const [mutex, other] = pair();
  using _guard = mutex.lock();
  const start = performance.now();
  assertEquals(other.lock({ timeoutMs: 5 }), undefined);
  assertEquals(await other.lockAsync({ timeoutMs: 5 }), undefined);
  assertEquals(await other.lockAsync({ timeoutMs: 0 }), undefined);
  assert(performance.now() - start >= 10);
  assertThrows(
    () => other.lock({ timeoutMs: -1 }),
    RangeError,
    "Cannot wait as 'timeoutMs' must be a number not below 0: received -1",
  );
  await assertRejects(() => other.lockAsync({ timeoutMs: NaN }), RangeError, "received NaN");
});

Deno.test("tasks enter a mutex in the order in which they came", async () => {
  const [mutex, other] = pair();
  const order: number[] = [];
  const first = mutex.lock();
  const tasks = [0, 1, 2, 3].map(async (task) => {
    using _guard = await [mutex, other][task % 2]!.lockAsync();
    order.push(task);
    await Promise.resolve();
    order.push(task);
  });
  first.release();
  await Promise.all(tasks);
  assertEquals(order, [0, 0, 1, 1, 2, 2, 3, 3]);
  assertEquals(mutex.isLocked, false);
});

Deno.test("a lock that is aborted rejects with the reason, and the next task enters", async () => {
  const [mutex, other] = pair();
  const reason = new Error("enough");
  await assertRejects(
    () => mutex.lockAsync({ signal: AbortSignal.abort(reason) }),
    Error,
    "enough",
  );
  assertEquals(mutex.isLocked, false);

  const held = mutex.lock();
  const controller = new AbortController();
  const aborted = assertRejects(() => other.lockAsync(controller), Error, "enough");
  const timed = assertRejects(
    () => mutex.lockAsync({ timeoutMs: 1000, signal: controller.signal }),
    Error,
    "enough",
  );
  const next = mutex.lockAsync();
  // Woken, and aborted before it gets to it.
  held.release();
  controller.abort(reason);
  await aborted;
  await timed;
  (await next).release();
  assertEquals(mutex.isLocked, false);
});

Deno.test("a time limit holds beside a signal", async () => {
  const [mutex, other] = pair();
  using _guard = mutex.lock();
  const options = { timeoutMs: 1, signal: new AbortController().signal };
  assertEquals(await other.lockAsync(options), undefined);
});

Deno.test("a thread can block for a mutex that it awaits", async () => {
  const [mutex, other] = pair();
  const held = other.lock();
  const later = mutex.lockAsync();
  assertEquals(mutex.lock({ timeoutMs: 1 }), undefined);
  held.release();
  mutex.lock().release();
  (await later).release();
});
