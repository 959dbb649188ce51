/** Decoding of streams in any chunks, of valid and malformed input. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BufferPool,
  delimited,
  FrameDecoder,
  type FrameDecoderOptions,
  FrameDecoderStream,
  FrameEncoderStream,
  type Framing,
  FramingError,
  lengthPrefixed,
} from "@busbar/busbar";
import { ClosedError } from "@busbar/busbar/memory";

const bytes = (text: string) => new TextEncoder().encode(text);

/** The result of decoding a stream: its frames, and the positions of its errors. */
interface Outcome {
  frames: string[];
  errors: number[];
  skippedBytes: number;
}

/** Decodes chunks in a pool of two small buffers. */
function decode(
  framing: Framing,
  chunks: Uint8Array[],
  malformed: "stop" | "resynchronise" = "stop",
  bufferBytes = 32,
): Outcome {
  using pool = BufferPool.create({ bufferBytes, batchCount: 2, buffersPerBatch: 1 });
  const frames: string[] = [];
  const errors: number[] = [];
  const options: FrameDecoderOptions = {
    malformed,
    onMalformed: (error) => errors.push(error.streamOffset),
  };
  using decoder = FrameDecoder.create(pool, framing, options);
  try {
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length;) {
        if (decoder.remaining === 0) decoder.nextBuffer();
        from = decoder.stage(chunk, from);
        while (decoder.next()) {
          const end = decoder.frameOffset + decoder.frameLength;
          frames.push(decoder.bytes.slice(decoder.frameOffset, end).join());
        }
      }
    }
    decoder.end();
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    errors.push(error.streamOffset);
    assertThrows(() => decoder.next(), FramingError, error.message);
  }
  return { frames, errors, skippedBytes: decoder.skippedBytes };
}

function concat(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Cuts a stream at these offsets. */
function chunked(stream: Uint8Array, cuts: number[]): Uint8Array[] {
  const offsets = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length]
    .toSorted((a, b) => a - b);
  return offsets.slice(1).map((end, i) => stream.slice(offsets[i], end));
}

const framings = fc.oneof(
  fc.record({
    prefixBytes: fc.constantFrom<1 | 2 | 4>(1, 2, 4),
    endianness: fc.constantFrom<"big" | "little">("big", "little"),
    includesPrefix: fc.boolean(),
    maxLength: fc.integer({ min: 0, max: 28 }),
  }).map(lengthPrefixed),
  fc.record({
    delimiter: fc.uint8Array({ minLength: 1, maxLength: 3, max: 2 }),
    maxLength: fc.integer({ min: 0, max: 29 }),
  }).map(delimited),
);

/** A framing and messages that it can frame. */
const framed = framings.chain((framing) =>
  fc.record({
    framing: fc.constant(framing),
    messages: fc.array(
      fc.uint8Array({ maxLength: framing.maxLength, max: 3 }).filter((message) => {
        try {
          return framing.encode(message).length > 0;
        } catch {
          return false;
        }
      }),
      { maxLength: 12 },
    ),
    cuts: fc.array(fc.nat(400), { maxLength: 20 }),
  })
);

Deno.test("a stream of frames in any chunks gives its messages", () => {
  fc.assert(fc.property(framed, ({ framing, messages, cuts }) => {
    const stream = concat(messages.map((message) => framing.encode(message)));
    const { frames, errors } = decode(framing, chunked(stream, cuts));
    assertEquals(frames, messages.map((message) => message.join()));
    assertEquals(errors, []);
  }));
});

for (const malformed of ["stop", "resynchronise"] as const) {
  Deno.test(`any bytes in any chunks give the same frames and errors: ${malformed}`, () => {
    const stream = fc.oneof(fc.uint8Array({ maxLength: 200, max: 4 }), fc.uint8Array());
    const cuts = fc.array(fc.nat(400), { maxLength: 20 });
    fc.assert(fc.property(framings, stream, cuts, (framing, stream, cuts) => {
      const whole = decode(framing, [stream], malformed);
      assertEquals(decode(framing, chunked(stream, cuts), malformed), whole);
      assertEquals(decode(framing, chunked(stream, [...stream.keys()]), malformed), whole);
      // A larger buffer makes no difference, as all frames fit the smaller one.
      assertEquals(decode(framing, [stream], malformed, 64), whole);
    }));
  });
}

Deno.test("a frame that fills a buffer is decoded, and one byte more is malformed", () => {
  const framing = lengthPrefixed({ prefixBytes: 1 });
  const longest = framing.encode(new Uint8Array(31));
  assertEquals(decode(framing, [longest, longest]).frames.length, 2);
  assertEquals(decode(framing, [longest, framing.encode(new Uint8Array(32))]).errors, [32]);
  const lines = delimited({ maxLength: 1000 });
  assertEquals(decode(lines, [lines.encode(new Uint8Array(31))]).errors, []);
  assertEquals(decode(lines, [lines.encode(new Uint8Array(32))]).errors, [0]);
});

