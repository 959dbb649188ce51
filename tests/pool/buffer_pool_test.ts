/**
 * The buffer pool on one thread: its results, its errors, and several parts of one thread, each of
 * which is a thread of its own to the pool.
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, type BufferPoolOptions, Memory } from "../../mod.ts";
import { ClosedError, ReclaimedError } from "../../src/memory/errors.ts";
import { StaleTicketError, TicketsExhaustedError } from "../../src/pool/errors.ts";
import { checkPool } from "../../src/pool/buffer_source.ts";
import { KIND } from "../../src/pool/layout.ts";
import { becomeReclaimer } from "../../src/pool/threads.ts";

/** A pool of `batchCount * buffersPerBatch` buffers of eight bytes. */
function poolOf(
  batchCount: number,
  buffersPerBatch: number,
  options: Partial<BufferPoolOptions> = {},
) {
  return BufferPool.create({ bufferBytes: 8, batchCount, buffersPerBatch, ...options });
}

/** Acquires until no buffer is left. */
function acquireAll(pool: BufferPool): number[] {
  const buffers: number[] = [];
  for (let buffer; (buffer = pool.tryAcquire()) >= 0;) buffers.push(buffer);
  return buffers;
}

/** The numbers from 0 on. */
function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

Deno.test("buffer pool hands out every buffer once", () => {
  for (const [batchCount, buffersPerBatch] of [[1, 1], [3, 5], [2, 24], [7, 2]] as const) {
    using pool = poolOf(batchCount, buffersPerBatch);
    const total = batchCount * buffersPerBatch;
    assertEquals(pool.bufferCount, total);
    for (let round = 0; round < 3; round++) {
      const buffers = acquireAll(pool);
      assertEquals(buffers.toSorted((a, b) => a - b), upTo(total));
      assertEquals(pool.usage().inUse, total);
      for (const buffer of buffers) pool.release(buffer);
      assertEquals(pool.usage().inUse, 0);
    }
  }
});

Deno.test("buffers lie side by side, begin at multiples of eight and have the size asked for", () => {
  using pool = BufferPool.create({ bufferBytes: 1033, batchCount: 2, buffersPerBatch: 3 });
  assertEquals(pool.bufferBytes, 1033);
  assertEquals(upTo(6).map((buffer) => pool.offsetOf(buffer)), upTo(6).map((i) => i * 1040));
  assertEquals(pool.bytes.length, 6 * 1040);
  assertEquals(pool.bytes.byteOffset % 64, 0);
});

Deno.test("buffers keep their bytes until they are released", () => {
  using pool = poolOf(2, 4);
  using other = BufferPool.attach(pool.handle);
  const buffers = [pool, pool, other, other, pool].map((part) => part.tryAcquire());
  buffers.forEach((buffer, i) => {
    const start = pool.offsetOf(buffer);
    other.bytes.fill(i + 1, start, start + 8);
  });
  buffers.forEach((buffer, i) => {
    const start = pool.offsetOf(buffer);
    assert(pool.bytes.subarray(start, start + 8).every((byte) => byte === i + 1));
  });
});

Deno.test("buffer pool takes as many bytes of memory as it says", () => {
  const size = { bufferBytes: 100, batchCount: 3, buffersPerBatch: 7, threads: 3 };
  const byteLength = BufferPool.byteLength(size);
  const memory = Memory.create({ byteLength });
  using pool = BufferPool.create({ ...size, memory });
  assertEquals(pool.memory, memory);
  assertEquals(acquireAll(pool).length, 21);
  assertThrows(
    () => BufferPool.create({ ...size, memory: Memory.create({ byteLength: byteLength - 64 }) }),
    RangeError,
    "Cannot allocate",
  );
});

Deno.test("two pools in one memory do not touch each other", () => {
  const size = { bufferBytes: 8, batchCount: 1, buffersPerBatch: 4 };
  const memory = Memory.create({ byteLength: 2 * BufferPool.byteLength(size) + 64 });
  using first = BufferPool.create({ ...size, memory });
  using second = BufferPool.create({ ...size, memory });
  assertEquals([acquireAll(first).length, acquireAll(second).length], [4, 4]);
  first.bytes.fill(1);
  second.bytes.fill(2);
  assert(first.bytes.every((byte) => byte === 1));
});

