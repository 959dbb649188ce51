import { assertEquals, assertThrows } from "@std/assert";
import { Broadcast, type BroadcastWriter } from "@busbar/busbar/broadcast";
import { ClosedError, Memory } from "@busbar/busbar/memory";
import { numbered, take } from "./messages.ts";

/** A ring of 64 bytes in 8 segments, whose longest message has 8 bytes, and both its ends. */
function ends(capacityBytes = 64) {
  const broadcast = Broadcast.create({ capacityBytes });
  return { broadcast, writer: broadcast.writer(), reader: broadcast.reader() };
}

Deno.test("appended messages are visible once published, all at once", () => {
  const { writer, reader } = ends(256);
  const messages = [0, 1, 8, 9, 56].map((length, i) => numbered(i, length));
  for (const message of messages) {
    writer.append(message);
    assertEquals(reader.poll(), false);
  }
  assertEquals(writer.position, 8 + 16 + 16 + 24 + 64);
  writer.publish();
  assertEquals(take(reader), messages);
  writer.publish(); // Nothing new.
  assertEquals(reader.poll(), false);
});

for (const byteLength of [8 * 1024, 128 * 1024]) {
  Deno.test(`private bytes of a memory of ${byteLength} bytes are appended again and again`, () => {
    const memory = Memory.create({ byteLength });
    const broadcast = Broadcast.create({ capacityBytes: 4096, memory });
    const writer = broadcast.writer();
    const reader = broadcast.reader();
    const all = writer.privateBytes(1000);
    const [first, second] = [all.subarray(0, 400), all.subarray(401)];
    for (let i = 0; i < 4; i++) {
      for (const array of [all, first, second, new Uint8Array(300)]) {
        for (let repeated = 0; repeated < 3; repeated++) {
          array.set(numbered(i + repeated, array.length));
          writer.append(array);
          writer.publish();
          assertEquals(take(reader), [numbered(i + repeated, array.length)]);
        }
      }
      for (const length of [8, 20, 100, 200]) {
        all.set(numbered(i, 1000));
        writer.appendEqual(all, length);
        writer.publish();
        const expected = Array.from(
          { length: 1000 / length },
          (_, k) => all.slice(k * length, (k + 1) * length),
        );
        assertEquals(take(reader), expected);
      }
    }
  });
}

Deno.test("a claimed message is filled in place, and may become shorter", () => {
  const { writer, reader } = ends(256);
  const offset = writer.claim(20, { userValue: 5 });
  assertEquals(offset % 8, 0);
  writer.bytes.set(numbered(1, 20), offset);
  writer.commit();
  const second = writer.claim(56, { userValue: 6, final: false, continuation: true });
  writer.bytes.set(numbered(2, 3), second);
  writer.commit(3);
  const third = writer.claim(0);
  assertEquals(third - second, 16);
  writer.commit();
  writer.publish();

  reader.poll();
  reader.next();
  assertEquals([reader.userValue, reader.isFinal, reader.isContinuation], [5, true, false]);
  assertEquals(reader.message(), numbered(1, 20));
  reader.next();
  assertEquals([reader.userValue, reader.isFinal, reader.isContinuation], [6, false, true]);
  assertEquals(reader.message(), numbered(2, 3));
  reader.next();
  assertEquals([reader.userValue, reader.isFinal, reader.isContinuation], [0, true, false]);
  assertEquals(reader.length, 0);
  assertEquals(reader.next(), false);
});

Deno.test("an aborted claim leaves nothing to read", () => {
  const { writer, reader } = ends(256);
  writer.append(numbered(1, 8));
  writer.bytes.fill(255, writer.claim(40));
  writer.abort();
  writer.publish();
  assertEquals(take(reader), [numbered(1, 8)]);

  // Also a claim for which the end of the ring was padded.
  while (writer.position % 256 !== 208) writer.send(new Uint8Array());
  take(reader);
  writer.claim(56);
  writer.abort();
  writer.publish();
  assertEquals(take(reader), []);
  writer.send(numbered(3, 56));
  assertEquals(take(reader), [numbered(3, 56)]);
});

Deno.test("frames never wrap: padding fills the end of the ring", () => {
  const { writer, reader } = ends();
  const positions: number[] = [];
  for (let i = 0; i < 20; i++) {
    const message = numbered(i, i % 9);
    writer.send(message);
    positions.push(writer.position);
    assertEquals(take(reader), [message]);
    assertEquals(reader.position, writer.position);
  }
  // Frames of 8, then 16 bytes: the fourth one of 16 that would begin at 56 begins at 64.
  assertEquals(positions.slice(0, 6), [8, 24, 40, 56, 80, 96]);
});

Deno.test("a batch of more than half the ring is published in parts", () => {
  const { writer, reader } = ends(1024);
  let count = 0;
  for (let i = 0; i < 64; i++) {
    writer.append(numbered(i, 56));
    while (reader.poll()) {
      while (reader.next()) assertEquals(reader.message(), numbered(count++, 56));
    }
  }
  writer.publish();
  assertEquals(take(reader).length, 64 - count);
  assertEquals(reader.overruns, 0);
});

