import { workerData } from "node:worker_threads";
import { Domain } from "@busbar/busbar";

const domain = Domain.attach(workerData);
const text = { messageBytes: 64, history: 8 };
const receipts = domain.slot("receipts", text);
const writer = receipts.writer();
const waiter = domain.waiter();
const orders = waiter.subscribe(domain.slot("orders", text), { history: Infinity });

while (orders.received < 2) {
  waiter.wait(); // blocks until a slot of the set has news: here there is one
  while (orders.next()) { // copies the next message; orders.missed counts what was overwritten
    const order = new TextDecoder().decode(orders.message());
    writer.send(new TextEncoder().encode(`${order}: paid`));
  }
}
receipts.close(); // ends iterations over it, after the last message
domain.close();
