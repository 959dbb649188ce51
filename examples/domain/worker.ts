import { Domain } from "@busbar/busbar";

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = ({ data }) => {
  using domain = Domain.attach(data);
  const text = { messageBytes: 64, history: 8 };
  const receipts = domain.slot("receipts", text);
  using writer = receipts.writer();
  using waiter = domain.waiter();
  const orders = waiter.subscribe(domain.slot("orders", text), { history: Infinity });

  while (orders.received < 2) {
    waiter.wait(); // blocks until a slot of the set has news: here there is one
    while (orders.next()) { // copies the next message; orders.missed counts what was overwritten
      const order = new TextDecoder().decode(orders.message());
      writer.send(new TextEncoder().encode(`${order}: paid`));
    }
  }
  receipts.close(); // ends iterations over it, after the last message
};
