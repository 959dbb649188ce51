/** Writers and the flusher on one thread. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BufferPool,
  ClosedError,
  FlushQueue,
  type Packet,
  PacketWriter,
  ReclaimedError,
  type WriteFlusher,
  type Writer,
} from "@busbar/busbar";
import { LAYOUT_VERSION } from "../../src/memory/handle.ts";
import { CONSUMED, CURRENT, CURRENT_SHIFT, FlushQueueLayout } from "../../src/queue/layout.ts";

const text = new TextEncoder();

function make({ bufferBytes = 64, buffers = 8, messagesPerBuffer = 16, writers = 4 } = {}) {
  const pool = BufferPool.create({ bufferBytes, batchCount: buffers, buffersPerBatch: 1 });
  const queue = FlushQueue.create({ pool, messagesPerBuffer, writers });
  return { pool, queue };
}

/** All that was flushed, run by run. */
function drain(flusher: WriteFlusher): string[] {
  const runs: string[] = [];
  while (flusher.poll()) {
    while (flusher.next()) runs.push(new TextDecoder().decode(flusher.view().slice()));
  }
  return runs;
}

/** How many buffers this thread can have. */
function freeCount(pool: BufferPool): number {
  const taken: number[] = [];
  for (let buffer; (buffer = pool.tryAcquire()) >= 0;) taken.push(buffer);
  for (const buffer of taken) pool.release(buffer);
  return taken.length;
}

