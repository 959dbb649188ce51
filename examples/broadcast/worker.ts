import { Broadcast } from "@busbar/busbar";

declare const self: Worker; // the other end of what the main thread calls a Worker

self.onmessage = ({ data }) => {
  const reader = Broadcast.attach(data).reader();
  self.postMessage("ready");

  for (let name = ""; name !== "end";) {
    reader.wait(); // blocks until something is published
    while (reader.poll()) { // takes a batch; an OverrunError says what was lost if it came too late
      while (reader.next()) {
        name = new TextDecoder().decode(reader.message());
        console.log(`received ${name}`);
      }
    }
  }
  self.postMessage("done");
};
