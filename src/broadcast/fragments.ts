/**
 * How a message is cut into several frames.
 *
 * @module
 */

import { checkBytes, checkInteger, checkOptions } from "../memory/check.ts";
import type { FrameOptions } from "./frame.ts";

/** Options of {@link BroadcastWriter.appendFragments}. */
export interface FragmentOptions {
  /** A number for the receiver, from 0 to 2^32 - 1, which each frame carries; 0 by default. */
  userValue?: number;
  /** The maximum bytes of a frame; {@link BroadcastWriter.maxMessageBytes} by default. */
  fragmentBytes?: number;
}

/** Appends frames. */
interface FrameWriter {
  readonly maxMessageBytes: number;
  append(payload: Uint8Array, options: FrameOptions): void;
}

/** Appends the frames of a message, of which there is at least one. */
export function appendFragments(
  writer: FrameWriter,
  message: Uint8Array,
  options: FragmentOptions = {},
): void {
  checkBytes("append", "message", message);
  checkOptions("append", options);
  const { maxMessageBytes } = writer;
  const { userValue = 0, fragmentBytes = maxMessageBytes } = options;
  checkInteger("append", "fragmentBytes", fragmentBytes, 1, maxMessageBytes);
  let from = 0;
  do {
    const end = Math.min(from + fragmentBytes, message.length);
    const frame = { userValue, final: end === message.length, continuation: from > 0 };
    writer.append(message.subarray(from, end), frame);
    from = end;
  } while (from < message.length);
}
