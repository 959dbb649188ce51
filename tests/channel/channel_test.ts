/** Channels on one thread: what each call returns, refuses and leaves. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  bytesCodec,
  Channel,
  ChannelClosedError,
  ChannelFullError,
  type ChannelOptions,
  type Codec,
  jsonCodec,
  textCodec,
} from "@busbar/busbar/channel";
import { ClosedError, Memory, ReclaimedError } from "@busbar/busbar/memory";
import { BufferPool, type Packet } from "@busbar/busbar/pool";
import { diesAfter } from "../dying.ts";

type Options = Partial<ChannelOptions<string>>;

function texts(options: Options = {}): Channel<string> {
  return Channel.create({ capacity: 2, codec: textCodec, ...options });
}

Deno.test("channel: values come out once, in order, through another attachment", () => {
  const channel = texts({ capacity: 4 });
  const there = Channel.attach(structuredClone(channel.handle));
  using sender = channel.sender();
  using receiver = there.receiver();
  assert(sender.send("a"));
  assert(sender.trySend("b"));
  assertEquals(sender.sendAll(["c", "d"]), 2);
  assertEquals(receiver.receive(), "a");
  assertEquals(receiver.tryReceive(), "b");
  assertEquals(receiver.receiveSome(5), ["c", "d"]);
  assertEquals(receiver.tryReceive(), undefined);
  assertEquals(receiver.tryReceiveSome(1), []);
  assertEquals(receiver.hasEnded, false);
});

Deno.test("channel: a full one returns what a wait returns whose time is over", async () => {
  const channel = texts();
  using sender = channel.sender();
  assertEquals(sender.trySendAll(["a", "b", "c"]), 2);
  assertEquals(sender.trySend("c"), false);
  assertEquals(sender.send("c", { timeoutMs: 1 }), false);
  assertEquals(await sender.sendAsync("c", { timeoutMs: 1 }), false);
  assertEquals(sender.sendAll(["c", "d"], { timeoutMs: 1 }), 0);
  assertEquals(await sender.sendAllAsync(["c", "d"], { timeoutMs: 1 }), 0);
  assertEquals([sender.tryClaim(), sender.claim(1, { timeoutMs: 1 })], [0, 0]);
  assertEquals(await sender.claimAsync(1, { timeoutMs: 1 }), 0);
  assertEquals(channel.inspect().waitingSenders, 0);
});

Deno.test("channel: an empty one returns what a wait returns whose time is over", async () => {
  const channel = texts();
  using receiver = channel.receiver();
  assertEquals(receiver.receive({ timeoutMs: 1 }), undefined);
  assertEquals(await receiver.receiveAsync({ timeoutMs: 1 }), undefined);
  assertEquals(receiver.receiveSome(2, { timeoutMs: 1 }), []);
  assertEquals(await receiver.receiveSomeAsync(2, { timeoutMs: 1 }), []);
  assertEquals(receiver.borrow({ timeoutMs: 1 }), undefined);
  assertEquals(await receiver.borrowAsync({ timeoutMs: 1 }), undefined);
  assertEquals(receiver.take(2, { timeoutMs: 1 }), 0);
  assertEquals(await receiver.takeAsync(2, { timeoutMs: 1 }), 0);
  assertEquals(channel.inspect().waitingReceivers, 0);
});

Deno.test("channel: sends that wait go in the order of their calls, whichever time out", async () => {
  const channel = texts();
  using sender = channel.sender();
  using receiver = channel.receiver();
  sender.sendAll(["a", "b"]);
  const waiting = [
    sender.sendAsync("c"),
    sender.sendAsync("d", { timeoutMs: 5 }),
    sender.sendAsync("e"),
  ];
  assertEquals(sender.trySend("f"), false, "it must not overtake");
  assertThrows(() => sender.send("f"), Error, "wait to be sent");
  assertThrows(() => sender.claim(), Error, "wait to be sent");
  assertEquals(await waiting[1], false);
  assertEquals(await receiver.receiveSomeAsync(2), ["a", "b"]);
  assertEquals(await Promise.all(waiting), [true, false, true]);
  assertEquals(receiver.receiveSome(2), ["c", "e"]);
});

Deno.test("channel: batches that wait go in the order of their calls, too", async () => {
  const channel = texts();
  using sender = channel.sender();
  using receiver = channel.receiver();
  const waiting = [
    sender.sendAllAsync(["a", "b", "c", "d"]),
    sender.sendAsync("e"),
    sender.sendAllAsync(["f", "g"]),
  ];
  assertEquals(sender.trySendAll(["h"]), 0, "it must not overtake");
  const received: string[] = [];
  while (received.length < 7) received.push(...await receiver.receiveSomeAsync(3));
  assertEquals(received.join(""), "abcdefg");
  assertEquals(await Promise.all(waiting), [4, true, 2]);
});

Deno.test("channel: an error in the middle of a batch tells how many were sent", async () => {
  const failing = texts({ full: "fail" }).sender();
  assertEquals(assertThrows(() => failing.sendAll(["a", "b", "c"]), ChannelFullError).sent, 2);
  const channel = texts();
  const sending = channel.sender().sendAllAsync(["a", "b", "c"]);
  channel.close();
  assertEquals((await assertRejects(() => sending, ChannelClosedError)).sent, 2);
});

Deno.test("channel: messages that a task has taken are not lost to another task", async () => {
  const channel = texts({ redeliver: true });
  const receiver = channel.receiver();
  const tasks = [receiver.receiveAsync(), receiver.receiveAsync()];
  channel.sender().sendAll(["a", "b"]);
  const [first, second] = await Promise.allSettled(tasks);
  assertEquals(first, { status: "fulfilled", value: "a" });
  assertEquals(second!.status, "rejected");
  receiver.release();
  assertEquals(receiver.receive(), "b");
});

Deno.test("channel: an aborted wait throws the reason, and leaves no mark", async () => {
  const channel = texts();
  using sender = channel.sender();
  using receiver = channel.receiver();
  const reason = new Error("enough");
  const signalled = () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 1);
    return { signal: controller.signal };
  };
  for (
    const wait of [
      () => receiver.receiveAsync(signalled()),
      () => receiver.receiveSomeAsync(2, signalled()),
      () => receiver.borrowAsync(signalled()),
      () => receiver.takeAsync(2, signalled()),
      () => receiver.messages(signalled()).next(),
    ]
  ) {
    assertEquals(await assertRejects(wait), reason);
  }
  sender.sendAll(["a", "b"]);
  for (
    const wait of [
      () => sender.sendAsync("c", signalled()),
      () => sender.sendAllAsync(["c"], signalled()),
      () => sender.claimAsync(1, signalled()),
    ]
  ) {
    assertEquals(await assertRejects(wait), reason);
  }
  const first = sender.sendAsync("c");
  assertEquals(await assertRejects(() => sender.sendAsync("d", signalled())), reason);
  const { waitingSenders, waitingReceivers } = channel.inspect();
  assertEquals([waitingSenders, waitingReceivers], [1, 0]);
  receiver.receive();
  assert(await first);
  assertEquals(receiver.receiveSome(3), ["b", "c"]);
});

Deno.test("channel: after the end senders are refused, and receivers get what is left", async () => {
  const channel = texts();
  const sender = channel.sender();
  const receiver = channel.receiver();
  sender.sendAll(["a", "b"]);
  const waiting = sender.sendAsync("c");
  channel.close();
  channel.close();
  await assertRejects(() => waiting, ChannelClosedError, "the channel was closed");
  assertThrows(() => sender.send("c"), ChannelClosedError);
  assertThrows(() => sender.trySend("c"), ChannelClosedError);
  assertThrows(() => sender.sendAll(["c"]), ChannelClosedError);
  assertThrows(() => sender.claim(), ChannelClosedError);
  await assertRejects(() => sender.sendAsync("c"), ChannelClosedError);
  assertInstanceOf(new ChannelClosedError(), ClosedError);
  assertEquals([receiver.receive(), receiver.hasEnded], ["a", false]);
  assertEquals([await receiver.receiveAsync(), receiver.hasEnded], ["b", false]);
  assertEquals([receiver.receive(), receiver.hasEnded], [undefined, true]);
  assertEquals(await receiver.receiveAsync(), undefined);
  assertEquals(receiver.receiveSome(3), []);
  assertEquals(receiver.take(), 0);
  assertEquals(receiver.tryBorrow(), undefined);
  assertEquals(channel.isClosed, true);
});

Deno.test("channel: an end that was closed refuses, and a wait of it ends", async () => {
  const channel = texts();
  const receiver = channel.receiver();
  const receiving = receiver.receiveAsync();
  receiver.close();
  receiver.close();
  await assertRejects(() => receiving, ClosedError, "the receiver is closed");
  assertThrows(() => receiver.receive(), ClosedError);
  const sender = channel.sender();
  sender.sendAll(["a", "b"]);
  const sending = sender.sendAsync("c");
  sender.close();
  sender.close();
  await assertRejects(() => sending, ClosedError, "the sender is closed");
  assertThrows(() => sender.trySend("c"), ClosedError);
  assertEquals(channel.isClosed, false);
  const { senders, receivers } = channel.inspect();
  assertEquals([senders, receivers], [0, 0]);
});

Deno.test("channel: it closes with the last sender, if it was created so", () => {
  const channel = texts({ closeWithLastSender: true });
  const first = channel.sender();
  const second = channel.sender();
  first.close();
  assertEquals(channel.isClosed, false);
  channel.reclaimSender(second.place);
  assertEquals(channel.isClosed, true);
});

Deno.test("channel: a full one fails, or drops and counts, by option", async () => {
  const failing = texts({ full: "fail" }).sender();
  failing.sendAll(["a", "b"]);
  assertThrows(() => failing.send("c"), ChannelFullError, "all 2 cells of the channel are in use");
  assertThrows(() => failing.sendAll(["c"]), ChannelFullError);
  await assertRejects(() => failing.sendAsync("c"), ChannelFullError);
  assertEquals(failing.trySend("c"), false);

  const channel = texts({ full: "drop" });
  const dropping = channel.sender();
  assertEquals(dropping.sendAll(["a", "b", "c"]), 2);
  assertEquals(dropping.send("d"), false);
  assertEquals(await dropping.sendAsync("e"), false);
  assertEquals(dropping.sendAll(["f", "g"]), 0);
  assertEquals(await dropping.sendAllAsync(["h", "i"]), 0);
  assertEquals(channel.inspect().dropped, 7);
  assertEquals(channel.receiver().receiveSome(5), ["a", "b"]);
});

Deno.test("channel: an error of the codec is the caller's, and leaves the channel as it was", async () => {
  let fails = true;
  const codec: Codec<string> = {
    ...textCodec,
    encodeInto(value, target, at) {
      if (fails && value === "bad") throw new RangeError("bad value");
      return textCodec.encodeInto(value, target, at);
    },
    decode(source, at, length) {
      const value = textCodec.decode(source, at, length);
      if (value === "bad") throw new RangeError("bad bytes");
      return value;
    },
  };
  const channel = texts({ codec });
  const sender = channel.sender();
  const receiver = channel.receiver();
  assertThrows(() => sender.send("bad"), RangeError, "bad value");
  assertThrows(() => sender.trySend("bad"), RangeError, "bad value");
  assertThrows(() => sender.sendAll(["a", "bad"]), RangeError, "bad value");
  await assertRejects(() => sender.sendAsync("bad"), RangeError, "bad value");
  assertEquals(channel.inspect().depth, 0);
  fails = false;
  sender.sendAll(["bad", "b"]);
  assertThrows(() => receiver.receive(), RangeError, "bad bytes");
  assertEquals(receiver.receive(), "b");
  assertEquals(sender.trySendAll(["c", "d"]), 2, "a cell is gone");
});

Deno.test("channel: a message that is too long names what fits, and what to do", () => {
  const channel = texts({ inlineBytes: 16 });
  assertEquals(channel.maxMessageBytes, 16);
  const sender = channel.sender();
  assert(sender.send("1234567890123456"));
  const { message } = assertThrows(() => sender.send("12345678901234567"), RangeError);
  assertStringIncludes(message, "a message of 17 bytes as 16 fit: create the channel with more");
});

Deno.test("channel: codecs bring back what was sent", () => {
  const cases = [
    { codec: textCodec, values: ["", "abc", "äöü €", "𝄞".repeat(20), "a".repeat(128), "\ufeffx"] },
    { codec: jsonCodec(), values: [null, 0, "", [1, { a: "ß" }], { text: "€".repeat(30) }] },
    {
      codec: bytesCodec,
      values: [new Uint8Array(), Uint8Array.of(1, 2, 255), new Uint8Array(128)],
    },
  ] as { codec: Codec<unknown>; values: unknown[] }[];
  for (const { codec, values } of cases) {
    const channel = Channel.create({ capacity: 8, codec });
    const receiver = Channel.attach(channel.handle).receiver();
    const sender = channel.sender();
    assertEquals(sender.sendAll(values), values.length);
    assertEquals(receiver.receiveSome(8), values);
    for (const value of values) {
      sender.send(value);
      assertEquals(receiver.receive(), value);
    }
  }
  const sender = Channel.create({ capacity: 1, codec: jsonCodec<unknown>() }).sender();
  assertThrows(() => sender.send(undefined), TypeError, "JSON has no such value");
  const bytes = Channel.create({ capacity: 1 }).sender();
  assertThrows(() => bytes.send("a" as never), TypeError, "must be a Uint8Array");
});

Deno.test("channel: what is received is a copy that belongs to the receiver", () => {
  const channel = Channel.create({ capacity: 1 });
  const sender = channel.sender();
  const receiver = channel.receiver();
  sender.send(Uint8Array.of(1));
  const first = receiver.receive()!;
  sender.send(Uint8Array.of(2));
  receiver.receive();
  assertEquals(first, Uint8Array.of(1));
  assertEquals(Object.prototype.toString.call(first.buffer), "[object ArrayBuffer]");
});

Deno.test("channel: cells are claimed, filled and taken in place", () => {
  const channel = Channel.create({ capacity: 4, inlineBytes: 16 });
  const sender = channel.sender();
  const receiver = channel.receiver();
  for (let round = 0; round < 5; round++) {
    assertEquals(sender.claim(3), 3);
    assertThrows(() => sender.send(Uint8Array.of(1)), Error, "publish or abort them first");
    for (let i = 0; i < 3; i++) sender.bytes.fill(i + 1, sender.offset(i), sender.offset(i) + 2);
    sender.publish(2);
    assertEquals(receiver.take(2), 2);
    assertEquals([receiver.length(0), receiver.bytes[receiver.offset(1)]], [2, 2]);
    assertEquals(receiver.view(1), new Uint8Array(new SharedArrayBuffer(2)).fill(2));
    receiver.release();
    assertEquals(receiver.take(), 1);
    assertEquals(receiver.view(0)[1], 3);
    assertEquals(receiver.tryTake(), 0, "it releases what was taken before");
  }
  assertEquals(sender.claim(4), 4);
  sender.abort();
  assertEquals(receiver.tryReceive(), undefined);
  assertEquals(sender.claim(4), 4);
  sender.close();
  assertEquals(channel.inspect().depth, 0);
  assertThrows(() => channel.sender().claim(5), RangeError, "from 1 to 4");
});

Deno.test("channel: borrowed messages stay until they are released, in any order", () => {
  const channel = Channel.create({ capacity: 2 });
  const sender = channel.sender();
  const receiver = channel.receiver();
  sender.sendAll([Uint8Array.of(1), Uint8Array.of(2)]);
  const first = receiver.borrow()!;
  const second = receiver.tryBorrow()!;
  assertEquals([first.bytes[0], second.bytes[0]], [1, 2]);
  second.release();
  second.release();
  assertThrows(() => second.bytes, ClosedError);
  assertEquals(sender.trySend(Uint8Array.of(3)), false, "the first is not released");
  first[Symbol.dispose]();
  assertEquals(sender.trySendAll([Uint8Array.of(3), Uint8Array.of(4)]), 2);
});

Deno.test("channel: a message stays with its receiver until that asks for more, by option", () => {
  const channel = texts({ redeliver: true });
  const sender = channel.sender();
  sender.sendAll(["a", "b"]);
  const first = channel.receiver();
  assertEquals(first.receive(), "a");
  assertEquals(sender.trySend("c"), false);
  first.close();
  const second = channel.receiver();
  assertEquals(second.receive(), "a", "it was given back");
  assertEquals(second.receive(), "b");
  second.giveBack();
  assertEquals(second.receive(), "b");
  second.release();
  assertEquals(channel.inspect().redelivered, 2);
  assertEquals(sender.trySendAll(["c", "d"]), 2);
});

Deno.test("channel: an end that is reclaimed and used all the same is told", () => {
  const channel = texts();
  const sender = channel.sender();
  sender.claim();
  assertEquals(channel.reclaimSender(sender.place), 1);
  assertThrows(() => sender.publish(1), ReclaimedError, "its thread was taken for dead");
  const next = channel.sender();
  assertEquals(next.place, sender.place);
  assertThrows(() => sender.close(), ReclaimedError);
  assertEquals(channel.inspect().senders, 1, "the place of another was freed");
  next.send("a");
  const receiver = channel.receiver();
  assertEquals(receiver.take(), 1);
  assertEquals(channel.reclaimReceiver(receiver.place), 1);
  assertThrows(() => receiver.release(), ReclaimedError);
  assertEquals(channel.inspect().lost, 2);
  assertThrows(() => channel.reclaimReceiver(receiver.place), Error, "is not attached");
});

Deno.test("channel: places are limited, and can be chosen", () => {
  const channel = texts({ senders: 2, receivers: 1 });
  const second = channel.sender({ place: 1 });
  assertThrows(() => channel.sender({ place: 1 }), Error, "sender 1 is attached");
  assertEquals(channel.sender().place, 0);
  assertThrows(() => channel.sender(), Error, "all 2 places of senders are taken");
  second.close();
  assertEquals(channel.sender().place, 1);
  assertThrows(() => channel.receiver({ place: 1 }), RangeError, "from 0 to 0");
});

Deno.test("channel: one call shows depth, capacity, and who waits", async () => {
  const channel = texts();
  const sender = channel.sender();
  sender.sendAll(["a", "b"]);
  const sending = sender.sendAsync("c");
  const inspection = channel.inspect();
  assertEquals(
    `${inspection}`,
    "open: 2 of 2 messages, 1 of 1 senders and 0 of 0 receivers wait, 0 dropped, 0 lost, 0 redelivered",
  );
  channel.receiver().receive();
  await sending;
});

Deno.test("channel: what cannot be created or attached to is refused by name", () => {
  assertThrows(() => texts({ capacity: 3 }), RangeError, "'capacity' must be a power of two");
  assertThrows(() => texts({ senders: 32 }), RangeError, "'senders' must be a whole number");
  assertThrows(() => texts({ inlineBytes: 8 }), RangeError, "'inlineBytes'");
  assertThrows(() => texts({ full: "block" as never }), TypeError, '"wait", "fail" or "drop"');
  assertThrows(() => texts({ codec: {} as never }), TypeError, "'codec' must be an object");
  const own = texts({ codec: { ...textCodec, name: "mine" } });
  assertThrows(() => Channel.attach(own.handle), TypeError, 'a codec of its own, "mine"');
  const { handle } = texts();
  const options = { codec: jsonCodec<string>() };
  assertThrows(() => Channel.attach(handle, options), TypeError, 'named "text" was expected');
  assertThrows(() => Channel.attach(texts() as never), TypeError, "pass its 'handle'");
});

Deno.test("channel: several lie in one memory", () => {
  const memory = Memory.create({ byteLength: 256 * 1024 });
  const channels = [texts({ memory }), texts({ memory, capacity: 64 })];
  for (const channel of channels) channel.sender().send("a");
  for (const channel of channels) assertEquals(channel.receiver().receive(), "a");
});

// --- long messages ----------------------------------------------------------------------------

function pooled(options: Options = {}) {
  const pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2, buffersPerBatch: 1 });
  return { pool, channel: texts({ pool, inlineBytes: 16, ...options }) };
}

Deno.test("channel: long messages lie in buffers of the pool, which return to it", async () => {
  const { pool, channel } = pooled();
  assertEquals(channel.maxMessageBytes, 1024);
  const sender = channel.sender();
  const receiver = channel.receiver();
  const long = ["x", "y", "z"].map((letter) => letter.repeat(1000));
  for (let i = 0; i < 5; i++) {
    assertEquals(sender.sendAll(["short", long[0]!]), 2);
    assertEquals(receiver.receiveSome(2), ["short", long[0]]);
    assert(sender.trySend(long[1]!));
    assert(await sender.sendAsync(long[2]!));
    assertEquals(sender.trySend("full"), false);
    assertEquals(receiver.take(), 2);
    assertEquals([receiver.length(0), receiver.view(1).length], [-1, 1000]);
    receiver.release();
    assertEquals(pool.usage().inUse, 0);
  }
  assertThrows(() => sender.send("x".repeat(1025)), RangeError, "more 'bufferBytes'");
});

Deno.test("channel: long messages that are not sent leave no buffer behind", async () => {
  const { pool, channel } = pooled();
  const sender = channel.sender();
  sender.sendAll(["a", "b"]);
  const long = "x".repeat(1000);
  assertEquals(sender.trySend(long), false);
  assertEquals(sender.send(long, { timeoutMs: 1 }), false);
  assertEquals(await sender.sendAsync(long, { timeoutMs: 1 }), false);
  assertEquals(sender.trySendAll([long]), 0);
  assertEquals(pool.usage().inUse, 0);
  // No buffer is free, though there is room.
  const buffers = [pool.acquire(), pool.acquire()];
  channel.receiver().receive();
  assertEquals(sender.trySend(long), false);
  assertEquals(sender.send(long, { timeoutMs: 1 }), false);
  assertEquals(await sender.sendAsync(long, { timeoutMs: 1 }), false);
  const sending = sender.sendAsync(long);
  for (const buffer of buffers) pool.release(buffer);
  assert(await sending);
});

Deno.test("channel: a packet is sent, and borrowed, without a copy", async () => {
  const pool = BufferPool.create({ bufferBytes: 1024, batchCount: 2, buffersPerBatch: 1 });
  const channel = Channel.create({ capacity: 2, pool, inlineBytes: 16 });
  const there = BufferPool.attach(pool.handle);
  const receiver = Channel.attach(channel.handle, { pool: there }).receiver();
  const sender = channel.sender();
  for (
    const send of [
      (packet: Packet) => sender.sendPacket(packet),
      (packet: Packet) => sender.trySendPacket(packet),
      (packet: Packet) => sender.sendPacketAsync(packet),
    ]
  ) {
    const packet = pool.packet(pool.acquire(), 10, 500);
    packet.bytes.fill(7);
    const { byteOffset } = packet;
    assert(await send(packet));
    assert(packet.isGone);
    using borrowed = receiver.borrow()!;
    assertEquals([borrowed.bytes.length, borrowed.bytes[499]], [500, 7]);
    assertEquals(borrowed.bytes.byteOffset, there.bytes.byteOffset + byteOffset);
    assertEquals(pool.usage().inUse, 1);
    borrowed.release();
    there.returnCached();
    assertEquals(pool.usage().inUse, 0);
  }
  sender.sendAll([Uint8Array.of(1), Uint8Array.of(2)]);
  const unsent = pool.packet(pool.acquire(), 0, 1);
  assertEquals(sender.trySendPacket(unsent), false);
  assertEquals(sender.sendPacket(unsent, { timeoutMs: 1 }), false);
  assertEquals(await sender.sendPacketAsync(unsent, { timeoutMs: 1 }), false);
  unsent.release();
  assertThrows(() => sender.sendPacket({} as Packet), TypeError, "a packet was expected");
  const bare = Channel.create({ capacity: 1 }).sender();
  assertThrows(() => bare.trySendPacket(unsent), TypeError, "created without a pool");
  assertThrows(
    () => Channel.attach(channel.handle),
    TypeError,
    "the channel has a pool: attach to",
  );
});

Deno.test("channel: wherever a sender of a long message dies, its buffer is free again", () => {
  for (const members of [1, 2]) {
    let deaths = 0;
    for (let life = 0, hasDied = true; hasDied; life++, deaths++) {
      const { pool, channel } = pooled({ senders: members, receivers: members });
      const other = BufferPool.attach(pool.handle);
      const there = Channel.attach(channel.handle, { pool: other });
      hasDied = diesAfter(life, () => {
        there.sender({ place: 0 }).send("x".repeat(1000));
      });
      if (channel.inspect().senders > 0) channel.reclaimSender(0);
      pool.reclaim(other.thread);
      channel.close();
      const receiver = channel.receiver();
      const text = receiver.receive();
      assert(text === undefined || text.length === 1000);
      receiver.close();
      assertEquals(pool.usage().inUse, 0, `after ${life} operations`);
    }
    assert(deaths > 5);
  }
});

Deno.test("channel: what a dead receiver had in the pool is released, or delivered again", () => {
  for (const redeliver of [false, true]) {
    const { pool, channel } = pooled({ redeliver });
    const sender = channel.sender();
    sender.send("x".repeat(1000));
    channel.receiver({ place: 0 }).take();
    assertEquals(channel.reclaimReceiver(0), 1);
    assertEquals(pool.usage().inUse, redeliver ? 1 : 0);
    const receiver = channel.receiver();
    assertEquals(receiver.tryReceive()?.length, redeliver ? 1000 : undefined);
    receiver.release();
    assertEquals(pool.usage().inUse, 0);
  }
});

// --- streams ----------------------------------------------------------------------------------

Deno.test("channel: streams carry values with the backpressure of the channel", async () => {
  const channel = texts({ closeWithLastSender: true });
  const writer = channel.sender().writable().getWriter();
  const reader = channel.receiver().readable().getReader();
  for (const text of ["a", "b"]) await writer.write(text);
  let isThird = false;
  const third = writer.write("c").then(() => isThird = true);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(isThird, false, "there was no room");
  assertEquals((await reader.read()).value, "a");
  await third;
  await writer.close();
  assertEquals((await reader.read()).value, "b");
  assertEquals((await reader.read()).value, "c");
  assertEquals((await reader.read()).done, true);
});

Deno.test("channel: a stream takes no message before it is read, and none once cancelled", async () => {
  const channel = texts();
  const sender = channel.sender();
  const reader = channel.receiver().readable().getReader();
  sender.send("a");
  await Promise.resolve();
  assertEquals(channel.inspect().depth, 1);
  assertEquals((await reader.read()).value, "a");
  const reading = reader.read();
  await reader.cancel();
  assertEquals((await reading).done, true);
  sender.send("b");
  assertEquals(channel.inspect().depth, 1);
  const writer = sender.writable().getWriter();
  await writer.write("c");
  const waiting = writer.write("d");
  await writer.abort(new Error("enough"));
  await assertRejects(() => waiting);
  assertEquals(channel.inspect().senders, 0);
});

Deno.test("channel: an iteration ends at the end, and can be left", async () => {
  const channel = texts({ capacity: 4 });
  channel.sender().sendAll(["a", "b", "c"]);
  const receiver = channel.receiver();
  for await (const text of receiver) {
    if (text === "a") break;
  }
  channel.close();
  assertEquals(await Array.fromAsync(receiver), ["b", "c"]);
});
