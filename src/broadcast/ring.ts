/**
 * A ring as one thread sees it: views of its words and its data, and where positions lie in them.
 *
 * @module
 */

import type { Memory } from "../memory/memory.ts";
import type { Broadcast } from "./broadcast.ts";
import { BroadcastLayout, EPOCH_STEP, segmentLine } from "./layout.ts";

/** Views of one ring. */
export class Ring {
  /** The memory that the ring lies in. */
  readonly memory: Memory;
  /** The words before the metadata, see `layout.ts`. */
  readonly words: Int32Array;
  /** The data. */
  readonly bytes: Uint8Array;
  /** The data again, for frame headers. */
  readonly frames: Int32Array;
  /** The data again, for copies of a few words. */
  readonly longs: BigInt64Array;
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The bytes of a segment. */
  readonly segmentBytes: number;
  /** The position that the ring began at. */
  readonly startPosition: number;

  /** Makes the views. */
  constructor(broadcast: Broadcast) {
    const { memory, byteOffset, capacityBytes, segments, startPosition } = broadcast;
    const metadataBytes = broadcast.metadata.length;
    const size = { capacityBytes, segments, startPosition, metadataBytes };
    const dataOffset = byteOffset + BroadcastLayout.of(size).dataByteOffset;
    this.memory = memory;
    this.words = new Int32Array(memory.buffer, byteOffset, segmentLine(segments));
    this.bytes = new Uint8Array(memory.buffer, dataOffset, capacityBytes);
    this.frames = new Int32Array(memory.buffer, dataOffset, capacityBytes / 4);
    this.longs = new BigInt64Array(memory.buffer, dataOffset, capacityBytes / 8);
    this.capacityBytes = capacityBytes;
    this.segmentBytes = capacityBytes / segments;
    this.startPosition = startPosition;
  }

  /** The first word of the line of the segment that `position` lies in. */
  line(position: number): number {
    return segmentLine(Math.floor((position % this.capacityBytes) / this.segmentBytes));
  }

  /** The epoch of that segment, but for the tag, once it is entered in the lap of `position`. */
  enteredEpoch(position: number): number {
    return (EPOCH_STEP * (Math.floor(position / this.capacityBytes) + 1)) | 0;
  }

  /** Where the segment begins that `position` lies in. */
  segmentStart(position: number): number {
    return position - position % this.segmentBytes;
  }
}
