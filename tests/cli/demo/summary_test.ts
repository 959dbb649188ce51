import { assertEquals, assertStringIncludes } from "@std/assert";
import type { FollowReport } from "../../../src/cli/demo/follow.ts";
import { type Streamed, summarize } from "../../../src/cli/demo/summary.ts";
import { formatSummary } from "../../../src/cli/demo/summary_format.ts";

const TASKS = ["count", "hash", "bytes"] as const;

function streamed(isPaced: boolean): Streamed {
  return {
    source: "a\x1bfile",
    isText: false,
    bytes: 3000,
    records: 3,
    messages: 3,
    seconds: 0.5,
    ringBytes: 65536,
    isPaced,
  };
}

function reports(change: Partial<FollowReport> = {}, hash = "abc", records = 3): FollowReport[] {
  const all = { messages: 3, bytes: 3000, maxLagBytes: 1032, overruns: 0 };
  return [
    { ...all, result: { kind: "records", records, longestBytes: 1000 } },
    { ...all, ...change, result: { kind: "sha256", hash } },
    {
      ...all,
      result: { kind: "bytes", top: [{ value: "0x00", count: 1500 }], total: 3000, different: 9 },
    },
  ];
}

const lost = { messages: 1, bytes: 1000, overruns: 1 };

Deno.test("summary is verified if all arrived and the hash is equal", () => {
  const summary = summarize(streamed(true), TASKS, reports(), "abc");
  assertEquals(summary.hash, "verified");
  assertEquals(summary.faults, []);
  assertEquals(summary.bytesPerSecond, 6000);
  assertEquals(summary.recordsPerSecond, 6);
  const text = formatSummary(summary, false);
  assertStringIncludes(text, "a\\x1bfile");
  assertStringIncludes(text, "0x00 50.0 %");
  assertStringIncludes(text, "verified: the SHA-256 received is that of the file, abc");
});

Deno.test("summary reports loss of a writer that does not wait, and finds no fault in it", () => {
  const summary = summarize(streamed(false), TASKS, reports(lost), "abc");
  assertEquals(summary.hash, "incomplete");
  assertEquals(summary.faults, []);
  assertEquals(summary.workers.map(({ lostBytes }) => lostBytes), [0, 2000, 0]);
  assertEquals(summary.workers.map(({ lostMessages }) => lostMessages), [0, 2, 0]);
  const text = formatSummary(summary, false);
  assertStringIncludes(text, "not verified: the hash is incomplete");
});

Deno.test("summary finds fault with loss where the writer waits", () => {
  const { faults } = summarize(streamed(true), TASKS, reports(lost), "abc");
  assertEquals(faults, ["the hash worker lost data though the writer waited for it"]);
});

Deno.test("summary finds fault with silent loss, and with more than was sent", () => {
  const silent = summarize(streamed(false), TASKS, reports({ ...lost, overruns: 0 }), "abc");
  assertEquals(silent.faults, ["the hash worker lost data and was not told"]);
  const more = summarize(streamed(false), TASKS, reports({ messages: 4, overruns: 1 }), "abc");
  assertEquals(more.faults, ["the hash worker received more than was sent"]);
});

Deno.test("summary finds fault with a different hash, paced or not", () => {
  for (const isPaced of [true, false]) {
    const summary = summarize(streamed(isPaced), TASKS, reports({}, "xyz"), "abc");
    assertEquals(summary.hash, "different");
    assertEquals(summary.faults, [
      "the hash worker came to xyz, but the SHA-256 of the file is abc",
    ]);
    assertStringIncludes(formatSummary(summary, false), "wrong: the hash worker came to xyz");
  }
});

Deno.test("summary finds fault with a wrong count of records", () => {
  const { faults } = summarize(streamed(true), TASKS, reports({}, "abc", 2), "abc");
  assertEquals(faults, ["the count worker counted 2 records of 3"]);
});

Deno.test("summary is styled only where asked for", () => {
  const summary = summarize(streamed(true), TASKS, reports(), "abc");
  assertEquals(formatSummary(summary, false).includes("\x1b"), false);
  assertStringIncludes(formatSummary(summary, true), "\x1b[32m");
});
