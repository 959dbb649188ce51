/**
 * The layout of a broadcast ring in memory: its words and its size. Its frames are in `frame.ts`.
 *
 * Region (32-bit words; each line of the drawing is one cache line, except metadata and data):
 *
 *     word  0 | magic | version | capacity | segments | start, low, high | metadata bytes |
 *             |  written once, before the ring is handed to another thread                |
 *     word 16 | writer | position high |    which writer; the position in units of 2^31 bytes
 *     word 32 | position |                  how far frames are published, low 32 bits
 *     word 48 | epoch | first | sequence, low, high | cut |    of segment 0
 *     word 64 | epoch | first | sequence, low, high | cut |    of segment 1
 *       ...
 *             | metadata ...                as the creator gave it, never changed
 *             | data: `capacity` bytes, cut into `segments` equal segments ...
 *
 * @module
 */

import { checkInteger, checkPowerOfTwo } from "../memory/check.ts";
import { alignUp, CACHE_LINE_BYTES, CACHE_LINE_WORDS, isPowerOfTwo } from "../memory/layout.ts";
import { FIRST_WORD, type Label, type Layout, type RegionKind } from "../memory/region.ts";
import { FRAME_ALIGNMENT } from "./frame.ts";

/** The bytes of data. */
export const CAPACITY: number = FIRST_WORD;
/** The number of segments. */
export const SEGMENTS: number = FIRST_WORD + 1;
/** The position that the ring began at, low and high 32 bits. */
export const START_LOW: number = FIRST_WORD + 2;
/** See {@link START_LOW}. */
export const START_HIGH: number = FIRST_WORD + 3;
/** How many bytes of metadata there are. */
export const METADATA_BYTES: number = FIRST_WORD + 4;
/**
 * Which writer has the ring. Changed by compareExchange by a thread that becomes the writer or
 * takes over, and by a writer that closes. The count goes up when a writer goes, so that none
 * mistakes another for itself.
 *
 *      bit 31             4  3      1   0
 *     | writers that went  |  tag   | taken |
 *
 * The tag is that of the last writer that took over; 0 if none did. The whole word is 0 as long as
 * there was no writer, and never again.
 */
export const WRITER = 16;
/** In the word {@link WRITER}: there is a writer. */
export const TAKEN = 1;
/** In the word {@link WRITER}: by how much the tag is shifted. */
export const WRITER_TAG_SHIFT = 1;
/** In the word {@link WRITER}: one writer that went. */
export const WRITER_GONE = 16;
/**
 * The published position divided by {@link POSITION_HIGH_UNIT}, rounded down. Raised by the writer
 * *before* the position, by compareExchange, so it is never behind, and at most one ahead.
 */
export const POSITION_HIGH = 17;
/**
 * The published position, low 32 bits, with {@link POSITION_BITS} of other meaning: see
 * `published_position.ts`. Changed by compareExchange by the writer, which publishes frames by it;
 * by a reader that is about to sleep, which sets {@link SLEEPING}; and by a writer that takes over,
 * which puts its tag there. SLEEPING is cleared by `and` by a writer that closes, and by a reader
 * that finds the end of the stream.
 */
export const POSITION = 32;
/** The line of segment 0; see {@link segmentLine}. */
export const SEGMENT_LINES = 48;

/**
 * In a segment's line: how often a writer has entered it, and whether another one took over since.
 * Changed by atomic read-modify-writes only.
 *
 *      bit 31    4  3  1   0
 *     | entered   | tag | cut |
 *
 * The tag is that of the last writer that entered it or took over. If the last bit is set, a writer
 * took over since it was entered, and the word {@link CUT} says where its frames end.
 */
export const EPOCH = 0;
/**
 * In a segment's line: how many bytes after the segment's start the first frame begins that does
 * not begin before it; its size or more if an earlier frame fills it. Written by the writer in
 * segments that it has entered, before it publishes anything beyond the segment's start.
 */
export const FIRST = 1;
/** In a segment's line: how many messages end before that frame, low 32 bits. Written with it. */
export const SEQUENCE_LOW = 2;
/** In a segment's line: the high bits of that number. */
export const SEQUENCE_HIGH = 3;
/**
 * In a segment's line: after how many bytes its frames end, a multiple of 8; the segment's size if
 * they do not end there. The low bits count the changes. Changed by compareExchange by a writer
 * that takes over, before it changes the epoch; meaningless without {@link EPOCH_CUT} there.
 */
