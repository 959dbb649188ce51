import { Broadcast } from "@busbar/busbar";

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = ({ data }) => {
  const reader = Broadcast.attach(data).reader();
  self.postMessage("ready");

  for (let name = ""; name !== "end";) {
    reader.wait(); // blocks until something is published
    while (reader.poll()) { // takes a batch; throws an OverrunError if the reader was too slow
      while (reader.next()) {
        name = new TextDecoder().decode(reader.message());
        console.log(`received ${name}`);
      }
    }
  }
  self.postMessage("done");
};