for (
  const [option, value, expected] of [
    ["bufferBytes", 0, "a whole number from 1 to 1073741824"],
    ["bufferBytes", 1.5, "a whole number from 1 to 1073741824"],
    ["batchCount", 0, "a whole number from 1 to 1048576"],
    ["buffersPerBatch", 0, "a whole number from 1 to 24"],
    ["buffersPerBatch", 25, "a whole number from 1 to 24"],
    ["threads", 0, "a whole number from 1 to 20"],
    ["threads", 21, "a whole number from 1 to 20"],
    ["tickets", 0, "a whole number from 1 to 1024"],
    ["tickets", 1025, "a whole number from 1 to 1024"],
  ] as const
) {
  Deno.test(`buffer pool rejects ${value} as '${option}'`, () => {
    const options = { bufferBytes: 8, batchCount: 1, [option]: value };
    const message =
      `Cannot create buffer pool as '${option}' must be ${expected}: received ${value}`;
    assertThrows(() => BufferPool.create(options), RangeError, message);
    assertThrows(() => BufferPool.byteLength(options), RangeError, message);
  });
}

Deno.test("the more threads a pool has, the fewer tickets each can have", () => {
  const options = { bufferBytes: 8, batchCount: 1, threads: 20 };
  assertThrows(() => BufferPool.create({ ...options, tickets: 103 }), RangeError, "from 1 to 102");
  BufferPool.create(options)[Symbol.dispose]();
});

Deno.test("a handle survives structured clone", () => {
  using pool = poolOf(2, 3);
  using other = BufferPool.attach(structuredClone(pool.handle));
  assertEquals(
    [other.bufferBytes, other.batchCount, other.buffersPerBatch, other.threads, other.bufferCount],
    [8, 2, 3, 8, 6],
  );
  assertEquals([pool.thread, other.thread], [0, 1]);
  const buffer = pool.tryAcquire();
  pool.bytes[pool.offsetOf(buffer)] = 7;
  assertEquals(other.bytes[other.offsetOf(buffer)], 7);
});

Deno.test("attaching rejects anything but a handle of a pool", () => {
  using pool = poolOf(1, 1);
  const { handle } = pool;
  const attach = (wrong: unknown) => () => BufferPool.attach(wrong as typeof handle);
  assertThrows(attach(undefined), TypeError, "a handle of kind 'busbar.buffer_pool' was expected");
  assertThrows(attach({ ...handle, kind: "busbar.mutex" }), TypeError, "received kind");
  assertThrows(attach({ ...handle, version: 99 }), TypeError, "received version 99");
  assertThrows(attach({ ...handle, byteOffset: 64 }), TypeError, "Cannot attach");
  assertThrows(attach({ ...handle, waiters: undefined }), TypeError, "busbar.waiter_queue");
  using other = poolOf(1, 1);
  const { waiters } = other.handle;
  assertThrows(
    attach({ ...handle, waiters }),
    TypeError,
    "'waiters' must lie in the memory of the",
  );
});

for (
  const [name, index, value] of [
    ["bufferBytes", 2, 0],
    ["batchCount", 3, -1],
    ["buffersPerBatch", 4, 25],
    ["threads", 5, 21],
    ["tickets", 6, 0],
  ] as const
) {
  Deno.test(`attaching rejects a header whose '${name}' is ${value}`, () => {
    using pool = poolOf(3, 2, { threads: 4, tickets: 5 });
    const { memory, byteOffset } = pool.handle;
    const words = new Int32Array(memory.buffer, byteOffset);
    const found = { bufferBytes: 8, batchCount: 3, buffersPerBatch: 2, threads: 4, tickets: 5 };
    assertEquals(words[index], found[name]);
    words[index] = found[name] = value;
    const error = assertThrows(() => BufferPool.attach(pool.handle), TypeError);
    assertEquals(
      error.message,
      `Cannot attach as the header of the buffer pool is damaged: found ${found.batchCount} batches of ${found.buffersPerBatch} buffers of ${found.bufferBytes} bytes, ${found.threads} threads, ${found.tickets} tickets`,
    );
  });
}

Deno.test("attaching rejects a pool that does not fit its memory", () => {
  using pool = poolOf(3, 2);
  const { memory, byteOffset } = pool.handle;
  new Int32Array(memory.buffer, byteOffset)[3] = 300;
  assertThrows(() => BufferPool.attach(pool.handle), TypeError, "bytes does not fit: found");
});

