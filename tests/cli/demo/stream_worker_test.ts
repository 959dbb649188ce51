import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { stream, type StreamOptions } from "../../../src/cli/demo/stream.ts";
import { CommandError } from "../../../src/cli/output.ts";
import { workerTest } from "../../permission.ts";
import { memorySource, noise } from "./memory_source.ts";

const OPTIONS: StreamOptions = { ringBytes: 65536, paced: true };

const encode = (text: string) => new TextEncoder().encode(text);

workerTest("stream carries lines of text to three workers", async () => {
  const bytes = encode("one two\n\nthree two\nlast two".repeat(1000));
  const summary = await stream(memorySource(bytes), "memory", OPTIONS);
  assertEquals(summary.kind, "text");
  assertEquals(summary.bytes, bytes.length);
  assertEquals(summary.records, 3001);
  assertEquals(summary.sha256, createHash("sha256").update(bytes).digest("hex"));
  assertEquals(summary.verified, true);
  assertEquals(summary.faults, []);
  const results = summary.workers.map(({ result }) => result);
  assertEquals(results.map(({ task }) => task), ["count", "hash", "bytes"]);
  assertEquals(results[0], { task: "count", records: 3001 });
  const top = results[2]!.task === "bytes" ? results[2]!.top : [];
  assertEquals(top[0], { value: "'t'", count: 5000 });
});

workerTest("stream carries binary data in records of 1 KiB", async () => {
  const bytes = noise(3_000_001);
  const summary = await stream(memorySource(bytes), "memory", OPTIONS);
  assertEquals(summary.kind, "binary data");
  assertEquals(summary.records, Math.ceil(3_000_001 / 1024));
  assertEquals(summary.messages, summary.records);
  assertEquals(summary.verified, true);
});

workerTest("stream carries a line longer than the ring", async () => {
  const bytes = encode("x".repeat(1_000_000) + "\nshort\n" + "y".repeat(500_000));
  const source = memorySource(bytes, () => 10_000);
  const summary = await stream(source, "memory", { ...OPTIONS, ringBytes: 4096 });
  assertEquals(summary.records, 3);
  assertGreater(summary.messages, 1000);
  assertEquals(summary.verified, true);
  assertEquals(summary.workers[0]!.result, { task: "count", records: 3 });
});

workerTest("stream loses nothing in the smallest ring while the writer waits", async () => {
  const options = { ringBytes: 64, recordBytes: 100, paced: true };
  const summary = await stream(memorySource(noise(20_000)), "memory", options);
  assertEquals(summary.records, 200);
  assertEquals(summary.verified, true);
  assertEquals(summary.workers.map(({ overruns }) => overruns), [0, 0, 0]);
});

workerTest("stream that does not wait accounts for every byte that was lost", async () => {
  const bytes = noise(8_000_000);
  const options = { ringBytes: 1024, recordBytes: 100, paced: false };
  const summary = await stream(memorySource(bytes), "memory", options);
  assertEquals(summary.verified, false);
  assertEquals(summary.faults, []);
  for (const worker of summary.workers) {
    assertGreater(worker.overruns, 0);
    assertGreater(worker.lostBytes, 0);
    assertEquals(worker.bytes + worker.lostBytes, bytes.length);
    assertEquals(worker.bytes, 100 * worker.messages);
  }
});

workerTest("stream fails with the message of a worker that fails on the way", async () => {
  const workerUrl = new URL("./failing_worker.ts", import.meta.url);
  // The writer that waits has more to send than the ring holds, the other has less.
  const streams = [
    { bytes: 20_000_000, options: OPTIONS },
    { bytes: 4_000_000, options: { ringBytes: 2 ** 23, paced: false } },
  ];
  for (const { bytes, options } of streams) {
    await assertRejects(
      () => stream(memorySource(noise(bytes)), "memory", options, workerUrl),
      CommandError,
      "The hash worker failed: failed on purpose",
    );
  }
});

workerTest("stream fails if a worker cannot be started", async () => {
  const workerUrl = new URL("./broken_worker.ts", import.meta.url);
  await assertRejects(
    () => stream(memorySource(noise(1000)), "memory", OPTIONS, workerUrl),
    CommandError,
    "worker failed: ",
  );
});

workerTest("stream fails if the source does on the way, and leaves no worker behind", async () => {
  let reads = 0;
  const source = memorySource(noise(2_000_000), () => {
    if (++reads === 3) throw new CommandError("the disk is gone");
    return Infinity;
  });
  await assertRejects(() => stream(source, "memory", OPTIONS), CommandError, "the disk is gone");
});
