import { assertEquals } from "@std/assert";
import { Broadcast, Pacer } from "../../../src/broadcast/mod.ts";
import { TASKS } from "../../../src/cli/demo/tasks.ts";
import { follow } from "../../../src/cli/demo/worker.ts";

/** A ring with a writer, and a worker that begins to follow when the test says so. */
function createStream(capacityBytes: number) {
  const broadcast = Broadcast.create({ capacityBytes });
  const writer = broadcast.writer();
  const seat = Pacer.create({ broadcast }).join();
  const reader = broadcast.reader({ from: 0, onOverrun: "continue" });
  return { writer, follow: () => follow(reader, seat, TASKS.count()) };
}

Deno.test("follow takes every message up to the end of the stream", () => {
  const { writer, follow } = createStream(1024);
  for (const length of [1, 20, 3]) writer.send(new Uint8Array(length));
  writer.send(new Uint8Array(4), { final: false });
  writer.send(new Uint8Array(5), { continuation: true });
  writer.close();
  assertEquals(follow(), {
    messages: 5,
    bytes: 33,
    maxLagBytes: writer.position,
    overruns: 0,
    result: { task: "count", records: 4 },
  });
});

Deno.test("follow goes on with the retained messages after an overrun, and ends", () => {
  const { writer, follow } = createStream(1024);
  for (let i = 0; i < 1000; i++) writer.send(new Uint8Array(16));
  writer.close();
  const report = follow();
  assertEquals(report.overruns, 1);
  // Half the ring behind the end: the rest was lost.
  assertEquals(report.messages, 18);
  assertEquals(report.bytes, 16 * report.messages);
  assertEquals(report.maxLagBytes, writer.position);
});
