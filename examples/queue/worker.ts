import { BufferPool, FlushQueue } from "@busbar/busbar";

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = ({ data }) => {
  const pool = BufferPool.attach(data.pool);
  using writer = FlushQueue.attach(data.queue, pool).writer();
  for (let i = 1; i <= 3; i++) writer.append(new TextEncoder().encode(`${data.name} ${i}\n`));
  writer.publish(); // makes all three visible at once, and wakes the main thread
}; // here the writer closes