Deno.test("errors name the position in the stream and the reason", () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 2, buffersPerBatch: 1 });
  function checkError(framing: Framing, stream: number[], message: string, end = false): void {
    using decoder = FrameDecoder.create(pool, framing);
    decoder.nextBuffer();
    decoder.stage(new Uint8Array(stream));
    assertThrows(
      () => {
        while (decoder.next());
        if (end) decoder.end();
      },
      FramingError,
      message,
    );
  }
  checkError(
    lengthPrefixed({ prefixBytes: 2, maxLength: 10 }),
    [0, 1, 7, 0, 11],
    "Cannot frame the stream at byte 3 as a message must not be longer than 10 bytes: received a length of 11",
  );
  checkError(
    lengthPrefixed({ prefixBytes: 2, includesPrefix: true }),
    [0, 1],
    "Cannot frame the stream at byte 0 as a length that includes its own 2 bytes cannot be less: received 1",
  );
  checkError(
    lengthPrefixed({ prefixBytes: 4 }),
    [255, 255, 255, 255],
    "a message must not be longer than 60 bytes: received a length of 4294967295",
  );
  checkError(
    delimited({ maxLength: 2 }),
    [1, 10, 1, 2, 3],
    "Cannot frame the stream at byte 2 as a message must not be longer than 2 bytes: found no delimiter after it",
  );
  checkError(
    delimited({ maxLength: 2 }),
    [1, 10, 1],
    "Cannot frame the stream at byte 2 as it ends within a frame: received 1 bytes of it",
    true,
  );
});

Deno.test("a length-prefixed stream resynchronises after the frame that is too long", () => {
  const framing = lengthPrefixed({ prefixBytes: 1, maxLength: 5 });
  const stream = [1, 7, 200, ...new Array(200).fill(1), 2, 8, 9];
  assertEquals(decode(framing, [new Uint8Array(stream)], "resynchronise"), {
    frames: ["7", "8,9"],
    errors: [2],
    skippedBytes: 201,
  });
});

Deno.test("a delimited stream resynchronises after the next delimiter", () => {
  const framing = delimited({ delimiter: bytes("--"), maxLength: 3 });
  const stream = bytes("a--" + "-x".repeat(100) + "-" + "--b--");
  assertEquals(decode(framing, [stream], "resynchronise"), {
    frames: ["97", "45,98"],
    errors: [3],
    skippedBytes: 202,
  });
});

Deno.test("the end of a stream within a skipped frame is an error", () => {
  const framing = lengthPrefixed({ prefixBytes: 1, maxLength: 5 });
  assertEquals(decode(framing, [new Uint8Array([9, 1, 2])], "resynchronise").errors, [0, 3]);
});

Deno.test("bytes can be read directly into the buffer", () => {
  using pool = BufferPool.create({ bufferBytes: 16, batchCount: 2, buffersPerBatch: 1 });
  using decoder = FrameDecoder.create(pool, delimited({ maxLength: 10 }));
  assertEquals([decoder.remaining, decoder.nextBuffer(), decoder.remaining], [0, true, 16]);
  const { read } = new TextEncoder().encodeInto("one\ntwo\n", decoder.write());
  decoder.commit(read);
  const seen: string[] = [];
  while (decoder.next()) {
    using packet = decoder.packet();
    seen.push(new TextDecoder().decode(packet.bytes.slice()));
  }
  assertEquals([seen, decoder.streamOffset], [["one", "two"], 8]);
});

Deno.test("options of a decoder that are out of range throw", () => {
  using pool = BufferPool.create({ bufferBytes: 3, batchCount: 2, buffersPerBatch: 1 });
  assertThrows(
    () => FrameDecoder.create(pool, lengthPrefixed()),
    RangeError,
    "Cannot create frame decoder as 'pool.bufferBytes' must be a whole number not below 4: received 3",
  );
  assertThrows(
    () => FrameDecoder.create(pool, delimited({ maxLength: 1 }), { malformed: "x" as "stop" }),
    RangeError,
    `'malformed' must be "stop" or "resynchronise": received "x"`,
  );
  using decoder = FrameDecoder.create(pool, delimited({ maxLength: 1 }));
  for (const from of [-1, 3, 0.5]) {
    assertThrows(
      () => decoder.stage(new Uint8Array(2), from),
      RangeError,
      `Cannot stage a chunk as 'from' must be a whole number from 0 to 2: received ${from}`,
    );
  }
});