Deno.test("a message that is too long, or of no length, is rejected", () => {
  const { writer, reader } = ends(1024);
  assertEquals(writer.maxMessageBytes, 248);
  for (const length of [249, 2 ** 32 + 8, -1, 1.5, NaN, "8" as unknown as number]) {
    assertThrows(
      () => writer.claim(length),
      RangeError,
      `Cannot write a message as its length must be a whole number from 0 to 248: received ${
        JSON.stringify(length) ?? length
      }`.replace("null", "NaN"),
    );
  }
  assertThrows(() => writer.append(new Uint8Array(249)), RangeError, "received 249");
  assertThrows(() => writer.send(new Uint8Array(249)), RangeError, "received 249");
  writer.send(numbered(1, 248));
  assertEquals(take(reader), [numbered(1, 248)]);
});

Deno.test("a user value that does not fit is rejected", () => {
  const { writer, reader } = ends(1024);
  for (const userValue of [-1, 2 ** 32, 0.5]) {
    assertThrows(
      () => writer.append(numbered(1, 8), { userValue }),
      RangeError,
      `'userValue' must be a whole number from 0 to 4294967295: received ${userValue}`,
    );
  }
  for (const userValue of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
    writer.send(numbered(1, 8), { userValue });
    reader.poll();
    reader.next();
    assertEquals(reader.userValue, userValue);
  }
});

Deno.test("calls out of order fail, and the ring stays usable", () => {
  const { writer, reader } = ends(1024);
  const fails = (call: (writer: BroadcastWriter) => void, message: string) =>
    assertThrows(() => call(writer), Error, message);
  fails((w) => w.commit(), "Cannot commit as nothing is claimed");
  fails((w) => w.abort(), "Cannot abort as nothing is claimed");

  const offset = writer.claim(8);
  const open = "while a message is claimed: commit or abort it first";
  fails((w) => w.claim(8), `Cannot claim ${open}`);
  fails((w) => w.append(numbered(1, 8)), `Cannot append ${open}`);
  fails((w) => w.send(numbered(1, 8)), `Cannot append ${open}`);
  fails((w) => w.publish(), `Cannot publish ${open}`);
  assertThrows(
    () => writer.commit(9),
    RangeError,
    "Cannot commit as 'length' must be a whole number from 0 to 8: received 9",
  );
  writer.bytes.set(numbered(2, 8), offset);
  writer.commit();
  fails((w) => w.commit(), "Cannot commit as nothing is claimed");
  writer.publish();
  assertEquals(take(reader), [numbered(2, 8)]);
});

Deno.test("closing a writer publishes the committed messages, and later calls fail", () => {
  const { broadcast, writer, reader } = ends(1024);
  writer.append(numbered(1, 8));
  writer.claim(100);
  writer[Symbol.dispose]();
  assertEquals(take(reader), [numbered(1, 8)]);
  const calls: ((writer: BroadcastWriter) => void)[] = [
    (w) => w.claim(8),
    (w) => w.commit(),
    (w) => w.abort(),
    (w) => w.append(numbered(1, 8)),
    (w) => w.publish(),
  ];
  for (const call of calls) {
    assertThrows(() => call(writer), ClosedError, "as the writer is closed");
  }

  using next = broadcast.writer();
  next.send(numbered(2, 8));
  assertEquals(take(reader), [numbered(2, 8)]);
});

Deno.test("a writer continues where the one before ended, wherever that was", () => {
  const { broadcast, writer, reader } = ends(256);
  writer[Symbol.dispose]();
  for (let i = 0; i < 200; i++) {
    using next = broadcast.writer();
    assertEquals(next.position, reader.position);
    // Segments may have been entered for a claim that was aborted.
    if (i % 3 === 0) next.claim(i % 57);
    if (i % 3 === 0) next.abort();
    next.append(numbered(i, i % 57));
    next.publish();
    if (i % 5 === 0) next.claim(56);
    if (i % 5 === 0) next.abort();
    next.publish();
    assertEquals(take(reader), [numbered(i, i % 57)]);
  }
  assertEquals(reader.overruns, 0);
});

Deno.test("an array that is filled again and again is copied as it is each time", () => {
  for (const offset of [0, 8, 4]) {
    for (const length of [0, 1, 8, 12, 64, 128, 136, 240]) {
      const { writer, reader } = ends(1024);
      const payload = new Uint8Array(new ArrayBuffer(512), offset, length);
      const other = numbered(99, 40);
      for (let i = 0; i < 12; i++) {
        payload.set(numbered(i, length));
        writer.send(payload);
        if (i % 5 === 4) writer.send(other);
        assertEquals(take(reader), [numbered(i, length), ...(i % 5 === 4 ? [other] : [])]);
      }
    }
  }
});

