/**
 * What must work on every platform, with real workers. No scenario blocks the thread that runs it,
 * so that thread may be the main one of a page.
 *
 * Only what every platform has is used: no test runner, no `using`, no assertions but these.
 *
 * @module
 */

import {
  array,
  Broadcast,
  BufferPool,
  bytes,
  Channel,
  ChannelClosedError,
  defineRecord,
  Disruptor,
  Domain,
  EventCount,
  FloatRing,
  FlushQueue,
  FrameDecoderStream,
  FrameEncoderStream,
  jsonCodec,
  lengthPrefixed,
  Memory,
  Mutex,
  PacketWriter,
  Parker,
  Reassembler,
  RwLock,
  Semaphore,
  textCodec,
  utf8,
  WaiterQueue,
} from "../../mod.ts";
import { ExplorationError, explore } from "../../model/mod.ts";
import {
  type Answer,
  type DomainJob,
  type EchoJob,
  Order,
  type QueueJob,
  type RingJob,
  type Shared,
  type Task,
} from "./bodies.ts";

/** A worker that does one task. */
export interface Running {
  readonly result: Promise<unknown>;
  terminate(): Promise<unknown>;
}

/** How a platform runs workers. */
export interface Runtime {
  start(task: Task): Running;
  /** How long after `terminate` a worker that blocks is dead; never if infinite. */
  readonly deathMs: number;
  /** Whether this thread may block. */
  readonly mayBlock: boolean;
}

function assertEquals(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`Expected ${b}: received ${a}`);
}

function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("Expected a rejection");
}

/** How long a scenario may take. */
const LIMIT_MS = 20_000;

const pause = (ms = 1) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function share(rounds: number): Shared & { things: Things } {
  const things = {
    mutex: Mutex.create(),
    lock: RwLock.create(),
    semaphore: Semaphore.create({ permits: 0 }),
    parker: Parker.create(),
    count: EventCount.create(),
  };
  return {
    things,
    mutex: things.mutex.handle,
    lock: things.lock.handle,
    semaphore: things.semaphore.handle,
    parker: things.parker.handle,
    count: things.count.handle,
    words: new Int32Array(new SharedArrayBuffer(16)),
    rounds,
  };
}

interface Things {
  mutex: Mutex;
  lock: RwLock;
  semaphore: Semaphore;
  parker: Parker;
  count: EventCount;
}

/** What a worker can be sent of it. */
function sendable({ things: _, ...shared }: Shared & { things: Things }): Shared {
  return shared;
}

function lock(word: Int32Array): void {
  while (Atomics.compareExchange(word, 0, 0, 1) !== 0) Atomics.wait(word, 0, 1);
}

const increment = (unlock: (word: Int32Array) => void) => (memory: Int32Array) => {
  lock(memory);
  memory[1] = memory[1]! + 1;
  unlock(memory);
};

/** A model of two threads that increment a word under a lock. */
export function lockModel(notifies: boolean) {
  const body = increment((word) => {
    Atomics.store(word, 0, 0);
    if (notifies) Atomics.notify(word, 0, 1);
  });
  return {
    setup: () => new Int32Array(new SharedArrayBuffer(8)),
    threads: { a: body, b: body },
    check: (memory: Int32Array) => assertEquals(memory[1], 2),
  };
}

