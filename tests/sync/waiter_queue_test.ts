import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Memory, ReclaimedError, type ValueStore, WaiterQueue } from "../../mod.ts";

/** A store of one thread. */
function storeOf(values: number[]): ValueStore {
  return { take: () => values.shift(), put: (value) => void values.push(value) };
}

/** A queue, and what would be several threads at it. */
function setup(members: number, values: number[] = []) {
  const queue = WaiterQueue.create({ threads: members });
  const store = storeOf(values);
  const threads = Array.from(
    { length: members },
    () => WaiterQueue.attach(queue.handle).join(store),
  );
  return { queue, store, threads, values };
}

/** Lets all tasks run that can. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("a value that no thread waits for lies in the store", async () => {
  const { queue, store, threads: [thread], values } = setup(1);
  assertEquals(queue.offer(7), false);
  thread!.release(1);
  queue.release(2, store);
  assertEquals([values, queue.isAnyWaiting], [[1, 2], false]);
  assertEquals(thread!.take(), 1);
  assertEquals(await thread!.takeAsync(), 2);
  assertEquals(thread!.tryTake(), undefined);
  assertEquals(await thread!.takeAsync({ timeoutMs: 0 }), undefined);
});

Deno.test("values go to threads in the order in which they began to wait", async () => {
  const { queue, threads: [a, b, c], values } = setup(3);
  const taken: string[] = [];
  const take = async (thread: typeof a, name: string) => {
    taken.push(`${name}${await thread!.takeAsync()}`);
  };
  // The second of a waits behind the first, and then behind the other threads.
  const waits = [take(b, "b"), take(a, "a"), take(a, "A"), take(c, "c")];
  assertEquals([a!.waiting, queue.waiting, queue.isAnyWaiting], [2, 3, true]);
  for (const value of [0, 1, 2, 3]) {
    assertEquals(queue.offer(value), true);
    await settle();
  }
  await Promise.all(waits);
  assertEquals(taken, ["b0", "a1", "c2", "A3"]);
  assertEquals([queue.waiting, queue.isAnyWaiting, values], [0, false, []]);
});

Deno.test("a thread can release a value to itself", async () => {
  const { threads: [thread] } = setup(1);
  const taken = [thread!.takeAsync(), thread!.takeAsync()];
  thread!.release(4);
  thread!.release(5);
  assertEquals(await Promise.all(taken), [4, 5]);
});

Deno.test("the greatest value arrives, and what is none is refused", async () => {
  const { queue, store, threads: [thread] } = setup(1);
  const taken = thread!.takeAsync();
  thread!.release(2 ** 31 - 1);
  assertEquals(await taken, 2 ** 31 - 1);
  for (const value of [-1, 0.5, NaN, 2 ** 31]) {
    const must = `as 'value' must be a whole number from 0 to 2147483647: received ${value}`;
    assertThrows(() => thread!.release(value), RangeError, `Cannot release ${must}`);
    assertThrows(() => queue.release(value, store), RangeError, `Cannot release ${must}`);
    assertThrows(() => queue.offer(value), RangeError, `Cannot offer ${must}`);
  }
});

Deno.test("a take with a timeout gives up after it, and leaves nothing behind", async () => {
  const { queue, threads: [a, b] } = setup(2);
  const start = performance.now();
  assertEquals(a!.take({ timeoutMs: 5 }), undefined);
  assertEquals(await a!.takeAsync({ timeoutMs: 5 }), undefined);
  assert(performance.now() - start >= 10);
  assertEquals([queue.isAnyWaiting, queue.offer(1)], [false, false]);
  assertThrows(
    () => a!.take({ timeoutMs: -1 }),
    RangeError,
    "must be a number not below 0: received -1",
  );
  await assertRejects(() => a!.takeAsync({ timeoutMs: -1 }), RangeError);

  // Each of a thread's waiters gives up in its own time.
  const patient = b!.takeAsync();
  const waits = [400, 5, 200].map((timeoutMs) => b!.takeAsync({ timeoutMs }));
  assertEquals(await waits[1], undefined);
  assertEquals(b!.waiting, 3);
  assertEquals(await Promise.all(waits), [undefined, undefined, undefined]);
  assertEquals([b!.waiting, queue.offer(3)], [1, true]);
  assertEquals(await patient, 3);
});

Deno.test("a take that is aborted rejects with the reason, and its value goes to the next", async () => {
  const { queue, threads: [a, b], values } = setup(2);
  await assertRejects(
    () => a!.takeAsync({ signal: AbortSignal.abort(new Error("before")) }),
    Error,
    "before",
  );
  const controller = new AbortController();
  const first = a!.takeAsync(controller);
  const second = a!.takeAsync();
  const third = b!.takeAsync();
  // Served, and aborted before it gets to it: to the next of the thread.
  queue.offer(1);
  controller.abort("enough");
  assertEquals(await first.catch((reason) => reason), "enough");
  assertEquals(await second, 1);
  queue.offer(2);
  assertEquals(await third, 2);

  // To the next thread, if there is none of its own; or into the store.
  for (const isNextWaiting of [true, false]) {
    const controller = new AbortController();
    const first = a!.takeAsync(controller);
    const next = isNextWaiting ? b!.takeAsync() : undefined;
    queue.offer(3);
    controller.abort("enough");
    assertEquals(await first.catch((reason) => reason), "enough");
    assertEquals([await next, values], isNextWaiting ? [3, []] : [undefined, [3]]);
  }
  assertEquals([a!.waiting, queue.isAnyWaiting], [0, false]);
});

Deno.test("a thread that awaits can block as well, and is served first", async () => {
  const { queue, threads: [a, b] } = setup(2);
  const later = a!.takeAsync();
  assertEquals(a!.take({ timeoutMs: 1 }), undefined);
  queue.offer(1);
  assertEquals(a!.take(), 1);
  assertEquals(a!.waiting, 1);
  b!.release(2);
  assertEquals(await later, 2);
});

Deno.test("an error of the store fails all waits, and leaves no thread registered", async () => {
  const queue = WaiterQueue.create();
  let isBroken = false;
  const thread = queue.join({
    take() {
      if (isBroken) throw new TypeError("the store is broken");
      return undefined;
    },
    put() {},
  });
  const waiting = thread.takeAsync();
  isBroken = true;
  await assertRejects(() => thread.takeAsync(), TypeError, "the store is broken");
  queue.offer(1);
  assertEquals(await waiting, 1);

  isBroken = false;
  const failing = [thread.takeAsync(), thread.takeAsync()];
  isBroken = true;
  queue.offer(2);
  assertEquals(await failing[0], 2);
  await assertRejects(() => failing[1]!, TypeError, "the store is broken");
  assertEquals(queue.isAnyWaiting, false);
});

Deno.test("a thread that was reclaimed alive leaves its slot to the next one", async () => {
  const { queue, store, threads: [late] } = setup(1);
  late!.tryTake();
  queue.reclaim(0);
  using next = queue.join(store);
  const taking = next.takeAsync();
  assertThrows(
    () => late!.close(),
    ReclaimedError,
    "Cannot use slot 0 of this thread in the waiter queue as it was reclaimed",
  );
  late!.close();
  assertEquals([queue.isJoined(0), queue.waiting], [true, 1]);
  next.release(7);
  assertEquals(await taking, 7);
});

Deno.test("a take rejects if its store aborts the signal, whenever it is asked", async () => {
  for (const last of [0, 1]) {
    const queue = WaiterQueue.create({ threads: 1 });
    const controller = new AbortController();
    let asked = 0;
    using thread = queue.join({
      take() {
        if (asked++ === last) controller.abort(new Error("by itself"));
        return undefined;
      },
      put() {},
    });
    const { signal } = controller;
    await assertRejects(() => thread.takeAsync({ signal }), Error, "by itself");
    assertEquals(queue.isAnyWaiting, false);
  }
});

Deno.test("as many threads can join as there are slots, until they leave", async () => {
  const { queue, store, threads: [a, b] } = setup(2);
  assertEquals([a!.slot, b!.slot], [0, 1]);
  assertThrows(
    () => queue.join(store),
    Error,
    "Cannot join the waiter queue as all 2 thread slots are in use",
  );
  const waiting = assertRejects(
    () => a!.takeAsync(),
    Error,
    "Cannot take a value as the thread has left the waiter queue",
  );
  a![Symbol.dispose]();
  a![Symbol.dispose]();
  await waiting;
  assertEquals(queue.isAnyWaiting, false);
  assertThrows(() => a!.take(), Error, "Cannot take a value as the thread has left");
  assertThrows(() => a!.release(1), Error, "Cannot release as the thread has left");
  await assertRejects(() => a!.takeAsync(), Error, "has left the waiter queue");
  using again = queue.join(store);
  assertEquals(again.slot, 0);
});

Deno.test("a thread that leaves passes on a value that has arrived", async () => {
  const { queue, threads: [a, b] } = setup(2);
  const lost = a!.takeAsync().catch((error: Error) => error.message);
  const next = b!.takeAsync();
  queue.offer(5);
  a![Symbol.dispose]();
  assertEquals(await next, 5);
  assertEquals(await lost, "Cannot take a value as the thread has left the waiter queue");
});

Deno.test("the slot of a thread that has died is given back, with what it had not taken", async () => {
  const { queue, store, threads: [thread] } = setup(1);
  const taken = thread!.takeAsync();
  queue.offer(9);
  assertEquals(queue.reclaim(0), 9);
  assertEquals(queue.isAnyWaiting, false);
  assertThrows(
    () => queue.reclaim(0),
    Error,
    "Cannot reclaim slot 0 of the waiter queue as no thread has it",
  );
  // It was not dead.
  await assertRejects(
    () => taken,
    Error,
    "Cannot use slot 0 of this thread in the waiter queue as it was reclaimed",
  );
  assertThrows(() => thread!.take(), Error, "has left the waiter queue");

  const again = queue.join(store); // dies, too
  assertEquals(queue.reclaim(again.slot), undefined);
  using _last = queue.join(store);
  assertThrows(
    () => queue.reclaim(1),
    RangeError,
    "Cannot reclaim as 'slot' must be a whole number from 0 to 0: received 1",
  );
});

Deno.test("a queue has from 1 to 1024 threads, and room for them", () => {
  for (const threads of [0, 1025, 1.5]) {
    assertThrows(
      () => WaiterQueue.create({ threads }),
      RangeError,
      `Cannot create waiter queue as 'threads' must be a whole number from 1 to 1024: received ${threads}`,
    );
  }
  assertEquals(WaiterQueue.byteLength(1), 192);
  assertEquals(WaiterQueue.byteLength(1024), 64 + 128 + 1024 * 64);
  const memory = Memory.create({ byteLength: WaiterQueue.byteLength(1024) });
  const queue = WaiterQueue.create({ threads: 1024, memory });
  const words = new Int32Array(memory.buffer);
  for (const threads of [0, -1, 1025, 2 ** 30]) {
    words[2] = threads;
    assertThrows(
      () => WaiterQueue.attach(queue.handle),
      TypeError,
      "the header of the waiter queue is damaged",
    );
  }
});

Deno.test("the order holds across the wrap of tickets, and among many threads", async () => {
  const { queue, threads } = setup(70);
  const words = new Int32Array(queue.memory.buffer);
  for (const start of [2 ** 29 - 35, 2 ** 30 - 35, 2 ** 31 - 35, 2 ** 32 - 35]) {
    words[3] = start;
    const order = threads.toSorted((a, b) => (a.slot * 31) % 70 - (b.slot * 31) % 70);
    const taken = order.map((thread) => thread.takeAsync());
    order.forEach((_, i) => queue.offer(i));
    assertEquals(await Promise.all(taken), order.map((_, i) => i));
  }
});

Deno.test("a queue serves as it should, whatever is taken, released and aborted", async () => {
  const action = fc.record({
    what: fc.constantFrom("take", "take", "release", "release", "abort"),
    which: fc.nat(9),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
      const { queue, threads, values } = setup(3);
      /** The expected waiters: threads in order, and the waiters of each in order. */
      const waiting: { thread: number; waiters: number[] }[] = [];
      const controllers: AbortController[] = [];
      const taken = new Map<number, number>();
      const expected = new Map<number, number>();
      const store: number[] = [];
      let next = 0;
      for (const { what, which } of actions) {
        if (what === "take") {
          const waiter = controllers.length;
          const controller = new AbortController();
          controllers.push(controller);
          threads[which % 3]!.takeAsync(controller)
            .then((value) => taken.set(waiter, value), () => {});
          const there = waiting.find(({ thread }) => thread === which % 3);
          if (store.length > 0) expected.set(waiter, store.shift()!);
          else if (there !== undefined) there.waiters.push(waiter);
          else waiting.push({ thread: which % 3, waiters: [waiter] });
        } else if (what === "release") {
          const value = next++;
          threads[which % 3]!.release(value);
          const first = waiting.shift();
          if (first === undefined) store.push(value);
          else expected.set(first.waiters.shift()!, value);
          if (first !== undefined && first.waiters.length > 0) waiting.push(first);
        } else {
          const waiter = which % (controllers.length || 1);
          controllers[waiter]?.abort();
          for (const thread of waiting) {
            thread.waiters = thread.waiters.filter((other) => other !== waiter);
          }
          const empty = waiting.findIndex(({ waiters }) => waiters.length === 0);
          if (empty >= 0) waiting.splice(empty, 1);
        }
        await settle();
      }
      assertEquals(taken, expected);
      assertEquals(values, store);
      assertEquals(queue.isAnyWaiting, waiting.length > 0);
      for (const thread of threads) thread[Symbol.dispose]();
      await settle();
      assertEquals(queue.isAnyWaiting, false);
    }),
    { numRuns: 50 },
  );
});
