import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Broadcast } from "../../../src/broadcast/mod.ts";
import { STOPPED, WorkerPace, WriterPace } from "../../../src/cli/demo/pace.ts";

Deno.test("pace does not wait for a worker that has stopped", () => {
  const broadcast = Broadcast.create({ capacityBytes: 1024 });
  using writer = broadcast.writer();
  const pace = new WriterPace(broadcast, writer, 2);
  const [first, second] = [new WorkerPace(pace.control, 0), new WorkerPace(pace.control, 1)];
  first.reached(STOPPED);
  for (let i = 0; i < 1000; i++) {
    pace.waitForRoom(16);
    writer.send(new Uint8Array(16));
    second.reached(writer.position);
  }
  second.reached(STOPPED);
  for (let i = 0; i < 1000; i++) {
    pace.waitForRoom(16);
    writer.send(new Uint8Array(16));
  }
});

Deno.test("pace never lets the writer overrun a worker, and never waits without need", () => {
  // For any ring, start position and message lengths. The worker reads one message
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
    // One message at a time, so that the reader is never ahead of the position it stores.
    const reader = broadcast.reader({ batchBytes: 8 });
    const pace = new WriterPace(broadcast, writer, 1);
    const worker = new WorkerPace(pace.control, 0);
    let sent = 0;
    let received = 0;
    // The one thread of this test reads where the writer would sleep.
    const readOnWait = (() => {
      if (reader.next() || (reader.poll() && reader.next())) received++;
      worker.reached(reader.position);
      return "ok";
    }) as typeof Atomics.wait;
    const wait = Atomics.wait;
    Atomics.wait = readOnWait;
    try {
      while (writer.position < startPosition + 3 * capacityBytes) {
        const length = Math.min(lengths[sent++ % lengths.length]!, writer.maxMessageBytes);
        pace.waitForRoom(length);
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
