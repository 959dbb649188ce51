import { assert, assertEquals, assertThrows } from "@std/assert";
import { Broadcast, type BroadcastHandle, type BroadcastOptions, Memory } from "../../mod.ts";
import { numbered, take } from "./messages.ts";

Deno.test("a broadcast ring carries messages to a ring attached by its handle", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  const attached = Broadcast.attach(structuredClone(broadcast.handle));
  const readers = [broadcast.reader(), attached.reader()];
  using writer = attached.writer();
  for (let i = 0; i < 5; i++) writer.append(numbered(i, 3 * i), { userValue: i });
  writer.publish();
  for (const reader of readers) {
    assertEquals(take(reader), [0, 1, 2, 3, 4].map((i) => numbered(i, 3 * i)));
  }
});

Deno.test("an attached ring has the shape of the one created", () => {
  const options = { capacityBytes: 4096, segments: 4, startPosition: 2 ** 32 + 1024 };
  const broadcast = Broadcast.create(options);
  for (const ring of [broadcast, Broadcast.attach(broadcast.handle)]) {
    assertEquals(ring.capacityBytes, 4096);
    assertEquals(ring.segments, 4);
    assertEquals(ring.startPosition, 2 ** 32 + 1024);
    assertEquals(ring.reader().position, 2 ** 32 + 1024);
    assertEquals(ring.reader({ from: "oldest" }).position, 2 ** 32 + 1024);
  }
});

Deno.test("several rings share a memory and leave each other alone", () => {
  const size = { capacityBytes: 256, segments: 2 };
  const memory = Memory.create({ byteLength: 3 * Broadcast.byteLength(size) });
  const rings = [0, 1, 2].map(() => Broadcast.create({ ...size, memory }));
  assertThrows(() => Broadcast.create({ ...size, memory }), RangeError, "Cannot allocate");
  const readers = rings.map((ring) => Broadcast.attach(ring.handle).reader());
  rings.forEach((ring, i) => ring.writer().send(numbered(i, 48)));
  readers.forEach((reader, i) => assertEquals(take(reader), [numbered(i, 48)]));
});

Deno.test("a ring refuses options that are out of range", () => {
  const refused = (options: Partial<BroadcastOptions>, message: string) => {
    assertThrows(
      () => Broadcast.create({ capacityBytes: 1024, ...options }),
      RangeError,
      `Cannot create broadcast as ${message}`,
    );
  };
  const capacity = "'capacityBytes' must be a power of two from 64 to 1073741824: received";
  refused({ capacityBytes: 1000 }, `${capacity} 1000`);
  refused({ capacityBytes: 32 }, `${capacity} 32`);
  refused({ capacityBytes: 2 ** 31 }, `${capacity} 2147483648`);
  refused({ capacityBytes: NaN }, `${capacity} NaN`);
  refused({ segments: 3 }, "'segments' must be a power of two from 1 to 128: received 3");
  refused({ segments: 256 }, "'segments' must be a power of two from 1 to 128: received 256");
  refused({ startPosition: -128 }, "'startPosition' must be a whole number not below 0");
  refused(
    { startPosition: 64 },
    "'startPosition' must be a multiple of the segment size 128: received 64",
  );
  assertThrows(() => Broadcast.byteLength({ capacityBytes: 65 }), RangeError, "received 65");
});

Deno.test("a ring attaches to nothing but a handle of a ring of this version", () => {
  const { handle } = Broadcast.create({ capacityBytes: 1024 });
  const refused = (received: unknown, message: string) =>
    assertThrows(() => Broadcast.attach(received as BroadcastHandle), TypeError, message);
  refused(null, "a handle of kind 'busbar.broadcast' was expected: received null");
  refused({}, "a handle of kind 'busbar.broadcast' was expected: received [object Object]");
  refused(handle.memory, `received kind "busbar.memory"`);
  refused(
    { ...handle, version: 7 },
    "version 1 of 'busbar.broadcast' was expected: received version 7",
  );
  refused({ ...handle, memory: handle }, "a handle of kind 'busbar.memory' was expected");
  for (const byteOffset of [-64, 8, 2 ** 20, NaN]) {
    refused({ ...handle, byteOffset }, `'byteOffset' must be a multiple of 64 within`);
  }
});

Deno.test("a ring attaches to no memory but that of a ring", () => {
  const { handle } = Broadcast.create({ capacityBytes: 1024 });
  const words = new Int32Array(handle.memory.buffer);
  /** Spoils one word and expects to be refused. */
  const refused = (word: number, value: number, message: string) => {
    const kept = words[word]!;
    words[word] = value;
    assertThrows(() => Broadcast.attach(handle), TypeError, message);
    words[word] = kept;
  };
  refused(0, 0, "with magic 0x62637374 was expected: found 0x0");
  refused(1, 9, "with layout version 0x1 was expected: found 0x9");
  refused(2, 1000, "a ring of 1000 bytes in 8 segments from 0 does not fit");
  refused(2, 2048, "a ring of 2048 bytes in 8 segments from 0 does not fit: found 1728 bytes");
  refused(3, 1024, "a ring of 1024 bytes in 1024 segments from 0 does not fit");
  refused(4, 8, "a ring of 1024 bytes in 8 segments from 8 does not fit");
  refused(5, -1, "does not fit");
  assert(Broadcast.attach(handle));
});

Deno.test("a ring has one writer at a time, wherever it is attached", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  const attached = Broadcast.attach(broadcast.handle);
  const first = broadcast.writer();
  assertThrows(
    () => attached.writer(),
    Error,
    "Cannot become the writer of the broadcast as it has one: dispose of that one first",
  );
  first[Symbol.dispose]();
  using second = attached.writer();
  assertThrows(() => broadcast.writer(), Error, "it has one");
  first[Symbol.dispose](); // Again, which does nothing.
  assertThrows(() => broadcast.writer(), Error, "it has one");
  assertEquals(second.position, 0);
});
