import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Broadcast, type BroadcastReader, OverrunError, type ReaderOptions } from "../../mod.ts";
import { numbered, take } from "./messages.ts";

function ring(capacityBytes: number, options?: ReaderOptions) {
  const broadcast = Broadcast.create({ capacityBytes });
  return { broadcast, writer: broadcast.writer(), reader: broadcast.reader(options) };
}

/** The numbers of the messages that are published, of one byte each. */
const bytes = (reader: BroadcastReader) => take(reader).map((message) => message[0]);

Deno.test("a reader begins at the present, at the oldest lap retained, or at a position", () => {
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
  for (let i = 16; i < 20; i++) send(i);
  assertEquals(bytes(broadcast.reader({ from: "oldest" })), [16, 17, 18, 19]);
});

Deno.test("a reader refuses to begin where it cannot", () => {
  const { broadcast, writer } = ring(256);
  writer.send(numbered(0, 40));
  for (const from of [-8, 56, 1.5, NaN]) {
    assertThrows(
      () => broadcast.reader({ from }),
      RangeError,
      `Cannot create reader as 'from' must be a whole number from 0 to 48: received ${from}`,
    );
  }
  assertThrows(
    () => broadcast.reader({ from: 12 }),
    RangeError,
    "'from' must be a multiple of 8: received 12",
  );
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

Deno.test("a reader that begins within a message notices a frame that cannot be", () => {
  const { broadcast, writer } = ring(256);
  writer.send(new Uint8Array(40).fill(255));
  const reader = broadcast.reader({ from: 16 });
  assertThrows(
    () => reader.poll(),
    RangeError,
    "Cannot read at position 16 as no frame begins there",
  );
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

Deno.test("a poll before the batch is through takes the rest again", () => {
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

Deno.test("a message is looked at in place, viewed, or copied out", () => {
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
    "Cannot receive a message of 21 bytes: received a target of 20",
  );
  assertEquals(reader.message(), sent);
});

Deno.test("a reader that was lapped is told what it lost, and goes on", () => {
  const { writer, reader } = ring(256);
  writer.send(numbered(0, 8));
  assertEquals(take(reader).length, 1);
  for (let i = 1; i <= 100; i++) writer.send(numbered(i, 8));
  const error = assertThrows(
    () => reader.poll(),
    OverrunError,
    "The reader was overrun at position 16: it lost 1600 bytes and goes on at 1616",
  );
  assertEquals([error.position, error.resumedAt, error.lostBytes], [16, 1616, 1600]);
  assertEquals([reader.position, reader.overruns, reader.lostBytes], [1616, 1, 1600]);
  assertEquals(reader.poll(), false);
  writer.send(numbered(101, 8));
  assertEquals(take(reader), [numbered(101, 8)]);

  for (let i = 0; i < 17; i++) writer.send(numbered(i, 8));
  assertEquals(reader.wait(), true);
  assertThrows(() => reader.poll(), OverrunError);
  assertEquals([reader.overruns, reader.lostBytes], [2, 1600 + 17 * 16]);
});

Deno.test("a reader keeps its place until the writer enters its segment", () => {
  const { writer, reader } = ring(256);
  for (let i = 0; i < 16; i++) writer.send(numbered(i, 8));
  assertEquals(reader.lagBytes, 256);
  assert(reader.poll());
  writer.claim(8);
  assertThrows(() => reader.poll(), OverrunError);
});

Deno.test("a reader waits only while there is nothing", () => {
  const { broadcast, writer, reader } = ring(256);
  assertEquals(reader.wait(0), false);
  assertEquals(reader.wait(2), false);
  writer.append(numbered(1, 8));
  assertEquals(reader.wait(0), false);
  writer.publish();
  assertEquals(reader.wait(), true);
  assertEquals(broadcast.reader().wait(0), false);
  assertEquals(take(reader), [numbered(1, 8)]);
  for (const timeoutMs of [-1, NaN]) {
    assertThrows(
      () => reader.wait(timeoutMs),
      RangeError,
      `Cannot wait as 'timeoutMs' must not be negative: received ${timeoutMs}`,
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
  while (seen.length < 6) await new Promise((resolve) => setTimeout(resolve));
  controller.abort();
  await assertRejects(() => second, DOMException, "aborted");
  assertEquals(seen, [0, 1, 2, 3, 4, 40]);

  send(41);
  for await (const message of reader) {
    assertEquals(message, numbered(41, 8));
    break;
  }
});