for (const isShared of [false, true]) {
  const kind = isShared ? "a shared writer" : "a local writer";

  Deno.test(`${kind} is received once it publishes, not before`, () => {
    const { queue } = make();
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    writer.append(text.encode("hello, "));
    writer.append(text.encode("world"));
    assertEquals(drain(flusher), []);
    writer.publish();
    assertEquals(drain(flusher), ["hello, world"]);
    writer.publish();
    assertEquals(flusher.poll(), false);
    writer.append(text.encode("!"));
    writer.publish();
    assertEquals(drain(flusher), ["!"]);
  });

  Deno.test(`${kind} ends reservations in any order, and its messages arrive in the order of the claims`, () => {
    const { queue } = make();
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const offsets = ["a", "bb", "ccc", "dddd"].map((word) => {
      const offset = writer.claim(word.length);
      writer.bytes.set(text.encode(word), offset);
      return offset;
    });
    assertEquals(writer.openCount, 4);
    writer.commit(offsets[3]!);
    writer.commit(offsets[1]!);
    writer.publish();
    assertEquals(drain(flusher), []);
    writer.commit(offsets[0]!);
    // What waited behind it has been flushed before.
    assertEquals(drain(flusher).join(""), "abb");
    writer.abort(offsets[2]!);
    assertEquals(drain(flusher), ["dddd"]);
    assertEquals(writer.openCount, 0);
  });

  Deno.test(`${kind} leaves out what is aborted or cut short`, () => {
    const { queue } = make();
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    writer.append(text.encode("a"));
    writer.abort(writer.claim(5));
    const offset = writer.claim(5);
    writer.bytes.set(text.encode("bcxxx"), offset);
    writer.commit(offset, 2);
    writer.append(text.encode("d"));
    writer.publish();
    // A local writer takes the bytes back, so there is no gap.
    assertEquals(drain(flusher), isShared ? ["a", "bc", "d"] : ["abcd"]);
  });

  Deno.test(`${kind} keeps the order of long messages, which have buffers of their own`, () => {
    const { pool, queue } = make();
    const writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const words = ["a", "b".repeat(33), "c", "d".repeat(64), "e"];
    for (const word of words) writer.append(text.encode(word));
    writer.publish();
    assertEquals(drain(flusher), words);
    // The short ones share a buffer still, so only that is in use.
    assertEquals(freeCount(pool), 7);
    writer[Symbol.dispose]();
    assertEquals(drain(flusher), []);
    assertEquals(freeCount(pool), 8);
  });

  Deno.test(`${kind} continues in another buffer when bytes or slots are used up`, () => {
    const { pool, queue } = make({ messagesPerBuffer: 3, buffers: 12 });
    const writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    for (let i = 0; i < 10; i++) {
      writer.append(text.encode(String(i)));
      // A local writer needs a place in the table only for what it flushes together.
      if (!isShared) writer.publish();
    }
    for (let i = 0; i < 5; i++) writer.append(text.encode("x".repeat(30)));
    writer.publish();
    const runs = drain(flusher);
    assertEquals(runs.slice(0, 3), ["012", "345", "678"]);
    assertEquals(runs.join(""), "0123456789" + "x".repeat(150));
    writer[Symbol.dispose]();
    drain(flusher);
    assertEquals(freeCount(pool), 12);
  });

  Deno.test(`${kind} without a buffer publishes, returns -1, and continues with the next buffer`, async () => {
    const { queue } = make({ buffers: 1 });
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    assert(writer.append(new Uint8Array(32).fill(65)));
    assert(writer.append(new Uint8Array(32).fill(65)));
    assertEquals(writer.tryClaim(32), -1);
    assertEquals(writer.claim(32, { timeoutMs: 1 }), -1);
    assertEquals(writer.append(new Uint8Array(32), { timeoutMs: 1 }), false);
    assertEquals(await writer.claimAsync(1, { timeoutMs: 1 }), -1);
    assertEquals(await writer.claimMessageAsync(1, { timeoutMs: 1 }), undefined);
    await assertRejects(
      () => writer.claimAsync(1, { signal: AbortSignal.timeout(1) }),
      DOMException,
      "timeout",
    );
    const waiting = writer.claimAsync(32);
    // Not published by us, but by the call that waits.
    assertEquals(drain(flusher), ["A".repeat(64)]);
    writer.commit(await waiting);
  });

  Deno.test(`${kind} has several tasks of a thread wait for buffers at once`, async () => {
    const { queue } = make({ buffers: 1 });
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const tasks = Array.from({ length: 5 }, async (_, i) => {
      const offset = await writer.claimAsync(20);
      writer.bytes.fill(65 + i, offset, offset + 20);
      writer.commit(offset);
      writer.publish();
    });
    let seen = "";
    while (seen.length < 100) {
      assertEquals(await flusher.waitAsync({ timeoutMs: 5000 }), true);
      seen += drain(flusher).join("");
    }
    await Promise.all(tasks);
    assertEquals([...new Set(seen)].toSorted().join(""), "ABCDE");
  });

  Deno.test(`${kind} returns messages as packets, too`, () => {
    const { pool, queue } = make();
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const offset = writer.claim(5);
    writer.bytes.set(text.encode("hello"), offset);
    using packet = writer.commitPacket(offset);
    writer.publish();
    while (flusher.poll() && flusher.next()) {
      using flushed = flusher.packet();
      assertEquals(new TextDecoder().decode(flushed.bytes.slice()), "hello");
    }
    for (let i = 0; i < 8; i++) writer.append(new Uint8Array(30));
    writer.publish();
    assertEquals(new TextDecoder().decode(packet.bytes.slice()), "hello");
    assertEquals(pool.bufferCount, 8);
  });

  Deno.test(`packets of the runs of ${kind} keep their buffers, however many there are`, () => {
    const { pool, queue } = make();
    const writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const packets: Packet[] = [];
    for (const length of [5, 40, 6, 64, 7]) {
      writer.append(new Uint8Array(length).fill(length));
      writer.publish();
      while (flusher.poll()) {
        while (flusher.next()) packets.push(flusher.packet(), flusher.packet());
      }
    }
    writer[Symbol.dispose]();
    drain(flusher);
    assertEquals(freeCount(pool), 5);
    assertEquals(
      packets.map((packet) => [packet.length, packet.bytes.at(-1)]),
      [5, 5, 40, 40, 6, 6, 64, 64, 7, 7].map((length) => [length, length]),
    );
    for (const packet of packets) packet.release();
    assertEquals(freeCount(pool), 8);
  });

  Deno.test(`${kind} that is closed ends the waits for room in it`, async () => {
    const { queue } = make({ buffers: 2 });
    const writer = queue.writer({ shared: isShared });
    while (writer.tryClaim(64) >= 0);
    const waiting = [writer.claimAsync(60), writer.claimAsync(5)].map((promise) =>
      assertRejects(() => promise, Error, "Cannot claim as the writer is closed")
    );
    await new Promise((resolve) => setTimeout(resolve, 1));
    writer[Symbol.dispose]();
    await Promise.all(waiting);
  });

  Deno.test(`${kind} refuses wrong lengths, offsets and calls`, () => {
    const { queue } = make();
    const writer = queue.writer({ shared: isShared });
    for (const length of [0, -1, 1.5, 65, NaN]) {
      assertThrows(
        () => writer.claim(length),
        RangeError,
        `Cannot claim as 'length' must be a whole number from 1 to 64: received ${length}`,
      );
    }
    const offset = writer.claim(4);
    assertThrows(
      () => writer.commit(offset, 5),
      RangeError,
      "Cannot commit as 'length' must be a whole number from 0 to 4: received 5",
    );
    writer.commit(offset);
    assertThrows(
      () => writer.commit(offset),
      Error,
      "Cannot commit as no reservation is open at this offset",
    );
    assertThrows(() => writer.abort(offset), Error, "Cannot abort as no reservation is open");
    // What a failed try returns.
    assertThrows(() => writer.commit(-1), Error, "Cannot commit as no reservation is open");
    assertThrows(() => writer.commitPacket(-1), Error, "Cannot commit as no reservation is open");
    assertThrows(() => writer.abort(-1), Error, "Cannot abort as no reservation is open");
    const open = writer.claimMessage(4);
    writer[Symbol.dispose]();
    writer[Symbol.dispose]();
    assertThrows(() => writer.claim(1), Error, "Cannot claim as the writer is closed");
    assertEquals(open.isOpen, false);
    assertThrows(() => open.commit(), ClosedError, "Cannot commit as the reservation has ended");
    open[Symbol.dispose]();
  });

  Deno.test(`${kind} does not send a payload whose length changes during the wait`, async () => {
    const { queue } = make({ buffers: 2 });
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    const resizable = new ArrayBuffer(8, { maxByteLength: 16 });
    const changes: [Uint8Array<ArrayBuffer>, (payload: Uint8Array<ArrayBuffer>) => unknown][] = [
      [new Uint8Array(8), ({ buffer }) => structuredClone(buffer, { transfer: [buffer] })],
      [new Uint8Array(resizable), () => resizable.resize(4)],
      [new Uint8Array(resizable), () => resizable.resize(16)],
    ];
    for (const [payload, change] of changes) {
      while (writer.tryAppend(new Uint8Array(64)));
      const appending = writer.appendAsync(payload);
      change(payload);
      drain(flusher);
      await assertRejects(() => appending, RangeError, "must not change its length");
      assertEquals(writer.openCount, 0);
      writer.send(text.encode("next"));
      assertEquals(drain(flusher), ["next"]);
    }
  });

  Deno.test(`${kind} makes reservations that abort themselves`, () => {
    const { queue } = make();
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    assertThrows(() => {
      using message = writer.claimMessage(3);
      message.bytes.set([65, 65, 65]);
      throw new TypeError("while filling");
    }, TypeError);
    {
      using message = writer.claimMessage(3);
      message.bytes.set([66, 67, 68]);
      message.commit(2);
      assertEquals(message.isOpen, false);
      assertThrows(() => message.abort(), Error, "Cannot abort as the reservation has ended");
    }
    {
      using message = writer.claimMessage(1);
      message.bytes[0] = 69;
      using packet = message.commitPacket();
      assertEquals([...packet.bytes], [69]);
    }
    writer.publish();
    assertEquals(drain(flusher).join(""), "BCE");
  });

  Deno.test(`${kind} continues where the numbers of segments wrap`, () => {
    const { pool, queue } = make({ buffers: 2, writers: 1 });
    const shape = new FlushQueueLayout(64, 2, 1, 16);
    const { memory, byteOffset } = queue.handle;
    const words = new Int32Array(memory.buffer, byteOffset);
    const latest = 2 ** 30 - 2;
    words[shape.writer(0) + CURRENT] = latest << CURRENT_SHIFT;
    words[shape.writer(0) + CONSUMED] = latest + 1;
    using writer = queue.writer({ shared: isShared });
    using flusher = queue.flusher();
    let seen = "";
    for (let i = 0; i < 10; i++) {
      writer.append(new Uint8Array(30).fill(65 + i));
      writer.publish();
      if (i % 2 === 1) seen += drain(flusher).join("");
    }
    seen += drain(flusher).join("");
    assertEquals(seen, [..."ABCDEFGHIJ"].map((letter) => letter.repeat(30)).join(""));
    assertEquals(freeCount(pool), 1);
  });

  Deno.test(`${kind} and a flusher behave as a plain list`, () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant("reserve" as const), length: fc.integer({ min: 1, max: 64 }) }),
      fc.record({ do: fc.constant("commit" as const), which: fc.nat(), short: fc.boolean() }),
      fc.record({ do: fc.constant("abort" as const), which: fc.nat() }),
      fc.record({ do: fc.constant("flush" as const) }),
      fc.record({ do: fc.constant("drain" as const) }),
    );
    fc.assert(fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
      const { pool, queue } = make({ buffers: 6, messagesPerBuffer: 4 });
      using writer = queue.writer({ shared: isShared });
      using flusher = queue.flusher();
      /** In the order of reservation: the message, or that it is open, or nothing. */
      const list: { offset: number; length: number; state: "open" | string | undefined }[] = [];
      let received = "";
      let number = 0;
      /** What the flusher may have, at most. */
      const ended = () => {
        const end = list.findIndex((entry) => entry.state === "open");
        return list.slice(0, end < 0 ? list.length : end).map((entry) => entry.state ?? "").join(
          "",
        );
      };
      let flushed = "";
      const pick = (which: number) => {
        const open = list.filter((entry) => entry.state === "open");
        return open[which % open.length];
      };
      for (const command of commands) {
        if (command.do === "reserve") {
          const offset = writer.tryClaim(command.length);
          if (offset >= 0) list.push({ offset, length: command.length, state: "open" });
          // Without a buffer it flushes.
          else flushed = ended();
        } else if (command.do === "commit") {
          const entry = pick(command.which);
          if (entry === undefined) continue;
          const length = command.short ? entry.length >> 1 : entry.length;
          const letter = String.fromCharCode(65 + number++ % 26);
          writer.bytes.fill(letter.charCodeAt(0), entry.offset, entry.offset + length);
          writer.commit(entry.offset, length);
          entry.state = letter.repeat(length);
        } else if (command.do === "abort") {
          const entry = pick(command.which);
          if (entry === undefined) continue;
          writer.abort(entry.offset);
          entry.state = undefined;
        } else if (command.do === "flush") {
          writer.publish();
          flushed = ended();
        } else {
          received += drain(flusher).join("");
          assert(ended().startsWith(received), `${received} of ${ended()}`);
          assert(received.startsWith(flushed), `${received} but flushed ${flushed}`);
        }
      }
      for (const entry of list) if (entry.state === "open") writer.abort(entry.offset);
      list.forEach((entry) => entry.state = entry.state === "open" ? undefined : entry.state);
      writer[Symbol.dispose]();
      received += drain(flusher).join("");
      assertEquals(received, ended());
      assertEquals(freeCount(pool), 6);
    }));
  });
}

