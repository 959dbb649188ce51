import { Domain } from "@busbar/busbar";

const domain = Domain.create({ dataBytes: 64 * 1024 });
const text = { messageBytes: 64, history: 8 }; // a slot keeps its last 8 messages
const orders = domain.slot("orders", text); // whichever thread asks first creates it
const receipts = domain.slot("receipts", text);

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
worker.postMessage(domain.handle);

const writer = orders.writer();
for (const order of ["tea", "cake"]) writer.send(new TextEncoder().encode(order));

for await (const receipt of receipts.messages({ history: Infinity })) { // and those before
  console.log(`received ${new TextDecoder().decode(receipt)}`);
}
console.log("received all");
worker.terminate();
