import { assertEquals } from "@std/assert";
import {
  formatAmount,
  formatCount,
  formatSize,
  formatTable,
  printable,
} from "../../src/cli/output.ts";

Deno.test("formatCount separates thousands", () => {
  assertEquals(formatCount(0), "0");
  assertEquals(formatCount(1234567.8), "1,234,568");
});

Deno.test("formatAmount chooses a decimal unit", () => {
  assertEquals(formatAmount(0), "0 bytes");
  assertEquals(formatAmount(1), "1 byte");
  assertEquals(formatAmount(999), "999 bytes");
  assertEquals(formatAmount(1000), "1.0 kB");
  assertEquals(formatAmount(95_300_000), "95.3 MB");
  assertEquals(formatAmount(2.5e9), "2.50 GB");
});

Deno.test("formatSize is exact", () => {
  assertEquals(formatSize(64), "64 bytes");
  assertEquals(formatSize(1024), "1 KiB");
  assertEquals(formatSize(2 ** 20), "1 MiB");
  assertEquals(formatSize(2 ** 30), "1 GiB");
});

Deno.test("printable escapes control characters of both sets, and nothing else", () => {
  assertEquals(printable("a\n\x1b[2J\x9bé漢"), "a\\x0a\\x1b[2J\\x9bé漢");
});

Deno.test("formatTable aligns the first and the last column left, the others right", () => {
  assertEquals(
    formatTable([["a", "b", "c"], ["long", "1000", ""]]),
    "a        b  c\nlong  1000",
  );
});
