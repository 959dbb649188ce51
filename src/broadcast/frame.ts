/**
 * A frame: a message in a broadcast ring or a part of one, a heartbeat, or the padding at its end.
 *
 * Frames are 8-byte aligned and never wrap; a padding frame fills the end of the ring.
 *
 *      bit 31  30  29  28 27                     0 | 31                      0
 *     | fin |cont|pad|beat| payload length, bytes  | user value               | payload ... |
 *       word 0                                       word 1
 *
 * Only the last frame of a message is final, so the final frames are the messages to count.
 *
 * @module
 */

import { checkOptions, describe } from "../memory/check.ts";

/** Frames and segments begin at multiples of this many bytes. */
export const FRAME_ALIGNMENT = 8;
/** The bytes of a frame before its payload. */
export const FRAME_HEADER_BYTES = 8;
/** The frame is the last of its message. */
export const FINAL = 1 << 31;
/** A header shifted right by this, without its sign, is 1 for a final frame, and 0 for others. */
export const FINAL_SHIFT = 31;
/** The frame continues the one before. */
export const CONTINUATION = 1 << 30;
/**
 * The frame fills the end of the ring; its payload has no meaning. In a reader's own copy: the
 * frame is to be passed over, and its payload was not copied.
 */
export const PADDING = 1 << 29;
/** The frame is no message: it says that the writer is alive. */
export const HEARTBEAT = 1 << 28;
/** The bits of the payload length in a frame's first word. */
export const LENGTH_MASK: number = (1 << 28) - 1;

// Not exported, as V8 loads an exported binding again at each use, and this is the hot path.
const FRAME_ROUNDING = FRAME_HEADER_BYTES + FRAME_ALIGNMENT - 1;
const FRAME_MASK = -FRAME_ALIGNMENT;

/** The bytes that a frame with this payload takes. */
export function frameByteLength(payloadLength: number): number {
  return (payloadLength + FRAME_ROUNDING) & FRAME_MASK;
}

/**
 * The longest payload: with its header a quarter of the ring.
 *
 * So the length of any frame, padding too, fits its 28 bits in the largest ring; the padding before
 * a long message wastes less than a quarter; and frame and padding together take up to half.
 */
export function maxMessageBytes(capacityBytes: number): number {
  return capacityBytes / 4 - FRAME_HEADER_BYTES;
}

/** Options of one frame. */
export interface FrameOptions {
  /** A number for the receiver, from 0 to 2^32 - 1; 0 by default. */
  userValue?: number;
  /** Whether this frame ends its message; true by default. */
  final?: boolean;
  /** Whether this frame continues the message of the one before; false by default. */
  continuation?: boolean;
  /**
   * Whether this is no message but a heartbeat, which readers pass over unless they ask for it;
   * false by default. It may stand between the frames of a message.
   */
  heartbeat?: boolean;
}

/**
 * The first word of a frame with these options, without its length.
 *
 * @throws {RangeError} If the user value does not fit 32 bits.
 */
export function frameFlags(options: FrameOptions): number {
  checkOptions("write a message", options);
  const { userValue = 0, final = true, continuation = false, heartbeat = false } = options;
  if (userValue >>> 0 !== userValue) {
    throw new RangeError(
      `Cannot write a message as 'userValue' must be a whole number from 0 to 4294967295: received ${
        describe(userValue)
      }`,
    );
  }
  if (heartbeat) return HEARTBEAT;
  return (final ? FINAL : 0) | (continuation ? CONTINUATION : 0);
}
