import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Broadcast,
  type BroadcastReader,
  FrameCursor,
  InsufficientBufferSizeError,
  OverrunError,
  type ReaderBeginning,
  type ReaderOptions,
} from "@busbar/busbar/broadcast";
import { numbered, take } from "./messages.ts";

function ring(capacityBytes: number, options?: ReaderOptions) {
  const broadcast = Broadcast.create({ capacityBytes });
  return { broadcast, writer: broadcast.writer(), reader: broadcast.reader(options) };
}

/** The numbers of the messages that are published, of one byte each. */
const bytes = (reader: BroadcastReader) => take(reader).map((message) => message[0]);

Deno.test("a reader begins at the present, at the oldest frame retained, or at a position", () => {
  const { broadcast, writer } = ring(256);
  const positions: number[] = [];
  const send = (i: number) => {
    positions.push(writer.position);
    writer.send(new Uint8Array([i]));
  };
  for (let i = 0; i < 10; i++) send(i);
  const latest = broadcast.reader();
  const oldest = broadcast.reader({ from: "oldest" });
  const third = broadcast.reader({ from: positions[3]! });
  send(10);
  assertEquals(bytes(latest), [10]);
  assertEquals(bytes(oldest), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assertEquals(bytes(third), [3, 4, 5, 6, 7, 8, 9, 10]);

  for (let i = 11; i < 16; i++) send(i);
  assertEquals(writer.position, 256); // The lap is full, and the next not begun.
  assertEquals(bytes(broadcast.reader({ from: "oldest" })).length, 16);
  // From here on each segment, of two messages, is lost as it is entered again.
  for (let i = 16; i < 20; i++) send(i);
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => from + i);
  assertEquals(bytes(broadcast.reader({ from: "oldest" })), numbers(4, 20));
  assertEquals(bytes(broadcast.reader({ from: positions[7]! })), numbers(7, 20));
});

Deno.test("a reader begins where a long message of several segments ends", () => {
  const { broadcast, writer } = ring(256);
  writer.send(numbered(0, 8));
  writer.send(numbered(1, 56)); // Up to 80, through two segments.
  for (let i = 2; i < 16; i++) writer.send(numbered(i, 8)); // The first segment is lost.
  const reader = broadcast.reader({ from: "oldest" });
  assertEquals([reader.position, reader.sequence], [80, 2]);
  assertEquals(take(reader).length, 14);
});

Deno.test("a reader knows how many messages ended before it, wherever it begins", () => {
  const { broadcast, writer } = ring(1024);
  const places = [{ position: 0, sequence: 0 }];
  for (let i = 0; i < 100; i++) {
    writer.append(numbered(i, i * 7 % 100), { final: i % 4 !== 1, heartbeat: i % 9 === 0 });
    const before = places.at(-1)!.sequence;
    const ends = i % 4 !== 1 && i % 9 !== 0;
    places.push({ position: writer.position, sequence: before + (ends ? 1 : 0) });
  }
  writer.publish();
  const oldest = broadcast.reader({ from: "oldest" }).position;
  for (const { position, sequence } of places.filter(({ position }) => position >= oldest)) {
    assertEquals(broadcast.reader({ from: position }).sequence, sequence);
  }
  assertEquals(broadcast.reader().sequence, places.at(-1)!.sequence);
  const reader = broadcast.reader({ from: oldest });
  take(reader);
  assertEquals(reader.sequence, places.at(-1)!.sequence);
});

