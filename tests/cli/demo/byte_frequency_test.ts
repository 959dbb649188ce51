import { assertEquals } from "@std/assert";
import { ByteFrequency } from "../../../src/cli/demo/byte_frequency.ts";

Deno.test("byte frequency counts the bytes of the message and no others", () => {
  const task = new ByteFrequency();
  task.take(Uint8Array.of(9, 0, 255, 255, 9), 1, 4);
  task.take(Uint8Array.of(255, 10), 0, 2);
  assertEquals(task.result(), {
    kind: "bytes",
    top: [
      { value: "0xff", count: 3 },
      { value: "0x00", count: 1 },
      { value: "0x0a", count: 1 },
    ],
    total: 5,
    different: 3,
  });
});

Deno.test("byte frequency reports the five most frequent, of equals those that come first", () => {
  const task = new ByteFrequency();
  for (const byte of [7, 1, 2, 3, 4, 5, 6, 7, 5]) task.take(Uint8Array.of(byte), 0, 1);
  const { top, different } = task.result();
  assertEquals(top.map(({ value }) => value), ["0x05", "0x07", "0x01", "0x02", "0x03"]);
  assertEquals(different, 7);
});
