/**
 * The buffer pool on real workers. Never more than two or three threads are busy; the others sleep.
 */

import { assert, assertEquals } from "@std/assert";
import { Broadcast, BufferPool, type DetachedPacket } from "../../mod.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";

const bodies = import.meta.resolve("./bodies.ts");

/** Fails unless all buffers are free, once this thread has returned its cached ones. */
function assertAllFree(pool: BufferPool): void {
  pool.returnCached();
  const { free, inUse, waiting } = pool.usage();
  assertEquals({ free, inUse, waiting }, {
    free: pool.bufferCount,
    inUse: 0,
    waiting: [],
  });
}

for (
  const [batchCount, buffersPerBatch, count] of [[1, 2, 3_000], [2, 2, 10_000], [3, 4, 10_000]]
) {
  const what = `${batchCount! * buffersPerBatch!} buffers in ${batchCount} batches`;
  workerTest(
    `three workers that contend for ${what} never have the same one at the same time`,
    async () => {
      using pool = BufferPool.create({
        bufferBytes: 64,
        batchCount: batchCount!,
        buffersPerBatch: buffersPerBatch!,
      });
      await Promise.all(
        [1, 2, 3].map((thread) =>
          runOnWorker(bodies, "contend", { pool: pool.handle, thread, count })
        ),
      );
      assertAllFree(pool);
    },
  );
}

workerTest("three workers that wait for one buffer get it in turn", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 1, buffersPerBatch: 1 });
  const count = 600;
  const turns = new Int32Array(new SharedArrayBuffer(4 * (1 + count)));
  await Promise.all([1, 2, 3].map((thread) => {
    const job = { pool: pool.handle, thread, count, others: 2, turns };
    return runOnWorker(bodies, "takeTurns", job);
  }));
  assertEquals(turns[0], count);
  for (let i = 4; i < turns.length; i++) assertEquals(turns[i], turns[i - 3], `turn ${i}`);
  assertAllFree(pool);
});

workerTest("workers that block and workers that await serve each other", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 1, buffersPerBatch: 2 });
  await Promise.all([
    runOnWorker(bodies, "contend", { pool: pool.handle, thread: 1, count: 3_000 }),
    runOnWorker(bodies, "contendAsync", { pool: pool.handle, thread: 2, count: 3_000 }),
  ]);
  assertAllFree(pool);
});

for (const parts of [1, 2] as const) {
  const what = parts === 1 ? "whole buffers to one" : "halves of buffers to two";
  workerTest(
    `a worker sends ${what}, and reuses a few buffers over and over`,
    async () => {
      using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 2 });
      const stream = {
        pool: pool.handle,
        ring: Broadcast.create({ capacityBytes: 16 * 1024 }).handle,
        count: 10_000,
        parts,
        progress: new Int32Array(new SharedArrayBuffer(8)),
      };
      const [, ...seen] = await Promise.all([
        runOnWorker(bodies, "send", { ...stream, thread: 1 }),
        ...Array.from(
          { length: parts },
          (_, part) => runOnWorker(bodies, "receive", { ...stream, thread: 2 + part, part }),
        ),
      ]);
      assertEquals(seen, seen.map(() => 64 / parts * stream.count));
      assertAllFree(pool);
    },
  );
}

workerTest("packets travel by postMessage", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 2, buffersPerBatch: 2 });
  const { port1, port2 } = new MessageChannel();
  const worker = startWorker(bodies, "echo", { pool: pool.handle, thread: 1, port: port2 }, [
    port2,
  ]);
  /** Posts something, and waits for the answer. */
  const ask = (question: DetachedPacket | null) =>
    new Promise<DetachedPacket | null>((resolve) => {
      port1.onmessage = ({ data }: MessageEvent<DetachedPacket | null>) => resolve(data);
      port1.postMessage(question);
    });
  for (let number = 0; number < 200; number++) {
    const packet = pool.packet(await pool.acquireAsync(), 0, 8);
    packet.bytes.fill(number);
    using adopted = pool.adopt((await ask(packet.detach()))!);
    assert(adopted.bytes.every((byte) => byte === (number & 255)));
  }
  await ask(null);
  port1.close();
  worker.terminate();
  assertAllFree(pool);
});

workerTest("the buffers of a terminated worker are reclaimed", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 4 });
  for (let round = 0; round < 3; round++) {
    // It is terminated when it is idle.
    assertEquals(await runOnWorker(bodies, "hoard", { pool: pool.handle, thread: 1 }), 16);
    assertEquals(pool.tryAcquire(), -1);
    assertEquals(pool.reclaim(1), 16);
    assertAllFree(pool);
  }
});

workerTest("workers that die anywhere are reclaimed while others continue", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 4 });
  const others = [2, 3].map((thread) =>
    runOnWorker(bodies, "contend", { pool: pool.handle, thread, count: 20_000 })
  );
  const dead: [Worker, Int32Array][] = [];
  for (let i = 0; i < 16; i++) {
    const grave = new Int32Array(new SharedArrayBuffer(8));
    const life = 20 + i * 37;
    const worker = startWorker(bodies, "die", {
      pool: pool.handle,
      thread: 1,
      count: 0,
      life,
      grave,
    });
    await Atomics.waitAsync(grave, 0, 0).value;
    dead.push([worker, grave]);
    pool.reclaim(1, { detached: true });
  }
  await Promise.all(others);
  assertAllFree(pool);
  for (const [worker, grave] of dead) {
    Atomics.store(grave, 1, 1);
    Atomics.notify(grave, 1);
    worker.terminate();
  }
});
