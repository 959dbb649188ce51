/**
 * Framing messages of 16 bytes: into packets and without them, by hand and by a framing. This is
 * compared with a slice for each message, which needs no pool, and with no more than the copy.
 *
 * Nanoseconds a frame are printed beside those of the native library that does the same; then by
 * how much the heap grows over ten million frames.
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
import {
  compare,
  compareHeap,
  declare,
  LEAST,
  type LocalWay,
  MEDIAN,
  NATIVE,
  onThisThread,
  printAtEnd,
} from "./alternating.ts";
import { checkSum, wordsOf } from "./messages.ts";

const FRAMES = 1_000_000;
const FRAME_BYTES = 16;
const FRAMES_PER_CHUNK = 512;
const SIZE = { bufferBytes: 16 * 1024, batchCount: 4 };
/** The time of the native library for a frame, a packet included. */
const NATIVE_NANOSECONDS = 45;

const message = new Uint8Array(FRAME_BYTES).fill(7);
const messageWords = new Int32Array(message.buffer);

/** Copies the message word by word: all frames by hand begin at whole words. */
function copyMessage(words: Int32Array, offset: number): void {
  const at = offset >> 2;
  for (let i = 0; i < messageWords.length; i++) words[at + i] = messageWords[i]!;
}

/** A way whose function returns the sum of the first bytes of so many frames. */
function way(name: string, sumOf: (frames: number) => number, native?: number): LocalWay {
  return onThisThread(name, FRAMES, (frames) => checkSum(name, 7 * frames, sumOf(frames)), native);
}

/** A framer that is told where each frame ends. */
function byHand(): LocalWay {
  const framer = Framer.create(BufferPool.create(SIZE));
  const { bytes } = framer;
  const words = wordsOf(bytes);
  return way("framer, without packets", (frames) => {
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      if (framer.remainingOnBuffer < FRAME_BYTES) framer.nextBuffer();
      copyMessage(words, framer.offset);
      framer.commit(FRAME_BYTES);
      framer.cut(0, FRAME_BYTES);
      sum += bytes[framer.frameOffset]!;
    }
    return sum;
  });
}

/** As {@link byHand}, and makes a packet of each frame. */
function packets(): LocalWay {
  const framer = Framer.create(BufferPool.create(SIZE));
  const { bytes } = framer;
  const words = wordsOf(bytes);
  return way("framer, packets", (frames) => {
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      if (framer.remainingOnBuffer < FRAME_BYTES) framer.nextBuffer();
      copyMessage(words, framer.offset);
      framer.commit(FRAME_BYTES);
      const packet = framer.finishFrame();
      sum += bytes[packet.byteOffset]!;
      packet.release();
    }
    return sum;
  }, NATIVE_NANOSECONDS);
}

/** A decoder that is given chunks of many frames. */
function byFraming(name: string, framing: Framing): LocalWay {
  const decoder = FrameDecoder.create(BufferPool.create(SIZE), framing);
  const { bytes } = decoder;
  const frame = framing.encode(message.subarray(framing.overheadBytes));
  const chunk = new Uint8Array(frame.length * FRAMES_PER_CHUNK);
  for (let at = 0; at < chunk.length; at += frame.length) chunk.set(frame, at);
  return way(name, (frames) => {
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
    return sum - 7 * (count - frames); // the last chunk is decoded to its end
  });
}

/** A copy of each frame, out of chunks. */
function slices(): LocalWay {
  const chunk = new Uint8Array(FRAME_BYTES * FRAMES_PER_CHUNK).fill(7);
  return way("slice of a chunk", (frames) => {
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      const at = (i & (FRAMES_PER_CHUNK - 1)) * FRAME_BYTES;
      const frame = chunk.slice(at, at + FRAME_BYTES);
      sum += frame[0]!;
    }
    return sum;
  });
}

/** Copies into an array, and does nothing else. */
function copies(): LocalWay {
  const bytes = new Uint8Array(new SharedArrayBuffer(SIZE.bufferBytes));
  const words = wordsOf(bytes);
  return way("no more than the copy", (frames) => {
    let sum = 0;
    for (let i = 0; i < frames; i++) {
      const at = i * FRAME_BYTES & (SIZE.bufferBytes - 1);
      copyMessage(words, at);
      sum += bytes[at]!;
    }
    return sum;
  });
}

const ways = [
  byHand(),
  packets(),
  byFraming("length-prefixed, without packets", lengthPrefixed({ prefixBytes: 2 })),
  byFraming("delimited, without packets", delimited({ maxLength: 64 })),
  slices(),
  copies(),
];
const groups = [{ name: "frames of 16 B", ways }];
const columns = [LEAST, MEDIAN, ...NATIVE];
const withoutPackets = ways.filter(({ name }) => name.includes("without"));

declare(groups);
printAtEnd(
  () => compare(groups, { unit: "nanoseconds a frame", rounds: 15, columns }),
  () => compareHeap(withoutPackets),
);
