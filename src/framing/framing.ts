/**
 * A framing: how messages are told apart in a stream of bytes, and how one is written so.
 *
 * A framing makes *scanners*. A scanner looks at bytes that lie in one piece from the beginning of a
 * frame on, as many of them as have come, and says whether the frame is whole. It is asked again
 * with the same bytes and more, so how the stream was cut into chunks makes no difference.
 *
 * @module
 */

import { checkBytes, checkInteger } from "../memory/check.ts";

/**
 * What a scanner says.
 *
 * - `incomplete`: the frame is not whole; `frameLength` says how many bytes it takes at least.
 * - `frame`: the frame is whole.
 * - `malformed`: no frame can begin here; `reason` says why.
 * - `skip`: after `resynchronise`: `frameLength` bytes belong to no frame.
 */
export type ScanResult = "incomplete" | "frame" | "malformed" | "skip";

/** Looks for the frames of one stream, one after the other. */
export interface FrameScanner {
  /** The bytes of the frame, or of as much of it as is known. */
  readonly frameLength: number;
  /** Where in the frame the payload begins. */
  readonly payloadOffset: number;
  /** The bytes of the payload. */
  readonly payloadLength: number;
  /** After `malformed`: what is wrong, as the rest of a sentence. */
  readonly reason: string;
  /**
   * Looks at the bytes from `start`, where a frame begins, to `end`.
   *
   * After `frame` and `skip` the next call begins `frameLength` bytes further on, else at
   * the same byte, wherever it has been moved to.
   */
  scan(bytes: Uint8Array, start: number, end: number): ScanResult;
  /** After `malformed`: from here on skips what cannot be framed. */
  resynchronise(): void;
}

/**
 * How messages are told apart in a stream of bytes: made by {@link lengthPrefixed} and
 * {@link delimited}.
 */
export interface Framing {
  /** The bytes of the longest message. */
  readonly maxLength: number;
  /** The bytes that a frame has beside its message. */
  readonly overheadBytes: number;
  /**
   * Writes `payload` as a frame into `target`, from `offset` on: `payload.length +
   * overheadBytes` bytes.
   *
   * @returns Where the frame ends.
   * @throws {TypeError} If `payload` or `target` is not made of bytes.
   * @throws {RangeError} If the payload cannot be framed, or the frame does not fit.
   */
  encodeInto(payload: Uint8Array, target: Uint8Array, offset: number): number;
  /**
   * Writes `payload` as a frame of its own.
   *
   * @throws {RangeError} If the payload cannot be framed.
   */
  encode(payload: Uint8Array): Uint8Array<ArrayBuffer>;
  /**
   * Looks for the frames of one stream.
   *
   * @param largestFrame How many bytes a frame can have where they are looked for.
   */
  scanner(largestFrame: number): FrameScanner;
}

/** The bytes of a stream are not frames of the expected kind. */
export class FramingError extends Error {
  /** How many bytes of the stream come before the frame that is wrong. */
  readonly streamOffset: number;

  /**
   * Makes the error.
   *
   * @param streamOffset Where in the stream the frame begins, in bytes.
   * @param reason What is wrong with it, as the rest of a sentence.
   */
  constructor(streamOffset: number, reason: string) {
    super(`Cannot frame the stream at byte ${streamOffset} as ${reason}`);
    this.name = "FramingError";
    this.streamOffset = streamOffset;
  }
}

/** Writes a payload as a frame of its own. */
export function encodeFrame(framing: Framing, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  checkBytes("frame a message", "payload", payload);
  const frame = new Uint8Array(payload.length + framing.overheadBytes);
  framing.encodeInto(payload, frame, 0);
  return frame;
}

/** Refuses a payload that is too long, or whose frame does not fit the target. */
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
