/** A framer on one thread: its frames, its buffers, its waits, and its end. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, Framer } from "@busbar/busbar";
import { ClosedError, Memory } from "@busbar/busbar/memory";
import { PlainPool } from "../queue/plain_pool.ts";

const pool = (bufferBytes = 16, batchCount = 4) =>
  BufferPool.create({ bufferBytes, batchCount, buffersPerBatch: 1 });

function put(framer: Framer, ...values: number[]): void {
  framer.write().set(values);
  framer.commit(values.length);
}

Deno.test("several frames share a buffer, which is free once the last of their packets is released", () => {
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

for (const byteLength of [32 * 1024, 128 * 1024]) {
  Deno.test(`an unfinished frame is carried over, in a memory of ${byteLength} bytes`, () => {
    const memory = Memory.create({ byteLength });
    memory.allocate(64); // the pool does not begin where the memory does
    using buffers = BufferPool.create({
      bufferBytes: 16,
      batchCount: 4,
      buffersPerBatch: 1,
      memory,
    });
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
}

Deno.test("a frame that fills a buffer can be finished but not carried over", () => {
  using buffers = pool(4);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3, 4);
  assertThrows(
    () => framer.nextBuffer(),
    RangeError,
    "Cannot go on to the next buffer as the unfinished frame fills a whole buffer of 4 bytes",
  );
  using packet = framer.finishFrame();
  assertEquals([...packet.bytes], [1, 2, 3, 4]);
});

Deno.test("a frame is cut from committed bytes, and bytes around it can be skipped or discarded", () => {
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

Deno.test("a framer that gets no buffer says so, and keeps its bytes and its last frame", async () => {
  using buffers = pool(16, 1);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3);
  const packet = framer.finishFrame(2);
  assertEquals(framer.tryNextBuffer(), false);
  assertEquals(framer.nextBuffer({ timeoutMs: 1 }), false);
  assertEquals(await framer.nextBufferAsync({ timeoutMs: 1 }), false);
  // Nothing has changed, the last frame included.
  assertEquals([framer.remainingOnBuffer, framer.unfinishedLength, framer.frameLength], [13, 1, 2]);
  framer.packet().release();
  packet.release();
});

Deno.test("a framer starts its buffer again if no other is free, and there is no packet of it", () => {
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

Deno.test("a framer does not start its buffer again while another thread has a packet of it", () => {
  using buffers = pool(4, 1);
  using there = BufferPool.attach(buffers.handle);
  using framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1, 2, 3);
  const detached = framer.finishFrame(2).detach();
  assertEquals(framer.tryNextBuffer(), false);
  const adopted = there.adopt(detached);
  assertEquals(framer.tryNextBuffer(), false);
  assertEquals([...adopted.bytes], [1, 2]);
  adopted.release();
  assert(framer.tryNextBuffer());
  assertEquals(framer.unfinishedLength, 1);
});

Deno.test("a framer that yields holds no buffer while it waits, and loses no byte", async () => {
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

Deno.test("an invalid timeout throws before the framer does anything", async () => {
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

Deno.test("a framer whose thread has left the pool can be closed, and its errors name the reason", () => {
  const buffers = pool();
  const framer = Framer.create(buffers);
  framer.nextBuffer();
  put(framer, 1);
  buffers[Symbol.dispose]();
  const left = "as this thread has left the pool";
  assertThrows(() => framer.finishFrame(), ClosedError, `Cannot make a packet of a buffer ${left}`);
  assertThrows(() => framer.nextBuffer(), ClosedError, `Cannot acquire a buffer ${left}`);
  framer[Symbol.dispose]();
  framer[Symbol.dispose]();
  assertThrows(() => Framer.create(buffers), ClosedError, `Cannot create framer ${left}`);
});

Deno.test("lengths beyond the room or the committed bytes throw", () => {
  using buffers = pool();
  using framer = Framer.create(buffers);
  assertThrows(() => framer.packet(), Error, "Cannot make a packet as no frame was cut");
  assertThrows(() => framer.finishFrame(), Error, "Cannot make a packet as no frame was cut");
  assertThrows(
    () => framer.finishFrame(1),
    Error,
    "Cannot cut a frame as the framer has no buffer: go on to the next one first",
  );
  framer.nextBuffer();
  assertThrows(() => framer.packet(), Error, "Cannot make a packet as no frame was cut");
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
});

Deno.test("a closed framer throws ClosedError, and its packets remain valid", async () => {
  for (const yields of [false, true]) {
    using buffers = pool(4, 1);
    const framer = Framer.create(buffers, { yields });
    framer.nextBuffer();
    put(framer, 1, 2, 3);
    using packet = framer.finishFrame(2);
    assertEquals(framer.nextBuffer({ timeoutMs: 0 }), false);
    assertEquals(framer.hasYielded, yields);
    framer.close();
    framer.close();
    const calls: [action: string, call: () => unknown][] = [
      ["write", () => framer.write()],
      ["commit", () => framer.commit(1)],
      ["cut a frame", () => framer.cut(0, 1)],
      ["cut a frame", () => framer.finishFrame(1)],
      ["make a packet", () => framer.finishFrame()],
      ["make a packet", () => framer.packet()],
      ["discard", () => framer.discard()],
      ["go on to the next buffer", () => framer.nextBuffer()],
      ["go on to the next buffer", () => framer.tryNextBuffer()],
    ];
    for (const [action, call] of calls) {
      assertThrows(call, ClosedError, `Cannot ${action} as the framer is closed`);
    }
    await assertRejects(() => framer.nextBufferAsync(), ClosedError, "as the framer is closed");
    assertEquals([framer.remainingOnBuffer, framer.unfinishedLength], [0, 0]);
    assertEquals([...packet.bytes], [1, 2]);
    packet.release();
    assertEquals(buffers.usage().inUse, 0);
  }
});

Deno.test("closing a framer ends its pending waits, and no buffer is lost", async () => {
  using buffers = pool(4, 1);
  const taken = buffers.acquire();
  const framer = Framer.create(buffers);
  const { signal } = new AbortController();
  const waits = [framer.nextBufferAsync(), framer.nextBufferAsync({ signal, timeoutMs: 1e6 })];
  await Promise.resolve();
  framer.close();
  for (const wait of waits) {
    await assertRejects(() => wait, ClosedError, "Cannot go on to the next buffer as the framer");
  }
  buffers.release(taken);
  assertEquals(buffers.usage().inUse, 0);
});

Deno.test("a framer that is closed after its wait, and before its task continues, releases the buffer", async () => {
  for (const leaves of [false, true]) {
    const buffers = pool(4, 1);
    const buffer = buffers.acquire();
    const acquired = Promise.withResolvers<number>();
    Object.defineProperty(buffers, "acquireAsync", { value: () => acquired.promise });
    const framer = Framer.create(buffers);
    const waiting = framer.nextBufferAsync();
    acquired.resolve(buffer);
    if (leaves) buffers.close();
    framer.close();
    await assertRejects(
      () => waiting,
      ClosedError,
      "Cannot go on to the next buffer as the framer",
    );
    if (!leaves) assertEquals(buffers.usage().inUse, 0);
    buffers.close();
  }
});

Deno.test("a framer whose wait is aborted gets no buffer, and can wait again", async () => {
  using buffers = pool(4, 1);
  const taken = buffers.acquire();
  using framer = Framer.create(buffers);
  const controller = new AbortController();
  const aborted = framer.nextBufferAsync({ signal: controller.signal });
  await Promise.resolve();
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  const waiting = framer.nextBufferAsync({ signal: new AbortController().signal });
  buffers.release(taken);
  assert(await waiting);
});

Deno.test("a framer works over any source of buffers", () => {
  const source = PlainPool.create(4, 2);
  const framer = Framer.create(source);
  const seen: number[][] = [];
  for (let i = 0; i < 10; i++) {
    if (framer.remainingOnBuffer < 3) framer.nextBuffer({ timeoutMs: 0 });
    put(framer, i, i, i);
    framer.cut(0, 2);
    seen.push([...framer.bytes.subarray(framer.frameOffset, framer.frameOffset + 2)]);
    framer.discard();
  }
  assertEquals(seen, Array.from({ length: 10 }, (_, i) => [i, i]));
  framer.close();
  assertEquals(source.freeCount, 2);
});
