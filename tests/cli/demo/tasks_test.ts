import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { Broadcast, type FrameOptions } from "../../../src/broadcast/mod.ts";
import { type TaskName, type TaskResult, TASKS } from "../../../src/cli/demo/tasks.ts";

/** The result of a task on messages, which a reader takes in one batch. */
function resultOf(task: TaskName, messages: [bytes: number[], frame?: FrameOptions][]): TaskResult {
  const broadcast = Broadcast.create({ capacityBytes: 4096 });
  using writer = broadcast.writer();
  const reader = broadcast.reader();
  for (const [bytes, frame] of messages) writer.append(Uint8Array.from(bytes), frame);
  writer.publish();
  const { take, result } = TASKS[task]();
  while (reader.poll()) {
    while (reader.next()) take(reader);
  }
  return result();
}

Deno.test("count task counts the ends of records", () => {
  const result = resultOf("count", [
    [[1, 2]],
    [[3], { final: false }],
    [[4], { final: false, continuation: true }],
    [[5], { continuation: true }],
    [[6], { final: false }],
  ]);
  assertEquals(result, { task: "count", records: 2 });
});

Deno.test("hash task hashes the messages joined", () => {
  const sha256 = createHash("sha256").update(Uint8Array.of(1, 2, 3, 4)).digest("hex");
  assertEquals(resultOf("hash", [[[1, 2]], [[3, 4]]]), { task: "hash", sha256 });
});

Deno.test("bytes task counts the bytes of the messages and no others", () => {
  assertEquals(resultOf("bytes", [[[0, 255, 255]], [[255, 101]]]), {
    task: "bytes",
    total: 5,
    top: [
      { value: "0xff", count: 3 },
      { value: "0x00", count: 1 },
      { value: "'e'", count: 1 },
    ],
  });
});

Deno.test("bytes task reports the five most frequent, of equals those that come first", () => {
  const result = resultOf("bytes", [[[7, 1, 2, 3, 4, 5, 6, 7, 5]]]);
  const top = result.task === "bytes" ? result.top : [];
  assertEquals(top.map(({ value }) => value), ["0x05", "0x07", "0x01", "0x02", "0x03"]);
});