Deno.test("a shared writer that is closed stops waiting for another thread to switch", async () => {
  const { queue } = make({ buffers: 1 });
  const first = queue.writer({ shared: true });
  const second = queue.attachWriter(first.handle);
  using flusher = queue.flusher();
  first.send(new Uint8Array(64));
  const switching = first.claimAsync(60);
  const waiting = assertRejects(() => second.claimAsync(60), Error, "is closed");
  await new Promise((resolve) => setTimeout(resolve, 1));
  second[Symbol.dispose]();
  await waiting;
  drain(flusher);
  first.commit(await switching);
  first[Symbol.dispose]();
  assertEquals(drain(flusher).length, 1);
});

Deno.test("one publication serves all writers of a thread, and the flusher tells them apart", () => {
  const { queue } = make();
  using first = queue.writer({ id: 70 });
  using second = queue.writer({ shared: true, id: 80 });
  using third = queue.writer();
  using flusher = queue.flusher();
  for (const writer of [first, second, third]) writer.append(new Uint8Array([1]));
  second.send(new Uint8Array([1]));
  first.publish();
  const seen: [number, number][] = [];
  assertEquals(
    flusher.drain((run) => seen.push([run.writerId, run.messageCount])),
    4,
  );
  assertEquals(seen.toSorted(), [[2, 1], [70, 1], [80, 2]]);
});

