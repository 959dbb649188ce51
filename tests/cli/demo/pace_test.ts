import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { Broadcast } from "../../../src/broadcast/broadcast.ts";
import { Follower, Pacer } from "../../../src/cli/demo/pace.ts";

Deno.test("pacer tells its workers how the stream stands", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  using writer = broadcast.writer();
  const pacer = new Pacer(broadcast, 1);
  const follower = new Follower(pacer.control, 0);
  assertStrictEquals(follower.state, "streaming");
  pacer.finish(writer, "ended");
  assertStrictEquals(follower.state, "ended");
  pacer.finish(writer, "abandoned");
  assertStrictEquals(follower.state, "abandoned");
});

Deno.test("pacer wakes who sleeps on the ring when the stream is over", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  using writer = broadcast.writer();
  const reader = broadcast.reader();
  new Pacer(broadcast, 1).finish(writer, "ended");
  assertEquals(reader.wait(0), true);
});

Deno.test("pacer finds a worker that left, and no longer waits for it", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  using writer = broadcast.writer();
  const pacer = new Pacer(broadcast, 2);
  const [first, second] = [new Follower(pacer.control, 0), new Follower(pacer.control, 1)];
  assertEquals(pacer.findsLeaver(writer), false);
  first.leave();
  assertEquals(pacer.findsLeaver(writer), true);
  for (let i = 0; i < 1000; i++) {
    pacer.makeRoom(writer, 16);
    writer.send(new Uint8Array(16));
    second.reached(writer.position);
  }
});

Deno.test("pacer never lets the writer overrun a worker, nor waits without need", () => {
  // Whatever the ring, where it begins and how long messages are; the worker reads one message
  // whenever the writer would have to wait, so a wait without need would never end.
  const ring = fc.record({
    capacityBytes: fc.constantFrom(64, 128, 1024, 4096),
    segments: fc.constantFrom(8),
    laps: fc.constantFrom(0, 1, 2 ** 21, 2 ** 26 - 1),
  });
  const lengths = fc.array(fc.oneof(fc.nat(16), fc.nat(1024)), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(ring, lengths, ({ capacityBytes, segments, laps }, lengths) => {
    const startPosition = laps * capacityBytes;
    const broadcast = Broadcast.create({ capacityBytes, segments, startPosition });
    using writer = broadcast.writer();
    // Takes one message at a time, so that it is not ahead of what it says.
    const reader = broadcast.reader({ batchBytes: 8 });
    const pacer = new Pacer(broadcast, 1);
    const follower = new Follower(pacer.control, 0);
    let sent = 0;
    let received = 0;
    // The one thread of this test reads where the writer would sleep.
    const readOnWait = (() => {
      if (reader.next() || (reader.poll() && reader.next())) received++;
      follower.reached(reader.position);
      return "ok";
    }) as typeof Atomics.wait;
    const wait = Atomics.wait;
    Atomics.wait = readOnWait;
    try {
      while (writer.position < startPosition + 3 * capacityBytes) {
        const length = Math.min(lengths[sent++ % lengths.length]!, writer.maxMessageBytes);
        pacer.makeRoom(writer, length);
        writer.append(new Uint8Array(length));
      }
    } finally {
      Atomics.wait = wait;
    }
    writer.publish();
    while (reader.next() || (reader.poll() && reader.next())) received++;
    assertEquals(received, sent);
    assertEquals(reader.overruns, 0);
  }));
});
