/**
 * Writers and the flusher on real workers, under exhaustion of the pool, with checksums. Never more
 * than two threads are busy: the others sleep until there is a buffer.
 */

import { assertEquals } from "@std/assert";
import { BufferPool, FlushQueue } from "../../mod.ts";
import { mayRead, workerTest } from "../permission.ts";
import { runOnWorker } from "../workers.ts";
import type { Sum } from "./writer_bodies.ts";

const bodies = import.meta.resolve("./writer_bodies.ts");

function total(sums: Sum[]): Sum {
  return sums.reduce((a, b) => ({
    messages: a.messages + b.messages,
    bytes: a.bytes + b.bytes,
    checksum: (a.checksum + b.checksum) | 0,
  }));
}

for (const writers of [2, 4]) {
  for (const isShared of [false, true]) {
    for (const [flush, awaits] of [["flush", false], ["flushAsync", true]] as const) {
      const how = `${isShared ? "sharing one writer" : "each with a writer"}`;
      const way = awaits ? "awaiting" : "blocking";
      workerTest(
        `${writers} threads ${how}, ${way}, exhaust the pool and lose nothing`,
        async () => {
          const bufferCount = isShared ? 4 : writers + 3;
          using pool = BufferPool.create({
            bufferSize: 256,
            batchCount: bufferCount,
            batchSize: 1,
          });
          const queue = FlushQueue.create({ pool });
          using shared = isShared ? queue.writer({ isShared }) : undefined;
          pool.flush();
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
  using pool = BufferPool.create({ bufferSize: 64, batchCount: 4, batchSize: 8 });
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
    await flusher.flushAsync((run) => {
      assertEquals(run.writerId, 3);
      seen.push(new TextDecoder().decode(run.take().slice()));
    });
    Atomics.store(arrived, 0, 1);
    Atomics.notify(arrived, 0);
  }
  assertEquals(seen, ["hello, world", "!"]);
  await writing;
});

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