export const CUT = 4;
/** In the word {@link CUT}: the bits of the count. */
export const CUT_COUNT_MASK = 7;

/** The number of tags: they go from 1 up to this, and then begin again. */
export const TAGS = 6;
/** The bits of a tag, unshifted. */
export const TAG_MASK = 7;
/** Entering a segment adds this to its epoch. */
export const EPOCH_STEP = 16;
/** By how much the tag is shifted in an epoch. */
export const EPOCH_TAG_SHIFT = 1;
/** The bits of an epoch other than the tag. */
export const EPOCH_MASK: number = ~(TAG_MASK << EPOCH_TAG_SHIFT);
/** In an epoch: the segment is cut. */
export const EPOCH_CUT = 1;

/** In the position word: a reader may sleep. */
export const SLEEPING = 1;
/**
 * In the position word: which writer took over last, by its tag modulo 3, plus 1; 0 if none did.
 * From the moment that it is there, nothing more of the writer before can be published.
 */
export const POSITION_TAG_MASK = 6;
/** By how much that tag is shifted. */
export const POSITION_TAG_SHIFT = 1;
/** In the position word: the bits that are not the position's, which is a multiple of 8. */
export const POSITION_BITS = 7;
/** The unit of {@link POSITION_HIGH}: half the range of the low word, so that they share a bit. */
export const POSITION_HIGH_UNIT: number = 2 ** 31;

/** The smallest capacity: four segments of two frame headers each. */
export const MIN_CAPACITY_BYTES = 64;
/** The largest capacity: positions that are a ring apart still compare in 32 bits. */
export const MAX_CAPACITY_BYTES: number = 2 ** 30;
/**
 * The minimum number of segments. A frame and the padding before it take up to half the ring; so
 * the segment before the published position is not entered again before more is published.
 */
export const MIN_SEGMENTS = 4;
/** The default number of segments, if they are not longer than {@link DEFAULT_SEGMENT_BYTES}. */
const DEFAULT_SEGMENTS = 8;
/** The maximum length of a segment by default. */
const DEFAULT_SEGMENT_BYTES = 64 * 1024;
/** The maximum bytes of metadata. */
export const MAX_METADATA_BYTES: number = 2 ** 20;

/** The size and the start of a ring. */
export interface RingSize {
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The number of segments. */
  readonly segments: number;
  /** The position of the first message. */
  readonly startPosition: number;
  /** The bytes of metadata. */
  readonly metadataBytes: number;
}

/** The number of segments that a ring of this capacity has by default. */
export function defaultSegments(capacityBytes: number): number {
  return Math.max(DEFAULT_SEGMENTS, capacityBytes / DEFAULT_SEGMENT_BYTES);
}

/** The first word of the line of segment number `segment`. */
export function segmentLine(segment: number): number {
  return SEGMENT_LINES + segment * CACHE_LINE_WORDS;
}

/** The position from which on a ring takes no more messages: positions stay safe integers. */
export function lastPosition(capacityBytes: number): number {
  return Number.MAX_SAFE_INTEGER - capacityBytes;
}

/** The bytes between the start of the region and its metadata. */
function headerBytes(segments: number): number {
  return segmentLine(segments) * Int32Array.BYTES_PER_ELEMENT;
}

/** The layout of one ring. */
export class BroadcastLayout implements Layout, RingSize {
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The number of segments. */
  readonly segments: number;
  /** The bytes of each. */
  readonly segmentBytes: number;
  /** The position of the first message. */
  readonly startPosition: number;
  /** The bytes of metadata. */
  readonly metadataBytes: number;
  /** Where the metadata begins, in bytes from the start of the region. */
  readonly metadataByteOffset: number;
  /** Where the data begins, in bytes from the start of the region. */
  readonly dataByteOffset: number;
  /** The size of the region in bytes. */
  readonly byteLength: number;

  private constructor({ capacityBytes, segments, startPosition, metadataBytes }: RingSize) {
    this.capacityBytes = capacityBytes;
    this.segments = segments;
    this.segmentBytes = capacityBytes / segments;
    this.startPosition = startPosition;
    this.metadataBytes = metadataBytes;
    this.metadataByteOffset = headerBytes(segments);
    this.dataByteOffset = alignUp(this.metadataByteOffset + metadataBytes, CACHE_LINE_BYTES);
    this.byteLength = this.dataByteOffset + capacityBytes;
  }