Deno.test("a flusher whose visit throws visits the run again", () => {
  const { queue } = make();
  using writer = queue.writer();
  using flusher = queue.flusher();
  writer.append(new Uint8Array([7]));
  writer.publish();
  assertThrows(
    () =>
      flusher.drain(() => {
        throw new TypeError("a failing visit");
      }),
    TypeError,
  );
  assertEquals(flusher.drain((run) => assertEquals([...run.view()], [7]), { timeoutMs: 0 }), 1);
  assertEquals(flusher.drain(() => {}, { timeoutMs: 1 }), 0);
});

Deno.test("a flusher that follows another finds what that one left", () => {
  const { pool, queue } = make();
  const writers: Writer[] = [queue.writer(), queue.writer({ shared: true })];
  for (const writer of writers) {
    for (let i = 0; i < 4; i++) writer.append(new Uint8Array(30).fill(65 + i));
  }
  writers[0]!.publish();
  const first = queue.flusher();
  assertThrows(
    () => queue.flusher(),
    Error,
    "Cannot become the flusher of the queue as thread 0 is: close that one first",
  );
  assert(first.poll() && first.next());
  const seen = [first.length];
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  using second = queue.flusher();
  while (second.poll() && second.next()) seen.push(second.length);
  assertEquals(seen.reduce((a, b) => a + b), 240);
  for (const writer of writers) writer[Symbol.dispose]();
  drain(second);
  assertEquals(freeCount(pool), 8);
});

