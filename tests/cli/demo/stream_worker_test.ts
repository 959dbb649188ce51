import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { CommandError } from "../../../src/cli/mod.ts";
import type { StreamOptions } from "../../../src/cli/demo/options.ts";
import { stream } from "../../../src/cli/demo/stream.ts";
import type { FrequencyResult, RecordCountResult } from "../../../src/cli/demo/task.ts";
import { workerTest } from "../../permission.ts";
import { memorySource, noise } from "./memory_source.ts";

const OPTIONS: StreamOptions = { ringBytes: 65536, recordBytes: undefined, isPaced: true };

const encode = (text: string) => new TextEncoder().encode(text);

workerTest("stream carries lines of text to three workers", async () => {
  const bytes = encode("one two\n\nthree two\nlast two".repeat(1000));
  const summary = await stream(memorySource(bytes), OPTIONS);
  assertEquals(summary.isText, true);
  assertEquals(summary.bytes, bytes.length);
  assertEquals(summary.records, 3001);
  assertEquals(summary.sha256, createHash("sha256").update(bytes).digest("hex"));
  assertEquals(summary.hash, "verified");
  assertEquals(summary.faults, []);
  assertEquals(summary.workers.map(({ task }) => task), ["count", "hash", "words"]);
  const [count, , words] = summary.workers;
  assertEquals((count!.result as RecordCountResult).records, 3001);
  assertEquals((words!.result as FrequencyResult).top[0], { value: "two", count: 2001 });
});

workerTest("stream carries binary data in records of 1 KiB", async () => {
  const bytes = noise(3_000_001);
  const summary = await stream(memorySource(bytes), OPTIONS);
  assertEquals(summary.isText, false);
  assertEquals(summary.records, Math.ceil(3_000_001 / 1024));
  assertEquals(summary.messages, summary.records);
  assertEquals(summary.hash, "verified");
  assertEquals(summary.workers.map(({ task }) => task), ["count", "hash", "bytes"]);
});

workerTest("stream carries a line longer than the ring", async () => {
  const bytes = encode("x".repeat(1_000_000) + "\nshort\n" + "y".repeat(500_000));
  const summary = await stream(memorySource(bytes, 10_000), { ...OPTIONS, ringBytes: 4096 });
  assertEquals(summary.records, 3);
  assertGreater(summary.messages, 1000);
  assertEquals(summary.hash, "verified");
  assertEquals(summary.workers[0]!.result, {
    kind: "records",
    records: 3,
    longestBytes: 1_000_001,
  });
});

workerTest("stream loses nothing in the smallest ring while the writer waits", async () => {
  const bytes = noise(20_000);
  const summary = await stream(memorySource(bytes), {
    ringBytes: 64,
    recordBytes: 100,
    isPaced: true,
  });
  assertEquals(summary.records, 200);
  assertEquals(summary.hash, "verified");
  assertEquals(summary.workers.map(({ overruns }) => overruns), [0, 0, 0]);
});

workerTest("stream that does not wait accounts for every byte that was lost", async () => {
  const bytes = noise(8_000_000);
  const summary = await stream(memorySource(bytes), {
    ringBytes: 1024,
    recordBytes: 100,
    isPaced: false,
  });
  assertEquals(summary.hash, "incomplete");
  assertEquals(summary.faults, []);
  for (const worker of summary.workers) {
    assertGreater(worker.overruns, 0);
    assertGreater(worker.lostBytes, 0);
    assertEquals(worker.bytes + worker.lostBytes, bytes.length);
    assertEquals(worker.messages + worker.lostMessages, summary.messages);
  }
});

workerTest("stream reports progress up to the end", async () => {
  const progress: number[] = [];
  await stream(memorySource(noise(2_000_000)), OPTIONS, {
    onProgress: (bytes, seconds) => {
      assert(seconds >= 0);
      progress.push(bytes);
    },
  });
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals(progress.at(-1), 2_000_000);
});

workerTest("stream fails with the message of a worker that fails on the way", async () => {
  const workerUrl = new URL("./failing_worker.ts", import.meta.url);
  // The writer that waits has more to send than the ring holds, the other has less.
  const streams = [
    { bytes: 20_000_000, options: OPTIONS },
    { bytes: 4_000_000, options: { ...OPTIONS, ringBytes: 2 ** 23, isPaced: false } },
  ];
  for (const { bytes, options } of streams) {
    await assertRejects(
      () => stream(memorySource(noise(bytes)), options, { workerUrl }),
      CommandError,
      "The hash worker failed: no more of this",
    );
  }
});

workerTest("stream fails if a worker cannot be started", async () => {
  const workerUrl = new URL("./broken_worker.ts", import.meta.url);
  await assertRejects(
    () => stream(memorySource(noise(1000)), OPTIONS, { workerUrl }),
    CommandError,
    "worker failed: ",
  );
});

workerTest("stream fails if the source does on the way, and leaves no worker behind", async () => {
  const bytes = noise(2_000_000);
  const source = memorySource(bytes);
  let reads = 0;
  const failing = {
    ...source,
    open() {
      const input = source.open();
      return {
        ...input,
        readSync(target: Uint8Array) {
          if (++reads === 3) throw new CommandError("the disk is gone");
          return input.readSync(target);
        },
      };
    },
  };
  await assertRejects(() => stream(failing, OPTIONS), CommandError, "the disk is gone");
});
