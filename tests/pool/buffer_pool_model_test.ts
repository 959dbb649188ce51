/**
 * The buffer pool as shipped, under every schedule that matters, and broken twins of it.
 *
 * The pools have one to four buffers. A buffer in use is read and written plainly, so it is a data
 * race if two threads have the same one. Afterwards all buffers must be free, each once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { BufferPool, WaiterQueue } from "@busbar/busbar";
import type { BufferPoolHandle } from "@busbar/busbar";
import { fails, passes } from "../verdicts.ts";
import {
  assertAllFree,
  attached,
  type Body,
  fetch,
  pauseBetween,
  poolOf,
  post,
  type State,
  tryFetch,
  tryOnce,
  use,
  waitOnce,
} from "./models.ts";
import { tampered } from "../tamper.ts";
import { BufferPoolLayout, WAITING } from "../../src/pool/layout.ts";

const check = assertAllFree;

/** The word of the hold of the first buffer of a pool of {@linkcode poolOf}. */
const HOLD = new BufferPoolLayout({
  bufferBytes: 4,
  batchCount: 1,
  buffersPerBatch: 1,
  threads: 5,
  tickets: 2,
  debug: false,
  identity: 0,
}).holdWords;

Deno.test("pool: three threads that want the same buffer never have it at the same time", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      a: attached(0, tryOnce),
      b: attached(1, tryOnce),
      c: attached(2, tryOnce),
    },
    check,
  });
});

/** Acquires up to `max` buffers, uses them, and releases them in the same order. */
function burst(max: number): Body<number> {
  return (pool, box) => {
    const buffers: number[] = [];
    for (let i = 0; i < max; i++) {
      const buffer = pool.tryAcquire();
      if (buffer >= 0) buffers.push(buffer);
      pauseBetween(box);
    }
    for (const buffer of buffers) use(pool, buffer);
    for (const buffer of buffers) pool.release(buffer);
    pool.returnCached();
    return buffers.length;
  };
}

Deno.test("pool: refilling races with giving back, within a batch", async () => {
  await passes({
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      a: attached(0, (pool, box) => [burst(2)(pool, box), burst(1)(pool, box)]),
      b: attached(1, (pool, box) => [burst(1)(pool, box), burst(2)(pool, box)]),
    },
    check,
  });
});

Deno.test("pool: refilling races with giving back, across batches", async () => {
  await passes({
    setup: poolOf({ batchCount: 3 }),
    threads: { a: attached(0, burst(3)), b: attached(1, burst(2)) },
    check,
  });
});

Deno.test("pool: attaching and leaving race for the number of a thread", async () => {
  const visit = ({ handle }: State) => {
    using pool = BufferPool.attach(handle);
    const buffer = pool.tryAcquire();
    if (buffer >= 0) use(pool, buffer);
    return pool.thread;
  };
  await passes({
    setup: poolOf(),
    threads: { a: visit, b: visit },
    check(state, { a, b }) {
      assert([a, b].every((thread) => thread === 0 || thread === 1));
      assertAllFree(state);
    },
  });
});

Deno.test("pool: of two threads that wait for one buffer both get it", async () => {
  await passes({
    setup: poolOf(),
    threads: { a: attached(0, waitOnce), b: attached(1, waitOnce) },
    check,
  });
});

Deno.test("pool: two threads that wait for two buffers of a batch both get one", async () => {
  await passes({
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: { a: attached(0, waitOnce), b: attached(1, waitOnce) },
    check,
  });
});

/** The word of the box in which a waiter tells that it was served. */
const SERVED = 14;

/** Waits until another thread is registered as a waiter, or was served already. */
function untilAwaited(handle: BufferPoolHandle, box: Int32Array): void {
  const queue = WaiterQueue.attach(handle.waiters);
  while (!queue.isAnyWaiting && Atomics.load(box, SERVED) === 0) Atomics.pause();
}

/** Waits for a buffer, and keeps it in use. */
const waitForever: Body<void> = (pool, box) => {
  use(pool, pool.acquire());
  Atomics.store(box, SERVED, 1);
};

