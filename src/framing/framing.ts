/**
 * A framing: the boundaries of messages in a stream of bytes, and how a message is written with
 * them.
 *
 * A framing makes *scanners*. A scanner looks at contiguous bytes from the beginning of a frame on,
 * as many as have arrived, and returns whether the frame is complete. It is called again with the
 * same bytes and more, so the chunks of the stream make no difference.
 *
 * @module
 */

import { checkBytes, checkInteger } from "../memory/check.ts";

/**
 * The result of a scan.
 *
 * - `incomplete`: the frame is not complete; `frameLength` is the least number of bytes it can
 *   have.
 * - `frame`: the frame is complete.
 * - `malformed`: no frame can begin here; `reason` says why.
 * - `skip`: after `resynchronise`: `frameLength` bytes belong to no frame.
 */
export type ScanResult = "incomplete" | "frame" | "malformed" | "skip";

/** Finds the frames of one stream, one after the other. */
export interface FrameScanner {
  /** The bytes of the frame, as far as they are known. */
  readonly frameLength: number;
  /** The offset of the payload in the frame. */
  readonly payloadOffset: number;
  /** The bytes of the payload. */
  readonly payloadLength: number;
  /** After `malformed`: the fault, as the rest of a sentence. */
  readonly reason: string;
  /**
   * Looks at the bytes from `start`, where a frame begins, to `end`.
   *
   * After `frame` and `skip` the next call begins `frameLength` bytes further on, otherwise at the
   * same byte, which may have been moved.
   */
  scan(bytes: Uint8Array, start: number, end: number): ScanResult;
  /** After `malformed`: skips bytes that cannot be framed from here on. */
  resynchronise(): void;
}

/**
 * The boundaries of messages in a stream of bytes: made by {@link lengthPrefixed} and
 * {@link delimited}.
 */
export interface Framing {
  /** The bytes of the longest message. */
  readonly maxLength: number;
  /** The bytes that a frame has in addition to its message. */
  readonly overheadBytes: number;
  /**
   * Writes `payload` as a frame into `target`, from `offset` on: `payload.length +
   * overheadBytes` bytes.
   *
   * @returns The offset of the end of the frame.
   * @throws {TypeError} If `payload` or `target` is not a Uint8Array.
   * @throws {RangeError} If the payload cannot be framed, or the frame does not fit.
   */
  encodeInto(payload: Uint8Array, target: Uint8Array, offset: number): number;
  /**
   * Writes `payload` as a frame, into a new array.
   *
   * @throws {RangeError} If the payload cannot be framed.
   */
  encode(payload: Uint8Array): Uint8Array<ArrayBuffer>;
  /**
   * Makes a scanner for one stream.
   *
   * @param maxFrameBytes The most bytes that a frame can have in the memory that is scanned.
   */
  scanner(maxFrameBytes: number): FrameScanner;
}

/** The bytes of a stream are not frames of the expected kind. */
export class FramingError extends Error {
  /** The position of the malformed frame in the stream, in bytes. */
  readonly streamOffset: number;

  /**
   * Makes the error.
   *
   * @param streamOffset The position of the frame in the stream, in bytes.
   * @param reason The fault, as the rest of a sentence.
   */
  constructor(streamOffset: number, reason: string) {
    super(`Cannot frame the stream at byte ${streamOffset} as ${reason}`);
    this.name = "FramingError";
    this.streamOffset = streamOffset;
  }
}

/** Writes a payload as a frame, into a new array. */
export function encodeFrame(framing: Framing, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  checkBytes("frame a message", "payload", payload);
  const frame = new Uint8Array(payload.length + framing.overheadBytes);
  framing.encodeInto(payload, frame, 0);
  return frame;
}

/** Throws unless the payload can be framed and its frame fits the target. */
export function checkRoom(
  framing: Framing,
  payload: Uint8Array,
  target: Uint8Array,
  offset: number,
): void {
  checkBytes("frame a message", "payload", payload);
  checkBytes("frame a message", "target", target);
  checkInteger("frame a message", "length", payload.length, 0, framing.maxLength);
  checkInteger("frame a message", "offset", offset, 0);
  const end = offset + payload.length + framing.overheadBytes;
  if (end > target.length) {
    throw new RangeError(
      `Cannot frame a message as its frame of ${
        end - offset
      } bytes does not fit at ${offset}: received a target of ${target.length} bytes`,
    );
  }
}
