import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatSummary, type Outcome, summarize } from "../../../src/cli/demo/summary.ts";
import type { Report } from "../../../src/cli/demo/worker.ts";

function outcome(paced: boolean): Outcome {
  return {
    source: "a\x1bfile",
    kind: "binary data",
    bytes: 3000,
    records: 3,
    messages: 3,
    ringBytes: 65536,
    paced,
    seconds: 0.5,
    sha256: "abc",
  };
}

function reports(change: Partial<Report> = {}, sha256 = "abc", records = 3): Report[] {
  const all = { messages: 3, bytes: 3000, maxLagBytes: 1032, overruns: 0 };
  const top = [{ value: "0x00", count: 1500 }];
  return [
    { ...all, result: { task: "count", records } },
    { ...all, ...change, result: { task: "hash", sha256 } },
    { ...all, result: { task: "bytes", total: 3000, top } },
  ];
}

const lost = { messages: 1, bytes: 1000, overruns: 1 };

Deno.test("summary is verified if everything arrived and the hash is equal", () => {
  const summary = summarize(outcome(true), reports());
  assertEquals(summary.verified, true);
  assertEquals(summary.faults, []);
  assertEquals(summary.bytesPerSecond, 6000);
  assertEquals(summary.recordsPerSecond, 6);
  const text = formatSummary(summary, false);
  assertStringIncludes(text, "a\\x1bfile");
  assertStringIncludes(text, "0x00 50.0 %");
  assertStringIncludes(text, "verified: the SHA-256 received is that of the file, abc");
});

Deno.test("summary reports loss of a writer that does not wait, and finds no fault in it", () => {
  const summary = summarize(outcome(false), reports(lost, "xyz"));
  assertEquals(summary.verified, false);
  assertEquals(summary.faults, []);
  assertEquals(summary.workers.map(({ lostBytes }) => lostBytes), [0, 2000, 0]);
  const text = formatSummary(summary, false);
  assertStringIncludes(text, "not verified: the hash is incomplete");
});

Deno.test("summary finds fault with loss where the writer waits", () => {
  const { faults } = summarize(outcome(true), reports(lost, "xyz"));
  assertEquals(faults, ["the hash worker lost data though the writer waited for it"]);
});

Deno.test("summary finds fault with silent loss, and with more than was sent", () => {
  const silent = summarize(outcome(false), reports({ ...lost, overruns: 0 }, "xyz"));
  assertEquals(silent.faults, ["the hash worker lost data without being overrun"]);
  const more = summarize(outcome(false), reports({ bytes: 4000, overruns: 1 }, "xyz"));
  assertEquals(more.faults, ["the hash worker received more than was sent"]);
});

Deno.test("summary finds fault with a different hash, paced or not", () => {
  for (const paced of [true, false]) {
    const summary = summarize(outcome(paced), reports({}, "xyz"));
    assertEquals(summary.verified, false);
    assertEquals(summary.faults, [
      "the hash worker came to xyz, but the SHA-256 of the file is abc",
    ]);
    assertStringIncludes(formatSummary(summary, false), "wrong: the hash worker came to xyz");
  }
});

Deno.test("summary finds fault with a wrong count of records", () => {
  const { faults } = summarize(outcome(true), reports({}, "abc", 2));
  assertEquals(faults, ["the count worker counted 2 records of 3"]);
});

Deno.test("summary is styled only where asked for", () => {
  const summary = summarize(outcome(true), reports());
  assertEquals(formatSummary(summary, false).includes("\x1b"), false);
  assertStringIncludes(formatSummary(summary, true), "\x1b[32m");
});
