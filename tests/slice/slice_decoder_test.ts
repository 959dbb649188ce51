/** Frames out of streams of bytes, in any pieces, valid and malformed. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  ClosedError,
  delimited,
  type Framing,
  FramingError,
  HeapBuffer,
  lengthPrefixed,
  type Slice,
  type SliceBuffer,
  SliceDecoder,
  SlicePool,
} from "@busbar/busbar";

const buffers: Record<string, () => SliceBuffer> = {
  "a heap buffer": () => HeapBuffer.create(),
  "a slice pool of 64 bytes": () => SlicePool.create({ capacityBytes: 64 }),
  "a slice pool of 0 bytes": () => SlicePool.create({ capacityBytes: 0 }),
};

/** The outcome of a stream. */
interface Outcome {
  payloads: string[];
  error: string | undefined;
}

/** Decodes a stream that arrives in pieces; keeps a few frames for a while. */
function decode(
  buffer: SliceBuffer,
  framing: Framing,
  chunks: readonly Uint8Array[],
  way: "feed" | "read",
): Outcome {
  const decoder = SliceDecoder.create(buffer, framing, { maxFrameBytes: 100 });
  const payloads: string[] = [];
  const kept: [Slice, string][] = [];
  const release = (count: number) => {
    for (const [slice, bytes] of kept.splice(0, count)) {
      assertEquals(slice.bytes.join(), bytes);
      slice.release();
    }
  };
  try {
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length;) {
        const { wanted } = decoder;
        assert(wanted > 0);
        if (way === "feed") {
          const end = decoder.feed(chunk, from);
          assertEquals(end - from, Math.min(wanted, chunk.length - from));
          from = end;
        } else {
          decoder.write().fill(99); // is dropped by the next
          const room = decoder.write().fill(98);
          assertEquals(room.length, wanted);
          const piece = chunk.subarray(from, from + wanted);
          room.set(piece);
          decoder.commit(piece.length);
          from += piece.length;
        }
        for (let frame; (frame = decoder.next()) !== undefined;) {
          const { payloadOffset, payloadLength } = decoder;
          const { bytes } = frame;
          kept.push([frame, bytes.join()]);
          payloads.push(bytes.slice(payloadOffset, payloadOffset + payloadLength).join());
          if (kept.length > 3) release(1 + payloads.length % 3);
        }
      }
    }
    decoder.end();
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    for (const call of [() => decoder.wanted, () => decoder.next(), () => decoder.write()]) {
      assertThrows(call, FramingError, error.message);
    }
    assertThrows(() => decoder.feed(new Uint8Array(1)), FramingError, error.message);
    assertEquals(buffer.length, 0);
    release(9);
    return { payloads, error: error.message };
  }
  release(9);
  return { payloads, error: undefined };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Cuts a stream at these offsets. */
function chunked(stream: Uint8Array, cuts: Iterable<number>): Uint8Array[] {
  const offsets = [0, ...[...cuts].map((cut) => cut % (stream.length + 1)), stream.length]
    .toSorted((a, b) => a - b);
  return offsets.slice(1).map((end, i) => stream.slice(offsets[i], end));
}

const framings = fc.oneof(
  fc.record({
    prefixBytes: fc.constantFrom<1 | 2 | 4>(1, 2, 4),
    endianness: fc.constantFrom<"big" | "little">("big", "little"),
    includesPrefix: fc.boolean(),
    maxLength: fc.integer({ min: 0, max: 96 }),
  }).map(lengthPrefixed),
  fc.record({ maxLength: fc.integer({ min: 0, max: 29 }) }).map(delimited),
);

for (const [what, create] of Object.entries(buffers)) {
  for (const way of ["feed", "read"] as const) {
    Deno.test(`slice decoder: a stream in any pieces gives its messages: ${way}, ${what}`, () => {
      const framed = framings.chain((framing) =>
        fc.tuple(
          fc.constant(framing),
          fc.array(fc.uint8Array({ maxLength: framing.maxLength, max: 9 }), { maxLength: 20 }),
          fc.array(fc.nat(400), { maxLength: 20 }),
        )
      );
      fc.assert(
        fc.property(framed, ([framing, messages, cuts]) => {
          const stream = concat(messages.map((message) => framing.encode(message)));
          const expected = {
            payloads: messages.map((message) => message.join()),
            error: undefined,
          };
          for (const chunks of [[stream], chunked(stream, cuts), chunked(stream, stream.keys())]) {
            assertEquals(decode(create(), framing, chunks, way), expected);
          }
        }),
        { numRuns: 60 },
      );
    });

    Deno.test(`slice decoder: any bytes in any pieces give the same: ${way}, ${what}`, () => {
      const stream = fc.oneof(fc.uint8Array({ maxLength: 200, max: 4 }), fc.uint8Array());
      const cuts = fc.array(fc.nat(400), { maxLength: 20 });
      fc.assert(
        fc.property(framings, stream, cuts, (framing, stream, cuts) => {
          const whole = decode(create(), framing, [stream], way);
          assertEquals(decode(create(), framing, chunked(stream, cuts), way), whole);
          assertEquals(decode(create(), framing, chunked(stream, stream.keys()), way), whole);
        }),
        { numRuns: 60 },
      );
    });
  }
}

/** A decoder of lengths of 2 bytes, up to 50. */
function decoderOf(buffer: SliceBuffer): SliceDecoder {
  return SliceDecoder.create(buffer, lengthPrefixed({ prefixBytes: 2, maxLength: 50 }));
}

