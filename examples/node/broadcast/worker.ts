import { parentPort, workerData } from "node:worker_threads";
import { Broadcast } from "@busbar/busbar";

const reader = Broadcast.attach(workerData).reader();
parentPort!.postMessage("ready");

for (let name = ""; name !== "end";) {
  reader.wait(); // blocks until something is published
  while (reader.poll()) { // takes a batch; throws an OverrunError if the reader was too slow
    while (reader.next()) {
      name = new TextDecoder().decode(reader.message());
      console.log(`received ${name}`);
    }
  }
}
