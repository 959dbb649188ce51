import { assertEquals } from "@std/assert";
import { BlockReader } from "../../../src/cli/demo/block_reader.ts";
import { memorySource } from "./memory_source.ts";

Deno.test("block reader puts what was not used before what it reads", () => {
  using input = memorySource(Uint8Array.of(1, 2, 3, 4, 5, 6, 7), 3).open();
  const blocks = new BlockReader(input, 4);
  const seen: number[][] = [];
  for (let used = 0; blocks.next(used); used = 2) {
    seen.push([...blocks.block.subarray(0, blocks.end)]);
  }
  assertEquals(seen, [[1, 2, 3], [3, 4, 5, 6], [5, 6, 7], [7]]);
  assertEquals(blocks.isLast, true);
  assertEquals(blocks.total, 7);
});

Deno.test("block reader has no block where nothing is left", () => {
  using empty = memorySource(new Uint8Array(0)).open();
  assertEquals(new BlockReader(empty, 4).next(0), false);

  using input = memorySource(Uint8Array.of(1, 2)).open();
  const blocks = new BlockReader(input, 4);
  assertEquals(blocks.next(0), true);
  assertEquals(blocks.next(2), false);
  assertEquals(blocks.next(0), false);
});
