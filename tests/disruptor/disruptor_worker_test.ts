/** The disruptor on real workers: checksums and backpressure, in rings that are often full. */

import { assert, assertEquals } from "@std/assert";
import { Disruptor, type GraphOptions } from "@busbar/busbar/disruptor";
import { CURSOR, SLEEPING } from "../../src/disruptor/layout.ts";
import { workerTest } from "../permission.ts";
import { runOnWorker, startWorker } from "../workers.ts";
import {
  type Job,
  type Observed,
  RANGE,
  type Seen,
  SLOT_BYTES,
  type WaitingJob,
} from "./bodies.ts";

const BODIES = import.meta.resolve("./bodies.ts");
const EVENTS = 20_000;

const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Runs producers and the consumers of all nodes; returns what each of these has seen. */
async function run(consumers: GraphOptions, producers: number, start = 0): Promise<Seen[]> {
  const disruptor = Disruptor.create({
    capacity: 64,
    elements: "i32",
    producers: producers === 1 ? "single" : producers,
    consumers,
    start,
  });
  const job: Job = { handle: disruptor.handle, name: "", first: 0, events: EVENTS, batch: 50 };
  const names = Object.entries(consumers)
    .flatMap(([name, { workers = 1 }]) => new Array<string>(workers).fill(name));
  const seen = Promise.all(
    names.map((name) => runOnWorker<Seen>(BODIES, "consume", { ...job, name })),
  );
  await Promise.all(
    Array.from(
      { length: producers },
      (_, i) => runOnWorker<void>(BODIES, "produce", { ...job, first: i * RANGE }),
    ),
  );
  assertEquals(await disruptor.drainAsync(), true);
  return await seen;
}

/** The sum of everything that is sent. */
function expectedSum(producers: number): number {
  const each = EVENTS * (EVENTS - 1) / 2;
  return producers * each + producers * (producers - 1) / 2 * RANGE * EVENTS;
}

workerTest("disruptor: every node of a graph sees every event in order", async () => {
  const graph = { a: {}, b: { after: "a" }, c: { after: "a" }, d: { after: ["b", "c"] } };
  for (const seen of await run(graph, 1, 2 ** 28 - 1000)) {
    assertEquals(seen, { count: EVENTS, sum: expectedSum(1), gaps: 0 });
  }
});

workerTest("disruptor: three producers lose nothing", async () => {
  const [seen] = await run({ a: {} }, 3, 2 ** 28 - 1000);
  assertEquals(seen, { count: 3 * EVENTS, sum: expectedSum(3), gaps: 0 });
});

workerTest("disruptor: competing workers share events, and the next node sees all", async () => {
  const seen = await run({ a: { workers: 3 }, b: { after: "a" } }, 2);
  const last = seen.pop();
  assertEquals(last, { count: 2 * EVENTS, sum: expectedSum(2), gaps: 0 });
  assertEquals(seen.reduce((sum, { count }) => sum + count, 0), 2 * EVENTS);
  assertEquals(seen.reduce((total, { sum }) => total + sum, 0), expectedSum(2));
});

workerTest(
  "disruptor: observers see whole events in order, and are told what they lose",
  async () => {
    const disruptor = Disruptor.create({
      capacity: 64,
      elements: { bytes: SLOT_BYTES },
      consumers: { a: {}, near: { observer: true }, after: { after: "a", observer: true } },
      start: 2 ** 27 - 1000,
    });
    const job = { handle: disruptor.handle, name: "", first: 0, events: EVENTS, batch: 10 };
    const observers = ["near", "after"]
      .map((name) => runOnWorker<Observed>(BODIES, "observe", { ...job, name }));
    const producer = runOnWorker<void>(BODIES, "produceWide", job);
    const consumer = disruptor.consumer("a");
    let count = 0;
    for await (const batch of consumer.batches()) {
      count += batch.count;
      if (count === EVENTS) disruptor.drain({ timeoutMs: 0 });
    }
    await producer;
    for (const { received, lost, torn } of await Promise.all(observers)) {
      assertEquals([received + lost, torn], [EVENTS, 0]);
      assert(received > 0);
    }
  },
);

