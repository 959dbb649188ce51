/**
 * Packets on one thread: views of buffers, which are free once the last packet is released.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool, type DetachedPacket, type Packet, PACKET_WORDS } from "../../mod.ts";
import { ClosedError } from "../../src/memory/errors.ts";
import { StaleTicketError } from "../../src/pool/errors.ts";

/** A pool of two buffers of sixteen bytes, and a packet that shows 0 to 15. */
function packetOf16(): { pool: BufferPool; packet: Packet } {
  const pool = BufferPool.create({ bufferBytes: 16, batchCount: 1, buffersPerBatch: 2 });
  const buffer = pool.acquire();
  for (let i = 0; i < 16; i++) pool.bytes[pool.offsetOf(buffer) + i] = i;
  return { pool, packet: pool.packet(buffer) };
}

/** The bytes of a packet as an array. */
function bytesOf(packet: Packet): number[] {
  return [...packet.bytes];
}

Deno.test("a packet shows its range of the buffer, without a copy", () => {
  const { pool, packet } = packetOf16();
  assertEquals([packet.offset, packet.length], [0, 16]);
  assertEquals(packet.byteOffset, pool.offsetOf(packet.buffer));
  packet.bytes[3] = 99;
  assertEquals(pool.bytes[packet.byteOffset + 3], 99);

  const other = pool.packet(pool.acquire(), 5, 7);
  assertEquals([other.offset, other.length], [5, 7]);
  assertEquals(other.byteOffset, pool.offsetOf(other.buffer) + 5);
  assertEquals(other.bytes.length, 7);
});

Deno.test("a packet does not reach beyond its buffer", () => {
  const { pool } = packetOf16();
  const buffer = pool.acquire();
  for (const [offset, length] of [[-1, 1], [17, 0], [0, 17], [8, 9], [0.5, 1], [0, NaN]]) {
    assertThrows(
      () => pool.packet(buffer, offset, length),
      RangeError,
      "Cannot make packet as ",
    );
  }
  // The buffer is still in use by its number.
  pool.packet(buffer, 16, 0).release();
});

Deno.test("a packet takes over one reference", () => {
  const { pool, packet } = packetOf16();
  assertThrows(
    () => pool.release(packet.buffer),
    Error,
    `Cannot release buffer ${packet.buffer} as this thread has it only as packets`,
  );
  assertThrows(() => pool.packet(packet.buffer), Error, "has it only as packets");
  packet.release();
  assertThrows(() => pool.release(packet.buffer), Error, "does not have it in use");
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a buffer is free once all its packets are released", () => {
  const { pool, packet } = packetOf16();
  const { buffer } = packet;
  pool.acquire();
  const clone = packet.clone();
  const parts = clone.split([4, 4, 10]);
  assertEquals(parts.map(bytesOf), [[0, 1, 2, 3], [], [4, 5, 6, 7, 8, 9], [
    10,
    11,
    12,
    13,
    14,
    15,
  ]]);
  packet.release();
  for (const part of parts) {
    assertEquals(pool.tryAcquire(), -1);
    part.release();
  }
  assertEquals(pool.tryAcquire(), buffer);
});

Deno.test("a clone begins like its original, and changes independently of it", () => {
  const { packet } = packetOf16();
  packet.advance(10);
  using clone = packet.clone();
  packet.advance(4);
  assertEquals(bytesOf(packet), [14, 15]);
  packet.release();
  assertEquals(bytesOf(clone), [10, 11, 12, 13, 14, 15]);
});

Deno.test("a packet advances up to its end", () => {
  const { packet } = packetOf16();
  packet.advance(0);
  packet.advance(16);
  assertEquals([packet.offset, packet.length], [16, 0]);
  assertThrows(
    () => packet.advance(1),
    RangeError,
    "Cannot advance packet as 'count' must be a whole number from 0 to 0: received 1",
  );
  assertThrows(() => packet.advance(-1), RangeError);
});

