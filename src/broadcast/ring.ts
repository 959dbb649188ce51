/**
 * A ring as one thread sees it: views of its words and its data, and where positions lie in them.
 *
 * {@link Broadcast} makes one, and hands it to its readers and writers.
 *
 * @module
 */

import { CACHE_LINE_WORDS } from "../memory/layout.ts";
import type { Memory } from "../memory/memory.ts";
import type { Region } from "../memory/region.ts";
import { type BroadcastLayout, EPOCH_STEP, SEGMENT_LINES } from "./layout.ts";
import { PublishedPosition } from "./published_position.ts";

// Local copies for the hot path: an imported binding is loaded at each use.
const FIRST_LINE = SEGMENT_LINES;
const LINE_SHIFT = 31 - Math.clz32(CACHE_LINE_WORDS);
const STEP = EPOCH_STEP;

/** The region of a ring. */
export type BroadcastRegion = Region<"busbar.broadcast", BroadcastLayout>;

/** Views of one ring. */
export class Ring {
  /** The memory that the ring lies in. */
  readonly memory: Memory;
  /** Where in the memory the data begins. */
  readonly dataOffset: number;
  /** The words of the ring, see `layout.ts`. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** The data. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** The data again, for frame headers. */
  readonly frames: Int32Array<SharedArrayBuffer>;
  /** The data again, for copies of a few words. */
  readonly longs: BigInt64Array<SharedArrayBuffer>;
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The bytes of a segment. */
  readonly segmentBytes: number;
  /** The position of the first message. */
  readonly startPosition: number;
  /** How far frames are published. */
  readonly published: PublishedPosition;
  /** An offset shifted right by this is the number of its segment. */
  readonly #segmentShift: number;

  /** Makes the views. */
  constructor({ memory, byteOffset, words, layout }: BroadcastRegion) {
    const { capacityBytes, segmentBytes, startPosition } = layout;
    const dataOffset = byteOffset + layout.dataByteOffset;
    this.memory = memory;
    this.dataOffset = dataOffset;
    this.words = words;
    this.bytes = new Uint8Array(memory.buffer, dataOffset, capacityBytes);
    this.frames = new Int32Array(memory.buffer, dataOffset, capacityBytes / 4);
    this.longs = new BigInt64Array(memory.buffer, dataOffset, capacityBytes / 8);
    this.capacityBytes = capacityBytes;
    this.segmentBytes = segmentBytes;
    this.startPosition = startPosition;
    this.published = new PublishedPosition(memory, words);
    this.#segmentShift = 31 - Math.clz32(segmentBytes);
  }

  /** The first word of the line of the segment that `position` lies in. */
  line(position: number): number {
    const segment = (position & (this.capacityBytes - 1)) >>> this.#segmentShift;
    return FIRST_LINE + (segment << LINE_SHIFT);
  }

  /** The epoch of that segment, without its tag, once it is entered in the lap of `position`. */
  enteredEpoch(position: number): number {
    return (STEP * (Math.floor(position / this.capacityBytes) + 1)) | 0;
  }

  /** Where the segment begins that `position` lies in. */
  segmentStart(position: number): number {
    return position - position % this.segmentBytes;
  }
}