Deno.test("a pool whose words are damaged fails to reclaim, and says why", () => {
  using pool = poolOf(1, 1, { threads: 2 });
  const { memory, byteOffset } = pool.handle;
  const words = new Int32Array(memory.buffer, byteOffset);
  const { holdWords } = KIND.read(words);
  const dead = BufferPool.attach(pool.handle);
  words[holdWords + dead.acquire()] = 0;
  assertThrows(
    () => pool.reclaim(dead.thread),
    Error,
    "expected a holder or a flight of buffer 0, which is taken",
  );
});

Deno.test("users of a pool check that it is one, and that their thread has not left it", () => {
  const pool = poolOf(1, 1);
  checkPool("write", pool);
  const wrong = {} as BufferPool;
  assertThrows(
    () => checkPool("write", wrong),
    TypeError,
    "Cannot write as 'pool' must be a BufferPool: received [object Object]",
  );
  pool.close();
  assertThrows(
    () => checkPool("write", pool),
    ClosedError,
    "Cannot write as this thread has left the pool",
  );
});

Deno.test("a thread attaches under the number that it is given", () => {
  using pool = poolOf(1, 1, { threads: 3 });
  using two = BufferPool.attach(pool.handle, { thread: 2 });
  assertEquals(two.thread, 2);
  assertThrows(
    () => BufferPool.attach(pool.handle, { thread: 2 }),
    Error,
    "Cannot attach to the buffer pool as thread 2 is attached",
  );
  assertThrows(
    () => BufferPool.attach(pool.handle, { thread: 3 }),
    RangeError,
    "'thread' must be a whole number from 0 to 2: received 3",
  );
  using _one = BufferPool.attach(pool.handle);
  assertThrows(
    () => BufferPool.attach(pool.handle),
    Error,
    "Cannot attach to the buffer pool as all 3 thread slots are in use",
  );
});

Deno.test("a thread that leaves makes room for another, and its buffers return", () => {
  using pool = poolOf(2, 2, { threads: 2 });
  const { handle } = pool;
  for (let round = 0; round < 300; round++) {
    using other = BufferPool.attach(handle);
    assertEquals(other.thread, 1);
    assertEquals(acquireAll(other).length, 4);
  }
  assertEquals(pool.usage(), {
    free: 4,
    kept: [0, 0],
    inUse: 0,
    waiting: [],
    waitingHere: 0,
  });
});

Deno.test("a thread keeps up to two batches, and returns the others", () => {
  using pool = poolOf(8, 4);
  const buffers = acquireAll(pool);
  for (const [i, buffer] of buffers.entries()) {
    pool.release(buffer);
    const { kept, free } = pool.usage();
    assert(kept[0]! <= 8, `${kept[0]} are kept`);
    assertEquals(kept[0]! + free, i + 1);
  }
  pool.returnCached();
  assertEquals(pool.usage().free, 32);
  pool.returnCached();
});

Deno.test("a thread does not get buffers that another keeps, until they are returned", () => {
  using pool = poolOf(1, 4);
  using other = BufferPool.attach(pool.handle);
  pool.release(pool.tryAcquire());
  assertEquals(pool.usage().kept[0], 4);
  assertEquals(other.usage().kept[0], 4);
  assertEquals(other.tryAcquire(), -1);
  pool.returnCached();
  assertEquals(acquireAll(other).length, 4);
});

Deno.test("a buffer is free once it was released as often as it was acquired and retained", () => {
  using pool = poolOf(1, 1);
  const buffer = pool.tryAcquire();
  pool.retain(buffer);
  pool.retain(buffer);
  pool.release(buffer);
  pool.release(buffer);
  assertEquals(pool.tryAcquire(), -1);
  pool.release(buffer);
  assertEquals(pool.tryAcquire(), buffer);
});

Deno.test("a buffer can be retained a thousand times", () => {
  using pool = poolOf(1, 1);
  const buffer = pool.tryAcquire();
  for (let i = 1; i < 1023; i++) pool.retain(buffer);
  assertThrows(
    () => pool.retain(buffer),
    RangeError,
    `Cannot add a reference to buffer ${buffer} as this thread has 1023 of at most 1023`,
  );
  for (let i = 0; i < 1023; i++) pool.release(buffer);
  assertEquals(pool.tryAcquire(), buffer);
});