Deno.test("a run whose visit failed goes to the next flusher", () => {
  for (const length of [1, 50]) { // one in the buffer of its segment, one in a buffer for its own
    const { pool, queue } = make();
    const writer = queue.writer();
    writer.append(new Uint8Array([7]));
    writer.append(new Uint8Array(length).fill(8));
    writer.publish();
    const refuse = () => {
      throw new Error("not now");
    };
    for (let times = 0; times < 2; times++) {
      using flusher = queue.flusher();
      assertThrows(() => flusher.drain(refuse), Error, "not now");
    }
    using flusher = queue.flusher();
    let bytes = 0;
    flusher.drain((run) => void (bytes += run.length));
    assertEquals(bytes, 1 + length);
    writer[Symbol.dispose]();
    drain(flusher);
    assertEquals(freeCount(pool), 8);
  }
});

Deno.test("a flusher whose tickets are in flight makes no packet, and loses nothing", () => {
  const pool = BufferPool.create({
    bufferBytes: 64,
    batchCount: 8,
    buffersPerBatch: 1,
    tickets: 1,
  });
  const queue = FlushQueue.create({ pool });
  const writers = [queue.writer(), queue.writer()];
  for (const [i, writer] of writers.entries()) writer.append(new Uint8Array([i]));
  writers[0]!.publish();
  const first = queue.flusher();
  assert(first.poll() && first.next());
  const packet = first.packet();
  assert(first.next());
  assertThrows(() => first.packet(), Error, "create the pool with more 'tickets'");
  assertEquals(first.view().length, 1);
  first[Symbol.dispose]();
  packet.release();
  using second = queue.flusher();
  for (const [i, writer] of writers.entries()) {
    writer.append(new Uint8Array([2 + i]));
    writer[Symbol.dispose]();
  }
  assertEquals(drain(second), ["\x02", "\x03"]);
  assertEquals(freeCount(pool), 8);
});

Deno.test("a writer without a queue has more reservations open than a buffer has references", () => {
  const pool = BufferPool.create({ bufferBytes: 4096, batchCount: 2, buffersPerBatch: 1 });
  const writer = PacketWriter.create(pool);
  const offsets = Array.from({ length: 2_000 }, () => writer.tryClaim(1));
  assert(offsets.every((offset) => offset >= 0));
  assertEquals(writer.openCount, 2_000);
  for (const offset of offsets) writer.abort(offset);
  writer[Symbol.dispose]();
  assertEquals(freeCount(pool), 2);
});

Deno.test("a wait that is aborted just as the writer is closed gets its own reason", async () => {
  const { pool } = make({ buffers: 1 });
  const taken = pool.acquire();
  const writer = PacketWriter.create(pool);
  const controller = new AbortController();
  const reserved = writer.claimAsync(4, controller).catch((reason) => reason);
  writer[Symbol.dispose]();
  controller.abort("enough");
  assertEquals(await reserved, "enough");
  pool.release(taken);
});