Deno.test("a closed decoder throws ClosedError, and its packets remain valid", async () => {
  using pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
  const framing = lengthPrefixed({ prefixBytes: 1 });
  for (const state of ["with a buffer", "without buffer", "malformed"]) {
    const decoder = FrameDecoder.create(pool, framing);
    decoder.nextBuffer();
    decoder.stage(new Uint8Array([1, 7, state === "malformed" ? 99 : 3]));
    assert(decoder.next());
    using packet = decoder.packet();
    if (state === "malformed") assertThrows(() => decoder.next(), FramingError, "at byte 2");
    if (state === "without buffer") assertEquals(decoder.nextBuffer({ timeoutMs: 0 }), false);
    decoder.close();
    decoder[Symbol.dispose]();
    const calls: [action: string, call: () => unknown][] = [
      ["write", () => decoder.write()],
      ["commit", () => decoder.commit(0)],
      ["stage a chunk", () => decoder.stage(new Uint8Array(1))],
      ["decode", () => decoder.next()],
      ["make a packet", () => decoder.packet()],
      ["end the stream", () => decoder.end()],
      ["go on to the next buffer", () => decoder.nextBuffer()],
      ["go on to the next buffer", () => decoder.tryNextBuffer()],
    ];
    for (const [action, call] of calls) {
      assertThrows(call, ClosedError, `Cannot ${action} as the frame decoder is closed`);
    }
    await assertRejects(() => decoder.nextBufferAsync(), ClosedError, "decoder is closed");
    assertEquals(decoder.remaining, 0);
    assertEquals([...packet.bytes], [7]);
    packet.release();
    assertEquals(pool.usage().inUse, 0);
  }
});

Deno.test("closing a decoder ends its pending wait", async () => {
  using pool = BufferPool.create({ bufferBytes: 8, batchCount: 1, buffersPerBatch: 1 });
  const taken = pool.acquire();
  const decoder = FrameDecoder.create(pool, lengthPrefixed());
  const waiting = decoder.nextBufferAsync();
  await Promise.resolve();
  decoder.close();
  await assertRejects(() => waiting, ClosedError, "Cannot go on to the next buffer");
  assertThrows(() => decoder.next(), ClosedError, "Cannot decode as the frame decoder is closed");
  pool.release(taken);
  assertEquals(pool.usage().inUse, 0);
});

Deno.test("streams: packets of many chunks pass through two buffers", async () => {
  using pool = BufferPool.create({ bufferBytes: 64, batchCount: 2, buffersPerBatch: 1 });
  const framing = lengthPrefixed({ prefixBytes: 2 });
  const messages = Array.from({ length: 500 }, (_, i) => new Uint8Array(i % 60).fill(i));
  const packets = ReadableStream.from(messages)
    .pipeThrough(new FrameEncoderStream(framing))
    .pipeThrough(new FrameDecoderStream(pool, framing));
  let count = 0;
  for await (const packet of packets) {
    using held = packet;
    assertEquals([...held.bytes], [...messages[count++]!]);
  }
  assertEquals(count, 500);
  assertEquals([pool.tryAcquire() >= 0, pool.tryAcquire() >= 0], [true, true]);
});

Deno.test("streams: a decoder waits while its reader has all buffers, and no packet is lost", async () => {
  using pool = BufferPool.create({ bufferBytes: 8, batchCount: 2, buffersPerBatch: 1 });
  const framing = lengthPrefixed({ prefixBytes: 1 });
  const stream = new FrameDecoderStream(pool, framing);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const chunk = concat([1, 2, 3, 4].map((i) => framing.encode(new Uint8Array(6).fill(i))));
  const written = writer.write(chunk);
  const first = (await reader.read()).value!;
  const second = (await reader.read()).value!;
  const third = reader.read();
  const early = await Promise.race([
    third,
    new Promise((resolve) => setTimeout(resolve, 20, "none")),
  ]);
  assertEquals(early, "none");
  first[Symbol.dispose]();
  const next = (await third).value!;
  assertEquals([...next.bytes], new Array(6).fill(3));
  second[Symbol.dispose]();
  next[Symbol.dispose]();
  await reader.cancel();
  await written.catch(() => {});
  assertEquals([pool.tryAcquire() >= 0, pool.tryAcquire() >= 0], [true, true]);
});

Deno.test("streams: malformed input fails the readable and the writable side", async () => {
  using pool = BufferPool.create({ bufferBytes: 8, batchCount: 2, buffersPerBatch: 1 });
  const packets = ReadableStream.from([new Uint8Array([1, 7, 99])])
    .pipeThrough(new FrameDecoderStream(pool, lengthPrefixed({ prefixBytes: 1 })));
  await assertRejects(
    async () => {
      for await (const packet of packets) packet[Symbol.dispose]();
    },
    FramingError,
    "at byte 2",
  );
  assertEquals([pool.tryAcquire() >= 0, pool.tryAcquire() >= 0], [true, true]);
});

Deno.test("streams: chunks that are not bytes fail the stream", async () => {
  using pool = BufferPool.create({ bufferBytes: 8, batchCount: 2, buffersPerBatch: 1 });
  const packets = ReadableStream.from(["abc" as unknown as Uint8Array])
    .pipeThrough(new FrameDecoderStream(pool, delimited({ maxLength: 5 })));
  await assertRejects(
    () => packets.getReader().read(),
    TypeError,
    `Cannot frame the stream as its chunks must be of type Uint8Array: received "abc"`,
  );
});
