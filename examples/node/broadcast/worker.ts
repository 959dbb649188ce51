import { parentPort, workerData } from "node:worker_threads";
import { Broadcast } from "@busbar/busbar";

const reader = Broadcast.attach(workerData).reader();
parentPort!.postMessage("ready");

while (reader.wait()) { // blocks until something is published; false at the end of the stream
  while (reader.poll()) { // takes a batch; throws an OverrunError if the reader was too slow
    while (reader.next()) {
      console.log(`received ${new TextDecoder().decode(reader.message())}`);
    }
  }
}
console.log("received all");