Deno.test("a closed flusher takes nothing", async () => {
  const { queue } = make();
  using writer = queue.writer();
  writer.append(new Uint8Array(3));
  writer.publish();
  const flusher = queue.flusher();
  assert(flusher.poll() && flusher.next());
  assertEquals([flusher.view().length, flusher.messageCount], [3, 1]);
  assertEquals(flusher.next(), false);
  assertEquals([flusher.view().length, flusher.messageCount], [0, 0]);
  assertThrows(() => flusher.packet(), Error, "as there is no present run");
  flusher[Symbol.dispose]();
  const gone = "Cannot receive as the flusher is closed";
  assertThrows(() => flusher.poll(), Error, gone);
  assertThrows(() => flusher.wait({ timeoutMs: 1 }), Error, gone);
  assertThrows(() => flusher.drain(() => {}), Error, gone);
  await assertRejects(() => flusher.waitAsync(), Error, gone);
  await assertRejects(() => flusher.drainTo(new WritableStream()), Error, gone);
  assertEquals(flusher.next(), false);
});

Deno.test("a queue refuses to reclaim its own thread, and writers that it does not have", () => {
  const { pool, queue } = make();
  assertThrows(
    () => queue.reclaim(pool.thread),
    Error,
    "Cannot reclaim thread 0 as it is this one: close what it has",
  );
  assertThrows(
    () => queue.reclaim(pool.threads),
    RangeError,
    "Cannot reclaim as 'thread' must be a whole number from 0 to 7: received 8",
  );
  queue.reclaim(1);
  using local = queue.writer();
  using shared = queue.writer({ shared: true });
  assertThrows(
    () => queue.reclaimWriter({ ...shared.handle, index: 0 }),
    TypeError,
    "Cannot reclaim as the queue has no shared writer with this index: received 0",
  );
  assertEquals(local.openCount, 0);
});

Deno.test("a shared writer that was reclaimed alive closes with an error, and its place is left alone", () => {
  for (const isReceived of [false, true]) {
    const { queue } = make({ writers: 1 });
    using flusher = queue.flusher();
    const late = queue.writer({ shared: true });
    late.send(text.encode("late"));
    queue.reclaimWriter(late.handle);
    if (isReceived) assertEquals(drain(flusher), ["late"]);
    assertThrows(
      () => late.close(),
      ReclaimedError,
      "Cannot close shared writer 0 as another thread has reclaimed it",
    );
    late.close();
    drain(flusher);
    assertEquals([flusher.closings, flusher.isEnded], [1, true]);
    using next = queue.writer();
    next.send(text.encode("next"));
    assertEquals(drain(flusher), ["next"]);
  }
});

Deno.test("a queue is at its end while no writer is open, and every message was received", () => {
  const { pool, queue } = make();
  const receive = (flusher: WriteFlusher) => flusher.tryDrain(() => {});
  const flusher = queue.flusher();
  assertEquals(flusher.isEnded, true);
  for (const isShared of [false, true]) {
    const writer = queue.writer({ shared: isShared });
    assertEquals(flusher.isEnded, false);
    writer.append(new Uint8Array(4));
    writer.close();
    assertEquals(flusher.isEnded, false);
    assert(flusher.poll());
    assertEquals(flusher.isEnded, false);
    while (flusher.next());
    assertEquals(flusher.isEnded, true);
  }
  const dead = BufferPool.attach(pool.handle);
  FlushQueue.attach(queue.handle, dead).writer().send(new Uint8Array(4));
  receive(flusher);
  assertEquals(flusher.isEnded, false);
  queue.reclaim(dead.thread);
  assertEquals(flusher.isEnded, false);
  receive(flusher);
  assertEquals(flusher.isEnded, true);
  flusher.close();
  assertEquals(flusher.isEnded, false);
});

Deno.test("a queue is not at its end while the run of a failed visit is to come again", () => {
  const { queue } = make();
  using flusher = queue.flusher();
  const writer = queue.writer();
  writer.append(new Uint8Array(4));
  writer.close();
  assertThrows(() => flusher.drain(() => assert(false, "no")), Error, "no");
  assertEquals(flusher.isEnded, false);
  flusher.drain(() => {});
  assertEquals(flusher.isEnded, true);
});

Deno.test("writers have turns of a buffer each, whatever one of them has", () => {
  const { queue } = make({ buffers: 12 });
  using busy = queue.writer({ id: 1 });
  using other = queue.writer({ id: 2 });
  using flusher = queue.flusher();
  for (let i = 0; i < 6; i++) busy.append(new Uint8Array(32));
  busy.publish();
  other.send(new Uint8Array(1));
  const ids: number[] = [];
  while (flusher.poll()) {
    while (flusher.next()) {
      ids.push(flusher.writerId);
      if (ids.length === 3) other.send(new Uint8Array(1)); // published during the round
    }
  }
  assertEquals(ids, [1, 2, 1, 1, 2]);
});

