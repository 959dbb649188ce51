import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCommand } from "../../src/cli/mod.ts";
import { RecordingOutput } from "./recording_output.ts";

Deno.test("runCommand lists its commands when asked for help", async () => {
  for (const help of ["--help", "-h", "help"]) {
    const output = new RecordingOutput();
    assertEquals(await runCommand([help], output), 0);
    assertMatch(output.results.join("\n"), /demo +streams a file/);
    assertEquals(output.errors, []);
  }
});

Deno.test("runCommand without a command shows help and fails", async () => {
  const output = new RecordingOutput();
  assertEquals(await runCommand([], output), 1);
  assertStringIncludes(output.results.join("\n"), "Usage:");
});

Deno.test("runCommand rejects an unknown command", async () => {
  const output = new RecordingOutput();
  assertEquals(await runCommand(["dem\x1b[2J"], output), 1);
  assertEquals(output.errors, [
    "Cannot run 'dem\\x1b[2J' as it is not a command: expected demo",
  ]);
});
