/**
 * What users of other locks, semaphores, streams and iterators reported, done to ours. The name of
 * each test says where it was reported.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BufferPool,
  FrameDecoderStream,
  lengthPrefixed,
  Mutex,
  type Packet,
  RwLock,
  Semaphore,
  WaiterQueue,
} from "@busbar/busbar";

const pause = (ms = 3) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const settled = async (promise: Promise<unknown>) => {
  let is = false;
  promise.then(() => is = true, () => is = true);
  await pause();
  return is;
};

Deno.test("dotnet/corefx#3364, vs-threading#252: readers behind a writer enter when it gives up", async () => {
  for (const how of ["time", "abort", "try"] as const) {
    const lock = RwLock.create();
    const [first, writer, reader] = [1, 2, 3].map(() => RwLock.attach(lock.handle));
    using _inside = first!.read();
    const controller = new AbortController();
    const writing = how === "try"
      ? undefined
      : writer!.writeAsync(how === "time" ? { timeoutMs: 10 } : { signal: controller.signal });
    const reading = reader!.readAsync();
    if (how === "abort") {
      await pause();
      controller.abort("enough");
    }
    if (how === "try") assertEquals(writer!.write({ timeoutMs: 5 }), undefined);
    assertEquals(await writing?.catch(() => undefined), undefined);
    (await reading).release();
  }
});

Deno.test("embassy#6964: a large request that is cancelled keeps no small one waiting", async () => {
  const semaphore = Semaphore.create({ permits: 1 });
  const [large, small] = [Semaphore.attach(semaphore.handle), Semaphore.attach(semaphore.handle)];
  const held = semaphore.acquire();
  const controller = new AbortController();
  const three = large.acquireAsync(3, controller);
  const one = small.acquireAsync();
  held.release();
  controller.abort("enough");
  await assertRejects(
    async () => {
      await three.catch((reason) => {
        throw new Error(reason);
      });
    },
    Error,
    "enough",
  );
  (await one).release();
  assertEquals([semaphore.permits, semaphore.waiters], [1, 0]);
});

Deno.test("shuttle#167, asyncio#270: a wake-up of a waiter that is cancelled goes to the next", async () => {
  const mutex = Mutex.create();
  const lock = RwLock.create();
  const semaphore = Semaphore.create({ permits: 0 });
  const pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
  const other = BufferPool.attach(pool.handle);
  const queue = WaiterQueue.create();
  const free: number[] = [];
  const store = { take: () => free.pop(), put: (value: number) => void free.push(value) };
  const [here, there] = [queue.join(store), queue.join(store)];
  const guard = mutex.lock();
  const writing = lock.write();
  const buffer = pool.acquire();
  const cases: [(signal?: AbortSignal) => Promise<unknown>, () => Promise<unknown>, () => void][] =
    [
      [
        (signal) => Mutex.attach(mutex.handle).lockAsync(signal ? { signal } : {}),
        () => Mutex.attach(mutex.handle).lockAsync(),
        () => guard.release(),
      ],
      [
        (signal) => RwLock.attach(lock.handle).writeAsync(signal ? { signal } : {}),
        () => RwLock.attach(lock.handle).writeAsync(),
        () => writing.release(),
      ],
      [
        (signal) => Semaphore.attach(semaphore.handle).acquireAsync(1, signal ? { signal } : {}),
        () => Semaphore.attach(semaphore.handle).acquireAsync(),
        () => semaphore.release(),
      ],
      [
        (signal) => pool.acquireAsync(signal ? { signal } : {}),
        () => other.acquireAsync(),
        () => pool.release(buffer),
      ],
      [
        (signal) => here.takeAsync(signal ? { signal } : {}),
        () => there.takeAsync(),
        () => queue.release(3, store),
      ],
    ];
  for (const [cancelled, next, provide] of cases) {
    const controller = new AbortController();
    const first = cancelled(controller.signal);
    const second = next();
    await pause();
    provide();
    controller.abort("enough"); // before the first one has run
    await first.then(() => assert(false, "it got what it was cancelled for"), () => {});
    await second;
  }
});

Deno.test("redisson#7206: waiters that give up are counted once", async () => {
  const semaphore = Semaphore.create({ permits: 2 });
  const [a, b] = [semaphore.acquire(), semaphore.acquire()];
  const waits = Array.from(
    { length: 20 },
    (_, i) => semaphore.acquireAsync(1, { timeoutMs: i % 3 }),
  );
  const got = await Promise.all(waits);
  assertEquals(got.every((guard) => guard === undefined), true);
  a.release();
  b.release();
  assertEquals([semaphore.permits, semaphore.waiters], [2, 0]);
});

Deno.test("e2b#3629: an abort between the look and the sleep is not missed", async () => {
  const mutex = Mutex.create();
  using _guard = mutex.lock();
  for (let ticks = 0; ticks < 5; ticks++) {
    const controller = new AbortController();
    const waiting = Mutex.attach(mutex.handle).lockAsync(controller);
    for (let i = 0; i < ticks; i++) await undefined;
    controller.abort(new Error("enough"));
    await assertRejects(() => waiting, Error, "enough");
  }
});

function stage() {
  const pool = BufferPool.create({ bufferBytes: 2, batchCount: 1, buffersPerBatch: 1 });
  const stream = new FrameDecoderStream(pool, lengthPrefixed({ prefixBytes: 1 }));
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => {});
  return { pool, stream, writer };
}
const frames = (...values: number[]) => new Uint8Array(values.flatMap((value) => [1, value]));
const take = (packet: Packet) => packet.release();

Deno.test("whatwg/streams#789: the reason of an abort is the one, although a cancel follows", async () => {
  const { stream, writer } = stage();
  const writing = writer.write(frames(1, 2));
  writing.catch(() => {});
  const aborting = writer.abort(new Error("abort"));
  const cancelling = stream.readable.cancel(new Error("cancel"));
  await aborting;
  await cancelling.catch(() => {});
  await assertRejects(() => writer.closed, Error, "abort");
  await assertRejects(() => writing, Error, "abort");
});

Deno.test("workerd#2467, streams#817: an abort settles all writes, even without a reader", async () => {
  const { pool, writer } = stage();
  const writes = [1, 2, 3].map((value) => writer.write(frames(value, value)));
  assertEquals(await settled(writes[0]!), false);
  await writer.abort(new Error("abort"));
  for (const write of writes) await assertRejects(() => write, Error, "abort");
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("whatwg/streams#656: an abort while a close is pending rejects closed, and both settle", async () => {
  const { pool, stream, writer } = stage();
  const reader = stream.readable.getReader();
  const write = writer.write(frames(1, 2));
  take((await reader.read()).value!);
  const next = reader.read();
  take((await next).value!);
  await write;
  const pending = stage();
  const other = pending.stream.readable.getReader();
  const writing = pending.writer.write(frames(1));
  const first = (await other.read()).value!;
  await writing;
  pending.writer.write(frames(2)).catch(() => {});
  const closing = pending.writer.close();
  closing.catch(() => {});
  await pending.writer.abort(new Error("abort")).catch(() => {});
  await assertRejects(() => pending.writer.closed, Error, "abort");
  await assertRejects(() => closing, Error, "abort");
  take(first);
  assertEquals([pool.usage().inUse >= 0, pending.pool.usage().inUse], [true, 0]);
});

Deno.test("tokio#3389, parking_lot#27: a second read of a thread that blocks passes the writer", async () => {
  const lock = RwLock.create();
  using _first = lock.read();
  const writing = RwLock.attach(lock.handle).writeAsync({ timeoutMs: 30 });
  await pause();
  lock.read().release();
  assertEquals(await writing, undefined);
});