Deno.test("a reader throws if it cannot begin where it should", () => {
  const { broadcast, writer } = ring(256);
  writer.send(numbered(0, 40));
  for (const from of [-8, 56, 1.5, NaN]) {
    assertThrows(
      () => broadcast.reader({ from }),
      RangeError,
      `Cannot begin to read as 'from' must be a whole number from 0 to 48: received ${from}`,
    );
  }
  for (const from of ["newest", "8", null]) {
    assertThrows(
      () => broadcast.reader({ from: from as ReaderBeginning }),
      RangeError,
      `'from' must be "latest", "oldest" or a position: received ${JSON.stringify(from)}`,
    );
  }
  for (const from of [8, 12, 40]) {
    assertThrows(
      () => broadcast.reader({ from }),
      RangeError,
      `Cannot begin to read at ${from} as no frame begins there`,
    );
  }
  for (const batchBytes of [0, 7, 257, 9.5]) {
    assertThrows(
      () => broadcast.reader({ batchBytes }),
      RangeError,
      `'batchBytes' must be a whole number from 8 to 256: received ${batchBytes}`,
    );
  }
  const later = Broadcast.create({ capacityBytes: 256, startPosition: 512 });
  assertThrows(() => later.reader({ from: 504 }), RangeError, "from 512 to 512");
});

Deno.test("a reader does not begin at an overwritten position, except where the ring began", () => {
  const { broadcast, writer } = ring(256);
  for (let i = 0; i < 40; i++) writer.send(numbered(i, 8));
  assertThrows(
    () => broadcast.reader({ from: 16 }),
    RangeError,
    "Cannot begin to read at 16 as that is overwritten: the oldest frame found begins at 384",
  );
  const reader = broadcast.reader({ from: 0 });
  const error = assertThrows(() => reader.poll(), OverrunError);
  assertEquals([error.position, error.resumedAt, error.lostMessages], [0, 512, 32]);
});

Deno.test("a batch ends with its last whole message, and no message is too long", () => {
  for (const batchBytes of [8, 16, 24, 40, 100, 1024]) {
    const { writer, reader } = ring(1024, { batchBytes });
    const messages = Array.from({ length: 30 }, (_, i) => numbered(i, (i * i) % 29));
    messages.splice(7, 0, numbered(99, 248));
    for (const message of messages) writer.append(message);
    writer.publish();
    assertEquals(take(reader), messages);
  }
});

Deno.test("a poll before the end of the batch continues it", () => {
  const { writer, reader } = ring(1024);
  for (let i = 0; i < 4; i++) writer.append(numbered(i, 8));
  writer.publish();
  assert(reader.poll());
  assert(reader.next());
  assertEquals(reader.position, 16);
  assertEquals(reader.lagBytes, 48);
  assertEquals(take(reader), [1, 2, 3].map((i) => numbered(i, 8)));
  assertEquals(reader.lagBytes, 0);
});

Deno.test("a message is read in place, viewed, or copied out", () => {
  const { writer, reader } = ring(1024);
  const sent = numbered(3, 21);
  writer.send(sent);
  reader.poll();
  reader.next();
  assertEquals(reader.offset % 8, 0);
  assertEquals(reader.bytes.slice(reader.offset, reader.offset + reader.length), sent);
  assertEquals(reader.message(), sent);
  const target = new Uint8Array(30);
  assertEquals(reader.receive(target), 21);
  assertEquals(target.subarray(0, 21), sent);
  assertThrows(
    () => reader.receive(new Uint8Array(20)),
    RangeError,
    "Cannot receive the message as that takes 21 bytes: received room for 20",
  );
  const error = assertThrows(
    () => reader.receive(target.subarray(0, 7)),
    InsufficientBufferSizeError,
  );
  assertEquals([error.name, error.provided, error.required], [
    "InsufficientBufferSizeError",
    7,
    21,
  ]);
  assertEquals(reader.message(), sent);
});

