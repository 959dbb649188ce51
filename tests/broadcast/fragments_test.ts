import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Broadcast,
  type BroadcastReader,
  type FrameOptions,
  InsufficientBufferSizeError,
  OverrunError,
  type ReaderOptions,
  Reassembler,
  type ReassemblerOptions,
} from "@busbar/busbar/broadcast";
import { numbered } from "./messages.ts";

function ends(capacityBytes: number, options: ReaderOptions & ReassemblerOptions = {}) {
  const broadcast = Broadcast.create({ capacityBytes });
  const reader = broadcast.reader(options);
  return {
    broadcast,
    writer: broadcast.writer(),
    reader,
    messages: Reassembler.create(reader, options),
  };
}

/** Every message that is whole, as copies. */
function take(messages: Reassembler): Uint8Array[] {
  const all: Uint8Array[] = [];
  while (messages.poll()) {
    while (messages.next()) all.push(messages.message().slice());
  }
  return all;
}

Deno.test("messages in one frame and in several come alike", () => {
  const { writer, messages } = ends(1024);
  const sent = [0, 1, 100, 248, 249, 400, 8].map((length, i) => numbered(i, length));
  for (const message of sent) {
    writer.appendFragments(message, { fragmentBytes: 100 });
    writer.publish();
    assertEquals(take(messages), [message]);
  }
  for (const message of sent.slice(0, 4)) writer.appendFragments(message, { fragmentBytes: 60 });
  writer.publish();
  assertEquals(take(messages), sent.slice(0, 4));
  assertEquals(messages.lostMessages, 0);
});

Deno.test("a message longer than the ring is put together while it is written", () => {
  const { writer, messages } = ends(1024);
  const message = numbered(1, 5_000);
  for (let from = 0; from < message.length; from += 200) {
    const fragment = message.subarray(from, from + 200);
    writer.send(fragment, { continuation: from > 0, final: from + 200 === 5_000, userValue: 3 });
    if (from % 600 === 0) writer.heartbeat();
    const whole = take(messages);
    assertEquals(whole, from + 200 === 5_000 ? [message] : []);
  }
});

Deno.test("length, user value and copies are of the whole message", () => {
  const { writer, messages } = ends(1024);
  for (const length of [40, 50]) {
    writer.appendFragments(numbered(1, length), { fragmentBytes: 45, userValue: length });
    writer.publish();
    assert(messages.poll() && messages.next());
    assertEquals([messages.length, messages.userValue], [length, length]);
    const target = new Uint8Array(60);
    assertEquals(messages.receive(target), length);
    assertEquals(target.subarray(0, length), numbered(1, length));
    const error = assertThrows(
      () => messages.receive(new Uint8Array(39)),
      InsufficientBufferSizeError,
      "Cannot receive the message",
    );
    assertEquals([error.provided, error.required], [39, length]);
    assertEquals(messages.next(), false);
  }
});

Deno.test("a message whose beginning or middle was lost is left out, and counted once", () => {
  const { writer, reader, messages } = ends(256);
  const message = numbered(1, 100);
  /** Sends message 1, with this many others after its first fragment. */
  const interrupt = (others: number) => {
    writer.send(message.subarray(0, 50), { final: false });
    assertEquals(take(messages), []);
    for (let i = 0; i < others; i++) writer.send(numbered(9, 40));
    writer.send(message.subarray(50), { continuation: true });
  };
  writer.appendFragments(message, { fragmentBytes: 50 });
  writer.publish();
  assertEquals(take(messages), [message]);

  interrupt(20);
  assertThrows(() => take(messages), OverrunError);
  // What is retained are whole messages, and last the end of one whose beginning is lost.
  const rest = take(messages);
  assert(rest.length > 0);
  for (const other of rest) assertEquals(other, numbered(9, 40));
  assertEquals(1 + rest.length + messages.lostMessages, reader.sequence);
  assertEquals(messages.lostMessages, reader.lostMessages + 1);
});

