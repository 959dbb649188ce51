import { assertEquals, assertThrows } from "@std/assert";
import { HELP, parseOptions } from "../../../src/cli/demo/demo.ts";
import { CommandError } from "../../../src/cli/output.ts";

Deno.test("options have defaults", () => {
  assertEquals(parseOptions([]), {
    file: undefined,
    ringBytes: 2 ** 20,
    recordBytes: undefined,
    paced: true,
    json: false,
    help: false,
  });
});

Deno.test("options are read in any order, around the file", () => {
  const options = parseOptions([
    "--pace",
    "off",
    "a file",
    "--ring=64k",
    "--record",
    "100",
    "--json",
  ]);
  assertEquals(options, {
    file: "a file",
    ringBytes: 65536,
    recordBytes: 100,
    paced: false,
    json: true,
    help: false,
  });
  assertEquals(parseOptions(["-h"]).help, true);
  assertEquals(parseOptions(["--", "--ring"]).file, "--ring");
});

Deno.test("options take sizes with units", () => {
  const ring = (text: string) => parseOptions(["--ring", text]).ringBytes;
  assertEquals(ring("64"), 64);
  assertEquals(ring("1K"), 1024);
  assertEquals(ring("1kB"), 1024);
  assertEquals(ring("2MiB"), 2 ** 21);
  assertEquals(ring("1G"), 2 ** 30);
});

Deno.test("options that are invalid are rejected, and the error names the expected value", () => {
  const rejected: [string[], string][] = [
    [["--rign", "1M"], "Unknown option '--rign'"],
    [["--ring"], "--ring"],
    [["--json=yes"], "--json"],
    [
      ["--ring", "big"],
      `'--ring' must be a power of two from 64 to 1073741824, such as 1024, 64K or 1M: ` +
      `received "big"`,
    ],
    [["--ring", "-1"], "Option '--ring' argument is ambiguous\n"],
    [["--ring", ""], `received ""`],
    [["--ring", "100"], `'--ring' must be a power of two from 64 to 1073741824`],
    [["--ring", "100"], `received "100"`],
    [["--ring", "32"], "'--ring' must be a power of two from 64"],
    [["--ring", "2G"], `received "2G"`],
    [["--record", "0"], "'--record' must be a whole number from 1"],
    [["--record", "1e3"], `received "1e3"`],
    [["--pace", "slow"], `'--pace' must be on or off: received "slow"`],
    [["one", "two"], "one FILE was expected: received 2"],
  ];
  for (const [args, message] of rejected) {
    const error = assertThrows(() => parseOptions(args), CommandError, message);
    assertEquals(error.message.startsWith("Cannot run the demo"), true, error.message);
    assertEquals(error.message.endsWith("\nTry --help."), true, error.message);
  }
});

Deno.test("help fits a terminal", () => {
  for (const line of HELP.split("\n")) assertEquals(line.length <= 100, true, line);
});
