import { BufferPool, FlushQueue } from "@busbar/busbar";

declare const self: Worker; // the other end of what the main thread calls a Worker

self.onmessage = ({ data }) => {
  const pool = BufferPool.attach(data.pool);
  using writer = FlushQueue.attach(data.queue, pool).writer();
  for (let i = 1; i <= 3; i++) writer.append(new TextEncoder().encode(`${data.name} ${i}\n`));
  writer.publish(); // hands all three over at once, and wakes the main thread
};
