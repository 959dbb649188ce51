/**
 * Records between real workers.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { Broadcast, BufferPool } from "@busbar/busbar";
import { workerTest } from "../permission.ts";
import { runOnWorker } from "../workers.ts";
import { type Job, Trade, tradeOf } from "./bodies.ts";

const bodies = import.meta.resolve("./bodies.ts");

function job(ring: Broadcast, messages: number): Job {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  return { record: Trade.handle, ring: ring.handle, messages, progress };
}

workerTest(
  "records that a worker writes into a ring arrive whole, whichever way it writes",
  async () => {
    const ring = Broadcast.create({ capacityBytes: 64 * 1024 });
    const task = job(ring, 5000);
    const reader = ring.reader();
    const writing = runOnWorker(bodies, "writeTrades", task);
    let id = 0;
    while (id < task.messages) {
      await reader.waitAsync();
      while (reader.poll()) {
        while (reader.next()) assertEquals(Trade.read(reader.bytes, reader.offset), tradeOf(id++));
        Atomics.store(task.progress, 0, id);
        Atomics.notify(task.progress, 0);
      }
    }
    await writing;
  },
);

workerTest("a worker with another definition is told the first field that differs", async () => {
  await assertRejects(
    () => runOnWorker(bodies, "useAnother", job(Broadcast.create({ capacityBytes: 4096 }), 0)),
    TypeError,
    "expected field 'price' of f32 at offset 4: received field 'price' of f64 at offset 8",
  );
});

workerTest("a record in a packet is read by the worker that adopts it", async () => {
  using pool = BufferPool.create({ bufferBytes: 1024, batchCount: 4 });
  const packet = pool.packet(pool.acquire(), 0, Trade.byteLength);
  Trade.write(packet.bytes, 0, tradeOf(123_456));
  const task = { pool: pool.handle, packet: packet.detach() };
  assertEquals(await runOnWorker(bodies, "readPacket", task), tradeOf(123_456));
});
