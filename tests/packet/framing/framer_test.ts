/** The staging area of a framer, on one thread. */

import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool, Framer } from "@busbar/busbar";

const pool = (bufferSize = 16, batchCount = 4) =>
  BufferPool.create({ bufferSize, batchCount, batchSize: 1 });

function put(framer: Framer, ...values: number[]): void {
  framer.write().set(values);
  framer.commit(values.length);
}

Deno.test("several frames share a buffer, which is free when the last of them is", () => {
  using buffers = pool(16, 1);
  const framer = new Framer(buffers);
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
  using framer = new Framer(buffers);
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
  using framer = new Framer(buffers);
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
  using framer = new Framer(buffers);
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
  using framer = new Framer(buffers);
  framer.nextBuffer();
  assertEquals(framer.tryNextBuffer(), false);
  assertEquals(framer.nextBuffer(1), false);
  assertEquals(await framer.nextBufferAsync({ timeoutMs: 1 }), false);
  assertEquals(framer.remainingOnBuffer, 16);
});

Deno.test("a framer refuses what it does not have", () => {
  using buffers = pool();
  const framer = new Framer(buffers);
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
  assertThrows(() => framer.nextBuffer(), Error, "as the framer was disposed of");
});