/** The next call of a thread that keeps a free buffer and has another in use. */
const calls: Record<string, (pool: BufferPool, used: number) => void> = {
  acquires: (pool) => void pool.tryAcquire(),
  releases: (pool, used) => pool.release(used),
  "returns its cached buffers": (pool) => pool.returnCached(),
  leaves: (pool) => pool.close(),
  waits: (pool) => void pool.acquire({ timeoutMs: 1 }),
};

/** Keeps a buffer, and uses another, until a thread waits; then makes one call, and no more. */
function keeper(call: (pool: BufferPool, used: number) => void) {
  return ({ handle, box }: State) => {
    const pool = BufferPool.attach(handle, { thread: 0 });
    const [kept, used] = [pool.tryAcquire(), pool.tryAcquire()];
    // Otherwise the other thread was first, and is served.
    if (used < 0) return;
    use(pool, kept);
    pool.release(kept);
    untilAwaited(handle, box);
    call(pool, used);
  };
}

for (const [does, call] of Object.entries(calls)) {
  Deno.test(`pool: a waiter is served when a thread that keeps a buffer ${does}`, async () => {
    await passes({
      setup: poolOf({ buffersPerBatch: 2 }),
      threads: { keeper: keeper(call), waiter: attached(1, waitForever) },
    });
  });
}

Deno.test("pool: a thread that keeps a buffer and makes no call leaves a waiter asleep", async () => {
  await fails("deadlock", {
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: { keeper: keeper(() => {}), waiter: attached(1, waitForever) },
  });
});

/** The word of the box that tells that all buffers are in use. */
const EXHAUSTED = 13;

function untilExhausted(box: Int32Array): void {
  while (Atomics.load(box, EXHAUSTED) === 0) Atomics.wait(box, EXHAUSTED, 0);
}

/** Keeps both buffers until a thread waits; then gives them back. */
function giveTwo({ handle, box }: State): void {
  const pool = BufferPool.attach(handle, { thread: 0 });
  pool.release(pool.tryAcquire());
  Atomics.store(box, EXHAUSTED, 1);
  Atomics.notify(box, EXHAUSTED);
  untilAwaited(handle, box);
  pool.returnCached();
}

/** Acquires a buffer, never releases it, and makes no further call. */
const takeOnce: Body<void> = (pool, box) => {
  untilExhausted(box);
  const buffer = pool.tryAcquire();
  if (buffer >= 0) use(pool, buffer);
};

const waitOnceExhausted: Body<void> = (pool, box) => {
  untilExhausted(box);
  waitForever(pool, box);
};

Deno.test("pool: a waiter that passed over a batch is served by the thread that took from it", async () => {
  await passes({
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      giver: giveTwo,
      taker: attached(1, takeOnce),
      waiter: attached(2, waitOnceExhausted),
    },
  });
});

/** Waits for a time; uses the buffer if it gets one. */
const waitBriefly: Body<void> = (pool) => {
  const buffer = pool.acquire({ timeoutMs: 5 });
  if (buffer < 0) return;
  use(pool, buffer);
  pool.release(buffer);
  pool.returnCached();
};

/** Is aborted at any moment of its wait, even after it was served. */
const waitAborted: Body<Promise<void>> = async (pool) => {
  const controller = new AbortController();
  const waiting = pool.acquireAsync({ signal: controller.signal });
  controller.abort(new Error("enough"));
  try {
    pool.release(await waiting);
  } catch (error) {
    assertEquals((error as Error).message, "enough");
  }
  pool.returnCached();
};

const quitters = { "times out": waitBriefly, "is aborted": waitAborted };

for (const [does, quit] of Object.entries<Body<unknown>>(quitters)) {
  Deno.test(`pool: a wait that ${does} loses no buffer`, async () => {
    await passes({
      setup: poolOf(),
      threads: { a: attached(0, tryOnce), b: attached(1, quit) },
      check,
    });
  });
}

