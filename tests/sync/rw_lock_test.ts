import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Guard, RwLock } from "../../mod.ts";

/** The same lock, as other threads would see it. */
function triple(): [RwLock, RwLock, RwLock] {
  const lock = RwLock.create();
  return [lock, RwLock.attach(lock.handle), RwLock.attach(lock.handle)];
}

/** Lets all tasks run that can. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("many readers or one writer are inside a lock", () => {
  const [lock, other] = triple();
  {
    using _first = lock.read();
    using second = other.read();
    assertEquals([lock.readers, lock.isWriting, second.isHeld], [2, false, true]);
    assertEquals(other.tryWrite(), undefined);
  }
  {
    using _writer = other.write();
    assertEquals([lock.readers, lock.isWriting], [0, true]);
    assertEquals([lock.tryRead(), lock.tryWrite()], [undefined, undefined]);
  }
  lock.tryRead()!.release();
  const guard = other.tryWrite()!;
  guard.release();
  assertThrows(() => guard.release(), Error, "this guard has released before and holds nothing");
  assertEquals([lock.readers, lock.isWriting], [0, false]);
});

Deno.test("a thread that would wait for itself gets an error", () => {
  const lock = RwLock.create();
  {
    using _guard = lock.write();
    const message = "as this thread writes already: it would wait for itself";
    assertThrows(() => lock.write(), Error, `Cannot write ${message}`);
    assertThrows(() => lock.read(), Error, `Cannot read ${message}`);
    assertThrows(() => lock.read({ timeoutMs: 1 }), Error, `Cannot read ${message}`);
  }
  using _guard = lock.read();
  assertThrows(
    () => lock.write(),
    Error,
    "Cannot write as this thread reads already: it would wait for itself",
  );
  assertThrows(
    () => lock.write({ timeoutMs: 1 }),
    Error,
    "Cannot write as this thread reads already",
  );
  assertEquals(lock.tryWrite(), undefined);
  lock.read().release();
});

Deno.test("a wait whose time is over gives up, and keeps no other thread out", async () => {
  const [lock, other, third] = triple();
  const start = performance.now();
  {
    using _writer = lock.write();
    assertEquals(other.read({ timeoutMs: 2 }), undefined);
    assertEquals(other.write({ timeoutMs: 2 }), undefined);
    assertEquals(await other.readAsync({ timeoutMs: 2 }), undefined);
    assertEquals(await other.writeAsync({ timeoutMs: 2 }), undefined);
  }
  {
    using _reader = lock.read();
    assertEquals(other.write({ timeoutMs: 2 }), undefined);
    third.tryRead()!.release();
    assertEquals(await other.writeAsync({ timeoutMs: 2 }), undefined);
    third.tryRead()!.release();
  }
  assert(performance.now() - start >= 12);
  using _reader = lock.read();
  const message = "'timeoutMs' must be a number not below 0: received -1";
  assertThrows(() => other.write({ timeoutMs: -1 }), RangeError, message);
  await assertRejects(() => other.writeAsync({ timeoutMs: -1 }), RangeError, message);
  third.tryRead()!.release();
});

Deno.test("a new reader waits behind a writer that waits", async () => {
  const [lock, other, third] = triple();
  const order: string[] = [];
  const reader = lock.read();
  const writing = other.writeAsync();
  assertEquals(third.tryRead(), undefined);
  const reading = third.readAsync();
  reader.release();
  await Promise.all([
    writing.then(async (guard) => {
      order.push("writer");
      await settle();
      guard.release();
    }),
    reading.then((guard) => {
      order.push("reader");
      guard.release();
    }),
  ]);
  assertEquals(order, ["writer", "reader"]);
});

Deno.test("the readers that waited for a writer enter before the next writer", async () => {
  const [lock, other, third] = triple();
  const order: string[] = [];
  const writer = lock.write();
  const enter = async (entered: Promise<Guard>, name: string) => {
    using _guard = await entered;
    order.push(`${name} enters`);
    await settle();
    order.push(`${name} leaves`);
  };
  const all = [
    enter(other.writeAsync(), "writer"),
    enter(other.readAsync(), "reader"),
    enter(third.readAsync(), "reader"),
  ];
  writer.release();
  await Promise.all(all);
  assertEquals(order, [
    "reader enters",
    "reader enters",
    "reader leaves",
    "reader leaves",
    "writer enters",
    "writer leaves",
  ]);
});

Deno.test("a wait that is aborted rejects with the reason, and others enter", async () => {
  const [lock, other, third] = triple();
  const signal = AbortSignal.abort(new Error("before"));
  await assertRejects(() => lock.readAsync({ signal }), Error, "before");
  await assertRejects(() => lock.writeAsync({ signal }), Error, "before");

  for (const aborted of ["readAsync", "writeAsync"] as const) {
    for (const next of ["readAsync", "writeAsync"] as const) {
      const writer = lock.write();
      const controller = new AbortController();
      const waiting = other[aborted](controller);
      const entering = third[next]();
      // Woken, and aborted before it gets to it.
      writer.release();
      controller.abort("enough");
      assertEquals(await waiting.catch((reason) => reason), "enough");
      (await entering).release();
      assertEquals([lock.readers, lock.isWriting], [0, false]);
    }
  }
});

Deno.test("a writer that is aborted admits the readers that waited behind it", async () => {
  const [lock, other, third] = triple();
  using _reader = lock.read();
  const controller = new AbortController();
  const writing = other.writeAsync(controller);
  const reading = third.readAsync();
  assertEquals(third.tryRead(), undefined);
  controller.abort("enough");
  assertEquals(await writing.catch((reason) => reason), "enough");
  (await reading).release();
  third.tryRead()!.release();
});

Deno.test("a lock admits the threads that it should, whatever is tried and left", () => {
  const action = fc.record({
    what: fc.constantFrom("read", "write", "leave"),
    which: fc.nat(9),
  });
  fc.assert(fc.property(fc.array(action), (actions) => {
    const locks = triple();
    const inside: { guard: Guard; kind: string }[] = [];
    for (const { what, which } of actions) {
      const lock = locks[which % 3]!;
      const readers = inside.filter(({ kind }) => kind === "read").length;
      const isWriting = inside.length > readers;
      assertEquals([lock.readers, lock.isWriting], [readers, isWriting]);
      if (what === "leave") {
        inside.splice(which, 1)[0]?.guard.release();
        continue;
      }
      const guard = what === "read" ? lock.tryRead() : lock.tryWrite();
      assertEquals(guard !== undefined, what === "read" ? !isWriting : inside.length === 0);
      if (guard !== undefined) inside.push({ guard, kind: what });
    }
  }));
});

Deno.test("a reader whose time is over does not pass a writer that waits", async () => {
  const [lock, other, third] = triple();
  const inside = lock.read();
  const writing = lock.writeAsync();
  assertEquals(other.tryRead(), undefined);
  assertEquals(other.read({ timeoutMs: 2 }), undefined);
  assertEquals(await third.readAsync({ timeoutMs: 2 }), undefined);
  inside.release();
  const guard = await writing;
  assertEquals(other.read({ timeoutMs: 2 }), undefined);
  guard.release();
  other.read({ timeoutMs: 2 })!.release();
});

Deno.test("a writer that gives up does not admit readers past the writers that remain", async () => {
  for (const quit of ["writer", "reader"] as const) {
    const [lock, other, third] = triple();
    const inside = lock.read();
    const controller = new AbortController();
    const quitter = quit === "writer" ? other.writeAsync(controller) : undefined;
    const order: string[] = [];
    const writing = third.writeAsync().then((guard) => {
      order.push("writer");
      guard.release();
    });
    const aborted = quitter ?? other.readAsync(controller);
    const reading = other.readAsync().then((guard) => {
      order.push("reader");
      guard.release();
    });
    assertEquals(third.write({ timeoutMs: 2 }), undefined);
    await settle();
    controller.abort(new Error("enough"));
    await assertRejects(() => aborted, Error, "enough");
    await settle();
    assertEquals(other.tryRead(), undefined);
    inside.release();
    await Promise.all([writing, reading]);
    assertEquals(order, ["writer", "reader"]);
  }
});

Deno.test("overlapping reads of one thread do not keep a writer out", async () => {
  const [lock, other] = triple();
  let reads = 0;
  let hasWritten = false;
  const readAgain = async () => {
    while (!hasWritten && reads < 1000) {
      using _guard = await lock.readAsync();
      reads++;
      await settle();
    }
  };
  const tasks = [readAgain(), readAgain(), readAgain()];
  await settle();
  (await other.writeAsync()).release();
  hasWritten = true;
  await Promise.all(tasks);
  assert(reads < 100, `${reads} reads came before the writer`);
});

Deno.test("a task that reads awaits its next read behind a writer; a call that blocks does not", async () => {
  const [lock, other] = triple();
  const first = await lock.readAsync();
  const writing = other.writeAsync();
  await settle();
  assertEquals(lock.tryRead(), undefined);
  assertEquals(await lock.readAsync({ timeoutMs: 2 }), undefined);
  lock.read().release(); // it would block the very thread that the writer waits for
  first.release();
  (await writing).release();
});
