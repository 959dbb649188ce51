import { assertEquals } from "@std/assert";
import {
  formatAmount,
  formatCount,
  formatShare,
  formatSize,
  formatTable,
  printable,
} from "../../src/cli/format.ts";

Deno.test("formatCount sets thousands apart", () => {
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
  assertEquals(formatSize(1536), "1.5 KiB");
  assertEquals(formatSize(1025), "1,025 bytes");
  assertEquals(formatSize(2 ** 20), "1 MiB");
  assertEquals(formatSize(2 ** 30), "1 GiB");
});

Deno.test("formatShare of nothing is nothing", () => {
  assertEquals(formatShare(1, 8), "12.5 %");
  assertEquals(formatShare(0, 0), "0.0 %");
});

Deno.test("printable shows control characters, of both sets, and leaves the rest", () => {
  assertEquals(printable("a\n\x1b[2J\x9bé漢"), "a\\x0a\\x1b[2J\\x9bé漢");
});

Deno.test("formatTable aligns columns", () => {
  assertEquals(
    formatTable([["a", "b", "c"], ["long", "1000", ""]], ["left", "right", "left"]),
    "a        b  c\nlong  1000",
  );
});