Deno.test("a buffer that is not in use is neither released, retained, detached nor made a packet of", () => {
  using pool = poolOf(2, 2);
  using other = BufferPool.attach(pool.handle);
  const mine = pool.tryAcquire();
  const theirs = other.tryAcquire();
  pool.release(mine);
  for (const buffer of [mine, theirs, -1, 4, 0.5, NaN]) {
    const because = `buffer ${buffer} as this thread does not have it in use`;
    assertThrows(() => pool.release(buffer), Error, `Cannot release ${because}`);
    assertThrows(() => pool.retain(buffer), Error, `Cannot retain ${because}`);
    assertThrows(() => pool.detachBuffer(buffer), Error, `Cannot detach ${because}`);
    assertThrows(() => pool.packet(buffer), Error, `Cannot make a packet of ${because}`);
  }
  other.release(theirs);
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a part that was closed rejects every call", async () => {
  const pool = poolOf(1, 2);
  using other = BufferPool.attach(pool.handle);
  const buffer = pool.tryAcquire();
  pool.close();
  pool.close();
  pool[Symbol.dispose]();
  assertEquals(pool.hasLeft, true);
  const left = "as this thread has left the pool";
  assertThrows(() => pool.tryAcquire(), ClosedError, `Cannot acquire a buffer ${left}`);
  assertThrows(() => pool.acquire(), ClosedError, `Cannot acquire a buffer ${left}`);
  await assertRejects(() => pool.acquireAsync(), ClosedError, `Cannot acquire a buffer ${left}`);
  assertThrows(() => pool.release(buffer), ClosedError, `Cannot release a buffer ${left}`);
  assertThrows(() => pool.adoptBuffer(buffer, 0), ClosedError, `Cannot adopt a buffer ${left}`);
  assertEquals(acquireAll(other).length, 2);
});

Deno.test("a wait for a buffer ends when its time is over", async () => {
  using pool = poolOf(1, 1);
  const buffer = pool.acquire();
  const start = performance.now();
  assertEquals(pool.acquire({ timeoutMs: 10 }), -1);
  assert(performance.now() - start >= 9);
  assertEquals(await pool.acquireAsync({ timeoutMs: 10 }), -1);
  assert(performance.now() - start >= 19);
  assertEquals(pool.acquire({ timeoutMs: 0 }), -1);
  assertThrows(() => pool.acquire({ timeoutMs: -1 }), RangeError, "'timeoutMs' must be");
  await assertRejects(() => pool.acquireAsync({ timeoutMs: NaN }), RangeError, "'timeoutMs'");
  assertEquals(pool.usage().waiting, []);
  pool.release(buffer);
  assertEquals(pool.acquire({ timeoutMs: 0 }), buffer);
});

