/**
 * Writers and the flusher on real workers, under exhaustion of the pool, with checksums. Never more
 * than two threads are busy: the others sleep until there is a buffer.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool, FlushQueue } from "../../mod.ts";
import { mayRead, workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import type { Step, Sum } from "./flush_queue_bodies.ts";

const bodies = import.meta.resolve("./flush_queue_bodies.ts");

function total(sums: Sum[]): Sum {
  return sums.reduce((a, b) => ({
    messages: a.messages + b.messages,
    bytes: a.bytes + b.bytes,
    checksum: (a.checksum + b.checksum) | 0,
  }));
}

for (const writers of [2, 4]) {
  for (const isShared of [false, true]) {
    for (const [flush, awaits] of [["flush", false], ["drainAsync", true]] as const) {
      const how = `${isShared ? "sharing one writer" : "each with a writer"}`;
      const way = awaits ? "awaiting" : "blocking";
      workerTest(
        `${writers} threads ${how}, ${way}, exhaust the pool and lose nothing`,
        async () => {
          const bufferCount = isShared ? 4 : writers + 3;
          using pool = BufferPool.create({
            bufferBytes: 256,
            batchCount: bufferCount,
            buffersPerBatch: 1,
          });
          const queue = FlushQueue.create({ pool });
          using shared = isShared ? queue.writer({ shared: isShared }) : undefined;
          pool.returnCached();
          const messages = awaits ? 2_000 : 10_000;
          const job = { pool: pool.handle, queue: queue.handle, messages };
          const writing = Array.from(
            { length: writers },
            (_, id) =>
              runOnWorker<Sum>(bodies, "write", {
                ...job,
                ...(shared === undefined ? {} : { shared: shared.handle }),
                id,
                largest: id % 2 === 0 ? 100 : 256,
                each: 10,
                awaits,
              }),
          );
          const flushed = runOnWorker<Sum>(bodies, flush, { ...job, messages: messages * writers });
          const sums = await Promise.all(writing);
          assertEquals(await flushed, total(sums));
        },
      );
    }
  }
}

workerTest("hello, world: a writer on a worker and a flusher that awaits", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 8 });
  const queue = FlushQueue.create({ pool });
  const arrived = new Int32Array(new SharedArrayBuffer(4));
  const writing = runOnWorker(bodies, "hello", {
    pool: pool.handle,
    queue: queue.handle,
    arrived,
  });
  using flusher = queue.flusher();
  const seen: string[] = [];
  while (seen.join("").length < "hello, world!".length) {
    await flusher.drainAsync((run) => {
      assertEquals(run.writerId, 3);
      seen.push(new TextDecoder().decode(run.view().slice()));
    });
    Atomics.store(arrived, 0, 1);
    Atomics.notify(arrived, 0);
  }
  assertEquals(seen, ["hello, world", "!"]);
  await writing;
});

workerTest("hello, world: one writer thread, one flusher thread", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 8 });
  assertEquals(pool.bufferCount, 32);
  const queue = FlushQueue.create({ pool });
  const arrived = new Int32Array(new SharedArrayBuffer(4));
  const job = { pool: pool.handle, queue: queue.handle, arrived };
  const [, seen] = await Promise.all([
    runOnWorker(bodies, "hello", job),
    runOnWorker<string[]>(bodies, "takeHello", job),
  ]);
  assertEquals(seen, ["hello, world", "!"]);
});

for (const isShared of [false, true]) {
  workerTest(
    `what a terminated worker left in a ${isShared ? "shared" : "local"} writer is taken back`,
    async () => {
      using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 1 });
      const queue = FlushQueue.create({ pool, writers: 1 });
      const shared = isShared ? queue.writer({ shared: isShared }) : undefined;
      const thread = await runOnWorker<number>(bodies, "strand", {
        pool: pool.handle,
        queue: queue.handle,
        ...(shared === undefined ? {} : { shared: shared.handle }),
      });
      assertThrows(() => queue.writer(), Error, "Cannot create writer as all 1 places are taken");
      if (shared === undefined) {
        queue.reclaim(thread);
      } else {
        const { handle } = shared;
        shared[Symbol.dispose]();
        queue.reclaimWriter(handle);
      }
      using flusher = queue.flusher();
      const seen: number[] = [];
      while (flusher.poll()) while (flusher.next()) seen.push(...flusher.view());
      // A shared writer's message is there once it is committed, flushed or not.
      assertEquals(seen, isShared ? [1, 3] : [1]);
      pool.reclaim(thread);
      using writer = queue.writer();
      writer.append(new Uint8Array([4]));
      writer.publish();
      assertEquals(flusher.drain((run) => seen.push(...run.view())), 1);
      assertEquals([seen.at(-1), pool.usage().inUse], [4, 1]);
    },
  );
}

workerTest("a flusher follows one whose worker was terminated", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 4, buffersPerBatch: 1 });
  const queue = FlushQueue.create({ pool });
  const writer = queue.writer();
  for (let i = 0; i < 5; i++) writer.append(new Uint8Array(30).fill(i));
  writer.publish();
  const handles = { pool: pool.handle, queue: queue.handle };
  const thread = await runOnWorker<number>(bodies, "strandFlusher", handles);
  assertThrows(() => queue.flusher(), Error, "Cannot become the flusher of the queue");
  queue.reclaim(thread);
  pool.reclaim(thread);
  using flusher = queue.flusher();
  const seen: number[] = [];
  writer[Symbol.dispose]();
  while (flusher.poll()) while (flusher.next()) seen.push(...flusher.view());
  assertEquals(seen, [0, 1, 2, 3, 4].flatMap((i) => new Array(30).fill(i)));
  assertEquals(pool.usage().inUse, 0);
});

// The loop of `src/when_a_worker_dies.md`.
workerTest(
  "a queue ends although its workers died at any step, even before they had a writer",
  async () => {
    using pool = BufferPool.create({ bufferBytes: 64, batchCount: 16, buffersPerBatch: 1 });
    const queue = FlushQueue.create({ pool });
    const living = new Set<number>();

    function declareDead(thread: number): void {
      queue.reclaim(thread);
      if (pool.isAttached(thread)) pool.reclaim(thread);
      living.delete(thread);
    }

    for (const [i, step] of (["attach", "open", "close", "leave", "end"] as Step[]).entries()) {
      const thread = 1 + i;
      living.add(thread);
      const reached = new Int32Array(new SharedArrayBuffer(4));
      const job = { pool: pool.handle, queue: queue.handle, thread, step, reached };
      const worker = startWorker(bodies, "runTo", job);
      (async () => {
        while (Atomics.load(reached, 0) === 0) await new Promise((resolve) => setTimeout(resolve));
        worker.terminate(); // it awaits, so it is dead at once
        declareDead(thread);
      })();
    }

    const flusher = queue.flusher();
    const seen: number[] = [];
    while (living.size > 0 || !flusher.isEnded) {
      await flusher.drainAsync((run) => void seen.push(...run.view()), { timeoutMs: 5 });
    }
    flusher.close();
    assertEquals(seen.toSorted(), [3, 4, 5]);
    assertEquals(pool.usage().inUse, 0);
  },
);

const mayConnect = mayRead &&
  Deno.permissions.querySync({ name: "net", host: "127.0.0.1" }).state === "granted";

Deno.test({
  name: `framed messages come back over a socket between two workers${
    mayConnect ? "" : " (needs -P)"
  }`,
  ignore: !mayConnect,
  async fn() {
    const port = new Int32Array(new SharedArrayBuffer(4));
    const messages = 3_000;
    const [echoed, called] = await Promise.all([
      runOnWorker<number>(bodies, "serve", { port }),
      runOnWorker<{ expected: Sum; sum: Sum }>(bodies, "call", { port, messages }),
    ]);
    assertEquals(echoed, messages);
    assertEquals(called.sum, called.expected);
  },
});