Deno.test("a flusher that closes between the turns of a writer leaves the rest to the next", () => {
  const { queue } = make({ buffers: 12 });
  using busy = queue.writer({ id: 1 });
  using other = queue.writer({ id: 2 });
  const first = queue.flusher();
  for (let i = 0; i < 6; i++) busy.append(new Uint8Array(32));
  busy.publish();
  other.send(new Uint8Array(1));
  const ids: number[] = [];
  for (let i = 0; i < 2; i++) {
    assert(first.poll() && first.next());
    ids.push(first.writerId);
  }
  assertEquals([first.closings, first.isEnded], [0, false]);
  first.close();
  using second = queue.flusher();
  second.tryDrain((run) => void ids.push(run.writerId));
  assertEquals(ids, [1, 2, 1, 1]);
});

Deno.test("a drain returns, and lets other tasks run, although writers never pause", async () => {
  const { pool, queue } = make();
  using writer = queue.writer();
  using flusher = queue.flusher();
  let sent = 0;
  let received = 0;
  const send = () => void (sent += writer.trySend(new Uint8Array(32)) ? 32 : 0);
  const visit = (run: WriteFlusher) => {
    received += run.length;
    assert(received < 1_000_000, "a drain without an end");
    send();
  };
  send();
  assert(flusher.tryDrain(visit) <= pool.bytes.length + 64);
  let isOver = false;
  setTimeout(() => isOver = true);
  while (!isOver) await flusher.drainAsync(visit);
  let written = 0;
  const sink = {
    write(bytes: Uint8Array) {
      written += bytes.length;
      assert(written < 1_000_000, "a drain without an end");
      send();
      return Promise.resolve(bytes.length);
    },
  };
  await flusher.drainTo(sink);
  received += written;
  flusher.tryDrain((run) => void (received += run.length));
  assertEquals(received, sent);
});

Deno.test("a flusher waits until its time is over", async () => {
  const { queue } = make();
  using flusher = queue.flusher();
  assertEquals(flusher.wait({ timeoutMs: 1 }), false);
  assertEquals(await flusher.waitAsync({ timeoutMs: 1 }), false);
  assertEquals(await flusher.drainAsync(() => {}, { timeoutMs: 1 }), 0);
  await assertRejects(
    () => flusher.waitAsync({ signal: AbortSignal.abort(new TypeError("aborted")) }),
    TypeError,
    "aborted",
  );
});

Deno.test("a writer without a queue makes packets that share buffers", () => {
  const pool = BufferPool.create({ bufferBytes: 64, batchCount: 3, buffersPerBatch: 1 });
  const writer = PacketWriter.create(pool);
  const offsets = [10, 20, 60, 30].map((length) => writer.claim(length));
  assertEquals(freeCount(pool), 1);
  const packets = offsets.toReversed().map((offset, i) => {
    writer.bytes.fill(i, offset, offset + 10);
    return writer.commitPacket(offset, 10);
  });
  assertEquals(packets.map((packet) => packet.bytes[9]), [0, 1, 2, 3]);
  writer.commit(writer.claim(1));
  writer.abort(writer.claim(1));
  assertEquals([writer.claim(60) >= 0, writer.tryClaim(60)], [true, -1]);
  writer.publish();
  assertThrows(() => writer.handle, Error, "Cannot make a handle as the writer is not shared");
  writer[Symbol.dispose]();
  for (const packet of packets) packet[Symbol.dispose]();
  assertEquals(freeCount(pool), 3);
  assertThrows(() => writer.claim(1), Error, "is closed");
});

