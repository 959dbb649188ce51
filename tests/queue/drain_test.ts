/** Draining to streams and sockets: few writes, backpressure, and what a failing sink leaves. */

import { Writable } from "node:stream";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferPool, DrainError, FlushQueue, type WriteFlusher } from "@busbar/busbar";

function make(bufferBytes = 64) {
  const pool = BufferPool.create({ bufferBytes, batchCount: 8, buffersPerBatch: 1 });
  const queue = FlushQueue.create({ pool });
  return { writer: queue.writer(), flusher: queue.flusher() };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.slice());
}

/** Takes bytes a few at a time, and fails where it is told to. */
class Sink {
  readonly writes: string[] = [];
  readonly most: number;
  failAt: number;

  constructor(most = Infinity, failAt = Infinity) {
    this.most = most;
    this.failAt = failAt;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.writes.length === this.failAt) return Promise.reject(new TypeError("broken pipe"));
    const taken = bytes.subarray(0, this.most);
    this.writes.push(text(taken));
    return Promise.resolve(taken.length);
  }
}

const encode = (word: string) => new TextEncoder().encode(word);

Deno.test("messages of several buffers become one write", async () => {
  const { writer, flusher } = make();
  for (let i = 0; i < 10; i++) writer.append(encode(String(i).repeat(20)));
  writer.abort(writer.claim(3));
  writer.append(encode("end"));
  writer.publish();
  const sink = new Sink();
  assertEquals(await flusher.drainTo(sink), 203);
  assertEquals(sink.writes.length, 1);
  assertEquals(await flusher.drainTo(sink), 0);
});

Deno.test("more bytes than fit one write become few writes, and no run is split", async () => {
  const { writer, flusher } = make(30_000);
  const words = [..."abcde"].map((letter) => letter.repeat(20_000));
  for (const word of words) writer.append(encode(word));
  writer.publish();
  const sink = new Sink();
  assertEquals(await flusher.drainTo(sink), 100_000);
  assertEquals(sink.writes.map((write) => write.length), [60_000, 40_000]);
  assertEquals(sink.writes.join(""), words.join(""));
});

Deno.test("no buffer is kept while the sink takes its time", async () => {
  const pool = BufferPool.create({ bufferBytes: 40_000, batchCount: 1, buffersPerBatch: 4 });
  using other = BufferPool.attach(pool.handle);
  const queue = FlushQueue.create({ pool });
  const [writer, flusher] = [queue.writer(), queue.flusher()];
  for (let i = 0; i < 3; i++) writer.append(new Uint8Array(40_000));
  writer.publish();
  let writes = 0;
  await flusher.drainTo({
    async write(bytes) {
      // A writer elsewhere does not have to wait for a buffer.
      if (writes++ === 0) other.release(await other.acquireAsync());
      return bytes.length;
    },
  });
  assertEquals(writes, 3);
});

Deno.test("a message longer than one write is written as it is", async () => {
  const { writer, flusher } = make(100_000);
  writer.append(encode("x"));
  writer.append(encode("y".repeat(100_000)));
  writer.publish();
  const sink = new Sink();
  await flusher.drainTo(sink);
  assertEquals(sink.writes.map((write) => write.length), [1, 100_000]);
});

Deno.test("a sink that takes a few bytes at a time gets all of them in order", async () => {
  const { writer, flusher } = make();
  for (let i = 0; i < 10; i++) writer.append(encode(String(i).repeat(20)));
  writer.publish();
  const sink = new Sink(7);
  assertEquals(await flusher.drainTo(sink), 200);
  assertEquals(sink.writes.join(""), [..."0123456789"].map((digit) => digit.repeat(20)).join(""));
});

