/**
 * Sends a message in several frames. `reassembler.ts` puts it together again.
 *
 * @module
 */

import { checkInteger } from "../memory/layout.ts";
import type { FrameOptions } from "./frame_options.ts";

/** Options of {@link BroadcastWriter.appendFragments}. */
export interface FragmentOptions {
  /** A number of the user's, from 0 to 2^32 - 1, which each frame gets; 0 by default. */
  userValue?: number;
  /** The most bytes of a frame; {@link BroadcastWriter.largestMessage} by default. */
  fragmentBytes?: number;
}

/** What takes frames. */
interface FrameWriter {
  readonly largestMessage: number;
  append(payload: Uint8Array, options: FrameOptions): void;
}

/** Appends the frames of a message, of which there is at least one. */
export function appendFragments(
  writer: FrameWriter,
  message: Uint8Array,
  options: FragmentOptions,
): void {
  const { largestMessage } = writer;
  const { userValue = 0, fragmentBytes = largestMessage } = options;
  checkInteger("append", "fragmentBytes", fragmentBytes, 1, largestMessage);
  let from = 0;
  do {
    const end = Math.min(from + fragmentBytes, message.length);
    const frame = { userValue, final: end === message.length, continuation: from > 0 };
    writer.append(message.subarray(from, end), frame);
    from = end;
  } while (from < message.length);
}