Deno.test("an array whose memory grows or goes away is copied as it is each time", () => {
  const { writer, reader } = ends(1024);
  const buffer = new ArrayBuffer(16, { maxByteLength: 64 });
  const payload = new Uint8Array(buffer);
  for (const length of [16, 16, 16, 48, 48, 8, 8, 8, 64]) {
    buffer.resize(length);
    payload.set(numbered(length, length));
    writer.send(payload);
    assertEquals(take(reader), [numbered(length, length)]);
  }
  const gone = new Uint8Array(new ArrayBuffer(16));
  for (let i = 0; i < 3; i++) writer.send(gone);
  take(reader);
  gone.buffer.transfer();
  writer.send(gone);
  assertEquals(take(reader), [new Uint8Array()]);

  const shared = new SharedArrayBuffer(16, { maxByteLength: 64 });
  const growing = new Uint8Array(shared);
  for (const length of [16, 16, 16, 32, 32, 64]) {
    shared.grow(length);
    growing.set(numbered(length, length));
    writer.send(growing);
    assertEquals(take(reader), [numbered(length, length)]);
  }
});

Deno.test("messages of equal length are appended from one array", () => {
  for (const length of [1, 5, 8, 24, 128, 200]) {
    const { writer, reader } = ends(4096);
    for (let round = 0; round < 20; round++) {
      const messages = Array.from(
        { length: round % 7 },
        (_, i) => numbered(10 * round + i, length),
      );
      const payloads = new Uint8Array(messages.flatMap((message) => [...message]));
      writer.appendEqual(payloads, length, { userValue: round });
      const seen: Uint8Array[] = [];
      const collect = () => {
        while (reader.poll()) {
          while (reader.next()) {
            assertEquals([reader.userValue, reader.isFinal], [round, true]);
            seen.push(reader.message().slice());
          }
        }
      };
      collect();
      writer.publish();
      collect();
      assertEquals(seen, messages);
    }
  }
});

Deno.test("messages of equal length must fill their array", () => {
  const { writer } = ends(1024);
  assertThrows(
    () => writer.appendEqual(new Uint8Array(20), 8),
    RangeError,
    "Cannot append messages of 8 bytes as 'payloads.length' must be a multiple of that: received 20",
  );
  for (const messageBytes of [0, 249, 1.5]) {
    assertThrows(
      () => writer.appendEqual(new Uint8Array(20), messageBytes),
      RangeError,
      `'messageBytes' must be a whole number from 1 to 248: received ${messageBytes}`,
    );
  }
  writer.claim(8);
  assertThrows(() => writer.appendEqual(new Uint8Array(8), 8), Error, "while a message is claimed");
});

Deno.test("a long message is appended in fragments", () => {
  const { writer, reader } = ends(256);
  const cases = [[0, 8, 1], [8, 8, 1], [9, 8, 2], [100, 56, 2], [100, undefined, 2]] as const;
  for (const [length, fragmentBytes, count] of cases) {
    const options = fragmentBytes === undefined ? {} : { fragmentBytes };
    writer.appendFragments(numbered(1, length), { ...options, userValue: length });
    writer.publish();
    const flags: boolean[][] = [];
    const bytes: number[] = [];
    while (reader.poll()) {
      while (reader.next()) {
        assertEquals(reader.userValue, length);
        flags.push([reader.isContinuation, reader.isFinal]);
        bytes.push(...reader.message());
      }
    }
    assertEquals(bytes, [...numbered(1, length)]);
    assertEquals(flags, flags.map((_, i) => [i > 0, i === count - 1]));
    assertEquals(flags.length, count);
  }
  for (const fragmentBytes of [0, 57]) {
    assertThrows(
      () => writer.appendFragments(numbered(1, 8), { fragmentBytes }),
      RangeError,
      `'fragmentBytes' must be a whole number from 1 to 56: received ${fragmentBytes}`,
    );
  }
});

Deno.test("a payload that cannot be copied leaves the ring usable", () => {
  const { writer, reader } = ends(1024);
  for (const wrong of [new BigInt64Array(4), new Uint16Array(4), [1, 2], "hello"]) {
    assertThrows(
      () => writer.append(wrong as unknown as Uint8Array),
      TypeError,
      "Cannot write a message as it must be a Uint8Array: received ",
    );
  }
  const wide = new Uint16Array(4) as unknown as Uint8Array;
  assertThrows(() => writer.appendEqual(wide, 2), TypeError, "must be a Uint8Array");
  writer.send(numbered(1, 8));
  assertEquals(take(reader), [numbered(1, 8)]);
});

Deno.test("a ring ends before its positions are no longer exact", () => {
  const startPosition = Number.MAX_SAFE_INTEGER + 1 - 1024;
  const broadcast = Broadcast.create({ capacityBytes: 256, startPosition });
  const reader = broadcast.reader();
  using writer = broadcast.writer();
  let count = 0;
  assertThrows(
    () => {
      for (;; count++) {
        writer.send(numbered(count, 24));
        assertEquals(take(reader), [numbered(count, 24)]);
      }
    },
    RangeError,
    "the ring has carried 2^53 bytes",
  );
  assertEquals(count, (1024 - 256) / 32);
  assertEquals(reader.position, startPosition + count * 32);
});