/** The scenarios, by what they show. */
export const scenarios: Record<string, (runtime: Runtime) => Promise<void>> = {
  async "two workers lock a mutex, blocking"({ start }) {
    const shared = share(2000);
    const argument = sendable(shared);
    const workers = [1, 2].map(() => start({ body: "increment", argument }));
    await Promise.all(workers.map(({ result }) => result));
    assertEquals([shared.words[0], shared.things.mutex.isLocked], [4000, false]);
  },

  async "a worker waits in every way that blocks"({ start }) {
    const shared = share(0);
    const { lock, semaphore, parker, count } = shared.things;
    const writing = await lock.writeAsync();
    const { result } = start({ body: "waitForEach", argument: sendable(shared) });
    await count.untilAsync(() => Atomics.load(shared.words, 1) === 1);
    semaphore.release();
    parker.unpark();
    writing.release();
    assertEquals(await result, ["timed: true", "acquired", "parked: true", "read"]);
  },

  async "this thread awaits, for a time, until aborted, and what comes"() {
    const mutex = Mutex.create();
    const guard = await mutex.lockAsync();
    const other = Mutex.attach(mutex.handle);
    assertEquals(await other.lockAsync({ timeoutMs: 5 }), undefined);
    const controller = new AbortController();
    const aborted = rejection(other.lockAsync({ signal: controller.signal }));
    await pause();
    controller.abort(new Error("enough"));
    assertEquals((await aborted).message, "enough");
    const locking = other.lockAsync();
    guard.release();
    (await locking).release();

    const free: number[] = [];
    const store = { take: () => free.pop(), put: (value: number) => void free.push(value) };
    const waiters = WaiterQueue.create().join(store);
    const taking = waiters.takeAsync();
    waiters.release(7);
    assertEquals(await taking, 7);
  },

  async "writers on workers wait for buffers, and this thread flushes"({ start }) {
    const pool = BufferPool.create({ bufferBytes: 64, batchCount: 6, buffersPerBatch: 1 });
    const queue = FlushQueue.create({ pool });
    const flusher = queue.flusher();
    const messages = 500;
    const workers = [1, 2].map((value) => {
      const job: QueueJob = { pool: pool.handle, queue: queue.handle, messages, value };
      return start({ body: "writeQueue", argument: job }).result;
    });
    let sum = 0;
    for (let received = 0; received < 2 * messages;) {
      await flusher.drainAsync((run) => {
        received += run.messageCount;
        for (const byte of run.view()) sum += byte;
      });
    }
    await Promise.all(workers);
    assertEquals(sum, 2 * messages * (1 + 2));
    const text = PacketWriter.create(pool);
    assert(await text.sendAsync(new Uint8Array([1])), "no room for a message");
  },

  async "a worker answers over channels, blocking, and this thread awaits"({ start }) {
    const pool = BufferPool.create({ bufferBytes: 4096, batchCount: 4, buffersPerBatch: 1 });
    const questions = Channel.create({ capacity: 4, codec: textCodec, pool });
    const answers = Channel.create({
      capacity: 2,
      codec: jsonCodec<Answer>(),
      senders: 1,
      receivers: 1,
      closeWithLastSender: true,
    });
    const samples = FloatRing.create({ capacity: 8192 });
    const job: EchoJob = {
      questions: questions.handle,
      answers: answers.handle,
      pool: pool.handle,
      samples: samples.handle,
    };
    const { result } = start({ body: "echo", argument: job });
    const sender = questions.sender();
    const asking = (async () => {
      for (let i = 0; i < 100; i++) {
        await sender.sendAsync(i % 10 === 0 ? "long ".repeat(500) : `question ${i}`);
      }
      questions.close();
    })();
    let sum = 0;
    const texts: string[] = [];
    for await (const { count, text } of answers.receiver()) {
      sum += count;
      texts.push(text);
    }
    await asking;
    assertEquals([await result, sum, texts.length], [100, 4950, 100]);
    assertEquals([texts[1], texts[10]], ["QUESTION 1", "LONG ".repeat(8)]);
    const refused = await rejection(sender.sendAsync("late"));
    assert(refused instanceof ChannelClosedError, `${refused}`);
    const block = new Float32Array(64);
    assert(samples.pop(block) && samples.pop(block), "no samples arrived");
    assertEquals(block[63], 1);
  },

  async "messages go through the framing stages, from one buffer that is used again"() {
    const pool = BufferPool.create({
      bufferBytes: 32,
      batchCount: 1,
      buffersPerBatch: 1,
      debug: true,
    });
    const framing = lengthPrefixed({ prefixBytes: 1 });
    const encoder = new FrameEncoderStream(framing);
    const packets = encoder.readable.pipeThrough(new FrameDecoderStream(pool, framing));
    const writer = encoder.writable.getWriter();
    const write = async () => {
      const scratch = new Uint8Array(20);
      for (let i = 1; i <= 50; i++) {
        scratch.fill(i);
        await writer.write(scratch.subarray(0, i % 20));
      }
      await writer.close();
    };
    const reader = packets.getReader();
    const read = async () => {
      let sum = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return sum;
        for (const byte of value.bytes) sum += byte;
        value.release();
      }
    };
    const [, sum] = await Promise.all([write(), read()]);
    let expected = 0;
    for (let i = 1; i <= 50; i++) expected += i * (i % 20);
    assertEquals([sum, pool.usage().inUse], [expected, 0]);
  },

  async "a worker reads a ring, blocking, and this thread writes"({ start }) {
    const ring = Broadcast.create({ capacityBytes: 64 * 1024 });
    const ready = new Int32Array(new SharedArrayBuffer(4));
    const job: RingJob = { ring: ring.handle, messages: 1000, ready };
    const { result } = start({ body: "readRing", argument: job });
    while (Atomics.load(ready, 0) === 0) await pause();
    const writer = ring.writer();
    let sum = 0;
    for (let i = 0; i < job.messages; i++) {
      writer.send(new Uint8Array([i]));
      sum += i & 255;
      if (i % 100 === 0) await pause();
    }
    assertEquals(await result, sum);
  },

  async "a worker writes a ring, and this thread iterates over it"({ start }) {
    const ring = Broadcast.create({ capacityBytes: 64 * 1024 });
    const messages = Reassembler.create(ring.reader());
    const ready = new Int32Array(new SharedArrayBuffer(4));
    const job: RingJob = { ring: ring.handle, messages: 300, ready };
    const { result } = start({ body: "writeRing", argument: job });
    let count = 0;
    for await (const message of messages) {
      assertEquals([...message], [count & 255, count & 255, count & 255, count & 255]);
      if (++count === job.messages) break;
    }
    await result;
    const iterating = messages.messages();
    const next = iterating.next();
    await iterating.return();
    assertEquals((await next).done, true);
  },

  async "a worker waits for a set of slots, and this thread iterates over its answers"({ start }) {
    const domain = Domain.create({ slots: 3, dataBytes: 64 * 1024 });
    const questions = domain.slot("questions", { messageBytes: 8, history: 4 });
    const answers = domain.slot("answers", { messageBytes: 8, history: 4 });
    const job: DomainJob = { domain: domain.handle, messages: 200 };
    const writer = questions.writer();
    const iterating = answers.messages()[Symbol.asyncIterator]();
    const { result } = start({ body: "answer", argument: job });
    for (let i = 0; i < job.messages; i++) {
      const next = iterating.next();
      writer.send(new Uint8Array([i]));
      const { value } = await next;
      assertEquals([...value!], [(i + 1) & 255]);
    }
    await result;
    assertEquals((await iterating.next()).done, true);
    const held = answers.hold()!;
    assertEquals([held.sequence, held.bytes[0]], [200, 200]);
    held.release();
    writer.close();
    const { waiters, slots } = domain.inspect();
    assertEquals([waiters, slots.map(({ openWriters }) => openWriters.length)], [0, [0, 0, 0]]);
  },

  async "what a terminated worker had of a domain is given up"({ start }) {
    const domain = Domain.create({ slots: 1, dataBytes: 64 * 1024, member: 0 });
    const options = { messageBytes: 8, holds: 1, writers: 2 };
    const slot = domain.slot("questions", options);
    const writer = slot.writer();
    writer.send(new Uint8Array([1]));
    const worker = start({ body: "hoard", argument: { domain: domain.handle, messages: 0 } });
    await worker.result;
    await worker.terminate();
    for (let i = 0; i < 10; i++) writer.send(new Uint8Array([i]));
    assertEquals(domain.isJoined(1), true);
    domain.reclaim(1);
    const held = slot.hold()!;
    assertEquals(held.bytes[0], 9);
    held.release();
    const other = slot.writer();
    other.claim();
    other.close();
    assertEquals([domain.inspect().waiters, domain.isJoined(1)], [0, false]);
  },

  async "records go through a ring, on a platform with or without encoders"() {
    const Level = defineRecord({ price: "f64", size: "u16" });
    const Trade = defineRecord({
      id: "u32",
      at: "i64",
      symbol: utf8(8),
      digest: bytes(3),
      sums: array("f32", 2),
      levels: array(Level, 2),
    });
    const ring = Broadcast.create({ capacityBytes: 4096 });
    const [writer, reader] = [ring.writer(), ring.reader()];
    const sent = Trade.view(writer.bytes);
    sent.moveTo(writer.claim(Trade.byteLength));
    Trade.write(sent, sent.byteOffset, {
      id: 0,
      at: -5n,
      symbol: "BTC/€",
      digest: new Uint8Array([1, 2, 3]),
      sums: [1, 0.5],
      levels: [{ price: 1, size: 2 }, { price: 3, size: 4 }],
    });
    sent.id = 2 ** 32 - 1;
    writer.commit();
    writer.publish();
    assert(reader.poll() && reader.next(), "nothing arrived");
    const { id, at, symbol, digest, sums, levels } = Trade.read(reader.bytes, reader.offset);
    assertEquals([id, `${at}`, symbol, [...digest]], [2 ** 32 - 1, "-5", "BTC/€", [1, 2, 3]]);
    assertEquals([sums, levels], [[1, 0.5], [{ price: 1, size: 2 }, { price: 3, size: 4 }]]);
    const refusal = await rejection(Promise.resolve().then(() => sent.id = -1));
    assert(refusal.message.includes("field 'id' must be a whole number"), refusal.message);
  },

  async "records go through a diamond of workers, and this thread awaits both ends"({ start }) {
    const events = 500;
    const { handle } = Disruptor.create({
      capacity: 16,
      elements: { record: Order.handle },
      consumers: {
        left: {},
        right: {},
        join: { after: ["left", "right"] },
        watch: { after: "join", observer: true },
      },
      start: 2 ** 28 - 100,
    });
    const disruptor = Disruptor.attach(handle, { record: Order });
    const workers = (["left", "right"] as const)
      .map((node) => start({ body: "fillField", argument: { handle, node } }));
    const join = async () => {
      const consumer = disruptor.consumer("join");
      const order = Order.view(consumer.events);
      let sum = 0;
      for await (const batch of consumer.batches()) {
        for (let slot = batch.begin; slot < batch.end; slot++) {
          order.moveTo(batch.offset(slot));
          sum += order.left + order.right - order.price;
        }
      }
      return sum;
    };
    const sum = join();
    const producer = disruptor.producer();
    const order = Order.view(producer.events);
    for (let id = 0; id < events; id++) {
      order.moveTo(producer.offset(await producer.claimAsync()));
      order.id = id;
      order.price = id / 2;
      producer.publish();
    }
    assert(await disruptor.drainAsync(), "it was halted");
    assertEquals(await sum, (events * (events - 1) / 2) * 3.5);
    assertEquals(await Promise.all(workers.map(({ result }) => result)), [events, events]);
    const observer = disruptor.observer("watch");
    const bytes = new Uint8Array(16 * Order.byteLength);
    let seen = 0;
    for (let count; (count = observer.read(bytes)) > 0;) seen += count;
    assertEquals(seen + observer.lost, events);
  },

  async "a worker copies out of a large memory, as it can where it runs"({ start }) {
    const memory = Memory.create({ byteLength: 256 * 1024 });
    const bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < 1000; i++) bytes[100_000 + i] = i;
    const { result } = start({ body: "copyOut", argument: memory.handle });
    const isInWebAssembly = memory.handle.webAssembly !== undefined;
    assertEquals(await result, [isInWebAssembly, bytes.slice(100_000, 101_000).join()]);
    assertEquals(bytes.slice(0, 500).join(), bytes.slice(100_000, 100_500).join());
  },

  async "a worker that is terminated while it blocks ends as the platform says"(runtime) {
    const shared = share(0);
    const { mutex } = shared.things;
    const guard = await mutex.lockAsync();
    const worker = runtime.start({ body: "lockOnce", argument: sendable(shared) });
    worker.result.catch(() => {});
    const state = new Int32Array(mutex.handle.memory.buffer);
    while (Atomics.load(state, 2) !== 2) await pause();
    await pause(20);
    await worker.terminate();
    const dies = runtime.deathMs < Infinity;
    await pause(dies ? runtime.deathMs : 20);
    const other = Mutex.attach(mutex.handle).lockAsync();
    guard.release();
    mutex.reclaimWakeups();
    (await other).release();
    while (!dies && Atomics.load(shared.words, 2) === 0) await pause();
    await pause(20);
    assertEquals([Atomics.load(shared.words, 2), mutex.isLocked], [dies ? 0 : 1, false]);
  },

  async "a call that may not block says what to call instead"({ mayBlock }) {
    const mutex = Mutex.create();
    const guard = await mutex.lockAsync();
    const other = Mutex.attach(mutex.handle);
    const call = Promise.resolve().then(() => other.lock({ timeoutMs: 1 }));
    if (mayBlock) assertEquals(await call, undefined);
    else assert((await rejection(call)).message.includes("lockAsync() for lock()"), "no hint");
    guard.release();
    (await other.lockAsync()).release();
  },

  async "the explorer passes what is right"() {
    const report = await explore(lockModel(true));
    assertEquals(report.complete, true);
    assert(report.executions > 1, "it explored nothing");
  },

  async "the explorer shows the schedule of what is wrong, with the caller's lines"() {
    const error = await rejection(explore(lockModel(false)));
    assert(error instanceof ExplorationError, `it failed otherwise: ${error.stack}`);
    const { failure, replay, steps } = error as ExplorationError;
    assertEquals(failure.kind, "deadlock");
    const lines = steps.flatMap((step) => step.lines ?? []).join("\n");
    assert(/\block\d*\b/.test(lines), `no line of the code under test: ${lines}`);
    assert((error as ExplorationError).toHtml().includes("<html"), "no page");
    const again = await rejection(explore({ ...lockModel(false), replay }));
    assertEquals((again as ExplorationError).failure.kind, "deadlock");
  },

  async "the explorer explores asynchronous bodies, and leaves no rejection behind"() {
    const report = await explore({
      setup: () => new Int32Array(new SharedArrayBuffer(8)),
      threads: {
        async waiter(word) {
          if (Atomics.load(word, 0) === 0) await Atomics.waitAsync(word, 0, 0).value;
          return Atomics.load(word, 0);
        },
        notifier(word) {
          Atomics.store(word, 0, 1);
          Atomics.notify(word, 0);
        },
      },
      check: (_, { waiter }) => assertEquals(waiter, 1),
    });
    assertEquals(report.complete, true);
    await pause(5);
  },
};

/** Runs all scenarios, and says how each went: `ok NAME`, or `not ok NAME: WHY`. */
export async function runSuite(runtime: Runtime, say: (line: string) => void): Promise<void> {
  for (const [name, scenario] of Object.entries(scenarios)) {
    let limit: ReturnType<typeof setTimeout> | undefined;
    const hanging = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error("it hangs")), LIMIT_MS);
    });
    try {
      await Promise.race([scenario(runtime), hanging]);
      say(`ok ${name}`);
    } catch (error) {
      const { stack } = error as Error;
      say(`not ok ${name}: ${(stack ?? String(error)).replaceAll("\n", " | ")}`);
    } finally {
      clearTimeout(limit);
    }
  }
}
