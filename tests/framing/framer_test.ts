/** The staging area of a framer, on one thread. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, Framer } from "@busbar/busbar";

const pool = (bufferBytes = 16, batchCount = 4) =>
  BufferPool.create({ bufferBytes, batchCount, buffersPerBatch: 1 });

function put(framer: Framer, ...values: number[]): void {
  framer.write().set(values);
  framer.commit(values.length);
}

Deno.test("several frames share a buffer, which is free when the last of them is", () => {
  using buffers = pool(16, 1);
  const framer = Framer.create(buffers);
  assertEquals([framer.remainingOnBuffer, framer.nextBuffer(), framer.remainingOnBuffer], [
    0,
    true,
    16,
  ]);
  put(framer, 1, 2);
  const first = framer.finishFrame();
  put(framer, 3);
  const second = framer.finishFrame();
  assertEquals([[...first.bytes], [...second.bytes]], [[1, 2], [3]]);
  assertEquals(framer.remainingOnBuffer, 13);
  framer[Symbol.dispose]();
  framer[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(buffers.tryAcquire(), -1);
  second[Symbol.dispose]();
  assertEquals(buffers.tryAcquire() >= 0, true);
});

Deno.test("an unfinished frame is carried over to the next buffer", () => {
  using buffers = pool();
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, ...new Array(12).fill(9));
  using whole = framer.finishFrame();
  put(framer, 1, 2, 3, 4);
  assertEquals([framer.remainingOnBuffer, framer.unfinishedLength], [0, 4]);
  framer.nextBuffer();
  assertEquals([framer.remainingOnBuffer, framer.unfinishedLength], [12, 4]);
  put(framer, 5);
  using carried = framer.finishFrame();
  assertEquals([...carried.bytes], [1, 2, 3, 4, 5]);
  assertEquals([...whole.bytes], new Array(12).fill(9));
});

Deno.test("a frame that fills a buffer can be finished but not carried over", () => {
  using buffers = pool(4);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3, 4);
  assertThrows(
    () => framer.nextBuffer(),
    RangeError,
    "Cannot go on to the next buffer as the unfinished frame fills one: a frame must fit 4 bytes",
  );
  using packet = framer.finishFrame();
  assertEquals([...packet.bytes], [1, 2, 3, 4]);
});

Deno.test("a part of what is committed can be cut, and a part left out", () => {
  using buffers = pool();
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 0, 1, 2, 0, 3, 4);
  framer.cut(1, 2, 1);
  assertEquals(framer.frameLength, 2);
  assertEquals([...framer.bytes.subarray(framer.frameOffset, framer.frameOffset + 2)], [1, 2]);
  framer.discard(1);
  using rest = framer.finishFrame(1);
  assertEquals([...rest.bytes], [4]);
});

Deno.test("a framer waits for no buffer where it must not, and says so", async () => {
  using buffers = pool(16, 1);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3);
  const packet = framer.finishFrame(2);
  assertEquals(framer.tryNextBuffer(), false);
  assertEquals(framer.nextBuffer({ timeoutMs: 1 }), false);
  assertEquals(await framer.nextBufferAsync({ timeoutMs: 1 }), false);
  // As it was before, the last frame included.
  assertEquals([framer.remainingOnBuffer, framer.unfinishedLength, framer.frameLength], [13, 1, 2]);
  framer.packet().release();
  packet.release();
});

Deno.test("a framer uses its buffer again if there is no other, and no packet of it", () => {
  using buffers = pool(4, 1);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  for (let i = 0; i < 10; i++) {
    put(framer, i, i + 1, i + 2);
    const packet = framer.finishFrame(2);
    assertEquals(framer.tryNextBuffer(), false);
    assertEquals([...packet.bytes], [i, i + 1]);
    packet.release();
    assert(framer.tryNextBuffer());
    using rest = framer.finishFrame();
    assertEquals([...rest.bytes], [i + 2]);
    rest.release();
    assert(framer.nextBuffer({ timeoutMs: 0 }));
  }
});

Deno.test("a framer does not use a buffer again of which another thread has a packet", () => {
  using buffers = pool(4, 1);
  using there = BufferPool.attach(buffers.handle);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3);
  const sent = framer.finishFrame(2).detach();
  assertEquals(framer.tryNextBuffer(), false);
  const received = there.adopt(sent);
  assertEquals(framer.tryNextBuffer(), false);
  assertEquals([...received.bytes], [1, 2]);
  received.release();
  assert(framer.tryNextBuffer());
  assertEquals(framer.unfinishedLength, 1);
});

Deno.test("a framer that yields has no buffer while it waits, and loses nothing", async () => {
  using buffers = pool(4, 1);
  using framer = Framer.create(buffers, { yields: true });
  framer.nextBuffer();
  put(framer, 1, 2, 3, 4);
  const packet = framer.finishFrame(2);
  assertEquals(framer.nextBuffer({ timeoutMs: 1 }), false);
  assertEquals([framer.hasYielded, framer.unfinishedLength, framer.remainingOnBuffer], [
    true,
    2,
    0,
  ]);
  assertThrows(() => framer.cut(0, 1), Error, "Cannot cut a frame as the framer has no buffer");
  assertThrows(() => framer.packet(), Error, "Cannot make a packet as no frame was cut");
  const waiting = framer.nextBufferAsync();
  packet.release();
  assert(await waiting);
  using rest = framer.finishFrame();
  assertEquals([...rest.bytes], [3, 4]);
});

Deno.test("a framer refuses what is no time to wait, before it does anything", async () => {
  using buffers = pool();
  using framer = Framer.create(buffers);
  for (const time of [-1, NaN, "5", null, 5n, {}] as unknown as number[]) {
    assertThrows(
      () => framer.nextBuffer({ timeoutMs: time }),
      RangeError,
      "Cannot wait as 'timeoutMs' must",
    );
    await assertRejects(
      () => framer.nextBufferAsync({ timeoutMs: time }),
      RangeError,
      "Cannot wait as 'timeoutMs' must",
    );
  }
  assertEquals([framer.remainingOnBuffer, buffers.usage().inUse], [0, 0]);
  assertThrows(
    () => Framer.create(undefined as unknown as BufferPool),
    TypeError,
    "Cannot create framer as 'pool' must be a BufferPool: received undefined",
  );
});

Deno.test("a framer whose thread has left the pool is disposed of quietly, and says why it stops", () => {
  const buffers = pool();
  const framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1);
  buffers[Symbol.dispose]();
  const left = "as this thread has left the pool";
  assertThrows(() => framer.finishFrame(), Error, `Cannot make a packet of a buffer ${left}`);
  assertThrows(() => framer.nextBuffer(), Error, `Cannot acquire a buffer ${left}`);
  framer[Symbol.dispose]();
  framer[Symbol.dispose]();
  assertThrows(() => Framer.create(buffers), Error, `Cannot create framer ${left}`);
});

Deno.test("a framer refuses what it does not have", () => {
  using buffers = pool();
  const framer = Framer.create(buffers);
  assertThrows(() => framer.finishFrame(), Error, "Cannot make a packet as no frame was cut");
  framer.nextBuffer();
  assertThrows(
    () => framer.commit(17),
    RangeError,
    "Cannot commit as 'length' must be a whole number from 0 to 16: received 17",
  );
  assertThrows(() => framer.commit(-1), RangeError, "received -1");
  assertThrows(() => framer.finishFrame(1), RangeError, "Cannot cut 0 + 1 + 0 bytes as 0 are");
  assertThrows(() => framer.cut(-1, 1), RangeError, "Cannot cut -1 + 1 + 0 bytes");
  assertThrows(() => framer.cut(0, NaN), RangeError, "Cannot cut 0 + NaN + 0 bytes");
  framer.commit(4);
  assertThrows(() => framer.cut(0.5, 1.5), RangeError, "Cannot cut 0.5 + 1.5 + 0 bytes");
  framer.discard(4);
  assertThrows(() => framer.discard(1), RangeError, "must be a whole number from 0 to 0");
  framer[Symbol.dispose]();
  assertThrows(() => framer.nextBuffer(), Error, "as the framer is closed");
});