Deno.test("a reader that was lapped reports its loss, and continues with retained messages", () => {
  const { writer, reader } = ring(256);
  writer.send(numbered(0, 8));
  assertEquals(take(reader).length, 1);
  for (let i = 1; i <= 100; i++) writer.send(numbered(i, 8));
  const error = assertThrows(
    () => reader.poll(),
    OverrunError,
    "The reader was overrun at position 16: it lost 93 messages in 1488 bytes and continues at 1504",
  );
  assertEquals([error.position, error.resumedAt], [16, 1504]);
  assertEquals([error.lostBytes, error.lostMessages], [1488, 93]);
  assertEquals([reader.position, reader.sequence], [1504, 94]);
  assertEquals([reader.overruns, reader.lostBytes, reader.lostMessages], [1, 1488, 93]);
  assertEquals(reader.takeLosses(), { overruns: 1, messages: 93, bytes: 1488 });
  assertEquals(reader.takeLosses(), { overruns: 0, messages: 0, bytes: 0 });

  // A batch up to the end of the lap is already taken, and nothing changes it.
  for (let i = 101; i <= 200; i++) writer.send(numbered(i, 8));
  assert(reader.poll());
  const rest: Uint8Array[] = [];
  while (reader.next()) rest.push(reader.message().slice());
  assertEquals(rest, [94, 95].map((i) => numbered(i, 8)));

  assertEquals(reader.wait(), true);
  assertThrows(() => reader.poll(), OverrunError);
  assertEquals(take(reader).length, 7);
  assertEquals([reader.overruns, reader.lostMessages], [2, 93 + 98]);
  assertEquals(reader.takeLosses().messages, 98);
});

Deno.test("a reader may keep count of overruns instead of being told", () => {
  const { writer, reader } = ring(256, { onOverrun: "continue" });
  for (let i = 1; i <= 100; i++) writer.send(numbered(i, 8));
  assertEquals(take(reader), [93, 94, 95, 96, 97, 98, 99, 100].map((i) => numbered(i, 8)));
  assertEquals(reader.takeLosses(), { overruns: 1, messages: 92, bytes: 92 * 16 });
});

Deno.test("a loss is counted in messages, not in frames", () => {
  const { writer, reader } = ring(256);
  for (let i = 0; i < 50; i++) {
    writer.append(numbered(i, 8), { final: false });
    writer.append(numbered(i, 8), { continuation: true });
    writer.heartbeat();
  }
  const error = assertThrows(() => reader.poll(), OverrunError);
  let count = 0;
  while (reader.poll()) {
    while (reader.next()) count += reader.isFinal ? 1 : 0;
  }
  assertEquals(error.lostMessages + count, 50);
  assertEquals(reader.sequence, 50);
});

Deno.test("a reader keeps its place until the writer enters its segment", () => {
  const { broadcast, writer, reader } = ring(256);
  for (let i = 0; i < 16; i++) writer.send(numbered(i, 8));
  const other = broadcast.reader({ from: 0 });
  assertEquals(reader.lagBytes, 256);
  assert(reader.poll());
  writer.claim(8);
  assertThrows(() => other.poll(), OverrunError);
  // This one took its batch before, and keeps it.
  assertEquals(take(reader).length, 16);
});

Deno.test("heartbeats wake readers, and are passed over unless they are asked for", () => {
  const { broadcast, writer, reader } = ring(256);
  const curious = broadcast.reader({ heartbeats: true });
  writer.heartbeat();
  assertEquals(reader.wait({ timeoutMs: 0 }), true);
  assertEquals(reader.poll(), false);
  assertEquals([reader.position, reader.sequence, reader.lagBytes], [8, 0, 0]);
  assertEquals(reader.wait({ timeoutMs: 0 }), false);

  writer.append(numbered(1, 5), { heartbeat: true, userValue: 7 });
  writer.append(numbered(2, 6));
  writer.publish();
  assertEquals(take(reader), [numbered(2, 6)]);
  assertEquals(reader.sequence, 1);

  assert(curious.poll());
  const kinds: unknown[] = [];
  while (curious.next()) {
    kinds.push([curious.isHeartbeat, curious.isFinal, curious.userValue, curious.length]);
  }
  assertEquals(kinds, [[true, false, 0, 0], [true, false, 7, 5], [false, true, 0, 6]]);
  assertEquals(curious.sequence, 1);
});

