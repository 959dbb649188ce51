import { Broadcast } from "@busbar/busbar";

declare const self: Worker; // this worker's global scope: the other end of the main thread's Worker

self.onmessage = ({ data }) => {
  const reader = Broadcast.attach(data).reader();
  self.postMessage("ready");

  while (reader.wait()) { // blocks until something is published; false at the end of the stream
    while (reader.poll()) { // takes a batch; throws an OverrunError if the reader was too slow
      while (reader.next()) {
        console.log(`received ${new TextDecoder().decode(reader.message())}`);
      }
    }
  }
  console.log("received all");
  self.postMessage("done");
};
