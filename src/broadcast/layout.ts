/**
 * The layout of a broadcast ring in memory: its words and its size. Its frames are in `frame.ts`.
 *
 * Region (32-bit words; each line of the drawing is one cache line, but for the data):
 *
 *     word  0 | magic | version | capacity | segments | start position, low and high |
 *             |  written once, before the ring is handed to anybody                  |
 *     word 16 | writer | position high |      who writes; the position in units of 2^31 bytes
 *     word 32 | position |                    how far frames are published, low 32 bits
 *     word 48 | epoch of segment 0 |          how often the writer has entered the segment
 *     word 64 | epoch of segment 1 |
 *       ...
 *             | data: `capacity` bytes, cut into `segments` equal segments ...
 *
 * @module
 */

import {
  CACHE_LINE_BYTES,
  CACHE_LINE_WORDS,
  checkInteger,
  checkPowerOfTwo,
  isPowerOfTwo,
} from "../memory/layout.ts";
import { label } from "../memory/observer.ts";
import { FRAME_ALIGNMENT } from "./frame.ts";

/** The kind that handles of a ring name. */
export const KIND = "busbar.broadcast";
/** The version of this layout. */
export const VERSION = 1;
/** What the first word of a ring holds: "bcst". */
export const MAGIC_WORD = 0x62637374;

/** Where {@link MAGIC_WORD} stands. */
export const MAGIC = 0;
/** Where {@link VERSION} stands. */
export const LAYOUT_VERSION = 1;
/** The bytes of data. */
export const CAPACITY = 2;
/** The number of segments. */
export const SEGMENTS = 3;
/** The position that the ring began at, low and high 32 bits. */
export const START_LOW = 4;
/** See {@link START_LOW}. */
export const START_HIGH = 5;
/** 0: no writer. 1: there is one. Taken by compareExchange, given back by its holder. */
export const WRITER = 16;
/**
 * The published position divided by {@link POSITION_HIGH_UNIT}, rounded down. Stored by the writer
 * *before* the position, so it is never behind, and at most one ahead.
 */
export const POSITION_HIGH = 17;
/**
 * The published position, low 32 bits. The writer exchanges it, which is what publishes frames; a
 * reader that is about to sleep sets {@link SLEEPING} in it by compareExchange.
 */
export const POSITION = 32;
/** The epoch of segment 0; see {@link epochIndex}. Changed by atomic read-modify-write only. */
export const EPOCHS = 48;

/** Positions are multiples of 8; this bit of the position word says that a reader may sleep. */
export const SLEEPING = 1;
/** What {@link POSITION_HIGH} counts: half of what the low word can, so that they share a bit. */
export const POSITION_HIGH_UNIT: number = 2 ** 31;

/** The least capacity: eight segments of one frame header each. */
export const MIN_CAPACITY_BYTES = 64;
/** The greatest capacity: positions that are a ring apart still compare in 32 bits. */
export const MAX_CAPACITY_BYTES: number = 2 ** 30;

/** What a region must be aligned to. */
export const REGION_ALIGNMENT: number = CACHE_LINE_BYTES;

/** The shape of one ring. */
export interface Shape {
  /** The bytes of data. */
  readonly capacityBytes: number;
  /** The number of segments. */
  readonly segments: number;
  /** The position that the ring began at. */
  readonly startPosition: number;
}

/** The word that holds the epoch of segment number `segment`. */
export function epochIndex(segment: number): number {
  return EPOCHS + segment * CACHE_LINE_WORDS;
}

/** Where the data begins, in bytes from the start of the region. */
export function dataByteOffset(segments: number): number {
  return epochIndex(segments) * Int32Array.BYTES_PER_ELEMENT;
}

/** The size of the whole region. */
export function regionByteLength(shape: Shape): number {
  return dataByteOffset(shape.segments) + shape.capacityBytes;
}

/** Refuses what is not the shape of a ring. */
export function checkShape(shape: Shape): void {
  const { capacityBytes, segments, startPosition } = shape;
  const action = "create broadcast";
  checkPowerOfTwo(action, "capacityBytes", capacityBytes, MIN_CAPACITY_BYTES, MAX_CAPACITY_BYTES);
  checkPowerOfTwo(action, "segments", segments, 1, capacityBytes / FRAME_ALIGNMENT);
  checkInteger(action, "startPosition", startPosition, 0);
  const segmentBytes = capacityBytes / segments;
  if (startPosition % segmentBytes !== 0) {
    throw new RangeError(
      `Cannot create broadcast as 'startPosition' must be a multiple of the segment size ${segmentBytes}: received ${startPosition}`,
    );
  }
}

/** Writes the header of a ring of this shape; nobody else has the memory yet. */
export function initialize(buffer: ArrayBufferLike, byteOffset: number, shape: Shape): void {
  const { capacityBytes, segments, startPosition } = shape;
  const words = new Int32Array(buffer, byteOffset, epochIndex(segments));
  words[MAGIC] = MAGIC_WORD;
  words[LAYOUT_VERSION] = VERSION;
  words[CAPACITY] = capacityBytes;
  words[SEGMENTS] = segments;
  words[START_LOW] = startPosition;
  words[START_HIGH] = startPosition / 2 ** 32;
  words[WRITER] = 0;
  words[POSITION_HIGH] = startPosition / POSITION_HIGH_UNIT;
  words[POSITION] = startPosition;
  // Segments below the start count as entered in its lap, the others not yet.
  const lap = Math.floor(startPosition / capacityBytes);
  const entered = (startPosition % capacityBytes) / (capacityBytes / segments);
  for (let i = 0; i < segments; i++) words[epochIndex(i)] = i < entered ? lap + 1 : lap;
}

/** The shape that the header says, checked against the size of the memory. */
export function readShape(buffer: ArrayBufferLike, byteOffset: number): Shape {
  const words = new Int32Array(buffer, byteOffset, EPOCHS);
  const shape = {
    capacityBytes: words[CAPACITY]!,
    segments: words[SEGMENTS]!,
    startPosition: (words[START_HIGH]! >>> 0) * 2 ** 32 + (words[START_LOW]! >>> 0),
  };
  const { capacityBytes, segments, startPosition } = shape;
  const sound = isPowerOfTwo(capacityBytes) && isPowerOfTwo(segments) &&
    capacityBytes >= MIN_CAPACITY_BYTES && segments <= capacityBytes / FRAME_ALIGNMENT &&
    Number.isSafeInteger(startPosition) && startPosition % (capacityBytes / segments) === 0;
  const found = buffer.byteLength - byteOffset;
  if (!sound || regionByteLength(shape) > found) {
    throw new TypeError(
      `Cannot attach as a ring of ${capacityBytes} bytes in ${segments} segments from ${startPosition} does not fit: found ${found} bytes`,
    );
  }
  return shape;
}

/** Names the words of a ring for an observer's reports. */
export function labelRegion(buffer: ArrayBufferLike, byteOffset: number, shape: Shape): void {
  const word = (index: number, name: string, words = 1) =>
    label(buffer, byteOffset + index * 4, words * 4, `broadcast.${name}`);
  word(MAGIC, "magic");
  word(LAYOUT_VERSION, "version");
  word(CAPACITY, "capacity");
  word(SEGMENTS, "segments");
  word(START_LOW, "startPosition", 2);
  word(WRITER, "writer");
  word(POSITION_HIGH, "positionHigh");
  word(POSITION, "position");
  for (let i = 0; i < shape.segments; i++) word(epochIndex(i), `epoch[${i}]`);
  label(
    buffer,
    byteOffset + dataByteOffset(shape.segments),
    shape.capacityBytes,
    "broadcast.data",
  );
}
