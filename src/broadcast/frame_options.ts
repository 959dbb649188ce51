/**
 * What a caller may say of a frame.
 *
 * @module
 */

import { describe } from "../memory/layout.ts";
import { CONTINUATION, FINAL, HEARTBEAT } from "./frame.ts";

/** What goes with a frame. */
export interface FrameOptions {
  /** A number of the user's, from 0 to 2^32 - 1; 0 by default. */
  userValue?: number;
  /** Whether this frame ends its message; true by default. */
  final?: boolean;
  /** Whether this frame continues the message of the one before; false by default. */
  continuation?: boolean;
  /**
   * Whether this is no message but a sign of life, which readers pass over unless they ask for it;
   * false by default. It may stand between the frames of a message.
   */
  heartbeat?: boolean;
}

/**
 * The first word of a frame with these options, but for its length.
 *
 * @throws {RangeError} If the user value does not fit 32 bits.
 */
export function frameFlags(options: FrameOptions): number {
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
