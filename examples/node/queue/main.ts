import { Worker } from "node:worker_threads";
import { BufferPool, FlushQueue } from "@busbar/busbar";

const pool = BufferPool.create({ bufferBytes: 4096, batchCount: 16, buffersPerBatch: 4 });
const queue = FlushQueue.create({ pool });

const names = ["red", "blue"];
for (const name of names) {
  const workerData = { pool: pool.handle, queue: queue.handle, name };
  new Worker(new URL("./worker.ts", import.meta.url), { workerData });
}

const flusher = queue.flusher();
while (flusher.closings < names.length) { // until every writer has closed
  await flusher.drainAsync((run) => { // waits until a worker publishes
    const lines = new TextDecoder().decode(run.view().slice()); // a copy of shared bytes
    console.log(lines.trimEnd());
  });
}
console.log("received all");
