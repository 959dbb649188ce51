/** What threads that share a writer do to one another: several ends of it on one thread. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, FlushQueue, type WriteFlusher, type Writer } from "@busbar/busbar";

function make({ bufferBytes = 16, buffers = 4, messagesPerBuffer = 16 } = {}) {
  const pool = BufferPool.create({ bufferBytes, batchCount: 1, buffersPerBatch: buffers });
  const queue = FlushQueue.create({ pool, messagesPerBuffer });
  return { pool, queue };
}

/** The bytes that were flushed. */
function takeAll(flusher: WriteFlusher): number[] {
  const taken: number[] = [];
  while (flusher.poll()) while (flusher.next()) taken.push(...flusher.view());
  return taken;
}

const tick = (ms = 2) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test("a flusher that follows another continues in the segment that that one had reached", () => {
  const { queue } = make({ messagesPerBuffer: 2 });
  using writer = queue.writer({ shared: true });
  for (let i = 0; i < 5; i++) writer.append(new Uint8Array([i]));
  writer.publish();
  {
    using first = queue.flusher();
    assertEquals(takeAll(first), [0, 1, 2, 3, 4]);
  }
  writer.append(new Uint8Array([5]));
  writer.publish();
  using second = queue.flusher();
  assertEquals(takeAll(second), [5]);
});

Deno.test("a published message of the next segment arrives once all before it have ended", () => {
  const { queue } = make({ messagesPerBuffer: 2 });
  using flusher = queue.flusher();
  using writer = queue.writer({ shared: true });
  const [first, second] = [writer.claim(1), writer.claim(1)];
  writer.append(new Uint8Array([3])); // in the next segment
  writer.publish();
  assertEquals(takeAll(flusher), []);
  writer.bytes[second] = 2;
  writer.commit(second);
  writer.bytes[first] = 1;
  writer.commit(first); // not flushed, but the third was
  assertEquals(takeAll(flusher), [1, 2, 3]);
});

Deno.test("a published message 17 slots behind an open one arrives once that has ended", () => {
  const { queue } = make({ bufferBytes: 64, messagesPerBuffer: 40 });
  using flusher = queue.flusher();
  using writer = queue.writer({ shared: true });
  const open = Array.from({ length: 17 }, () => writer.claim(1));
  writer.append(new Uint8Array([17]));
  writer.publish();
  assertEquals(takeAll(flusher), []);
  for (const [i, offset] of open.entries()) {
    writer.bytes[offset] = i;
    writer.commit(offset);
  }
  assertEquals(takeAll(flusher), Array.from({ length: 18 }, (_, i) => i));
});

Deno.test("the last thread to leave closes the segment that another has opened and left", () => {
  const { pool, queue } = make({ messagesPerBuffer: 2 });
  using flusher = queue.flusher();
  const first = queue.writer({ shared: true });
  const second = queue.attachWriter(first.handle);
  first.send(new Uint8Array([0]));
  for (let i = 1; i < 6; i++) second.send(new Uint8Array([i]));
  second[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(takeAll(flusher), [0, 1, 2, 3, 4, 5]);
  pool.returnCached();
  assertEquals(pool.usage().free, 4);
});

Deno.test("the buffer returns when the last thread leaves whose messages were received", () => {
  const { pool, queue } = make();
  using flusher = queue.flusher();
  const writer = queue.writer({ shared: true });
  writer.append(new Uint8Array([1]));
  writer.publish();
  assertEquals(takeAll(flusher), [1]);
  writer[Symbol.dispose]();
  assertEquals(takeAll(flusher), []);
  pool.returnCached();
  assertEquals(pool.usage().free, 4);
});

for (const how of ["is aborted", "times out", "is disposed of", "blocks until its time is over"]) {
  Deno.test(`a thread that ${how} while it switches leaves the switch to others`, async () => {
    const { pool, queue } = make({ buffers: 1 });
    const first = queue.writer({ shared: true });
    using second = queue.attachWriter(first.handle);
    const only = pool.acquire();
    if (how === "blocks until its time is over") {
      assertEquals(first.claim(4, { timeoutMs: 1 }), -1);
    } else {
      const controller = new AbortController();
      const options = how === "times out" ? { timeoutMs: 1 } : controller;
      const reserved = first.claimAsync(4, options);
      const ended = how === "times out" ? reserved : assertRejects(() => reserved);
      await tick();
      if (how === "is aborted") controller.abort("enough");
      if (how === "is disposed of") first[Symbol.dispose]();
      await ended;
    }
    pool.release(only);
    await tick();
    assert(second.tryClaim(4) >= 0);
    first[Symbol.dispose]();
  });
}

for (const isShared of [false, true]) {
  const kind = isShared ? "shared" : "local";
  Deno.test(`two tasks that await room in a ${kind} writer share the buffer that becomes free`, async () => {
    const { pool, queue } = make({ buffers: 1 });
    using writer = queue.writer({ shared: isShared });
    const only = pool.acquire();
    const both = Promise.all([writer.claimAsync(4), writer.claimAsync(4)]);
    await tick();
    pool.release(only);
    const offsets = await both;
    assertEquals(new Set(offsets).size, 2);
  });
}

/** Calls `body` on a thread that may not block, as the main thread of a page. */
function whileForbidden(body: () => unknown): void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  try {
    body();
  } finally {
    Atomics.wait = wait;
  }
}

