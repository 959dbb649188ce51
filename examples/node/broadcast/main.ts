import { Worker } from "node:worker_threads";
import { Broadcast } from "@busbar/busbar";

const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });

const worker = new Worker(new URL("./worker.ts", import.meta.url), {
  workerData: broadcast.handle,
});

worker.once("message", () => {
  const writer = broadcast.writer(); // the worker is ready: it misses nothing from here on
  for (const name of ["orders", "trades"]) writer.append(new TextEncoder().encode(name));
  writer.publish(); // both become visible at once, and the worker wakes
  writer.close(); // ends the stream
});
