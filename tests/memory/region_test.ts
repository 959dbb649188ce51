import { assertEquals, assertThrows } from "@std/assert";
import { Memory } from "../../mod.ts";
import { FIRST_WORD, Region, type RegionHandle } from "../../src/memory/region.ts";

const THING = { kind: "busbar.thing", version: 3, magic: 0x7468696e } as const;

type Thing = RegionHandle<"busbar.thing">;

Deno.test("a region has a memory of its own, or the next free lines of one", () => {
  const own = Region.create(THING, 64, undefined);
  assertEquals([own.memory.byteLength, own.byteOffset, own.words.length], [64, 0, 16]);

  const memory = Memory.create({ byteLength: 300 });
  memory.allocate(1);
  const region = Region.create(THING, 128, memory);
  assertEquals([region.byteOffset, region.words.length], [64, 32]);
  assertEquals([...region.words.subarray(0, FIRST_WORD)], [THING.magic, THING.version]);
  assertThrows(() => Region.create(THING, 128, memory), RangeError, "Cannot allocate 128 bytes");
});

Deno.test("a region is opened by its handle, which survives structured clone", () => {
  const memory = Memory.create({ byteLength: 256 });
  memory.allocate(64);
  const region = Region.create(THING, 64, memory);
  region.words[FIRST_WORD] = 42;
  const attached = Region.attach(THING, structuredClone(region.handle), 64);
  assertEquals(attached.words[FIRST_WORD], 42);
  assertEquals(attached.handle, region.handle);
  // As long as its own words say.
  assertEquals(Region.attach(THING, region.handle, 64, (words) => words[2]! * 4).words.length, 42);
});

Deno.test("a region attaches to nothing but a handle of one of its kind", () => {
  const memory = Memory.create({ byteLength: 256 });
  memory.allocate(64);
  const { handle } = Region.create(THING, 64, memory);
  const refused = (received: unknown, message: string) =>
    assertThrows(() => Region.attach(THING, received as Thing, 64), TypeError, message);
  refused(null, "a handle of kind 'busbar.thing' was expected: received null");
  refused({ ...handle, kind: "busbar.other" }, `was expected: received kind "busbar.other"`);
  refused(
    { ...handle, version: 2 },
    "version 3 of 'busbar.thing' was expected: received version 2",
  );
  refused({ ...handle, memory: handle }, "handle of kind 'busbar.memory' was expected");
  for (const byteOffset of [-64, 32, 0.5, 256, NaN, "64"]) {
    refused({ ...handle, byteOffset }, "'byteOffset' must be a multiple of 64 within 256 bytes");
  }
  refused(
    { ...handle, byteOffset: 0 },
    "memory of 'busbar.thing' with magic 0x7468696e was expected: found 0x0",
  );

  const words = new Int32Array(memory.buffer, 64);
  words[1] = 4;
  refused(handle, "with layout version 0x3 was expected: found 0x4");
  words[1] = 3;
  assertThrows(
    () => Region.attach(THING, handle, 64, () => 256),
    TypeError,
    "Cannot attach as 'busbar.thing' of 256 bytes does not fit: found 192 bytes",
  );
  assertThrows(() => Region.attach(THING, handle, 64, () => NaN), TypeError, "does not fit");
});
