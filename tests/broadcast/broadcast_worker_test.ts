/**
 * The ring on real workers. Never more than two threads are busy; the others sleep.
 */

import { assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { Broadcast } from "../../mod.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker } from "../workers.ts";
import { AGREED, checkFrom, type Hunt } from "./bodies.ts";

const bodies = import.meta.resolve("./bodies.ts");

function agreed(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(64));
}

workerTest("a paced writer's messages all arrive whole and in order", async () => {
  const { handle } = Broadcast.create({ capacityBytes: 4096, startPosition: 2 ** 32 - 4096 });
  const job = { handle, messages: 100_000, agreed: agreed() };
  const [written, read] = await Promise.all([
    runOnWorker(bodies, "writePaced", { ...job, readers: 1, ahead: 8 }),
    runOnWorker(bodies, "readAll", { ...job, reader: 0 }),
  ]);
  assertEquals(read, written);
});

workerTest("three readers that sleep between messages miss none", async () => {
  const { handle } = Broadcast.create({ capacityBytes: 16 * 1024 });
  const job = { handle, messages: 10_000, agreed: agreed() };
  const [written, ...read] = await Promise.all([
    runOnWorker(bodies, "writePaced", { ...job, readers: 3, ahead: 8 }),
    ...[0, 1, 2].map((reader) => runOnWorker(bodies, "readAll", { ...job, reader })),
  ]);
  assertEquals(read, [written, written, written]);
});

for (
  const [capacityBytes, segments, largest] of [
    [2 ** 14, 8, 100],
    [2 ** 16, 2, 300],
    [2 ** 20, 8, 2 ** 18 - 8],
  ] as const
) {
  const ring = `${capacityBytes} bytes in ${segments} segments`;
  workerTest(`no torn message is accepted from ${ring} whose writer never waits`, async () => {
    // The epochs begin just before their wrap.
    const startPosition = 2 ** 32 * capacityBytes - capacityBytes;
    const { handle } = Broadcast.create({ capacityBytes, segments, startPosition });
    const job = { handle, messages: 20_000, agreed: agreed() };
    const [, seen] = await Promise.all([
      runOnWorker(bodies, "writeUnpaced", { ...job, largest }),
      runOnWorker<Hunt>(bodies, "hunt", { ...job, overruns: 2_000, batchBytes: capacityBytes / 2 }),
    ]);
    assertGreaterOrEqual(seen.overruns, 2_000);
    assertGreaterOrEqual(seen.messages, 20_000);
    // What was skipped at the ends of laps is padding, which is neither a message nor lost.
    assertGreaterOrEqual(seen.distance, seen.accounted);
    assertGreaterOrEqual(seen.accounted, seen.lostBytes);
  });
}

workerTest("two workers that sleep in turn wake each other each time", async () => {
  const [there, back] = [
    Broadcast.create({ capacityBytes: 1024 }),
    Broadcast.create({
      capacityBytes: 1024,
    }),
  ];
  const messages = 2_000;
  const words = agreed();
  const echo = runOnWorker(bodies, "echo", {
    handle: there.handle,
    back: back.handle,
    messages,
    agreed: words,
  });
  const reader = back.reader();
  await Atomics.waitAsync(words, AGREED.ready, 0).value;
  using writer = there.writer();
  for (let userValue = 0; userValue < messages; userValue++) {
    writer.send(new Uint8Array(3), { userValue });
    assertEquals(reader.wait(), true);
    assertEquals([reader.poll(), reader.next(), reader.userValue], [true, true, userValue]);
  }
  await echo;
});

workerTest("a reader that awaits is woken by a writer on a worker", async () => {
  const broadcast = Broadcast.create({ capacityBytes: 4096 });
  const job = { handle: broadcast.handle, messages: 2_000, agreed: agreed() };
  const reader = broadcast.reader();
  const writing = runOnWorker(bodies, "writePaced", { ...job, readers: 1, ahead: 8 });
  Atomics.store(job.agreed, AGREED.ready, 1);
  Atomics.notify(job.agreed, AGREED.ready);
  for (let number = 0; number < job.messages;) {
    assertEquals(await reader.waitAsync(), true);
    number = checkFrom(reader, number);
    Atomics.store(job.agreed, AGREED.progress, number);
    Atomics.notify(job.agreed, AGREED.progress);
  }
  assertEquals(reader.position, await writing);
});

workerTest("writers on several workers go on where the one before left off", async () => {
  const broadcast = Broadcast.create({ capacityBytes: 4096 });
  const job = { handle: broadcast.handle, messages: 2, agreed: agreed() };
  const reader = broadcast.reader();
  for (let first = 0; first < 20; first += 2) {
    await runOnWorker(bodies, "writeSome", { ...job, first });
    assertEquals(checkFrom(reader, first), first + 2);
  }
  using _writer = broadcast.writer();
  await assertRejects(
    () => runOnWorker(bodies, "writeSome", { ...job, first: 0 }),
    Error,
    "Cannot become the writer of the broadcast as it has one",
  );
});
