/**
 * A framing: the rule that marks the boundaries of messages in a stream of bytes. A *frame* is a
 * message with its marks.
 *
 * A framing encodes messages, and creates a *scanner* for each stream. A scanner examines
 * contiguous bytes from the beginning of a frame, as many as have arrived, and returns whether the
 * frame is complete. If it is not, the scanner is called again with the same bytes and more. So the
 * chunks of the stream make no difference.
 *
 * @module
 */

import { checkBytes, checkInteger } from "../memory/check.ts";

/**
 * The result of a scan.
 *
 * - `incomplete`: more bytes are needed; `frameLength` is the least length that the frame can have.
 * - `frame`: the frame is complete, and all properties of the scanner are set.
 * - `malformed`: no frame can begin here; `reason` says why.
 * - `skip`: after `resynchronise`, the next `frameLength` bytes belong to no frame.
 */
export type ScanResult = "incomplete" | "frame" | "malformed" | "skip";

/** Finds the frames of one stream, one after the other. */
export interface FrameScanner {
  /** The length of the frame in bytes, or the least that it can be, as {@link ScanResult} says. */
  readonly frameLength: number;
  /** The offset of the payload in the frame. */
  readonly payloadOffset: number;
  /** The length of the payload in bytes. */
  readonly payloadLength: number;
  /** After `malformed`: the fault, as the rest of the sentence "Cannot frame the stream as ...". */
  readonly reason: string;
  /**
   * Examines the bytes from `start`, where a frame begins, to `end`.
   *
   * After `frame` and `skip`, the next call begins `frameLength` bytes further on. Otherwise it
   * begins at the same byte of the stream, which may then be at another offset.
   */
  scan(bytes: Uint8Array, start: number, end: number): ScanResult;
  /** After `malformed`: lets the next scans skip the bytes that cannot be framed. */
  resynchronise(): void;
}

/**
 * The boundaries of messages in a stream of bytes: made by {@link lengthPrefixed} and
 * {@link delimited}.
 */
export interface Framing {
  /** The length of the longest message in bytes. */
  readonly maxLength: number;
  /** How many bytes a frame has in addition to its message. */
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
   * Creates a scanner for one stream.
   *
   * @param maxFrameBytes The length of the longest frame that the scanned memory can hold.
   */
  scanner(maxFrameBytes: number): FrameScanner;
}

/** A stream of bytes is not a sequence of frames of the expected framing. */
export class FramingError extends Error {
  /** The name of this class. */
  override readonly name = "FramingError";
  /** The position of the malformed frame in the stream, in bytes. */
  readonly streamOffset: number;

  /**
   * Made by the decoder.
   *
   * @ignore
   */
  constructor(streamOffset: number, reason: string) {
    super(`Cannot frame the stream at byte ${streamOffset} as ${reason}`);
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