Deno.test("bytes that a failing sink did not take come first in the next drain", async () => {
  const { writer, flusher } = make();
  for (let i = 0; i < 10; i++) writer.append(encode(String(i).repeat(20)));
  writer.publish();
  const sink = new Sink(50, 2);
  const error = await assertRejects(
    () => flusher.drainTo(sink),
    DrainError,
    "Cannot drain any further as the sink failed: wrote 100 bytes and kept 100",
  );
  assertEquals([error.bytesWritten, error.bytesKept], [100, 100]);
  assertEquals((error.cause as Error).message, "broken pipe");
  assertEquals(text(flusher.unwritten).slice(0, 3), "555");
  writer.append(encode("more"));
  writer.publish();
  sink.failAt = Infinity;
  assertEquals(await flusher.drainTo(sink), 104);
  assertEquals(
    sink.writes.join(""),
    [..."0123456789"].map((digit) => digit.repeat(20)).join("") + "more",
  );
  assertEquals(flusher.unwritten.length, 0);
});

Deno.test("a run that waits for the next write is not lost when this one fails", async () => {
  const { writer, flusher } = make(50_000);
  writer.append(encode("a".repeat(40_000)));
  writer.append(encode("b".repeat(40_000)));
  writer.publish();
  const sink = new Sink(Infinity, 0);
  await assertRejects(() => flusher.drainTo(sink), DrainError, "wrote 0 bytes and kept 40000");
  // It is the run that comes next, for a drain or for a flush.
  assertEquals(flusher.drain((run) => assertEquals(run.length, 40_000), { timeoutMs: 0 }), 40_000);
  sink.failAt = Infinity;
  assertEquals(await flusher.drainTo(sink), 40_000);
  assertEquals(sink.writes.join(""), "a".repeat(40_000));
});

Deno.test("a sink that returns a wrong count is refused", async () => {
  const { writer, flusher } = make();
  writer.append(encode("abc"));
  writer.publish();
  for (const taken of [0, 4, NaN]) {
    const error = await assertRejects(
      () => flusher.drainTo({ write: () => Promise.resolve(taken) }),
      DrainError,
      "wrote 0 bytes and kept 3",
    );
    assertEquals(
      (error.cause as Error).message,
      `Cannot write any further as 'write' of the sink must return how many bytes it has written, from 1 to 3: received ${taken}`,
    );
  }
});

Deno.test("a stream of Node is refused before anything is written to it", async () => {
  const { writer, flusher } = make();
  writer.append(encode("abc"));
  writer.publish();
  const written: string[] = [];
  const stream = new Writable({
    write: (chunk: Uint8Array, _, done) => done(void written.push(text(chunk))),
  });
  await assertRejects(
    () => flusher.drainTo(stream as unknown as WritableStream<Uint8Array>),
    TypeError,
    "received a stream of Node, so pass Writable.toWeb(stream)",
  );
  assertEquals(written, []);
  assertEquals(await flusher.drainTo(Writable.toWeb(stream)), 3);
  assertEquals(written, ["abc"]);
});

Deno.test("a wrong or locked sink is refused, and another can be drained to", async () => {
  const { writer, flusher } = make();
  writer.append(encode("abc"));
  writer.publish();
  for (const sink of [undefined, {}, "x"]) {
    await assertRejects(
      () => flusher.drainTo(sink as WritableStream<Uint8Array>),
      TypeError,
      "Cannot drain as the sink must be a WritableStream or have a 'write' method: received",
    );
  }
  const locked = new WritableStream<Uint8Array>();
  locked.getWriter();
  await assertRejects(() => flusher.drainTo(locked), TypeError, "locked");
  const sink = new Sink();
  assertEquals(await flusher.drainTo(sink), 3);
});

Deno.test("a stream is awaited after each write, and its lock released at the end", async () => {
  const { writer, flusher } = make(40_000);
  const events: string[] = [];
  let ready = Promise.withResolvers<void>();
  const stream = new WritableStream<Uint8Array>({
    async write(chunk) {
      events.push(`write ${chunk.length}`);
      await ready.promise;
    },
  }, { highWaterMark: 1 });
  for (let i = 0; i < 3; i++) writer.append(new Uint8Array(40_000));
  writer.publish();
  const drained = flusher.drainTo(stream);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(events, ["write 40000"]);
  await assertRejects(() => flusher.drainTo(stream), Error, "Cannot drain as a drain is under way");
  ready.resolve();
  assertEquals(await drained, 120_000);
  assertEquals(events.length, 3);
  assertEquals(stream.locked, false);

  ready = Promise.withResolvers();
  ready.reject(new TypeError("disk full"));
  writer.append(new Uint8Array(5));
  writer.publish();
  await assertRejects(() => flusher.drainTo(stream), DrainError, "wrote 0 bytes and kept 5");
  assertEquals([flusher.unwritten.length, stream.locked], [5, false]);
});