Deno.test("a queue refuses wrong options and handles", () => {
  const { pool, queue } = make({ writers: 1 });
  const refuse = (options: object, message: string) =>
    assertThrows(() => FlushQueue.create({ pool, ...options }), RangeError, message);
  refuse(
    { writers: 0 },
    "Cannot create flush queue as 'writers' must be a whole number from 1 to 30",
  );
  refuse({ messagesPerBuffer: 0 }, "'messagesPerBuffer' must be a whole number from 1 to");
  const other = BufferPool.create({ bufferBytes: 32, batchCount: 8, buffersPerBatch: 1 });
  assertThrows(
    () => FlushQueue.attach(queue.handle, other),
    TypeError,
    "Cannot attach as the queue is for a pool of 8 buffers of 64 bytes: received one of 8 of 32 bytes",
  );
  assertThrows(
    () => FlushQueue.attach({ ...queue.handle, kind: "x" as "busbar.flush_queue" }, pool),
    TypeError,
    "Cannot attach as a handle of kind 'busbar.flush_queue' was expected",
  );
  assertThrows(() => queue.writer({ id: -1 }), RangeError, "Cannot create writer as 'id' must be");
  using writer = queue.writer();
  assertThrows(
    () => queue.writer(),
    Error,
    "Cannot create writer as all 1 places are taken: close one first",
  );
  assertThrows(() => writer.handle, Error, "Cannot make a handle as the writer is not shared");
  const { memory, byteOffset } = queue.handle;
  const identity = new Int32Array(memory.buffer, byteOffset)[6]!;
  const handle = {
    kind: "busbar.writer",
    version: LAYOUT_VERSION,
    queue: identity,
    index: 0,
    id: 0,
  };
  for (const index of [0, 1, -1, 0.5]) {
    assertThrows(
      () => queue.attachWriter({ ...handle, index }),
      TypeError,
      `Cannot attach as the queue has no shared writer with this index: received ${index}`,
    );
  }
  new Int32Array(memory.buffer, byteOffset)[4] = -1;
  assertThrows(
    () => FlushQueue.attach(queue.handle, pool),
    TypeError,
    "the header of the flush queue is damaged",
  );
});

Deno.test("the place of a closed writer is free for the next", () => {
  const { pool, queue } = make({ writers: 1 });
  using flusher = queue.flusher();
  for (let i = 0; i < 8; i++) {
    using writer = queue.writer({ id: i });
    writer.append(new Uint8Array([65 + i]));
  }
  const ids: number[] = [];
  while (flusher.poll()) while (flusher.next()) ids.push(flusher.writerId);
  assertEquals(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
  assertEquals(freeCount(pool), 8);
});

Deno.test("a queue is opened with its own pool only, and a writer in its own queue only", () => {
  const size = { bufferBytes: 64, batchCount: 4 };
  const [pool, twin] = [BufferPool.create(size), BufferPool.create(size)];
  const queue = FlushQueue.create({ pool });
  const refuse = (attach: () => unknown, message: string) =>
    assertThrows(attach, TypeError, message);
  refuse(
    () => FlushQueue.attach(queue.handle, twin),
    `Cannot attach as the queue is for another pool: expected pool ${pool.identity}, received pool ${twin.identity}`,
  );
  refuse(
    () => FlushQueue.attach(queue.handle, undefined as unknown as BufferPool),
    "Cannot attach to the flush queue as 'pool' must be a BufferPool: received undefined",
  );
  refuse(
    () => FlushQueue.create({} as { pool: BufferPool }),
    "Cannot create flush queue as 'pool' must be a BufferPool: received undefined",
  );
  const other = FlushQueue.create({ pool });
  using writer = queue.writer({ shared: true });
  using _theirs = other.writer({ shared: true });
  refuse(
    () => other.attachWriter(writer.handle),
    "Cannot attach as the writer is of another queue",
  );
  refuse(
    () => other.reclaimWriter(writer.handle),
    "Cannot reclaim as the writer is of another queue",
  );
  FlushQueue.attach(queue.handle, pool).attachWriter(writer.handle)[Symbol.dispose]();
});

Deno.test("a thread that has left the pool can make no writer and no flusher", () => {
  const { pool, queue } = make();
  using writer = queue.writer({ shared: true });
  const there = BufferPool.attach(pool.handle);
  const left = FlushQueue.attach(queue.handle, there);
  there[Symbol.dispose]();
  for (
    const [call, what] of [
      [() => left.writer(), "create writer"],
      [() => left.attachWriter(writer.handle), "attach to the writer"],
      [() => left.flusher(), "become the flusher"],
      [() => FlushQueue.attach(queue.handle, there), "attach to the flush queue"],
      [() => FlushQueue.create({ pool: there }), "create flush queue"],
    ] as const
  ) {
    assertThrows(call, Error, `Cannot ${what} as this thread has left the pool`);
  }
  queue.flusher()[Symbol.dispose]();
});