Deno.test("pool: a thread that awaits is served", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      a: attached(0, tryOnce),
      b: attached(1, async (pool) => {
        const buffer = await pool.acquireAsync();
        use(pool, buffer);
        pool.release(buffer);
        pool.returnCached();
      }),
    },
    check,
  });
});

Deno.test("packet: bytes written before a packet is detached are visible when it is adopted", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      sender: attached(0, (pool, box) => {
        const buffer = pool.tryAcquire();
        use(pool, buffer);
        post(box, pool.packet(buffer, 0, 1));
        waitOnce(pool);
      }),
      receiver: attached(1, (pool, box) => {
        const packet = fetch(pool, box);
        assertEquals(packet.bytes[0], 1);
        use(pool, packet.buffer);
        packet.release();
        pool.returnCached();
      }),
    },
    check,
  });
});

/** Detaches one of two packets of a buffer, and releases the other. */
const sendOne: Body<void> = (pool, box) => {
  const buffer = pool.tryAcquire();
  use(pool, buffer);
  const packet = pool.packet(buffer, 0, 1);
  post(box, packet.clone());
  drop(pool, packet, box);
};

/** Reads the byte of a packet, releases it, and uses the buffer if it is free. */
function drop(pool: BufferPool, packet: ReturnType<BufferPool["packet"]>, box: Int32Array): void {
  assertEquals(packet.bytes[0], 1);
  packet.release();
  pauseBetween(box);
  tryOnce(pool);
}

const fetchAndDrop: Body<void> = (pool, box) => drop(pool, fetch(pool, box), box);

// Several threads read the byte; only a thread that has acquired the buffer writes it.
Deno.test("packet: of two threads that drop the last references one gets the buffer", async () => {
  await passes({
    setup: poolOf(),
    threads: { sender: attached(0, sendOne), receiver: attached(1, fetchAndDrop) },
    check,
  });
});

Deno.test("packet: of three threads that drop the last references one gets the buffer", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      sender: attached(0, (pool, box) => {
        const buffer = pool.tryAcquire();
        use(pool, buffer);
        post(box, ...pool.packet(buffer, 0, 2).split([1]));
      }),
      first: attached(1, (pool, box) => {
        assertEquals(fetch(pool, box, 0).bytes[0], 1);
        pool.close();
      }),
      second: attached(2, (pool, box) => {
        fetch(pool, box, 1).release();
        tryOnce(pool);
      }),
    },
    check,
  });
});

Deno.test("packet: one thread adopts two packets of a buffer while the sender drops its own", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      sender: attached(0, (pool, box) => {
        const buffer = pool.tryAcquire();
        use(pool, buffer);
        const packet = pool.packet(buffer, 0, 1);
        post(box, packet.clone(), packet.clone());
        drop(pool, packet, box);
      }),
      receiver: attached(1, (pool, box) => {
        const packets = [fetch(pool, box, 0), fetch(pool, box, 1)];
        packets[0]!.release();
        drop(pool, packets[1]!, box);
      }),
    },
    check,
  });
});

Deno.test("packet: a packet that goes there and back is used by one thread at a time", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      a: attached(0, (pool, box) => {
        const packet = pool.packet(pool.tryAcquire(), 0, 1);
        use(pool, packet.buffer);
        post(box, packet);
        while (Atomics.load(box, 14) === 0) Atomics.wait(box, 14, 0);
        const back = pool.adoptFrom(box, 10);
        assertEquals(back.bytes[0], 2);
        back.release();
        pool.returnCached();
      }),
      b: attached(1, (pool, box) => {
        const packet = fetch(pool, box);
        use(pool, packet.buffer);
        packet.detachInto(box, 10);
        Atomics.store(box, 14, 1);
        Atomics.notify(box, 14);
        tryOnce(pool);
      }),
    },
    check,
  });
});

/** Detaches a packet of a buffer that no other thread has. */
const sendWhole: Body<void> = (pool, box) => post(box, pool.packet(pool.tryAcquire(), 0, 1));