Deno.test("a filter chooses messages by their user value", () => {
  for (const length of [3, 100, 2_000]) {
    for (const batchBytes of [8, 64, 4096]) {
      const asked: number[] = [];
      const { writer, reader } = ring(16 * 1024, {
        batchBytes,
        filter(userValue) {
          asked.push(userValue);
          return userValue % 3 === 1;
        },
      });
      for (let userValue = 0; userValue < 7; userValue++) {
        writer.append(numbered(userValue, length), { userValue });
      }
      writer.publish();
      const seen: number[] = [];
      while (reader.poll()) {
        while (reader.next()) {
          assertEquals(reader.message(), numbered(reader.userValue, length));
          seen.push(reader.userValue);
        }
      }
      assertEquals(seen, [1, 4]);
      assertEquals([...new Set(asked)].toSorted(), [0, 1, 2, 3, 4, 5, 6]);
      // Messages that it left out count in the sequence, but not as lost.
      assertEquals([reader.sequence, reader.lostMessages], [7, 0]);
      assertEquals(reader.position, writer.position);
    }
  }
});

Deno.test("a filter is called neither for heartbeats nor for padding", () => {
  const { writer, reader } = ring(256, { heartbeats: true, filter: () => false });
  for (let i = 0; i < 40; i++) {
    writer.append(numbered(i, 40), { heartbeat: i % 4 === 0 });
    if (i % 4 !== 3) continue;
    writer.publish();
    const heartbeats = take(reader);
    assertEquals(heartbeats, [numbered(i - 3, 40)]);
  }
});

Deno.test("messages are skipped without being read", () => {
  const { writer, reader } = ring(1024, { batchBytes: 40 });
  for (let i = 0; i < 20; i++) writer.append(numbered(i, i));
  writer.heartbeat();
  assertEquals(reader.skip(0), 0);
  assertEquals(reader.skip(7), 7);
  assert(reader.poll() && reader.next());
  assertEquals(reader.message(), numbered(7, 7));
  assertEquals(reader.skip(100), 12);
  assertEquals(reader.skip(1), 0);
  assertEquals([reader.sequence, reader.lagBytes], [20, 0]);
});

Deno.test("a reader is reset to the present, to the oldest, or to a position", () => {
  const { writer, reader } = ring(256);
  const positions: number[] = [];
  for (let i = 0; i < 10; i++) {
    positions.push(writer.position);
    writer.send(new Uint8Array([i]));
  }
  reader.poll();
  reader.next();
  reader.reset();
  assertEquals([reader.next(), reader.poll(), reader.sequence], [false, false, 10]);
  reader.reset(positions[8]);
  assertEquals(bytes(reader), [8, 9]);
  reader.reset("oldest");
  assertEquals(bytes(reader), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertThrows(() => reader.reset(8), RangeError, "no frame begins there");
  assertEquals([reader.overruns, reader.lostMessages], [0, 0]);

  for (let i = 0; i < 100; i++) writer.send(new Uint8Array([i]));
  reader.reset();
  assertEquals(reader.poll(), false);
  assertEquals([reader.sequence, reader.lostMessages], [110, 0]);
});

Deno.test("frames are read in bulk, and passed to another thread", () => {
  const { writer, reader } = ring(1024);
  const target = new Uint8Array(200);
  assertEquals(reader.readBulk(target), 0);
  const numbers: number[] = [];
  let sent = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 5; i++, sent++) {
      writer.append(numbered(sent, sent * 7 % 60), { userValue: sent });
    }
    writer.heartbeat();
    for (let length; (length = reader.readBulk(target)) > 0;) {
      const frames = new FrameCursor(structuredClone(target.subarray(0, length)));
      while (frames.next()) {
        assertEquals(frames.message(), numbered(frames.userValue, frames.userValue * 7 % 60));
        numbers.push(frames.userValue);
      }
    }
    assertEquals([reader.sequence, reader.position], [sent, writer.position]);
  }
  assertEquals(numbers, Array.from({ length: sent }, (_, i) => i));
});

Deno.test("a bulk read with too small a target reports how much space it takes", () => {
  const { writer, reader } = ring(1024);
  writer.send(numbered(1, 100));
  for (const [provided, required] of [[0, 8], [7, 8], [8, 112], [111, 112]] as const) {
    const error = assertThrows(
      () => reader.readBulk(new Uint8Array(provided)),
      InsufficientBufferSizeError,
      `Cannot read in bulk as that takes ${required} bytes: received room for ${provided}`,
    );
    assertEquals([error.provided, error.required], [provided, required]);
  }
  assertEquals(reader.readBulk(new Uint8Array(112)), 112);
  assertThrows(
    () => reader.readBulk(new Uint8Array(12).subarray(4)),
    RangeError,
    "Cannot read in bulk as 'byteOffset' must be a multiple of 8: received 4",
  );
});