Deno.test("a message is left out if only its middle was lost", () => {
  const { writer, reader, messages } = ends(256, { onOverrun: "continue" });
  const message = numbered(1, 600);
  writer.send(message.subarray(0, 20), { final: false });
  assertEquals(take(messages), []);
  for (let from = 20; from < message.length; from += 20) {
    const fragment = message.subarray(from, from + 20);
    writer.send(fragment, { continuation: true, final: from + 20 === message.length });
  }
  assertEquals(take(messages), []);
  assertEquals([reader.overruns, reader.lostMessages, messages.lostMessages], [1, 0, 1]);
  writer.send(numbered(2, 8));
  assertEquals(take(messages), [numbered(2, 8)]);
});

Deno.test("a reader that begins within a message leaves that one out", () => {
  const { writer } = ends(256);
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  using second = broadcast.writer();
  second.send(numbered(1, 8), { final: false });
  const messages = Reassembler.create(broadcast.reader());
  second.append(numbered(2, 8), { continuation: true, final: false });
  second.append(numbered(3, 8), { continuation: true });
  second.append(numbered(4, 8));
  second.publish();
  assertEquals(take(messages), [numbered(4, 8)]);
  assertEquals(messages.lostMessages, 1);
  writer[Symbol.dispose]();
});

Deno.test("a message that is never ended gives way to the next", () => {
  const { writer, messages } = ends(256);
  writer.append(numbered(1, 8), { final: false });
  writer.append(numbered(2, 8));
  writer.append(numbered(3, 8), { final: false });
  writer.append(numbered(4, 8), { final: false });
  writer.append(numbered(5, 8), { continuation: true });
  writer.publish();
  assertEquals(take(messages), [
    numbered(2, 8),
    new Uint8Array([...numbered(4, 8), ...numbered(5, 8)]),
  ]);
});

Deno.test("a message in fragments that is too long is rejected, and the next one comes", () => {
  const { writer, messages } = ends(1024, { maxMessageBytes: 100 });
  writer.appendFragments(numbered(1, 200), { fragmentBytes: 60 });
  writer.appendFragments(numbered(2, 100), { fragmentBytes: 60 });
  writer.publish();
  const error = assertThrows(
    () => take(messages),
    InsufficientBufferSizeError,
    "Cannot put a message together as that takes 120 bytes: received room for 100",
  );
  assertEquals([error.provided, error.required], [100, 120]);
  assertEquals(take(messages), [numbered(2, 100)]);
  assertEquals(messages.lostMessages, 1);
});

Deno.test("whole messages are waited for, and iterated over", async () => {
  const { writer, messages } = ends(1024);
  assertEquals(messages.wait({ timeoutMs: 0 }), false);
  const seen: number[] = [];
  const controller = new AbortController();
  const iterate = async () => {
    for await (const message of messages.messages({ signal: controller.signal })) {
      seen.push(message.length);
    }
  };
  const iterating = iterate();
  for (const length of [10, 300]) {
    writer.appendFragments(numbered(1, length), { fragmentBytes: 150 });
    writer.publish();
    await new Promise((resolve) => setTimeout(resolve));
  }
  while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve));
  controller.abort();
  await assertRejects(() => iterating, DOMException, "aborted");
  assertEquals(seen, [10, 300]);
  writer.send(numbered(1, 7));
  assertEquals(await messages.waitAsync(), true);
  for await (const message of messages) {
    assertEquals(message.length, 7);
    break;
  }
});