/** Detaches a packet of a buffer, and keeps another one. */
const sendShared: Body<void> = (pool, box) => {
  const packet = pool.packet(pool.tryAcquire(), 0, 1);
  packet.clone();
  post(box, packet);
};

/** Waits for the packet, and adopts it unless another thread has; returns whether it did. */
const adoptOnce: Body<boolean> = (pool, box) => {
  while (Atomics.load(box, 0) === 0) Atomics.wait(box, 0, 0);
  return tryFetch(pool, box) !== undefined;
};

const ways = { "a whole buffer": sendWhole, "a buffer that the sender keeps": sendShared };

for (const [what, send] of Object.entries(ways)) {
  Deno.test(`packet: a packet of ${what} is adopted once, by one of two`, async () => {
    const adopters = new Set<boolean>();
    await passes({
      setup: poolOf(),
      threads: {
        sender: attached(0, send),
        first: attached(1, adoptOnce),
        second: attached(2, adoptOnce),
      },
      check(_, { first, second }) {
        assert(first !== second);
        adopters.add(first);
      },
    });
    assertEquals(adopters.size, 2);
  });
}

Deno.test("packet: a second adoption while the buffer is acquired again is rejected", async () => {
  await passes({
    setup: poolOf(),
    threads: {
      first: attached(0, (pool, box) => {
        const packet = pool.packet(pool.tryAcquire(), 0, 1);
        packet.detachInto(box, 1);
        pool.adoptFrom(box, 1).release();
        pool.returnCached();
        Atomics.store(box, 0, 1);
        Atomics.notify(box, 0);
        tryOnce(pool);
      }),
      again: attached(1, (pool, box) => assertEquals(adoptOnce(pool, box), false)),
    },
    check,
  });
});

type Operation = "and" | "xor" | "add" | "compareExchange";

/** A thread for which an operation is not atomic: it loads first, and stores afterwards. */
function inTwo<Result>(operation: Operation, body: (state: State) => Result) {
  return tampered(body, (proper) => ({
    [operation](view: Int32Array, index: number, operand: number, value: number) {
      const before = proper.load(view, index);
      if (operation === "and") proper.store(view, index, before & operand);
      else if (operation === "xor") proper.store(view, index, before ^ operand);
      else if (operation === "add") proper.store(view, index, before + operand);
      else if (before === operand) proper.store(view, index, value);
      return before;
    },
  }));
}

/** Acquires a buffer if there is one, uses it, and gives it back. */
const oneBurst = burst(1);

Deno.test("broken twin: two threads that become takers by load and store have the same buffers", async () => {
  await fails("data race", {
    setup: poolOf(),
    threads: {
      a: inTwo("compareExchange", attached(0, tryOnce)),
      b: inTwo("compareExchange", attached(1, tryOnce)),
    },
  });
});

Deno.test("broken twin: taking by load and store loses a buffer that is given back meanwhile", async () => {
  await fails("assertion", {
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      a: attached(0, (pool, box) => {
        // One is given back while the other is taken.
        const packet = pool.packet(pool.tryAcquire());
        const other = pool.tryAcquire();
        if (other >= 0) pool.release(other);
        pool.returnCached();
        pauseBetween(box);
        packet.release();
        pool.returnCached();
      }),
      b: inTwo("xor", attached(1, (pool, box) => oneBurst(pool, box))),
    },
    check,
  });
});

Deno.test("broken twin: giving back by load and store loses a buffer that another gives back", async () => {
  await fails("assertion", {
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      a: inTwo("and", attached(0, waitOnce)),
      b: inTwo("and", attached(1, waitOnce)),
    },
    check,
  });
});

Deno.test("broken twin: a waiter that is not woken sleeps forever", async () => {
  const error = await fails("deadlock", {
    setup: poolOf(),
    threads: {
      a: tampered(attached(0, tryOnce), () => ({ notify: () => 0 })),
      b: attached(1, waitOnce),
    },
  });
  assert(error.message.includes("waiter_queue.mail[1]"), error.message);
});