Deno.test("a bulk read passes over padding that is longer than its target", () => {
  const broadcast = Broadcast.create({ capacityBytes: 128, segments: 4 });
  using writer = broadcast.writer();
  const reader = broadcast.reader();
  for (const length of [24, 24, 24, 0]) writer.send(numbered(length, length));
  reader.reset();
  writer.send(numbered(1, 24)); // After 24 bytes of padding.
  const error = assertThrows(
    () => reader.readBulk(new Uint8Array(16)),
    InsufficientBufferSizeError,
  );
  assertEquals([error.provided, error.required], [16, 32]);
  assertEquals(reader.readBulk(new Uint8Array(32)), 32);
  assertEquals([reader.sequence, reader.position], [5, 160]);
});

Deno.test("a bulk read reports an overrun, and continues", () => {
  const { writer, reader } = ring(256);
  const counting = ring(256, { onOverrun: "continue" });
  const target = new Uint8Array(256);
  for (let i = 0; i < 100; i++) {
    writer.send(numbered(i, 8));
    counting.writer.send(numbered(i, 8));
  }
  assertThrows(() => reader.readBulk(target), OverrunError);
  for (const each of [reader, counting.reader]) {
    // Up to the end of the lap, and from there on.
    assertEquals([1, 2, 3].map(() => each.readBulk(target)), [64, 64, 0]);
  }
  assertEquals(counting.reader.takeLosses().messages, 92);
});

Deno.test("a reader that waits with a batch at hand continues after it", () => {
  const { broadcast, writer } = ring(64);
  const reader = broadcast.reader({ batchBytes: 16 });
  writer.send(numbered(1, 8));
  assert(reader.poll());
  // The first one is overwritten, but the reader has it; the second is not.
  for (let i = 2; i <= 5; i++) writer.send(numbered(i, 8));
  assertEquals(reader.wait({ timeoutMs: 0 }), true);
  assertEquals(take(reader), [1, 2, 3, 4, 5].map((i) => numbered(i, 8)));
});

Deno.test("a reader that waited, and then is reset, has lost nothing", () => {
  const { writer, reader } = ring(64);
  for (let i = 1; i <= 6; i++) writer.send(numbered(i, 8));
  assertEquals(reader.wait({ timeoutMs: 0 }), true);
  reader.reset();
  assertEquals([reader.poll(), reader.lagBytes, reader.lostMessages], [false, 0, 0]);
});

Deno.test("a reader waits only while there is nothing", () => {
  const { broadcast, writer, reader } = ring(256);
  assertEquals(reader.wait({ timeoutMs: 0 }), false);
  assertEquals(reader.wait({ timeoutMs: 2 }), false);
  writer.append(numbered(1, 8));
  assertEquals(reader.wait({ timeoutMs: 0 }), false);
  writer.publish();
  assertEquals(reader.wait(), true);
  assertEquals(broadcast.reader().wait({ timeoutMs: 0 }), false);
  assertEquals(take(reader), [numbered(1, 8)]);
  for (const timeoutMs of [-1, NaN]) {
    assertThrows(
      () => reader.wait({ timeoutMs }),
      RangeError,
      `Cannot wait as 'timeoutMs' must be a number not below 0: received ${timeoutMs}`,
    );
  }
});

Deno.test("a reader waits without blocking", async () => {
  const { writer, reader } = ring(256);
  const waiting = reader.waitAsync();
  writer.send(numbered(1, 8));
  assertEquals(await waiting, true);
  assertEquals(await reader.waitAsync(), true);
  assertEquals(take(reader), [numbered(1, 8)]);
  assertEquals(await reader.waitAsync({ timeoutMs: 2 }), false);
  assertEquals(await reader.waitAsync({ timeoutMs: 0 }), false);
  await assertRejects(() => reader.waitAsync({ timeoutMs: -1 }), RangeError, "received -1");
});