for (
  const [how, leave] of Object.entries<(reader: BroadcastReader) => void>({
    "reset to the latest": (reader) => reader.reset(),
    "reset to a position": (reader) => reader.reset(48),
    "reset to where it was": (reader) => reader.reset(reader.position),
    "skip": (reader) => reader.skip(2),
    "a bulk read": (reader) => reader.readBulk(new Uint8Array(32)),
  })
) {
  Deno.test(`fragments before and after ${how} do not make one message`, () => {
    const { writer, reader, messages } = ends(1024);
    const frame = (value: number, options: FrameOptions) =>
      writer.send(new Uint8Array(4).fill(value), options); // 16 bytes each
    frame(1, { final: false });
    assertEquals(take(messages), []); // keeps the first half of message 1
    frame(1, { continuation: true });
    frame(2, { final: false });
    leave(reader);
    frame(2, { continuation: true });
    frame(4, {});
    const seen = take(messages).map((message) => [...message]);
    assertEquals(seen.at(-1), [4, 4, 4, 4]);
    for (const message of seen) assertEquals(new Set(message).size, 1, `joined: ${message}`);
    assert(messages.lostMessages >= 1);
  });
}

Deno.test("a reassembler is reset as its reader is, and forgets its fragments", () => {
  const { writer, messages } = ends(1024);
  writer.appendFragments(numbered(1, 100), { fragmentBytes: 40 });
  writer.publish();
  assert(messages.poll() && messages.next());
  writer.send(numbered(2, 8), { final: false });
  assertEquals(take(messages), []);
  messages.reset();
  writer.send(numbered(2, 8), { continuation: true });
  writer.send(numbered(3, 8));
  assertEquals(take(messages), [numbered(3, 8)]);
  assertEquals(messages.lostMessages, 1);
  messages.reset("oldest");
  assertEquals(take(messages).length, 3);
});

Deno.test("a message that was under way when another writer took over is left out, and counted", () => {
  const { writer, messages, broadcast } = ends(1024);
  writer.send(numbered(1, 8), { final: false });
  assertEquals(take(messages), []);
  writer.append(numbered(1, 8), { continuation: true, final: false }); // dropped
  const next = broadcast.writer({ takeOver: true });
  next.send(numbered(2, 8), { continuation: true });
  next.send(numbered(3, 8));
  assertEquals(take(messages), [numbered(3, 8)]);
  assertEquals(messages.lostMessages, 1);
});

Deno.test("messages are transferred, whether in one frame or in several, and none is lost", () => {
  const { writer, messages } = ends(4096);
  const sent = [250, 0, 40, 250, 1, 120].map((length, i) => numbered(i, length));
  const seen: Uint8Array[] = [];
  for (let round = 0; round < 2; round++) {
    for (const message of sent) writer.appendFragments(message, { fragmentBytes: 100 });
    writer.publish();
    while (messages.poll()) {
      while (messages.next()) {
        const message = messages.message();
        seen.push(structuredClone(message, { transfer: [message.buffer] }));
      }
    }
  }
  assertEquals(seen, [...sent, ...sent]);
  assertEquals(messages.lostMessages, 0);
});

Deno.test("a message is lost if its memory is transferred while it is put together, and counted", () => {
  const { writer, messages } = ends(4096);
  writer.appendFragments(numbered(1, 250), { fragmentBytes: 100 });
  writer.publish();
  assert(messages.poll() && messages.next());
  const late = messages.message();
  writer.append(numbered(2, 100), { final: false });
  writer.publish();
  assertEquals(take(messages), []);
  structuredClone(late, { transfer: [late.buffer] });
  writer.append(numbered(2, 100), { continuation: true });
  writer.appendFragments(numbered(3, 250), { fragmentBytes: 100 });
  writer.publish();
  assertEquals(take(messages), [numbered(3, 250)]);
  assertEquals(messages.lostMessages, 1);
});

Deno.test("an invalid limit of a reassembler is named", () => {
  const { reader } = ends(256);
  for (const maxMessageBytes of [NaN, -1, 0, 0.5, "9"] as number[]) {
    assertThrows(
      () => Reassembler.create(reader, { maxMessageBytes }),
      RangeError,
      "Cannot create reassembler as 'maxMessageBytes' must be a whole number not below 1",
    );
  }
});