/** A thread that finds no waiter whenever it looks. */
function overlooking<Result>(body: (state: State) => Result): (state: State) => Result {
  return (state) => {
    // The mail says that its owner waits; see registrations.ts.
    const waits = (word: number) => word >>> 30 === 3;
    return tampered(body, (proper) => ({
      load(view: Int32Array, index: number) {
        const word = proper.load(view, index);
        return waits(word) ? 1 << 31 : word;
      },
    }))(state);
  };
}

Deno.test("broken twin: a thread that gives back and does not look leaves a waiter asleep", async () => {
  await fails("deadlock", {
    setup: poolOf(),
    threads: { a: overlooking(attached(0, tryOnce)), b: attached(1, waitOnce) },
  });
});

Deno.test("broken twin: a taker that does not look leaves a waiter asleep that passed over its batch", async () => {
  await fails("deadlock", {
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      giver: giveTwo,
      taker: overlooking(attached(1, takeOnce)),
      waiter: attached(2, waitOnceExhausted),
    },
  });
});

Deno.test("broken twin: a wait that is cancelled by a store loses the buffer that has arrived", async () => {
  await fails("assertion", {
    setup: poolOf(),
    threads: {
      a: attached(0, tryOnce),
      b: tampered(attached(1, waitBriefly), (proper) => ({
        compareExchange(view: Int32Array, index: number, expected: number, value: number) {
          // From a mail whose owner waits to one whose owner does not; see registrations.ts.
          const isCancel = expected >>> 30 === 3 && value === 1 << 31;
          if (!isCancel) return proper.compareExchange(view, index, expected, value);
          proper.store(view, index, value);
          return expected;
        },
      })),
    },
    check,
  });
});

Deno.test("broken twin: a waiter that does not announce itself is not served by a release", async () => {
  await fails("deadlock", {
    setup: poolOf({ buffersPerBatch: 2 }),
    threads: {
      keeper: keeper(calls.releases!),
      waiter: tampered(attached(1, waitForever), (proper) => ({
        or: (view: Int32Array, index: number, bits: number) =>
          index === WAITING && bits === 1 << 1 ? 0 : proper.or(view, index, bits),
      })),
    },
  });
});

for (const [what, send] of Object.entries(ways)) {
  Deno.test(`broken twin: a packet of ${what} is adopted twice by load and store`, async () => {
    await fails("assertion", {
      setup: poolOf(),
      threads: {
        sender: attached(0, send),
        first: inTwo("compareExchange", attached(1, adoptOnce)),
        second: inTwo("compareExchange", attached(2, adoptOnce)),
      },
      check: (_, { first, second }) => assert(first !== second, "adopted twice"),
    });
  });
}

Deno.test("broken twin: two threads that drop a buffer by load and store both leave it to the other", async () => {
  await fails("assertion", {
    setup: poolOf(),
    threads: {
      sender: inTwo("compareExchange", attached(0, sendOne)),
      receiver: inTwo("compareExchange", attached(1, fetchAndDrop)),
    },
    check,
  });
});

Deno.test("broken twin: a thread that drops a buffer without looking for others overwrites their bytes", async () => {
  await fails("data race", {
    setup: poolOf(),
    threads: {
      // It always finds itself to be the only holder.
      sender: tampered(attached(0, sendOne), (proper) => ({
        load: (view: Int32Array, index: number) => {
          const word = proper.load(view, index);
          return view.length > HOLD && index === HOLD ? 1 : word;
        },
      })),
      receiver: attached(1, fetchAndDrop),
    },
  });
});

Deno.test("broken twin: a sender that does not remain a holder loses the buffer", async () => {
  await fails("data race", {
    setup: poolOf(),
    threads: {
      sender: tampered(attached(0, sendOne), () => ({ or: () => 0 })),
      receiver: attached(1, fetchAndDrop),
    },
  });
});

Deno.test("broken twin: an adopter that is counted by load and store loses another's count", async () => {
  await fails("assertion", {
    setup: poolOf(),
    threads: {
      sender: attached(0, sendOne),
      receiver: inTwo("add", attached(1, fetchAndDrop)),
    },
    check,
  });
});
