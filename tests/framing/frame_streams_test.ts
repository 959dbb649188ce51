/**
 * The stages of a pipeline keep the contract of the Streams standard: the ownership of chunks and
 * packets, the propagation of errors to both sides, and the release of all buffers.
 */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  BufferPool,
  FrameDecoderStream,
  FrameEncoderStream,
  FramingError,
  lengthPrefixed,
  type Packet,
} from "@busbar/busbar";

const framing = lengthPrefixed({ prefixBytes: 1 });

/** A pool that reports leaks when it is closed. */
const pool = (bufferBytes: number, batchCount: number) =>
  BufferPool.create({ bufferBytes, batchCount, buffersPerBatch: 1, debug: true });

const pause = (ms = 2) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Frames of one byte each. */
const frames = (...values: number[]) => new Uint8Array(values.flatMap((value) => [1, value]));

/** Reads the only byte of a packet, and releases the packet. */
function take(packet: Packet | undefined): number {
  using taken = packet;
  return taken!.bytes[0]!;
}

async function readAll(readable: ReadableStream<Packet>): Promise<number[]> {
  const seen: number[] = [];
  for await (const packet of readable) seen.push(take(packet));
  return seen;
}

/** Whether a promise has settled, after some milliseconds. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await pause();
  return settled;
}

Deno.test("a producer may reuse a chunk once its write has settled", async () => {
  using buffers = pool(4, 4);
  const stage = new FrameDecoderStream(buffers, framing);
  const reading = readAll(stage.readable);
  const writer = stage.writable.getWriter();
  const scratch = new Uint8Array(8);
  for (const first of [1, 11]) {
    scratch.set(frames(first, first + 1, first + 2, first + 3));
    await writer.write(scratch);
    scratch.fill(99);
  }
  await writer.close();
  assertEquals(await reading, [1, 2, 3, 4, 11, 12, 13, 14]);
});

Deno.test("messages of any size arrive through one scratch buffer of any size", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 20 }),
    fc.integer({ min: 1, max: 25 }),
    fc.integer({ min: 10, max: 24 }),
    fc.integer({ min: 1, max: 3 }),
    async (messages, scratchBytes, bufferBytes, buffers) => {
      using shared = pool(bufferBytes, buffers);
      const stage = new FrameDecoderStream(shared, framing);
      const stream = new Uint8Array(messages.flatMap((message) => [message.length, ...message]));
      const scratch = new Uint8Array(scratchBytes);
      const write = async () => {
        const writer = stage.writable.getWriter();
        for (let from = 0; from < stream.length; from += scratchBytes) {
          const part = stream.subarray(from, from + scratchBytes);
          scratch.set(part);
          await writer.write(scratch.subarray(0, part.length));
          scratch.fill(255);
        }
        await writer.close();
      };
      const seen: number[][] = [];
      const read = async () => {
        for await (const packet of stage.readable) {
          using taken = packet;
          seen.push([...taken.bytes]);
        }
      };
      await Promise.all([write(), read()]);
      assertEquals(seen, messages.map((message) => [...message]));
    },
  ));
});

Deno.test("a write is pending without a read, and settles before the last packet is read", async () => {
  using buffers = pool(16, 2);
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  const writing = writer.write(frames(5, 6));
  assertEquals(await isSettled(writing), false);
  assertEquals(buffers.usage().inUse, 0);
  const reader = stage.readable.getReader();
  assertEquals(take((await reader.read()).value), 5);
  await writing;
  const closing = writer.close();
  assertEquals(await isSettled(closing), false);
  assertEquals(take((await reader.read()).value), 6);
  assertEquals((await reader.read()).done, true);
  await closing;
});

Deno.test("an empty stream ends, and an empty chunk has no effect", async () => {
  using buffers = pool(16, 2);
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  await writer.write(new Uint8Array());
  await writer.close();
  assertEquals(await readAll(stage.readable), []);
});

for (const when of ["no read is pending", "a read waits for bytes", "a read waits for a buffer"]) {
  for (const how of ["abort", "an error upstream"]) {
    Deno.test(`${how} while ${when} fails the packets at once, and releases all buffers`, async () => {
      using buffers = pool(2, 1);
      const stage = new FrameDecoderStream(buffers, framing);
      const reader = stage.readable.getReader();
      const stop = new Error("stop");
      let upstream!: ReadableStreamDefaultController<Uint8Array>;
      let end: () => Promise<unknown>;
      if (how === "abort") {
        const writer = stage.writable.getWriter();
        writer.closed.catch(() => {});
        writer.write(frames(5)).catch(() => {});
        if (when !== "a read waits for bytes") writer.write(frames(6)).catch(() => {});
        end = () => writer.abort(stop);
      } else {
        const source = new ReadableStream<Uint8Array>({ start: (made) => void (upstream = made) });
        const piping = source.pipeTo(stage.writable);
        upstream.enqueue(frames(5));
        if (when !== "a read waits for bytes") upstream.enqueue(frames(6));
        end = () => {
          upstream.error(stop);
          return assertRejects(() => piping, Error, "stop");
        };
      }
      const first = (await reader.read()).value!;
      let pending: Promise<unknown> | undefined;
      if (when !== "a read waits for a buffer") take(first);
      if (when !== "no read is pending") {
        pending = reader.read();
        assertEquals(await isSettled(pending), false);
      }
      if (how === "an error upstream" && when !== "no read is pending") {
        // The pipe awaits the write that is under way before it aborts.
        upstream.error(stop);
        if (when === "a read waits for a buffer") {
          assertEquals(await isSettled(pending!), false);
          take(first);
        }
      }
      await end();
      if (pending !== undefined && how === "abort") {
        await assertRejects(() => pending!, Error, "stop");
      } else if (pending !== undefined) {
        await pending.then((result) => take((result as { value: Packet }).value), () => {});
      }
      await assertRejects(() => reader.read(), Error, "stop");
      if (when === "a read waits for a buffer" && how === "abort") take(first);
      assertEquals(buffers.usage().inUse, 0);
      assertEquals(buffers.leaks(), []);
    });
  }
}

Deno.test("a reader that cancels ends the writes at once, and releases all buffers", async () => {
  using buffers = pool(2, 1);
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  const writing = writer.write(frames(5, 6, 7));
  const reader = stage.readable.getReader();
  const packet = (await reader.read()).value!;
  const waiting = reader.read(); // for a buffer
  assertEquals(await isSettled(waiting), false);
  const enough = new Error("enough");
  await reader.cancel(enough);
  assertEquals((await waiting).done, true);
  await assertRejects(() => writing, Error, "enough");
  await assertRejects(() => writer.closed, Error, "enough");
  await assertRejects(() => writer.write(frames(8)), Error, "enough");
  assertEquals(take(packet), 5);
  assertEquals(buffers.usage().inUse, 0);
});

Deno.test("a source is cancelled when the reader of a pipe stops", async () => {
  using buffers = pool(16, 2);
  let reason: unknown = "nothing";
  const source = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(frames(1, 2, 3)),
    cancel: (given) => void (reason = given),
  });
  for await (const packet of source.pipeThrough(new FrameDecoderStream(buffers, framing))) {
    take(packet);
    break;
  }
  await pause();
  assert(reason !== "nothing", "the source was not cancelled");
  assertEquals(buffers.usage().inUse, 0);
});

Deno.test("a stream that ends within a frame fails both sides, and the close", async () => {
  using buffers = pool(16, 2);
  for (const isReading of [true, false]) {
    const stage = new FrameDecoderStream(buffers, framing);
    const writer = stage.writable.getWriter();
    writer.closed.catch(() => {});
    const reader = stage.readable.getReader();
    const writing = writer.write(new Uint8Array([1, 7, 3, 8]));
    assertEquals(take((await reader.read()).value), 7);
    const read = isReading ? reader.read() : undefined;
    await writing;
    const error = await assertRejects(() => writer.close(), FramingError, "ends within a frame");
    assertEquals(error.streamOffset, 2);
    assertEquals(await assertRejects(() => read ?? reader.read(), FramingError), error);
    assertEquals(buffers.usage().inUse, 0);
  }
});

Deno.test("a malformed stream fails the write, and so does a chunk that is not bytes", async () => {
  using buffers = pool(4, 2);
  for (
    const [chunk, kind, message] of [
      [new Uint8Array([1, 7, 99, 8]), FramingError, "Cannot frame the stream at byte 2"],
      ["text", TypeError, 'chunks must be of type Uint8Array: received "text"'],
      [new Uint16Array(2), TypeError, "received [object Uint16Array]"],
      [undefined, TypeError, "received undefined"],
    ] as const
  ) {
    const stage = new FrameDecoderStream(buffers, framing);
    const writer = stage.writable.getWriter();
    writer.closed.catch(() => {});
    const reading = readAll(stage.readable);
    const writing = writer.write(chunk as Uint8Array).then(() => writer.write(frames(1)));
    await assertRejects(() => writing, kind, message);
    await assertRejects(() => reading, kind, message);
    assertEquals(buffers.usage().inUse, 0);
  }
});

Deno.test("both sides report the first error, even of a thread that has left the pool", async () => {
  for (const isWaiting of [false, true]) {
    const buffers = BufferPool.create({ bufferBytes: 4, batchCount: 1, buffersPerBatch: 1 });
    const stage = new FrameDecoderStream(buffers, framing);
    let reason: unknown;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(frames(5, 6, 7)),
      cancel: (given) => void (reason = given),
    });
    const piping = source.pipeTo(stage.writable);
    piping.catch(() => {});
    const reader = stage.readable.getReader();
    const first = (await reader.read()).value!;
    if (!isWaiting) first.release();
    const next = isWaiting ? (await reader.read()).value! : undefined;
    const waiting = isWaiting ? reader.read() : undefined;
    if (waiting !== undefined) assertEquals(await isSettled(waiting), false);
    buffers[Symbol.dispose]();
    const error = await assertRejects(() => waiting ?? reader.read(), Error, "has left the");
    assertEquals(await assertRejects(() => reader.read(), Error), error);
    assertEquals(await assertRejects(() => piping, Error), error);
    assertEquals(reason, error);
    await reader.cancel().catch(() => {});
    assertEquals([first.isGone, next?.isGone ?? true], [true, true]);
  }
});

Deno.test("a stage whose thread has left the pool can be cancelled", async () => {
  const buffers = BufferPool.create({ bufferBytes: 4, batchCount: 1, buffersPerBatch: 1 });
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  writer.write(frames(5, 6, 7)).catch(() => {});
  writer.closed.catch(() => {});
  const reader = stage.readable.getReader();
  await reader.read();
  buffers[Symbol.dispose]();
  await reader.cancel();
});

Deno.test("any number of stages can share a pool of any number of buffers", async () => {
  for (const [stages, buffers] of [[1, 1], [2, 1], [2, 2], [2, 3], [5, 1]] as const) {
    for (
      const chunk of [[1, 1, 1, 2], [2, 1, 1], [4, 1, 2, 3, 4, 1, 1], [7, 1, 1, 1, 1, 1, 1, 1]]
    ) {
      using shared = pool(8, buffers);
      const runs = Array.from({ length: stages }, () => {
        let count = 0;
        const source = new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(new Uint8Array(chunk));
            if (++count === 12) controller.close();
          },
        });
        return readAll(source.pipeThrough(new FrameDecoderStream(shared, framing)));
      });
      const seen = await Promise.all(runs);
      assertEquals(seen.length, stages);
      assertEquals(shared.usage().inUse, 0);
    }
  }
});

Deno.test("a packet that is released only after the next is requested does not hang the stage", async () => {
  using buffers = pool(8, 1);
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  const writing = (async () => {
    for (let i = 0; i < 20; i++) await writer.write(new Uint8Array([2, i, i]));
    await writer.close();
  })();
  const reader = stage.readable.getReader();
  const seen: number[] = [];
  for (let reading = reader.read();;) {
    const { done, value } = await reading;
    if (done) break;
    reading = reader.read();
    await pause(1);
    seen.push(take(value));
  }
  await writing;
  assertEquals(seen, Array.from({ length: 20 }, (_, i) => i));
});

Deno.test("a reader that releases its lock while it waits loses no packet", async () => {
  for (const then of ["read", "cancel"] as const) {
    using buffers = pool(16, 2);
    const stage = new FrameDecoderStream(buffers, framing);
    const reader = stage.readable.getReader();
    const abandoned = reader.read();
    await pause();
    reader.releaseLock();
    await assertRejects(() => abandoned, TypeError);
    const writer = stage.writable.getWriter();
    writer.closed.catch(() => {});
    writer.write(frames(1, 2)).catch(() => {});
    await pause();
    if (then === "cancel") await stage.readable.cancel();
    else {
      const next = stage.readable.getReader();
      assertEquals(take((await next.read()).value), 1);
      assertEquals(take((await next.read()).value), 2);
      await next.cancel();
    }
    assertEquals(buffers.usage().inUse, 0);
    assertEquals(buffers.leaks(), []);
  }
});

Deno.test("a stage can be aborted and cancelled at once, and again", async () => {
  using buffers = pool(16, 2);
  const stage = new FrameDecoderStream(buffers, framing);
  const writer = stage.writable.getWriter();
  writer.closed.catch(() => {});
  const reader = stage.readable.getReader();
  const writing = writer.write(frames(1, 2));
  writing.catch(() => {});
  take((await reader.read()).value);
  const ends = [writer.abort(new Error("one")), reader.cancel(new Error("two")), writer.abort()];
  await Promise.allSettled(ends);
  await writer.abort().catch(() => {});
  await reader.cancel().catch(() => {});
  assertEquals(buffers.usage().inUse, 0);
});

Deno.test("an encoder copies its chunks before their writes settle, and reports errors on both sides", async () => {
  const encoder = new FrameEncoderStream(framing);
  const reading = new Response(encoder.readable).bytes();
  const writer = encoder.writable.getWriter();
  const scratch = new Uint8Array(2);
  for (let i = 0; i < 3; i++) {
    scratch.fill(i);
    await writer.write(scratch);
    scratch.fill(99);
  }
  await writer.close();
  assertEquals([...await reading], [2, 0, 0, 2, 1, 1, 2, 2, 2]);

  const failing = new FrameEncoderStream(framing);
  const failed = failing.writable.getWriter();
  failed.closed.catch(() => {});
  const read = failing.readable.getReader().read();
  await assertRejects(() => failed.write(new Uint8Array(256)), RangeError);
  assertInstanceOf(await read.catch((error) => error), RangeError);
});
