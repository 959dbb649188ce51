/** The domain on real workers: checksums at full speed, and workers that die. */

import { assert, assertEquals } from "@std/assert";
import { Domain, type SlotOptions } from "@busbar/busbar/domain";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import { AGREED, type Job } from "./bodies.ts";

const BODIES = import.meta.resolve("./bodies.ts");

/** A domain with a slot, and a task with it for each member. */
function scene(options: SlotOptions, count: number) {
  const dataBytes = Domain.plan(options) + Domain.plan({ messageBytes: 8 });
  const domain = Domain.create({ slots: 2, members: 8, waiters: 8, dataBytes, member: 7 });
  const slot = domain.slot("s", options);
  const agreed = new Int32Array(new SharedArrayBuffer(16));
  const job = (member: number): Job => ({
    handle: domain.handle,
    member,
    name: "s",
    agreed,
    count,
  });
  return { domain, slot, agreed, job };
}

/** Waits until a word has reached a count. */
async function reach(words: Int32Array, index: number, count: number): Promise<void> {
  for (let seen; (seen = Atomics.load(words, index)) < count;) {
    await Atomics.waitAsync(words, index, seen).value;
  }
}

/** How many messages of a size to check: some 200 MB, and at least 20. */
const countOf = (bytes: number) => Math.max(20, Math.min(5_000, Math.floor(2e8 / bytes / 100)));

const IMAGE_BYTES = 1920 * 1080 * 3;

for (const bytes of [8, 64, 1000, 65_536, IMAGE_BYTES]) {
  workerTest(`domain: no torn message of ${bytes} bytes is read, at full speed`, async () => {
    const { job } = scene({ messageBytes: bytes, history: 2, holds: 2 }, countOf(bytes));
    const readers = ["readLatest", "receive", "hold"] as const;
    const reading = readers.map((name, i) => runOnWorker(BODIES, name, job(i + 1)));
    const published = runOnWorker<number>(BODIES, "publish", { ...job(0), readers: 3 });
    const [, counts] = await Promise.all(reading);
    const { received, missed, passed } = counts as Record<string, number>;
    assertEquals(received! + missed!, passed);
    assert(await published >= countOf(bytes));
  });
}

workerTest("domain: three writers lose nothing, and each keeps its order", async () => {
  const count = 3_000;
  const options = { messageBytes: 8, history: 4 * count, writers: 3, holds: 0 };
  const { slot, agreed, job } = scene(options, count);
  const reading = runOnWorker(BODIES, "tally", job(3));
  await reach(agreed, AGREED.ready, 1);
  await Promise.all([0, 1, 2].map((member) => runOnWorker(BODIES, "contend", job(member))));
  assertEquals(slot.sequence, 3 * count);
  slot.close();
  assertEquals(await reading, { received: 3 * count, last: [count, count, count] });
});

workerTest(
  "domain: four workers that create the same slots at once get the same slots",
  async () => {
    const count = 60;
    const options = { messageBytes: 16, holds: 0, writers: 4 };
    const dataBytes = count * Domain.plan(options);
    const domain = Domain.create({ slots: count, members: 5, dataBytes });
    const agreed = new Int32Array(new SharedArrayBuffer(16));
    await Promise.all([1, 2, 3, 4].map((member) => (
      runOnWorker(BODIES, "create", { handle: domain.handle, member, name: "", agreed, count })
    )));
    const { slots, freeBytes } = domain.inspect();
    const expected = Array.from({ length: count }, (_, i) => `slot-${i}`).toSorted();
    assertEquals(slots.map(({ name }) => name).toSorted(), expected);
    assertEquals(slots.map(({ sequence }) => sequence), new Array(count).fill(4));
    assertEquals(freeBytes, 0);
  },
);

workerTest("domain: messages go forth and back between threads that sleep", async () => {
  const count = 500;
  const { domain, slot, job } = scene({ messageBytes: 8, history: 4 }, count);
  const back = domain.slot("back", { messageBytes: 8 });
  const echoing = runOnWorker(BODIES, "echo", { ...job(0), back: "back" });
  using waiter = domain.waiter();
  const subscription = waiter.subscribe(back);
  using writer = slot.writer();
  for (let i = 1; i <= count; i++) {
    writer.send(new Uint8Array([i]));
    while (!subscription.next()) await waiter.waitAsync();
    assertEquals(subscription.message()[0], i & 255);
  }
  await echoing;
});

workerTest(
  "domain: a worker that is terminated while it holds, claims and waits is given up",
  async () => {
    const options = { messageBytes: 64, history: 1, holds: 2, writers: 2 };
    const { domain, slot, agreed, job } = scene(options, 1);
    domain.slot("quiet", { messageBytes: 8 });
    using writer = slot.writer();
    writer.send(new Uint8Array(8));
    for (let round = 1; round <= 3; round++) {
      const worker = startWorker(BODIES, "linger", job(1));
      await reach(agreed, AGREED.ready, round);
      worker.terminate();
      // It harms nobody until then.
      for (let i = 0; i < 20; i++) writer.send(new Uint8Array(8));
      const [before] = domain.inspect().slots;
      assertEquals(before!.held.map(({ member }) => member), [1]);
      assertEquals(before!.openWriters.length, 2);
      domain.reclaim(1);
      const { waiters, slots: [after] } = domain.inspect();
      assertEquals([waiters, after!.held, after!.openWriters.length], [0, [], 1]);
    }
  },
);

workerTest("domain: a waiter that is terminated takes no wake-up with it", async () => {
  const { domain, slot, agreed, job } = scene({ messageBytes: 8 }, 1);
  using writer = slot.writer();
  for (let round = 1; round <= 25; round++) {
    const dying = startWorker(BODIES, "receiveAsync", job(1));
    await reach(agreed, AGREED.ready, 2 * round - 1);
    const living = runOnWorker(BODIES, "receiveAsync", job(2));
    await reach(agreed, AGREED.ready, 2 * round);
    dying.terminate();
    writer.send(new Uint8Array(8));
    assertEquals(await living, 1);
    for (const member of [1, 2]) domain.reclaim(member);
  }
});

workerTest("domain: workers that die anywhere are reclaimed while others go on", async () => {
  const options = { messageBytes: 8, history: 2, holds: 2, writers: 3 };
  const { domain, slot, agreed, job } = scene(options, 30_000);
  const others = [2, 3].map((member) => runOnWorker(BODIES, "contend", job(member)));
  const workers: Worker[] = [];
  for (let i = 0; i < 24; i++) {
    workers.push(startWorker(BODIES, "die", { ...job(1), life: 10 + i * 7 }));
    await reach(agreed, AGREED.dead, i + 1);
    domain.reclaim(1);
    assert(!domain.isJoined(1));
  }
  await Promise.all(others);
  assert(slot.sequence >= 60_000);
  const { waiters, slots: [found] } = domain.inspect();
  assertEquals([waiters, found!.held, found!.subscribers], [0, [], []]);
  // All seats, entries and holds can be used.
  const writers = [slot.writer(), slot.writer()];
  for (const writer of writers) for (let n = 0; n < 10; n++) writer.send(new Uint8Array([n]));
  const holds = [slot.hold(), slot.hold({ back: 1 })];
  assertEquals(holds.map((held) => held?.bytes[0]), [9, 8]);
  for (const writer of writers) writer.claim();
  for (const worker of workers) worker.terminate();
  Atomics.notify(agreed, AGREED.never);
});
