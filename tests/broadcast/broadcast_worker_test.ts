/**
 * The ring on real workers. Never more than two threads are busy; the others sleep.
 */

import { assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import {
  Broadcast,
  type BroadcastReader,
  OverrunError,
  Pacer,
  type ReaderOptions,
} from "@busbar/busbar/broadcast";
import { Memory } from "@busbar/busbar/memory";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import { AGREED, check, checkedMessages, checkFrom, type Hunt, LEAST } from "./bodies.ts";

const bodies = import.meta.resolve("./bodies.ts");

function agreed(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(64));
}

workerTest("a paced writer's messages all arrive whole and in order", async () => {
  const { handle } = Broadcast.create({ capacityBytes: 4096, startPosition: 2 ** 32 - 4096 });
  const job = { handle, messages: 40_000, agreed: agreed() };
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

/** Multiplies the length of the hunts, as in `deno test -P tests/broadcast -- --longer=100`. */
const LONGER = Number(
  Deno.args.find((argument) => argument.startsWith("--longer="))?.slice(9) ?? 1,
);

/**
 * Lets a writer that never waits lap a reader that hunts for torn messages, until this many were
 * written. How many of them the reader gets, and how often it is overrun, depends on the machine:
 * on a quiet one some hundred thousand times a second in the smallest ring.
 */
async function hunt(
  ring: { capacityBytes: number; segments: number; largest: number },
  messages: number,
  body = "hunt",
  options: ReaderOptions = {},
  memory: Memory = Memory.create({ byteLength: Broadcast.byteLength(ring) }),
): Promise<void> {
  const { capacityBytes, segments, largest } = ring;
  // The epochs begin just before their wrap.
  const startPosition = 2 ** 28 * capacityBytes - capacityBytes;
  const { handle } = Broadcast.create({ capacityBytes, segments, startPosition, memory });
  const job = { handle, messages: messages * LONGER, agreed: agreed() };
  const [, seen] = await Promise.all([
    runOnWorker(bodies, "writeUnpaced", { ...job, largest }),
    runOnWorker<Hunt>(bodies, body, { ...job, options }),
  ]);
  assertGreaterOrEqual(seen.overruns, LEAST);
  assertGreaterOrEqual(seen.messages, LEAST);
  // Each message was either read or counted as lost.
  assertEquals(seen.sequence, seen.messages + seen.lostMessages);
  assertGreaterOrEqual(seen.distance, seen.lostBytes);
  if (Deno.args.includes("--figures")) console.log(seen);
}

for (
  const [capacityBytes, segments, largest, messages, onOverrun] of [
    [2 ** 8, 4, 56, 4_000_000, "continue"],
    [2 ** 10, 4, 100, 4_000_000, "throw"],
    [2 ** 14, 8, 100, 4_000_000, "throw"],
    [2 ** 16, 4, 300, 2_000_000, "throw"],
    [2 ** 20, 16, 2 ** 18 - 8, 20_000, "continue"],
  ] as const
) {
  const size = `${capacityBytes} bytes in ${segments} segments`;
  workerTest(`no torn message is accepted from ${size} whose writer never waits`, async () => {
    const options: ReaderOptions = { batchBytes: capacityBytes / 2, onOverrun };
    await hunt({ capacityBytes, segments, largest }, messages, "hunt", options);
  });
}

for (const [capacityBytes, segments, largest] of [[2 ** 8, 4, 56], [2 ** 14, 8, 300]] as const) {
  workerTest(
    `no torn message is accepted from ${capacityBytes} bytes that are copied natively`,
    async () => {
      const memory = Memory.create({ byteLength: 2 ** 17 });
      const options: ReaderOptions = { batchBytes: capacityBytes / 2, onOverrun: "continue" };
      await hunt({ capacityBytes, segments, largest }, 4_000_000, "hunt", options, memory);
    },
  );
}

for (const way of ["views", "native"]) {
  workerTest(`no torn message is accepted through a filter: ${way}`, async () => {
    const ring = { capacityBytes: 2 ** 14, segments: 8, largest: 300 };
    const memory = Memory.create({ byteLength: way === "native" ? 2 ** 17 : 2 ** 15 });
    await hunt(ring, 2_000_000, "huntFiltered", {}, memory);
  });
}

workerTest(
  "a reader a thousandth as fast always gets messages, and is told of the others",
  async () => {
    const ring = { capacityBytes: 2 ** 14, segments: 8, largest: 100 };
    await hunt(ring, 4_000_000, "huntSlowly");
  },
);

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

workerTest("writers on several workers continue where the one before ended", async () => {
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

workerTest("readers that sleep on workers learn of the end of the stream", async () => {
  for (let round = 0; round < 20; round++) {
    const broadcast = Broadcast.create({ capacityBytes: 64 * 1024 });
    const job = { handle: broadcast.handle, messages: 0, agreed: agreed() };
    const reading = [
      runOnWorker(bodies, "readToEnd", job),
      runOnWorker(bodies, "iterateToEnd", job),
    ];
    const readers = reading.length;
    for (let seen; (seen = Atomics.load(job.agreed, AGREED.ready)) < readers;) {
      await Atomics.waitAsync(job.agreed, AGREED.ready, seen).value;
    }
    const writer = broadcast.writer();
    const messages = checkedMessages(100);
    for (let number = 0; number < round; number++) {
      writer.send(messages[number]!, { userValue: number });
    }
    if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    writer.close();
    assertEquals(await Promise.all(reading), [round, round]);
  }
});

workerTest(
  "three readers that a pacer waits for get every message, of a ring of 4 KiB",
  async () => {
    const broadcast = Broadcast.create({ capacityBytes: 4096 });
    const pacer = Pacer.create({ broadcast, expected: 3 });
    const readers = [0, 1, 2].map(() => runOnWorker(bodies, "readPaced", pacer.handle));
    using writer = broadcast.writer();
    for (let i = 0; i < 5_000; i++) {
      assertEquals(await pacer.waitAsync(writer, i % 200), true);
      writer.append(new Uint8Array(i % 200), { userValue: i });
    }
    writer.close();
    for (const read of await Promise.all(readers)) assertEquals(read, [5_000, 0]);
    assertEquals(pacer.readers, 0);
  },
);

workerTest(
  "a writer whose worker was terminated is followed at once, and nothing is lost",
  async () => {
    // A terminated worker may run on for a while; it must do no harm if it does.
    const broadcast = Broadcast.create({ capacityBytes: 2 ** 22 });
    const reader = broadcast.reader();
    const messages = checkedMessages(200);
    for (let i = 0; i < 10; i++) {
      const words = agreed();
      const argument = { handle: broadcast.handle, messages: 0, agreed: words };
      const worker = startWorker(bodies, "writeOn", argument);
      await Atomics.waitAsync(words, AGREED.ready, 0).value;
      // It is not paced, so it may lap this reader, which must then report an exact loss.
      drain(reader);
      worker.terminate();
      {
        using writer = broadcast.writer({ takeOver: true });
        for (let k = 0, number = broadcast.reader().sequence; k < 5; k++, number++) {
          writer.send(messages[number % messages.length]!, { userValue: number });
        }
      }
      drain(reader);
      assertEquals(reader.lagBytes, 0);
    }
  },
);

function drain(reader: BroadcastReader): void {
  for (;;) {
    try {
      if (!reader.poll()) return;
      while (reader.next()) check(reader, reader.sequence - 1);
    } catch (error) {
      if (!(error instanceof OverrunError)) throw error;
    }
  }
}
