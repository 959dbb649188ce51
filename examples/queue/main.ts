import { BufferPool, FlushQueue } from "@busbar/busbar";

const pool = BufferPool.create({ bufferBytes: 4096, batchCount: 16, buffersPerBatch: 4 });
const queue = FlushQueue.create({ pool });

const workers = ["red", "blue"].map((name) => {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.postMessage({ pool: pool.handle, queue: queue.handle, name });
  return worker;
});

const flusher = queue.flusher();
while (flusher.closings < workers.length) { // until every writer has closed
  await flusher.drainAsync((run) => { // waits until a worker publishes
    const lines = new TextDecoder().decode(run.view().slice()); // a copy of shared bytes
    console.log(lines.trimEnd());
  });
}
console.log("received all");
for (const worker of workers) worker.terminate();
