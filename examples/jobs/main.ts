import { Channel, jsonCodec } from "@busbar/busbar";
import type { Job } from "./worker.ts";

const jobs = Channel.create({ capacity: 64, codec: jsonCodec<Job>() });
for (let i = 0; i < 2; i++) {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(jobs.handle);
}
const sender = jobs.sender();

export default { // deno serve --allow-read main.ts
  async fetch(request) {
    if (request.method === "GET") return new Response(`${jobs.inspect()}\n`);
    const isQueued = sender.trySend({ text: await request.text() });
    return new Response(null, { status: isQueued ? 202 : 503 });
  },
} satisfies Deno.ServeDefaultExport;
