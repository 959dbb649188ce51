import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCommand } from "../../../src/cli/mod.ts";
import type { Summary } from "../../../src/cli/demo/summary.ts";
import { workerTest } from "../../permission.ts";
import { RecordingOutput } from "../recording_output.ts";

const LICENSE = new URL("../../../LICENSE", import.meta.url).pathname;

async function runDemo(...args: string[]) {
  const output = new RecordingOutput();
  const code = await runCommand(["demo", ...args], output);
  return { code, printed: output.results.join("\n"), errors: output.errors.join("\n") };
}

workerTest("demo verifies the hash of a text file", async () => {
  const { code, printed, errors } = await runDemo(LICENSE);
  assertEquals(errors, "");
  assertMatch(printed, /LICENSE\n1\.1 kB of text, 21 records in 21 messages\n/);
  assertMatch(printed, /verified: the SHA-256 received is that of the file, [0-9a-f]{64}$/);
  assertEquals(code, 0);
});

workerTest("demo prints one line of JSON when asked", async () => {
  const { code, printed } = await runDemo("--json", "--record", "100", LICENSE);
  assertEquals(code, 0);
  assertEquals(printed.includes("\n"), false);
  const summary = JSON.parse(printed) as Summary;
  assertEquals(summary.source, LICENSE);
  assertEquals(summary.verified, true);
  assertEquals(summary.records, Math.ceil(Deno.statSync(LICENSE).size / 100));
  assertEquals(summary.workers.map(({ lostBytes }) => lostBytes), [0, 0, 0]);
});

workerTest("demo that does not wait ends well, whether or not something was lost", async () => {
  const { code, printed, errors } = await runDemo("--pace", "off", "--ring", "64", LICENSE);
  assertEquals(errors, "");
  assertMatch(printed, /^(not )?verified: /m);
  assertEquals(code, 0);
});

Deno.test("demo prints its help", async () => {
  const { code, printed } = await runDemo("--help");
  assertEquals(code, 0);
  assertStringIncludes(printed, "--pace on|off");
});

Deno.test("demo rejects an unknown option", async () => {
  const { code, printed, errors } = await runDemo("--fast");
  assertEquals(code, 1);
  assertEquals(printed, "");
  assertStringIncludes(errors, "Unknown option '--fast'");
});

workerTest("demo rejects a file that does not exist", async () => {
  const { code, errors } = await runDemo("no such file");
  assertEquals(errors, "Cannot stream 'no such file' as it does not exist");
  assertEquals(code, 1);
});

workerTest("demo rejects a directory", async () => {
  const { code, errors } = await runDemo("tests");
  assertEquals(errors, "Cannot stream 'tests' as it is a directory");
  assertEquals(code, 1);
});

workerTest("demo rejects an empty file", async () => {
  const { code, errors } = await runDemo("tests/cli/demo/empty");
  assertEquals(errors, "Cannot stream 'tests/cli/demo/empty' as it is empty");
  assertEquals(code, 1);
});

workerTest("demo rejects a file that Deno was not permitted to read", async () => {
  // In a terminal, Deno would ask for the permission.
  if (Deno.stdin.isTerminal()) return;
  const { code, errors } = await runDemo("/");
  assertEquals(
    errors,
    `Cannot stream '/' as it cannot be read: Requires read access to "/", ` +
      "run again with the --allow-read flag",
  );
  assertEquals(code, 1);
});