Deno.test("a wait ends with the reason of its signal, and other waits go on", async () => {
  const { broadcast, writer, reader } = ring(256);
  const other = broadcast.reader().waitAsync();
  const controller = new AbortController();
  const waiting = reader.waitAsync({ signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => reader.waitAsync({ signal: controller.signal }), Error, "enough");
  writer.send(numbered(1, 8));
  assertEquals(await other, true);
  assertEquals(take(reader), [numbered(1, 8)]);
});

Deno.test("a reader is iterated over, across overruns, until its signal is aborted", async () => {
  const { writer, reader } = ring(256);
  const seen: number[] = [];
  const controller = new AbortController();
  const iterate = async () => {
    for await (const message of reader.messages({ signal: controller.signal })) {
      assertEquals(message, numbered(reader.userValue, 8));
      seen.push(reader.userValue);
      if (seen.length % 4 === 0) await Promise.resolve();
    }
  };
  const send = (userValue: number) => writer.send(numbered(userValue, 8), { userValue });

  const first = iterate();
  for (let i = 0; i < 5; i++) send(i);
  while (seen.length < 5) await new Promise((resolve) => setTimeout(resolve));
  for (let i = 5; i < 40; i++) send(i);
  await assertRejects(() => first, OverrunError);

  const second = iterate();
  send(40);
  while (seen.length < 14) await new Promise((resolve) => setTimeout(resolve));
  controller.abort();
  await assertRejects(() => second, DOMException, "aborted");
  // It continued with the retained messages.
  assertEquals(seen, [0, 1, 2, 3, 4, 32, 33, 34, 35, 36, 37, 38, 39, 40]);

  send(41);
  const aborted = async () => {
    for await (const _ of reader.messages({ signal: AbortSignal.abort() })) throw new Error("seen");
  };
  await assertRejects(aborted, DOMException, "aborted");
  for await (const message of reader) {
    assertEquals(message, numbered(41, 8));
    break;
  }
});

for (const filter of [undefined, () => true]) {
  Deno.test(`messages are transferred${filter === undefined ? "" : ", with a filter"}, and none is lost`, () => {
    const { writer, reader } = ring(4096, filter === undefined ? {} : { filter });
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) writer.append(new Uint8Array(100).fill(4 * round + i));
      writer.publish();
      while (reader.poll()) {
        while (reader.next()) {
          const message = reader.message();
          const moved = structuredClone(message, { transfer: [message.buffer] });
          seen.push(moved[0]!);
        }
      }
    }
    assertEquals(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assertEquals([reader.lagBytes, reader.sequence, reader.lostMessages], [0, 12, 0]);
  });
}

Deno.test("a batch that was transferred before its first message is taken again", () => {
  const { writer, reader } = ring(4096);
  for (let i = 0; i < 3; i++) writer.append(Uint8Array.of(i));
  writer.publish();
  assert(reader.poll());
  structuredClone(reader.bytes, { transfer: [reader.bytes.buffer] });
  assertEquals(reader.next(), false);
  assertEquals(bytes(reader), [0, 1, 2]);
});

for (const damage of [-1, 2 ** 20]) { // padding, and a payload
  Deno.test(`a reader reports a frame that was overwritten by ${damage}, and can go on elsewhere`, () => {
    for (const onOverrun of ["throw", "continue"] as const) {
      const { writer, reader } = ring(1024, { onOverrun });
      const message = "as no frame begins there: found one of";
      writer.append(new Uint8Array(8));
      const outside = writer.claim(8) + 8;
      writer.commit();
      writer.append(new Uint8Array(8));
      new DataView(writer.bytes.buffer, writer.bytes.byteOffset).setInt32(outside, damage, true);
      writer.publish();
      assert(reader.poll() && reader.next() && reader.next());
      for (let i = 0; i < 2; i++) assertThrows(() => reader.poll(), RangeError, message);
      assertThrows(() => reader.readBulk(new Uint8Array(1024)), Error);
      assertThrows(() => reader.reset(), Error, "something was written outside of a claim");
      while (writer.position < 256) writer.send(new Uint8Array(8)); // to the next segment
      reader.reset();
      writer.send(Uint8Array.of(7));
      assertEquals(bytes(reader), [7]);
    }
  });
}

