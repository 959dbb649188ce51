import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Broadcast, ClosedError, Pacer, ReclaimedError } from "../../mod.ts";

const CAPACITY = 4096;

function paced(options: { seats?: number; expected?: number } = {}) {
  const broadcast = Broadcast.create({ capacityBytes: CAPACITY });
  return { broadcast, pacer: Pacer.create({ broadcast, ...options }) };
}

Deno.test("a writer that nobody has joined is not held up", () => {
  const { broadcast, pacer } = paced();
  using writer = broadcast.writer();
  for (let i = 0; i < 100; i++) {
    assert(pacer.tryWait(writer, 500));
    writer.append(new Uint8Array(500));
  }
  assertEquals(pacer.readers, 0);
});

Deno.test("a writer waits for a reader that is expected, and for one that is slow", async () => {
  const { broadcast, pacer } = paced({ expected: 1 });
  using writer = broadcast.writer();
  let sent = 0;
  for (; pacer.tryWait(writer, 500); sent++) writer.append(new Uint8Array(500).fill(sent));
  assert(sent > 2);
  assertEquals(pacer.wait(writer, 500, { timeoutMs: 1 }), false);
  const other = Pacer.attach(pacer.handle);
  const seat = other.join();
  assertEquals([seat.position, other.readers], [0, 1]);
  const reader = other.broadcast.reader({ from: seat.position });
  const waiting = pacer.waitAsync(writer, 500);
  let received = 0;
  while (reader.poll()) while (reader.next()) assertEquals(reader.message()[0], received++);
  assertEquals(received, sent);
  seat.reached(reader.position);
  assertEquals(await waiting, true);
  seat.leave();
  seat.leave();
  assertEquals(pacer.readers, 0);
  assertThrows(() => seat.reached(0), ClosedError, "this reader has left");
});

Deno.test("a wait that is aborted rejects with the reason", async () => {
  const { broadcast, pacer } = paced({ expected: 1 });
  using writer = broadcast.writer();
  while (pacer.tryWait(writer, 500)) writer.append(new Uint8Array(500));
  const controller = new AbortController();
  const waiting = assertRejects(() => pacer.waitAsync(writer, 500, controller), Error, "enough");
  controller.abort(new Error("enough"));
  await waiting;
  assertEquals(pacer.tryWait(writer, 500), false);
});

Deno.test("a reader that was reclaimed is told, and its seat is free", () => {
  const { broadcast, pacer } = paced({ seats: 1 });
  const seat = pacer.join();
  assertThrows(() => pacer.join(), Error, "Cannot join as all 1 seats of the pacer are taken");
  using writer = broadcast.writer();
  writer.send(new Uint8Array(8));
  pacer.reclaim(seat.seat);
  using other = pacer.join();
  assertEquals(other.seat, seat.seat);
  assertThrows(() => seat.reached(8), ReclaimedError, "another thread has reclaimed it");
  assertThrows(() => pacer.reclaim(1), RangeError, "'seat' must be a whole number from 0 to 0");
  assertEquals(other.position, broadcast.publishedPosition);
});

Deno.test("what no pacer can be made of is refused", () => {
  const { broadcast, pacer } = paced();
  using writer = broadcast.writer();
  assertThrows(() => Pacer.create({ broadcast: {} as Broadcast }), TypeError, "'broadcast'");
  assertThrows(() => Pacer.create({ broadcast, seats: 0 }), RangeError, "'seats'");
  assertThrows(() => Pacer.create({ broadcast, seats: 2, expected: 3 }), RangeError, "'expected'");
  for (const length of [-1, NaN, 1e9]) {
    assertThrows(() => pacer.wait(writer, length), RangeError, "'length' must be a whole number");
  }
  assertThrows(() => Pacer.attach({ kind: "busbar.mutex" } as never), TypeError);
});

Deno.test("no paced reader is overrun, and no writer waits without need", () => {
  // For any ring, start position and message lengths. The reader reads one message whenever the
  // writer would have to wait, so a wait without need would never end.
  const rings = fc.record({
    capacityBytes: fc.constantFrom(64, 128, 1024, 4096),
    segments: fc.constantFrom(4, 8),
    laps: fc.constantFrom(0, 1, 2 ** 21, 2 ** 26 - 1, 2 ** 30 - 1),
  });
  const lengths = fc.array(fc.oneof(fc.nat(16), fc.nat(1024)), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(rings, lengths, ({ capacityBytes, segments, laps }, lengths) => {
    const startPosition = laps * capacityBytes;
    const broadcast = Broadcast.create({ capacityBytes, segments, startPosition });
    using writer = broadcast.writer();
    const pacer = Pacer.create({ broadcast });
    using seat = pacer.join();
    // One message at a time, so that the reader is never ahead of the position that it tells.
    const reader = broadcast.reader({ from: seat.position, batchBytes: 8 });
    const sent: number[] = [];
    const received: number[] = [];
    const read = () => {
      if (reader.next() || (reader.poll() && reader.next())) received.push(reader.length);
      else throw new Error("it waits though all was read");
      seat.reached(reader.position);
    };
    while (writer.position < startPosition + 3 * capacityBytes) {
      const length = Math.min(lengths[sent.length % lengths.length]!, writer.maxMessageBytes);
      while (!pacer.tryWait(writer, length)) read();
      writer.append(new Uint8Array(length));
      sent.push(length);
    }
    writer.publish();
    while (received.length < sent.length) read();
    assertEquals(received, sent);
    assertEquals(reader.overruns, 0);
  }));
});