workerTest("disruptor: nodes come and go while events flow through the others", async () => {
  const disruptor = Disruptor.create({
    capacity: 64,
    elements: "i32",
    producers: 2,
    consumers: { a: {}, b: { after: "a" }, c: { absent: true }, d: { absent: true, workers: 2 } },
    start: 2 ** 28 - 1000,
  });
  const job: Job = { handle: disruptor.handle, name: "", first: 0, events: EVENTS, batch: 50 };
  const seen = Promise.all(
    ["a", "b"].map((name) => runOnWorker<Seen>(BODIES, "consume", { ...job, name })),
  );
  let isDone = false;
  const producers = Promise.all(
    [0, 1].map((i) => runOnWorker<void>(BODIES, "produce", { ...job, first: i * RANGE })),
  ).then(() => isDone = true);
  const gaps: number[][] = [];
  while (!isDone) {
    for (const name of ["c", "d"] as const) {
      const visitor = disruptor.consumer(name);
      const next = [0, RANGE];
      for (let batches = 0; batches < 3; batches++) {
        await visitor.waitAsync({ timeoutMs: 1 });
        visitor.poll(10);
        for (let slot = visitor.begin; slot < visitor.end; slot++) {
          const number = visitor.events[slot]!;
          const producer = Math.floor(number / RANGE);
          // From where the visitor begins on, each producer's events follow one another.
          const isFirst = next[producer] === producer * RANGE;
          if (!isFirst && number !== next[producer]) gaps.push([number, next[producer]!]);
          next[producer] = number + 1;
        }
      }
      visitor.release();
      visitor.close();
      disruptor.remove(name);
    }
    await delay(1);
  }
  await producers;
  assertEquals(await disruptor.drainAsync(), true);
  for (const node of await seen) {
    assertEquals(node, { count: 2 * EVENTS, sum: expectedSum(2), gaps: 0 });
  }
  assertEquals(gaps, []);
});

workerTest("disruptor: a graph goes on without a worker that was terminated", async () => {
  const disruptor = Disruptor.create({
    capacity: 16,
    elements: "i32",
    consumers: { a: { workers: 2 }, b: { after: "a" } },
  });
  const job: Job = { handle: disruptor.handle, name: "a", first: 0, events: 0, batch: 1 };
  const worker = startWorker(BODIES, "consumeAsync", job);
  const producer = disruptor.producer();
  const b = disruptor.consumer("b");
  producer.sendAll([1, 2, 3, 4]);
  // It has released all, and awaits more: so it is dead as soon as it is terminated.
  const words = new Int32Array(disruptor.handle.memory.buffer, disruptor.handle.byteOffset);
  while (b.lag < 4 || (Atomics.load(words, CURSOR) & SLEEPING) === 0) await delay(1);
  worker.terminate();
  disruptor.reclaim("a", { worker: 0, then: "remove" });
  const a = disruptor.consumer("a");
  assertEquals(a.worker, 0);
  let sent = 4;
  let seen = 0;
  while (sent < 100 || b.lag > 0) {
    if (sent < 100) sent += producer.trySendAll(new Array(100 - sent).fill(sent));
    a.poll();
    a.release();
    seen += b.poll();
    b.release();
  }
  assertEquals(seen, 100);
  a.close();
  disruptor.remove("a");
  disruptor.drain({ timeoutMs: 0 });
  assertEquals([b.wait(), disruptor.drain()], [false, true]);
});

/**
 * The most operations of a wait for an event that takes milliseconds: a thread that sleeps needs
 * some ten, after looking for a while some hundred more. One that only looks performs a hundred
 * thousand.
 */
const MOST_PER_WAIT = 2000;

for (const strategy of ["blocking", "phased"] as const) {
  workerTest(`disruptor: a stage sleeps while it waits for another one, ${strategy}`, async () => {
    const events = 20;
    const disruptor = Disruptor.create({
      capacity: 64,
      elements: "i32",
      consumers: { slow: {}, next: { after: "slow" } },
    });
    const job: WaitingJob = {
      handle: disruptor.handle,
      name: "slow",
      first: 0,
      events,
      batch: 1,
      strategy,
    };
    const slow = runOnWorker<void>(BODIES, "consumeSlowly", job);
    const next = runOnWorker<number>(BODIES, "countConsumer", { ...job, name: "next" });
    const producer = disruptor.producer();
    for (let i = 0; i < events; i++) producer.send(i);
    assertEquals(await disruptor.drainAsync(), true);
    await slow;
    const operations = await next;
    assert(operations < events * MOST_PER_WAIT, `${operations} operations`);
  });

  workerTest(`disruptor: producers sleep while they wait for room, ${strategy}`, async () => {
    const events = 10;
    const disruptor = Disruptor.create({
      capacity: 1,
      elements: "i32",
      producers: 3,
      consumers: { slow: {} },
    });
    const job: WaitingJob = {
      handle: disruptor.handle,
      name: "slow",
      first: 0,
      events,
      batch: 1,
      strategy,
    };
    const slow = runOnWorker<void>(BODIES, "consumeSlowly", job);
    const counts = await Promise.all(
      [1, 2, 3].map(() => runOnWorker<number>(BODIES, "countProducer", job)),
    );
    assertEquals(await disruptor.drainAsync(), true);
    await slow;
    // Each waits for the events of all three.
    for (const operations of counts) {
      assert(operations < 3 * events * MOST_PER_WAIT, `${operations} operations`);
    }
  });
}
