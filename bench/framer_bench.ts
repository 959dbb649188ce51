/**
 * Framing messages of 16 bytes: into packets and without them, by hand and by a framing, beside what
 * one would do without a pool, a slice for each, and beside no more than the copy.
 *
 * After Deno's own table rounds alternate between the rows, and nanoseconds a frame are printed, beside
 * those of the native library that does the same; then how much the heap grows over ten million
 * frames.
 *
 * @module
 */

import {
  BufferPool,
  delimited,
  FrameDecoder,
  Framer,
  type Framing,
  lengthPrefixed,
} from "../mod.ts";

const FRAMES = 1_000_000;
const FRAME_BYTES = 16;
const ROUNDS = 15;
const HEAP_FRAMES = 10_000_000;
const SIZE = { bufferBytes: 16 * 1024, batchCount: 4 };

/** What the native library takes for a frame, a packet included. */
const NATIVE_NANOSECONDS = 31;

interface Way {
  readonly name: string;
  /** Whether the native library does the same. */
  readonly isNative?: boolean;
  run(frames: number): void;
}

const message = new Uint8Array(FRAME_BYTES).fill(7);
const messageWords = new Int32Array(message.buffer);

/** Copies the message, word by word: all frames by hand begin at whole words. */
function copyMessage(words: Int32Array, offset: number): void {
  const at = offset >> 2;
  for (let i = 0; i < messageWords.length; i++) words[at + i] = messageWords[i]!;
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

function verify(sum: number, frames: number): void {
  if (sum !== 7 * frames) throw new Error(`Expected the sum ${7 * frames}: received ${sum}`);
}

/** A framer that is told where each frame ends. */
class ByHand implements Way {
  readonly name = "framer, without packets";
  readonly #framer = Framer.create(BufferPool.create(SIZE));

  run(frames: number): void {
    const framer = this.#framer;
    const { bytes } = framer;
    const words = wordsOf(bytes);
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      if (framer.remainingOnBuffer < FRAME_BYTES) framer.nextBuffer();
      copyMessage(words, framer.offset);
      framer.commit(FRAME_BYTES);
      framer.cut(0, FRAME_BYTES);
      sum += bytes[framer.frameOffset]!;
    }
    verify(sum, frames);
  }
}

/** As {@link ByHand}, and makes a packet of each frame. */
class Packets implements Way {
  readonly name = "framer, packets";
  readonly isNative = true;
  readonly #framer = Framer.create(BufferPool.create(SIZE));

  run(frames: number): void {
    const framer = this.#framer;
    const { bytes } = framer;
    const words = wordsOf(bytes);
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      if (framer.remainingOnBuffer < FRAME_BYTES) framer.nextBuffer();
      copyMessage(words, framer.offset);
      framer.commit(FRAME_BYTES);
      const packet = framer.finishFrame();
      sum += bytes[packet.byteOffset]!;
      packet.release();
    }
    verify(sum, frames);
  }
}

/** Copies into an array, and does nothing else. */
class Copies implements Way {
  readonly name = "no more than the copy";
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(SIZE.bufferBytes));

  run(frames: number): void {
    const bytes = this.#bytes;
    const words = wordsOf(bytes);
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      const at = i * FRAME_BYTES & (SIZE.bufferBytes - 1);
      copyMessage(words, at);
      sum += bytes[at]!;
    }
    verify(sum, frames);
  }
}

/** A decoder that is given chunks of many frames. */
class ByFraming implements Way {
  readonly #decoder: FrameDecoder;
  readonly #chunk: Uint8Array;
  readonly #perChunk = 512;

  readonly name: string;

  constructor(name: string, framing: Framing) {
    this.name = name;
    this.#decoder = FrameDecoder.create(BufferPool.create(SIZE), framing);
    const payload = message.subarray(framing.overheadBytes);
    const frame = framing.encode(payload);
    this.#chunk = new Uint8Array(frame.length * this.#perChunk);
    for (let i = 0; i < this.#perChunk; i++) this.#chunk.set(frame, i * frame.length);
  }

  run(frames: number): void {
    const decoder = this.#decoder;
    const chunk = this.#chunk;
    const { bytes } = decoder;
    let sum = 0;
    let count = 0;
    while (count < frames) {
      for (let from = 0; from < chunk.length;) {
        if (decoder.remaining === 0) decoder.nextBuffer();
        from = decoder.stage(chunk, from);
        while (decoder.next()) {
          sum += bytes[decoder.frameOffset]!;
          count++;
        }
      }
    }
    verify(sum, count);
  }
}

/** A copy of each frame, out of chunks. */
class Slices implements Way {
  readonly name = "slice of a chunk";
  readonly #chunk = new Uint8Array(FRAME_BYTES * 512).fill(7);

  run(frames: number): void {
    const chunk = this.#chunk;
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      const at = (i & 511) * FRAME_BYTES;
      const frame = chunk.slice(at, at + FRAME_BYTES);
      sum += frame[0]!;
    }
    verify(sum, frames);
  }
}

const ways: Way[] = [
  new ByHand(),
  new Packets(),
  new ByFraming("length-prefixed, without packets", lengthPrefixed({ prefixBytes: 2 })),
  new ByFraming("delimited, without packets", delimited({ maxLength: 64 })),
  new Slices(),
  new Copies(),
];

for (const [i, way] of ways.entries()) {
  Deno.bench(way.name, { group: "1,000,000 frames of 16 B", baseline: i === 0 }, () => {
    way.run(FRAMES);
  });
}

globalThis.addEventListener("unload", () => {
  const heads = ["least", "median", "native", "ratio"].map((head) => head.padStart(8)).join("");
  console.log(`\n${`nanoseconds a frame, ${ROUNDS} rounds`.padEnd(36)}${heads}`);
  const costs = ways.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    ways.forEach((way, i) => {
      const start = performance.now();
      way.run(FRAMES);
      costs[i]!.push((performance.now() - start) / FRAMES * 1e6);
    });
  }
  ways.forEach((way, i) => {
    const sorted = costs[i]!.toSorted((a, b) => a - b);
    const middle = sorted[ROUNDS >> 1]!;
    const native = way.isNative
      ? [NATIVE_NANOSECONDS.toFixed(0), (middle / NATIVE_NANOSECONDS).toFixed(2)]
      : [];
    const columns = [sorted[0]!.toFixed(1), middle.toFixed(1), ...native];
    console.log(`  ${way.name.padEnd(34)}${columns.map((x) => x.padStart(8)).join("")}`);
  });
  console.log(`\ngrowth of the heap over ${HEAP_FRAMES.toLocaleString("en")} frames`);
  for (const way of ways.filter((way) => way.name.includes("without"))) {
    way.run(FRAMES);
    const before = Deno.memoryUsage().heapUsed;
    way.run(HEAP_FRAMES);
    const growth = Deno.memoryUsage().heapUsed - before;
    console.log(`  ${way.name.padEnd(34)} ${growth.toLocaleString("en")} bytes`);
  }
});