Deno.test("a packet splits at ascending offsets within it, and only there", () => {
  const { packet } = packetOf16();
  packet.advance(6);
  for (const offsets of [[11], [-1], [5, 4], [1.5]]) {
    assertThrows(() => packet.split(offsets), RangeError, "Cannot split packet as 'offsets[");
  }
  for (const offsets of [undefined, 5, "12", new Set([5])] as unknown as number[][]) {
    assertThrows(
      () => packet.split(offsets),
      TypeError,
      "Cannot split packet as 'offsets' must be an array: received",
    );
  }
  const [whole] = packet.split([]);
  assertEquals(bytesOf(whole!), [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  const [first, second] = whole!.split([9]);
  assertEquals([first!.length, second!.offset, second!.length], [9, 15, 1]);
});

Deno.test("a packet that is gone rejects every use", () => {
  const ways: Record<string, (packet: Packet) => unknown> = {
    released: (packet) => packet.release(),
    disposed: (packet) => packet[Symbol.dispose](),
    detached: (packet) => packet.detach(),
    split: (packet) => packet.split([1]),
  };
  for (const way of Object.values(ways)) {
    const { packet } = packetOf16();
    way(packet);
    assertEquals(packet.isGone, true);
    const gone =
      `this packet of buffer ${packet.buffer} as it was released, detached or split before`;
    assertThrows(() => packet.bytes, ClosedError, `Cannot use ${gone}`);
    assertThrows(() => packet.length, ClosedError, `Cannot use ${gone}`);
    assertThrows(() => packet.offset, ClosedError, `Cannot use ${gone}`);
    assertThrows(() => packet.clone(), ClosedError, `Cannot clone ${gone}`);
    assertThrows(() => packet.advance(0), ClosedError, `Cannot advance ${gone}`);
    assertThrows(() => packet.split([]), ClosedError, `Cannot split ${gone}`);
    assertThrows(() => packet.detach(), ClosedError, `Cannot detach ${gone}`);
    assertThrows(
      () => packet.detachInto(new Int32Array(4), 0),
      ClosedError,
      `Cannot detach ${gone}`,
    );
    assertThrows(() => packet.release(), ClosedError, `Cannot release ${gone}`);
    packet[Symbol.dispose]();
  }
});

Deno.test("a packet is released at the end of its block", () => {
  const { pool, packet } = packetOf16();
  {
    using _packet = packet;
    using _clone = packet.clone();
    assertEquals(pool.usage().inUse, 1);
  }
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("packets of a pool are gone once their thread has left it", () => {
  const { pool, packet } = packetOf16();
  pool.close();
  assertThrows(
    () => packet.bytes,
    Error,
    `Cannot use this packet of buffer ${packet.buffer} as its thread has left the pool`,
  );
  packet[Symbol.dispose]();
});

Deno.test("a packet that is detached as an object is adopted as it was", () => {
  const { pool, packet } = packetOf16();
  using there = BufferPool.attach(pool.handle);
  packet.advance(3);
  const [first, second] = packet.split([5]) as [Packet, Packet];
  // One of a buffer that the sender keeps, and one of a whole buffer.
  const adopted = [first, second].map((part) => there.adopt(structuredClone(part.detach())));
  assertEquals(adopted.map(bytesOf), [[3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]]);
  for (const part of adopted) part.release();
  there.returnCached();
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a packet that is detached as words is adopted as it was", () => {
  const { pool, packet } = packetOf16();
  using there = BufferPool.attach(pool.handle);
  const words = new Int32Array(PACKET_WORDS + 2);
  packet.advance(9);
  packet.detachInto(words, 1);
  assertEquals([words[0], words[5]], [0, 0]);
  using adopted = there.adoptFrom(words, 1);
  assertEquals(bytesOf(adopted), [9, 10, 11, 12, 13, 14, 15]);
});

Deno.test("words for a packet must fit", () => {
  const { pool, packet } = packetOf16();
  for (const index of [-1, 1, 0.5]) {
    assertThrows(() => packet.detachInto(new Int32Array(4), index), RangeError, "'index'");
    assertThrows(() => pool.adoptFrom(new Int32Array(4), index), RangeError, "'index'");
  }
  const short = "'words' must have at least 4 words: received 3";
  assertThrows(
    () => packet.detachInto(new Int32Array(3), 0),
    RangeError,
    `Cannot detach packet as ${short}`,
  );
  assertThrows(() => pool.adoptFrom(new Int32Array(3), 0), RangeError, short);
  // A ticket does not fit the elements of other arrays: the packet would be lost.
  for (const wrong of [undefined, new Uint8Array(4), new Uint32Array(4), new Float64Array(4), []]) {
    const words = wrong as unknown as Int32Array;
    assertThrows(() => packet.detachInto(words, 0), TypeError, "'words' must be an Int32Array");
    assertThrows(() => pool.adoptFrom(words, 0), TypeError, "'words' must be an Int32Array");
  }
  packet.release();
});

Deno.test("a sender can adopt its own packet that no other thread has adopted", () => {
  const { pool, packet } = packetOf16();
  const detached = packet.detach();
  using back = pool.adopt(detached);
  assertEquals(back.length, 16);
  assertThrows(() => pool.adopt(detached), StaleTicketError);
});

Deno.test("a packet of one pool is not adopted by another, even if all else is equal", () => {
  const { pool, packet } = packetOf16();
  const { pool: twin, packet: theirs } = packetOf16();
  const [detached, detachedByTwin] = [packet.detach(), theirs.detach()];
  assertEquals({ ...detached, pool: 0 }, { ...detachedByTwin, pool: 0 });
  assertThrows(() => twin.adopt(detached), TypeError, "it is of another pool: expected pool");
  pool.adopt(detached).release();
  twin.adopt(detachedByTwin).release();
});

Deno.test("only detached packets of the pool are adopted", () => {
  const { pool, packet } = packetOf16();
  const detached = packet.detach();
  const adopt = (wrong: unknown) => () => pool.adopt(wrong as DetachedPacket);
  assertThrows(adopt(undefined), TypeError, "a handle of kind 'busbar.packet' was expected");
  assertThrows(adopt(pool.handle), TypeError, "received kind");
  assertThrows(
    adopt(packet),
    TypeError,
    "received the packet itself, so pass what its detach() returns",
  );
  assertThrows(adopt({ ...detached, version: 2 }), TypeError, "received version 2");
  assertThrows(
    adopt({ ...detached, pool: detached.pool + 64 }),
    TypeError,
    "it is of another pool",
  );
  assertThrows(
    adopt({ ...detached, length: 17 }),
    TypeError,
    "are not those of a packet: received",
  );
  assertThrows(adopt({ ...detached, offset: 1 }), TypeError, "are not those of a packet: received");
  assertThrows(
    adopt({ ...detached, offset: -1 }),
    TypeError,
    "are not those of a packet: received",
  );
  assertThrows(adopt({ ...detached, buffer: 2 }), StaleTicketError);
  assertThrows(
    adopt({ ...detached, buffer: "0" }),
    TypeError,
    "are not those of a packet: received",
  );
  assertThrows(
    adopt({ ...detached, ticket: 1.5 }),
    TypeError,
    "are not those of a packet: received",
  );
  assertThrows(adopt({ ...detached, ticket: -1 }), StaleTicketError);
  pool.adopt(detached).release();
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a shared packet has a reference of its own", () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 1, buffersPerBatch: 2 });
  const buffer = pool.acquire();
  const packets = [pool.sharePacket(buffer, 0, 8), pool.sharePacket(buffer, 8, 56)];
  assertThrows(() => pool.sharePacket(buffer, 8, 57), RangeError, "'length' must be");
  assertThrows(() => pool.sharePacket(buffer, -1, 1), RangeError, "'offset' must be");
  pool.release(buffer);
  assertThrows(() => pool.sharePacket(buffer, 0, 1), Error, "has it only as packets");
  for (const packet of packets) {
    assertEquals(pool.usage().inUse, 1);
    packet.release();
  }
  assertEquals(pool.usage().inUse, 0);
});
