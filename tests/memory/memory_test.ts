import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Memory, type MemoryHandle } from "../../mod.ts";

Deno.test("memory is laid out piece by piece, each aligned", () => {
  const memory = Memory.create({ byteLength: 256 });
  assertEquals(memory.allocate(1), 0);
  assertEquals(memory.allocate(8), 64);
  assertEquals(memory.allocate(4, 4), 72);
  assertEquals(memory.allocate(0, 1), 76);
  assertEquals(memory.allocate(128), 128);
});

Deno.test("memory refuses more than is free, and stays usable", () => {
  const memory = Memory.create({ byteLength: 128 });
  memory.allocate(64);
  assertThrows(
    () => memory.allocate(65),
    RangeError,
    "Cannot allocate 65 bytes as 64 of 128 are free",
  );
  assertEquals(memory.allocate(64), 64);
  assertThrows(() => memory.allocate(1), RangeError, "0 of 128 are free");
});

Deno.test("memory refuses invalid sizes and alignments", () => {
  for (const byteLength of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(
      () => Memory.create({ byteLength }),
      RangeError,
      `Cannot create memory as 'byteLength' must be a whole number not below 1: received ${byteLength}`,
    );
  }
  assertThrows(
    () => Memory.create({ byteLength: 2 ** 52 }),
    RangeError,
    "Cannot create memory of 4503599627370496 bytes as the platform does not provide that many",
  );
  const memory = Memory.create({ byteLength: 64 });
  assertThrows(
    () => memory.allocate(-1),
    RangeError,
    "'byteLength' must be a whole number not below 0: received -1",
  );
  assertThrows(
    () => memory.allocate(1, 3),
    RangeError,
    "'alignment' must be a power of two from 1 to 1073741824: received 3",
  );
});

Deno.test("attached memory has the same bytes, and is not laid out again", () => {
  const memory = Memory.create({ byteLength: 64 });
  const attached = Memory.attach(structuredClone(memory.handle));
  new Uint8Array(memory.buffer)[3] = 7;
  assertEquals(new Uint8Array(attached.buffer)[3], 7);
  assertEquals(attached.byteLength, 64);
  assertThrows(
    () => attached.allocate(8),
    Error,
    "Cannot allocate as only the thread that created the memory may",
  );
});

Deno.test("memory attaches only to a handle of memory", () => {
  const { handle } = Memory.create({ byteLength: 64 });
  const refused = (received: unknown, message: string) =>
    assertThrows(() => Memory.attach(received as MemoryHandle), TypeError, message);
  refused(undefined, "a handle of kind 'busbar.memory' was expected: received undefined");
  refused("memory", `a handle of kind 'busbar.memory' was expected: received "memory"`);
  refused(handle.buffer, "was expected: received [object SharedArrayBuffer]");
  refused({ ...handle, kind: "busbar.broadcast" }, `received kind "busbar.broadcast"`);
  refused(
    { ...handle, version: 2 },
    "version 5 of 'busbar.memory' was expected: received version 2",
  );
  refused(
    { ...handle, buffer: new ArrayBuffer(64) },
    "'buffer' must be a SharedArrayBuffer: received [object ArrayBuffer]",
  );
});

Deno.test("memory waits for a word to change", () => {
  const memory = Memory.create({ byteLength: 64 });
  const words = new Int32Array(memory.buffer);
  assertEquals(memory.wait(words, 0, 1), "not-equal");
  assertEquals(memory.wait(words, 0, 0, 1), "timed-out");
  assertEquals(memory.notify(words, 0), 0);
});

Deno.test("memory waits without blocking", async () => {
  const memory = Memory.create({ byteLength: 64 });
  const words = new Int32Array(memory.buffer);
  assertEquals(memory.waitAsync(words, 0, 1), "not-equal");
  assertEquals(memory.waitAsync(words, 0, 0, 0), "timed-out");

  const alive = setInterval(() => {}, 1000);
  const first = memory.waitAsync(words, 0, 0);
  const second = memory.waitAsync(words, 0, 0);
  assertInstanceOf(first, Promise);
  assertEquals(memory.notify(words, 0, 1), 1);
  assertEquals(await first, "ok");
  assertEquals(memory.notify(words, 0), 1);
  assertEquals(await second, "ok");
  clearInterval(alive);
});
