/** Channels on real workers: checksums, order, and the end, in channels that are often full. */

import { assert, assertEquals } from "@std/assert";
import { Channel, FloatRing, textCodec } from "@busbar/busbar/channel";
import { BufferPool } from "@busbar/busbar/pool";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import type { Job, Received } from "./bodies.ts";

const BODIES = import.meta.resolve("./bodies.ts");
const MESSAGES = 4000;

interface Run {
  readonly senders: number;
  readonly receivers: number;
  readonly capacity?: number;
  readonly batch?: number;
  readonly isAsync?: boolean;
  readonly isLong?: boolean;
}

/** Runs senders and receivers, and checks what came. */
async function run(
  { senders, receivers, capacity = 16, batch = 1, isAsync = false, isLong = false }: Run,
): Promise<void> {
  const pool = isLong
    ? BufferPool.create({ bufferBytes: 1024, batchCount: 32, buffersPerBatch: 2 })
    : undefined;
  const channel = Channel.create({
    capacity,
    codec: textCodec,
    inlineBytes: 64,
    pool,
    start: 2 ** 32 - 1000,
  });
  const job: Omit<Job, "sender"> = {
    handle: channel.handle,
    messages: MESSAGES,
    batch,
    isAsync,
    ...(pool && { pool: pool.handle }),
  };
  const receiving = Promise.all(
    Array.from({ length: receivers }, () => runOnWorker<Received>(BODIES, "receive", job)),
  );
  await Promise.all(
    Array.from(
      { length: senders },
      (_, sender) => runOnWorker<void>(BODIES, "send", { ...job, sender }),
    ),
  );
  channel.close();
  const received = await receiving;
  const total = (name: keyof Received) => received.reduce((sum, each) => sum + each[name], 0);
  assertEquals(
    { count: total("count"), torn: total("torn"), disordered: total("disordered") },
    { count: senders * MESSAGES, torn: 0, disordered: 0 },
  );
  assertEquals(total("sum"), senders * MESSAGES * (MESSAGES - 1) / 2);
  assertEquals(channel.inspect().depth, 0);
}

workerTest("channel: one to one, across the wrap of positions", async () => {
  await run({ senders: 1, receivers: 1 });
  await run({ senders: 1, receivers: 1, batch: 7 });
});

workerTest("channel: many to one, one to many, and many to many", async () => {
  await run({ senders: 3, receivers: 1 });
  await run({ senders: 1, receivers: 3 });
  await run({ senders: 3, receivers: 3 });
});

workerTest("channel: many to many in batches, and through a single cell", async () => {
  await run({ senders: 3, receivers: 2, batch: 5 });
  await run({ senders: 2, receivers: 2, capacity: 1 });
});

workerTest("channel: many to many, awaiting", async () => {
  await run({ senders: 3, receivers: 3, isAsync: true });
});

workerTest("channel: long messages through a pool", async () => {
  await run({ senders: 2, receivers: 2, isLong: true, batch: 3 });
});

workerTest("channel: a worker that is terminated loses at most the message it had", async () => {
  for (const redeliver of [false, true]) {
    const channel = Channel.create({ capacity: 4, codec: textCodec, redeliver });
    const sender = channel.sender();
    const worker = startWorker(BODIES, "receiveAndStay", { handle: channel.handle });
    await sender.sendAsync("first");
    // Until the worker has it: it is gone from the channel, or stays there in its hands.
    while (channel.inspect().receivers === 0) await new Promise((resolve) => setTimeout(resolve));
    if (!redeliver) {
      while (channel.inspect().depth > 0) await new Promise((resolve) => setTimeout(resolve));
    }
    worker.terminate();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const count = channel.reclaimReceiver(0);
    assert(count <= 1);
    await sender.sendAllAsync(["second", "third"]);
    channel.close();
    const received = await Array.fromAsync(channel.receiver());
    assertEquals(received.slice(-2), ["second", "third"]);
    if (redeliver) assertEquals(received, ["first", "second", "third"]);
  }
});

workerTest("channel: blocks of samples arrive from a worker", async () => {
  const ring = FloatRing.create({ capacity: 1024 });
  const blocks = 2000;
  const pushing = runOnWorker<void>(BODIES, "push", { handle: ring.handle, blocks });
  const block = new Float32Array(128);
  for (let i = 0; i < blocks; i++) {
    while (!ring.pop(block)) await new Promise((resolve) => setTimeout(resolve));
    assertEquals([block[0], block[127]], [i * 128, i * 128 + 127]);
  }
  await pushing;
});
