import { workerData } from "node:worker_threads";
import { BufferPool, FlushQueue } from "@busbar/busbar";

const pool = BufferPool.attach(workerData.pool);
const writer = FlushQueue.attach(workerData.queue, pool).writer();
for (let i = 1; i <= 3; i++) {
  writer.append(new TextEncoder().encode(`${workerData.name} ${i}\n`));
}
writer.publish(); // makes all three visible at once, and wakes the main thread
writer.close();