Deno.test("a claim on a thread that may not block leaves the writer usable, for others and for itself", async () => {
  for (const length of [8, 12]) {
    const { pool, queue } = make({ buffers: 1 });
    const writer = queue.writer({ shared: true });
    const other = queue.attachWriter(writer.handle);
    const busy = pool.acquire();
    const refused = "Cannot block as this thread may not call Atomics.wait";
    whileForbidden(() => {
      assertThrows(() => writer.claim(length), TypeError, refused);
      assertThrows(() => writer.claim(length, { timeoutMs: 10 }), TypeError, refused);
      assertThrows(() => writer.append(new Uint8Array(length)), TypeError, refused);
    });
    assertEquals([writer.tryClaim(length), other.tryClaim(length)], [-1, -1]);
    const late = other.claimAsync(length);
    pool.release(busy);
    other.commit(await late);
    other.publish();
    using flusher = queue.flusher();
    assertEquals(takeAll(flusher).length, length);
    const again = writer.claimAsync(length);
    takeAll(flusher);
    writer.commit(await again);
    writer.publish();
    assertEquals(takeAll(flusher).length, length);
  }
});

Deno.test("a thread that has left the pool is refused, and the others write on", async () => {
  const { pool, queue } = make();
  const writer = queue.writer({ shared: true });
  const calls: ((theirs: Writer) => unknown)[] = [
    (theirs) => theirs.tryClaim(8),
    (theirs) => theirs.tryClaim(12),
    (theirs) => theirs.claim(8),
    (theirs) => theirs.claim(12, { timeoutMs: 10 }),
    (theirs) => theirs.claimAsync(8),
    (theirs) => theirs.sendAsync(new Uint8Array(12)),
  ];
  for (const [i, call] of calls.entries()) {
    const there = BufferPool.attach(pool.handle);
    const theirs = FlushQueue.attach(queue.handle, there).attachWriter(writer.handle);
    there[Symbol.dispose]();
    const error = await assertRejects(async () => await call(theirs), Error);
    assertEquals(error.message, "Cannot acquire a buffer as this thread has left the pool", `${i}`);
    const offset = writer.tryClaim(12);
    assert(offset >= 0, `call ${i} blocks the others`);
    writer.abort(offset);
    writer.abort(await writer.claimAsync(8));
    theirs[Symbol.dispose]();
    // Gives the buffers of closed segments back.
    writer.publish();
    const flusher = queue.flusher();
    takeAll(flusher);
    flusher[Symbol.dispose]();
  }
});

Deno.test("the open reservations of a thread that leaves the pool are aborted with its writer", () => {
  for (const isShared of [true, false]) {
    const { pool, queue } = make();
    const there = BufferPool.attach(pool.handle);
    const writer = FlushQueue.attach(queue.handle, there).writer({ shared: isShared });
    writer.append(new Uint8Array([1]));
    const owned = writer.claim(12); // a buffer for its own
    writer.commitPacket(writer.claim(1)); // a copy, for which the writer has a buffer
    const open = writer.claim(2);
    there[Symbol.dispose]();
    assertThrows(() => writer.commit(owned), Error, "as this thread has left the pool");
    assertEquals(writer.openCount, 2);
    writer.bytes.fill(2, open, open + 2);
    writer.commit(open);
    writer[Symbol.dispose]();
    using flusher = queue.flusher();
    assertEquals(takeAll(flusher), [1, 0, 2, 2]);
    assertEquals(pool.usage().inUse, 0);
  }
});
