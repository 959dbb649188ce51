import { assertEquals } from "@std/assert";
import { Broadcast } from "../../../src/broadcast/broadcast.ts";
import { follow } from "../../../src/cli/demo/follow.ts";
import { Follower, Pacer } from "../../../src/cli/demo/pace.ts";
import { RecordCount } from "../../../src/cli/demo/record_count.ts";

/** A ring with a writer, and a worker that begins to follow when the test says so. */
function rig(capacityBytes: number) {
  const broadcast = Broadcast.create({ capacityBytes });
  const pacer = new Pacer(broadcast, 1);
  const writer = broadcast.writer();
  const reader = broadcast.reader({ from: 0 });
  const follower = new Follower(pacer.control, 0);
  return { pacer, writer, follow: () => follow(reader, follower, new RecordCount()) };
}

Deno.test("follow takes every message up to the end of the stream", () => {
  const { pacer, writer, follow } = rig(1024);
  for (const length of [1, 20, 3]) writer.send(new Uint8Array(length));
  writer.send(new Uint8Array(4), { final: false });
  writer.send(new Uint8Array(5), { continuation: true });
  pacer.finish(writer, "ended");
  assertEquals(follow(), {
    messages: 5,
    bytes: 33,
    maxLagBytes: writer.position,
    overruns: 0,
    result: { kind: "records", records: 4, longestBytes: 20 },
  });
});

Deno.test("follow goes on with what is retained after an overrun, and ends", () => {
  const { pacer, writer, follow } = rig(1024);
  for (let i = 0; i < 1000; i++) writer.send(new Uint8Array(16));
  pacer.finish(writer, "ended");
  const report = follow();
  assertEquals(report.overruns, 1);
  // Half the ring behind the end: the rest was lost, and is counted.
  assertEquals(report.messages, 18);
  assertEquals(report.bytes, 16 * report.messages);
  assertEquals(report.maxLagBytes, writer.position);
});

Deno.test("follow reads nothing of a stream that was abandoned", () => {
  const { pacer, writer, follow } = rig(1024);
  writer.send(new Uint8Array(16));
  pacer.finish(writer, "abandoned");
  assertEquals(follow().messages, 0);
});
