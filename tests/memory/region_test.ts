import { assertEquals, assertThrows } from "@std/assert";
import { Memory } from "../../mod.ts";
import { LAYOUT_VERSION } from "../../src/memory/handle.ts";
import {
  FIRST_WORD,
  type Layout,
  Region,
  type RegionHandle,
  type RegionKind,
} from "../../src/memory/region.ts";

type Thing = RegionHandle<"busbar.thing">;

function layout(byteLength: number): Layout {
  return { byteLength, labels: () => [["size", FIRST_WORD]] };
}

/** A thing whose third word says how many bytes it has; 0 says 64. */
const THING: RegionKind<"busbar.thing"> = {
  kind: "busbar.thing",
  magic: 0x7468696e,
  minBytes: 64,
  read: (words) => layout(words[FIRST_WORD] || 64),
};

Deno.test("a region has a memory of its own, or the next free lines of one", () => {
  const own = Region.create(THING, layout(64), undefined);
  assertEquals([own.memory.byteLength, own.byteOffset, own.words.length], [64, 0, 16]);

  const memory = Memory.create({ byteLength: 300 });
  memory.allocate(1);
  const region = Region.create(THING, layout(128), memory);
  assertEquals([region.byteOffset, region.words.length], [64, 32]);
  assertEquals([...region.words.subarray(0, FIRST_WORD)], [THING.magic, LAYOUT_VERSION]);
  assertThrows(
    () => Region.create(THING, layout(128), memory),
    RangeError,
    "Cannot allocate 128 bytes",
  );
});

Deno.test("a region is opened by its handle, which survives structured clone", () => {
  const memory = Memory.create({ byteLength: 256 });
  memory.allocate(64);
  const region = Region.create(THING, layout(64), memory);
  region.words[FIRST_WORD] = 168;
  const attached = Region.attach(THING, structuredClone(region.handle));
  assertEquals(attached.words[FIRST_WORD], 168);
  assertEquals(attached.handle, region.handle);
  // As long as its own words say.
  assertEquals([attached.layout.byteLength, attached.words.length], [168, 42]);
});

Deno.test("a region attaches only to a handle of its kind", () => {
  const memory = Memory.create({ byteLength: 256 });
  memory.allocate(64);
  const { handle } = Region.create(THING, layout(64), memory);
  const refused = (received: unknown, message: string) =>
    assertThrows(() => Region.attach(THING, received as Thing), TypeError, message);
  refused(null, "a handle of kind 'busbar.thing' was expected: received null");
  refused({ ...handle, kind: "busbar.other" }, `was expected: received kind "busbar.other"`);
  refused(
    { ...handle, version: 2 },
    `version ${LAYOUT_VERSION} of 'busbar.thing' was expected: received version 2`,
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
  words[1] = 3;
  refused(handle, `with layout version 0x${LAYOUT_VERSION} was expected: found 0x3`);
  words[1] = LAYOUT_VERSION;
  words[FIRST_WORD] = 256;
  refused(handle, "Cannot attach as 'busbar.thing' of 256 bytes does not fit: found 192 bytes");
  words[FIRST_WORD] = -1;
  refused(handle, "does not fit");
});

Deno.test("an object in place of its handle is recognised", () => {
  const region = Region.create(THING, layout(64), undefined);
  assertThrows(
    () => Region.attach(THING, region as unknown as Thing),
    TypeError,
    "received the object itself, so pass its 'handle'",
  );
});
