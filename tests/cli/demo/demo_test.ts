import { assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { runCommand } from "../../../src/cli/mod.ts";
import type { Summary } from "../../../src/cli/demo/summary.ts";
import { workerTest } from "../../permission.ts";
import { RecordingTerminal } from "../recording_terminal.ts";

const LICENSE = new URL("../../../LICENSE", import.meta.url).pathname;

async function runDemo(...args: string[]) {
  const terminal = new RecordingTerminal();
  const code = await runCommand(["demo", ...args], terminal);
  const { printed, errors, progress } = terminal;
  return { code, printed: printed.join("\n"), errors: errors.join("\n"), progress };
}

workerTest("demo verifies the hash of a text file", async () => {
  const { code, printed, errors, progress } = await runDemo(LICENSE);
  assertEquals(errors, "");
  assertMatch(printed, /LICENSE\n1\.1 kB of text, 21 records in 21 messages\n/);
  assertMatch(printed, /verified: the SHA-256 received is that of the file, [0-9a-f]{64}$/);
  assertEquals(code, 0);
  assertEquals(progress.at(-1), "");
});

workerTest("demo prints one line of JSON when asked", async () => {
  const { code, printed } = await runDemo("--json", "--record", "100", LICENSE);
  assertEquals(code, 0);
  assertEquals(printed.includes("\n"), false);
  const summary = JSON.parse(printed) as Summary;
  assertEquals(summary.source, LICENSE);
  assertEquals(summary.hash, "verified");
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

Deno.test("demo refuses an option that it does not know", async () => {
  const { code, printed, errors } = await runDemo("--fast");
  assertEquals(code, 1);
  assertEquals(printed, "");
  assertStringIncludes(errors, "Unknown option '--fast'");
});

workerTest("demo refuses a file that does not exist", async () => {
  const { code, errors } = await runDemo("no such file");
  assertEquals(errors, "Cannot stream 'no such file' as it does not exist");
  assertEquals(code, 1);
});

workerTest("demo refuses a directory", async () => {
  const { code, errors } = await runDemo("tests");
  assertEquals(errors, "Cannot stream 'tests' as it is a directory");
  assertEquals(code, 1);
});

workerTest("demo refuses an empty file", async () => {
  const { code, errors } = await runDemo("tests/cli/demo/empty");
  assertEquals(errors, "Cannot stream 'tests/cli/demo/empty' as it is empty");
  assertEquals(code, 1);
});

workerTest("demo refuses a file that Deno was not permitted to read", async () => {
  // Where this terminal could be asked for permission, it would be.
  if (Deno.stdin.isTerminal()) return;
  const { code, errors } = await runDemo("/");
  assertEquals(
    errors,
    `Cannot stream '/' as Deno was not permitted to read it: Requires read access to "/", run again with the --allow-read flag`,
  );
  assertEquals(code, 1);
});

workerTest("demo shows progress only where somebody watches", async () => {
  const { progress } = await runDemo(LICENSE);
  assertGreater(progress.length, 1);
  assertMatch(progress[0]!, /^1\.1 kB of 1\.1 kB, [\d.]+ .B\/s$/);
  const terminal = new RecordingTerminal();
  const unwatched = { ...terminal, print() {}, printError() {}, showProgress: undefined };
  assertEquals(await runCommand(["demo", LICENSE], unwatched), 0);
});