Deno.test("wrong options of a wait are rejected, even if there is a buffer", async () => {
  using pool = poolOf(1, 1);
  for (const timeoutMs of [-1, NaN, "1" as unknown as number]) {
    const message = "Cannot wait as 'timeoutMs' must be a number not below 0";
    assertThrows(() => pool.acquire({ timeoutMs }), RangeError, message);
    await assertRejects(() => pool.acquireAsync({ timeoutMs }), RangeError, message);
  }
  const number = 10 as unknown as { timeoutMs: number };
  assertThrows(() => pool.acquire(number), TypeError, "such as { timeoutMs: 10 }: received 10");
  const signals = { signal: AbortSignal.timeout(0) };
  assertThrows(() => pool.acquire(signals as object), TypeError, "Cannot block with a 'signal'");
  const options = null as unknown as { signal: AbortSignal };
  await assertRejects(() => pool.acquireAsync(options), TypeError, "'options' must be an object");
  const signal = {} as AbortSignal;
  await assertRejects(() => pool.acquireAsync({ signal }), TypeError, "must be an AbortSignal");
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("tasks that await a buffer are served first come, first served", async () => {
  using pool = poolOf(1, 2);
  using other = BufferPool.attach(pool.handle);
  const buffers = acquireAll(other);
  const served: string[] = [];
  const waits = ["a", "b", "c"].map(async (name) => {
    const buffer = await pool.acquireAsync();
    served.push(name);
    pool.release(buffer);
  });
  assertEquals([pool.usage().waiting, pool.usage().waitingHere], [[0], 3]);
  for (const buffer of buffers) other.release(buffer);
  await Promise.all(waits);
  assertEquals(served, ["a", "b", "c"]);
  assertEquals([pool.usage().waiting, pool.usage().waitingHere], [[], 0]);
});

Deno.test("two threads that wait are served in turn", async () => {
  using pool = poolOf(1, 1);
  const parts = [1, 2].map((thread) => BufferPool.attach(pool.handle, { thread }));
  const buffer = pool.tryAcquire();
  const served: number[] = [];
  const tasks = [0, 1, 0, 1, 0, 1].map(async (i) => {
    const part = parts[i]!;
    const buffer = await part.acquireAsync();
    served.push(i);
    part.release(buffer);
  });
  pool.release(buffer);
  await Promise.all(tasks);
  assertEquals(served, [0, 1, 0, 1, 0, 1]);
  for (const part of parts) part.close();
});

Deno.test("a thread that asks later does not get a buffer before one that waits", async () => {
  using pool = poolOf(1, 1);
  using other = BufferPool.attach(pool.handle);
  const buffer = pool.tryAcquire();
  const waiting = other.acquireAsync();
  pool.release(buffer);
  assertEquals(pool.tryAcquire(), -1);
  assertEquals(await waiting, buffer);
});

Deno.test("a wait that is aborted rejects with the reason, and takes no buffer", async () => {
  using pool = poolOf(1, 1);
  const buffer = pool.tryAcquire();
  const controller = new AbortController();
  const { signal } = controller;
  const first = pool.acquireAsync({ signal });
  const second = pool.acquireAsync();
  controller.abort(new RangeError("enough"));
  await assertRejects(() => first, RangeError, "enough");
  await assertRejects(() => pool.acquireAsync({ signal }), RangeError, "enough");
  pool.release(buffer);
  assertEquals(await second, buffer);
  pool.release(buffer);
  await assertRejects(() => pool.acquireAsync({ signal }), RangeError, "enough");
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a task that awaits a buffer gets an error when its part is closed", async () => {
  const pool = poolOf(1, 1);
  using other = BufferPool.attach(pool.handle);
  const buffer = other.tryAcquire();
  const waiting = pool.acquireAsync();
  pool.close();
  await assertRejects(
    () => waiting,
    ClosedError,
    "Cannot acquire a buffer as this thread has left the pool",
  );
  other.release(buffer);
  assertEquals(other.usage(), {
    free: 0,
    kept: [0, 1, 0, 0, 0, 0, 0, 0],
    inUse: 0,
    waiting: [],
    waitingHere: 0,
  });
});

Deno.test("a thread that leaves at any moment of its waits loses no buffer", async () => {
  for (let moment = 0; moment < 16; moment++) {
    using other = poolOf(2, 2);
    const buffers = acquireAll(other);
    const pool = BufferPool.attach(other.handle);
    const controller = new AbortController();
    // A buffer that arrived for the first wait, which is aborted, goes to the second.
    const waits = [pool.acquireAsync(controller), pool.acquireAsync(), pool.acquireAsync()];
    for (const buffer of buffers.slice(1)) other.release(buffer);
    controller.abort();
    for (let i = 0; i < moment; i++) await undefined;
    pool.close();
    await Promise.allSettled(waits);
    other.returnCached();
    assertEquals(other.usage().free, 3, `left after ${moment} turns`);
  }
});

Deno.test("a wait of a thread that left does not clear the mark of the next thread of that number", async () => {
  using pool = poolOf(1, 1);
  const buffer = pool.acquire();
  const former = BufferPool.attach(pool.handle, { thread: 3 });
  const inVain = former.acquireAsync();
  former.close();
  assertEquals(pool.usage().waiting, []);
  using next = BufferPool.attach(pool.handle, { thread: 3 });
  const waiting = next.acquireAsync();
  await assertRejects(() => inVain, ClosedError, "has left");
  assertEquals(pool.usage().waiting, [3]);
  pool.release(buffer);
  assertEquals(await waiting, buffer);
});

Deno.test("a buffer that is detached is in use until it is adopted and released", () => {
  using pool = poolOf(1, 1);
  using other = BufferPool.attach(pool.handle);
  for (let round = 0; round < 10; round++) {
    const buffer = pool.acquire();
    const ticket = pool.detachBuffer(buffer);
    assertEquals(ticket | 0, ticket);
    assertEquals([pool.tryAcquire(), other.tryAcquire()], [-1, -1]);
    assertThrows(() => pool.release(buffer), Error, "does not have it in use");
    other.adoptBuffer(buffer, ticket);
    const stale = assertThrows(() => other.adoptBuffer(buffer, ticket), StaleTicketError);
    assertEquals([stale.name, stale.buffer], ["StaleTicketError", buffer]);
    assertEquals(other.tryAdoptBuffer(buffer, ticket), false);
    other.release(buffer);
    other.returnCached();
  }
});

Deno.test("a ticket of one buffer does not adopt another", () => {
  using pool = poolOf(1, 2);
  using other = BufferPool.attach(pool.handle);
  const [first, second] = [pool.acquire(), pool.acquire()];
  pool.retain(second);
  const whole = pool.detachBuffer(first);
  const shared = pool.detachBuffer(second);
  for (const [buffer, ticket] of [[first, shared], [second, whole], [2, whole], [-1, shared]]) {
    assertThrows(
      () => other.adoptBuffer(buffer!, ticket!),
      StaleTicketError,
      `Cannot adopt buffer ${buffer} as this ticket is not in flight: it was adopted before, never detached, reclaimed, or is of another pool`,
    );
  }
  other.adoptBuffer(first, whole);
  other.adoptBuffer(second, shared);
  for (const buffer of [first, second]) other.release(buffer);
  pool.release(second);
  other.returnCached();
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("a ticket adopts no buffer that its sender detaches later", () => {
  using pool = poolOf(1, 1, { tickets: 1 });
  using other = BufferPool.attach(pool.handle);
  for (const isShared of [false, true]) {
    const former: number[] = [];
    for (let round = 0; round < 10; round++) {
      const buffer = pool.acquire();
      if (isShared) pool.retain(buffer);
      const ticket = pool.detachBuffer(buffer);
      for (const old of former) {
        assertThrows(() => other.adoptBuffer(buffer, old), StaleTicketError);
      }
      other.adoptBuffer(buffer, ticket);
      other.release(buffer);
      other.returnCached();
      if (isShared) pool.release(buffer);
      pool.returnCached();
      former.push(ticket);
    }
  }
});

Deno.test("a buffer that is offered to a waiter is not adopted by a ticket", async () => {
  using pool = poolOf(1, 1);
  using other = BufferPool.attach(pool.handle);
  const buffer = pool.acquire();
  const waiting = other.acquireAsync();
  pool.release(buffer);
  // All bits of its hold are set, unlike in any ticket.
  assertThrows(() => pool.adoptBuffer(buffer, -1), StaleTicketError);
  assertEquals(await waiting, buffer);
});

Deno.test("a limited number of shared buffers can be in flight, but any number of whole ones", () => {
  using pool = poolOf(1, 8, { tickets: 2 });
  using other = BufferPool.attach(pool.handle);
  const buffer = pool.acquire();
  for (let i = 0; i < 3; i++) pool.retain(buffer);
  const tickets = [pool.detachBuffer(buffer), pool.detachBuffer(buffer)];
  const exhausted = assertThrows(
    () => pool.detachBuffer(buffer),
    TicketsExhaustedError,
    "Cannot detach as all 2 tickets of this thread for shared buffers are in flight",
  );
  assertEquals([exhausted.name, exhausted.tickets], ["TicketsExhaustedError", 2]);
  for (let i = 0; i < 5; i++) {
    const whole = pool.acquire();
    other.adoptBuffer(whole, pool.detachBuffer(whole));
  }
  other.adoptBuffer(buffer, tickets[0]!);
  tickets[0] = pool.detachBuffer(buffer);
  for (const ticket of tickets) other.adoptBuffer(buffer, ticket);
  for (let i = 0; i < 3; i++) other.release(buffer);
  // The sender is the only holder again, and can detach the buffer as a whole.
  const last = pool.detachBuffer(buffer);
  other.adoptBuffer(buffer, last);
  other.release(buffer);
  other.returnCached();
  assertEquals(pool.usage().inUse, 5);
});

Deno.test("the buffers of a dead thread are reclaimed, and those it detached can still be adopted", () => {
  using pool = poolOf(2, 4);
  const dead = BufferPool.attach(pool.handle, { thread: 5 });
  const buffers = acquireAll(dead);
  assertEquals(buffers.length, 8);
  const [detached, shared, kept] = buffers as [number, number, number];
  dead.retain(shared);
  const [whole, ticket] = [dead.detachBuffer(detached), dead.detachBuffer(shared)];
  dead.release(kept);
  assertEquals(pool.reclaim(5), 6);
  pool.adoptBuffer(detached, whole);
  pool.adoptBuffer(shared, ticket);
  assertEquals(pool.usage().inUse, 2);
  for (const buffer of [detached, shared]) pool.release(buffer);
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("buffers that a dead thread detached are reclaimed if asked for, and not adopted any more", () => {
  using pool = poolOf(2, 4);
  const dead = BufferPool.attach(pool.handle, { thread: 5 });
  const buffers = acquireAll(dead);
  const [detached, shared, theirs] = buffers as [number, number, number];
  for (const buffer of [shared, theirs]) dead.retain(buffer);
  const [whole, ticket, adopted] = [detached, shared, theirs].map((b) => dead.detachBuffer(b));
  pool.adoptBuffer(theirs, adopted!);
  assertEquals(pool.reclaim(5, { detached: true }), 7);
  assertThrows(() => pool.adoptBuffer(detached, whole!), StaleTicketError);
  assertThrows(() => pool.adoptBuffer(shared, ticket!), StaleTicketError);
  assertEquals(pool.usage().inUse, 1);
  pool.release(theirs);
  // Another is thread 5 now, and its tickets are others.
  using next = BufferPool.attach(pool.handle, { thread: 5 });
  const again = acquireAll(next);
  next.detachBuffer(again.find((buffer) => buffer === detached)!);
  assertThrows(() => pool.adoptBuffer(detached, whole!), StaleTicketError);
});

Deno.test("a thread that died while it waited is not served any more", async () => {
  using pool = poolOf(1, 1);
  const dead = BufferPool.attach(pool.handle, { thread: 5 });
  const buffer = pool.tryAcquire();
  const waiting = dead.acquireAsync();
  assertEquals(pool.usage().waiting, [5]);
  assertEquals(pool.reclaim(5), 0);
  assertEquals(pool.usage().waiting, []);
  pool.release(buffer);
  assertEquals(pool.tryAcquire(), buffer);
  // It was not dead here.
  await assertRejects(() => waiting, ReclaimedError);
});

Deno.test("a thread is reclaimed even if its reclaimer has died and its number was reused", () => {
  using pool = poolOf(1, 4, { threads: 3 });
  const dead = BufferPool.attach(pool.handle, { thread: 1 });
  assertEquals(acquireAll(dead).length, 4);
  BufferPool.attach(pool.handle, { thread: 2 });
  const { memory: { buffer }, byteOffset } = pool.handle;
  becomeReclaimer(new Int32Array(buffer, byteOffset), 1, 2); // and dies
  const message = "Cannot reclaim thread 1 as thread 2 is reclaiming it";
  assertThrows(() => pool.reclaim(1), Error, message);
  pool.reclaim(2);
  using _next = BufferPool.attach(pool.handle, { thread: 2 });
  assertEquals(pool.reclaim(1), 4);
  assertEquals(pool.usage().free, 4);
});

Deno.test("a thread that was reclaimed alive takes nothing from the next one of its number", () => {
  using pool = poolOf(2, 4);
  const late = BufferPool.attach(pool.handle, { thread: 5 });
  acquireAll(late);
  pool.reclaim(5);
  using next = BufferPool.attach(pool.handle, { thread: 5 });
  const buffer = next.acquire();
  assertThrows(
    () => late.close(),
    ReclaimedError,
    "Cannot leave the pool as thread 5 as another thread has reclaimed it",
  );
  late.close();
  assertEquals([late.hasLeft, pool.isAttached(5), next.usage().inUse], [true, true, 1]);
  next.release(buffer);
});

Deno.test("reclaiming rejects threads that are not attached", () => {
  using pool = poolOf(1, 1, { threads: 2 });
  assertThrows(() => pool.reclaim(0), Error, "Cannot reclaim thread 0 as it is this one");
  assertThrows(() => pool.reclaim(1), Error, "Cannot reclaim thread 1 as it is not attached");
  assertThrows(() => pool.reclaim(2), RangeError, "'thread' must be a whole number from 0 to 1");
  const dead = BufferPool.attach(pool.handle);
  assertEquals(dead.thread, 1);
  assertEquals([pool.isAttached(0), pool.isAttached(1)], [true, true]);
  pool.reclaim(1);
  assertEquals([pool.isAttached(0), pool.isAttached(1)], [true, false]);
  assertThrows(() => pool.isAttached(2), RangeError, "'thread' must be a whole number from 0 to 1");
  assertThrows(() => pool.reclaim(1), Error, "Cannot reclaim thread 1 as it is not attached");
});

Deno.test("in debug mode a pool names where buffers and packets were taken", () => {
  using pool = poolOf(1, 8, { debug: true });
  using other = BufferPool.attach(pool.handle);
  assertEquals(pool.leaks(), []);
  const here = "buffer_pool_test.ts:";

  const buffer = pool.acquire();
  pool.retain(buffer);
  const packet = pool.packet(buffer);
  const clone = packet.clone();
  const listed = pool.leaks();
  assertEquals(listed.map(({ kind }) => kind), ["number", "packet", "packet"]);
  assertEquals(new Set(listed.map((leak) => leak.buffer)), new Set([buffer]));
  for (const { place, isCollected } of listed) {
    assertMatch(place.split("\n")[0]!, /^at .*buffer_pool_test\.ts:\d+:\d+/);
    assertEquals(isCollected, false);
  }
  assertEquals(new Set(listed.map(({ place }) => place.split("\n")[0])).size, 3);

  const adopted = other.adopt(clone.detach());
  assertEquals(other.leaks().map(({ kind }) => kind), ["packet"]);
  assert(other.leaks()[0]!.place.includes(here));
  adopted.release();
  other.adoptBuffer(buffer, pool.detachBuffer(buffer));
  assertEquals(other.leaks().map(({ kind }) => kind), ["number"]);
  other.release(buffer);
  packet.release();
  assertEquals([...pool.leaks(), ...other.leaks()], []);
});

Deno.test("in debug mode a buffer that is adopted again is listed once", () => {
  using pool = poolOf(1, 1, { debug: true });
  using other = BufferPool.attach(pool.handle);
  const buffer = pool.acquire();
  pool.retain(buffer);
  for (let i = 0; i < 2; i++) other.adoptBuffer(buffer, pool.detachBuffer(buffer));
  assertEquals(other.leaks().length, 1);
  for (let i = 0; i < 2; i++) other.release(buffer);
  assertEquals([...pool.leaks(), ...other.leaks()], []);
});

Deno.test("in debug mode closing with buffers in use is an error that says where", () => {
  const pool = poolOf(1, 8, { debug: true });
  using other = BufferPool.attach(pool.handle);
  pool.packet(pool.acquire());
  const number = pool.acquire();
  const error = assertThrows(() => pool[Symbol.dispose](), Error);
  assertMatch(
    error.message,
    /^The thread has left the pool without releasing 2 of its references:\na packet of buffer \d+ taken at .*buffer_pool_test\.ts/,
  );
  assert(error.message.includes(`\nbuffer ${number} taken at `), error.message);
  pool[Symbol.dispose]();
  assertEquals(other.usage().inUse, 0);
});

Deno.test("without debug mode leaks cannot be listed", () => {
  using pool = poolOf(1, 1);
  assertThrows(() => pool.leaks(), Error, "as the pool was not created with 'debug'");
});

Deno.test("a number is as unsafe as a pointer: a second release takes the next owner's buffer away", () => {
  using pool = BufferPool.create({ bufferBytes: 16, batchCount: 1, buffersPerBatch: 4 });
  const mine = pool.acquire();
  pool.release(mine);
  assertThrows(() => pool.release(mine), Error, "does not have it in use");
  const yours = pool.acquire();
  assertEquals(yours, mine);
  pool.release(mine); // documented: it looks like a release by the new owner
  assertEquals(pool.acquire(), yours);

  // A packet knows.
  const packet = pool.packet(pool.acquire());
  packet.release();
  const next = pool.packet(pool.acquire());
  assertEquals(next.buffer, packet.buffer);
  assertThrows(() => packet.release(), ClosedError, "as it was released, detached or split before");
  assertEquals(next.isGone, false);
});
