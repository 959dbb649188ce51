import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCommand } from "../../src/cli/mod.ts";
import { RecordingTerminal } from "./recording_terminal.ts";

Deno.test("runCommand lists its commands when asked for help", async () => {
  for (const help of ["--help", "-h", "help"]) {
    const terminal = new RecordingTerminal();
    assertEquals(await runCommand([help], terminal), 0);
    assertMatch(terminal.printed.join("\n"), /demo +streams a file/);
    assertEquals(terminal.errors, []);
  }
});

Deno.test("runCommand without a command shows help and fails", async () => {
  const terminal = new RecordingTerminal();
  assertEquals(await runCommand([], terminal), 1);
  assertStringIncludes(terminal.printed.join("\n"), "Usage:");
});

Deno.test("runCommand refuses a command that it does not know", async () => {
  const terminal = new RecordingTerminal();
  assertEquals(await runCommand(["dem\x1b[2J"], terminal), 1);
  assertEquals(terminal.errors, [
    "Cannot run 'dem\\x1b[2J' as it is not a command: expected demo",
  ]);
});
