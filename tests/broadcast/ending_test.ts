/** The end of a stream, on one thread; several are explored in `ending_model_test.ts`. */

import { assertEquals, assertThrows } from "@std/assert";
import { Broadcast, Reassembler, ReplacedError } from "@busbar/busbar/broadcast";
import { WRITER, WRITER_GONE } from "../../src/broadcast/layout.ts";
import { numbered, take } from "./messages.ts";

Deno.test("a stream ends once everything is read, and its last writer is closed", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const attached = Broadcast.attach(broadcast.handle);
  const reader = attached.reader();
  const other = attached.reader();
  assertEquals([reader.isEnded, attached.hasWriter], [false, false]);
  assertEquals(reader.wait({ timeoutMs: 0 }), false);

  const writer = broadcast.writer();
  assertEquals([reader.isEnded, attached.hasWriter], [false, true]);
  writer.append(numbered(1, 8));
  writer.close(); // Publishes it.
  writer.close(); // Does nothing.
  assertEquals([reader.isEnded, attached.hasWriter], [false, false]);
  assertEquals([reader.wait(), reader.poll(), reader.isEnded], [true, true, false]);
  assertEquals(take(reader), [numbered(1, 8)]);
  assertEquals([reader.isEnded, reader.wait(), reader.poll()], [true, false, false]);
  assertEquals([other.isEnded, other.lagBytes], [false, 16]);
  // One that begins then is at the end at once.
  assertEquals(attached.reader().isEnded, true);
});

Deno.test("a stream ends after its last heartbeat, and waits of any kind end there", async () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  const writer = broadcast.writer();
  const waiting = [reader.waitAsync(), broadcast.reader().waitAsync({ timeoutMs: 60_000 })];
  writer.close();
  assertEquals(await Promise.all(waiting), [false, false]);
  assertEquals(await reader.waitAsync(), false);
  assertEquals(reader.wait({ timeoutMs: 60_000 }), false);

  broadcast.writer().heartbeat();
  assertEquals([reader.isEnded, reader.wait()], [false, true]);
  broadcast.writer({ takeOver: true }).close();
  assertEquals([reader.isEnded, reader.poll(), reader.isEnded], [false, false, true]);
});

Deno.test("another writer revives a stream that has ended", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  for (let i = 0; i < 20; i++) {
    {
      using writer = broadcast.writer();
      assertEquals([reader.isEnded, reader.wait({ timeoutMs: 0 })], [false, false]);
      writer.send(numbered(i, 8));
      assertEquals(take(reader), [numbered(i, 8)]);
      assertEquals(reader.isEnded, false);
    }
    assertEquals([reader.isEnded, reader.wait()], [true, false]);
  }
});

Deno.test("a stream ends although the count of writers that went wraps", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  // As if 2^28 - 1 writers had gone: the count is all ones.
  new Int32Array(broadcast.memory.buffer)[WRITER] = -WRITER_GONE;
  assertEquals(reader.isEnded, true);
  for (let i = 0; i < 3; i++) {
    const writer = broadcast.writer();
    assertEquals(reader.isEnded, false);
    writer.close();
    assertEquals(reader.isEnded, true);
  }
});

Deno.test("a writer that died or was replaced does not end the stream", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  const old = broadcast.writer(); // It dies.
  assertEquals([reader.isEnded, reader.wait({ timeoutMs: 0 })], [false, false]);
  const writer = broadcast.writer({ takeOver: true });
  assertEquals([reader.poll(), reader.isEnded], [false, false]);
  old.close(); // It was not dead.
  assertEquals([reader.isEnded, broadcast.hasWriter], [false, true]);
  writer.close();
  assertEquals([reader.isEnded, broadcast.hasWriter], [true, false]);
});

Deno.test("a writer that was replaced, and has something to publish, says so when it is closed", () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const reader = broadcast.reader();
  const old = broadcast.writer();
  old.append(numbered(1, 8));
  using _writer = broadcast.writer({ takeOver: true });
  assertThrows(() => old.close(), ReplacedError, "Cannot publish as another writer has taken over");
  old.close(); // Does nothing.
  assertEquals([reader.poll(), reader.isEnded, broadcast.hasWriter], [false, false, true]);
});

Deno.test("iterations end with the stream, those that wait as well as those that begin later", async () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const collect = async (messages: AsyncIterable<Uint8Array>) => {
    const seen: number[] = [];
    for await (const message of messages) seen.push(message[0]!);
    return seen;
  };
  const writer = broadcast.writer();
  const sources = () => {
    const reader = broadcast.reader({ from: 0 });
    return [reader, broadcast.reader({ from: 0 }).messages(), Reassembler.create(reader)];
  };
  const waiting = sources().map(collect);
  const asked = broadcast.reader({ from: 0 }).messages();
  const next = [asked.next(), asked.next(), asked.next()];
  for (let i = 1; i <= 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    writer.send(new Uint8Array([i]));
  }
  writer.close();
  // The first and the last share a reader.
  const [first, second, last] = await Promise.all(waiting);
  assertEquals([[...first!, ...last!].toSorted(), second], [[1, 2], [1, 2]]);
  assertEquals((await Promise.all(next)).map(({ done }) => done), [false, false, true]);
  assertEquals((await asked.next()).done, true);
  assertEquals(await collect(broadcast.reader({ from: 0 })), [1, 2]);
  assertEquals(await collect(Reassembler.create(broadcast.reader({ from: 0 }))), [1, 2]);
});

Deno.test("a message that is unfinished at the end of the stream is left out", async () => {
  const broadcast = Broadcast.create({ capacityBytes: 256 });
  const messages = Reassembler.create(broadcast.reader());
  {
    using writer = broadcast.writer();
    writer.send(numbered(1, 8));
    writer.send(numbered(2, 8), { final: false });
  }
  const seen: Uint8Array[] = [];
  for await (const message of messages) seen.push(message);
  assertEquals([seen, messages.isEnded, messages.lostMessages], [[numbered(1, 8)], true, 0]);
});