Deno.test("slice decoder: it says how many bytes it wants next", () => {
  const decoder = decoderOf(HeapBuffer.create());
  const wanted = [decoder.wanted];
  for (const byte of [0, 3, 1, 2, 3]) {
    assertEquals(decoder.next(), undefined);
    decoder.feed(new Uint8Array([byte]));
    wanted.push(decoder.wanted);
  }
  assertEquals(wanted, [2, 1, 3, 2, 1, 0]);
  assertEquals(decoder.feed(new Uint8Array([9, 9]), 1), 1);
  assertEquals(decoder.write().length, 0);
  using frame = decoder.next();
  assertEquals([...frame!.bytes], [0, 3, 1, 2, 3]);
  assertEquals([decoder.payloadOffset, decoder.payloadLength], [2, 3]);
  assertEquals([decoder.wanted, decoder.streamOffset], [2, 5]);
});

Deno.test("slice decoder: an oversize length is an error before its payload is claimed", () => {
  using pool = SlicePool.create({ capacityBytes: 64 });
  const decoder = decoderOf(pool);
  decoder.feed(new Uint8Array([0, 1]));
  decoder.feed(new Uint8Array([7]));
  decoder.next()!.release();
  const error = assertThrows(
    () => decoder.feed(new Uint8Array([0xff, 0xff, 1, 2])),
    FramingError,
    "Cannot frame the stream at byte 3 as a message must not be longer than 50 bytes: received a length of 65535",
  );
  assertEquals(error.streamOffset, 3);
  const huge = SliceDecoder.create(HeapBuffer.create(), lengthPrefixed());
  assertThrows(
    () => huge.feed(new Uint8Array([0xff, 0xff, 0xff, 0xff])),
    FramingError,
    "must not be longer than 16777212 bytes: received a length of 4294967295",
  );
});

Deno.test("slice decoder: a length that lies is an error where it shows", () => {
  // The first length is one too small: the last byte of its payload is taken for a header.
  const decoder = decoderOf(HeapBuffer.create());
  const stream = new Uint8Array([0, 2, 1, 2, 3, 0, 1, 4]);
  let from = decoder.feed(stream, decoder.feed(stream));
  decoder.next()!.release();
  assertThrows(
    () => from = decoder.feed(stream, from),
    FramingError,
    "at byte 4 as a message must not be longer than 50 bytes: received a length of 768",
  );
  const including = lengthPrefixed({ prefixBytes: 2, includesPrefix: true });
  assertThrows(
    () => SliceDecoder.create(HeapBuffer.create(), including).feed(new Uint8Array([0, 1])),
    FramingError,
    "a length that includes its own 2 bytes cannot be less: received 1",
  );
});

Deno.test("slice decoder: a stream that ends within a frame is an error", () => {
  for (
    const [stream, reason] of [
      [[0], "received 1 bytes of it, and at least 1 are missing"],
      [[0, 3], "received 2 bytes of it, and at least 3 are missing"],
      [[0, 3, 1, 2], "received 4 bytes of it, and at least 1 are missing"],
      [[0, 1, 1], "it ends before the frame of 3 bytes was taken: call next() first"],
    ] as const
  ) {
    const decoder = decoderOf(HeapBuffer.create());
    for (let from = 0; from < stream.length;) from = decoder.feed(new Uint8Array(stream), from);
    assertThrows(() => decoder.end(), FramingError, reason);
    assertThrows(() => decoder.end(), FramingError, reason);
  }
});

Deno.test("slice decoder: room that was handed out and not filled is never taken for data", () => {
  using pool = SlicePool.create({ capacityBytes: 64 });
  const decoder = decoderOf(pool);
  decoder.write().fill(0); // looks like a frame of no bytes
  assertEquals([decoder.next(), decoder.wanted, pool.length], [undefined, 2, 0]);
  decoder.end();
  decoder.write().set([0, 2]);
  decoder.commit(2);
  decoder.write().fill(7);
  decoder.commit(1);
  decoder.write().fill(7);
  assertEquals([decoder.next(), decoder.wanted], [undefined, 1]);
  assertThrows(() => decoder.commit(2), RangeError, "'length' must be a whole number from 0 to 1");
  assertThrows(() => decoder.end(), FramingError, "received 3 bytes of it");
});

Deno.test("slice decoder: arguments are checked", () => {
  const framing = lengthPrefixed({ prefixBytes: 2 });
  const buffer = HeapBuffer.create();
  assertThrows(() => SliceDecoder.create({} as never, framing), TypeError, "must be a SliceBuffer");
  assertThrows(() => SliceDecoder.create(buffer, {} as never), TypeError, "must be a Framing");
  assertThrows(
    () => SliceDecoder.create(buffer, framing, { maxFrameBytes: 1 }),
    RangeError,
    "'maxFrameBytes' must be a whole number from 2 to",
  );
  const decoder = SliceDecoder.create(buffer, framing);
  assertThrows(() => decoder.feed([1] as never), TypeError, "'chunk' must be a Uint8Array");
  assertThrows(() => decoder.feed(new Uint8Array(1), 2), RangeError, "'from' must be");
  assertThrows(() => decoder.commit(1), Error, "Cannot commit as nothing is claimed");
  buffer.append(new Uint8Array([1]));
  assertThrows(
    () => SliceDecoder.create(buffer, framing),
    Error,
    "'buffer' holds 1 bytes of a message: take them first",
  );
  const pool = SlicePool.create({ capacityBytes: 8 });
  const closed = SliceDecoder.create(pool, framing);
  pool.close();
  assertThrows(() => closed.feed(new Uint8Array(1)), ClosedError, "the slice pool was closed");
});