  /**
   * The layout of a new ring.
   *
   * @throws {RangeError} If no ring has this size.
   */
  static of(size: RingSize): BroadcastLayout {
    const { capacityBytes, segments, startPosition, metadataBytes } = size;
    const action = "create broadcast";
    checkPowerOfTwo(action, "capacityBytes", capacityBytes, MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES);
    checkPowerOfTwo(action, "segments", segments, MIN_SEGMENTS, capacityBytes / FRAME_ALIGNMENT);
    checkInteger(action, "startPosition", startPosition, 0, lastPosition(capacityBytes));
    checkInteger(action, "metadata.length", metadataBytes, 0, MAX_METADATA_BYTES);
    const segmentBytes = capacityBytes / segments;
    if (startPosition % segmentBytes !== 0) {
      throw new RangeError(
        `Cannot create broadcast as 'startPosition' must be a multiple of the segment size ${segmentBytes}: received ${startPosition}`,
      );
    }
    return new BroadcastLayout(size);
  }

  /**
   * The layout that the header of a ring states.
   *
   * @throws {TypeError} If no ring has such a layout.
   */
  static read(words: Int32Array): BroadcastLayout {
    const capacityBytes = words[CAPACITY]!;
    const segments = words[SEGMENTS]!;
    const startPosition = (words[START_HIGH]! >>> 0) * 2 ** 32 + (words[START_LOW]! >>> 0);
    const metadataBytes = words[METADATA_BYTES]!;
    const isValid = isPowerOfTwo(capacityBytes) && isPowerOfTwo(segments) &&
      capacityBytes >= MIN_CAPACITY_BYTES && capacityBytes <= MAX_CAPACITY_BYTES &&
      segments >= MIN_SEGMENTS && segments <= capacityBytes / FRAME_ALIGNMENT &&
      startPosition <= lastPosition(capacityBytes) &&
      startPosition % (capacityBytes / segments) === 0 &&
      metadataBytes >= 0 && metadataBytes <= MAX_METADATA_BYTES;
    if (!isValid) {
      throw new TypeError(
        `Cannot attach as no ring has ${capacityBytes} bytes in ${segments} segments from ${startPosition}, and ${metadataBytes} bytes of metadata`,
      );
    }
    return new BroadcastLayout({ capacityBytes, segments, startPosition, metadataBytes });
  }

  /** Writes the header of a new ring, before the region is handed to another thread. */
  initialize(words: Int32Array): void {
    const { capacityBytes, segments, segmentBytes, startPosition, metadataBytes } = this;
    words[CAPACITY] = capacityBytes;
    words[SEGMENTS] = segments;
    words[START_LOW] = startPosition;
    words[START_HIGH] = startPosition / 2 ** 32;
    words[METADATA_BYTES] = metadataBytes;
    words[WRITER] = 0;
    words[POSITION_HIGH] = startPosition / POSITION_HIGH_UNIT;
    words[POSITION] = startPosition;
    // Segments below the start count as entered in its lap, the others do not yet.
    const lap = Math.floor(startPosition / capacityBytes);
    const entered = (startPosition % capacityBytes) / segmentBytes;
    for (let i = 0; i < segments; i++) {
      words[segmentLine(i) + EPOCH] = EPOCH_STEP * (i < entered ? lap + 1 : lap);
    }
  }

  /** Names the words. */
  *labels(): Generator<Label> {
    yield ["capacity", CAPACITY];
    yield ["segments", SEGMENTS];
    yield ["startPosition", START_LOW, 2];
    yield ["metadataBytes", METADATA_BYTES];
    yield ["writer", WRITER];
    yield ["positionHigh", POSITION_HIGH];
    yield ["position", POSITION];
    for (let i = 0; i < this.segments; i++) {
      const line = segmentLine(i);
      yield [`epoch[${i}]`, line + EPOCH];
      yield [`first[${i}]`, line + FIRST];
      yield [`sequence[${i}]`, line + SEQUENCE_LOW, 2];
      yield [`cut[${i}]`, line + CUT];
    }
    yield ["data", this.dataByteOffset / 4, this.capacityBytes / 4];
  }
}

/** The kind of a ring; the magic word is "bcst". */
export const KIND: RegionKind<"busbar.broadcast", BroadcastLayout> = {
  kind: "busbar.broadcast",
  magic: 0x62637374,
  minBytes: headerBytes(MIN_SEGMENTS) + MIN_CAPACITY_BYTES,
  read: BroadcastLayout.read,
};