/** The numbers of runs of 8,000 equal bytes. */
function numbers(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length / 8000 }, (_, i) => bytes[i * 8000]!);
}

/** A flusher of twelve runs of 8,000 bytes, of which a drain writes eight at once. */
function makeTwelve() {
  const pool = BufferPool.create({ bufferBytes: 8192, batchCount: 16, buffersPerBatch: 1 });
  const queue = FlushQueue.create({ pool });
  const writer = queue.writer();
  for (let i = 0; i < 12; i++) writer.append(new Uint8Array(8000).fill(i));
  writer.publish();
  return { queue, flusher: queue.flusher() };
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

Deno.test("the run that a failed drain had reached is the next one, by every way to ask for it", async () => {
  const ways: Record<string, (flusher: WriteFlusher, seen: number[]) => unknown> = {
    "next, after poll": (flusher, seen) => {
      while (flusher.poll()) while (flusher.next()) seen.push(...numbers(flusher.view()));
    },
    "next": (flusher, seen) => {
      while (flusher.next()) seen.push(...numbers(flusher.view()));
    },
    "next, after a wait": (flusher, seen) => {
      assert(flusher.wait({ timeoutMs: 0 }));
      while (flusher.next()) seen.push(...numbers(flusher.view()));
    },
    flush: (flusher, seen) =>
      flusher.drain((run) => seen.push(...numbers(run.view())), { timeoutMs: 0 }),
  };
  for (const [name, way] of Object.entries(ways)) {
    const { flusher } = makeTwelve();
    const failing = { write: () => Promise.reject(new Error("full")) };
    await assertRejects(() => flusher.drainTo(failing), DrainError, "and kept 64000. full");
    const seen = numbers(flusher.unwritten);
    way(flusher, seen);
    assertEquals(seen, ALL, name);
  }
});

Deno.test("a run whose visit failed is the next one, by every way to ask for it", async () => {
  const fail = () => {
    throw new Error("not now");
  };
  for (const way of ["next", "poll", "drain", "another flusher"]) {
    const { queue, flusher } = makeTwelve();
    assertThrows(() => flusher.drain(fail), Error, "not now");
    const seen: number[] = [];
    const write = (bytes: Uint8Array) => {
      seen.push(...numbers(bytes));
      return Promise.resolve(bytes.length);
    };
    if (way === "drain") await flusher.drainTo({ write });
    if (way === "another flusher") flusher[Symbol.dispose]();
    const reader = way === "another flusher" ? queue.flusher() : flusher;
    while (way === "next" ? reader.next() : reader.poll() && reader.next()) {
      seen.push(...numbers(reader.view()));
    }
    assertEquals(seen, ALL, way);
  }
});

Deno.test("while a drain or a visit is under way nothing else takes runs", async () => {
  const { flusher } = makeTwelve();
  const calls: Record<string, () => unknown> = {
    "poll": () => flusher.poll(),
    "go on to the next run": () => flusher.next(),
    "drain": () => flusher.drain(() => {}),
  };
  const refuse = (why: string) => {
    for (const [action, call] of Object.entries(calls)) {
      assertThrows(call, Error, `Cannot ${action} as a ${why}`);
    }
  };
  const seen: number[] = [];
  let writes = 0;
  await flusher.drainTo({
    async write(bytes) {
      refuse("drain is under way: await it first");
      await assertRejects(() => flusher.drainAsync(() => {}), Error, "Cannot drain as a drain");
      await assertRejects(
        () => flusher.drainTo({ write: () => Promise.resolve(1) }),
        Error,
        "drain",
      );
      writes++;
      seen.push(...numbers(bytes));
      return bytes.length;
    },
  });
  assertEquals([writes, seen], [2, ALL]);

  const visited = makeTwelve().flusher;
  Object.assign(calls, {
    "poll": () => visited.poll(),
    "go on to the next run": () => visited.next(),
    "drain": () => visited.drain(() => {}),
    "close the flusher": () => visited.close(),
  });
  const visits: number[] = [];
  visited.drain((run) => {
    refuse("visit is under way: return from it first");
    visits.push(...numbers(run.view()));
  });
  assertEquals(visits, ALL);
  visited[Symbol.dispose]();
});

Deno.test("a drain refuses a visit that is no function, before it waits", async () => {
  const { flusher } = makeTwelve();
  const nothing = undefined as unknown as () => void;
  assertThrows(
    () => flusher.drain(nothing),
    TypeError,
    "Cannot drain as 'visit' must be a function: received undefined",
  );
  await assertRejects(() => flusher.drainAsync(nothing), TypeError, "'visit' must be a function");
});

Deno.test("a sink may transfer the bytes that it writes, and loses them if it fails after that", async () => {
  const { writer, flusher } = make();
  const send = (word: string) => writer.send(encode(word));
  const written: string[] = [];
  const transferTo = (result: (bytes: number) => number) => ({
    write(bytes: Uint8Array<ArrayBuffer>) {
      const moved = structuredClone(bytes, { transfer: [bytes.buffer] });
      const count = result(moved.length);
      written.push(text(moved.subarray(0, count)));
      return Promise.resolve(count);
    },
  });
  send("one");
  assertEquals(await flusher.drainTo(transferTo((length) => length)), 3);
  send("two");
  const error = await assertRejects(() => flusher.drainTo(transferTo(() => 1)), DrainError);
  assertEquals([error.bytesWritten, error.bytesKept, flusher.unwritten.length], [1, 0, 0]);
  send("three");
  assertEquals(await flusher.drainTo(transferTo((length) => length)), 5);
  assertEquals(written, ["one", "t", "three"]);
});

Deno.test("a visit that returns a promise is refused, and its run comes again", async () => {
  const { flusher } = makeTwelve();
  const visit = (run: WriteFlusher) => Promise.resolve(run.length);
  const message = "Cannot drain as 'visit' must be synchronous: received a promise from it";
  const first = await assertRejects(() => flusher.drainAsync(visit), TypeError, message);
  assertThrows(() => flusher.drain(visit), TypeError, first.message);
  assertThrows(() => flusher.tryDrain(visit), TypeError, first.message);
  const visits: number[] = [];
  flusher.drain((run) => void visits.push(...numbers(run.view())));
  assertEquals(visits, ALL);
});

Deno.test("a drain goes to a stream that has no queue of its own", async () => {
  for (const highWaterMark of [0, 1, 5]) {
    const { writer, flusher } = make();
    for (let i = 0; i < 10; i++) writer.append(encode(String(i).repeat(20)));
    writer.publish();
    let bytes = 0;
    let isWriting = false;
    const sink = new WritableStream<Uint8Array>({
      async write(chunk) {
        assert(!isWriting, "it did not await the write before");
        isWriting = true;
        await new Promise((resolve) => setTimeout(resolve, 1));
        bytes += chunk.length;
        isWriting = false;
      },
    }, { highWaterMark });
    assertEquals(await flusher.drainTo(sink), 200);
    assertEquals([bytes, sink.locked], [200, false]);
  }
});

Deno.test("a drain whose flusher is closed says how much it wrote", async () => {
  const { queue, flusher } = makeTwelve();
  const seen: number[] = [];
  const error = await assertRejects(
    () =>
      flusher.drainTo({
        write(bytes) {
          seen.push(...numbers(bytes));
          flusher[Symbol.dispose]();
          return Promise.resolve(bytes.length);
        },
      }),
    DrainError,
    "Cannot drain any further as the flusher failed: wrote 64000 bytes and kept 0",
  );
  assertEquals(error.bytesWritten, 64_000);
  const next = queue.flusher();
  while (next.poll()) while (next.next()) seen.push(...numbers(next.view()));
  assertEquals(seen, ALL);
});