Deno.test("invalid arguments of a reader are named", () => {
  const { broadcast, writer, reader } = ring(256);
  const odd = (options: unknown) => () => broadcast.reader(options as ReaderOptions);
  assertThrows(odd(null), TypeError, "Cannot create reader as 'options' must be an object");
  assertThrows(
    odd({ onOverrun: "ignore" }),
    RangeError,
    `Cannot create reader as 'onOverrun' must be "throw" or "continue": received "ignore"`,
  );
  assertThrows(
    odd({ filter: 5 }),
    TypeError,
    "Cannot create reader as 'filter' must be a function: received 5",
  );
  writer.send(numbered(1, 8));
  assert(reader.poll() && reader.next());
  const bytes = (target: unknown) => target as Uint8Array;
  for (const target of [new Uint16Array(8), new DataView(new ArrayBuffer(16)), "x", undefined]) {
    const expected = "as 'target' must be a Uint8Array: received";
    assertThrows(() => reader.receive(bytes(target)), TypeError, `receive the message ${expected}`);
    assertThrows(() => reader.readBulk(bytes(target)), TypeError, `read in bulk ${expected}`);
    assertThrows(
      () => Broadcast.create({ capacityBytes: 64, metadata: bytes(target ?? 5) }),
      TypeError,
      "Cannot create broadcast as 'metadata' must be a Uint8Array: received",
    );
    assertThrows(
      () => writer.appendEqual(bytes(target), 1),
      TypeError,
      "Cannot append as 'payloads' must be a Uint8Array: received",
    );
  }
  for (const count of [-1, NaN, 0.5, "1"] as number[]) {
    assertThrows(() => reader.skip(count), RangeError, "Cannot skip as 'count' must be");
  }
  assertEquals(reader.skip(Infinity), 0);
  assertThrows(
    () => writer.append(numbered(1, 8), null as unknown as undefined),
    TypeError,
    "Cannot write a message as 'options' must be an object: received null",
  );
});

Deno.test("an overrun leaves out up to half of the retained messages, and going back still reads them", () => {
  const { writer, reader, broadcast } = ring(256);
  const oldest = broadcast.reader({ from: "oldest" });
  for (let i = 0; i < 40; i++) writer.send(numbered(i, 8));
  assertThrows(() => reader.poll(), OverrunError);
  assertEquals([reader.lostMessages, take(reader).length], [32, 8]);
  oldest.reset("oldest");
  const retained = take(oldest).length;
  assertEquals(retained, 16);
  reader.reset("oldest");
  // They were counted as lost before, and are seen now.
  assertEquals([take(reader).length, reader.lostMessages], [retained, 32]);
});

Deno.test("payloads lie in shared memory for the writer, and in private memory for readers", async () => {
  const { broadcast, writer, reader } = ring(256);
  const shared: Uint8Array<SharedArrayBuffer> = writer.bytes;
  assertEquals(shared.buffer, broadcast.memory.buffer);
  writer.send(numbered(1, 8));
  assert(reader.poll() && reader.next());
  const payload: Uint8Array<ArrayBuffer> = reader.message();
  assertEquals(payload.buffer, reader.bytes.buffer);
  writer.send(numbered(2, 8));
  const { value } = await reader.messages().next();
  const copy: Uint8Array<ArrayBuffer> | undefined = value;
  assert(copy!.buffer !== reader.bytes.buffer);

  // A cursor keeps the kind of memory that it is given.
  reader.reset("oldest");
  const window = new Uint8Array(new SharedArrayBuffer(64));
  const frames = new FrameCursor(window.subarray(0, reader.readBulk(window)));
  assert(frames.next());
  const view: Uint8Array<SharedArrayBuffer> = frames.message();
  assertEquals(view.slice(), numbered(1, 8));
});
