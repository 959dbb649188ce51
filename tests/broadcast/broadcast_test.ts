import { assert, assertEquals, assertThrows } from "@std/assert";
import { Broadcast, type BroadcastHandle, type BroadcastOptions } from "@busbar/busbar/broadcast";
import { Memory } from "@busbar/busbar/memory";
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

Deno.test("an attached ring has the layout of the one created", () => {
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

Deno.test("several rings in one memory do not touch each other", () => {
  const size = { capacityBytes: 256, segments: 4 };
  const memory = Memory.create({ byteLength: 3 * Broadcast.byteLength(size) });
  const rings = [0, 1, 2].map(() => Broadcast.create({ ...size, memory }));
  assertThrows(() => Broadcast.create({ ...size, memory }), RangeError, "Cannot allocate");
  const readers = rings.map((ring) => Broadcast.attach(ring.handle).reader());
  rings.forEach((ring, i) => ring.writer().send(numbered(i, 48)));
  readers.forEach((reader, i) => assertEquals(take(reader), [numbered(i, 48)]));
});

Deno.test("options of a ring that are out of range are named", () => {
  const fails = (options: Partial<BroadcastOptions>, message: string) => {
    assertThrows(
      () => Broadcast.create({ capacityBytes: 1024, ...options }),
      RangeError,
      `Cannot create broadcast as ${message}`,
    );
  };
  const capacity = "'capacityBytes' must be a power of two from 64 to 1073741824: received";
  fails({ capacityBytes: 1000 }, `${capacity} 1000`);
  fails({ capacityBytes: 32 }, `${capacity} 32`);
  fails({ capacityBytes: 2 ** 31 }, `${capacity} 2147483648`);
  fails({ capacityBytes: NaN }, `${capacity} NaN`);
  fails({ segments: 3 }, "'segments' must be a power of two from 4 to 128: received 3");
  fails({ segments: 2 }, "'segments' must be a power of two from 4 to 128: received 2");
  fails({ segments: 256 }, "'segments' must be a power of two from 4 to 128: received 256");
  const last = Number.MAX_SAFE_INTEGER - 1024;
  for (const startPosition of [-128, 2 ** 53 - 1024, 2 ** 53, NaN, 0.5]) {
    fails(
      { startPosition },
      `'startPosition' must be a whole number from 0 to ${last}: received ${startPosition}`,
    );
  }
  fails(
    { startPosition: 64 },
    "'startPosition' must be a multiple of the segment size 128: received 64",
  );
  fails(
    { metadata: new Uint8Array(2 ** 20 + 1) },
    "'metadata.length' must be a whole number from 0 to 1048576: received 1048577",
  );
  assertThrows(() => Broadcast.byteLength({ capacityBytes: 65 }), RangeError, "received 65");
});

Deno.test("a ring attaches only to a handle of a ring of this version", () => {
  const { handle } = Broadcast.create({ capacityBytes: 1024 });
  const fails = (received: unknown, message: string) =>
    assertThrows(() => Broadcast.attach(received as BroadcastHandle), TypeError, message);
  fails(null, "a handle of kind 'busbar.broadcast' was expected: received null");
  fails({}, "a handle of kind 'busbar.broadcast' was expected: received [object Object]");
  fails(handle.memory, `received kind "busbar.memory"`);
  fails(
    Broadcast.attach(handle),
    "a handle of kind 'busbar.broadcast' was expected: received the object itself, so pass its 'handle'",
  );
  fails(
    { ...handle, version: 7 },
    "version 5 of 'busbar.broadcast' was expected: received version 7",
  );
  fails({ ...handle, memory: handle }, "a handle of kind 'busbar.memory' was expected");
  for (const byteOffset of [-64, 8, 2 ** 20, NaN]) {
    fails({ ...handle, byteOffset }, `'byteOffset' must be a multiple of 64 within`);
  }
});

Deno.test("a ring attaches only to the memory of a ring", () => {
  const { handle } = Broadcast.create({ capacityBytes: 1024 });
  const words = new Int32Array(handle.memory.buffer);
  /** Overwrites one word, and expects that attaching fails. */
  const fails = (word: number, value: number, message: string) => {
    const kept = words[word]!;
    words[word] = value;
    assertThrows(() => Broadcast.attach(handle), TypeError, message);
    words[word] = kept;
  };
  fails(0, 0, "with magic 0x62637374 was expected: found 0x0");
  fails(1, 9, "with layout version 0x5 was expected: found 0x9");
  fails(2, 1000, "no ring has 1000 bytes in 8 segments from 0, and 0 bytes of metadata");
  fails(2, 2048, "'busbar.broadcast' of 2752 bytes does not fit: found 1728 bytes");
  fails(3, 1024, "no ring has 1024 bytes in 1024 segments");
  fails(3, 2, "no ring has 1024 bytes in 2 segments");
  fails(4, 8, "no ring has 1024 bytes in 8 segments from 8");
  fails(5, -1, "no ring has 1024 bytes in 8 segments from 18446744069414584000");
  fails(6, -1, "and -1 bytes of metadata");
  fails(6, 64, "of 1792 bytes does not fit");
  assert(Broadcast.attach(handle));
});

Deno.test("a ring has one writer at a time, wherever it is attached", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  const attached = Broadcast.attach(broadcast.handle);
  const first = broadcast.writer();
  assertThrows(
    () => attached.writer(),
    Error,
    "Cannot become the writer of the broadcast as it has one: close that one, or take over",
  );
  first[Symbol.dispose]();
  using second = attached.writer();
  assertThrows(() => broadcast.writer(), Error, "it has one");
  first[Symbol.dispose](); // Again, which does nothing.
  assertThrows(() => broadcast.writer(), Error, "it has one");
  assertEquals(second.position, 0);
});

Deno.test("a ring has as many segments as make 64 KiB each, and at least eight", () => {
  assertEquals(Broadcast.create({ capacityBytes: 64 }).segments, 8);
  assertEquals(Broadcast.create({ capacityBytes: 512 * 1024 }).segments, 8);
  assertEquals(Broadcast.create({ capacityBytes: 8 * 1024 * 1024 }).segments, 128);
});

Deno.test("a ring tells every reader its metadata", () => {
  const metadata = numbered(1, 1024);
  const broadcast = Broadcast.create({ capacityBytes: 256, metadata });
  metadata.fill(0);
  const attached = Broadcast.attach(structuredClone(broadcast.handle));
  for (const ring of [broadcast, attached]) assertEquals(ring.metadata, numbered(1, 1024));
  assertEquals(Broadcast.create({ capacityBytes: 256 }).metadata.length, 0);

  // It takes space of its own, between the header and the data.
  const size = { capacityBytes: 256, segments: 4 };
  const without = Broadcast.byteLength(size);
  assertEquals(Broadcast.byteLength({ ...size, metadata: numbered(1, 1) }), without + 64);
  const memory = Memory.create({ byteLength: 2 * (without + 64) });
  const rings = [1, 2].map((n) =>
    Broadcast.create({ ...size, memory, metadata: numbered(n, 50 * n % 64) })
  );
  for (const ring of rings) {
    const reader = ring.reader();
    using writer = ring.writer();
    for (let i = 0; i < 9; i++) {
      writer.send(numbered(i, 56));
      assertEquals(take(reader), [numbered(i, 56)]);
    }
  }
  assertEquals(rings.map((ring) => Broadcast.attach(ring.handle).metadata), [
    numbered(1, 50),
    numbered(2, 36),
  ]);
});
